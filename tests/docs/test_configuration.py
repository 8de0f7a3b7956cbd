"""The configuration reference says what the files say, of every file."""

import re
from pathlib import Path

import pytest
import yaml
from generators.config_tree import Key, groups, read_option
from generators.configuration import pages

CONF = Path(__file__).parents[2] / "conf"
FILES = sorted(CONF.rglob("*.yaml"))

EXAMPLE = """\
# @package _global_
# What it is for, Sec. 4.1 (Qin et al.
# 2024): DATA=... python -m es_repro.train method=x
defaults:
  - /method/es@method  # the paper's
  - override /model: small
  - _self_
_target_: es_repro.selection.create

# ---- what counts
seed: 0
# Said above.
recipe:                      # said beside
  ratio: ${oc.select:a.b,0.25}   # b/B; not "#1"
  milestones: [0.3, 0.6]
  sizes: {patch: 8}          # in pixels
steps:
  - 1
  - 2                        # after a list

# ---- what does not
name: "two
  lines"
empty: {}
"""


def test_a_file_is_read_with_its_comments(tmp_path):
    (tmp_path / "method").mkdir()
    path = tmp_path / "method" / "x.yaml"
    path.write_text(EXAMPLE)
    option = read_option(path, tmp_path)

    assert (option.group, option.name, option.path) == ("method", "x", "conf/method/x.yaml")
    assert option.purpose == "What it is for, Sec. 4.1 (Qin et al. 2024)."
    assert option.commands == ("DATA=... python -m es_repro.train method=x",)
    assert option.target == "es_repro.selection.create"
    assert [(x.value, x.note) for x in option.extends] == [
        ("/method/es@method", "the paper's"), ("override /model: small", ""), ("_self_", ""),
    ]  # fmt: skip
    counts, not_ = "what counts", "what does not"
    assert list(option.keys) == [
        Key("seed", "0", "", counts),
        Key("recipe", "", "Said above. said beside", counts),
        Key("recipe.ratio", "${oc.select:a.b,0.25}", 'b/B; not "#1"', counts),
        Key("recipe.milestones", "[0.3, 0.6]", "", counts),
        Key("recipe.sizes.patch", "8", "in pixels", counts),
        Key("steps", "[1, 2]", "after a list", counts),
        Key("name", "two lines", "", not_),
        Key("empty", "{}", "", not_),
    ]


@pytest.fixture(scope="module")
def made():
    return pages(CONF)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(CONF)))
def test_every_file_is_there_with_all_its_keys(made, path):
    group = path.parent.relative_to(CONF).as_posix()
    if group == ".":
        text = made["index"]
    else:
        page = made[group.replace("/", "-")]
        label = f"(conf-{group}-{path.stem})=".replace("/", "-").lower()
        assert page.count(label) == 1
        text = page.split(label)[1].split("\n(conf-")[0]
    for name in leaves(yaml.safe_load(path.read_text(encoding="utf-8"))):
        assert f"| `{name}` |" in text, name


def leaves(found, prefix=""):
    """The dotted names that a reader may set; Hydra's own and what Hydra builds with are not."""
    for key, value in found.items():
        name = f"{prefix}{key}"
        of_hydra = name.startswith("hydra.") and not name.startswith(("hydra.sweeper", "hydra.la"))
        if name in ("defaults", "_target_", "_partial_", "_convert_") or of_hydra:
            continue
        if isinstance(value, dict) and value:
            yield from leaves(value, f"{name}.")
        else:
            yield name


def test_the_index_leads_to_every_group(made):
    for group in groups(CONF):
        if group:
            assert f"[{group}]({group.replace('/', '-')}.md)" in made["index"]


def test_origins_stand_beside_the_values(made):
    assert re.search(r"`beta2` \| `0.8` \| Sec\. 4\.1 \|", made["method"])
    assert "passes that move batch-norm running statistics: train, score, both" in made["index"]


def test_what_a_method_has_beside_its_file_is_named(made):
    es = made["method"].split("(conf-method-es)=")[1].split("\n(conf-")[0]
    assert "`+method.bias_correction=...`" in es
    assert "`+method.beta1" not in es
