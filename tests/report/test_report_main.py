"""The command line, in this process."""

import io
import sys

import pandas as pd
import pytest
from rich.console import Console

from es_repro.report import __main__ as cli
from es_repro.report.catalogue import TABLES, make_sheet
from es_repro.report.terminal import show


@pytest.fixture
def report(tmp_path, monkeypatch, capsys):
    """Run the command line in `tmp_path`; answers (exit code, standard output, standard error)."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("RUNS_ROOT", raising=False)

    def run(*arguments):
        code = cli.main(list(arguments))
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return run


def one_line(result):
    code, out, err = result
    assert code == 1
    assert out == ""
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    return err


def test_tables_writes_and_prints_and_a_missing_setting_is_no_error(sweep, report, tmp_path):
    code, out, _ = report("tables", "table2")
    assert code == 0
    folder = tmp_path / "results" / "tables"
    assert {path.name for path in folder.iterdir()} == {
        "table2_demo.md", "table2_demo.tex", "table2_demo.csv",
    }  # fmt: skip
    assert out.strip() == (folder / "table2_demo.md").read_text().strip()
    assert "make table2 PRESET=demo" in out
    assert str(tmp_path) not in out
    runs = pd.read_parquet(tmp_path / "results" / "runs.parquet")
    assert len(runs) == 3 * 13 * 2


def test_no_name_builds_every_table_that_has_runs(sweep, report, tmp_path):
    sweep.add("demo/digits", "es", 0)
    assert report("tables", "--results", "out")[0] == 0
    names = {path.stem for path in (tmp_path / "out" / "tables").iterdir()}
    assert names == {"table2_demo", "demo"}


def test_a_table_is_rebuilt_from_its_pack(sweep, report, tmp_path):
    report("tables", "table2")
    first = (tmp_path / "results" / "tables" / "table2_demo.csv").read_text()
    code, out, _ = report("pack", "table2")
    assert code == 0
    assert out == "24 runs packed into results/table2_demo/records\n"
    pack = tmp_path / "results" / "table2_demo" / "records"
    code, out, _ = report("tables", "table2", "--runs", str(pack), "--results", "again")
    assert code == 0
    assert (tmp_path / "again" / "tables" / "table2_demo.csv").read_text() == first
    assert "--runs PLACE" in out
    whole = "".join(path.read_text() for path in pack.rglob("*") if path.is_file())
    assert "/home" not in whole
    assert "alice" not in whole
    assert "the pack itself" in one_line(report("pack", "table2", "--runs", str(pack)))


def test_packing_again_keeps_what_the_pack_has(root, report, tmp_path):
    pack = tmp_path / "results" / "demo" / "records"
    first = root.add("demo/digits", "es", 0)
    report("pack", "demo")
    (root.path / "members.jsonl").unlink()
    second = root.add("demo/digits", "es", 1)
    report("pack", "demo")
    lines = (pack / "members.jsonl").read_text().splitlines()
    assert [first.name in lines[0], second.name in lines[1], len(lines)] == [True, True, 2]
    assert (pack / first.name / "summary.json").exists()


def test_wandb_is_read_instead_of_or_beside_the_folders(sweep, report, monkeypatch):
    from es_repro.report.runs import Member, Run

    run = Run("finished", config={"epochs": 1}, summary={"test/accuracy": 0.5})
    member = Member("demo/digits", "es", 0, "aa")
    monkeypatch.setattr(cli, "read_wandb", lambda _: ([member], {"aa": run}))
    code, out, _ = report("tables", "demo", "--wandb", "team/es_repro")
    assert code == 0
    assert "50.00" in out
    assert one_line(report("tables", "table2", "--wandb", "team/es_repro"))
    assert report("tables", "table2", "demo", "--wandb", "team/x", "--runs", "runs")[0] == 0


def test_errors_are_one_line(sweep, report, tmp_path):
    assert "did you mean table2?" in one_line(report("tables", "tabel2"))
    message = one_line(report("tables", "table2", "--preset", "paper"))
    assert "no runs of --preset paper found in runs; there are some of --preset demo" in message
    assert "no runs found in empty" in one_line(report("tables", "--runs", "empty"))
    (tmp_path / "file").write_text("")
    assert "Not a directory" in one_line(report("tables", "--runs", "file"))
    assert "file" in one_line(report("tables", "table2", "--results", "file"))
    assert "run `make demo`" in one_line(report("tables", "demo"))


def test_a_damaged_run_is_listed_and_does_not_stop_the_table(sweep, report):
    folder = sweep.add("demo/table2_cifar10_resnet18", "es", 7)
    (folder / "summary.json").write_text("{")
    code, out, _ = report("tables", "table2")
    assert code == 0
    assert f"es, seed 7 (`{folder.name}`): failed: damaged summary.json" in out


def test_a_terminal_gets_the_same_cells(sweep, report, monkeypatch, capsys):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "200")
    code, out, _ = report("tables", "table2")
    assert code == 0
    assert "-0.75 [-1.39, -0.11]" in out
    assert "not run (no data)" in out
    assert "| ES " not in out


def test_an_error_that_looks_like_markup_is_shown_as_it_is(sweep):
    from es_repro.report.folders import read_members, read_runs
    from es_repro.report.runs import tidy

    folder = sweep.add("demo/table2_cifar10_resnet18", "short_eswp", 9, finished=False)
    (folder / "failed.json").write_text('{"error": "shape [bold] [/red]"}')
    members = read_members(sweep.path)
    runs = tidy(members, read_runs(sweep.path, {m.run for m in members if m.run}))
    out = io.StringIO()
    show("T", make_sheet(TABLES["table2"], runs, "demo"), ["[x]"], Console(file=out, width=200))
    assert "shape [bold] [/red]" in out.getvalue()


def test_help_teaches_by_example(report, capsys):
    with pytest.raises(SystemExit) as ended:
        cli.main(["--help"])
    assert ended.value.code == 0
    assert "python -m es_repro.report tables table2" in capsys.readouterr().out
