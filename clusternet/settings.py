"""The settings of tiling and of a training run.

A setting has one name in three places: ``patch_shape:`` in a YAML file, ``--patch_shape 512 512``
on the command line, ``patch_shape=`` in a call. Flags win over the file, the file over defaults.
Paths are given on the command line only.

Each field declares a setting completely: its type and choices, its description (which ``--help``
and docs/cli.md show), further arguments of its flag, and its default.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from clusternet.errors import SettingsError
from clusternet.messages import short_value, unknown_key_message
from clusternet.nodata import NodataChoice, NodataRule, Number
from clusternet.scene_rule import SceneRule
from clusternet.value_types import check_seed, check_types
from clusternet.windows import Edge, Shape

Padding = Literal["same", "valid"]
ClusterScope = Literal["epoch", "batch"]
Precision = Literal["auto", "float32", "mixed_bfloat16"]
BackboneFile = Literal["copy", "reference"]
FeatureTransform = Literal["none", "standardise", "whiten", "neighbours"]

_STEP_PIXELS = 4 * 256 * 256
"""Most pixels of a training step, if ``train_batch_size`` is not given; one patch may have more."""
_EPOCH_STEPS = 30
"""Fewest steps of an epoch, if there are enough patches."""
_EPOCHS_A_PASS = 3
"""Epochs that together see each patch once, if all have fewer pixels than epochs should have."""


NodataValue = Annotated[
    Number | None,
    "nodata value, instead of the files' own; 0 makes black pixels nodata",
    {"metavar": "X"},
]


@dataclass(frozen=True)
class TrainingSettings:
    """Everything about a training run but its paths; shapes are (rows, cols)."""

    img_shape: Annotated[Shape | None, "resize patches to this (default: their own shape)"] = None
    num_clusters: Annotated[int, "number of clusters"] = 100
    num_epochs: Annotated[
        int, "alternations of clustering and training; with --labels 0 unless given"
    ] = 10
    learn_rate: Annotated[float, "learning rate of Adam"] = 5e-4
    train_batch_size: Annotated[
        int | None,
        "patches in a training step (default: a thirtieth of an epoch, 4 of 256 x 256 at most)",
    ] = None
    clust_batch_size: Annotated[int, "patches in a group, with --cluster_scope batch"] = 32
    cluster_scope: Annotated[
        ClusterScope,
        "one codebook for all patches, or a fresh one for each group of patches as in the "
        "published code",
    ] = "epoch"
    # they make the first pseudo-labels useful, while the network's features are still random
    fixed_filters: Annotated[
        bool, "cluster pixels by the fixed filters beside the network's features"
    ] = True
    epoch_megapixels: Annotated[
        int | float,
        "size of an epoch: patches drawn anew each time, in millions of pixels, a third of all "
        "at most; 0 takes all",
        {"type": float, "metavar": "MEGAPIXELS"},
    ] = 8
    augment: Annotated[
        bool, "train on copies of the patches that are flipped, rotated and changed in brightness"
    ] = True
    pixel_step: Annotated[
        int,
        "label and train on every n-th row and column of pixels alone, from other ones each "
        "epoch; 2 saves a third of the time and costs quality; --labels takes all",
        {"metavar": "N"},
    ] = 1
    padding: Annotated[
        Padding,
        "same labels every pixel of a patch, valid only its centre as in the published code",
    ] = "same"
    # each deeper level has twice as many
    base_filters: Annotated[int, "filters of the first level of the U-Net"] = 16
    num_features: Annotated[int, "features a pixel"] = 64
    feature_transform: Annotated[
        FeatureTransform,
        "how features are scaled before K-Means; with neighbours, features that change within "
        "16 pixels weigh less",
    ] = "neighbours"
    samples_per_centroid: Annotated[
        int,
        "pixels sampled for K-Means, for each cluster; 0 takes all (only with --cluster_scope "
        "batch)",
    ] = 256
    sample_patches: Annotated[int, "most patches that the sample is drawn from"] = 64
    kmeans_iterations: Annotated[int, "iterations of K-Means at each clustering"] = 20
    precision: Annotated[
        Precision,
        "arithmetic inside the network; auto takes bfloat16 where the hardware has it",
    ] = "auto"
    backbone: Annotated[
        str | None,
        "pretrained network that describes pixels, too: a .keras file that maps RGB to feature "
        "maps, a network of keras.applications, or a preset, folder or handle of KerasHub",
        {"metavar": "NETWORK"},
    ] = None
    backbone_weights: Annotated[
        str | None,
        "weights of a network of keras.applications: a file, or imagenet, which Keras downloads",
        {"metavar": "WEIGHTS"},
    ] = None
    backbone_bands: Annotated[
        tuple[int, int, int] | None,
        "bands that the backbone gets as red, green and blue, the first band is 1 (default: those "
        "that the rasters call so, else 1 2 3)",
        {"nargs": 3, "metavar": ("RED", "GREEN", "BLUE"), "type": int},
    ] = None
    backbone_scale: Annotated[
        int | None,
        "enlarge images by this factor for the backbone, which then tells smaller objects apart; "
        "takes its square in time (default: 1)",
        {"metavar": "FACTOR"},
    ] = None
    backbone_file: Annotated[
        BackboneFile | None,
        "copy the backbone's file into the run, or refer to it by path and hash (default: copy)",
    ] = None
    nodata: NodataValue = None
    cluster_weight: Annotated[float, "with --labels: weight of the loss of clusters"] = 0.3
    skip_bad_files: Annotated[bool, "leave damaged patches out, and count them"] = False
    seed: Annotated[int, "fixes every random choice (docs/method.md: what may still differ)"] = 1
    workers: Annotated[int, "threads or processes that read and write beside the main one"] = 2

    def __post_init__(self) -> None:
        """Refuse values that no run can use."""
        check_types(self, SettingsError, "Setting ")
        for name, most in _MOST.items():
            if (getattr(self, name) or 0) > most:
                _refuse(name, f"at most {most}", getattr(self, name))
        positive = (
            "num_clusters", "learn_rate", "clust_batch_size", "base_filters", "num_features",
            "sample_patches", "kmeans_iterations", "workers", "pixel_step",
        )  # fmt: skip
        for name in positive:
            if not getattr(self, name) > 0:
                _refuse(name, "a number above 0", getattr(self, name))
        if self.train_batch_size is not None and self.train_batch_size < 1:
            _refuse("train_batch_size", "a number above 0", self.train_batch_size)
        if self.num_clusters < 2:
            _refuse("num_clusters", "at least 2", self.num_clusters)
        for name in ("num_epochs", "samples_per_centroid", "epoch_megapixels", "cluster_weight"):
            if not getattr(self, name) >= 0:  # nor NaN
                _refuse(name, "0 or more", getattr(self, name))
        if self.samples_per_centroid == 0 and self.cluster_scope != "batch":
            raise SettingsError(
                "Setting samples_per_centroid: 0 (all pixels) needs cluster_scope batch; "
                "memory would grow with the number of patches. Try 256."
            )
        if self.feature_transform == "neighbours" and self.cluster_scope == "batch":
            raise SettingsError(
                "Setting feature_transform: neighbours needs cluster_scope epoch; groups of "
                "patches (cluster_scope batch) are clustered without it. Try none."
            )
        if self.backbone is not None and self.cluster_scope == "batch":
            _refuse("backbone", "none with cluster_scope batch", self.backbone)
        check_seed(self.seed)
        if self.img_shape is not None and min(self.img_shape) < 1:
            _refuse("img_shape", "two numbers above 0", self.img_shape)
        self._check_backbone()

    def _check_backbone(self) -> None:
        if self.backbone is not None and not self.backbone.strip():
            _refuse("backbone", "a file or the name of a network", self.backbone)
        for name in _BACKBONE:
            if self.backbone is None and getattr(self, name) is not None:
                raise SettingsError(f"Setting {name}: needs a backbone; add --backbone.")
        if self.backbone_bands is not None and min(self.backbone_bands) < 1:
            _refuse("backbone_bands", "three numbers above 0", self.backbone_bands)
        if self.backbone_scale is not None and self.backbone_scale < 1:
            _refuse("backbone_scale", "a number above 0", self.backbone_scale)

    def epoch_patches(self, shape: Shape, num_patches: int) -> int:
        """Return the patches of an epoch: as many as make ``epoch_megapixels``, 0 for all.

        A network that sees each patch more than three or four times overfits to the patches
        (docs/experiments.md). So an epoch has a third of the patches at most, and ten epochs see
        each about three times. If there are few patches, an epoch has enough for 30 steps.

        Args:
            shape: (rows, cols) of a patch.
            num_patches: number of patches that can be trained on.
        """
        if not self.epoch_megapixels:
            return num_patches
        most = self.epoch_megapixels * 1e6 / (shape[0] * shape[1])
        share = max(num_patches / _EPOCHS_A_PASS, _EPOCH_STEPS)
        return math.ceil(min(most, share, num_patches))

    def batch_size(self, shape: Shape, num_patches: int) -> int:
        """Return the patches in a training step.

        It gives an epoch about 30 steps for any size and number of patches, but limits the pixels
        of a step, and so the memory.

        Args:
            shape: (rows, cols) of a patch.
            num_patches: number of patches that can be trained on.
        """
        if self.train_batch_size is not None:
            return self.train_batch_size
        largest = _STEP_PIXELS // (shape[0] * shape[1])
        return max(1, min(self.epoch_patches(shape, num_patches) // _EPOCH_STEPS, largest))

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any]) -> TrainingSettings:
        """Build settings from a mapping such as a parsed YAML file; other keys are refused."""
        return cls(**_checked(cls, values))

    def to_mapping(self) -> dict[str, Any]:
        """Return the settings as plain values for YAML."""
        values = dataclasses.asdict(self)
        for name in ("img_shape", "backbone_bands"):
            if values[name] is not None:
                values[name] = list(values[name])
        return values


@dataclass(frozen=True)
class TilingSettings:
    """How rasters are cut into patches; shapes are (rows, cols)."""

    patch_shape: Annotated[Shape, "size of a patch in pixels"] = (512, 512)
    stride: Annotated[Shape | None, "step between patches in pixels (default: the patch shape)"] = (
        None
    )
    crop_shape: Annotated[
        Shape | None,
        "also write the centre of each patch, of this size; masks, if any, are cut to it too",
    ] = None
    edge: Annotated[
        Edge,
        "last row and column of patches: shifted back inside the raster, padded with nodata, or "
        "dropped",
    ] = "shift"
    stack: Annotated[
        str | None,
        "bands in separate files, such as B02,B03,B04,B08,B11: the ends of their names, or "
        "patterns with *; files that share the rest of the name are one scene, on the finest grid",
        {"metavar": "BANDS"},
    ] = None
    mask_band: Annotated[
        str | None, "quality band, such as SCL; it is no band of the patches", {"metavar": "BAND"}
    ] = None
    mask_values: Annotated[
        str | None,
        "values of the quality band that become nodata, such as 3,8-10 for clouds of Sentinel-2, "
        "or bits, such as bit3,bit4 for Landsat",
        {"metavar": "VALUES"},
    ] = None
    # Nodata pixels never enter training, so a patch with half of them is still useful. A patch
    # with nothing else is always left out.
    keep_dark_region_ratio: Annotated[
        float,
        "largest share of nodata pixels (black ones with --nodata 0) in a patch that is kept; "
        "padding does not count",
        {"metavar": "RATIO"},
    ] = 0.5
    nodata: NodataValue = None
    # NaN, alpha and a mask of the whole raster count in any case
    nodata_rule: Annotated[
        NodataRule | None,
        "a pixel is nodata if any of its bands is, or only if all are (default: any; all in 8-bit "
        "rasters whose bands share a nodata value, since single zeros are common in dark areas)",
    ] = None

    def __post_init__(self) -> None:
        """Refuse values that no raster can be cut with."""
        check_types(self, SettingsError, "Setting ")
        for name in ("patch_shape", "stride", "crop_shape"):
            value = getattr(self, name)
            if value is not None and (len(value) != 2 or min(value) < 1):
                _refuse(name, "two numbers above 0", value)
        if self.crop_shape is not None and not (
            self.crop_shape[0] <= self.patch_shape[0] and self.crop_shape[1] <= self.patch_shape[1]
        ):
            _refuse("crop_shape", f"at most the patch_shape {self.patch_shape}", self.crop_shape)
        if not 0 <= self.keep_dark_region_ratio <= 1:
            _refuse("keep_dark_region_ratio", "a share from 0 to 1", self.keep_dark_region_ratio)
        _ = self.scene_rule

    @property
    def scene_rule(self) -> SceneRule:
        """How scenes are put together from files, and what hides clouds."""
        return SceneRule(self.stack or "", self.mask_band or "", self.mask_values or "")

    @property
    def nodata_choice(self) -> NodataChoice:
        """What the user chooses to mark pixels without data."""
        return NodataChoice(self.nodata, self.nodata_rule, scene=self.scene_rule)

    @property
    def full_stride(self) -> Shape:
        """The stride; the patch shape if none is set."""
        return self.stride or self.patch_shape

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any]) -> TilingSettings:
        """Build settings from a mapping such as parsed arguments; other keys are refused."""
        return cls(**_checked(cls, values))


_BACKBONE = ("backbone_weights", "backbone_bands", "backbone_scale", "backbone_file")
_MOST = {
    "num_clusters": 65535, "base_filters": 1024, "num_features": 4096, "workers": 1024,
    "backbone_scale": 8, "pixel_step": 4,
}  # fmt: skip
"""Largest values: a 16-bit map numbers 65535 clusters; larger networks exceed any memory;
a patch has at least five labelled pixels a side."""


def _checked(kind: type, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return values as keywords for ``kind``; refuse unknown keys."""
    # YAML and argparse give shapes as lists
    names = [field.name for field in dataclasses.fields(kind)]
    for key in values:
        if key not in names:
            raise SettingsError(unknown_key_message(key, names))
    return {key: tuple(item) if isinstance(item, list) else item for key, item in values.items()}


def _refuse(name: str, expected: str, received: object) -> None:
    raise SettingsError(
        f"Setting {name}: expected {expected}, received {short_value(received, 60)}."
    )


def same_value(one: object, other: object) -> bool:
    """Tell whether two settings are equal; NaN, a common nodata value, equals itself here."""
    return bool(one == other) or bool(one != one and other != other)
