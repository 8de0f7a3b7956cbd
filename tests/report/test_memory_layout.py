"""Memory by kind of epoch, beside the paper's one number."""

import pandas as pd

from es_repro.report.catalogue import TABLES, make_sheet
from es_repro.report.runs import Member, Run, tidy

NAME = "demo/table3_imagenet_vitl_memory"


def frame(**summaries):
    members = [Member(NAME, row, 0, row) for row in summaries]
    runs = {row: Run("finished", summary=summary) for row, summary in summaries.items()}
    return tidy(members, runs)


def test_selecting_epochs_are_compared_with_the_baseline_s_plain_ones():
    runs = frame(
        baseline={"memory/plain_bytes": 800e6, "memory/plain_activation_bytes": 200e6},
        es={
            "memory/plain_bytes": 810e6, "memory/selecting_bytes": 760e6,
            "memory/plain_activation_bytes": 200e6, "memory/selecting_activation_bytes": 50e6,
        },
    )  # fmt: skip
    sheet = make_sheet(TABLES["memory"], runs, "demo")
    cells = sheet.parts[0].cells.set_index("Method")

    assert list(cells.index) == ["Baseline", "ES", "ESWP"]
    assert cells.loc["ES", "Activations, selecting"] == "50.00"
    assert cells.loc["ES", "Activations, of Baseline"] == "0.250"
    assert cells.loc["ES", "Peak, of Baseline"] == "0.950"
    assert cells.loc["Baseline", "Activations, selecting"] == "-"
    assert cells["Paper"].tolist() == ["52.4 (1.000)", "49.7 (0.948)", "49.1 (0.937)"]
    assert cells.loc["ESWP", "Run"] == "not run"


def test_a_run_that_failed_says_so():
    runs = tidy([Member(NAME, "es", 0, "es")], {"es": Run("failed", error="no space")})
    cells = make_sheet(TABLES["memory"], pd.DataFrame(runs), "demo").parts[0].cells
    assert "no space" in cells.set_index("Method").loc["ES", "Run"]
