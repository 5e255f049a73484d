"""Segment satellite and aerial images without ground truth.

The names below are the whole public API; each loads its module when first used, so that
``import clusternet`` is instant. The README shows them in ten lines.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from clusternet.classes import assign_classes
    from clusternet.errors import ClusterNetError
    from clusternet.evaluation import evaluate
    from clusternet.map_outputs import MapOptions
    from clusternet.prediction import predict_raster, predict_rasters
    from clusternet.predictor import Predictor, load
    from clusternet.raster.vectors import rasterize_labels
    from clusternet.settings import TilingSettings, TrainingSettings
    from clusternet.tiling import tile_rasters
    from clusternet.training import train

__version__ = "0.1.0"

_HOMES = {
    "ClusterNetError": "errors",
    "MapOptions": "map_outputs",
    "Predictor": "predictor",
    "TilingSettings": "settings",
    "TrainingSettings": "settings",
    "assign_classes": "classes",
    "evaluate": "evaluation",
    "load": "predictor",
    "predict_raster": "prediction",
    "predict_rasters": "prediction",
    "rasterize_labels": "raster.vectors",
    "tile_rasters": "tiling",
    "train": "training",
}

__all__ = [
    "ClusterNetError",
    "MapOptions",
    "Predictor",
    "TilingSettings",
    "TrainingSettings",
    "assign_classes",
    "evaluate",
    "load",
    "predict_raster",
    "predict_rasters",
    "rasterize_labels",
    "tile_rasters",
    "train",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'clusternet' has no attribute {name!r}")
    return getattr(import_module(f"clusternet.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
