"""What tests of a whole run share: a composed config and the command line, both in this process."""

import os
from pathlib import Path

import pytest
import torch
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from es_repro import train
from es_repro.config import config_folder, register_resolvers

torch.set_num_threads(1)
# No test may reach for a network or a user's account.
os.environ["WANDB_MODE"] = "offline"
os.environ["WANDB_ERROR_REPORTING"] = "false"

QUICK = ("epochs=3", "subset=200", "tracker=none", "run.threads=1", "precision=fp32")


def compose_config(*overrides: str) -> DictConfig:
    """A config as a job sees it; Hydra's own part stands behind its resolvers."""
    register_resolvers()
    GlobalHydra.instance().clear()
    with initialize_config_dir(config_folder(), version_base="1.3"):
        config = compose("config", list(overrides), return_hydra_config=True)
    HydraConfig.instance().set_config(config)
    return config


@pytest.fixture
def compose_run():
    """Compose a config from overrides."""
    return compose_config


@pytest.fixture
def quick(tmp_path: Path):
    """Compose a run of a second on digits, recorded below `tmp_path / "runs"`."""

    def make(*overrides: str) -> DictConfig:
        return compose_config(*QUICK, f"run.root={tmp_path / 'runs'}", *overrides)

    return make


@pytest.fixture
def cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]):
    """The command line; answers (exit code, standard output, standard error)."""

    def run(*arguments: str, quick: bool = True) -> tuple[int, str, str]:
        monkeypatch.setenv("RUNS_ROOT", str(tmp_path / "runs"))
        monkeypatch.setenv("DATA_ROOT", str(tmp_path / "data"))
        GlobalHydra.instance().clear()
        flags = [x for x in arguments if x.startswith("-")]
        overrides = [x for x in arguments if x not in flags]
        defaults = QUICK if quick else ()
        monkeypatch.setattr("sys.argv", ["es_repro.train", *flags, *defaults, *overrides])
        with pytest.raises(SystemExit) as ended:
            train.main()
        printed = capfd.readouterr()
        return int(ended.value.code or 0), printed.out, printed.err

    return run
