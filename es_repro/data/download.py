"""torchvision's download of CIFAR, made safe for several jobs at once and for offline machines."""

import contextlib
import io
import logging
import shutil
import socket
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from es_repro.data.pickled import Layout

__all__ = ["download"]

logger = logging.getLogger(__name__)

# A connection that says nothing for so long is given up; torchvision itself would wait for ever.
SILENCE_SECONDS = 20.0


def download(name: str, root: Path, layout: Layout) -> None:
    """Fetch the pickled batches into `root`, whole or not at all.

    Every job works in a folder of its own and renames the result into place; where another was
    faster, its result stays.

    Raises:
        OSError: no network, no space, or no permission to write there.
        RuntimeError: what came is not what was published.
    """
    from torchvision.datasets import CIFAR10, CIFAR100  # here, for most runs download nothing

    published = {"cifar10": CIFAR10, "cifar100": CIFAR100}[name]
    logger.info("downloading %s to %s", name, root)
    root.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=f".{name}-", dir=root))
    try:
        with _quiet(), _impatient():
            published(str(draft), download=True)
        _publish(draft / layout.folder, root / layout.folder)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _publish(draft: Path, place: Path) -> None:
    try:
        draft.rename(place)
    except OSError:
        if not place.is_dir():
            raise


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Nothing on stdout, which is for results; a progress bar only where somebody looks at it."""
    bar = sys.stderr if sys.stderr.isatty() else io.StringIO()
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(bar):
        yield


@contextlib.contextmanager
def _impatient() -> Iterator[None]:
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(SILENCE_SECONDS)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)
