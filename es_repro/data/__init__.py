"""Data sets, and their loaders: from tensors on the device, or streamed from files."""

from es_repro.data.base import Data, Loader
from es_repro.data.builders import cifar, digits
from es_repro.data.errors import DataDamaged, DataNotFound
from es_repro.data.imagenet import streamed_images
from es_repro.data.images import ImageData, Images
from es_repro.data.resident import ResidentLoader
from es_repro.data.streamed import StreamedData, StreamedLoader

__all__ = [
    "Data",
    "DataDamaged",
    "DataNotFound",
    "ImageData",
    "Images",
    "Loader",
    "ResidentLoader",
    "StreamedData",
    "StreamedLoader",
    "cifar",
    "digits",
    "streamed_images",
]
