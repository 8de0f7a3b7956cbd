"""Tables 1, 4, 5, 6 and 9 from made-up records with known answers."""

import json
import math

import pytest

from es_repro.report.catalogue import TABLES, make_sheet
from es_repro.report.folders import read_members, read_runs
from es_repro.report.layouts import taxonomy
from es_repro.report.runs import tidy
from es_repro.report.specs import METHODS, experiments
from es_repro.selection import create

STEPS = (1000, 2000)


def frame(root):
    members = read_members(root.path)
    return tidy(members, read_runs(root.path, {m.run for m in members if m.run}))


def sheet(root, name, preset="demo"):
    return make_sheet(TABLES[name], frame(root), preset)


def line(sheet, heading, method, name=""):
    """The cells of a line, by column."""
    (part,) = [part for part in sheet.parts if (part.heading, part.name) == (heading, name)]
    return part.cells[part.cells.iloc[:, 0] == method].iloc[0].to_dict()


# ---------------------------------------------------------------- another metric than accuracy


def cola(root, row, seed, last, best, prefix="demo/", paper=False, task="cola", **summary):
    headline = {"headline": "test/matthews", "test/matthews": last, "test/matthews_best": best}
    root.add(
        f"{prefix}table5_glue_albert_{task}", row, seed, config={"recipe.paper": paper},
        summary=headline | summary,
    )  # fmt: skip


def test_a_table_shows_the_runs_own_headline(root):
    for seed, value in enumerate((0.55, 0.57)):
        root.add(
            "table7_cola_albert", "es", seed, config={"recipe.paper": True},
            summary={"headline": "test/matthews", "test/matthews": value},
        )  # fmt: skip
    cells = line(sheet(root, "table7", "paper"), "CoLA, ALBERT", "ES")
    assert cells["Matthews"] == "56.00 ± 1.41"
    assert (cells["Paper"], cells["Ours - paper"]) == ("56.2", "-0.20")


def test_table_6_compares_the_best_epoch_of_cola_and_the_last_of_cifar(root):
    root.add(
        "table6_cola_albert", "nondif", 0, config={"recipe.paper": True},
        summary={"headline": "test/matthews", "test/matthews": 0.5, "test/matthews_best": 0.58},
    )  # fmt: skip
    root.add("table6_cifar100_resnet50", "nondif", 0, config={"recipe.paper": True},
             summary={"test/accuracy": 0.8, "test/accuracy_best": 0.9})  # fmt: skip
    made = sheet(root, "table6", "paper")
    language = line(made, "CoLA, ALBERT", "Loss + NonDif")
    assert language["Matthews, best epoch"] == "58.00"
    assert language["last epoch"] == "50.00"
    assert language["Ours - paper"] == "+0.40"  # the paper: 57.6
    vision = line(made, "CIFAR-100, ResNet-50", "Loss + NonDif")
    assert (vision["Accuracy"], vision["Ours - paper"]) == ("80.00", "-0.50")
    assert set(made.numbers.columns) >= {"measure", "value", "best"}


def test_the_demo_form_says_which_data_it_runs_on(root):
    root.add("demo/table6_cifar100_resnet50", "es", 0)
    heading = sheet(root, "table6").parts[0].heading
    assert heading.startswith("CIFAR-10 in place of CIFAR-100")
    assert experiments(TABLES["table3"], "paper") == ["table3_imagenet_vitl"]
    assert "demo/table3_imagenet_effnet" in experiments(TABLES["table3"], "demo")
    assert len(experiments(TABLES["table5"], "demo")) == 4


# ---------------------------------------------------------------- Table 5


@pytest.fixture
def glue(root):
    for seed in (0, 1):
        for number, task in enumerate(("cola", "mrpc", "rte", "stsb")):
            seconds = 10.0 * (number + 1)
            cola(root, "baseline", seed, 0.5, 0.6, task=task, **{"time/train_seconds": seconds})
            if (seed, task) != (1, "rte"):
                spent = {"time/train_seconds": seconds * (0.5 if task == "stsb" else 1.0)}
                cola(root, "es", seed, 0.5, 0.62 + 0.04 * seed, task=task, **spent)
    return root


def test_table_5_means_are_of_seeds_that_have_every_task(glue):
    made = sheet(glue, "table5")
    es = line(made, "Best epoch", "ES")
    assert es["CoLA"] == "64.00 ± 2.83"
    assert (es["RTE"], es["Mean"], es["Seeds"]) == ("62.00", "62.00", "1")
    assert es["vs Baseline"] == "+2.00"
    assert line(made, "Last epoch", "ES")["Mean"] == "50.00"
    baseline = line(made, "Best epoch", "Baseline")
    assert (baseline["Mean"], baseline["Time"]) == ("60.00 ± 0.00", "(100 s)")


def test_table_5_adds_up_the_time_of_the_tasks(glue):
    # 10 + 20 + 30 + 40 seconds, of which 20 are saved
    assert line(sheet(glue, "table5"), "Best epoch", "ES")["Time"] == "20.0"


def test_table_5_prints_the_paper_and_differs_from_it_only_under_its_recipe(glue):
    made = sheet(glue, "table5")
    assert line(made, "The paper", "ES")["Mean of 8"] == "83.9"
    assert not any(part.heading == "Ours - paper" for part in made.parts)
    cola(glue, "es", 0, 0.5, 0.6, prefix="", paper=True)
    made = sheet(glue, "table5", "paper")
    differences = line(made, "Ours - paper", "ES")
    assert (differences["CoLA"], differences["SST-2"]) == ("+1.60", "-")  # the paper: 58.4
    assert line(made, "Best epoch", "ES")["Mean"] == "-"


# ---------------------------------------------------------------- Table 4


def test_table_4_joins_the_pre_training_with_its_fine_tuning(root):
    losses = {"headline": "test/loss", "test/loss_best": 0.4}
    for row, loss, seconds, accuracy in (
        ("baseline", 0.42, 7200.0, 0.849), ("eswp_r0.5", 0.43, 3600.0, 0.840),
    ):  # fmt: skip
        root.add(
            "table4_mae_pretrain_vitl", row, 0, config={"recipe.paper": True},
            summary=losses | {"test/loss": loss, "time/train_seconds": seconds},
        )  # fmt: skip
        root.add(
            "table4_mae_finetune_vitl", row, 0, config={"recipe.paper": True},
            summary={"test/accuracy": accuracy},
        )  # fmt: skip
    made = sheet(root, "table4", "paper")
    cells = line(made, made.parts[0].heading, "ESWP, r=0.5")
    assert [cells[key] for key in ("Hours", "Time", "Held-out loss", "Accuracy")] == [
        "1.0", "50.0", "0.4300", "84.00",
    ]  # fmt: skip
    assert (cells["Paper hours"], cells["Paper time"], cells["Paper"]) == ("27.1", "44.7", "84.6")
    assert (cells["vs Baseline"], cells["Ours - paper"]) == ("-0.90", "-0.60")
    assert any("INCONSISTENT" in text for text in made.legend)
    hours = made.numbers[made.numbers["setting"] == "MAE pre-training of ViT-L"]
    assert hours["paper_delta"].isna().all()
    assert line(made, made.parts[0].heading, "InfoBatch")["Accuracy"] == "not run"


def test_each_row_and_seed_fine_tunes_the_encoder_of_its_own_run(root):
    for row in ("baseline", "infobatch"):
        for seed in (0, 1):
            weights = f"/runs/{'ab'[row == 'baseline']}{seed}00000000000000/encoder.safetensors"
            accuracy = 0.5 + 0.1 * seed + 0.1 * (row == "baseline")
            root.add(
                "demo/table4_mae_finetune_vitl", row, seed, config={"model.weights": weights},
                summary={"test/accuracy": accuracy},
            )  # fmt: skip
    made = sheet(root, "table4")
    cells = line(made, made.parts[0].heading, "InfoBatch")
    assert (cells["Accuracy"], cells["Seeds"]) == ("55.00 ± 7.07", "2")
    assert cells["vs Baseline"].startswith("-10.00")


# ---------------------------------------------------------------- Table 9


@pytest.fixture
def maths(root):
    for row, seed, shift in (("baseline", 0, 0.0), ("baseline", 1, 0.02), ("eswp", 0, 0.01)):
        folder = root.add("table9_qwen_sft", row, seed, config={"recipe.paper": True})
        history = [
            {"kind": "epoch", "step": 800, "epoch": 1, "time/train_seconds": 2400.0},
            {"kind": "epoch", "step": 1200, "epoch": 2, "time/train_seconds": 3600.0},
            {"kind": "step", "step": 2000, "epoch": 2, "time/train_seconds": 6000.0},
        ]
        (folder / "history.jsonl").write_text("".join(json.dumps(x) + "\n" for x in history))
        for step in STEPS:
            place = folder / "exports" / f"step-{step}" / "evaluation"
            place.mkdir(parents=True)
            sets = {
                name: {"accuracy": accuracy + shift, "standard_error": 0.03, "problems": 30,
                       "samples": 1}
                for name, accuracy in (("math500", 0.6), ("aime24", 0.1), ("olympiadbench", 0.26))
            }  # fmt: skip
            (place / "results.json").write_text(json.dumps({"sets": sets}))
    return root


def test_table_9_has_a_block_a_checkpoint(maths):
    made = sheet(maths, "table9", "paper")
    assert [part.heading for part in made.parts] == ["After 1,000 steps", "After 2,000 steps"]
    baseline = line(made, "After 1,000 steps", "Baseline")
    assert baseline["Minutes"] == "50.0"  # halfway between 2,400 and 3,600 seconds
    assert baseline["MATH500"] == "61.0 ± 1.4"  # two seeds: their deviation
    assert baseline["Mean"] == "33.0 ± 1.4"
    assert baseline["Ours - paper"] == "+1.40"  # the paper: 31.6
    eswp = line(made, "After 2,000 steps", "ESWP")
    assert (eswp["Minutes"], eswp["AIME24"], eswp["Mean"]) == ("100.0", "11.0 ± 3.0", "33.0")
    assert eswp["Paper: minutes"] == "53.0"


def test_a_run_without_an_evaluation_says_so(root):
    root.add("table9_qwen_sft", "eswp", 0)
    cells = line(sheet(root, "table9", "paper"), "No checkpoint evaluated yet", "ESWP")
    assert (cells["Seeds"], cells["Mean"]) == ("not evaluated", "-")


# ---------------------------------------------------------------- Table 1


def test_table_1_agrees_with_the_paper_in_every_cell():
    made = make_sheet(TABLES["table1"], tidy([], {}), "paper")
    assert len(made.parts[0].cells) == 7
    assert set(made.parts[0].cells["As the paper's"]) == {"yes"}
    eswp = line(made, "", "ESWP")
    assert [eswp[key] for key in ("Set", "Batch", "History", "Differences", "BP samples")] == [
        "✓", "✓", "✓", "✓", "(1 - r) b/B",
    ]  # fmt: skip


def test_table_1_marks_what_differs(monkeypatch):
    monkeypatch.setattr(type(create("ucb", 1, 1)), "uses_history", False)
    cells = line(make_sheet(TABLES["table1"], tidy([], {}), "paper"), "", "UCB")
    assert cells["History"] == "× (paper: ✓)"
    assert cells["As the paper's"] == "no: 1"


@pytest.mark.parametrize(
    ("method", "text"), [("baseline", "1"), ("es", "b/B"), ("eswp", "(1 - r) b/B"), ("ka", "1 - r")]
)
def test_formulas_are_found_by_asking_the_selectors(method, text):
    assert taxonomy.formula(method) == text


def test_every_row_of_the_paper_is_asked_for(root):
    root.add("table3_imagenet_vitl", "es", 0, config={"recipe.paper": True},
             summary={"test/accuracy": 0.85})  # fmt: skip
    made = sheet(root, "table3", "paper")
    assert [str(name) for name in made.parts[0].cells["Method"]] == [row.shown for row in METHODS]
    es = line(made, "ImageNet-1K, ViT-L/16", "ES")
    assert (es["Paper time"], es["Ours - paper"]) == ("26.0", "+0.30")
    assert math.isnan(made.numbers.loc[0, "paper_difference"])
