"""Verdicts: every empirical claim of the paper, decided by rules from the records.

`ledger(frame)` is the whole of it as a frame; `make verdicts` writes it.
"""

from es_repro.report.verdicts.ledger import COLUMNS, COMPUTED, VERDICTS, ledger

__all__ = ["COLUMNS", "COMPUTED", "VERDICTS", "ledger"]
