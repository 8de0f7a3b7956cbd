"""The code of the pages runs, and the pages include what there is."""

import importlib.util
import re
from pathlib import Path

import pytest
import torch

DOCS = Path(__file__).parents[2] / "docs"
PAGES = sorted(DOCS.glob("*.md"))


def example(name):
    spec = importlib.util.spec_from_file_location(name, DOCS / "examples" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", ["three_lines", "plain_loop"])
@pytest.mark.parametrize("method", ["baseline", "es", "infobatch", "random"])
def test_the_loops_learn(name, method):
    data = example("three_lines").made_up(300)
    inputs, targets = data.tensors
    model = example(name).train(method, data, num_epochs=6)
    right = (model(inputs).argmax(1) == targets).float().mean()
    assert right > 0.9  # four centres, all but apart; 0.25 by chance


@pytest.mark.parametrize("method", ["es", "eswp", "infobatch"])
def test_both_loops_are_the_same(method):
    data = example("three_lines").made_up(300)
    short, written_out = (
        example(name).train(method, data, num_epochs=6) for name in ("three_lines", "plain_loop")
    )
    assert torch.equal(short.weight, written_out.weight)


def test_the_quickstart_picks_what_it_says():
    (block,) = re.findall(r"```python\n(.*?)```", (DOCS / "quickstart.md").read_text(), re.DOTALL)
    torch.manual_seed(0)
    names: dict[str, object] = {}
    exec(block, names)
    assert len(names["picked"]) == 16


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_what_a_page_includes_is_there(page):
    text = page.read_text(encoding="utf-8")
    for block in re.findall(r"```\{literalinclude\} (.*?)\n```", text, flags=re.DOTALL):
        name, *options = block.splitlines()
        source = (DOCS / name).read_text(encoding="utf-8")
        for option in options:
            _, key, value = option.split(":", 2)
            if key in ("start-at", "start-after", "end-before"):
                assert value.strip().strip('"') in source, (page.name, option)
