from es_repro.report.cells import resolve
from es_repro.report.runs import Member, Run, tidy


def run(state="finished", **config):
    summary = {"test/accuracy": 0.5} if state == "finished" else {}
    return Run(state, config={"epochs": 3, "seed": 0} | config, summary=summary)


def resolved(members, runs):
    kept, listed = resolve(tidy([Member("e", *member) for member in members], runs))
    return kept, {(row["seed"], row["run"]): row["reason"] for _, row in listed.iterrows()}


def test_the_newest_of_two_runs_of_a_seed_counts_and_the_other_is_listed():
    members = [("es", 0, "aa"), ("es", 0, "bb")]
    kept, listed = resolved(members, {"aa": run(), "bb": run()})
    assert list(kept["run"]) == ["bb"]
    assert listed == {(0, "aa"): "replaced by a newer run of the same seed"}


def test_asking_again_for_the_older_run_makes_it_the_newest():
    members = [("es", 0, "aa"), ("es", 0, "bb"), ("es", 0, "aa")]
    assert list(resolved(members, {"aa": run(), "bb": run()})[0]["run"]) == ["aa"]


def test_the_newest_configuration_of_a_cell_counts_and_the_difference_is_said():
    members = [("es", 0, "aa"), ("es", 1, "bb"), ("es", 2, "cc"), ("baseline", 0, "dd")]
    runs = {
        "aa": run(dataset={"subset": 2000}), "bb": run(dataset={"subset": 500}, seed=1),
        "cc": run(dataset={"subset": 500}, seed=2), "dd": run(dataset={"subset": 2000}),
    }  # fmt: skip
    kept, listed = resolved(members, runs)
    assert list(kept["run"]) == ["bb", "cc", "dd"]
    assert listed == {(0, "aa"): "another configuration: dataset.subset=2000 (table: 500)"}


def test_another_resolved_precision_is_another_configuration():
    config = {"epochs": 3, "precision": "auto"}
    runs = {
        name: Run("finished", config=config, environment={"precision": precision})
        for name, precision in (("aa", "fp32"), ("bb", "bf16"))
    }
    kept, listed = resolved([("es", 0, "aa"), ("es", 1, "bb")], runs)
    assert list(kept["run"]) == ["bb"]
    assert "resolved precision=fp32 (table: bf16)" in listed[0, "aa"]


def test_a_line_without_data_never_replaces_a_run():
    kept, listed = resolved([("es", 0, "aa"), ("es", 0, None)], {"aa": run()})
    assert list(kept["run"]) == ["aa"]
    assert not listed


def test_unfinished_runs_stay_in_their_cell_and_are_listed():
    runs = {
        "aa": Run("failed", error="ValueError: x", config={"epochs": 3}),
        "bb": Run("running", epochs_done=1, config={"epochs": 3}),
    }
    members = [("es", 0, "aa"), ("es", 1, "bb"), ("es", 2, "cc"), ("es", 3, None)]
    kept, listed = resolved(members, runs)
    assert list(kept["state"]) == ["failed", "running", "missing", "no data"]
    assert listed == {
        (0, "aa"): "failed: ValueError: x", (1, "bb"): "running after 1 of 3 epochs",
        (2, "cc"): "not run",
    }  # fmt: skip


def test_a_finished_run_without_a_result_is_listed():
    odd = Run("finished", config={"epochs": 3}, summary={"test/accuracy": True})
    kept, listed = resolved([("es", 0, "aa"), ("es", 1, "bb")], {"aa": odd, "bb": run()})
    assert list(kept["run"]) == ["aa", "bb"]
    assert listed == {(0, "aa"): "finished, but its summary has no result"}
