"""A folder of labelled scenes: ``images/``, ``masks/`` of the same names, ``classes.json``."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from rasterio.enums import Resampling
from rasterio.errors import RasterioIOError

from clusternet.errors import LabelError
from clusternet.files.outputs import Kind, new_file, new_folder
from clusternet.labels.files import settle_labels
from clusternet.labels.reading import RasterLabels
from clusternet.labels.rules import UNLABELLED, LabelOptions, LabelRules
from clusternet.legend.class_list import ClassList, make_class_list
from clusternet.raster import RASTER_SUFFIXES, open_raster
from clusternet.types import AnyArray, BoolArray, IntArray
from clusternet.windows import Shape, Window


@dataclass(frozen=True)
class Scene:
    """One image and its truth. Training gets the path of the image only."""

    name: str
    image: Path
    mask: Path
    held_out: bool
    """True if nothing may be learned from it, not even without labels."""
    rules: LabelRules
    """How masks are read."""
    named_mask: Path
    """The mask that states names of classes, where ``mask`` is a smaller copy of it."""

    def pixels(self) -> tuple[AnyArray, BoolArray]:
        """Return (rows, cols, bands) and which pixels are valid."""
        with open_raster(self.image) as raster:
            return raster.read(Window(0, 0, *raster.profile.shape))

    def truth(self, num_classes: int) -> IntArray:
        """Return (rows, cols) class numbers, -1 where there is no label or the image no data."""
        with open_raster(self.mask, codes=True) as raster:
            file = replace(raster.profile, path=self.named_mask)
            labels = RasterLabels(raster, self.rules.of_file(self.named_mask), file=file)
            numbers, valid = labels.read(Window(0, 0, *raster.profile.shape))
        valid &= self.pixels()[1]
        order = sorted(self.rules.options.classes.names)[:num_classes]
        return np.where(valid, np.searchsorted(order, numbers), -1).astype(np.int32)


def read_classes(data: Path) -> ClassList:
    """Return the classes by number.

    Raises:
        LabelError: if there is no such list of two or more.
    """
    path = data / "classes.json"
    try:
        classes = make_class_list(_class_names(json.loads(path.read_text(encoding="utf-8"))))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise LabelError(f"{path}: expected {{'0': 'building', ...}}, found {error!r}.") from error
    if len(classes.names) < 2:
        raise LabelError(f"{path}: expected two classes or more, found {len(classes.names)}.")
    return classes


def _class_names(found: Any) -> dict[int, str]:
    entries = found.get("classes", found) if isinstance(found, dict) else found
    if isinstance(entries, dict):  # number -> name, or name -> number
        pairs = [
            (int(key), value) if str(key).isdigit() else (int(value), key)
            for key, value in entries.items()
        ]
        return {number: str(name) for number, name in pairs if number != UNLABELLED}
    names = (entry["name"] if isinstance(entry, dict) else entry for entry in entries)
    return dict(enumerate(map(str, names)))


def find_scenes(
    data: Path,
    work: Path,
    classes: ClassList,
    *,
    downscale: int = 1,
    hold_out: Sequence[str] = (),
    every: int = 1,
) -> list[Scene]:
    """Return the scenes of a data folder, or smaller copies of them.

    Args:
        data: the folder.
        work: folder for smaller copies.
        classes: that masks may hold; they are matched by name if masks state names.
        downscale: pixels of an original on a side of one pixel; labels take the nearest.
        hold_out: beginnings of names of scenes that are kept from training.
        every: take every n-th scene only.

    Raises:
        LabelError: if a folder, an image or a mask is missing, they differ in size, or are too
            small to be copied smaller; or one cannot be read.
        OutputError: if a copy cannot be written.
    """
    for folder in (data / "images", data / "masks"):
        if not folder.is_dir():
            raise LabelError(f"{folder}: expected a folder, found none.")
    images = _rasters(data / "images")
    masks = {path.stem: path for path in _rasters(data / "masks")}
    if not images:
        raise LabelError(f"{data / 'images'}: expected rasters, found none.")
    missing = [path.name for path in images if path.stem not in masks]
    if missing:
        raise LabelError(f"{data}: no mask for {', '.join(missing)}.")
    chosen = [masks[image.stem] for image in images[::every]]
    rules = settle_labels(chosen, LabelOptions(classes), lists_beside=False)
    scenes = []
    for image in images[::every]:
        mask = masks[image.stem]
        shapes = [_shape(path) for path in (image, mask)]
        if shapes[0] != shapes[1]:
            raise LabelError(
                f"{mask}: expected the size of its image {shapes[0]}, found {shapes[1]}."
            )
        if downscale > min(shapes[0]):
            raise LabelError(f"--downscale {downscale}: nothing is left of {image} {shapes[0]}.")
        if downscale > 1:
            shrink = [
                (image, work / "images" / f"{image.stem}.tif", Resampling.average),
                (mask, work / "masks" / f"{image.stem}.tif", Resampling.nearest),
            ]
            for source, target, method in shrink:
                _shrink(source, target, downscale, method)
            image, mask = shrink[0][1], shrink[1][1]
        kept = any(image.stem.startswith(start) for start in hold_out)
        scenes.append(Scene(image.stem, image, mask, kept, rules, masks[image.stem]))
    unused = [start for start in hold_out if not any(s.name.startswith(start) for s in scenes)]
    if unused:
        raise LabelError(f"--hold_out {' '.join(unused)}: no scene of {data} is called so.")
    return scenes


def _rasters(folder: Path) -> list[Path]:
    """Return the rasters of a folder, without the side files that GIS programs write."""
    return sorted(
        path for path in folder.iterdir()
        if path.suffix.lower() in RASTER_SUFFIXES and not path.name.startswith(".")
    )  # fmt: skip


def _shape(path: Path) -> Shape:
    with open_raster(path) as raster:
        return raster.profile.shape


def gather_training_images(scenes: Sequence[Scene], folder: Path) -> Path:
    """Copy the training images into a folder of their own.

    Raises:
        OutputError: if they cannot be copied.
    """
    kind = Kind("folder of images", lambda _: True, lambda _: lambda _: True)
    with new_folder(folder, kind=kind, overwrite=True) as hidden_folder:  # in the folder of results
        for scene in scenes:
            if not scene.held_out:
                shutil.copy(scene.image, hidden_folder / scene.image.name)
    return folder


def _shrink(source: Path, target: Path, factor: int, method: Resampling) -> None:
    try:
        with rasterio.open(source) as dataset:
            shape = (dataset.height // factor, dataset.width // factor)
            pixels = dataset.read(out_shape=(dataset.count, *shape), resampling=method)
            nodata, colours = dataset.nodata, dataset.colorinterp
    except RasterioIOError as error:
        raise LabelError(f"{source}: cannot be read as a raster ({error}).") from error
    with new_file(target, overwrite=True) as hidden_path, rasterio.open(
        hidden_path, "w", driver="GTiff", height=shape[0], width=shape[1], count=len(pixels),
        dtype=pixels.dtype, nodata=nodata,
    ) as copy:  # fmt: skip
        copy.write(pixels)
        copy.colorinterp = colours
