"""The backbone of a run: opened and fitted before training, loaded again afterwards."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from clusternet.backbone.describing import Describer
from clusternet.backbone.geometry import Geometry
from clusternet.backbone.loading import Opened, enlarged, open_backbone, open_file
from clusternet.backbone.measuring import measure
from clusternet.backbone.network_files import digest_of
from clusternet.backbone.placing import mirrored, patch_window
from clusternet.backbone.sampling import sample_levels
from clusternet.backbone.stretch import Stretch, choose_bands
from clusternet.clustering.reduction import LevelMoments, Reduction
from clusternet.errors import RunError, SettingsError
from clusternet.files.outputs import new_file
from clusternet.messages import one_line
from clusternet.patches.bands import Bands
from clusternet.processes.progress import Progress
from clusternet.settings import TrainingSettings
from clusternet.training.backbone_files import StoredBackbone, copy_network
from clusternet.training.epoch_plan import TrainingData
from clusternet.training.run_files import BACKBONE_NETWORK
from clusternet.types import FloatArray, IntArray
from clusternet.windows import Window, centre

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class RunBackbone:
    """A backbone that is ready to describe pixels, and what the run keeps of it."""

    describer: Describer
    opened: Opened
    stored: StoredBackbone

    def save(self, folder: Path, identity: str) -> None:
        """Write into a run folder: the network's file if it is to be copied, and its description.

        Raises:
            RunError: if the file has changed since it was loaded.
        """
        stored, target = self.stored, folder / BACKBONE_NETWORK
        if stored.is_copied and self.opened.file is None:
            with new_file(target, overwrite=True) as path:
                self.opened.network.save(path)
                stored = replace(stored, digest=digest_of(path, RunError))
        elif stored.is_copied and not (self.opened.file == target and target.is_file()):
            copy_network(Path(str(self.opened.file)), stored.digest, folder)
        stored.save(folder, identity)


def open_new(settings: TrainingSettings) -> Opened | None:
    """Open the network that the settings name; None if they name none.

    Raises:
        SettingsError: if it cannot be opened, or cannot be referred to.
    """
    if settings.backbone is None:
        return None
    opened = open_backbone(settings.backbone, settings.backbone_weights)
    if opened.file is None:
        _check_saving(opened)
    if settings.backbone_file == "reference" and opened.file is None:
        raise SettingsError(
            f"--backbone_file reference: needs a .keras file to refer to, found the network "
            f"{opened.name}, which Keras builds; use copy."
        )
    return opened


def _check_saving(opened: Opened) -> None:
    """Refuse a network that cannot be loaded again from a run, before it is trained with.

    Raises:
        SettingsError: saying why.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / BACKBONE_NETWORK
        try:
            opened.network.save(path)
            open_file(path, RunError)
        except (RunError, TypeError, ValueError, NotImplementedError) as error:
            reason = one_line(str(error).removeprefix(f"{path}: "))
            raise SettingsError(
                f"--backbone {opened.name}: cannot be kept in a run ({reason}); choose another "
                "network."
            ) from error


def fit_backbone(opened: Opened, data: TrainingData) -> RunBackbone:
    """Fit the stretch and the reduction to the sample of the first clustering.

    Raises:
        SettingsError: if the network or the bands cannot be used.
        ClusteringError: if its features cannot be reduced.
    """
    settings, bands = data.settings, data.survey.bands
    scale = settings.backbone_scale or 1
    network = enlarged(opened.network, scale, opened.name, SettingsError)
    geometry = measure(network, opened.name)
    chosen = choose_bands(settings.backbone_bands, bands)
    stretch = Stretch.fit(_sampled_pixels(data), chosen, bands)
    reduction = _fit_reduction(network, geometry, stretch, data)
    file = BACKBONE_NETWORK
    if settings.backbone_file == "reference":
        file = str(Path(str(opened.file)).resolve())
    stored = StoredBackbone(opened.name, file, opened.digest or "", stretch, geometry, scale)
    logger.info("backbone %s: %s", opened.name, _summary(geometry, stretch, reduction))
    describer = Describer(network, geometry, stretch, bands, reduction)
    return RunBackbone(describer, opened, stored)


def load_backbone(
    folder: Path, stored: StoredBackbone, bands: Bands, reduction: Reduction | None
) -> RunBackbone:
    """Load the backbone of a run.

    Raises:
        RunError: if its file is missing, has changed, or cannot be loaded.
    """
    stored.check_file(folder)
    opened = open_file(stored.path(folder), RunError)
    network = enlarged(opened.network, stored.scale, stored.name, RunError)
    depths = [int(one.shape[3]) for one in opened.network.outputs]
    known = [level.depth for level in stored.geometry.levels]
    if reduction is None or depths != known or len(reduction.offset) != sum(known):
        raise RunError(
            f"{folder}: its backbone and its codebook do not fit each other; these files are not "
            "of one run."
        )
    describer = Describer(network, stored.geometry, stored.stretch, bands, reduction)
    return RunBackbone(describer, replace(opened, name=stored.name), stored)


def _sampled_pixels(data: TrainingData) -> FloatArray:
    """Return the standardised pixels of the sample of the first clustering; (samples, bands)."""
    found = []
    for _, pixels, rows, cols in _samples(data, "stretch"):
        found.append(pixels[rows, cols])
    return np.concatenate(found)


def _fit_reduction(
    network: Any, geometry: Geometry, stretch: Stretch, data: TrainingData
) -> Reduction:
    moments = LevelMoments([level.depth for level in geometry.levels])
    for area, pixels, rows, cols in _samples(data, "backbone"):
        window = patch_window(geometry, area)
        rgb = stretch.rgb(mirrored(pixels[None], window)[0], data.survey.bands)
        moments.add(sample_levels(network, geometry, rgb, window, rows, cols))
    return moments.fit()


def _samples(
    data: TrainingData, text: str
) -> Iterator[tuple[Window, FloatArray, IntArray, IntArray]]:
    """Yield patches and the places of the pixels that are sampled for the first clustering.

    Yields:
        the patch as a window at 0; (rows, cols, bands) its standardised pixels; rows and columns of
        the sampled pixels, (samples,) each.
    """
    loader, plan = data.loader, data.plan(0).sample
    area = Window(0, 0, *loader.patches.shape)
    middle = centre(area, loader.labelled_shape)
    bar = Progress(total=len(plan.patches), desc=text, unit="patch", leave=False)
    with bar:
        for batch in data.batches(plan.patches):
            for row, patch in enumerate(batch.indexes.tolist()):
                places = plan.positions(patch, batch.valid[row])
                rows, cols = (
                    place.astype(np.int32) for place in np.unravel_index(places, middle.shape)
                )
                yield area, batch.pixels[row], rows + middle.row, cols + middle.col
                bar.update()


def _summary(geometry: Geometry, stretch: Stretch, reduction: Reduction) -> str:
    strides = ", ".join(f"{level.depth} at {level.stride:g}" for level in geometry.levels)
    if geometry.window is None:
        looks = f"looks {geometry.margin} pixels far"
    else:
        looks = f"fixed windows of {geometry.window[0]} x {geometry.window[1]} pixels"
    colours = " ".join(map(str, stretch.bands))
    return (
        f"features and strides: {strides}; {looks}; bands {colours}; reduced to "
        f"{reduction.num_features} features a pixel"
    )
