"""The sdist builds a wheel, and the wheel brings what the tree has: configs, types, the kit."""

import os
import re
import subprocess
import sys
import tarfile
import tomllib
from pathlib import Path

import pytest
from generators.command_line import commands

from es_repro.extras import missing

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
COMMANDS = ["es_repro.train", *commands(ROOT / "es_repro")]

# What a process finds that has torch and the package alone: all that the suite brings is hidden.
WITHOUT_THE_SUITE = """
import sys

class Hiding:
    finders = list(sys.meta_path)

    def find_spec(self, name, *where):
        if name.partition(".")[0] in HIDDEN:
            return None
        found = (finder.find_spec(name, *where) for finder in self.finders)
        return next((spec for spec in found if spec is not None), None)

sys.meta_path[:] = [Hiding()]
"""
HIDDEN = {
    "accelerate", "hydra", "lightning", "lightning_fabric", "matplotlib", "numpy", "omegaconf",
    "pandas", "pytest", "rich", "scipy", "sklearn", "timm", "torchvision", "transformers", "wandb",
    "yaml",
}  # fmt: skip
OWN_LOOP = """
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from es_repro.advise import advise
from es_repro.selection.conformance import keep
from es_repro.selection.es import EvolvedSampling

x = torch.randn(64, 4, generator=torch.Generator().manual_seed(0))
data, epochs = torch.utils.data.TensorDataset(x, (x[:, 0] > 0).long()), 20
model, device = nn.Linear(4, 2), "cpu"
optimizer = torch.optim.SGD(model.parameters(), 0.1)
"""


def blocks():
    """The README's Python about loops of one's own: the three lines, and the advice."""
    section = (ROOT / "README.md").read_text().partition("## A cheaper loop of your own")[2]
    return re.findall(r"```python\n(.*?)```", section, re.DOTALL)[:2]


def run(*command, cwd, path=None):
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    environment |= {} if path is None else {"PYTHONPATH": str(path)}
    found = subprocess.run(
        [sys.executable, *command],
        cwd=cwd, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert found.returncode == 0, found.stdout + found.stderr
    return found.stdout


def test_the_package_alone_asks_for_torch():
    assert [re.match(r"[\w-]+", name)[0] for name in PROJECT["dependencies"]] == ["torch"]


def test_loops_of_ones_own_run_on_torch_alone(tmp_path):
    three_lines, advice = blocks()
    advice = advice.replace("loader,", "torch.utils.data.DataLoader(data, 2),")
    hidden = WITHOUT_THE_SUITE.replace("HIDDEN", repr(HIDDEN))
    program = f"{hidden}{OWN_LOOP}{three_lines}{advice}keep('picks', EvolvedSampling)\n"
    program += f"print(sorted(sys.modules.keys() & {HIDDEN!r}))"
    printed = run("-c", program, cwd=tmp_path, path=ROOT).splitlines()
    assert "30 rounds on cpu; batches of 2 rows, 64 samples, 30 epochs" in printed[0]
    assert printed[-1] == "[]"


def test_a_trainer_that_is_not_installed_is_named_with_its_extra(tmp_path):
    hidden = WITHOUT_THE_SUITE.replace("HIDDEN", repr({"lightning"}))
    program = f"{hidden}import es_repro.integrations.lightning"
    ended = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ended.stderr.splitlines()[-1] == (
        "ModuleNotFoundError: No module named 'lightning'; this module needs the extra "
        "'lightning': pip install 'es-repro[lightning]'"
    )


def installed(folder, *requirements):
    """A folder in which the package seems to be installed, with these requirements."""
    metadata = folder / "es_repro-9.dist-info" / "METADATA"
    metadata.parent.mkdir()
    lines = ["Metadata-Version: 2.4", "Name: es-repro", "Version: 9"]
    lines += [f"Requires-Dist: {requirement}" for requirement in requirements]
    metadata.write_text("\n".join(lines) + "\n")
    return folder


def test_what_is_missing_of_an_extra(tmp_path, monkeypatch):
    absent, other = "no-such.Thing>=1; extra == 'suite'", "nor-this; extra == 'docs'"
    versions = "nor_that<2,>=1; (python_version > '3') and extra == 'suite'"
    folder = installed(tmp_path, "torch>=2", "torch; extra == 'suite'", absent, other, versions)
    monkeypatch.syspath_prepend(folder)
    assert missing("suite") == ["no-such.Thing", "nor_that"]
    assert missing("docs") == ["nor-this"]
    assert missing("transformers") == []


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_without_its_extra_ends_in_one_line(tmp_path, command):
    installed(tmp_path, *(f"absent-{i}; extra == 'suite'" for i in range(5)))
    ended = subprocess.run(
        [sys.executable, "-m", command, "--help"],
        cwd=tmp_path, env=os.environ | {"PYTHONPATH": f"{tmp_path}:{ROOT}"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ended.returncode == 1
    assert ended.stderr == (
        "error: this command needs the extra 'suite': pip install 'es-repro[suite]' "
        "(not installed: absent-0, absent-1, absent-2 and 2 more)\n"
    )


@pytest.mark.slow
def test_a_wheel_of_the_sdist_serves_in_another_place(tmp_path):
    run("-m", "hatchling", "build", "-t", "sdist", "-d", str(tmp_path), cwd=ROOT)
    (source,) = tmp_path.glob("*.tar.gz")
    with tarfile.open(source) as archive:
        archive.extractall(tmp_path, filter="data")
    unpacked = tmp_path / source.name.removesuffix(".tar.gz")
    run("-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path), cwd=unpacked)
    (wheel,) = tmp_path.glob("*.whl")
    target = tmp_path / "installed"
    install = ("-m", "pip", "install", "--no-deps", "--no-index", "--target", str(target))
    run(*install, str(wheel), cwd=tmp_path)
    assert (target / "es_repro" / "py.typed").is_file()
    tree = {path.relative_to(ROOT / "conf") for path in (ROOT / "conf").rglob("*.yaml")}
    shipped = target / "es_repro" / "conf"
    assert {path.relative_to(shipped) for path in shipped.rglob("*.yaml")} == tree
    place = "import es_repro; print(es_repro.__file__)"
    assert run("-c", place, cwd=tmp_path, path=target).startswith(str(target))
    kit = ("-m", "pytest", "-q", "--pyargs", "es_repro.selection.conformance", "--selector", "es")
    assert "15 passed" in run(*kit, cwd=tmp_path, path=target)
