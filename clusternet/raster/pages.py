"""Files that hold more than one image: pages, and data sets below the one that opens."""

from __future__ import annotations

import logging
import os
import shlex
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import rasterio
from PIL.PngImagePlugin import PngImageFile
from PIL.WebPImagePlugin import WebPImageFile
from rasterio.io import DatasetReader

from clusternet.errors import RasterError
from clusternet.foreign_errors import is_foreign
from clusternet.messages import MOST
from clusternet.raster.profile import RasterProfile

logger = logging.getLogger(__name__)

_ANIMATIONS: dict[str, Any] = {"PNG": PngImageFile, "WEBP": WebPImageFile}
"""What reads the frames of a file, by GDAL's driver. (Frames of a GIF are bands for GDAL.)"""
_MOST_OPENED = 8  # pages that are looked at to tell bands from thumbnails


def check_pages(dataset: DatasetReader, path: Path) -> None:
    """Raise RasterError if a file has no pixels of its own, or pages that look like its bands.

    The message names the command that makes one raster of them.
    """
    inside = dataset.subdatasets
    if not inside:
        return
    if not dataset.count:
        target = path.with_name(f"{path.stem}_1.tif")
        raise RasterError(
            f"{path}: holds {len(inside)} data set(s) and no pixels of its own; take out the one "
            f"you want: {_command('gdal_translate', inside[0], target)}"
        )
    if _is_like_a_page(dataset, inside):
        raise RasterError(_of_pages(dataset, path, inside))


def count_other_images(dataset: DatasetReader) -> int:
    """Return how many images of a file are not read with the first one: pages, or frames."""
    return max(0, len(dataset.subdatasets) - 1, _count_frames(dataset) - 1)


def _count_frames(dataset: DatasetReader) -> int:
    """Return how many frames an animation has, 0 for other files; GDAL shows the first one alone.

    Pillow's classes are called by name: its ``open`` would warn of a large image.
    """
    reader = _ANIMATIONS.get(dataset.driver)
    if reader is None:
        return 0
    try:
        with reader(dataset.name) as image:
            return int(image.n_frames)
    except Exception as error:
        if not (is_foreign(error) or isinstance(error, (SyntaxError, ValueError, EOFError))):
            raise
        return 0  # Pillow cannot read it; GDAL says whether it is damaged


def warn_of_other_images(profiles: Iterable[RasterProfile]) -> None:
    """Name the rasters that hold images beside the one that is read."""
    found = [profile for profile in profiles if profile.num_other_images]
    if found:
        logger.warning(
            "%s%s holds %d more image(s), such as thumbnails or frames, which are not read",
            found[0].path, f" (and {len(found) - 1} more file(s))" if len(found) > 1 else "",
            found[0].num_other_images,
        )  # fmt: skip


def _is_like_a_page(dataset: DatasetReader, inside: Sequence[str]) -> bool:
    own = (dataset.shape, dataset.count, dataset.dtypes)
    for name in inside[1 : 1 + _MOST_OPENED]:
        try:
            with rasterio.open(name) as page:
                if (page.shape, page.count, page.dtypes) == own:
                    return True
        except Exception as error:
            if not is_foreign(error):
                raise
    return False


def _of_pages(dataset: DatasetReader, path: Path, inside: Sequence[str]) -> str:
    start = (
        f"{path}: holds {len(inside)} pages of the same size, and only the first would be read; "
    )
    if dataset.count > 1 or dataset.driver != "GTiff":
        target = path.with_name(f"{path.stem}_2.tif")
        return f"{start}take them out one by one: {_command('gdal_translate', inside[1], target)}"
    beside = path.with_suffix(".vrt")
    lines = [
        f"{start}stack them: {command}"
        for target in (beside, Path(beside.name))
        for command in _stack_commands(target, path, len(inside))
    ]
    return next((line for line in lines if len(line) <= MOST), lines[-1])


def _stack_commands(target: Path, path: Path, pages: int) -> tuple[str, str]:
    """Return the command that makes one raster of pages, written out and as short as can be."""
    place = os.path.realpath(path)  # what a .vrt says of a page is not relative to itself
    names = [f"GTIFF_DIR:{number}:{place}" for number in range(1, pages + 1)]
    every = f"GTIFF_DIR:{{1..{pages}}}:{shlex.quote(place)}"
    short = f"gdalbuildvrt -separate {shlex.quote(str(target))} {every}"
    return _command("gdalbuildvrt", "-separate", target, *names), _command("bash", "-c", short)


def _command(*words: object) -> str:
    return shlex.join(map(str, words))
