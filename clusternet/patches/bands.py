"""Statistics of the bands of a set of patches: fitted once, kept with the run, used everywhere."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass, fields
from operator import index
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from clusternet.errors import RunError
from clusternet.messages import short_value
from clusternet.nodata import (
    NodataChoice,
    NodataRule,
    Number,
    check_rule,
    decode_number,
    encode_number,
)
from clusternet.raster.band_identity import NOTHING_STATED, BandIdentity
from clusternet.scene_rule import EACH_FILE, SceneRule
from clusternet.settings import same_value
from clusternet.text_files import read_json, taken_apart
from clusternet.types import PIXEL_TYPES, AnyArray, BoolArray, FloatArray
from clusternet.windows import Shape

_FARTHEST = 1e6  # deviations from the mean
_PART = 2**15  # pixels that are standardised at a time


@dataclass(frozen=True)
class Bands:
    """What the bands of the training patches are like."""

    num_bands: int
    """Bands of a patch, an alpha band not counted."""
    dtype: str
    """numpy name of the pixel type."""
    nodata: Number | None
    """Nodata value in force, None where files say it themselves or there is none."""
    mean: tuple[float, ...]
    """Mean of the valid pixels of each band, in the units of the raster."""
    std: tuple[float, ...]
    """Standard deviation of the valid pixels of each band; 1 for a constant band."""
    patch_shape: Shape
    """(rows, cols) of the patches as trained on."""
    nodata_rule: NodataRule | None = None
    """In how many bands data must be missing; None takes the usual rule."""
    nodata_overrides: bool = True
    """The user gave the nodata value, so it counts instead of what another raster declares;
    False: only for rasters that declare nothing."""

    scene: SceneRule = EACH_FILE
    """How the scenes of the run are put together from files, and what hides clouds."""
    identity: BandIdentity = NOTHING_STATED
    """What the training rasters said of their bands; nothing in runs of earlier versions."""
    patches: str = ""
    """Digest of the names and pixels of the patches; nothing in runs of earlier versions."""

    def __post_init__(self) -> None:
        """Raise ValueError for values that no pixel can be standardised with."""
        if self.num_bands < 1 or {len(self.mean), len(self.std)} != {self.num_bands}:
            raise ValueError(f"{self.num_bands} bands, but {len(self.mean)} means")
        if not all(map(math.isfinite, (*self.mean, *self.std))) or min(self.std) <= 0:
            raise ValueError(f"means {self.mean} and deviations {self.std}")
        if self.dtype not in PIXEL_TYPES:
            raise ValueError(f"pixels of {self.dtype}")
        if min(self.patch_shape) < 1:
            raise ValueError(f"patches of {self.patch_shape}")

    @property
    def nodata_choice(self) -> NodataChoice:
        """What the rasters of the run are read with, beside what they say of themselves."""
        return NodataChoice(self.nodata, self.nodata_rule, self.nodata_overrides, self.scene)

    def standardise(self, pixels: AnyArray, valid: BoolArray) -> FloatArray:
        """Return pixels with mean 0 and deviation 1, and 0 (the mean) where not valid.

        Values more than a million deviations from the mean are taken as that far, so that no sum
        of them becomes infinite.

        Args:
            pixels: (..., rows, cols, bands) in the units of the raster.
            valid: (..., rows, cols).
        """
        standardised = np.empty(pixels.shape, np.float32)
        whole, flat = pixels.reshape(-1, pixels.shape[-1]), standardised.reshape(-1, self.num_bands)
        usable = valid.reshape(-1, 1)
        # In float32 large numbers that differ by little are equal: subtract the mean in 64 bits.
        # In parts, because all pixels in 64 bits would need several times their memory.
        for start in range(0, len(whole), _PART):
            part = slice(start, start + _PART)
            with np.errstate(invalid="ignore", over="ignore"):  # where not valid
                scaled = np.subtract(whole[part], self.mean, dtype=np.float64)
                scaled /= self.std
            np.clip(scaled, -_FARTHEST, _FARTHEST, out=scaled)
            flat[part] = np.where(usable[part], scaled, 0)
        return standardised

    def same_as(self, other: Bands) -> bool:
        """Tell whether both say the same; unlike ==, also with NaN as nodata value.

        Of identity and patches they need not say the same, but must not contradict each other.
        """
        known_by_all = {field.name for field in fields(self)} - {"identity", "patches"}
        same = all(same_value(getattr(self, name), getattr(other, name)) for name in known_by_all)
        digests = {self.patches, other.patches} - {""}
        return same and len(digests) < 2 and self.identity.agrees_with(other.identity)

    def save(self, path: Path, **more: Any) -> None:
        """Write as JSON, with ``more`` facts for the reader."""
        values = asdict(self)
        values["nodata"] = encode_number(self.nodata)
        values["identity"] = self.identity.to_json()
        values["scene"] = self.scene.to_json()
        path.write_text(json.dumps(values | more, indent=2) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, path: Path) -> Bands:
        """Read what `save` wrote.

        Raises:
            RunError: if the file is missing or not such a file.
        """
        if not path.is_file():
            raise RunError(f"{path}: missing; is {path.parent} a run folder?")
        values = read_json(path, RunError)
        with taken_apart(RunError, f"{path}: is not the bands.json of a run"):
            return cls(
                num_bands=index(values["num_bands"]),
                dtype=str(values["dtype"]),
                nodata=decode_number(values["nodata"]),
                mean=_numbers(values["mean"]),
                std=_numbers(values["std"]),
                patch_shape=(index(values["patch_shape"][0]), index(values["patch_shape"][1])),
                nodata_rule=check_rule(values.get("nodata_rule")),
                nodata_overrides=bool(values.get("nodata_overrides", True)),
                scene=SceneRule.from_json(values.get("scene")),
                identity=BandIdentity.from_json(values.get("identity")),
                patches=str(values.get("patches", "")),
            )


def _numbers(values: Any) -> tuple[float, ...]:
    if not isinstance(values, list):
        raise TypeError(f"expected a list of numbers, found {short_value(values)}")
    return tuple(map(float, values))


@dataclass(frozen=True)
class PatchMoments:
    """What `BandMoments` needs to know of the valid pixels of one patch; (bands,) all."""

    count: int
    """Valid pixels."""
    mean: NDArray[np.float64]
    """Of their differences to the origin."""
    squares: NDArray[np.float64]
    """Sum of the squared deviations from ``mean``."""
    largest: NDArray[np.float64]
    """Largest absolute values."""

    @classmethod
    def of(cls, pixels: AnyArray, valid: BoolArray, origin: NDArray[np.float64]) -> PatchMoments:
        """Sum a patch up; (rows, cols, bands) and (rows, cols). ``origin`` is that of all."""
        values = pixels[valid].astype(np.float64)
        if not len(values):
            nothing = np.zeros(len(origin))
            return cls(0, nothing, nothing, nothing)
        largest = np.abs(values).max(axis=0)
        with np.errstate(invalid="ignore", over="ignore"):  # the deviation is infinite then
            values -= origin
            mean = values.mean(axis=0)
            return cls(len(values), mean, ((values - mean) ** 2).sum(axis=0), largest)


class BandMoments:
    """Mean and deviation of bands, fed one patch at a time (Chan et al. 1979).

    Everything is summed as differences to one origin, the first pixel, in 64 bits: sums of large
    numbers would be wrong by more than those differ.
    """

    def __init__(self, num_bands: int, origin: NDArray[np.float64] | None = None) -> None:
        """Start without any pixel.

        Args:
            num_bands: bands of a patch.
            origin: (bands,) the first valid pixel of all patches; None takes it from them.
        """
        self.count = 0
        self._origin = np.zeros(num_bands) if origin is None else origin
        self._mean = np.zeros(num_bands)  # of the differences
        self._squares = np.zeros(num_bands)
        self._largest = np.zeros(num_bands)

    def add(self, pixels: AnyArray, valid: BoolArray) -> None:
        """Add the valid pixels of a patch; (rows, cols, bands) and (rows, cols)."""
        if not self.count and valid.any():
            self._origin = pixels[valid][0].astype(np.float64)
        self.merge(PatchMoments.of(pixels, valid, self._origin))

    def merge(self, patch: PatchMoments) -> None:
        """Add the valid pixels of a patch that was summed up with the same origin."""
        if not patch.count:
            return
        np.maximum(self._largest, patch.largest, out=self._largest)
        total = self.count + patch.count
        with np.errstate(invalid="ignore", over="ignore"):
            shift = patch.mean - self._mean
            self._squares += patch.squares
            self._squares += shift**2 * (self.count * patch.count / total)
            self._mean += shift * (patch.count / total)
        self.count = total

    @property
    def mean(self) -> tuple[float, ...]:
        """Mean of each band."""
        return tuple(float(mean) for mean in self._origin + self._mean)

    @property
    def std(self) -> tuple[float, ...]:
        """Standard deviation of each band; 0 for a constant one, infinite beyond 64 bits."""
        deviations = (math.sqrt(squares / max(self.count, 1)) for squares in self._squares)
        return tuple(math.inf if math.isnan(std) else std for std in deviations)

    @property
    def largest(self) -> tuple[float, ...]:
        """Largest absolute value of each band."""
        return tuple(map(float, self._largest))
