"""From names to selectors, what Table 1 says of them, and what they cost."""

import pytest

from es_repro.selection import EvolvedSampling, Selector, create, selector_class

METHODS = (
    "baseline", "loss", "order", "infobatch", "ka", "ucb", "es", "eswp", "orderdp", "random",
)  # fmt: skip


@pytest.mark.parametrize("name", METHODS)
def test_every_method_is_found_by_its_name(name):
    method = selector_class(name)
    assert issubclass(method, Selector)
    assert method.method_name() == name
    assert isinstance(create(name, 10, 5), method)


@pytest.mark.parametrize("name", ["esw", "base", "sampling", "", "../es", "ES", None])
def test_an_unknown_method_is_named_with_those_that_there_are(name):
    with pytest.raises(ValueError, match=rf"one of {', '.join(sorted(METHODS))}") as error:
        create(name, 10, 5)
    assert str(error.value).startswith(f"method={name!r}: must be a method")
    assert "\n" not in str(error.value)


def test_what_was_probably_meant_is_said():
    with pytest.raises(ValueError, match=r"\(did you mean 'eswp'\?\)$"):
        create("esw", 10, 5)
    with pytest.raises(ValueError, match=r"^batch_ration=0.5: .*\(did you mean 'batch_ratio'\?\)$"):
        create("es", 10, 5, batch_ration=0.5)


@pytest.mark.parametrize("name", ["batch_ratio", "prune_ratio", "beta", "replacement", "two_pass"])
def test_the_baseline_has_no_hyper_parameters_but_one(name):
    message = rf"^{name}=0.5: must be a hyper-parameter of baseline, one of nonfinite$"
    with pytest.raises(ValueError, match=message):
        create("baseline", 10, 5, **{name: 0.5})


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("es", {"batch_ratio": 0}, r"^batch_ratio=0: must be in \(0, 1\]$"),
        ("es", {"batch_ratio": 1.5}, r"^batch_ratio=1.5: must be in \(0, 1\]$"),
        ("es", {"batch_ratio": "0.5"}, r"^batch_ratio='0.5': must be in \(0, 1\]$"),
        ("es", {"beta1": -0.1}, r"^beta1=-0.1: must be in \[0, 1\]$"),
        ("es", {"beta2": float("nan")}, r"^beta2=nan: must be in \[0, 1\]$"),
        ("es", {"annealing_end": 2}, r"^annealing_end=2: must be in \[0, 1\]$"),
        ("es", {"annealing_rounding": "up"}, r"^annealing_rounding='up': must be 'half_up' or"),
        ("es", {"bias_correction": 1}, r"^bias_correction=1: must be true or false$"),
        ("eswp", {"prune_ratio": 1}, r"^prune_ratio=1: must be in \[0, 1\)$"),
        ("eswp", {"unseen_weight": "zero"}, r"^unseen_weight='zero': must be 'mean' or 'literal'$"),
        ("infobatch", {"prune_ratio": 0.95}, r"^prune_ratio=0.95: must be in \[0, 0.9\]$"),
        ("infobatch", {"delta": 1.1}, r"^delta=1.1: must be in \[0, 1\]$"),
        ("infobatch", {"exact_rescale": None}, r"^exact_rescale=None: must be true or false$"),
        ("loss", {"negative": "drop"}, r"^negative='drop': must be 'clamp' or 'error'$"),
        ("order", {"batch_ratio": True}, r"^batch_ratio=True: must be in \(0, 1\]$"),
        ("random", {"redraw": "never"}, r"^redraw='never': must be 'epoch' or 'cycle'$"),
        ("random", {"prune_ratio": 1.0}, r"^prune_ratio=1.0: must be in \[0, 1\)$"),
    ],
)
def test_bad_values_are_named_in_one_line(name, options, message):
    with pytest.raises(ValueError, match=message):
        create(name, 10, 5, **options)


@pytest.mark.parametrize(
    ("name", "level", "history", "differences", "fraction"),
    [
        ("baseline", "none", False, False, 1.0),
        ("ucb", "set", True, False, 0.7),
        ("ka", "set", False, False, 0.7),
        ("infobatch", "set", False, False, 0.5),
        ("loss", "batch", False, False, 0.25),
        ("order", "batch", False, False, 0.25),
        ("es", "batch", True, True, 0.25),
        ("eswp", "both", True, True, 0.2),
        ("random", "set", False, False, 0.8),
        ("orderdp", "set", False, False, 0.6),
    ],
)
def test_table_1(name, level, history, differences, fraction):
    method = selector_class(name)
    assert (method.level, method.uses_history, method.uses_differences) == (
        level,
        history,
        differences,
    )
    assert method.bp_fraction() == pytest.approx(fraction)


def test_fractions_follow_the_hyper_parameters():
    assert selector_class("eswp").bp_fraction(prune_ratio=0.5, batch_ratio=0.5) == 0.25
    assert selector_class("random").bp_fraction(batch_ratio=0.125) == 0.125
    with pytest.raises(ValueError, match=r"^batch_ratio=0.5: must be a hyper-parameter of ucb"):
        selector_class("ucb").bp_fraction(batch_ratio=0.5)


@pytest.mark.parametrize(
    ("name", "epochs", "options", "factor"),
    [
        ("baseline", 200, {}, 1.0),
        ("loss", 200, {}, 0.583333),
        ("order", 200, {"batch_ratio": 0.5}, 0.833333),
        ("loss", 200, {"batch_ratio": 1}, 1.0),
        ("es", 200, {}, 0.625),
        ("es", 200, {"batch_ratio": 0.5}, 0.85),
        ("es", 200, {"batch_ratio": 1 / 16, "annealing_start": 0, "annealing_end": 0}, 0.395833),
        ("es", 10, {}, 0.2 + 0.8 * 0.583333),
        ("eswp", 200, {}, 0.52),
        ("eswp", 200, {"batch_ratio": 1, "prune_ratio": 0.3}, 0.73),
        ("eswp", 200, {"prune_ratio": 0.5, "batch_ratio": 0.125}, 0.30625),
        ("infobatch", 200, {}, 0.69375),
        ("ka", 200, {}, 0.852),
        ("ka", 200, {"refresh": False}, 0.778),
        ("ka", 200, {"fraction_milestones": [], "fraction_factors": [1]}, 0.8),
        ("ucb", 200, {}, 1 - 0.3 * 199 / 200),
        ("random", 200, {}, 0.82),
        ("random", 200, {"batch_ratio": 0.25}, 0.325),
    ],
)
def test_the_cost_model(name, epochs, options, factor):
    cost = selector_class(name).expected_cost(epochs, **options)
    assert cost.factor == pytest.approx(factor, abs=1e-6)


def test_scoring_and_training_are_counted_apart():
    """es, n = 1000, B = 100, f = 0.25, one selecting epoch: forward 1250, back-propagated 250."""
    cost = selector_class("es").expected_cost(1)
    assert 1000 * (cost.forward_only + cost.back_propagated) == 1250
    assert 1000 * cost.back_propagated == 250
    pruned = selector_class("eswp").expected_cost(1)
    assert 1000 * (pruned.forward_only + pruned.back_propagated) == pytest.approx(1000)
    assert 1000 * pruned.back_propagated == pytest.approx(200)


def test_es_is_public_by_name():
    assert selector_class("es") is EvolvedSampling
