"""Every method has its section, its facts and its picture, taken from the selector itself."""

import re
from pathlib import Path

import pytest
from generators import method_facts, runs_table
from generators.config_tree import groups
from generators.pictures import METHODS, method_picture
from generators.traces import EPOCHS, META_BATCH, SAMPLES, trace

from es_repro.selection import create

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "methods.md").read_text(encoding="utf-8")
NAMES = method_facts.methods()


def test_the_methods_are_those_of_the_command_line():
    named = {
        key.value for option in groups(ROOT / "conf")["method"] for key in option.keys
        if key.name == "name"
    }  # fmt: skip
    assert set(NAMES) == named


@pytest.mark.parametrize("name", NAMES)
def test_every_method_has_a_section_with_facts_and_a_picture(name):
    assert f"(method-{name})=" in PAGE
    section = PAGE.split(f"(method-{name})=")[1].split("\n(method-")[0]
    assert f"generated/facts/{name}.md" in section
    drawn = [row for row, (method, _) in METHODS.items() if method == name]
    assert bool(drawn) == (name != "baseline")
    for row in drawn:
        assert f"generated/pictures/{row}.png" in section


def test_every_picture_says_what_it_shows():
    for block in re.findall(r"```\{figure\}.*?\n```", PAGE, flags=re.DOTALL):
        assert len(re.search(r":alt: (.*)", block).group(1)) > 40


@pytest.mark.parametrize("name", NAMES)
def test_facts_are_the_selectors_own(name):
    text = method_facts.fragment(name)
    selector = create(name, 50, 20)
    for key in selector.hyperparameters.keys() - {"nonfinite", "negative"}:
        assert f"| `{key}` |" in text
    tables = {k for k, x in selector.state_dict()["tensors"].items() if x.shape == (50,)}
    assert all(f"`{table}`" in text for table in tables)
    assert f"{type(selector).expected_cost(200).factor:.3f} of its FLOPs" in text
    assert type(selector).__name__ in method_facts.classes()


def test_bytes_a_sample_are_counted():
    rows = dict(
        re.findall(r"\[`(\w+)`\]\(\S+\) \| [^|]+ \| \w+ \| (\d+) \|", method_facts.overview())
    )
    assert (rows["es"], rows["infobatch"], rows["loss"]) == ("8", "5", "0")  # float32, a flag


def test_a_trace_keeps_the_budget():
    run = trace("eswp")
    visits = run.visits[run.visits["epoch"] == 10]
    planned, trained = int(visits["planned"].sum()), int(visits["trained"].sum())
    assert len(run.visits) == EPOCHS * SAMPLES
    assert planned == round(0.8 * SAMPLES)  # 77: three meta-batches of 24 and a rest of 5
    assert trained == 3 * META_BATCH // 4 + 1
    assert not visits.loc[~visits["planned"], "trained"].any()
    assert set(run.tables) == {"scores", "weights"}
    assert run.selecting.tolist() == [False, *[True] * 18, False]


def test_a_table_in_a_trace_stays_where_nobody_fed_it():
    visits = trace("orderdp").visits.pivot_table(
        index="epoch", columns="sample", values="last_losses"
    )
    trained = trace("orderdp").visits.pivot_table(index="epoch", columns="sample", values="trained")
    still = (visits.diff() == 0) & (trained == 0)
    known = visits.shift().notna()
    assert (still == (trained == 0))[known].stack().dropna().all()


def test_re_scored_samples_are_seen_and_not_trained():
    visits = trace("ka").visits
    rescored = visits[visits["rescored"]]
    assert len(rescored) > 0
    assert not rescored["planned"].any()
    assert not rescored["trained"].any()


@pytest.mark.parametrize("name", ["ka", "loss"])
def test_a_picture_has_a_panel_of_memory_where_there_is_memory(name):
    panels = method_picture(name).axes
    assert len(panels) == (3 if name == "ka" else 2)
    assert all(panel.get_title(loc="left") and panel.get_xlabel() for panel in panels)


def test_sweeps_are_counted_and_have_the_hours_of_the_cost_model(tmp_path):
    runs_table.write_table(tmp_path / "sweeps.md")
    text = (tmp_path / "sweeps.md").read_text(encoding="utf-8")
    assert "| `table2` | `table2_cifar10_resnet18` | 39 | 5.6 | 39 | 5.6 |" in text
    assert "| `fig5_baseline` | `table3_imagenet_vitl` | 3 | 11 | 0 | 0 |" in text
    (table5,) = [x for x in groups(ROOT / "conf")["sweep"] if x.name == "table5"]
    assert runs_table.num_runs(table5) == 8 * 3 * 11
