"""From run records to tables: knows what a run leaves behind and nothing of training.

`runs` and its readers make one tidy frame of records; `tables` and `render` are pure, frame in,
frame or text out; `__main__` is the command line and the one module that writes files.
"""

__all__ = ["ReportError"]


class ReportError(Exception):
    """What a user can mend; the command line prints its one line and exits with 1."""
