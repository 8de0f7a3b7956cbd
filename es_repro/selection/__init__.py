"""Dynamic data selection for any training loop; needs torch alone.

selection = Selection(create("es", len(data), epochs), model, losses_of, data, 128)
for epoch in range(epochs):
    for batch in selection.epoch(epoch):
        selection.loss(batch).backward()
"""

from es_repro.selection.base import EpochPlan, Selector
from es_repro.selection.batches import Indexed, IndexedBatch, IndexedCollate
from es_repro.selection.checks import require
from es_repro.selection.cost import Cost
from es_repro.selection.es import EvolvedSampling
from es_repro.selection.factory import create, selector_class
from es_repro.selection.loop import Selection
from es_repro.selection.losses import PerSampleLoss, per_sample
from es_repro.selection.replay import Replay, Trace
from es_repro.selection.sampler import PlannedBatchSampler
from es_repro.selection.sampling import count, draw
from es_repro.selection.schedule import (
    ProgressScheduler,
    constant,
    one_cycle,
    warmup_cosine,
    warmup_polynomial,
)
from es_repro.selection.streams import stream

__all__ = [
    "Cost",
    "EpochPlan",
    "EvolvedSampling",
    "Indexed",
    "IndexedBatch",
    "IndexedCollate",
    "PerSampleLoss",
    "PlannedBatchSampler",
    "ProgressScheduler",
    "Replay",
    "Selection",
    "Selector",
    "Trace",
    "constant",
    "count",
    "create",
    "draw",
    "one_cycle",
    "per_sample",
    "require",
    "selector_class",
    "stream",
    "warmup_cosine",
    "warmup_polynomial",
]
