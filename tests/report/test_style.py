"""One look for every figure."""

import matplotlib as mpl
from matplotlib.figure import Figure

from es_repro.bench.rigs import known_methods
from es_repro.report.style import look, save, styled


def test_every_method_and_control_has_a_colour_a_marker_and_a_name():
    names = [*known_methods(), "loss_anneal", "short_es", "short_eswp"]
    looks = [look(name) for name in names]
    assert len({(x.colour, x.marker, x.filled) for x in looks}) == len(names)
    assert len({x.name for x in looks}) == len(names)


def test_a_variant_looks_like_its_method():
    variant = look("es_b0.5_0.9")
    assert (variant.colour, variant.marker) == (look("es").colour, look("es").marker)
    assert variant.name == "es_b0.5_0.9"


def test_the_look_holds_inside_alone():
    before = mpl.rcParams["axes.grid"]
    with styled():
        assert mpl.rcParams["axes.grid"] is True
        assert mpl.rcParams["axes.spines.top"] is False
    assert mpl.rcParams["axes.grid"] == before


def test_a_figure_is_written_twice_and_the_same_every_time(tmp_path):
    contents = []
    for name in ("one", "two"):
        with styled():
            figure = Figure()
            figure.subplots().plot([1, 2, 3])
        written = save(figure, tmp_path / name / "line.png")
        assert [path.name for path in written] == ["line.png", "line.pdf"]
        contents.append([path.read_bytes() for path in written])
    assert contents[0] == contents[1]
