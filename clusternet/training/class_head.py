"""The class head of a fine-tuned run: its classes and its weights, in a file of the run folder."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from clusternet.errors import RunError
from clusternet.files.arrays import check_array, read_arrays, write_arrays
from clusternet.labels.origins import Origin
from clusternet.legend.land_classes import MAX_CLASS, LandClass
from clusternet.patches.batches import Batch
from clusternet.text_files import taken_apart
from clusternet.training.run_identity import COLUMN
from clusternet.types import AnyArray, FloatArray, IntArray, UInt8Array

_DIGEST = "model_sha256"


@dataclass(frozen=True)
class ClassHead:
    """The classes that a run predicts, and the weights of its class head."""

    classes: tuple[LandClass, ...]
    """The class of each column of its scores, in ascending order of their numbers."""
    arrays: Mapping[str, FloatArray]
    """See `clusternet.network.class_head.ARRAYS`."""
    origins: tuple[Origin, ...] = ()
    """The label files that they were learned from, with absolute paths."""

    @property
    def numbers(self) -> IntArray:
        """(classes,) class number of each column."""
        return np.array([land_class.number for land_class in self.classes], np.int32)

    @property
    def colours(self) -> UInt8Array:
        """(classes, 3) colour of each column."""
        return np.array([land_class.colour for land_class in self.classes], np.uint8)

    @property
    def identity(self) -> str:
        """A short name that differs between class heads; class maps carry it."""
        found = hashlib.sha256(repr(self.classes).encode())
        for name in sorted(self.arrays):
            found.update(np.ascontiguousarray(self.arrays[name]).tobytes())
        return found.hexdigest()[:16]

    def to_arrays(self) -> dict[str, AnyArray]:
        """Return the arrays of an npz file."""
        names = np.array([land_class.name for land_class in self.classes])
        table = {"numbers": self.numbers, "names": names, "colours": self.colours}
        files = [origin.path.as_posix() for origin in self.origins]
        digests = [origin.digest for origin in self.origins]
        labels = {"label_files": np.array(files, str), "label_digests": np.array(digests, str)}
        return table | labels | dict(self.arrays)

    @classmethod
    def from_arrays(cls, values: Mapping[str, AnyArray]) -> ClassHead:
        """Build from what `to_arrays` returned.

        Raises:
            KeyError: if something is missing.
            ValueError: if something does not fit the rest, or is not finite.
        """
        depth, units = values["hidden"].shape
        count = len(values["numbers"])
        shapes = {
            "offset": (depth,), "projection": (depth, depth), "hidden": (depth, units),
            "hidden_bias": (units,), "output": (units, count), "bias": (count,),
        }  # fmt: skip
        for name, shape in shapes.items():
            check_array(name, values[name], shape, "f")
        check_array("numbers", values["numbers"], (count,), "iu")
        check_array("colours", values["colours"], (count, 3), "u")
        numbers, names = values["numbers"].tolist(), values["names"].tolist()
        if len(names) != count or count < 2 or numbers != sorted(set(numbers)):
            raise ValueError(f"{count} classes with numbers {numbers[:8]}")
        if numbers[0] < 0 or numbers[-1] > MAX_CLASS:
            raise ValueError(f"classes {numbers[0]} to {numbers[-1]}")
        classes = tuple(
            LandClass(number, str(name), (int(red), int(green), int(blue)))
            for number, name, (red, green, blue) in zip(
                numbers, names, values["colours"].tolist(), strict=True
            )
        )
        files, digests = (values[f"label_{name}"].tolist() for name in ("files", "digests"))
        origins = tuple(
            Origin(Path(str(file)), str(digest))
            for file, digest in zip(files, digests, strict=True)
        )
        return cls(classes, {name: values[name].astype(np.float32) for name in shapes}, origins)


class ClassSide(Protocol):
    """What a network that learns classes shows and saves beside its clusters."""

    def class_head(self) -> ClassHead:
        """Return the classes and the present weights of the class head."""

    def classify(self, batch: Batch) -> IntArray:
        """Return the column of each pixel's class, -1 where not valid."""


def write_class_head(path: Path, head: ClassHead, model_digest: str, identity: str = "") -> None:
    """Write a class head as plain arrays."""
    texts = {_DIGEST: np.array(model_digest), COLUMN: np.array(identity)}
    write_arrays(path, head.to_arrays() | texts)


def read_class_head(path: Path) -> tuple[ClassHead, str]:
    """Return a class head and the digest of the network that it belongs to.

    Raises:
        RunError: if the file is damaged or foreign.
    """
    values = read_arrays(path)
    with taken_apart(RunError, f"{path}: is not the class head of a run"):
        return ClassHead.from_arrays(values), str(values[_DIGEST])
