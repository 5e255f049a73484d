"""The run folder. Prediction reads everything from it: no setting has to be repeated.

========================  ==========================================================
``settings.yaml``         the settings, resolved
``bands.json``            band statistics of the training patches, library versions
``model.keras``           the network
``codebook.npz``          centroids, feature transform, cluster sizes, feature range, leading
                          components, and the reduction of a backbone
``backbone.json``         stretch and geometry of a backbone, if the run has one
``backbone.keras``        its network, unless the run refers to a file elsewhere
``class_head.npz``        classes and the weights that tell them apart; in fine-tuned runs
``history.csv``           one row an epoch
``checkpoint/state.npz``  everything that ``--resume`` needs
``previews/``             image beside cluster map, one picture an epoch
``tensorboard/``          the figures of ``history.csv`` for TensorBoard
========================  ==========================================================
"""

from __future__ import annotations

import csv
import dataclasses
import hashlib
import zipfile
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from clusternet.errors import RunError, SettingsError
from clusternet.files.outputs import new_file
from clusternet.network.sizes import num_weights
from clusternet.patches.bands import Bands
from clusternet.raster import RasterProfile, one_scene
from clusternet.raster.band_fit import fit_bands
from clusternet.raster.band_identity import Arrangement
from clusternet.scene_rule import EACH_FILE, SceneRule
from clusternet.settings import TrainingSettings
from clusternet.text_files import taken_apart
from clusternet.training.backbone_files import StoredBackbone
from clusternet.training.class_head import ClassHead, read_class_head, write_class_head
from clusternet.training.epoch_record import EpochRecord
from clusternet.training.run_files import (
    BACKBONE,
    BANDS,
    CLASS_HEAD,
    CODEBOOK,
    HISTORY,
    MODEL,
    SETTINGS,
    STATE,
)
from clusternet.training.run_identity import COLUMN, as_comment, check_identity
from clusternet.training.stored_codebook import StoredCodebook, read_codebook, write_codebook
from clusternet.yaml_files import read_yaml, write_yaml

_LIBRARIES = (
    "tensorflow-cpu", "tensorflow", "jax", "torch", "keras", "faiss-cpu", "numpy", "rasterio",
)  # fmt: skip


@dataclass(frozen=True)
class Run:
    """A run folder read back, the network left on disk."""

    folder: Path
    settings: TrainingSettings
    bands: Bands
    stored: StoredCodebook
    backbone: StoredBackbone | None = None
    """None if pixels are described without one."""
    class_head: ClassHead | None = None
    """Only of fine-tuned runs: it predicts classes."""

    @property
    def model_path(self) -> Path:
        """The network's file."""
        return self.folder / MODEL

    def identity(self, assign: str) -> str:
        """Return a short name that differs between runs whose maps of a kind differ."""
        if assign == "classes" and self.class_head is not None:
            return self.class_head.identity
        return self.stored.identity

    def check_fits(self, profile: RasterProfile) -> Arrangement:
        """Return how the bands of a raster are to be read.

        Raises:
            RunError: if bands or pixel type differ from the run's.
        """
        bands = self.bands
        if (profile.num_bands, profile.dtype) != (bands.num_bands, bands.dtype):
            raise RunError(
                f"{profile.path}: expected {bands.num_bands} band(s) of {bands.dtype} as in the "
                f"run {self.folder}, found {profile.num_bands} of {profile.dtype}; a run fits "
                "rasters like those that it was trained on."
            )
        return fit_bands(bands.identity, profile, f"the run {self.folder}", RunError)


def scene_of_run(folder: Path, source: Path) -> Path:
    """Return the scene that a path names, put together as the scenes of a run.

    Raises:
        RasterError: if it names several scenes, or none.
        RunError: if the run's description cannot be read.
    """
    return one_scene(source, scene_rule_of(folder))


def scene_rule_of(folder: Path) -> SceneRule:
    """Return how the scenes of a run are put together; what is no run is refused by `load_run`."""
    return Bands.load(folder / BANDS).scene if (folder / BANDS).is_file() else EACH_FILE


def load_run(folder: Path) -> Run:
    """Read a run folder and check that its files belong together.

    Raises:
        RunError: if a file is missing, damaged, or of another run.
    """
    if not folder.is_dir():
        raise RunError(f"{folder}: expected a run folder as main.py writes it, found none.")
    for name in (SETTINGS, BANDS, MODEL, CODEBOOK):
        if not (folder / name).is_file():
            raise RunError(f"{folder / name}: missing; is {folder} a run folder?")
    settings = _read_settings(folder / SETTINGS)
    bands = Bands.load(folder / BANDS)
    stored, model_digest = read_codebook(folder / CODEBOOK)
    backbone = _load_stored_backbone(folder, settings, stored)
    class_head, head_digest = None, model_digest
    if (folder / CLASS_HEAD).is_file():
        class_head, head_digest = read_class_head(folder / CLASS_HEAD)
    more = [BACKBONE] if backbone else []
    check_identity(folder, (SETTINGS, BANDS, CODEBOOK, CLASS_HEAD, HISTORY, *more))
    if {model_digest, head_digest} != {_digest(folder / MODEL)}:
        raise RunError(
            f"{folder}: {MODEL} and {CODEBOOK} are of different epochs or runs; if the run was "
            "killed while it saved, main.py --resume mends it."
        )
    if stored.codebook.num_clusters != settings.num_clusters:
        raise RunError(
            f"{folder / CODEBOOK}: expected {settings.num_clusters} clusters as in {SETTINGS}, "
            f"found {stored.codebook.num_clusters}; these files are not of one run."
        )
    _check_network(folder / MODEL, expected_weights(settings, bands.num_bands))
    return Run(folder, settings, bands, stored, backbone, class_head)


def _load_stored_backbone(
    folder: Path, settings: TrainingSettings, stored: StoredCodebook
) -> StoredBackbone | None:
    if (settings.backbone is None) != (stored.reduction is None):
        raise RunError(
            f"{folder}: {SETTINGS} and {CODEBOOK} differ in whether the run has a backbone; these "
            "files are not of one run."
        )
    if settings.backbone is None:
        return None
    backbone = StoredBackbone.load(folder)
    backbone.check_file(folder)
    return backbone


def expected_weights(settings: TrainingSettings, num_bands: int) -> int:
    """Return the number of weights of the network that settings make."""
    return num_weights(
        num_bands, settings.num_clusters, settings.base_filters, settings.num_features
    )


def _check_network(path: Path, expected: int) -> None:
    """Refuse a file that cannot hold the network of the settings, before one is built."""
    if not zipfile.is_zipfile(path):  # reading its weights refuses it with a better message
        return
    with taken_apart(RunError, f"{path}: is no network"), zipfile.ZipFile(path) as archive:
        held = max((entry.file_size for entry in archive.infolist()), default=0) // 4
    if held < expected:
        raise RunError(
            f"{path}: expected a network of {expected:,} weights as of {SETTINGS} and {BANDS}, "
            f"found {held:,} at most; these files are not of one run."
        )


def _read_settings(path: Path) -> TrainingSettings:
    try:
        values = read_yaml(path)
    except SettingsError as error:
        raise RunError(str(error)) from error
    try:
        return TrainingSettings.from_mapping(values)
    except SettingsError as error:
        raise RunError(f"{path}: {error}") from error


def saved_settings(folder: Path) -> dict[str, Any]:
    """Return the settings that a run was started with; empty if there is none to resume."""
    if not (folder / STATE).is_file():
        return {}
    return _read_settings(folder / SETTINGS).to_mapping()


def save_description(
    folder: Path, settings: TrainingSettings, bands: Bands, identity: str = ""
) -> None:
    """Write what stays the same over the run: settings and band statistics."""
    with new_file(folder / SETTINGS, overwrite=True) as path:
        write_yaml(path, settings.to_mapping(), start=as_comment(identity))
    with new_file(folder / BANDS, overwrite=True) as path:
        bands.save(path, versions=library_versions(), **{COLUMN: identity})


def save_result(
    folder: Path,
    network: Any,
    stored: StoredCodebook,
    history: Sequence[EpochRecord],
    identity: str = "",
    class_head: ClassHead | None = None,
) -> None:
    """Write what an epoch changes: network, codebook, class head and history of one moment."""
    with ExitStack() as stack:
        model = stack.enter_context(new_file(folder / MODEL, overwrite=True))
        codebook = stack.enter_context(new_file(folder / CODEBOOK, overwrite=True))
        network.save(model)
        digest = _digest(model)
        write_codebook(codebook, stored, digest, identity)
        if class_head is not None:
            head = stack.enter_context(new_file(folder / CLASS_HEAD, overwrite=True))
            write_class_head(head, class_head, digest, identity)
    with (
        new_file(folder / HISTORY, overwrite=True) as path,
        path.open("w", newline="", encoding="utf-8") as text,
    ):
        names = [field.name for field in dataclasses.fields(EpochRecord)]
        writer = csv.DictWriter(text, [*names, COLUMN])
        writer.writeheader()
        writer.writerows(dataclasses.asdict(record) | {COLUMN: identity} for record in history)


def library_versions() -> dict[str, str]:
    """Return the versions of the libraries that results depend on."""
    versions = {}
    for name in _LIBRARIES:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return versions


def _digest(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
