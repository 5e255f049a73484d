"""Sentinel-2 products, folders and zip archives of ``.SAFE``, which GDAL's driver reads.

The driver gives the bands of each pixel size as one raster. Here it is that of 10 m; ``--stack``
takes bands of all sizes from the same folders and archives.
"""

from __future__ import annotations

import logging
import re
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import rasterio
from rasterio.io import DatasetReader

from clusternet.errors import RasterError
from clusternet.foreign_errors import converted
from clusternet.locations import SourcePath
from clusternet.raster.gdal_messages import gdal_complaints
from clusternet.raster.plain_paths import plain_path
from clusternet.raster.quiet import quiet_georeferencing

logger = logging.getLogger(__name__)

_DRIVER = ["SENTINEL2"]
_METADATA = re.compile(r"(^|/)MTD_MSIL(1C|2A)\.xml$")
_JP2 = (b"\x00\x00\x00\x0cjP  ", b"\xff\x4f\xff\x51")
"""How JPEG 2000 files begin."""
_NAMED_FILES = re.compile(rb"<IMAGE_(?:FILE|ID)>([^<]*)<")
_LOST_BAND = re.compile(r"([^/\\]+_B\w\w(?:_\d+m)?\.jp2) not found")
_FINEST = ":10m:"


class ProductPath(SourcePath):
    """The name of a product: the ``.SAFE`` folder, or its archive."""

    gdal_name = ""
    """How GDAL calls the raster of its bands of 10 m."""
    metadata: Path | None = None
    """The file that stands for its state: its list of contents, or the archive."""

    @property
    def is_source(self) -> bool:
        """True for a product."""
        return bool(self.gdal_name)

    @property
    def files(self) -> tuple[Path, ...]:
        """The file that stands for its state."""
        return () if self.metadata is None else (self.metadata,)

    def __reduce__(self) -> tuple[Any, ...]:
        """Keep GDAL's name when it goes to another process."""
        return _product, (str(self), self.gdal_name, self.metadata)


def _product(name: str, gdal_name: str, metadata: Path | None) -> ProductPath:
    path = ProductPath(name)
    path.gdal_name, path.metadata = gdal_name, metadata
    return path


def is_product(path: Path) -> bool:
    """Tell whether a path is a ``.SAFE`` folder, or an archive that holds one."""
    if isinstance(path, SourcePath):
        return False
    if path.suffix.lower() == ".safe":
        return path.is_dir()
    return path.suffix.lower() == ".zip" and path.is_file() and _zipped_metadata(path) is not None


def product_of(path: Path) -> Path:
    """Return the ``.SAFE`` folder whose list of contents a path names; other paths unchanged."""
    named = not isinstance(path, SourcePath) and _METADATA.search(path.name) and path.is_file()
    return path.parent if named and is_product(path.parent) else path


def _zipped_metadata(path: Path) -> str | None:
    try:
        with zipfile.ZipFile(path) as archive:
            return next((name for name in archive.namelist() if _METADATA.search(name)), None)
    except (OSError, zipfile.BadZipFile):
        return None


def find_products(path: Path) -> list[ProductPath]:
    """Return the rasters of 10 m of a product: one, unless it lies in several UTM zones.

    Raises:
        RasterError: if it is no such product, is damaged, or names files outside of itself.
    """
    if path.is_dir():
        metadata = next((f for f in path.iterdir() if _METADATA.search(f.name)), None)
        name = "" if metadata is None else plain_path(metadata.absolute(), RasterError)
        _check_folder(path, metadata)
    else:
        metadata = path
        name = f"/vsizip/{path.absolute().as_posix()}/{_zipped_metadata(path)}"
        _check_archive(path)
    with converted(RasterError, f"{path}: cannot be read as a Sentinel-2 product"):
        with rasterio.Env(), gdal_complaints(), quiet_georeferencing():
            with DatasetReader(name, driver=_DRIVER) as dataset:
                inside = [each for each in dataset.subdatasets if _FINEST in each]
    if not inside:
        raise RasterError(f"{path}: holds no bands of 10 m; name others by --stack.")
    names = [path] if len(inside) == 1 else [_named_by_zone(path, each) for each in inside]
    return [_product(str(n), each, metadata) for n, each in zip(names, inside, strict=True)]


def _named_by_zone(path: Path, inside: str) -> Path:
    return path.with_name(f"{path.stem}_{inside.rpartition(':')[2]}{path.suffix}")


def _check_folder(path: Path, metadata: Path | None) -> None:
    if metadata is None:
        raise RasterError(
            f"{path}: expected MTD_MSIL1C.xml or MTD_MSIL2A.xml in a Sentinel-2 product, found "
            "none; is it unpacked whole?"
        )
    _check_names(path, metadata.read_bytes())
    for image in path.rglob("*.jp2"):
        with image.open("rb") as stream:
            _check_start(path, image.name, stream.read(8))


def _check_archive(path: Path) -> None:
    with converted(RasterError, f"{path}: cannot be read as a zip archive"):
        with zipfile.ZipFile(path) as archive:
            for name in archive.namelist():
                if _METADATA.search(name):
                    _check_names(path, archive.read(name))
                elif name.endswith(".jp2"):
                    with archive.open(name) as stream:
                        _check_start(path, name, stream.read(8))


def _check_names(path: Path, text: bytes) -> None:
    """Refuse a product that names files outside of itself: GDAL would read these."""
    for name in _NAMED_FILES.findall(text):
        if b".." in name or b":" in name or name.strip().startswith(b"/"):
            raise RasterError(f"{path}: names the file {name[:60].decode(errors='replace')}, "
                              "which does not lie in it; it seems to be damaged.")  # fmt: skip


def _check_start(path: Path, name: str, start: bytes) -> None:
    """Refuse an image that is none: GDAL would look at what it says, which may name addresses."""
    if not start.startswith(_JP2):
        raise RasterError(
            f"{path}: its file {Path(name).name} is no JPEG 2000 image; load it anew."
        )


def check_whole(path: Path, said: Sequence[str]) -> None:
    """Raise RasterError if GDAL has said that a product lacks a band, which it reads as zeros."""
    lost = next(filter(None, map(_LOST_BAND.search, said)), None)
    if isinstance(path, ProductPath) and lost is not None:
        raise RasterError(f"{path}: lacks its file {lost[1]}; load the product anew.")


def report_products(paths: Sequence[Path]) -> None:
    """Log which bands of products are read."""
    products = [path for path in paths if isinstance(path, ProductPath)]
    if products:
        others = f" and {len(products) - 1} more" if products[1:] else ""
        logger.info("%s%s: its bands of 10 m are read; --stack B02,B03,B04,B08,B11 takes others, "
                    "too.", products[0], others)  # fmt: skip
