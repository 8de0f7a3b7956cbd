import json

from es_repro.report.cells import resolve
from es_repro.report.runs import Member, Run, settings, tidy


def test_a_member_is_joined_with_its_run_and_kept_without_one():
    members = [Member("e", "es", 0, "aa"), Member("e", "es", 1, "bb"), Member("e", "es", 2, None)]
    frame = tidy(members, {"aa": Run("finished", summary={"test/accuracy": 0.5})})
    assert list(frame["state"]) == ["finished", "missing", "no data"]
    assert frame["test/accuracy"].iloc[0] == 0.5
    assert frame["test/accuracy"].isna().tolist() == [False, True, True]


def test_a_repeated_line_counts_once_at_its_last_place():
    first, second = Member("e", "es", 0, "aa"), Member("e", "es", 0, "bb")
    frame = tidy([first, second, first], {})
    assert list(frame["run"]) == ["bb", "aa"]
    assert list(frame["order"]) == [1, 2]


def test_settings_hold_what_determines_the_result_and_nothing_else():
    config = {
        "seed": 3, "epochs": 2, "run": {"threads": 1}, "tracker": {"mode": "none"}, "row": "es",
        "recipe": {"paper": True}, "method": {"name": "es", "betas": [0.2, 0.9]},
        "dataset": {"data_root": "/x", "note": "a part", "subset": 10},
    }  # fmt: skip
    assert settings(Run("finished", config=config, environment={"precision": "bf16"})) == {
        "epochs": 2, "method.name": "es", "method.betas": [0.2, 0.9], "dataset.subset": 10,
        "resolved precision": "bf16",
    }  # fmt: skip


def test_a_data_set_without_a_name_is_called_by_its_builder():
    run = Run("finished", config={"dataset": {"_target_": "es_repro.data.digits"}})
    assert tidy([Member("e", "es", 0, "aa")], {"aa": run})["config.dataset.name"][0] == "digits"


def test_values_of_an_odd_type_become_missing():
    run = Run(
        "finished", config={"dataset": {"subset": "half"}, "recipe": {"paper": "yes"}},
        summary={"test/accuracy": "nan?", "loss/curve": [1, 2]}, environment={"threads": None},
    )  # fmt: skip
    frame = tidy([Member("e", "es", 0, "aa")], {"aa": run})
    columns = ["config.dataset.subset", "config.recipe.paper", "test/accuracy", "loss/curve"]
    assert frame[columns].isna().all(axis=None)


def test_a_record_in_percent_is_named_and_left_out():
    runs = {
        "aa": Run("finished", summary={"test/accuracy": 0.5}),
        "bb": Run("finished", summary={"test/accuracy": 76.25, "cost/flops": 1e12}),
        "cc": Run("finished", summary={"test/loss": 2.5, "test/accuracy": 1}),
    }
    members = [Member("e", "es", seed, name) for seed, name in enumerate(runs)]
    frame = tidy(members, runs)

    assert list(frame["state"]) == ["finished", "failed", "finished"]
    kept, listed = resolve(frame)
    assert list(listed["run"]) == ["bb"]
    reason = "failed: test/accuracy=76.25: not a share in [0, 1]; in percent?"
    assert list(listed["reason"]) == [reason]
    assert list(kept[kept["state"] == "finished"]["test/accuracy"]) == [0.5, 1.0]


def test_the_frame_survives_parquet_and_an_empty_one_has_the_columns(tmp_path):
    runs = {"aa": Run("finished", config={"dataset": {"subset": 0.5}}), "bb": Run("interrupted")}
    frame = tidy([Member("e", "es", 0, "aa"), Member("e", "es", 1, "bb")], runs)
    frame.to_parquet(tmp_path / "runs.parquet")
    assert json.loads(frame["settings"].iloc[0]) == {"dataset.subset": 0.5}
    empty = tidy([], {})
    assert empty.empty
    assert set(empty.columns) == set(frame.columns)
