"""Patches on disk: their format and names.

8-bit grey, RGB and RGBA patches are PNG, as Keras' ImageDataGenerator reads them; everything
else is GeoTIFF. Both are lossless.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from clusternet.processes.phases import phases
from clusternet.raster import RasterProfile, write_patch
from clusternet.types import AnyArray, BoolArray
from clusternet.windows import Shape, Window

_MIN_DIGITS = 5  # file names of rasters up to 99,999 pixels a side all look alike


@dataclass(frozen=True)
class PatchFormat:
    """How the patches of one raster are written."""

    suffix: str
    """``.png`` or ``.tif``."""
    with_valid: bool
    """Valid pixels are marked by an alpha channel (PNG) or a mask band (GeoTIFF)."""


def choose_format(profile: RasterProfile, *, padded: bool) -> PatchFormat:
    """Return the format for all patches of a raster; ``padded``: some reach beyond it."""
    with_valid = (
        profile.has_mask or profile.nodata_needs_mask or (padded and profile.nodata is None)
    )
    is_eight_bit = profile.dtype == "uint8"
    if is_eight_bit and (profile.num_bands == 3 or (profile.num_bands == 1 and not with_valid)):
        return PatchFormat(".png", with_valid)
    # rasterio garbles the nodata tag of 64-bit integers: a mask says the same
    untaggable = profile.nodata is not None and profile.dtype in ("int64", "uint64")
    return PatchFormat(".tif", with_valid or untaggable)


def patch_name(window: Window, shape: Shape, suffix: str) -> str:
    """Return ``<row>_<col><suffix>``, zero-padded so that names sort in the order of the grid."""
    digits = max(_MIN_DIGITS, len(str(max(shape))))
    return f"{window.row:0{digits}d}_{window.col:0{digits}d}{suffix}"


@phases.during("writing")
def save_patch(
    path: Path,
    pixels: AnyArray,
    valid: BoolArray,
    patch_format: PatchFormat,
    profile: RasterProfile,
    window: Window,
) -> None:
    """Write one patch.

    Args:
        path: the file, with the suffix of ``patch_format``.
        pixels: (rows, cols, bands).
        valid: (rows, cols), True where usable.
        patch_format: as ``choose_format`` returned it for the raster.
        profile: of the raster that the patch is cut from.
        window: the pixels of that raster that the patch covers.
    """
    # no parents: a worker may be late, and must not make a folder again that was given up
    path.parent.mkdir(exist_ok=True)
    if patch_format.suffix == ".png":
        if patch_format.with_valid:
            alpha = np.where(valid, 255, 0).astype(np.uint8)
            pixels = np.concatenate([pixels, alpha[..., np.newaxis]], axis=-1)
        image = Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels)
        # half the time of the default level, and photographs come out no larger
        image.save(path, compress_level=3)
        return
    # A tag beside a mask would mark pixels of its own, under the usual rule.
    is_tagged = profile.dtype not in ("int64", "uint64") and not profile.nodata_needs_mask
    write_patch(
        path,
        pixels,
        valid=valid if patch_format.with_valid else None,
        nodata=profile.nodata if is_tagged else None,
        crs=profile.output_crs,
        transform=profile.window_transform(window) if profile.is_georeferenced else None,
        control=None if profile.control is None else profile.control.of_window(window),
        bands=profile.bands,
    )
