"""Statistics of the bands of a set of patches: fitted once, kept with the run, used everywhere."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from clusternet.errors import RunError
from clusternet.nodata import (
    NodataChoice,
    NodataRule,
    Number,
    check_rule,
    decode_number,
    encode_number,
)
from clusternet.settings import same_value
from clusternet.types import AnyArray, BoolArray, FloatArray
from clusternet.windows import Shape


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

    @property
    def nodata_choice(self) -> NodataChoice:
        """What the rasters of the run are read with, beside what they say of themselves."""
        return NodataChoice(self.nodata, self.nodata_rule, self.nodata_overrides)

    def standardise(self, pixels: AnyArray, valid: BoolArray) -> FloatArray:
        """Return pixels with mean 0 and deviation 1, and 0 (the mean) where not valid.

        Args:
            pixels: (..., rows, cols, bands) in the units of the raster.
            valid: (..., rows, cols).
        """
        mean, std = np.array(self.mean, np.float32), np.array(self.std, np.float32)
        scaled = (pixels.astype(np.float32) - mean) / std
        return np.where(valid[..., None], scaled, np.float32(0))

    def same_as(self, other: Bands) -> bool:
        """Tell whether both say the same; unlike ==, also with NaN as nodata value."""
        names = [field.name for field in fields(self)]
        return all(same_value(getattr(self, name), getattr(other, name)) for name in names)

    def save(self, path: Path, **more: Any) -> None:
        """Write as JSON, with ``more`` facts for the reader."""
        values = asdict(self)
        values["nodata"] = encode_number(self.nodata)
        path.write_text(json.dumps(values | more, indent=2) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, path: Path) -> Bands:
        """Read what `save` wrote.

        Raises:
            RunError: if the file is missing or not such a file.
        """
        try:
            values = json.loads(path.read_text(encoding="utf-8"))
            return cls(
                num_bands=int(values["num_bands"]),
                dtype=str(values["dtype"]),
                nodata=decode_number(values["nodata"]),
                mean=tuple(map(float, values["mean"])),
                std=tuple(map(float, values["std"])),
                patch_shape=(int(values["patch_shape"][0]), int(values["patch_shape"][1])),
                nodata_rule=check_rule(values.get("nodata_rule")),
                nodata_overrides=bool(values.get("nodata_overrides", True)),
            )
        except FileNotFoundError as error:
            raise RunError(f"{path}: missing; is {path.parent} a run folder?") from error
        except (OSError, ValueError, KeyError, TypeError, IndexError) as error:
            raise RunError(f"{path}: is not the bands.json of a run ({error}).") from error


class BandMoments:
    """Mean and deviation of bands, fed one patch at a time (Chan et al. 1979)."""

    def __init__(self, num_bands: int) -> None:
        """Start without any pixel."""
        self.count = 0
        self._mean = np.zeros(num_bands)
        self._squares = np.zeros(num_bands)

    def add(self, pixels: AnyArray, valid: BoolArray) -> None:
        """Add the valid pixels of a patch; (rows, cols, bands) and (rows, cols)."""
        values = pixels[valid].astype(np.float64)
        if not len(values):
            return
        mean = values.mean(axis=0)
        total = self.count + len(values)
        shift = mean - self._mean
        self._squares += ((values - mean) ** 2).sum(axis=0)
        self._squares += shift**2 * (self.count * len(values) / total)
        self._mean += shift * (len(values) / total)
        self.count = total

    @property
    def mean(self) -> tuple[float, ...]:
        """Mean of each band."""
        return tuple(float(mean) for mean in self._mean)

    @property
    def std(self) -> tuple[float, ...]:
        """Standard deviation of each band; 0 for a constant one."""
        return tuple(math.sqrt(squares / max(self.count, 1)) for squares in self._squares)
