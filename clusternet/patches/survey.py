"""One pass over all patches before training: damaged files, valid pixels, band statistics."""

from __future__ import annotations

import hashlib
import logging
import math
from collections.abc import Generator
from contextlib import closing, suppress
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from clusternet.errors import PatchError
from clusternet.patches.bands import BandMoments, Bands, PatchMoments
from clusternet.patches.folder import PatchFolder
from clusternet.processes.executors import Executor
from clusternet.processes.interrupts import interrupts
from clusternet.processes.prefetch import prefetch
from clusternet.processes.progress import Progress
from clusternet.types import AnyArray, BoolArray
from clusternet.windows import Shape, Window, centre

logger = logging.getLogger(__name__)

_PARTS = 4  # pieces of work a worker, at least, so that all end at about the same time
_PART_PIXELS = 2**24  # of a piece of work, at most
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


@dataclass(frozen=True)
class PatchFacts:
    """What the survey needs to know of one patch."""

    moments: PatchMoments | None
    """Of its pixels; None if it is damaged."""
    labelled: int = 0
    """Valid pixels in the centre that gets labels."""
    digest: bytes = b""
    """Of its name, size and content."""
    damage: str = ""
    """Why it cannot be read."""


@dataclass(frozen=True)
class SurveyTask:
    """Some patches, which are surveyed in one go."""

    patches: PatchFolder
    labelled_shape: Shape
    origin: NDArray[np.float64]
    """(bands,) of the moments, see `clusternet.patches.bands.BandMoments`."""
    workers: int
    """Reading threads."""

    def __str__(self) -> str:
        """Name the first patch, for messages."""
        return f"{self.patches.folder / self.patches.files[0]} and {len(self.patches) - 1} more"

    def facts(self) -> Generator[PatchFacts, None, None]:
        """Read the patches ahead in threads; yield the facts of each, in order."""
        return prefetch(self._look_at, range(len(self.patches)), self.workers)

    def _look_at(self, index: int) -> PatchFacts:
        try:
            pixels, valid = self.patches.read(index)
        except PatchError as error:
            return PatchFacts(None, damage=str(error))
        middle = centre(Window(0, 0, *self.patches.shape), self.labelled_shape).slices()
        return PatchFacts(
            PatchMoments.of(pixels, valid, self.origin),
            int(valid[middle].sum()),
            _digest(self.patches, index, pixels, valid),
        )


def survey_patches(
    patches: PatchFolder,
    labelled_shape: Shape,
    *,
    skip_bad_files: bool = False,
    workers: int = 2,
    executor: Executor | None = None,
) -> Survey:
    """Read every patch once.

    Args:
        patches: the folder.
        labelled_shape: (rows, cols) of the centre of a patch that gets labels.
        skip_bad_files: leave damaged patches out instead of stopping.
        workers: reading threads.
        executor: where patches are read, with the same result; None reads them in this process.

    Raises:
        PatchError: if a patch is damaged, all pixels are nodata, or all bands are constant.
    """
    task = SurveyTask(patches, labelled_shape, _first_pixel(patches), workers)
    found = task.facts() if executor is None else _facts_elsewhere(task, executor)
    moments = BandMoments(patches.num_bands, task.origin)
    labelled, num_damaged = np.zeros(len(patches), np.int64), 0
    all_patches = hashlib.sha256()
    with closing(found):
        bar = Progress(found, "survey", len(patches), unit="patch", leave=False)
        for index, facts in enumerate(bar):
            if facts.moments is None:
                if not skip_bad_files:
                    raise PatchError(facts.damage)
                logger.warning("left out: %s", facts.damage)
                num_damaged += 1
                continue
            all_patches.update(facts.digest)
            moments.merge(facts.moments)
            labelled[index] = facts.labelled
    _warn_of_infinite(patches)
    if num_damaged == len(patches):
        raise PatchError(f"{patches.folder}: none of its {len(patches)} images can be read.")
    usable = np.flatnonzero(labelled)
    if not len(usable):
        raise PatchError(_no_data(patches))
    return Survey(
        bands=_bands(patches, moments, all_patches.hexdigest()[:32]),
        usable=usable,
        valid_counts=labelled[usable],
        num_damaged=num_damaged,
        num_blank=len(patches) - num_damaged - len(usable),
    )


def _first_pixel(patches: PatchFolder) -> NDArray[np.float64]:
    """Return the first valid pixel of the patches, from which all others are counted; (bands,)."""
    for index in range(len(patches)):
        interrupts.check()
        with suppress(PatchError):  # damage is told when its turn comes
            pixels, valid = patches.read(index)
            if valid.any():
                first: NDArray[np.float64] = pixels[valid][0].astype(np.float64)
                return first
    return np.zeros(patches.num_bands)


def _facts_elsewhere(task: SurveyTask, executor: Executor) -> Generator[PatchFacts, None, None]:
    """Yield the facts of all patches in order; parts of them are surveyed by the executor."""
    patches, rows, cols = task.patches, *task.patches.shape
    share = len(patches) // (_PARTS * executor.num_workers)
    size = max(1, min(share, _PART_PIXELS // (rows * cols)))
    starts = range(0, len(patches), size)
    parts = (replace(task, patches=patches.part(slice(first, first + size))) for first in starts)
    with closing(executor.map(_survey_part, parts, ordered=True)) as results:
        for number, (facts, infinite) in results:
            patches.infinite.update(starts[number] + index for index in infinite)
            yield from facts


def _survey_part(task: SurveyTask) -> tuple[list[PatchFacts], set[int]]:
    facts = list(task.facts())
    return facts, task.patches.infinite


def _warn_of_infinite(patches: PatchFolder) -> None:
    if patches.infinite:
        logger.warning(
            "infinite values count as no data, in %d patch(es), such as %s",
            len(patches.infinite), patches.folder / patches.files[min(patches.infinite)],
        )  # fmt: skip


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
