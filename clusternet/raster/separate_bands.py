"""Detect files that are single bands of one scene, as in Sentinel-2 and Landsat products."""

from __future__ import annotations

import logging
import re
import shlex
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from clusternet.messages import MOST
from clusternet.raster.profile import RasterProfile

logger = logging.getLogger(__name__)

_WORD = re.compile(
    r"(?<![a-z0-9])(?:(?:sr|st|toa|boa)_)?(?:b(?:and)?[ _-]?\d+a?|red(?:_?edge)?\d?|green|blue|"
    r"nir\d?|swir\d?|tir\d?|pan|coastal|cirrus|vv|vh|hh|hv)(?![a-z0-9])"
)
"""The name of a band in a file name."""
_PIXEL_SIZE = re.compile(r"[_-]?\d+m(?![a-z0-9])")
"""The pixel size in a file name, as in ``_10m``; Sentinel-2 products have folders ``R10m``."""
# Share of the footprint by which the borders of bands may differ: bands of one scene with other
# pixel sizes end at other pixel borders.
_SHARE = 0.01

_MOST_GROUPS = 3  # groups that are named in warnings

Group = list[RasterProfile]


def warn_of_separate_bands(profiles: Iterable[RasterProfile]) -> None:
    """Warn of single-band rasters of one footprint that look like the bands of one scene."""
    singles = [profile for profile in profiles if profile.num_bands == 1]
    groups = sorted(_groups(singles), key=lambda group: group[0].path)
    for group in groups[:_MOST_GROUPS]:
        logger.warning(
            "%s and %d more look like separate bands of one scene, but are read as scenes of one "
            "band. If they are bands: %s", group[0].path, len(group) - 1, _command(group),
        )  # fmt: skip
    if len(groups) > _MOST_GROUPS:
        logger.warning("and so do the files of %d more scenes", len(groups) - _MOST_GROUPS)


def _groups(singles: Sequence[RasterProfile]) -> Iterator[Group]:
    """Yield groups of rasters whose names differ by the band, or that have one footprint."""
    named, others = defaultdict(list), []
    for profile in singles:
        scene = _scene(profile.path)
        if scene is None:
            others.append(profile)
        else:
            named[(scene, profile.dtype)].append(profile)
    for group in named.values():
        for bands in _same_footprint(group, strict=False):
            yield _finest(bands)
    folders = defaultdict(list)
    for profile in others:
        folders[(profile.path.parent, profile.dtype)].append(profile)
    for group in folders.values():
        yield from _same_footprint(group, strict=True)


def _scene(path: Path) -> str | None:
    """Return the path without the name of the band; None if it has no name of a band."""
    name, count = _WORD.subn("", path.stem.lower())
    folder = _PIXEL_SIZE.sub("", str(path.parent).lower())
    return f"{folder}/{_PIXEL_SIZE.sub('', name)}" if count else None


def _same_footprint(group: Group, *, strict: bool) -> Iterator[Group]:
    """Yield groups of two or more rasters that have the same footprint.

    Args:
        group: single-band rasters.
        strict: False also groups rasters without georeference by their size.
    """
    by_footprint: dict[object, Group] = defaultdict(list)
    for profile in group:
        if profile.is_georeferenced:
            by_footprint[_rounded_bounds(profile)].append(profile)
        elif not strict:
            by_footprint[profile.shape].append(profile)
    yield from (bands for bands in by_footprint.values() if len(bands) > 1)


def _rounded_bounds(profile: RasterProfile) -> tuple[object, ...]:
    left, top = profile.transform @ (0, 0)
    right, bottom = profile.transform @ (profile.shape[1], profile.shape[0])
    cell = _SHARE * max(abs(right - left), abs(top - bottom))
    size = round(float(abs(right - left) / cell)), round(float(abs(top - bottom) / cell))
    centre = (left + right) / 2, (top + bottom) / 2
    return (str(profile.crs), size, *(round(float(value / cell) + 0.25) for value in centre))


def _finest(group: Group) -> Group:
    """Return for each band the raster with the smallest pixels."""
    chosen: dict[str, RasterProfile] = {}
    for profile in sorted(group, key=lambda p: (-p.shape[0], p.path)):
        chosen.setdefault("".join(_WORD.findall(profile.path.stem.lower())), profile)
    return sorted(chosen.values(), key=lambda p: p.path) if len(chosen) > 1 else group


def _command(group: Group) -> str:
    """Return the command that stacks rasters, with a shell pattern if it would be too long."""
    paths = [profile.path for profile in group]
    scene = re.sub(r"[_. -]*([_. -]B\d*)?$", "", _shared([path.stem for path in paths]))
    name = f"{scene}_stack.vrt".lstrip("_")
    target = shlex.quote(str(paths[0].parent / name))
    start = f"gdalbuildvrt -separate -resolution highest {target} "
    written = start + shlex.join(map(str, paths))
    room = MOST - len(str(paths[0])) - 120
    pattern = _pattern(paths)
    if len(written) > room and pattern is not None:
        return start + pattern
    return written if len(paths) < 5 else f"{start}{shlex.join(map(str, paths[:4]))} ..."


def _pattern(paths: Sequence[Path]) -> str | None:
    """Return a shell pattern that matches these files and no others; None if none does."""
    folder = paths[0].parent
    names = [path.name for path in paths]
    start = _shared(names)
    end = _shared([name[len(start) :][::-1] for name in names])[::-1]
    candidates = {path for path in folder.glob("*") if path.name.startswith(start)}
    matched = {path for path in candidates if path.name.endswith(end)}
    if {path.parent for path in paths} != {folder} or matched != set(paths):
        return None
    begin = shlex.quote(f"{folder}/{start}")
    return f"{begin}*{shlex.quote(end)}" if end else f"{begin}*"


def _shared(names: Sequence[str]) -> str:
    """Return the common prefix of all names."""
    # of sorted names, only the first and the last need to be compared
    first, last = min(names), max(names)
    same = [a == b for a, b in zip(first, last, strict=False)]
    return first[: same.index(False) if False in same else len(same)]
