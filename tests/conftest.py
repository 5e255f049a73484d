"""Tiny rasters and scenes that tests share."""

from __future__ import annotations

import importlib.util
import logging
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import rasterio
from hypothesis import settings
from rasterio.transform import from_origin

from clusternet.distributed.cluster import SETTINGS as OF_RAY
from clusternet.raster.quiet import quiet_georeferencing

pytest_plugins = ("page_fixtures",)  # one browser for all tests of the page

if TYPE_CHECKING:
    from memory_training import Learners

# other work on the machine is no failure
settings.register_profile("clusternet", deadline=None)
settings.load_profile("clusternet")

# a shell's background job ignores Ctrl-C, and so would the scripts that tests interrupt
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
# and what nohup starts ignores SIGHUP
if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) == signal.SIG_IGN:
    signal.signal(signal.SIGHUP, signal.SIG_DFL)

# Ray reads these once a process, when it is loaded, which any test may do first
os.environ.update(OF_RAY | {"RAY_AUTH_MODE": "token"})

ROOT = Path(__file__).resolve().parents[1]
WriteRaster = Callable[..., Path]


def load_script(path: Path) -> ModuleType:
    """Import main.py or a script of tools/, which are no part of the package."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise ImportError(path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(autouse=True)
def _log_level() -> Iterator[None]:
    """A command that a test calls sets what is logged, and the next test hears as if none had."""
    log = logging.getLogger("clusternet")
    before = log.level
    yield
    log.setLevel(before)


@pytest.fixture(scope="session")
def learners() -> Learners:
    """Networks that are compiled once and come back as new."""
    from memory_training import Learners

    return Learners()


@pytest.fixture
def eagerly() -> Iterator[None]:
    """Networks compute without being traced first: quicker where each is used a few times."""
    from clusternet.network.backend import keras

    if keras.backend.backend() != "tensorflow":
        yield
        return
    import tensorflow as tf

    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


@pytest.fixture
def write_raster(tmp_path: Path) -> WriteRaster:
    """Return ``write(name, pixels, **options)``: pixels (rows, cols[, bands]) -> file path.

    The CRS is EPSG:32631 with pixels of half a metre unless ``crs=None``; other keywords go to
    rasterio (nodata, ...). ``mask=`` (rows, cols) bool writes a mask band inside the file.
    """

    def write(name: str, pixels: np.ndarray, mask: Any = None, **options: Any) -> Path:
        return write_geotiff(tmp_path / name, pixels, mask, **options)

    return write


def write_geotiff(path: Path, pixels: np.ndarray, mask: Any = None, **options: Any) -> Path:
    """Write a raster as the fixture `write_raster` does, anywhere; return its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    bands = pixels[np.newaxis] if pixels.ndim == 2 else np.moveaxis(pixels, -1, 0)
    driver = {".png": "PNG", ".jpg": "JPEG"}.get(path.suffix, "GTiff")
    profile: dict[str, Any] = dict(
        driver=driver, count=len(bands), height=bands.shape[1], width=bands.shape[2],
        dtype=bands.dtype.name,
    )  # fmt: skip
    if driver == "GTiff":
        profile |= dict(crs="EPSG:32631", transform=from_origin(448_000, 5_412_000, 0.5, 0.5))
        if len(bands) != 3:  # or GDAL takes the fourth band for alpha
            profile |= dict(photometric="minisblack", alpha="unspecified")
    profile |= options
    with quiet_georeferencing(), rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True):
        with rasterio.open(path, "w", **profile) as dataset:
            dataset.write(bands)
            if mask is not None:
                dataset.write_mask(np.asarray(mask, bool))
    return path


def four_textures(rows: int = 64, cols: int = 64, bands: int = 4, seed: int = 0) -> np.ndarray:
    """Return four quarters of different colour and grain; (rows, cols, bands) uint8."""
    rng = np.random.default_rng(seed)
    colours = np.array(
        [[60, 120, 60, 200], [180, 160, 120, 90], [40, 60, 140, 20], [200, 200, 210, 60]]
    )
    grain = np.array([30, 8, 3, 15])
    quarter = (np.arange(rows)[:, None] >= rows // 2) * 2 + (np.arange(cols) >= cols // 2)
    noise = rng.normal(size=(rows, cols, 1)) * grain[quarter][..., None]
    return np.clip(colours[quarter][..., :bands] + noise, 1, 255).astype(np.uint8)


@pytest.fixture
def four_fields(write_raster: WriteRaster) -> Path:
    """A raster of 70 x 90 pixels, 4 bands: four textures and a nodata (0) corner."""
    pixels = four_textures(70, 90)
    pixels[:12, :16] = 0
    return write_raster("four_fields.tif", pixels, nodata=0)
