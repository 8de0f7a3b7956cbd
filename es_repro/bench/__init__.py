"""Paired measurements: what a step of a method costs beside the baseline's, in one process."""
