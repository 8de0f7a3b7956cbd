"""What the paper's recipes are expected to cost, wherever a number of it stands."""

import re
import subprocess
from pathlib import Path

import pandas as pd
import pytest

from es_repro.config import register_resolvers
from es_repro.forecast.paper_cost import ITEMS, expected, main
from es_repro.report import unrun
from es_repro.report.catalogue import TABLES
from es_repro.report.figures.catalogue import FIGURES

ROOT = Path(__file__).parents[2]
STALE = "expected.csv is stale: run `python -m es_repro.forecast.paper_cost`, then `make report`"


@pytest.fixture(autouse=True)
def _resolvers():
    register_resolvers()


def same(again, kept):
    names = ["item", "sweep", "experiment"]
    again, kept = (x.set_index(names) for x in (again, kept))
    assert list(again.index) == list(kept.index), STALE
    pd.testing.assert_frame_equal(again, kept, rtol=2e-3, obj=STALE)


def test_what_an_earlier_item_has_is_counted_there():
    few = {"table8": ("table8",), "fig5": ("fig5_right",)}
    found = expected(few).set_index("sweep")
    kept = unrun.expected().set_index("sweep")
    whole = ["runs", "hours", "longest"]
    pd.testing.assert_frame_equal(
        found[whole], kept.loc[list(found.index), whole], rtol=2e-3, obj=STALE
    )
    # Alone they share nothing; in the file Table 8 has four rows of three seeds from Table 2.
    assert (found["new_runs"] == found["runs"]).all()
    assert kept.loc["table8", "runs"] - kept.loc["table8", "new_runs"] == 4 * 3


@pytest.mark.slow
@pytest.mark.timeout(1200)  # a minute of a core, which others may want, too
def test_the_file_is_what_the_cost_model_says():
    same(expected(), unrun.expected())


def test_the_file_is_written_whole(tmp_path, monkeypatch):
    monkeypatch.setattr("es_repro.forecast.paper_cost.ITEMS", {})
    monkeypatch.setattr("es_repro.forecast.paper_cost.expected", lambda: unrun.expected().head(3))
    assert main(tmp_path / "again.csv") == 0
    kept = unrun.EXPECTED.read_text().splitlines()
    assert (tmp_path / "again.csv").read_text().splitlines() == kept[:7]


def test_the_items_are_the_targets_of_the_makefile():
    listed = subprocess.run(
        ["make", "--dry-run", "PRESET=paper", "VENV=/nowhere", *ITEMS.keys() - {"noise"}],
        cwd=ROOT, capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    launched = set(re.findall(r"for sweep in ([a-z0-9_ ]+); do status|sweep=([a-z0-9_]+) ", listed))
    names = {name for pair in launched for text in pair for name in text.split()}
    names |= {name for text in re.findall(r"for sweep in ([a-z0-9_ ]+); do", listed)
              for name in text.split()}  # fmt: skip
    assert names == {sweep for item, sweeps in ITEMS.items() if item != "noise" for sweep in sweeps}
    assert set(ITEMS) - {"noise"} <= {spec.name for spec in (*TABLES.values(), *FIGURES.values())}


def test_hours_in_the_readme_are_the_file_s():
    text = (ROOT / "README.md").read_text()
    (said,) = re.findall(r"make table2 PRESET=paper .* about (\d+) H100 hours", text)
    hours = unrun.expected().groupby("sweep")["hours"].sum()
    assert int(said) == round(hours["table2"])


def test_the_launchers_comment_says_the_file_s_runs_and_hours():
    text = (ROOT / "scripts" / "sweep.sh").read_text()
    sweeps = dict(re.findall(r"\[([a-z_]+)\]=([a-z0-9_]+)", text))
    lines = re.findall(r"^#   ([a-z_]+) .* (\d+), ([\d.]+) h$", text, re.MULTILINE)
    said = {name: (int(runs), float(hours)) for name, runs, hours in lines}
    assert said.keys() == sweeps.keys()
    table = unrun.expected().groupby("sweep")[["runs", "hours"]].sum()
    for name, (runs, hours) in said.items():
        kept = table.loc[sweeps[name]]
        assert (runs, hours) == (kept["runs"], round(kept["hours"], 1)), name


def test_a_recipe_s_own_words_on_its_cost_are_the_file_s():
    longest = unrun.expected().groupby("experiment")["longest"].max()
    checked = 0
    for path in (ROOT / "conf" / "experiment").glob("*.yaml"):
        words = r"Expected on one H100: (?:[\d.]+ to )?([\d.]+) (hours|minutes) a (?:baseline )?run"
        for number, unit in re.findall(words, path.read_text()):
            hours = float(number) / (60 if unit == "minutes" else 1)
            assert hours == pytest.approx(longest[path.stem], rel=0.15), path.name
            checked += 1
    assert checked == 11
