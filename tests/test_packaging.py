"""The sdist builds a wheel, and the wheel brings what the tree has: configs, types, the kit."""

import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def run(*command, cwd, path=None):
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    environment |= {} if path is None else {"PYTHONPATH": str(path)}
    found = subprocess.run(
        [sys.executable, *command],
        cwd=cwd, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert found.returncode == 0, found.stdout + found.stderr
    return found.stdout


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
