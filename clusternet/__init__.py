"""Segment satellite and aerial images without ground truth.

The names below are the whole public API; each loads its module when first used, so that
``import clusternet`` is instant. The README shows them in ten lines.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from clusternet.areas.accuracy import assess_areas
    from clusternet.areas.sample import SampleOptions
    from clusternet.areas.sampling import sample_points
    from clusternet.classes.assign import ClassOptions, assign_classes
    from clusternet.errors import ClusterNetError
    from clusternet.evaluation.evaluate import evaluate
    from clusternet.fine_tuning.tune import fine_tune
    from clusternet.labels.rasterization import rasterize_labels
    from clusternet.prediction.map_outputs import MapOptions
    from clusternet.prediction.maps import predict_raster, predict_rasters
    from clusternet.prediction.predictor import Predictor, load
    from clusternet.settings import TilingSettings, TrainingSettings
    from clusternet.tiling.tile import tile_rasters
    from clusternet.training.train import train

__version__ = "0.1.0"

_HOMES = {
    "ClassOptions": "classes.assign",
    "ClusterNetError": "errors",
    "MapOptions": "prediction.map_outputs",
    "Predictor": "prediction.predictor",
    "SampleOptions": "areas.sample",
    "TilingSettings": "settings",
    "TrainingSettings": "settings",
    "assess_areas": "areas.accuracy",
    "assign_classes": "classes.assign",
    "evaluate": "evaluation.evaluate",
    "fine_tune": "fine_tuning.tune",
    "load": "prediction.predictor",
    "predict_raster": "prediction.maps",
    "predict_rasters": "prediction.maps",
    "rasterize_labels": "labels.rasterization",
    "sample_points": "areas.sampling",
    "tile_rasters": "tiling.tile",
    "train": "training.train",
}

__all__ = [
    "ClassOptions",
    "ClusterNetError",
    "MapOptions",
    "Predictor",
    "SampleOptions",
    "TilingSettings",
    "TrainingSettings",
    "assess_areas",
    "assign_classes",
    "evaluate",
    "fine_tune",
    "load",
    "predict_raster",
    "predict_rasters",
    "rasterize_labels",
    "sample_points",
    "tile_rasters",
    "train",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'clusternet' has no attribute {name!r}")
    return getattr(import_module(f"clusternet.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
