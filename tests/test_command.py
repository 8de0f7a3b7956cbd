"""What a command line asks for: which runs, how many, and of which recipe."""

import pytest
from omegaconf import read_write

from es_repro.config import departures
from es_repro.process.progress import count_jobs


def test_what_a_command_may_say_without_leaving_the_recipe():
    swept = {"method.beta1": "0,0.2", "seed": 0}
    stays = ["experiment=x", "method=es", "seed=7", "run.threads=1", "tracker=none"]
    stays += ["method.beta1=0.2", "dataset.download=never", "resume=never"]
    stays += ["model.weights=/a/folder"]
    leaves = [
        "model.weights=null",
        "epochs=3",
        "method.beta1=0.3",
        "subset=500",
        "+task.x=1",
        "model=mlp",
        "row=es",
    ]

    assert departures([*stays, *leaves], swept) == leaves


@pytest.mark.parametrize(
    ("more", "count"),
    [
        ((), 5 * 13),
        (("seed=0", "method=es,loss"), 2),  # what is said on the command line replaces the sweep's
        (("seed=0,1", "epochs=2,3", "subset=500"), 2 * 13 * 2),
    ],
)
def test_a_sweep_knows_how_many_runs_it_has(compose_run, more, count):
    config = compose_run("sweep=demo/digits")
    with read_write(config.hydra):
        config.hydra.overrides.task = ["sweep=demo/digits", *more]

    assert count_jobs(config) == count
