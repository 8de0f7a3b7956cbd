"""The document and the picture, from made-up results."""

import pytest
from made import estimate, loading, planning, results, row, work

from es_repro.bench.chart import chart, shares_of_epoch
from es_repro.bench.document import document

KA = row(
    "ka", "set", 0.83, 0.85, work=work(planned=700, refreshed=300), refresh_seconds=0.03,
    phases={"data": 0.001, "scoring": 0.0, "selection": 0.0, "training": 0.098, "other": 0.001},
)  # fmt: skip


def everything():
    return results(
        steps=[row("baseline", "none", 1.0, None), row("es", "batch", 0.6, 0.96), KA],
        planning=[planning(1_280_000, 0.02, 0.1, 15 * 1_280_000), planning(2**25, 0.9, None, None)],
        draw=[
            {
                "meta_batch_size": 128, "seconds": 8e-5, "multinomial_seconds": 1e-4,
                "ratio": estimate(0.8),
            }
        ],
        loader=[loading(None, 2, 2e5, 20.0)],
    )  # fmt: skip


def cells(text, start):
    line = next(line for line in text.splitlines() if line.startswith(f"| {start}"))
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_the_document_says_it_all():
    text = document(everything())
    first, second = text.split("### Where the time goes")
    assert cells(first, "ES ") == [
        "ES", "0.25", "0.0%", "1.000", "0.600", "0.600 [0.590, 0.610]", "0.583",
        "0.960 [0.950, 0.970]", "86.4% [85.4%, 87.4%]",
    ]  # fmt: skip
    assert cells(first, "Baseline ")[-2:] == ["-", "-"]
    assert cells(first, "KA ")[1:4] == ["1", "30.0%", "0.700"]
    assert cells(second, "ES ")[3:10] == ["60", "1", "30", "28", "0.6", "400", "0.40%"]
    assert (text.count(" yes |"), text.count("**no**")) == (5, 1)
    assert "ratios 0.948 and 0.937" in text
    assert "1,280,000" in text
    assert "Contended" not in text


def test_what_was_contended_is_marked():
    made = everything()
    made["made"]["sections"]["steps"] = {"foreign_cores": 1.2, "contended": True}
    assert "**Contended**: others kept 1.2 cores busy" in document(made)


def test_the_parts_of_a_bar_add_up_to_the_measured_ratio():
    # Per baseline epoch of 10 * 0.1 + 0.01 s: 7 steps of 0.1 s, 3 refreshes of 0.03 s, 0.02 s.
    parts = shares_of_epoch(KA)
    assert sum(parts.values()) == pytest.approx(0.83)
    whole = 7 * 0.1 + 3 * 0.03 + 0.02
    assert parts["training"] == pytest.approx(0.83 * 7 * 0.098 / whole)
    assert parts["re-scoring"] == pytest.approx(0.83 * 0.09 / whole)
    assert parts["planning"] == pytest.approx(0.83 * 0.02 / whole)


def test_the_picture_has_a_bar_for_each_row_and_a_mark_at_its_ideal():
    figure = chart(everything())
    (axes,) = figure.axes
    assert [label.get_text() for label in axes.get_yticklabels()] == [
        "Baseline",
        "ES, b/B = 0.25",
        "KA",
    ]
    assert [line.get_xdata()[0] for line in axes.lines if len(set(line.get_xdata())) == 1].count(
        0.583
    ) == 2 * 3
    texts = [text.get_text() for text in axes.texts]
    assert texts[-4:] == ["0.830", "85%", "epoch", "realised"]
