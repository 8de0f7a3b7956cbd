import pytest

from es_repro.report.paper import paper_table


@pytest.mark.parametrize(("number", "rows"), [
    (1, 7), (2, 24), (3, 8), (4, 8), (5, 54), (6, 12), (7, 8), (8, 4), (9, 30),
])  # fmt: skip
def test_every_table_is_there_whole(number, rows):
    assert len(paper_table(number)) == rows


def test_table_2_says_what_the_paper_prints():
    table = paper_table(2)
    eswp = table[(table["method"] == "ESWP") & (table["model"] == "ResNet-50")].iloc[0]
    assert (eswp["value"], eswp["delta_signed"], eswp["time_saved_pct"]) == (80.6, -0.5, 31)
    baseline = table[table["method"] == "Baseline"]
    assert list(baseline["value"]) == [95.4, 78.8, 81.1]
    assert baseline["time_saved_pct"].isna().all()
    assert paper_table(8)["printed"].iloc[0] == "78.60"


def test_an_unknown_table_is_named():
    with pytest.raises(ValueError, match="number=10: must be 1 to 9"):
        paper_table(10)
