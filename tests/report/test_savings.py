import pytest

from es_repro.report.runs import Member, Run, tidy
from es_repro.report.savings import cost_saved, time_saved

MACHINE = {
    "device": "cpu", "device_name": "EPYC", "threads": 1, "jobs_side_by_side": 1,
    "precision": "fp32", "compile": False, "torch": "2.12.1", "es_repro": "0.1.0", "commit": "a",
}  # fmt: skip


def cell(*seconds, contended=False, paired=None, **machine):
    runs = {
        str(seed): Run(
            "finished", summary={"time/train_seconds": value, "time/contended": contended},
            environment=MACHINE | machine, paired=paired or {},
        )
        for seed, value in enumerate(seconds)
    }  # fmt: skip
    return tidy([Member("e", "es", int(name), name) for name in runs], runs)


def test_time_saved_is_one_minus_the_ratio_of_mean_seconds():
    saving = time_saved(cell(60.0, 70.0), cell(100.0, 100.0))
    assert saving.value == pytest.approx(35.0)
    assert saving.origin == "clocks"


@pytest.mark.parametrize(
    "change",
    [
        {"device_name": "Xeon"}, {"threads": 2}, {"jobs_side_by_side": 2}, {"precision": "bf16"},
        {"torch": "2.13"}, {"es_repro": "0.2"}, {"compile": True}, {"device": "cuda"},
    ],
)  # fmt: skip
def test_clocks_compare_only_where_everything_they_depend_on_agrees(change):
    saving = time_saved(cell(60.0, **change), cell(100.0))
    assert (saving.value, saving.origin) == (None, "other clock")


def test_another_commit_is_no_obstacle():
    assert time_saved(cell(60.0, commit="b"), cell(100.0)).value == pytest.approx(40.0)


@pytest.mark.parametrize("both", [True, False])
def test_a_contended_clock_is_replaced_by_the_paired_measurement(both):
    paired = {"time_saved": 0.31, "low": 0.28, "high": 0.35}
    contended = cell(10.0, contended=both, paired=paired)
    saving = time_saved(contended, cell(100.0, contended=True))
    assert saving.origin == "paired"
    assert [saving.value, saving.low, saving.high] == pytest.approx([31.0, 28.0, 35.0])


def test_a_contended_clock_alone_says_nothing():
    saving = time_saved(cell(60.0, contended=True), cell(100.0))
    assert (saving.value, saving.origin) == (None, "contended")
    assert time_saved(cell(60.0), cell()).origin == "no baseline"
    assert time_saved(cell(None), cell(100.0)).origin == "no clock"


def test_cost_saved_compares_means_and_knows_nothing_without_both():
    def costs(*values):
        runs = {str(v): Run("finished", summary={"cost/flops": v}) for v in values}
        return tidy([Member("e", "es", 0, name) for name in runs], runs)

    assert cost_saved(costs(2, 4), costs(6), "cost/flops") == pytest.approx(50.0)
    assert cost_saved(costs(8), costs(4), "cost/flops") == pytest.approx(-100.0)
    assert cost_saved(costs(2), costs(), "cost/flops") is None
    assert cost_saved(costs(2), costs(0), "cost/flops") is None


PAIRED = {"time_saved": 0.31, "low": 0.28, "high": 0.35}


@pytest.mark.parametrize(("seconds", "agrees"), [(70.0, True), (72.0, True), (60.0, False)])
def test_a_paired_measurement_beside_comparable_clocks_checks_them(seconds, agrees):
    saving = time_saved(cell(seconds, paired=PAIRED), cell(100.0))
    assert (saving.value, saving.origin) == (pytest.approx(100 - seconds), "clocks")
    assert saving.check is not None
    assert [saving.check.value, saving.check.low, saving.check.high] == pytest.approx([31, 28, 35])
    assert saving.agrees is agrees


def test_one_of_the_two_alone_can_neither_agree_nor_disagree():
    assert time_saved(cell(60.0), cell(100.0)).agrees is None
    assert time_saved(cell(60.0, contended=True, paired=PAIRED), cell(100.0)).agrees is None
    no_interval = {"time_saved": 0.31}
    assert time_saved(cell(60.0, paired=no_interval), cell(100.0)).agrees is None
