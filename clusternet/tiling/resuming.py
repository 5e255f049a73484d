"""Go on with a tiling that ended early: rasters that are tiled already are not read again."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from clusternet.errors import OutputError
from clusternet.locations import SourcePath, state_text
from clusternet.patches.manifest import Manifest, PatchSource, read_manifest
from clusternet.settings import TilingSettings
from clusternet.tiling.chunks import Layer, Outcome
from clusternet.tiling.inputs import TilingPair

Before = Mapping[str, Outcome]
"""What an earlier call cut, by the names of rasters."""


def cut_before(
    layers: Sequence[Layer], pairs: Sequence[TilingPair], settings: TilingSettings, aoi: Path | None
) -> Before:
    """Return what an earlier call of the same command has cut of the same rasters.

    Label patches do not count: they are cut anew, which takes little time.

    Raises:
        OutputError: if a folder was tiled with other settings.
        PatchError: if its list of patches is damaged.
    """
    folder = layers[0].folder
    manifest = read_manifest(folder) if folder.exists() else None
    if manifest is None:
        return {}
    for layer in _of_pixels(layers):
        _check_same(layer, settings, aoi)
    known = {source.name: source for source in manifest.rasters}
    names = {pair.raster.name for pair in pairs if _is_known(pair, known)}
    outcomes = {name: Outcome() for name in names}
    for patch in manifest.patches:
        if patch.raster in names:
            outcomes[patch.raster].kept.append(patch.window)
    return outcomes


def area_of(aoi: Path | None) -> str | None:
    """Return how ``patches.json`` names a file of polygons."""
    return None if aoi is None else state_text(aoi)


def _of_pixels(layers: Sequence[Layer]) -> list[Layer]:
    return [layer for layer in layers if not layer.of_labels]


def _check_same(layer: Layer, settings: TilingSettings, aoi: Path | None) -> None:
    """Raise OutputError unless a folder was tiled with these settings."""
    manifest = read_manifest(layer.folder) if layer.folder.exists() else None
    wanted = {
        "patch_shape": layer.shape, "stride": settings.full_stride, "edge": settings.edge,
        "nodata, stack or mask": settings.nodata_choice, "aoi": area_of(aoi),
        "keep_dark_region_ratio": settings.keep_dark_region_ratio,
    }  # fmt: skip
    found = {} if manifest is None else _settings_of(manifest)
    others = [name for name, value in wanted.items() if name not in found or found[name] != value]
    if manifest is None or others:
        what = "not tiled before" if manifest is None else f"tiled with another {others[0]}"
        raise OutputError(
            f"{layer.folder}: was {what}, so --skip_existing cannot go on with it; give the same "
            "flags, or --overwrite."
        )


def _settings_of(manifest: Manifest) -> dict[str, object]:
    return {
        "patch_shape": manifest.patch_shape, "stride": manifest.stride, "edge": manifest.edge,
        "nodata, stack or mask": manifest.given, "aoi": manifest.aoi,
        "keep_dark_region_ratio": manifest.keep_dark_region_ratio,
    }  # fmt: skip


def _is_known(pair: TilingPair, known: Mapping[str, PatchSource]) -> bool:
    item = pair.raster
    source = PatchSource.from_profile(item.name, item.source, item.profile, item.patch_format)
    return known.get(item.name) == source


def take_patches(before: Before, layers: Sequence[Layer], hidden: Sequence[Layer]) -> None:
    """Put patches of an earlier call into new folders, as links where the disk allows."""
    for old, new in zip(_of_pixels(layers), _of_pixels(hidden), strict=True):
        for name in before:
            for file in sorted((old.folder / name).glob("*")):
                target = new.folder / name / file.name
                target.parent.mkdir(parents=True, exist_ok=True)
                try:
                    os.link(file, target)
                except OSError:
                    shutil.copy2(file, target)


def drop_patches(pairs: Sequence[TilingPair], hidden: Sequence[Layer]) -> None:
    """Delete the patches of rasters that were not cut to the end."""
    for layer in hidden:
        for pair in pairs:
            shutil.rmtree(layer.folder / pair.raster.name, ignore_errors=True)


def may_fail_midway(pairs: Sequence[TilingPair]) -> bool:
    """Tell whether rasters lie on servers, which may fail although the rasters are whole."""
    paths = [pair.raster.path for pair in pairs]
    return any(isinstance(path, SourcePath) and path.addresses for path in paths)


def advice(error: Exception, num_done: int, num_all: int, folder: Path) -> str:
    """Return the message for a tiling of which a part is kept."""
    end = f" {num_done} of {num_all} rasters are tiled in {folder}; --skip_existing cuts the rest."
    return str(error).partition("; ")[0].rstrip(".") + "." + end
