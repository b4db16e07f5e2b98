"""Galleries in memory. The only package that imports FAISS; it knows no store and no snapshots.

A gallery is a sealed segment of any index type, made by ``train_and_add`` in a process of its own
and read by ``read_sealed``, and a growing one beside it. Rows are FAISS's own positions.
"""

from serve_app.index.gallery.device import (
    FaissDevice,
    choose_device,
    set_faiss_threads,
    to_device,
)
from serve_app.index.gallery.index import GalleryIndex
from serve_app.index.gallery.kinds import (
    check_index_type,
    extended,
    least_templates,
    train_and_add,
)
from serve_app.index.gallery.labels import LabelColumn
from serve_app.index.gallery.sealing import read_sealed, write_sealed
from serve_app.index.gallery.segment import Segment

__all__ = [
    "FaissDevice",
    "GalleryIndex",
    "LabelColumn",
    "Segment",
    "check_index_type",
    "choose_device",
    "extended",
    "least_templates",
    "read_sealed",
    "set_faiss_threads",
    "to_device",
    "train_and_add",
    "write_sealed",
]
