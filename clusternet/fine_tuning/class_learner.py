"""A network that learns classes of labelled pixels beside its clusters."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from clusternet.backbone.describing import Describer
from clusternet.clustering.kmeans import Codebook
from clusternet.fine_tuning.patch_labels import PatchLabels
from clusternet.network.backend import keras
from clusternet.network.class_head import (
    ARRAYS,
    TwoRates,
    balanced_cross_entropy,
    class_scores,
    get_class_head,
    set_class_head,
)
from clusternet.network.unet import masked_cross_entropy, set_codebook
from clusternet.patches.batches import Batch
from clusternet.settings import TrainingSettings
from clusternet.training.class_head import ClassHead
from clusternet.training.learner import Learner
from clusternet.training.pseudo_labels import IGNORE
from clusternet.types import AnyArray, FloatArray, IntArray
from clusternet.windows import Shape

LABELS = "labels_digest"
"""The array of a checkpoint that tells whether a resumed fine-tuning has its own labels."""
UNITS = 16
"""Hidden units of the class head, as many as a perceptron for strokes has."""
BALANCE = 0.5
"""Power of the inverse share of a class that weighs its pixels: 0 weighs all pixels alike and loses
rare classes, 1 weighs all classes alike and finds too much of them."""
TRUNK_RATE = 0.2
"""Learning rate of the U-Net, relative to that of training without labels: what it has learned is
adapted, not replaced."""
HEAD_RATE = 2.0
"""Learning rate of the class head, relative likewise."""


class ClassLearner(Learner):
    """A learner with a class head, and two losses: of classes, and of clusters.

    The clusters that it learns are those of the first call of `freeze`, by the weights of that
    moment. Labels change the weights afterwards, but neither of these. So no label ever changes
    a pseudo-label.
    """

    def __init__(
        self,
        num_bands: int,
        shape: Shape,
        settings: TrainingSettings,
        batch_size: int,
        labels: PatchLabels,
        backbone: Describer | None = None,
    ) -> None:
        """Build and compile once, see `Learner`; a step takes twice ``batch_size`` patches."""
        self.classes, self._digest, self._origins = labels.classes, labels.digest, labels.origins
        self._class_weights = class_weights(labels.shares)
        self._teaches = False  # the frozen copy holds the clusters to learn
        self._teacher: tuple[AnyArray, ...] = ()
        super().__init__(num_bands, shape, settings, 2 * batch_size, backbone)

    def _compiled(
        self, inputs: list[Any], description: Any, settings: TrainingSettings, parts: int | None
    ) -> Any:
        scores = class_scores(description, UNITS, len(self.classes))
        self._classifier = keras.Model(inputs, scores)
        outputs = {"classes": scores}
        losses: dict[str, Callable[[Any, Any], Any]] = {
            "classes": balanced_cross_entropy(self._class_weights)
        }
        if settings.cluster_weight:
            outputs["clusters"] = self.network.output
            losses["clusters"] = masked_cross_entropy
        weights = {"classes": 1.0, "clusters": float(settings.cluster_weight)}
        trainer = keras.Model(inputs, outputs)
        self._rate = HEAD_RATE * settings.learn_rate
        adam = TwoRates(
            self._rate, self.network.trainable_variables, TRUNK_RATE / HEAD_RATE,
            gradient_accumulation_steps=parts,
        )  # fmt: skip
        trainer.compile(adam, losses, loss_weights={name: weights[name] for name in losses})
        return trainer

    @property
    def learns_clusters(self) -> bool:
        """False if clusters have no weight in the loss."""
        return "clusters" in self._trainer.output

    def freeze(self, codebook: Codebook) -> None:
        """Take note of a codebook that fits the present weights; the first one is learned."""
        if not self._teaches:
            super().freeze(codebook)
            self._teacher, self._teaches = codebook.convolution(), True
        self.codebook = codebook

    @property
    def codebook_size(self) -> tuple[int, int]:
        """The clusters and the features of codebooks that fit."""
        kernel = self._labeller.get_layer("codebook").kernel
        return int(kernel.shape[-1]), int(kernel.shape[-2])

    def slow_down(self, share: float) -> None:
        """Learn at a share of the first rates from now on."""
        self._trainer.optimizer.learning_rate = self._rate * share

    def set_head(self, arrays: dict[str, AnyArray]) -> None:
        """Put weights into the class head, see `clusternet.network.class_head.ARRAYS`."""
        set_class_head(self._classifier, arrays)

    def class_head(self) -> ClassHead:
        """See `ClassSide`."""
        return ClassHead(self.classes, get_class_head(self._classifier), self._origins)

    def classify(self, batch: Batch) -> IntArray:
        """See `ClassSide`."""
        scores = [self._classifier.predict_on_batch(x) for x in self._inputs(batch.pixels)]
        columns = np.concatenate([np.asarray(each).argmax(axis=-1) for each in scores])
        return np.where(batch.valid, columns, IGNORE).astype(np.int32)

    def fit_both(self, pixels: FloatArray, clusters: IntArray, classes: IntArray) -> float:
        """Take one step towards both kinds of labels; return the weighted sum of both losses.

        Args:
            pixels: (patches, rows, cols, bands).
            clusters: (patches, rows', cols') pseudo-labels, `IGNORE` for none.
            classes: (patches, rows', cols') columns of classes, `IGNORE` for none.
        """
        targets = {"classes": classes, "clusters": clusters}
        used = {name: targets[name] for name in self._trainer.output}
        parts = [self._split(used[name]) for name in used]
        losses = []
        for some_inputs, *some in zip(self._inputs(pixels), *parts, strict=True):
            # each part counts alike, however many of its pixels have labels
            loss = self._trainer.train_on_batch(
                some_inputs, dict(zip(used, some, strict=True)), return_dict=True
            )
            losses.append(float(loss["loss"]))
        return float(np.mean(losses))

    def _split(self, array: AnyArray) -> list[AnyArray]:
        """Cut a batch into parts that fit into memory; half a batch into as many."""
        return np.array_split(array, min(self._num_parts, len(array)))

    def state(self) -> dict[str, AnyArray]:
        """See `Learner`; the clusters to learn and the class head come with it."""
        head = {f"head_{name}": value for name, value in get_class_head(self._classifier).items()}
        frozen = {f"frozen_{i:04d}": value for i, value in enumerate(self._frozen.get_weights())}
        teacher = {f"teacher_{i}": value for i, value in enumerate(self._teacher)}
        digest = {LABELS: np.frombuffer(bytes.fromhex(self._digest), np.uint8)}
        return super().state() | head | frozen | teacher | digest

    def restore(self, state: dict[str, AnyArray]) -> None:
        """See `Learner`."""
        super().restore(state)
        self.set_head({name: state[f"head_{name}"] for name in ARRAYS})
        self._teacher = tuple(state[f"teacher_{i}"] for i in range(3))
        self._frozen.set_weights([state[name] for name in sorted(state) if "frozen_" in name])
        set_codebook(self._labeller, *self._teacher)
        self._teaches = True


def class_weights(shares: AnyArray) -> FloatArray:
    """Return the weight of a pixel of each class, 1 in the mean over labelled pixels.

    Args:
        shares: (classes,) share of each class among labelled pixels, above 0.
    """
    weights = np.asarray(shares, np.float64) ** -BALANCE
    return np.asarray(weights / (weights * shares).sum(), np.float32)
