"""Changes of what happens before and between the clusterings."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
from tqdm import tqdm

from clusternet.clustering.kmeans import Codebook
from clusternet.network.backend import keras
from clusternet.training.epoch_plan import TrainingData
from clusternet.training.learner import Learner
from clusternet.training.loop import Observer, alternate
from clusternet.types import BoolArray

_STEPS = 100
_BLOCK = 16  # side of a hidden block in pixels
_HIDDEN = 0.25  # share of a patch that is hidden


class FreshHead(Learner):
    """Begins each epoch with a new softmax head, as DeepCluster does (Caron et al. 2018)."""

    @cached_property
    def _seeds(self) -> np.random.Generator:
        return np.random.default_rng(self.settings.seed)

    def freeze(self, codebook: Codebook) -> None:
        """See `Learner.freeze`; then initialise the head anew."""
        super().freeze(codebook)
        head = self.network.get_layer("logits")
        kernel, bias = head.get_weights()
        fresh = keras.initializers.GlorotUniform(seed=int(self._seeds.integers(2**31)))
        head.set_weights([np.asarray(fresh(kernel.shape)), np.zeros_like(bias)])


def inpainting_first(
    learner: Learner, data: TrainingData, observer: Observer, epochs_done: int
) -> None:
    """Train on inpainting hidden blocks of patches, then run `alternate`."""
    rng = np.random.default_rng((data.settings.seed, _STEPS))
    head = keras.layers.Conv2D(data.loader.patches.num_bands, 1, dtype="float32")
    network = learner.network
    model = keras.Model(network.input, head(network.get_layer("features").output))
    model.compile(keras.optimizers.Adam(1e-3), _hidden_error)
    order = rng.choice(data.survey.usable, _STEPS * data.loader.batch_size)
    for batch in tqdm(data.batches(order), desc="fill in", disable=None, leave=False):
        hidden = _blocks(batch.valid.shape, rng) & batch.valid
        seen = np.where(hidden[..., None], np.float32(0), batch.pixels)
        model.train_on_batch(seen, np.where(hidden[..., None], batch.pixels, np.nan))
    alternate(learner, data, observer, epochs_done)


def _blocks(shape: tuple[int, ...], rng: np.random.Generator) -> BoolArray:
    count, rows, cols = shape
    coarse = rng.random((count, -(-rows // _BLOCK), -(-cols // _BLOCK))) < _HIDDEN
    return np.asarray(coarse.repeat(_BLOCK, axis=1).repeat(_BLOCK, axis=2)[:, :rows, :cols])


def _hidden_error(truth: Any, predicted: Any) -> Any:
    """Return the mean squared error where ``truth`` is not NaN."""
    ops = keras.ops
    wanted = ops.logical_not(ops.isnan(truth))
    squares = ops.square(predicted - ops.where(wanted, truth, predicted))
    return ops.sum(squares) / ops.maximum(ops.sum(ops.cast(wanted, squares.dtype)), 1.0)
