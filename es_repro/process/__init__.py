"""The process of a run and its machine: signals, progress, random generators."""
