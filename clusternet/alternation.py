"""The network and its frozen copy: embed, label, train. One step of each, no loop over patches."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from clusternet.backend import keras, resolve_precision
from clusternet.batches import Batch
from clusternet.clustering import Codebook
from clusternet.files import new_file
from clusternet.model import (
    build_labeller,
    build_network,
    build_sampler,
    features_tensor,
    load_weights,
    masked_cross_entropy,
    reset_optimizer,
    set_codebook,
)
from clusternet.sampling import SamplePlan
from clusternet.settings import TrainingSettings
from clusternet.types import AnyArray, FloatArray, IntArray
from clusternet.windows import Shape

IGNORE = -1
"""The pseudo-label of a pixel that has none."""


class Alternation:
    """A network in training beside a frozen copy that gives the pseudo-labels.

    The copy holds the weights of the start of the epoch and labels each batch just before the
    network trains on it: the same labels as a pass over all patches would give, without storing
    them.
    """

    def __init__(self, num_bands: int, shape: Shape, settings: TrainingSettings) -> None:
        """Build and compile once; weights depend on ``settings.seed`` alone."""

        def build() -> Any:
            return build_network(
                num_bands,
                settings.num_clusters,
                shape=shape,
                base_filters=settings.base_filters,
                num_features=settings.num_features,
                padding=settings.padding,
                dtype=resolve_precision(settings.precision),
                seed=settings.seed,
            )

        self.network = build()
        self._frozen = build()
        self._labeller = build_labeller(self._frozen, settings.num_clusters)
        self._sampler = build_sampler(self.network)
        self._embedder = keras.Model(self.network.input, features_tensor(self.network))
        # A second model around the same layers is compiled, so that the saved one asks nobody
        # for the loss function.
        self._trainer = keras.Model(self.network.input, self.network.output)
        self._trainer.compile(keras.optimizers.Adam(settings.learn_rate), masked_cross_entropy)
        self._trainer.optimizer.build(self._trainer.trainable_variables)

    def freeze(self, codebook: Codebook) -> None:
        """From now on label with the present weights and ``codebook``."""
        self._frozen.set_weights(self.network.get_weights())
        set_codebook(self._labeller, *codebook.convolution())

    def label(self, batch: Batch) -> IntArray:
        """Return pseudo-labels (patches, rows', cols'), IGNORE where not valid."""
        labels = np.asarray(self._labeller.predict_on_batch(batch.pixels))
        return np.where(batch.valid, labels, np.int32(IGNORE))

    def train(self, pixels: FloatArray, labels: IntArray) -> float:
        """Take one step from pixels towards labels; return the mean loss of the batch."""
        return float(self._trainer.train_on_batch(pixels, labels))

    def reset_optimizer(self) -> None:
        """Continue with a fresh Adam, without compiling again."""
        reset_optimizer(self._trainer.optimizer)

    def embed(self, batch: Batch) -> FloatArray:
        """Return the features of all valid pixels; (samples, features)."""
        features = np.asarray(self._embedder.predict_on_batch(batch.pixels))
        return features[batch.valid]

    def embed_sample(self, batch: Batch, plan: SamplePlan) -> FloatArray:
        """Return the features of the planned pixels, patch by patch; (samples, features)."""
        positions = np.zeros((len(batch.pixels), plan.row_length), np.int32)
        quotas = []
        for place, index in enumerate(batch.indexes.tolist()):
            chosen = plan.positions(index, batch.valid[place])
            positions[place, : len(chosen)] = chosen
            quotas.append(len(chosen))
        rows = np.asarray(self._sampler.predict_on_batch([batch.pixels, positions]))
        return np.concatenate([row[:quota] for row, quota in zip(rows, quotas, strict=False)])

    def load_weights(self, path: Path) -> None:
        """Start from the weights of a .keras or .weights.h5 file.

        Raises:
            RunError: if the file cannot be read or its weights do not fit.
        """
        load_weights(self.network, path)

    def save_weights(self, path: Path) -> None:
        """Write the weights alone, as .weights.h5."""
        with new_file(path) as part:
            self.network.save_weights(part)

    def state(self) -> dict[str, AnyArray]:
        """Return all weights and the optimizer's variables, to continue from exactly."""
        state = {f"weight_{i:04d}": value for i, value in enumerate(self.network.get_weights())}
        for i, variable in enumerate(self._trainer.optimizer.variables):
            state[f"optimizer_{i:04d}"] = keras.ops.convert_to_numpy(variable)
        return state

    def restore(self, state: dict[str, AnyArray]) -> None:
        """Take over what `state` returned."""
        weights = [state[name] for name in sorted(state) if name.startswith("weight_")]
        self.network.set_weights(weights)
        for i, variable in enumerate(self._trainer.optimizer.variables):
            variable.assign(state[f"optimizer_{i:04d}"])
