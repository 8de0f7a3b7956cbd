"""The page, the README's head and the list of what was not run, from made-up records."""

import re
from html.parser import HTMLParser

import pytest

from es_repro.report import __main__ as cli
from es_repro.report import collection
from es_repro.report.collection import figures, of_root, tables
from es_repro.report.figures.catalogue import FIGURES
from es_repro.report.page.blocks import Grid, Lines, Prose, Section
from es_repro.report.page.command import gather, page
from es_repro.report.page.html import to_html
from es_repro.report.readme import filled
from es_repro.report.unrun import gaps

_EMPTY = {"meta", "link", "img", "br", "hr"}


class Page(HTMLParser):
    """What a browser would have to make of a page: its tags, checked to be closed in order."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.tags, self.ids, self.links, self.stack, self.words = [], [], [], [], []
        self.feed(text)
        self.close()
        assert not self.stack

    def handle_starttag(self, tag, attrs):
        found = dict(attrs)
        self.tags.append((tag, found))
        if tag not in _EMPTY:
            self.stack.append(tag)
        if "id" in found:
            self.ids.append(found["id"])
        self.links += [found[name] for name in ("href", "src") if name in found]

    def handle_endtag(self, tag):
        assert self.stack.pop() == tag

    def handle_data(self, data):
        self.words.append(data)


@pytest.fixture(scope="module")
def held(one_sweep):
    return gather(of_root(one_sweep.path), [], theory=False)


def test_the_page_stands_alone_and_its_contents_lead_somewhere(held, tmp_path):
    text = page(held, tmp_path)
    found = Page(text)
    assert len(found.ids) == len(set(found.ids))
    inside = {link[1:] for link in found.links if link.startswith("#")}
    assert {"table2-demo", "fig10-demo", "rerun", "not-run"} <= inside <= set(found.ids)
    rest = {link.split(",")[0] for link in found.links if not link.startswith("#")}
    assert rest == {"../README.md", "data:", "data:image/png;base64", "data:text/csv;base64"}
    assert "script" not in {tag for tag, _ in found.tags}
    assert not re.search(r"@import|url\(|https?://", text)
    pictures = [attributes for tag, attributes in found.tags if tag == "img"]
    assert len(pictures) == 1 + len(held.drawings)
    assert all(len(picture["alt"]) > 20 for picture in pictures)


def test_the_page_has_each_cell_of_a_table_and_where_it_comes_from(held, tmp_path):
    words = " ".join(Page(page(held, tmp_path)).words)
    assert "-0.75 [-1.39, -0.11]" in words  # ES against Baseline, of test_tables
    assert "CIFAR-100, ResNet-50: controls: not run (no data)" in words
    assert "failed: FloatingPointError: step 96: loss of ids 3, 17" in words
    assert "Commit: 0123456789" in words
    assert "make table2 PRESET=demo" in words


def test_what_a_run_says_is_text_and_never_markup():
    bad = '<script>alert("x")</script> [a](javascript:alert(1)) & <b>'
    section = Section(
        "s", bad, [Grid(bad, ["a", bad], [[bad, bad]]), Lines(bad, [bad]), Prose(bad)]
    )
    found = Page(to_html(bad, [bad], None, None, [section]))
    assert not {"script", "b"} & {tag for tag, _ in found.tags}
    assert not any("javascript" in link for link in found.links)


def test_verdicts_have_a_class_and_columns_of_numbers_stand_at_the_right():
    grid = Grid("", ["what", "n", "verdict"], [
        ["a", "-1.5", "reproduced"], ["b", "-", "not decided"], ["c", "2", "not reproduced"],
    ])  # fmt: skip
    found = Page(to_html("t", [], None, None, [Section("s", "S", [grid])]))
    classes = [attributes.get("class", "") for tag, attributes in found.tags if tag == "td"]
    assert classes == ["right", "yes", "unrun right", "open", "right", "no"]


def test_the_first_screen_compares_with_short_by_seed(held):
    rows = {row[0].split(":")[0]: row for row in held.first.grid.rows}
    # Seeds 0 and 1: ES 59.2 and 59.7, short@ES 58.6 and 59.0: 0.6 and 0.7 points, t(0.975, 1) 12.7.
    assert rows["ES"][4] == "+0.65 [+0.01, +1.29]"
    assert rows["ES"][1:3] == ["59.45 ± 0.35", "35.0"]
    assert rows["Baseline"][2:] == ["", "", ""]
    assert held.first.grid.columns[0] == "Table 2 (demo): CIFAR-10, 2,000 images, small net"
    assert any("decides nothing" in note for note in held.first.notes)


def test_gaps_name_what_runs_them(held):
    missing = gaps(held.tables, held.drawings)
    found = {(gap.item, gap.form): gap for gap in missing}
    assert ("Table 2", "demo") not in found
    assert found["Table 2", "paper"].command == "make table2 PRESET=paper DATA_ROOT=..."
    assert found["Table 2", "paper"].hours == 33
    assert found["Figure 6", "demo"].command == "make fig6 PRESET=demo DATA_ROOT=..."
    part = found["Table 2", "demo: CIFAR-100, ResNet-18"]
    assert part.why == "its data set was not there"


def test_the_commands_write_the_page_and_the_readme(sweep, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("RUNS_ROOT", raising=False)
    monkeypatch.setattr(collection, "FIGURES", {"fig10": FIGURES["fig10"]})  # one is enough
    readme = tmp_path / "README.md"
    readme.write_text("# A\n<!-- results:begin -->\nold\n<!-- results:end -->\nrest\n")
    assert cli.main(["html"]) == 1
    assert "no packs in results" in capsys.readouterr().err
    assert cli.main(["pack", "table2"]) == 0
    assert cli.main(["rebuild"]) == 0
    drawn = {path.name for path in (tmp_path / "results" / "figures").iterdir()}
    assert drawn == {"fig10_demo.csv", "fig10_demo.pdf", "fig10_demo.png"}
    assert cli.main(["readme"]) == 0
    text = readme.read_text()
    assert text.startswith("# A\n<!-- results:begin -->\n| Table 2 (demo)")
    assert text.endswith("\n<!-- results:end -->\nrest\n")
    assert "(results/figures/fig10_demo.png)" in text
    assert "old" not in text
    readme.write_text("nothing to fill")
    assert cli.main(["readme"]) == 1
    assert "README.md: must have <!-- results:begin -->" in capsys.readouterr().err


def test_a_filled_text_is_filled_again_to_the_same():
    text = "a\n<!-- results:begin -->\n<!-- results:end -->\nb"
    once = filled(text, "x", "f")
    assert once == "a\n<!-- results:begin -->\nx\n<!-- results:end -->\nb"
    assert filled(once, "x", "f") == once


def test_a_run_root_gives_every_form_that_it_holds(sweep):
    sweep.add("table2_cifar10_resnet18", "es", 0, config={"recipe.paper": True})
    shelves = of_root(sweep.path)
    forms = {(table.spec.name, table.preset) for table in tables(shelves)}
    assert {("table2", "demo"), ("table2", "paper"), ("table1", "paper")} == forms
    assert {(made.stem) for made in figures(shelves)} == {
        "fig1", "fig8", "fig10_demo", "fig10",
    }  # fmt: skip
