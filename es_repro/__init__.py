"""Dynamic data selection for deep learning: reproduce, measure and use Evolved Sampling."""

__all__ = ["__version__"]

__version__ = "0.1.0"
