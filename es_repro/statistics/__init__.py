"""Small-sample statistics of runs: intervals, equivalence, power, Holm, equivalent compute.

Needs numpy and scipy alone and knows nothing of runs, records or methods: arrays in, numbers out.
"""

from es_repro.statistics.contrast import Contrast, contrast, paired, welch
from es_repro.statistics.decision import Decision, Trial, decide, decide_all, trial
from es_repro.statistics.drawing import drawn_means
from es_repro.statistics.gain import Gain, equivalent_gain
from es_repro.statistics.multiple import holm
from es_repro.statistics.planning import (
    Design,
    detectable,
    power,
    resolution,
    seeds_for_power,
    seeds_for_resolution,
)
from es_repro.statistics.two_way import Components, components

__all__ = [
    "Components", "Contrast", "Decision", "Design", "Gain", "Trial", "components", "contrast",
    "decide", "decide_all", "detectable", "drawn_means", "equivalent_gain", "holm", "paired",
    "power", "resolution", "seeds_for_power", "seeds_for_resolution", "trial",
    "welch",
]  # fmt: skip
