"""What stands under results/ is what the packs in it give."""

import io
import re
import subprocess
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib import image

from es_repro.report.assembly import stem, texts
from es_repro.report.collection import figures, of_packs, tables
from es_repro.report.head import head, studied
from es_repro.report.page.command import written_beside
from es_repro.report.readme import block, filled
from es_repro.report.rebuild import write_drawing
from es_repro.report.studies.catalogue import STUDIES
from es_repro.report.studies.command import packs, write_study
from es_repro.report.studies.rates import as_yaml, tuned
from es_repro.report.takeaways import takeaways
from es_repro.report.unrun import gaps
from es_repro.report.verdicts.command import read_frame

ROOT = Path(__file__).parents[2]
RESULTS = Path("results")
MEND = "results/ is not what its packs give: run `make report` (and commit what it writes)"


@pytest.fixture(scope="module")
def again():
    """Every table and figure, as `report rebuild` makes them in the repository's root."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        shelves = of_packs(RESULTS)
        yield list(tables(shelves)), list(figures(shelves))


def tracked(folder):
    """Names of the files that git knows there: a user's own tables stand beside them."""
    listed = subprocess.run(
        ["git", "ls-files", f"{RESULTS}/{folder}"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if listed.returncode != 0 or not listed.stdout:
        pytest.skip("no git checkout: nothing says which files are the project's")
    return {Path(line).name for line in listed.stdout.splitlines()}


def test_each_committed_table_is_rebuilt_to_the_letter(again):
    made, _ = again
    found = {
        f"{stem(table.spec.name, table.preset, table.spec.presets)}.{suffix}": text
        for table in made
        for suffix, text in texts(table).items()
    }
    assert tracked("tables") == set(found), MEND
    for name, text in found.items():
        assert (ROOT / RESULTS / "tables" / name).read_text() == text, f"{name}: {MEND}"


def numbers(text):
    return pd.read_csv(io.StringIO("".join(line for line in text if not line.startswith("#"))))


def test_each_committed_figure_is_drawn_from_the_numbers_beside_it(again):
    _, made = again
    folder = ROOT / RESULTS / "figures"
    assert {Path(name).stem for name in tracked("figures")} == {drawing.stem for drawing in made}, (
        MEND
    )
    for drawing in made:
        committed = (folder / f"{drawing.stem}.csv").read_text().splitlines(keepends=True)
        rebuilt = drawing.data.splitlines(keepends=True)
        about = [[x for x in lines if x.startswith("#")] for lines in (committed, rebuilt)]
        assert about[0] == about[1], f"{drawing.stem}: {MEND}"
        # Six digits are written; another machine's exponential may differ in the last one.
        pd.testing.assert_frame_equal(
            numbers(committed), numbers(rebuilt), rtol=1e-4, obj=f"{drawing.stem}: {MEND}"
        )


@pytest.mark.slow
def test_each_committed_picture_shows_these_numbers(again, tmp_path):
    _, made = again
    for drawing in made:
        path = write_drawing(drawing, tmp_path)
        ours = image.imread(path.with_name(f"{path.name}.png"))
        theirs = image.imread(ROOT / RESULTS / "figures" / f"{path.name}.png")
        assert ours.shape == theirs.shape, f"{drawing.stem}: {MEND}"
        # Greys at the edges of letters may differ between builds of the font library: of the whole
        # scale, 0.2% in the mean. Another line of a plot is more than that.
        assert np.abs(ours - theirs).mean() < 0.002, f"{drawing.stem}: {MEND}"


def test_the_readme_s_first_screen_is_what_the_records_give(again):
    made, drawn = again
    text = (ROOT / "README.md").read_text()
    first = head(studied(RESULTS), made, drawn, gaps(made, drawn))
    assert first is not None
    assert filled(text, block(first, RESULTS), "README.md") == text, MEND
    assert first.figure is not None
    assert (ROOT / RESULTS / first.figure).is_file()


def test_what_a_reader_takes_home_is_what_the_records_give():
    text = (ROOT / RESULTS / "README.md").read_text()
    inside = takeaways(studied(ROOT / RESULTS), *written_beside(ROOT / RESULTS))
    assert filled(text, inside, "results/README.md") == text, MEND
    for picture in re.findall(r"^!\[.*\]\((.*)\)$", text, re.MULTILINE):
        assert (ROOT / RESULTS / picture).is_file()


def test_each_study_s_page_and_numbers_are_what_its_records_give(tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    for study, frame, place in packs(RESULTS):
        made = write_study(study, frame, tmp_path, place)
        for path in made.glob("*.md"):
            assert path.read_text() == (RESULTS / study.name / path.name).read_text(), MEND
        for path in made.glob("*.csv"):
            frames = [pd.read_csv(place) for place in (path, RESULTS / study.name / path.name)]
            pd.testing.assert_frame_equal(*frames, rtol=1e-4, obj=f"{study.name}: {MEND}")


@pytest.mark.parametrize("study", [study for study in STUDIES.values() if study.tuning])
def test_each_arm_s_rate_is_the_best_of_its_tuning_records(study):
    place = ROOT / RESULTS / study.name / "records"
    if not place.is_dir():
        pytest.skip("not tuned yet")
    written = (ROOT / "conf" / "recipe" / f"{study.name}_rates.yaml").read_text()
    assert written == as_yaml(study, tuned(study, read_frame([place])))
