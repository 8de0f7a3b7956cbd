"""What can be wrong with a data set: it is not here, or a file of it is broken."""

__all__ = ["DataDamaged", "DataNotFound"]


class DataNotFound(FileNotFoundError):
    """The data set is neither under the data root nor to be had; the message says what to set."""


class DataDamaged(ValueError):
    """A file of the data set is truncated or contradicts itself; the message names it."""
