"""Data sets, and their loaders: from tensors on the device, or streamed from files."""

from es_repro.data.base import Data, Loader
from es_repro.data.builders import cifar, digits
from es_repro.data.conversations import Conversations
from es_repro.data.errors import DataDamaged, DataNotFound
from es_repro.data.glue import glue
from es_repro.data.imagenet import streamed_images
from es_repro.data.images import ImageData, Images
from es_repro.data.maths import gsm8k, numinamath
from es_repro.data.resident import ResidentLoader
from es_repro.data.sequences import Sequences, TokenData, pack
from es_repro.data.streamed import StreamedData, StreamedLoader
from es_repro.data.token_loader import TokenLoader

__all__ = [
    "Conversations",
    "Data",
    "DataDamaged",
    "DataNotFound",
    "ImageData",
    "Images",
    "Loader",
    "ResidentLoader",
    "Sequences",
    "StreamedData",
    "StreamedLoader",
    "TokenData",
    "TokenLoader",
    "cifar",
    "digits",
    "glue",
    "gsm8k",
    "numinamath",
    "pack",
    "streamed_images",
]
