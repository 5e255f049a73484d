"""Files that hold more than one image: pages, animation frames and GDAL's subdatasets."""

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
from clusternet.raster.quiet import quiet_warnings

logger = logging.getLogger(__name__)

_ANIMATIONS: dict[str, Any] = {"PNG": PngImageFile, "WEBP": WebPImageFile}
"""Pillow's reader of each format with frames, by GDAL's driver. (GDAL reads the frames of a GIF as
bands.)"""
_MOST_OPENED = 8  # pages that are opened to tell bands from thumbnails


def check_pages(dataset: DatasetReader, path: Path) -> None:
    """Raise RasterError if a file has only subdatasets, or pages that look like bands of one image.

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
    """Return the number of pages or frames of a file that are not read."""
    return max(0, len(dataset.subdatasets) - 1, _count_frames(dataset) - 1)


def _count_frames(dataset: DatasetReader) -> int:
    """Return the number of frames of an animation, of which GDAL reads the first; else 0."""
    # Pillow's classes are called directly, because Image.open warns of large images.
    reader = _ANIMATIONS.get(dataset.driver)
    if reader is None:
        return 0
    try:
        with quiet_warnings(UserWarning), reader(dataset.name) as image:  # of chunks that lie
            return int(image.n_frames)
    except Exception as error:
        if not (is_foreign(error) or isinstance(error, (SyntaxError, ValueError, EOFError))):
            raise
        return 0  # Pillow cannot read it; if it is damaged, GDAL will report it


def warn_of_other_images(profiles: Iterable[RasterProfile]) -> None:
    """Warn of rasters with further images that are not read."""
    several = [profile for profile in profiles if profile.num_other_images]
    if several:
        logger.warning(
            "%s%s holds %d more image(s), such as thumbnails or frames, which are not read",
            several[0].path, f" (and {len(several) - 1} more file(s))" if several[1:] else "",
            several[0].num_other_images,
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
    """Return the command that stacks pages to one raster: written out, and in its shortest form."""
    real_path = os.path.realpath(path)  # a .vrt cannot name a page relative to itself
    names = [f"GTIFF_DIR:{number}:{real_path}" for number in range(1, pages + 1)]
    every = f"GTIFF_DIR:{{1..{pages}}}:{shlex.quote(real_path)}"
    short = f"gdalbuildvrt -separate {shlex.quote(str(target))} {every}"
    return _command("gdalbuildvrt", "-separate", target, *names), _command("bash", "-c", short)


def _command(*words: object) -> str:
    return shlex.join(map(str, words))
