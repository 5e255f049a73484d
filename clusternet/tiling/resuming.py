"""Go on with a tiling that ended early: rasters that are tiled already are not read again."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from clusternet.errors import OutputError, SettingsError
from clusternet.locations import SourcePath
from clusternet.patches.manifest import Manifest, PatchSource, read_manifest
from clusternet.settings import TilingSettings
from clusternet.tiling.chunks import Layer, Outcome
from clusternet.tiling.inputs import TilingPair

Before = Mapping[str, Outcome]
"""What an earlier call cut, by the names of rasters."""


def check_alone(skip_existing: bool, masks_folder: Path | None) -> None:
    """Refuse to go on with label patches, whose labels are counted over all rasters."""
    if skip_existing and masks_folder is not None:
        raise SettingsError(
            "--skip_existing: label patches are cut in one go; leave out --masks_folder, or "
            "give --overwrite instead."
        )


def cut_before(folder: Path, pairs: Sequence[TilingPair], settings: TilingSettings) -> Before:
    """Return what an earlier call of the same command has cut of the same rasters.

    Raises:
        OutputError: if the folder was tiled with other settings.
        PatchError: if its list of patches is damaged.
    """
    manifest = read_manifest(folder) if folder.exists() else None
    if manifest is None:
        return {}
    if not _is_same(manifest, settings):
        raise OutputError(
            f"{folder}: was tiled with another size, stride, edge, nodata or stack, so "
            "--skip_existing cannot go on with it; give the same flags, or --overwrite."
        )
    known = {source.name: source for source in manifest.rasters}
    names = {pair.raster.name for pair in pairs if known.get(pair.raster.name) == _source(pair)}
    outcomes = {name: Outcome() for name in names}
    for patch in manifest.patches:
        if patch.raster in names:
            outcomes[patch.raster].kept.append(patch.window)
    return outcomes


def _is_same(manifest: Manifest, settings: TilingSettings) -> bool:
    return (manifest.patch_shape, manifest.stride, manifest.edge, manifest.given) == (
        settings.patch_shape, settings.full_stride, settings.edge, settings.nodata_choice,
    )  # fmt: skip


def _source(pair: TilingPair) -> PatchSource:
    item = pair.raster
    return PatchSource.from_profile(item.name, item.source, item.profile, item.patch_format)


def take_patches(before: Before, layers: Sequence[Layer], hidden: Sequence[Layer]) -> None:
    """Put patches of an earlier call into new folders, as links where the disk allows."""
    for old, new in zip(layers, hidden, strict=True):
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
