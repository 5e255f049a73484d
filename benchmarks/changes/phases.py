"""Other things done before, after or between the clusterings."""

from __future__ import annotations

from typing import Any

import numpy as np
from tqdm import tqdm

from clusternet.clustering.kmeans import Clustering
from clusternet.clustering.sampling import Sample
from clusternet.network.backend import keras
from clusternet.training.loop import Training
from clusternet.types import BoolArray

_STEPS = 100
_BLOCK = 16  # pixels on a side of what is hidden
_HIDDEN = 0.25  # of a patch


class FreshHead(Training):
    """Begins each epoch with a new softmax head, as DeepCluster does (Caron et al. 2018)."""

    def _take_over(self, found: Clustering, sample: Sample) -> None:
        super()._take_over(found, sample)
        head = self.learner.network.get_layer("logits")
        kernel, bias = head.get_weights()
        seed = int(np.random.default_rng((self.settings.seed, self.epochs_done)).integers(2**31))
        fresh = keras.initializers.GlorotUniform(seed=seed)(kernel.shape)
        head.set_weights([np.asarray(fresh), np.zeros_like(bias)])


class InpaintingFirst(Training):
    """Learns to fill in what is hidden of a patch, before the first clustering."""

    def start(self, *, overwrite: bool) -> None:
        """See `Training.start`."""
        self._fill_in()
        super().start(overwrite=overwrite)

    def _fill_in(self) -> None:
        rng = np.random.default_rng((self.settings.seed, _STEPS))
        network = self.learner.network
        head = keras.layers.Conv2D(self.loader.patches.num_bands, 1, dtype="float32")
        model = keras.Model(network.input, head(network.get_layer("features").output))
        model.compile(keras.optimizers.Adam(1e-3), _hidden_error)
        usable = self.survey.usable
        order = rng.choice(usable, _STEPS * self.loader.batch_size)
        for batch in tqdm(self.loader.batches(order), desc="fill in", disable=None, leave=False):
            hidden = _blocks(batch.valid.shape, rng) & batch.valid
            seen = np.where(hidden[..., None], np.float32(0), batch.pixels)
            model.train_on_batch(seen, np.where(hidden[..., None], batch.pixels, np.nan))


def _blocks(shape: tuple[int, ...], rng: np.random.Generator) -> BoolArray:
    count, rows, cols = shape
    coarse = rng.random((count, -(-rows // _BLOCK), -(-cols // _BLOCK))) < _HIDDEN
    return np.asarray(coarse.repeat(_BLOCK, axis=1).repeat(_BLOCK, axis=2)[:, :rows, :cols])


def _hidden_error(truth: Any, found: Any) -> Any:
    """Mean squared error where ``truth`` is a number."""
    ops = keras.ops
    wanted = ops.logical_not(ops.isnan(truth))
    squares = ops.square(found - ops.where(wanted, truth, found))
    return ops.sum(squares) / ops.maximum(ops.sum(ops.cast(wanted, squares.dtype)), 1.0)
