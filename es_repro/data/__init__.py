"""Data sets as tensors, and the loader that keeps them on the device."""

from es_repro.data.base import Data, Loader
from es_repro.data.builders import cifar, digits
from es_repro.data.errors import DataDamaged, DataNotFound
from es_repro.data.images import ImageData, Images
from es_repro.data.resident import ResidentLoader

__all__ = [
    "Data",
    "DataDamaged",
    "DataNotFound",
    "ImageData",
    "Images",
    "Loader",
    "ResidentLoader",
    "cifar",
    "digits",
]
