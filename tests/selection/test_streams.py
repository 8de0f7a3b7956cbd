import pytest
import torch

from es_repro.selection import stream


def numbers(*key):
    return torch.rand(4, generator=stream(*key)).tolist()


def test_a_key_names_one_stream():
    assert numbers(0, "plan", 3) == numbers(0, "plan", 3)
    keys = [(0, "plan", 3), (1, "plan", 3), (0, "order", 3), (0, "plan", 4), (3, "plan", 0)]
    assert len({tuple(numbers(*key)) for key in keys}) == len(keys)


def test_the_streams_are_the_same_on_every_machine_and_release():
    """Pinned: a changed key would silently change every run."""
    assert stream(0, "select", 0).initial_seed() == PINNED


PINNED = 5932951260026462443


def test_global_generators_are_left_alone():
    before = torch.get_rng_state()
    numbers(0, "plan", 3)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("seed", [0.5, "1", True, None])
def test_a_seed_is_an_integer(seed):
    with pytest.raises(ValueError, match=r"^seed=.*: must be an integer$"):
        stream(seed, "plan", 0)
