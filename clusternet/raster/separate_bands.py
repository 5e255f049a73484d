"""Files that look like separate bands of one scene, as Sentinel-2 and Landsat come."""

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
"""The part of a file's name that says which band it holds."""
_PIXEL_SIZE = re.compile(r"[_-]?\d+m(?![a-z0-9])")
"""The part that says the pixel size, as in ``_10m``; folders are called so, too."""
_SHARE = 0.01  # of the footprint, that borders of bands with other pixel sizes may differ by

_MOST_GROUPS = 3  # that are named

Group = list[RasterProfile]


def warn_of_separate_bands(profiles: Iterable[RasterProfile]) -> None:
    """Say which single-band rasters of one footprint look like the bands of one scene."""
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
    """Yield rasters that differ by the name of the band, and others of one footprint."""
    named, others = defaultdict(list), []
    for profile in singles:
        scene = _scene(profile.path)
        if scene is None:
            others.append(profile)
        else:
            named[(scene, profile.dtype)].append(profile)
    for group in named.values():
        for found in _same_footprint(group, strict=False):
            yield _finest(found)
    folders = defaultdict(list)
    for profile in others:
        folders[(profile.path.parent, profile.dtype)].append(profile)
    for group in folders.values():
        yield from _same_footprint(group, strict=True)


def _scene(path: Path) -> str | None:
    """Return the path without the name of the band; None if it names none."""
    name, found = _WORD.subn("", path.stem.lower())
    folder = _PIXEL_SIZE.sub("", str(path.parent).lower())
    return f"{folder}/{_PIXEL_SIZE.sub('', name)}" if found else None


def _same_footprint(group: Group, *, strict: bool) -> Iterator[Group]:
    """Yield the rasters of a group that cover the same ground, where there are several.

    Args:
        group: single-band rasters.
        strict: False takes rasters without a place that have the same size, too.
    """
    by_place: dict[object, Group] = defaultdict(list)
    for profile in group:
        if profile.is_georeferenced:
            by_place[_rounded_bounds(profile)].append(profile)
        elif not strict:
            by_place[profile.shape].append(profile)
    yield from (found for found in by_place.values() if len(found) > 1)


def _rounded_bounds(profile: RasterProfile) -> tuple[object, ...]:
    left, top = profile.transform @ (0, 0)
    right, bottom = profile.transform @ (profile.shape[1], profile.shape[0])
    cell = _SHARE * max(abs(right - left), abs(top - bottom))
    size = round(float(abs(right - left) / cell)), round(float(abs(top - bottom) / cell))
    centre = (left + right) / 2, (top + bottom) / 2
    return (str(profile.crs), size, *(round(float(value / cell) + 0.25) for value in centre))


def _finest(group: Group) -> Group:
    """Return one raster for each band, that of the smallest pixels."""
    chosen: dict[str, RasterProfile] = {}
    for profile in sorted(group, key=lambda p: (-p.shape[0], p.path)):
        chosen.setdefault("".join(_WORD.findall(profile.path.stem.lower())), profile)
    return sorted(chosen.values(), key=lambda p: p.path) if len(chosen) > 1 else group


def _command(group: Group) -> str:
    """Return the command that stacks rasters, with a pattern where it would be too long."""
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
    """Return a pattern that a shell fills in with these files and no others."""
    folder = paths[0].parent
    names = [path.name for path in paths]
    start = _shared(names)
    end = _shared([name[len(start) :][::-1] for name in names])[::-1]
    there = {path for path in folder.glob("*") if path.name.startswith(start)}
    matched = {path for path in there if path.name.endswith(end)}
    if {path.parent for path in paths} != {folder} or matched != set(paths):
        return None
    begin = shlex.quote(f"{folder}/{start}")
    return f"{begin}*{shlex.quote(end)}" if end else f"{begin}*"


def _shared(names: Sequence[str]) -> str:
    """Return what all names begin with."""
    first, last = min(names), max(names)
    same = [a == b for a, b in zip(first, last, strict=False)]
    return first[: same.index(False) if False in same else len(same)]
