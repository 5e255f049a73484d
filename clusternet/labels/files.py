"""Decide how the label files of a command are read, before any label is used."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from clusternet.errors import LabelError
from clusternet.labels.reading import RasterLabels
from clusternet.labels.rules import UNLABELLED, LabelOptions, LabelRules, check_background
from clusternet.legend.class_list import read_class_list
from clusternet.legend.common_classes import CommonClasses, Statement, match_classes
from clusternet.legend.inventory import LabelInventory
from clusternet.legend.names import is_made_up
from clusternet.patches.manifest import MANIFEST_NAME
from clusternet.raster import open_raster
from clusternet.raster.categories import check_lossless, read_names
from clusternet.raster.endings import is_vector
from clusternet.raster.shapes import read_statement
from clusternet.windows import blocks

logger = logging.getLogger(__name__)

CLASSES, LEGEND = "classes.json", "legend.csv"
"""File names of class lists that may lie beside label rasters and class maps."""
_WINDOW = (1024, 1024)


def settle_labels(
    paths: Iterable[Path],
    options: LabelOptions | None = None,
    *,
    maps: Sequence[Statement] = (),
    advice: str = "",
    lists_beside: bool = True,
) -> LabelRules:
    """Find the common classes of label files, and decide what the value 255 means in them.

    Args:
        paths: the label files of a command; one may occur several times.
        options: how the user wants label files to be read.
        maps: the statements of class maps that labels are compared with.
        advice: what to do if 255 means no label in masks of only 0 and 255.
        lists_beside: if a label raster states no class names, look for ``classes.json`` beside it.

    Raises:
        LabelError: if a file cannot serve as labels, or its classes cannot be matched.
        RasterError: if a raster cannot be read.
    """
    options = options or LabelOptions()
    files = sorted(set(paths))
    beside: dict[Path, dict[int, str]] | None = {} if lists_beside else None
    statements = [_read_statement(path, options, beside) for path in files]
    named = [number for number in (options.background, options.ignore_label) if number is not None]
    check_background(options.background, options.classes)
    common = match_classes(statements, maps=maps, given=options.classes, reserved=named)
    # Masks of two classes are often stored as 0 and 255, but 255 usually means no label.
    is_mask = _hold_masks(files, statements, options)
    if is_mask:
        rasters = [path for path in files if not is_vector(path)]
        logger.warning(
            "%s%s: holds only 0 and 255, taken as the classes 0 and 1%s.", rasters[0],
            f" (and {len(rasters) - 1} more)" if rasters[1:] else "", advice and f"; {advice}",
        )  # fmt: skip
    inventory = LabelInventory(common.classes.names, _known_classes(statements, common))
    return LabelRules(options, common, is_mask, inventory)


def _known_classes(statements: Sequence[Statement], common: CommonClasses) -> set[int]:
    """Return the common numbers of the classes that the user or the label files name."""
    known = set(common.listed or ())
    for statement in statements:
        known |= statement.numbers
        known |= {common.numbers[name] for name in statement.names.values()}
        known |= {common.numbers[name] for name in statement.loose_names}
    return known - common.classes.no_classes.keys()


def classes_in(path: Path, rules: LabelRules) -> set[int]:
    """Return the common numbers of the classes that a label file holds or names."""
    renumbering = rules.common.renumbering(path)
    file = rules.common.statements[path]
    numbers = (
        set(renumbering.changes.values()) | set(renumbering.texts.values()) | set(file.numbers)
    )
    if is_vector(path) or file.names:
        return numbers
    with open_raster(path, codes=True) as raster:
        labels = RasterLabels(raster, replace(rules, inventory=LabelInventory()))
        for window in blocks(raster.profile.shape, _WINDOW):
            values, valid = labels.read(window)
            numbers |= {int(value) for value in np.unique(values[valid])}
    return numbers


def _read_statement(
    path: Path, options: LabelOptions, beside: dict[Path, dict[int, str]] | None
) -> Statement:
    """Return the names and numbers that a label file states for its classes.

    The class names of a raster are stored in it or in its sidecar file, or else in a class list
    beside it. ``beside`` caches the class lists by folder; None reads none.
    """
    if is_vector(path):
        return read_statement(path, class_field=options.class_field, layer=options.layer)
    check_lossless(path)
    names = read_names(path)
    return Statement(path, names if beside is None else names or _names_beside(path, beside))


def map_statements(maps: Iterable[tuple[Path, bool]]) -> list[Statement]:
    """Return the names and numbers that class maps state for their classes.

    Args:
        maps: the path of each, and True if ClusterNet wrote it. Only then ``legend.csv`` beside
            it is its legend.

    Raises:
        LabelError: if the sidecar file of a map is damaged.
        RasterError: if a map cannot be read.
    """
    beside: dict[Path, dict[int, str]] = {}
    statements = []
    for path, is_ours in maps:
        names = read_names(path)
        statements.append(
            Statement(path, names or (_names_beside(path, beside) if is_ours else {}))
        )
    return statements


def _names_beside(path: Path, beside: dict[Path, dict[int, str]]) -> dict[int, str]:
    """Return the names in a class list in the folder of a raster or in the folder above it."""
    for folder in (path.parent, path.parent.parent):
        if folder not in beside:
            lists = (_listed_names(folder / name) for name in (CLASSES, LEGEND))
            beside[folder] = next((names for names in lists if names), {})
        if beside[folder]:
            return beside[folder]
    return {}


def _listed_names(path: Path) -> dict[int, str]:
    """Return the names in a class list; empty if the file is missing or is no class list."""
    if not path.is_file():
        return {}
    try:
        listed = read_class_list(path)
    except LabelError as error:
        logger.warning("%s The names of classes are not taken from it.", error)
        return {}
    names = {**listed.names, **listed.no_classes}
    return {number: name for number, name in names.items() if not is_made_up(number, name)}


def _hold_masks(
    files: Sequence[Path], statements: Sequence[Statement], options: LabelOptions
) -> bool:
    """Tell whether label rasters are masks: they hold only 0 and 255, and 255 may be a class.

    If one raster of the command holds another value, none is a mask: 255 then means no label.
    """
    rasters = [path for path in files if not is_vector(path)]
    if not rasters or options.ignore_label == UNLABELLED:
        return False
    named = {number for statement in statements for number in statement.names}
    if not named | set(options.classes.names) <= {0, 1}:
        return False
    all_values: set[int] = set()
    ours: dict[Path, bool] = {}
    for path in rasters:
        listed = path.parent.parent / MANIFEST_NAME
        if listed not in ours:
            ours[listed] = _lists_label_patches(listed)
        # in label patches that ClusterNet cut, 255 always means no label
        values = None if ours[listed] else mask_values(path)
        if values is None:
            return False
        all_values |= values
    return all_values == {0, UNLABELLED}


def mask_values(path: Path) -> set[int] | None:
    """Return which of 0 and 255 a raster holds; None if it holds any other value."""
    values: set[int] = set()
    with open_raster(path, codes=True) as raster:
        if raster.profile.num_bands != 1:
            return None
        if raster.profile.nodata == 0:
            values.add(0)  # its zeros are masked, but they are one of the two values of a mask
        for window in blocks(raster.profile.shape, _WINDOW):
            pixels, valid = raster.read(window)
            present = np.unique(pixels[..., 0][valid])
            if not np.isin(present, (0, UNLABELLED)).all():
                return None
            values |= {int(value) for value in present}
    return values


def _lists_label_patches(path: Path) -> bool:
    """Tell whether a ``patches.json`` lists label patches, where 255 means no label."""
    try:
        rasters = json.loads(path.read_text(encoding="utf-8"))["rasters"]
        return any(entry["nodata"] == UNLABELLED for entry in rasters)
    except (OSError, ValueError, KeyError, TypeError):
        return False
