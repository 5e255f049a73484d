"""RGB from 0 to 255 of the bands of any raster: three bands, stretched between percentiles."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from clusternet.errors import SettingsError
from clusternet.patches.bands import Bands
from clusternet.types import FloatArray

PERCENTILES = (1.0, 99.0)
"""Values of the training patches that become 0 and 255."""
_RGB = ("red", "green", "blue")
Three = tuple[float, float, float]


@dataclass(frozen=True)
class Stretch:
    """Three bands, and the values of each that become 0 and 255."""

    bands: tuple[int, int, int]
    """Red, green and blue; the first band of the raster is 1."""
    low: Three
    """In units of the raster; becomes 0."""
    high: Three
    """In units of the raster; becomes 255."""

    def __post_init__(self) -> None:
        """Raise ValueError for values that no band can be stretched between."""
        if not np.isfinite([self.low, self.high]).all() or not np.less(self.low, self.high).all():
            raise ValueError(f"a stretch from {self.low} to {self.high}")
        if {len(self.bands), len(self.low), len(self.high)} != {3} or min(self.bands) < 1:
            raise ValueError(f"bands {self.bands}")

    @classmethod
    def fit(cls, pixels: FloatArray, chosen: tuple[int, int, int], bands: Bands) -> Stretch:
        """Fit to pixels of the training patches.

        Args:
            pixels: (samples, bands), standardised.
            chosen: bands for red, green and blue, from 1 on.
            bands: statistics of the bands.
        """
        index = [band - 1 for band in chosen]
        values = pixels[:, index].astype(np.float64)
        low, high = np.percentile(values, PERCENTILES, axis=0)
        # Most pixels of a band may be equal. Then its full range is taken, or else one deviation.
        flat = low >= high
        low, high = (
            np.where(flat, values.min(axis=0), low),
            np.where(flat, values.max(axis=0), high),
        )
        high = np.where(low >= high, low + 1, high)
        mean, std = np.array(bands.mean)[index], np.array(bands.std)[index]
        return cls(chosen, _three(mean + std * low), _three(mean + std * high))

    def rgb(self, pixels: FloatArray, bands: Bands) -> FloatArray:
        """Return RGB from 0 to 255.

        Args:
            pixels: (..., bands), standardised.
            bands: statistics of the bands.

        Returns:
            (..., 3) float32.
        """
        index = [band - 1 for band in self.bands]
        mean, std = np.array(bands.mean)[index], np.array(bands.std)[index]
        factor = 255 / (np.array(self.high) - np.array(self.low))
        gain, shift = std * factor, (mean - np.array(self.low)) * factor
        stretched = pixels[..., index] * gain.astype(np.float32) + shift.astype(np.float32)
        return np.asarray(np.clip(stretched, 0, 255, out=stretched), np.float32)


def _three(values: FloatArray) -> Three:
    red, green, blue = map(float, values)
    return red, green, blue


def choose_bands(wanted: tuple[int, int, int] | None, bands: Bands) -> tuple[int, int, int]:
    """Return the bands for red, green and blue, from 1 on.

    Those that the user names; else those that the rasters call red, green and blue; else the first
    three, or the first one three times if there are fewer.

    Raises:
        SettingsError: if the user names a band that the patches do not have.
    """
    if wanted is not None:
        if not all(1 <= band <= bands.num_bands for band in wanted):
            raise SettingsError(
                f"--backbone_bands: expected three bands from 1 to {bands.num_bands}, received "
                f"{' '.join(map(str, wanted))}."
            )
        return wanted
    colours = bands.identity.colours
    if set(_RGB) <= set(colours):
        red, green, blue = (colours.index(name) + 1 for name in _RGB)
        return red, green, blue
    return (1, 2, 3) if bands.num_bands >= 3 else (1, 1, 1)
