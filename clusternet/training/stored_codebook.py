"""The codebook as kept in a run folder, with what belongs to it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import astuple, dataclass
from pathlib import Path

import numpy as np

from clusternet.clustering.components import Components
from clusternet.clustering.kmeans import Codebook
from clusternet.clustering.reduction import Reduction
from clusternet.errors import RunError
from clusternet.files.arrays import check_array, read_arrays, write_arrays
from clusternet.text_files import taken_apart
from clusternet.training.run_identity import COLUMN
from clusternet.types import AnyArray, FloatArray, IntArray

_REDUCTION = ("backbone_offset", "backbone_projection")  # the fields of `Reduction`
_COMPONENTS = ("component_axes", "component_range")  # the fields of `Components`


@dataclass(frozen=True)
class StoredCodebook:
    """A codebook as kept in a run, with the sizes of its clusters and the range of features."""

    codebook: Codebook
    sizes: IntArray
    """(clusters,) sampled pixels of each cluster."""
    feature_range: FloatArray
    """(2, depth) 0.5 and 99.5 percentile of each feature, for writing them as bytes."""
    reduction: Reduction | None = None
    """Of a backbone's features; None without one."""
    components: Components | None = None
    """None if features are not reduced, and in runs of earlier versions."""

    @property
    def identity(self) -> str:
        """A short name that differs between codebooks; maps carry it."""
        return hashlib.sha256(self.codebook.centroids.tobytes()).hexdigest()[:16]

    def to_arrays(self) -> dict[str, AnyArray]:
        """Return the arrays of an npz file."""
        more: dict[str, AnyArray] = {}
        if self.reduction is not None:
            more |= zip(_REDUCTION, astuple(self.reduction), strict=True)
        if self.components is not None:
            more |= zip(_COMPONENTS, astuple(self.components), strict=True)
        return more | {
            "centroids": self.codebook.centroids,
            "offset": self.codebook.offset,
            "projection": self.codebook.projection,
            "sizes": self.sizes,
            "feature_range": self.feature_range,
        }

    @classmethod
    def from_arrays(cls, values: Mapping[str, AnyArray]) -> StoredCodebook:
        """Build from what `to_arrays` returned.

        Raises:
            KeyError: if something is missing.
            ValueError: if something does not fit the rest, or is not finite.
        """
        codebook = Codebook(values["centroids"], values["offset"], values["projection"])
        clusters, depth = codebook.centroids.shape
        shapes = {
            "centroids": (clusters, depth), "offset": (depth,), "projection": (depth, depth),
            "feature_range": (2, depth), "sizes": (clusters,),
        }  # fmt: skip
        for name, shape in shapes.items():
            check_array(name, values[name], shape, "iu" if name == "sizes" else "f")
        return cls(
            codebook, values["sizes"], values["feature_range"], _reduction(values),
            _components(values, depth),
        )  # fmt: skip


def _reduction(values: Mapping[str, AnyArray]) -> Reduction | None:
    """Read the reduction of a backbone; errors as of `StoredCodebook.from_arrays`."""
    if _REDUCTION[0] not in values:
        return None
    offset, projection = (values[name] for name in _REDUCTION)
    for name, array, ndim in zip(_REDUCTION, (offset, projection), (1, 2), strict=True):
        check_array(name, array, array.shape, "f")
        if array.ndim != ndim or not array.size or len(array) != len(offset):
            raise ValueError(f"{name} is {array.shape}")
    return Reduction(offset, projection)


def _components(values: Mapping[str, AnyArray], depth: int) -> Components | None:
    """Read the components of a codebook; errors as of `StoredCodebook.from_arrays`."""
    if _COMPONENTS[0] not in values:
        return None
    axes, ends = (values[name] for name in _COMPONENTS)
    count = axes.shape[1] if axes.ndim == 2 else 0
    if not count:
        raise ValueError(f"{_COMPONENTS[0]} is {axes.shape}")
    check_array(_COMPONENTS[0], axes, (depth, count), "f")
    check_array(_COMPONENTS[1], ends, (2, count), "f")
    return Components(axes, ends)


def write_codebook(
    path: Path, stored: StoredCodebook, model_digest: str, identity: str = ""
) -> None:
    """Write a codebook as plain arrays."""
    texts = {"model_sha256": np.array(model_digest), COLUMN: np.array(identity)}
    write_arrays(path, stored.to_arrays() | texts)


def read_codebook(path: Path) -> tuple[StoredCodebook, str]:
    """Return a codebook and the digest of the model that it belongs to.

    Raises:
        RunError: if the file is missing or not a codebook.
    """
    values = read_arrays(path)
    with taken_apart(RunError, f"{path}: is not the codebook of a run"):
        return StoredCodebook.from_arrays(values), str(values["model_sha256"])
