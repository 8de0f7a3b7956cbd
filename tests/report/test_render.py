import re
import shutil
import subprocess

import pandas as pd
import pytest

from es_repro.report.catalogue import TABLES, make_sheet
from es_repro.report.cells import resolve
from es_repro.report.document import document
from es_repro.report.folders import read_members, read_runs
from es_repro.report.render import to_csv, to_latex, to_markdown
from es_repro.report.runs import tidy

TEN = "demo/table2_cifar10_resnet18"


def frame(root):
    members = read_members(root.path)
    return tidy(members, read_runs(root.path, {m.run for m in members if m.run}))


def table(root, preset="demo"):
    return make_sheet(TABLES["table2"], frame(root), preset)


def cells(markdown, setting, method):
    """The cells of a method's line under a setting's heading."""
    block = markdown.split(f"## {setting}\n")[1]
    line = next(line for line in block.splitlines() if line.startswith(f"| {method} "))
    return [cell.strip() for cell in line.strip("|").split(" | ")]


def test_markdown_shows_the_numbers_and_their_marks(sweep):
    text = to_markdown(table(sweep))
    first = "CIFAR-10, 2,000 images, small net"
    assert cells(text, first, "ES") == [
        "ES", "59.45 ± 0.35", "2", "-0.75 [-1.39, -0.11]", "31.8", "0.0", "65.0", "35.0",
        "95.4", "0.0", "10", "other recipe",
    ]  # fmt: skip
    assert cells(text, first, "Baseline")[4] == "(80.5 s)"
    assert cells(text, first, "UCB")[1:4] == ["57.10", "1 of 2", "-2.90"]
    assert cells(text, first, "ESWP")[4] == "41.2 [39.8, 43.1] † contended"
    assert cells(text, first, "Order")[4] == "- (other clock)"
    assert cells(text, first, "loss_anneal")[1:3] == ["not run", "-"]
    assert cells(text, "CIFAR-100, ResNet-50", "ES")[1] == "not run (no data)"
    assert cells(text, "CIFAR-100, ResNet-50", "ES")[8] == "81.1"


def test_markdown_tables_are_well_formed(sweep):
    for part in re.findall(r"(?:^\|.*\n)+", to_markdown(table(sweep)), flags=re.MULTILINE):
        assert len({len(re.findall(r"(?<!\\)\|", line)) for line in part.splitlines()}) == 1


def test_a_delta_is_a_number_under_the_papers_recipe(root):
    root.add(
        "table2_cifar10_resnet18", "es", 0, config={"recipe.paper": True},
        summary={"test/accuracy": 0.9525},
    )  # fmt: skip
    text = to_markdown(table(root, "paper"))
    assert cells(text, "CIFAR-10, ResNet-18", "ES")[-1] == "-0.15"
    assert "other recipe" not in text


def test_the_legend_explains_what_occurs_and_only_that(sweep, root):
    whole = " ".join(table(sweep).legend)
    for mark in ("†", "contended", "other clock", "other recipe", "(1-0.31)/(1-0.11)"):
        assert mark in whole
    assert "‡" not in whole
    assert "other task" not in whole


def test_long_reasons_are_cut_in_the_cell_and_whole_in_the_list(root):
    error = "the pipe | and " + "x" * 80
    folder = root.add(TEN, "es", 0, finished=False)
    (folder / "failed.json").write_text(f'{{"type": "ValueError", "error": "{error}"}}')
    text = to_markdown(table(root))
    assert r"failed: ValueError: the pipe \| and xxx" in text
    assert "x" * 80 not in text
    kept, listed = resolve(frame(root))
    assert error in document("T", table(root), kept, listed, ["make table2"])


def test_csv_holds_every_number_of_the_table(sweep, tmp_path):
    (tmp_path / "table.csv").write_text(to_csv(table(sweep)))
    read = pd.read_csv(tmp_path / "table.csv")
    assert len(read) == 39
    es = read[(read["experiment"] == TEN) & (read["row"] == "es")].iloc[0]
    assert es["accuracy"] == pytest.approx(59.45)
    assert es["flops_saved"] == pytest.approx(35.0)


def test_latex_escapes_and_has_as_many_cells_as_columns(sweep):
    text = to_latex(table(sweep), "table2")
    assert text.count("\\begin{tabular}") == text.count("\\bottomrule") == 3
    columns = len(re.search(r"begin\{tabular\}\{(\w+)\}", text)[1])
    rows = [line for line in text.splitlines() if line.endswith(r"\\")]
    assert {len(re.findall(r"(?<!\\)&", row)) + 1 for row in rows} == {columns}
    body = "\n".join(line for line in text.splitlines() if not line.startswith("%"))
    assert r"random\_set" in body
    assert not re.search(r"[±†…%#]|(?<!\\)_", body)


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="needs pdflatex")
def test_latex_compiles(sweep, tmp_path):
    folder = sweep.add(TEN, "short_es", 3, finished=False)
    (folder / "failed.json").write_text('{"type": "E", "error": "50% of a_b & c\\\\d {x} #1 ~^<>"}')
    (tmp_path / "body.tex").write_text(to_latex(table(sweep), "table2"))
    (tmp_path / "main.tex").write_text(
        "\\documentclass{article}\\usepackage{booktabs}\n"
        "\\begin{document}\\input{body}\\end{document}\n"
    )
    command = ["pdflatex", "-halt-on-error", "-interaction=nonstopmode", "main.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, check=False)
    assert done.returncode == 0, done.stdout[-800:]


def test_the_document_ends_with_where_its_numbers_come_from(sweep):
    sweep.add(
        TEN, "ka", 5, config={"dataset.note": "every tenth image"},
        environment={"commit": "fedcba9876543210", "dirty": True},
    )  # fmt: skip
    kept, listed = resolve(frame(sweep))
    text = document(TABLES["table2"].title, table(sweep), kept, listed, ["make table2", "again"])
    tail = text.split("## Provenance")[1]
    assert "Command: `make table2`, then `again`" in tail
    assert "0123456789 (21 runs); fedcba9876 (with local changes) (1 runs)" in tail
    assert "AMD EPYC 7B13, threads: 1, jobs side by side: 1, fp32 (20 runs)" in tail
    assert "Seeds: 0, 1, 5" in tail
    assert "cifar10, subset of 2000, split test, fingerprint 5d41402abc4b. every tenth" in tail
    assert "Runs: 22 finished" in tail


def test_runs_left_out_are_listed_by_row_and_reason(sweep):
    kept, listed = resolve(frame(sweep))
    text = document("T", table(sweep), kept, listed, ["make table2"])
    left_out = text.split("## Runs that are not in the table")[1].split("## Provenance")[0]
    assert f"{TEN}, ucb, seed 1 (`" in left_out
    assert "failed: FloatingPointError: step 96: loss of ids 3, 17" in left_out
    assert "loss_anneal, seeds 0 (`feed000000000000`), 1 (`feed000000000001`): not run" in left_out
    assert "no data" not in left_out


def test_a_document_without_a_finished_run_still_stands(root):
    root.ask(TEN, "es", 0, None)
    kept, listed = resolve(frame(root))
    text = document("T", table(root), kept, listed, ["make table2"])
    assert "Runs: 0 finished" in text
    assert cells(text, "CIFAR-10, 2,000 images, small net", "ES")[1] == "not run (no data)"


def test_clock_and_paired_steps_stand_beside_each_other(root):
    for row, seconds, paired in [
        ("baseline", 100.0, None),
        ("es", 68.5, {"time_saved": 0.315, "low": 0.305, "high": 0.32}),
        ("ucb", 75.0, {"time_saved": 0.29, "low": 0.285, "high": 0.298}),
        ("ka", 90.0, None),
    ]:
        root.add(TEN, row, 0, summary={"time/train_seconds": seconds}, paired=paired)
    lines = [line for line in table(root).legend if line.startswith("Time, ")]
    assert lines == [
        "Time, UCB (CIFAR-10, 2,000 images, small net): clock 25.0%, paired 29.0% [28.5, 29.8]. "
        "FINDING: the clock lies outside the interval of the paired steps.",
        "Time, ES (CIFAR-10, 2,000 images, small net): clock 31.5%, paired 31.5% [30.5, 32.0].",
    ]
