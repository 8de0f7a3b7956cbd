"""Figures from made-up frames: what is drawn, and what is said where nothing can be."""

import json

import pandas as pd
import pytest
import torch
from matplotlib.figure import Figure

from es_repro.report import ReportError
from es_repro.report import __main__ as cli
from es_repro.report.figures import classes, curves, heatmaps, maths, pretraining, ratios, signal
from es_repro.report.figures.catalogue import FIGURES, drawn
from es_repro.report.figures.source import Source
from es_repro.report.folders import read_members, read_runs
from es_repro.report.runs import tidy
from es_repro.report.style import look

TEN = "table2_cifar10_resnet18"


def source(root, preset="demo"):
    members = read_members(root.path)
    runs = tidy(members, read_runs(root.path, {m.run for m in members if m.run}))
    return Source(runs, root.path, preset)


def history(folder, lines):
    text = "".join(json.dumps({"kind": "epoch", **line}) + "\n" for line in lines)
    (folder / "history.jsonl").write_text(text)


def texts(figure):
    figure.draw_without_rendering()
    return " ".join(
        text.get_text() for text in figure.findobj(match=lambda x: hasattr(x, "get_text"))
    )


# ---------------------------------------------------------------- figures that need no runs


def test_the_signal_s_weights_are_equation_3_1():
    losses = torch.tensor([[1.0, 2.0], [3.0, 0.0]])
    found = signal.weights(losses, 0.2, 0.9)
    # s(0) = 1/2: w(1) = 0.1 + 0.8 l, s(1) = 0.45 + 0.1 l, w(2) = 0.2 s(1) + 0.8 l
    expected = torch.tensor([[0.9, 1.7], [0.11 + 2.4, 0.13]])
    assert torch.allclose(found, expected)


def test_a_larger_beta1_keeps_less_variation():
    frame = signal.frame(((0.0, 0.9), (0.5, 0.9), (0.8, 0.9)))
    last = frame[frame["step"] == signal.STEPS]
    kept = (last["weight_variation"] / last["loss_variation"]).tolist()
    assert kept[0] == pytest.approx(1)
    assert kept == sorted(kept, reverse=True)
    assert len(signal.draw(frame).axes) == 3


# ---------------------------------------------------------------- figures from runs


def test_figure_10_leaves_out_epochs_without_an_evaluation(root):
    for seed in (0, 1):
        folder = root.add(f"demo/{TEN}", "es", seed)
        history(folder, [
            {"step": 8, "epoch": 1, "cost/bp_samples": 100, "time/evaluation_seconds": 0.0},
            {"step": 16, "epoch": 2, "cost/bp_samples": 150, "time/evaluation_seconds": 1.0,
             "test/accuracy": 0.5 + 0.1 * seed},
            {"step": 24, "epoch": 3, "cost/bp_samples": 200, "time/evaluation_seconds": 1.0,
             "test/accuracy": 0.5 + 0.1 * seed},
        ])  # fmt: skip
    frame = curves.frame(source(root))
    assert frame["samples"].tolist() == [150, 150]
    assert frame["accuracy"].tolist() == [50, 60]
    axis = curves.draw(frame).axes[0]
    assert axis.lines[0].get_ydata().tolist() == [55]
    assert axis.get_legend().get_texts()[0].get_text() == "ES (2 seeds)"


@pytest.mark.parametrize("name", ["fig9", "fig10"])
def test_a_history_without_what_is_drawn_is_named(root, name):
    for row in ("baseline", "eswp"):
        history(root.add(f"demo/{TEN}", row, 0), [{"step": 8, "epoch": 2, "train/loss": 1.0}])
    with pytest.raises(ReportError, match=rf"{name}: needs .*; run `make table2 PRESET=demo`"):
        drawn(FIGURES[name], source(root))


def test_figure_9_ranks_classes_at_three_stages(root):
    folder = root.add(f"demo/{TEN}", "eswp", 0)
    lines = [
        {"step": e, "epoch": e, "selection/class_counts": [10 * e, 20, 30]} for e in range(1, 16)
    ]
    history(folder, lines)
    frame = classes.frame(source(root))
    assert frame.groupby("stage", sort=False)["epoch"].first().to_dict() == {
        "early": 2, "halfway": 8, "late": 14,
    }  # fmt: skip
    late = frame[frame["stage"] == "late"]
    assert late["count"].tolist() == [140, 20, 30]
    assert late["rank"].tolist() == [1, 3, 2]
    assert "late: epoch 14 of 15" in texts(classes.draw(frame))


def test_figure_6_reads_the_betas_from_the_configuration(root):
    for beta1, accuracy in ((0.2, 0.7), (0.9, 0.6)):
        root.add(
            "demo/fig6_betas_cifar10_resnet18", f"es_b{beta1}_0.9", 0,
            config={"method.beta1": beta1, "method.beta2": 0.9},
            summary={"test/accuracy": accuracy},
        )  # fmt: skip
    cells = heatmaps.grid(source(root), "fig6", ("fig6_betas_cifar10_resnet18",), "make fig6")
    assert cells[["beta1", "beta2", "mean", "seeds"]].to_numpy().tolist() == [
        [0.2, 0.9, 70.0, 1.0], [0.9, 0.9, 60.0, 1.0],
    ]  # fmt: skip
    words = texts(heatmaps.draw(cells, "T"))
    assert "70.0 ★" in words
    assert "60.0 •" in words


def test_figure_5_puts_points_at_their_cost(root):
    root.add(f"demo/{TEN}", "baseline", 0, summary={"time/train_seconds": 100.0})
    for ratio, seconds in ((0.5, 80.0), (0.0625, 40.0)):
        root.add("demo/fig5_left_vitl_ratio", f"es_f{ratio}", 0,
                 summary={"time/train_seconds": seconds})  # fmt: skip
    frame = ratios.frame(source(root))
    assert set(frame["axis"]) == {"time"}
    costs = frame.set_index("row")["cost"].to_dict()
    assert costs == pytest.approx({"baseline": 1.0, "es_f0.5": 0.8, "es_f0.0625": 0.4})
    words = texts(ratios.draw(frame))
    assert "1/16" in words
    assert "not run" in words  # the other panel


def test_figure_5_counts_flops_where_clocks_do_not_compare(root):
    root.add(f"demo/{TEN}", "baseline", 0)
    root.add("demo/fig5_left_vitl_ratio", "es_f0.5", 0, environment={"device_name": "other"},
             summary={"cost/flops": 0.6e13})  # fmt: skip
    frame = ratios.frame(source(root))
    assert set(frame["axis"]) == {"FLOPs"}
    assert frame.set_index("row").loc["es_f0.5", "cost"] == pytest.approx(0.5)


def test_figure_3_has_losses_by_epoch_and_accuracies_in_brackets(root):
    for row, loss in (("baseline", 0.5), ("eswp_r0.3", 0.6)):
        folder = root.add("table4_mae_pretrain_vitl", row, 0)
        history(folder, [
            {"step": 9, "epoch": e, "test/loss": loss / e, "time/train_seconds": 3600.0 * e}
            for e in (1, 2)
        ][1:])  # fmt: skip
        root.add("table4_mae_finetune_vitl", row, 0, summary={"test/accuracy": 0.8})
    frame = pretraining.frame(source(root, "paper"))
    assert frame["loss"].tolist() == pytest.approx([0.25, 0.3])
    assert frame["hours"].tolist() == [2, 2]
    assert "ESWP, r=0.3 [80.0; paper 84.9]" in texts(pretraining.draw(frame))


def test_figure_4_shows_the_paper_beside_its_own_recipe_alone():
    ours = pd.DataFrame({"row": ["es"], "step": [10], "minutes": [1.0], "mean": [30.0],
                         "sd": [float("nan")], "seeds": [1], "origin": ["ours"],
                         "quantity": ["pass@1"]})  # fmt: skip
    figure = maths.draw(pd.concat([ours, maths._reported()], ignore_index=True))
    words = texts(figure)
    assert "ES (1 seed)" in words
    assert "ESWP, the paper" in words
    assert "4K" in words


# ---------------------------------------------------------------- the command and the style


@pytest.mark.parametrize("name", [name for name, spec in FIGURES.items() if spec.needs_runs])
def test_a_figure_without_runs_says_what_to_run(root, name):
    root.add("demo/digits", "es", 0)
    with pytest.raises(ReportError, match=rf"{name}: needs .*; run `make \w+ PRESET=demo`"):
        drawn(FIGURES[name], source(root))


def test_the_command_writes_the_same_files_twice(root, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for name in ("first", "second"):
        assert cli.main(["figures", "fig1", "--results", name]) == 0
    for suffix in ("png", "pdf"):
        first, second = (tmp_path / x / "figures" / f"fig1.{suffix}" for x in ("first", "second"))
        assert first.read_bytes() == second.read_bytes()
    assert cli.main(["figures", "fig10"]) == 1
    assert cli.main(["figures", "fig11"]) == 1
    assert "did you mean fig1" in capsys.readouterr().err


def test_looks_are_distinct_and_variants_take_their_method_s():
    rows = ["baseline", "ucb", "ka", "infobatch", "loss", "order", "es", "eswp"]
    assert len({look(row).colour for row in rows}) == len({look(row).marker for row in rows}) == 8
    assert look("es_b0.5_0.9").colour == look("es").colour
    assert look("eswp_r0.4").marker == look("eswp").marker
    assert look("unknown_method").name == "unknown_method"
    assert look("random_set").face == "white"


def test_drawn_takes_the_project_s_style(root):
    root.add("demo/digits", "es", 0)
    figure = drawn(FIGURES["fig1"], source(root))
    assert isinstance(figure, Figure)
    assert not figure.axes[0].spines["top"].get_visible()
