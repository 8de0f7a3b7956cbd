"""Which goals are asked of what, and when they count as reached."""

import pytest
from made import loading, planning, results, row

from es_repro.bench.goals import goals


def verdicts(found):
    return {goal.subject.split(": ")[-1]: goal.reached for goal in found}


def test_shares_are_asked_of_scoring_methods_at_a_quarter_and_of_set_level_ones():
    rows = [
        row("baseline", "none", 1.0, None),
        row("es", "batch", 0.6, 0.93),
        row("es", "batch", 0.9, 0.5, batch_ratio=0.5),
        row("eswp", "both", 0.6, 0.91),
        row("ucb", "set", 0.72, 0.96),
        row("random_set", "set", 0.25, 0.98),
        row("random_batch", "batch", 0.3, 0.8, work={"scored": 0}),
    ]
    found = goals(results(steps=rows))
    assert verdicts(found[:-1]) == {
        "net, es": True, "net, eswp": False, "net, ucb": False, "net, random_set": True,
    }  # fmt: skip
    assert found[-1].measured == "0.40%"
    assert found[-1].reached


def test_a_gpu_has_a_goal_of_its_own_and_a_small_net_on_a_cpu_none():
    rows = [row("es", "batch", 0.62, 0.88, baseline_seconds=0.01, selection_share=0.006)]
    on_gpu = results(steps=rows)
    on_gpu["made"]["device"] = "cuda"
    assert [goal.reached for goal in goals(on_gpu)] == [True, False]
    assert goals(results(steps=rows)) == []


def test_planning_is_held_to_multinomial_to_growth_and_to_bytes():
    rows = [
        planning(1_280_000, 0.02, 0.1, 15 * 1_280_000),
        planning(10_000_000, 0.25, 1.0, 480_000_000),
        planning(2**24 + 1, 0.4, None, None),
    ]
    found = goals(results(planning=rows))
    assert [(goal.measured, goal.reached) for goal in found] == [
        ("0.20", True), ("12.5", False), ("48.0 bytes", True), ("0.40 s", True),
    ]  # fmt: skip


@pytest.mark.parametrize(("speedup", "reached"), [(1.29, False), (1.31, True)])
def test_loading_is_held_to_what_each_case_promises(speedup, reached):
    rows = [
        loading(None, 0, 2e5, 20.0),
        loading(None, 2, 2e5, 9.0),
        loading("mlp", 0, 8000, speedup),
        loading("resnet8", 0, 1000, 1.01),
    ]
    assert [goal.reached for goal in goals(results(loader=rows))] == [False, reached, True]
