"""What a finished run leaves beside its numbers: weights to go on from, pictures."""

from collections.abc import Callable, Iterable, Mapping

import torch
from torch import nn

from es_repro.engine import Engine
from es_repro.process.generators import isolated_generators
from es_repro.record import Record
from es_repro.rows import Inputs

__all__ = ["Artifact", "leave_artifacts"]

Artifact = Callable[[nn.Module, Inputs], Mapping[str, bytes]]
"""(bare model in eval mode, first rows of the evaluation split) -> files by name."""


def leave_artifacts(artifacts: Iterable[Artifact], engine: Engine, record: Record) -> None:
    """Make each artifact of the trained model and keep its files in the run's folder.

    Made anew, the same, when a run that was killed before its end is taken up again.
    """
    rows = engine.loader.evaluation(engine.settings.meta_batch_size)
    inputs = None
    engine.net.eval()
    for make in artifacts:
        inputs = next(iter(rows))[0] if inputs is None else inputs
        with torch.no_grad(), isolated_generators(engine.fabric.device), engine.fabric.autocast():
            files = make(engine.net, inputs)
        for name, content in files.items():
            record.keep(name, content)
    engine.net.train()
