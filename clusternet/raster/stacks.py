"""Scenes whose bands are separate files, as Sentinel-2 and Landsat come: find them by name."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from clusternet.errors import RasterError
from clusternet.locations import RemotePath, SourcePath
from clusternet.scene_rule import BandPattern, SceneKey, SceneRule

logger = logging.getLogger(__name__)

_NAMED = 3  # files that a message names
_IMAGES, _MASKS = "IMG_DATA", "QI_DATA"
"""The folders of bands, and of masks of them, in a Sentinel-2 product."""


class StackedPath(SourcePath):
    """The name of a scene whose bands are separate files: what the names of these share."""

    bands: tuple[tuple[str, tuple[Path, ...]], ...] = ()
    """The name of each band, and its files: one, or one for each pixel size."""
    quality: tuple[Path, ...] = ()
    """The files of its quality band."""

    @property
    def is_source(self) -> bool:
        """True for a scene."""
        return bool(self.bands)

    @property
    def _all(self) -> tuple[Path, ...]:
        return (*(file for _, files in self.bands for file in files), *self.quality)

    @property
    def files(self) -> tuple[Path, ...]:
        """The files of all bands that lie on this machine."""
        return tuple(file for file in self._all if not isinstance(file, SourcePath))

    @property
    def addresses(self) -> tuple[RemotePath, ...]:
        """The addresses of bands."""
        return tuple(file for file in self._all if isinstance(file, RemotePath))

    def resolve(self, strict: bool = False) -> StackedPath:
        """Return the scene with its whole path."""
        if not self.is_source:
            return self
        whole = Path(*self.parts).resolve(strict)
        return _stacked(str(whole), self.bands, self.quality)

    def __reduce__(self) -> tuple[Any, ...]:
        """Keep the files when it goes to another process."""
        return _stacked, (str(self), self.bands, self.quality)


def _stacked(name: str, bands: Any, quality: tuple[Path, ...]) -> StackedPath:
    path = StackedPath(name)
    path.bands, path.quality = bands, quality
    return path


def find_stacks(source: Path, files: Sequence[Path], rule: SceneRule) -> list[StackedPath]:
    """Return the scenes that files are the bands of, sorted by name.

    Args:
        source: what the user gave, for messages.
        files: rasters, each of one band.
        rule: how the bands are named.

    Raises:
        RasterError: if no file is such a band, or a scene lacks one.
    """
    patterns = [*rule.bands, *([rule.mask_pattern] if rule.mask_band else [])]
    scenes = _by_scene(files, patterns)
    if rule.mask_band:
        _share_quality(scenes, rule.mask_pattern.name)
    if not scenes:
        raise RasterError(
            f"{source}: no file is named as a band of --stack {rule.stack}; expected names such "
            f"as scene_{rule.bands[0].name}.tif, found {_names(files)}."
        )
    used = {file for bands in scenes.values() for of_band in bands.values() for file in of_band}
    others = [file for file in files if file not in used]
    if others:
        logger.info("%s: %d file(s) are no band of --stack and are left out: %s",
                    source, len(others), _names(others))  # fmt: skip
    return sorted(_scene(key, bands, rule, patterns) for key, bands in scenes.items())


def _by_scene(
    files: Sequence[Path], patterns: Sequence[BandPattern]
) -> dict[SceneKey, dict[str, list[Path]]]:
    scenes: dict[SceneKey, dict[str, list[Path]]] = defaultdict(lambda: defaultdict(list))
    for pattern in patterns:
        of_masks = pattern.pattern.upper().startswith("MSK_")
        for file in files:
            # masks of a Sentinel-2 product are named by the bands that they are of
            if of_masks or _MASKS not in file.parts:
                key = pattern.key(file)
                if key is not None:
                    scenes[key][pattern.name].append(file)
    return scenes


def _share_quality(scenes: dict[SceneKey, dict[str, list[Path]]], quality: str) -> None:
    """Give quality bands to scenes in whose names only a part of theirs comes before the band.

    As ``LC08_T1_QA_PIXEL.TIF`` beside ``LC08_T1_SR_B4.TIF``, where the band is called B4.
    """
    alone = [key for key, bands in scenes.items() if set(bands) == {quality}]
    taken = set()
    for key, bands in scenes.items():
        theirs = [each for each in alone if quality not in bands and _is_of_scene(each, key)]
        if theirs:
            longest = max(theirs, key=lambda each: len(each[-1]))
            bands[quality] = scenes[longest][quality]
            taken.add(longest)
    for key in taken:
        del scenes[key]


def _is_of_scene(quality: SceneKey, scene: SceneKey) -> bool:
    folders = [[part for part in key[:-1] if part not in (_IMAGES, _MASKS)]
               for key in (quality, scene)]  # fmt: skip
    start, rest = quality[-1], scene[-1][len(quality[-1]) :]
    is_begin = scene[-1].startswith(start) and not (start and rest[:1].isalnum())
    return folders[0] == folders[1] and is_begin


def _scene(
    key: SceneKey,
    bands: dict[str, list[Path]],
    rule: SceneRule,
    patterns: Sequence[BandPattern],
) -> StackedPath:
    name = str(Path(*key))
    missing = [pattern.name for pattern in patterns if pattern.name not in bands]
    if missing:
        flag = "--mask_band" if missing == [rule.mask_pattern.name] else "--stack"
        raise RasterError(
            f"{name}: has no file for {', '.join(missing)} of {flag}; found "
            f"{', '.join(bands)}. Add the file, take the band out of the flag, or move the scene "
            "away."
        )
    quality = tuple(bands[rule.mask_pattern.name]) if rule.mask_band else ()
    return _stacked(name, tuple((p.name, tuple(bands[p.name])) for p in rule.bands), quality)


def _names(files: Sequence[Path]) -> str:
    names = ", ".join(file.name for file in files[:_NAMED])
    return names + (", ..." if len(files) > _NAMED else "")
