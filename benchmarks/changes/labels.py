"""Other pseudo-labels than the nearest centroid of the frozen network."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
from numpy.random import Generator
from skimage.segmentation import slic

from clusternet.network.backend import keras
from clusternet.patches import augmentation
from clusternet.patches.batches import Batch
from clusternet.training.learner import IGNORE, Learner
from clusternet.types import AnyArray, FloatArray, IntArray

# The temperature, as a share of the mean gap between a pixel's best score and its mean score.
_ENTROPY = 0.02
_ROUNDS = 3  # of Sinkhorn balancing
_SEGMENT = 41  # pixels of a superpixel
_AVERAGE = 0.98  # weight of the old average in each step


class ScoredLabels(Learner):
    """Computes the scores of all centroids, not only the nearest one."""

    @cached_property
    def _scores(self) -> Any:
        codes = self._labeller.get_layer("codebook").output
        return keras.Model(self._labeller.input, codes)

    def log_odds(self, batch: Batch) -> FloatArray:
        """Return (patches, rows, cols, clusters), 0 for the best, divided by the temperature."""
        parts = self._split(batch.pixels)
        scores = np.concatenate([np.asarray(self._scores.predict_on_batch(x)) for x in parts])
        scores -= scores.max(axis=-1, keepdims=True)
        temperature = -_ENTROPY * scores[batch.valid].mean() if batch.valid.any() else 1.0
        return np.asarray(scores / np.float32(max(temperature, 1e-6)))


class BalancedLabels(ScoredLabels):
    """Gives every cluster equally many pixels of a batch (Asano et al. 2020, Caron et al. 2020)."""

    def label(self, batch: Batch, starts: IntArray | None = None) -> IntArray:
        """See `Learner.label`."""
        shares = np.exp(self.log_odds(batch)[batch.valid]).astype(np.float64)
        for _ in range(_ROUNDS):
            shares /= np.maximum(shares.sum(axis=0), 1e-12)
            shares /= np.maximum(shares.sum(axis=1, keepdims=True), 1e-12)
        labels = np.full(batch.valid.shape, IGNORE, np.int32)
        labels[batch.valid] = shares.argmax(axis=1)
        return labels


class SoftTargets(ScoredLabels):
    """Trains towards the softmax of the scores instead of the best."""

    targets: FloatArray
    """(patches, rows, cols, clusters) of the batch that was labelled last."""

    def _compiled(self, *given: Any) -> Any:
        trainer = super()._compiled(*given)
        trainer.compile(trainer.optimizer, _soft_cross_entropy)
        return trainer

    def label(self, batch: Batch, starts: IntArray | None = None) -> IntArray:
        """See `Learner.label`; soft ones are kept for `augment_soft`."""
        odds = np.exp(self.log_odds(batch))
        SoftTargets.targets = np.where(
            batch.valid[..., None], odds / odds.sum(axis=-1, keepdims=True), np.float32(0)
        )
        return np.where(batch.valid, odds.argmax(axis=-1), np.int32(IGNORE)).astype(np.int32)


def augment_soft(
    pixels: FloatArray, labels: IntArray, rng: Generator, *, turn: bool
) -> tuple[FloatArray, FloatArray]:
    """Turn pixels and the soft targets of their labels."""
    views, kept = augmentation.augment(pixels, SoftTargets.targets, rng, turn=turn)  # type: ignore[arg-type]
    return views, kept  # type: ignore[return-value]


def _soft_cross_entropy(targets: Any, logits: Any) -> Any:
    ops = keras.ops
    valid = ops.sum(targets, axis=-1)
    total = ops.sum(ops.logsumexp(logits, axis=-1) * valid) - ops.sum(targets * logits)
    return total / ops.maximum(ops.sum(valid), 1.0)


class SuperpixelLabels(Learner):
    """Gives every superpixel the most frequent label in it (Achanta et al. 2012)."""

    def label(self, batch: Batch, starts: IntArray | None = None) -> IntArray:
        """See `Learner.label`."""
        labels = super().label(batch, starts)
        for pixels, label, valid in zip(batch.pixels, labels, batch.valid, strict=True):
            if not valid.any():
                continue
            segments = slic(pixels, label.size // _SEGMENT, start_label=0, channel_axis=-1)
            counts = np.zeros((segments.max() + 1, label.max() + 1), np.int32)
            np.add.at(counts, (segments[valid], label[valid]), 1)
            label[valid] = counts.argmax(axis=1)[segments[valid]]
        return labels


class MeanTeacher(Learner):
    """Labels with the moving average of the trained weights (Tarvainen and Valpola 2017).

    ``network`` has the averaged weights, so these are clustered and saved.
    """

    def _to_train(self) -> Any:
        student = keras.models.clone_model(self.network)
        student.set_weights(self.network.get_weights())
        return student

    def fit(self, pixels: FloatArray, labels: IntArray) -> float:
        """See `Learner.fit`; then update the average."""
        loss = super().fit(pixels, labels)
        pairs = zip(self.network.get_weights(), self._trainer.get_weights(), strict=True)
        self.network.set_weights([_AVERAGE * old + (1 - _AVERAGE) * new for old, new in pairs])
        return loss

    def state(self) -> dict[str, AnyArray]:
        """See `Learner.state`; it also holds the trained weights."""
        weights = self._trainer.get_weights()
        return super().state() | {f"student_{i:04d}": value for i, value in enumerate(weights)}

    def restore(self, state: dict[str, AnyArray]) -> None:
        """See `Learner.restore`."""
        super().restore(state)
        names = sorted(name for name in state if name.startswith("student_"))
        self._trainer.set_weights([state[name] for name in names])
