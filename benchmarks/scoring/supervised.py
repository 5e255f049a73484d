"""An upper bound: the same network trained on labels."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from tqdm import tqdm

from clusternet.network.backend import keras
from clusternet.network.sizes import margin
from clusternet.patches.augmentation import augment
from clusternet.patches.bands import Bands
from clusternet.settings import TrainingSettings
from clusternet.training.learner import IGNORE, Learner
from clusternet.types import BoolArray, FloatArray, IntArray
from clusternet.windows import blocks
from scoring.clusters import BLOCK, Labels
from scoring.scenes import Scene

_TILE = 512
_BATCH = 4  # patches in a step


def supervised_maps(
    scenes: Sequence[Scene],
    bands: Bands,
    num_classes: int,
    labelled: Sequence[IntArray],
    settings: TrainingSettings,
    steps: int,
    patch_size: int,
    step: int,
) -> list[IntArray]:
    """Train on the labelled blocks and return the class maps of all scenes.

    Args:
        scenes: the scenes.
        bands: their statistics.
        num_classes: number of classes.
        labelled: for each scene (blocks, 2) the first row and column of its labelled blocks.
        settings: network and learning rate.
        steps: training steps.
        patch_size: side of a training patch; each lies over a labelled block, and pixels beside
            labelled blocks have no label.
        step: distance of the pixels of the maps, in pixels of the scene.
    """
    rng = np.random.default_rng(settings.seed)
    images, truths = [], []
    for scene, corners in zip(scenes, labelled, strict=True):
        pixels, valid = scene.pixels()
        images.append(bands.standardise(pixels, valid))
        truths.append(_only_labelled(scene.truth(num_classes), corners))
    places = [(i, *corner) for i, corners in enumerate(labelled) for corner in corners.tolist()]
    shape = (patch_size, patch_size)
    learner = Learner(bands.num_bands, shape, settings, _BATCH)
    for _ in tqdm(range(steps), desc="supervised", disable=None, leave=False):
        chosen = rng.choice(len(places), _BATCH)
        crops = [
            _crop(images[i], truths[i], row, col, patch_size, rng)
            for i, row, col in (places[j] for j in chosen)
        ]
        pixels = np.stack([crop[0] for crop in crops])
        labels = np.stack([crop[1] for crop in crops])
        learner.fit(*augment(pixels, labels, rng, turn=True))
    return [_predict(learner.network, image)[::step, ::step] for image in images]


def _only_labelled(truth: IntArray, corners: IntArray) -> IntArray:
    kept = np.full_like(truth, IGNORE)
    for row, col in corners.tolist():
        place = slice(row, row + BLOCK), slice(col, col + BLOCK)
        kept[place] = truth[place]
    return kept


def _crop(
    image: FloatArray, truth: IntArray, row: int, col: int, size: int, rng: np.random.Generator
) -> tuple[FloatArray, IntArray]:
    """Return a random patch over a block, padded with nodata beyond the image."""
    row, col = (int(rng.integers(min(at, at + BLOCK - size), max(at, at + BLOCK - size) + 1))
                for at in (row, col))  # fmt: skip
    row = int(np.clip(row, 0, max(len(image) - size, 0)))
    col = int(np.clip(col, 0, max(image.shape[1] - size, 0)))
    pixels = np.zeros((size, size, image.shape[-1]), np.float32)
    labels = np.full((size, size), IGNORE, np.int32)
    part = image[row : row + size, col : col + size]
    pixels[: part.shape[0], : part.shape[1]] = part
    labels[: part.shape[0], : part.shape[1]] = truth[row : row + size, col : col + size]
    return pixels, labels


def _predict(network: keras.Model, image: FloatArray) -> IntArray:
    border = margin("same")
    wide = np.pad(image, ((border, _TILE + border), (border, _TILE + border), (0, 0)), "reflect")
    found = np.zeros(image.shape[:2], np.int32)
    for window in blocks(image.shape[:2], (_TILE, _TILE)):
        side = _TILE + 2 * border
        part = wide[window.row : window.row + side, window.col : window.col + side]
        scores = np.asarray(network.predict_on_batch(part[None]))[0]
        labels = scores.argmax(axis=-1)[border : border + window.height, border:][:, : window.width]
        found[window.slices()] = labels
    return found


def labelled_corners(labels: Labels, chosen: BoolArray) -> list[IntArray]:
    """Return for each scene (blocks, 2) the first row and column of its chosen blocks."""
    corners = []
    for numbers in labels.blocks:
        firsts = numbers[:: BLOCK // labels.step, :: BLOCK // labels.step]
        places = np.argwhere((firsts >= 0) & chosen[firsts])
        corners.append((places * BLOCK).astype(np.int32))
    return corners
