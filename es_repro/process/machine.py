"""What a run ran on, and whether it had the machine to itself."""

import contextlib
import os
import platform
import subprocess
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Literal

import psutil
import torch

import es_repro

__all__ = ["PeakMemory", "Strangers", "environment", "resolve_device", "resolve_precision"]

Precision = Literal["fp32", "bf16"]

# What a clock or a result may depend on; keys, tokens and paths of the environment never enter.
PACKAGES = ("numpy", "timm", "torchvision", "lightning-fabric", "hydra-core", "scikit-learn")


def resolve_device(name: str) -> torch.device:
    """`auto`, `cpu` or `cuda` as a device that exists here.

    Raises:
        ValueError: another name, or `cuda` where there is none.
    """
    if name not in ("auto", "cpu", "cuda"):
        raise ValueError(f"device={name}: must be auto, cpu or cuda")
    if name == "cuda" and not torch.cuda.is_available():
        raise ValueError("device=cuda: no CUDA device is usable here; use device=cpu or auto")
    wanted = "cuda" if name == "auto" and torch.cuda.is_available() else name
    return torch.device("cuda" if wanted == "cuda" else "cpu")


def resolve_precision(name: str, device: torch.device) -> Precision:
    """`auto`, `fp32` or `bf16` as what this device computes well.

    On a CPU without AMX or AVX512-BF16, bf16 is emulated and up to sixty times slower than fp32.

    Raises:
        ValueError: another name.
    """
    if name not in ("auto", "fp32", "bf16"):
        raise ValueError(f"precision={name}: must be auto, fp32 or bf16")
    if name != "auto":
        return "bf16" if name == "bf16" else "fp32"
    if device.type == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp32"
    able = torch.cpu.get_capabilities()
    return "bf16" if able.get("amx_bf16") or able.get("avx512_bf16") else "fp32"


def environment(
    device: torch.device, precision: str, compiled: bool = False, world_size: int = 1
) -> dict[str, Any]:
    """Everything a reader needs to know whether two clocks can be compared."""
    commit, dirty = _commit()
    many = f"{world_size} ranks of " if world_size > 1 else ""
    return {
        "device": device.type,
        "device_name": many + _device_name(device),
        "threads": torch.get_num_threads(),
        "jobs_side_by_side": 1,
        "precision": precision,
        "compile": compiled,
        "torch": torch.__version__,
        "python": platform.python_version(),
        "es_repro": es_repro.__version__,
        "commit": commit,
        "dirty": dirty,
        "packages": {name: _version(name) for name in PACKAGES},
    }


def _device_name(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return f"{names[0]}, {os.cpu_count()} cores" if names else platform.machine()


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _commit() -> tuple[str | None, bool | None]:
    here = Path(__file__).parents[1]  # es_repro
    try:
        top, head, changes = (
            subprocess.run(
                ["git", *words], cwd=here, capture_output=True, text=True, check=True, timeout=10
            ).stdout.strip()
            for words in (
                ("rev-parse", "--show-toplevel"),
                ("rev-parse", "HEAD"),
                ("status", "--porcelain", "--untracked-files=no"),
            )
        )
    except (OSError, subprocess.SubprocessError):
        return None, None
    if Path(top) != here.parent:  # installed below somebody else's repository
        return None, None
    return head, bool(changes)


class PeakMemory:
    """Peak memory of one run, or of a part of it, in a process that may do many.

    `ru_maxrss` is a process's peak for ever; Linux resets the high-water mark on request.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self.reset()

    def reset(self) -> None:
        """Forget what was needed until now; what is held now counts."""
        if self._device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(self._device)
            return
        with contextlib.suppress(OSError):
            Path("/proc/self/clear_refs").write_text("5")

    def read(self) -> int | None:
        """Peak bytes since the last reset: allocated on CUDA, else resident; None if unknown."""
        if self._device.type == "cuda":
            return torch.cuda.max_memory_allocated(self._device)
        try:
            lines = Path("/proc/self/status").read_text().splitlines()
        except OSError:
            return None
        return next((int(x.split()[1]) * 1024 for x in lines if x.startswith("VmHWM")), None)


class Strangers:
    """How many cores others kept busy, on average, since construction.

    A clock is only as good as the quiet around it; this sees neighbours that hold no lease too.
    """

    def __init__(self) -> None:
        self._start = self._now()

    @staticmethod
    def _now() -> tuple[float, float, float]:
        machine = psutil.cpu_times()
        busy = sum(machine) - machine.idle - getattr(machine, "iowait", 0.0)
        # `guest` is contained in `user` already.
        busy -= getattr(machine, "guest", 0.0) + getattr(machine, "guest_nice", 0.0)
        own = psutil.Process().cpu_times()
        mine = own.user + own.system + own.children_user + own.children_system
        return time.perf_counter(), busy, mine

    def cores(self, ranks_here: int = 1) -> float:
        """Busy cores that were not ours, >= 0; other ranks on this host are taken to work alike."""
        wall, busy, mine = (now - then for now, then in zip(self._now(), self._start, strict=True))
        return max(0.0, (busy - ranks_here * mine) / wall) if wall > 0 else 0.0
