"""Is data selection worth it in a training loop? Timed parts of the loop say, before any run.

print(advise(step, loader, num_epochs=30, update=update, restore=[model, optimizer]))
"""

from es_repro.advise.advice import Advice, Parts
from es_repro.advise.advising import advise, advise_loop
from es_repro.advise.loop import Loop
from es_repro.advise.predicting import Estimate, Row
from es_repro.selection.batches import take_rows

__all__ = ["Advice", "Estimate", "Loop", "Parts", "Row", "advise", "advise_loop", "take_rows"]
