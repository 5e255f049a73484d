"""How a scene is put together from several files, and which values of a quality band hide pixels.

The texts are those of ``--stack``, ``--mask_band`` and ``--mask_values``. They travel from tiling
to the patches, the run and the prediction.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import PurePath
from typing import Any

from clusternet.errors import SettingsError

_WILD = re.compile(r"(\[[^\]]+\]|\*|\?)")
_PIXEL_SIZE = re.compile(r"[_-]?(?<![0-9])\d+m$", re.I)
"""The pixel size at the end of a file name, as in ``_10m``."""
_NUMBER = re.compile(r"0*(\d+)")
_SIZE_FOLDER = re.compile(r"R\d+m", re.I)
"""Folders of one pixel size, as in Sentinel-2 products."""
_VALUES = re.compile(r"(\d+)(?:-(\d+))?|bit(\d+)", re.I)
_MOST_BITS = 64

SceneKey = tuple[str, ...]
"""What the names of all files of a scene share: the folder, and parts of the name."""


@dataclass(frozen=True)
class BandPattern:
    """How the file of one band of a scene is named."""

    name: str
    """The name of the band."""
    pattern: str
    """The end of the file's name without ending, or a pattern with ``*``, ``?`` or ``[...]``."""

    @classmethod
    def parse(cls, text: str) -> BandPattern:
        """Read ``B02``, ``*_B02_*.tif`` or ``blue=B02``."""
        name, _, pattern = text.rpartition("=")
        literal = max(_WILD.sub("\0", pattern).split("\0"), key=len)
        plain = re.sub(r"\.[a-z0-9]{2,4}$", "", literal, flags=re.I).strip("_-. /")
        return cls(name.strip() or plain or pattern, pattern.strip())

    def key(self, path: PurePath) -> SceneKey | None:
        """Return the scene that a file belongs to; None if it is not this band."""
        folder = [part for part in path.parent.parts if not _SIZE_FOLDER.fullmatch(part)]
        if not _WILD.search(self.pattern):
            start = self._start(path)
            return None if start is None else (*folder, start)
        by_folder = "/" in self.pattern
        parts = self.pattern.count("/") + 1
        above, name = path.parts[-parts:-1], path.name
        texts = ["/".join((*above, end)) for end in (path.stem, name)]
        found = (re.fullmatch(self._expression(), text, re.I) for text in texts)
        match = next((each for each in found if each is not None), None)
        if match is None:
            return None
        words = (_PIXEL_SIZE.sub("", word).strip("_-. ") for word in match.groups())
        outer = path.parts[:-parts] if by_folder else folder
        return (*outer, "_".join(word for word in words if word))

    def _start(self, path: PurePath) -> str | None:
        """Return the name before the band; None if the file's name does not end in the band.

        Zeros before numbers do not count: B2 is B02.
        """
        pieces = _NUMBER.split(self.pattern)
        end = "".join(f"0*{re.escape(p)}" if i % 2 else re.escape(p) for i, p in enumerate(pieces))
        for stem in (_PIXEL_SIZE.sub("", path.stem), path.stem, path.name):
            match = re.fullmatch(f"(.*?){end}", stem, re.I)
            if match is not None and not match[1][-1:].isalnum():
                return match[1].rstrip("_-. ")
        return None

    def _expression(self) -> str:
        wild = {"*": ".*", "?": "."}
        return "".join(
            f"({wild.get(piece, piece)})" if i % 2 else re.escape(piece)
            for i, piece in enumerate(_WILD.split(self.pattern))
        )


@dataclass(frozen=True)
class QualityValues:
    """The values of a quality band that mark pixels without use, such as clouds."""

    ranges: tuple[tuple[int, int], ...] = ()
    """(first, last) value of each range."""
    bits: tuple[int, ...] = ()
    """Numbers of bits of which any marks them, 0 is the lowest."""


@dataclass(frozen=True)
class SceneRule:
    """The texts of ``--stack``, ``--mask_band`` and ``--mask_values``; empty if not given."""

    stack: str = ""
    mask_band: str = ""
    mask_values: str = ""

    def __post_init__(self) -> None:
        """Raise SettingsError if a text cannot be read."""
        if bool(self.mask_band) != bool(self.mask_values):
            raise SettingsError(
                "Settings mask_band and mask_values: expected both or neither, such as "
                "--mask_band SCL --mask_values 3,8,9,10."
            )
        names = [band.name for band in self.bands]
        twice = next((name for name in names if names.count(name) > 1), None)
        is_whole = all(band.pattern and ";" not in band.pattern for band in self.bands)
        if twice is not None or not is_whole:
            raise SettingsError(
                f"Setting stack: expected different bands with commas between, such as "
                f"B02,B03,B04; received '{self.stack}'."
            )
        _ = self.quality

    @property
    def bands(self) -> tuple[BandPattern, ...]:
        """The bands of a scene, in their order; empty if each file is a scene."""
        return tuple(map(BandPattern.parse, self.stack.split(","))) if self.stack else ()

    @property
    def mask_pattern(self) -> BandPattern:
        """How the file of the quality band is named."""
        return BandPattern.parse(self.mask_band)

    @property
    def quality(self) -> QualityValues:
        """The values that hide a pixel."""
        ranges, bits = [], []
        for text in self.mask_values.split(",") if self.mask_values else ():
            match = _VALUES.fullmatch(text.strip())
            if match is None or (match[3] and int(match[3]) >= _MOST_BITS):
                raise SettingsError(
                    f"Setting mask_values: expected values, ranges or bits, such as 3,8-10 or "
                    f"bit3,bit4; received '{text.strip()}'."
                )
            if match[3]:
                bits.append(int(match[3]))
            else:
                ranges.append((int(match[1]), int(match[2] or match[1])))
        return QualityValues(tuple(ranges), tuple(bits))

    @property
    def is_given(self) -> bool:
        """True if any of the texts is given."""
        return bool(self.stack or self.mask_band)

    def to_json(self) -> dict[str, str]:
        """Return plain values, without empty ones."""
        return {name: text for name, text in asdict(self).items() if text}

    @classmethod
    def from_json(cls, values: Mapping[str, Any] | None) -> SceneRule:
        """Read what `to_json` wrote; files of earlier versions state nothing.

        Raises:
            SettingsError: if a text cannot be read.
        """
        known = ("stack", "mask_band", "mask_values")
        return cls(**{name: str((values or {}).get(name, "")) for name in known})


EACH_FILE = SceneRule()
"""Each file is a scene, and no quality band hides pixels."""
