"""The judge: does a selection method work? Many seeds, fair controls: python -m es_repro.judge."""
