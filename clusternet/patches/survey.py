"""One pass over all patches before training: damaged files, valid pixels, band statistics."""

from __future__ import annotations

import hashlib
import logging
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from clusternet.errors import PatchError
from clusternet.patches.bands import BandMoments, Bands
from clusternet.patches.folder import PatchFolder
from clusternet.processes.prefetch import prefetch
from clusternet.processes.progress import Progress
from clusternet.types import AnyArray, BoolArray
from clusternet.windows import Shape, Window, centre

logger = logging.getLogger(__name__)

_COARSEST = 1e-3  # deviations between two neighbouring numbers


@dataclass(frozen=True)
class Survey:
    """Statistics of all patches, from one pass over them."""

    bands: Bands
    """Statistics of all valid pixels."""
    usable: NDArray[np.int64]
    """Indexes of the patches to train on: readable, and with valid pixels to label."""
    valid_counts: NDArray[np.int64]
    """Valid pixels of each usable patch, in its centre that gets labels."""
    num_damaged: int
    """Patches left out because they could not be read."""
    num_blank: int
    """Patches left out because they hold nothing but nodata."""


def survey_patches(
    patches: PatchFolder, labelled_shape: Shape, *, skip_bad_files: bool = False, workers: int = 2
) -> Survey:
    """Read every patch once.

    Args:
        patches: the folder.
        labelled_shape: (rows, cols) of the centre of a patch that gets labels.
        skip_bad_files: leave damaged patches out instead of stopping.
        workers: reading threads.

    Raises:
        PatchError: if a patch is damaged, all pixels are nodata, or all bands are constant.
    """
    middle = centre(Window(0, 0, *patches.shape), labelled_shape).slices()
    moments = BandMoments(patches.num_bands)
    usable, counts, num_damaged = [], [], 0

    all_patches = hashlib.sha256()

    def read(index: int) -> tuple[AnyArray, BoolArray, bytes] | PatchError:
        try:
            pixels, valid = patches.read(index)
        except PatchError as error:
            return error
        return pixels, valid, _digest(patches, index, pixels, valid)

    read_ahead = prefetch(read, range(len(patches)), workers)
    bar = Progress(read_ahead, "survey", len(patches), unit="patch", leave=False)
    for index, patch in enumerate(bar):
        if isinstance(patch, PatchError):
            if not skip_bad_files:
                raise patch
            logger.warning("left out: %s", patch)
            num_damaged += 1
            continue
        pixels, valid, digest = patch
        all_patches.update(digest)
        moments.add(pixels, valid)
        if count := int(valid[middle].sum()):
            usable.append(index)
            counts.append(count)
    if patches.infinite:
        first = patches.folder / patches.files[min(patches.infinite)]
        logger.warning(
            "infinite values count as no data, in %d patch(es), such as %s",
            len(patches.infinite), first,
        )  # fmt: skip
    if num_damaged == len(patches):
        raise PatchError(f"{patches.folder}: none of its {len(patches)} images can be read.")
    if not usable:
        raise PatchError(_no_data(patches))
    return Survey(
        bands=_bands(patches, moments, all_patches.hexdigest()[:32]),
        usable=np.array(usable),
        valid_counts=np.array(counts),
        num_damaged=num_damaged,
        num_blank=len(patches) - num_damaged - len(usable),
    )


def _digest(patches: PatchFolder, index: int, pixels: AnyArray, valid: BoolArray) -> bytes:
    """Return a digest of a patch's name, size and content, wherever its folder lies."""
    name = f"{patches.files[index].as_posix()} {pixels.shape}"
    digest = hashlib.sha256(name.encode(errors="surrogateescape"))
    digest.update(np.ascontiguousarray(pixels, patches.dtype).data)
    digest.update(np.packbits(valid).data)
    return digest.digest()


def _check_numbers(patches: PatchFolder, moments: BandMoments) -> None:
    """Refuse values whose differences 64-bit floats do not hold."""
    for band, (largest, std) in enumerate(zip(moments.largest, moments.std, strict=True), 1):
        if not math.isfinite(std):
            # with another --nodata, pixels of the present nodata value would become data
            known = patches.nodata
            hint = f"change it to {known}" if known is not None else "give the value with --nodata"
            raise PatchError(
                f"{patches.folder}: band {band} holds values as large as {largest:.3g}, too large "
                f"for a mean and a deviation; if that marks nodata, {hint}, else scale the raster "
                "down and tile it again."
            )
        if np.dtype(patches.dtype).itemsize == 8 and np.dtype(patches.dtype).kind in "iu":
            _check_integers(patches, band, largest, std)


def _check_integers(patches: PatchFolder, band: int, largest: float, std: float) -> None:
    if np.spacing(largest) > max(_COARSEST * std, 1):
        raise PatchError(
            f"{patches.folder}: band {band} holds whole numbers as large as {largest:.3g} that "
            f"deviate by {std:.3g} only, which 64-bit floats cannot tell apart; subtract a "
            "constant from the raster and tile it again."
        )


def _no_data(patches: PatchFolder) -> str:
    if patches.nodata is not None:
        return (
            f"{patches.folder}: every pixel to label is nodata (nodata value {patches.nodata}); "
            "if that is a value of pixels with data, give another one with --nodata."
        )
    return (
        f"{patches.folder}: every pixel to label is nodata, as the files say (alpha, a mask, a "
        "nodata tag, or NaN); expected some with data: cut patches where there is some."
    )


def _bands(patches: PatchFolder, moments: BandMoments, digest: str) -> Bands:
    _check_numbers(patches, moments)
    constant = [band for band, std in enumerate(moments.std, 1) if std == 0]
    if len(constant) == patches.num_bands:
        raise PatchError(
            f"{patches.folder}: all valid pixels are equal; there is nothing to segment."
        )
    if constant:
        logger.warning("%s: band(s) %s are constant and tell nothing.", patches.folder, constant)
    return Bands(
        num_bands=patches.num_bands,
        dtype=patches.dtype,
        nodata=patches.nodata,
        mean=moments.mean,
        std=tuple(std or 1.0 for std in moments.std),
        patch_shape=patches.shape,
        nodata_rule=patches.choice.rule,
        nodata_overrides=patches.choice.overrides,
        scene=patches.choice.scene,
        identity=patches.identity,
        patches=digest,
    )
