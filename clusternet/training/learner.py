"""The network in training and the frozen copy that labels: embed, label, fit, one batch a call."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from clusternet.backbone.describing import Describer
from clusternet.clustering.kmeans import Codebook
from clusternet.clustering.sampling import Sample, SamplePlan, join_samples, neighbours
from clusternet.files.outputs import new_file
from clusternet.network.backend import keras, resolve_precision
from clusternet.network.pixel_grid import (
    build_grid_trainer,
    grid_description,
    grid_starts,
    off_grid,
    on_grid,
)
from clusternet.network.unet import (
    argmax,
    build_labeller,
    build_network,
    build_sampler,
    described,
    masked_cross_entropy,
    reset_optimizer,
    set_codebook,
)
from clusternet.network.weight_files import load_weights
from clusternet.patches.batches import Batch
from clusternet.settings import TrainingSettings
from clusternet.training.pseudo_labels import IGNORE
from clusternet.training.run_files import WEIGHTS, mark_weights
from clusternet.types import AnyArray, FloatArray, IntArray
from clusternet.windows import Shape

_BESIDE = 16
"""Memory of features, logits and fixed filters, counted as so many base filters more."""
_LARGEST_PART = (64 + _BESIDE) * 4 * 256 * 256
"""Base filters times pixels that go through the network at once: about 2 GiB in training."""


class Learner:
    """A network in training, and its frozen labeller: a copy with a codebook that gives labels.

    The copy keeps the weights of the start of the epoch. So it can label each batch just before the
    network trains on it: the labels are those of a pass over all patches, and need not be stored.
    """

    def __init__(
        self,
        num_bands: int,
        shape: Shape,
        settings: TrainingSettings,
        batch_size: int,
        backbone: Describer | None = None,
    ) -> None:
        """Build and compile once; weights depend on ``settings.seed`` alone.

        Args:
            num_bands: bands of a patch.
            shape: (rows, cols) of a patch.
            settings: of the run.
            batch_size: patches in a training step.
            backbone: describes pixels beside the network; nothing of it is trained.
        """

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

        self.settings = settings
        self.codebook: Codebook | None = None  # that of `freeze`
        self.network = build()
        self._frozen = build()
        filters_from = shape if settings.fixed_filters else None
        self.backbone = backbone
        beside = backbone.num_features if backbone else 0
        self._labeller = build_labeller(self._frozen, settings.num_clusters, filters_from, beside)
        self._sampler = build_sampler(self.network, filters_from, beside)
        inputs, description = described(self.network, filters_from, num_beside=beside)
        self._embedder = keras.Model(inputs, description)
        self._compare = settings.feature_transform == "neighbours"
        self._pixel_step = settings.pixel_step
        self._num_parts = num_parts(settings.base_filters, shape, batch_size)
        self._part_size = batch_size // self._num_parts
        parts = self._num_parts if self._num_parts > 1 else None
        self._trainer = self._compiled(inputs, description, settings, parts)
        self._trainer.optimizer.build(self._trainer.trainable_variables)

    def _compiled(
        self, inputs: list[Any], description: Any, settings: TrainingSettings, parts: int | None
    ) -> Any:
        """Return the model that is trained.

        Args:
            inputs: symbolic inputs of the description.
            description: symbolic description of pixels.
            settings: of the run.
            parts: of a batch, whose gradients are averaged before a step; None for one.
        """
        # A second model around the same layers is compiled. The first one is saved, and a file that
        # names the loss function could not be loaded without this package.
        trainer = self._to_train()
        adam = keras.optimizers.Adam(settings.learn_rate, gradient_accumulation_steps=parts)
        trainer.compile(adam, masked_cross_entropy)
        return trainer

    def _to_train(self) -> Any:
        """Return the model from the inputs of `_on_grid` to the logits of its labels."""
        if self._pixel_step == 1:
            return keras.Model(self.network.input, self.network.output)
        return build_grid_trainer(self.network, self._pixel_step, self._part_size)

    @cached_property
    def _grid_labeller(self) -> Any:
        """The labeller on a grid of pixels; it has the layers of the other one."""
        whole = self._labeller
        beside = [one.output for one in whole.layers if one.name in ("filters", "beside")]
        starts, description = grid_description(
            self._frozen, beside, self._pixel_step, self._part_size
        )
        scores = whole.get_layer("codebook")(whole.get_layer("offset")(description))
        return keras.Model([*whole.inputs, starts], argmax(scores), name="grid_labeller")

    def freeze(self, codebook: Codebook) -> None:
        """From now on label with the present weights and ``codebook``."""
        self._frozen.set_weights(self.network.get_weights())
        set_codebook(self._labeller, *codebook.convolution())
        self.codebook = codebook

    def label(self, batch: Batch, starts: IntArray | None = None) -> IntArray:
        """Return pseudo-labels (patches, rows', cols'), IGNORE where not valid.

        Args:
            batch: the patches.
            starts: (patches, 4, 2) of grids of pixels to label, see
                `clusternet.network.pixel_grid`; the others get IGNORE. None labels all.
        """
        parts = self._inputs(batch.pixels)
        if starts is None:
            found = [np.asarray(self._labeller.predict_on_batch(x)) for x in parts]
            labels = np.concatenate(found)
        else:
            pairs = zip(parts, self._split(starts), strict=True)
            found = [np.asarray(self._grid_labeller.predict_on_batch([*x, s])) for x, s in pairs]
            labels = off_grid(
                np.concatenate(found), starts, self._pixel_step, batch.valid.shape, IGNORE
            )
        return np.where(batch.valid, labels, np.int32(IGNORE))

    def _on_grid(self, pixels: FloatArray, labels: IntArray) -> tuple[list[AnyArray], IntArray]:
        """Return what the trainer takes, and the labels that it learns.

        These are the labels on the grids of pixels that the first ones lie on.
        """
        if self._pixel_step == 1:
            return [pixels], labels
        starts = grid_starts(labels, self._pixel_step)
        return [pixels, starts], on_grid(labels, starts, self._pixel_step)

    def fit(self, pixels: FloatArray, labels: IntArray) -> float:
        """Take one step from pixels towards labels; return the mean loss of the batch.

        Args:
            pixels: (patches, rows, cols, bands).
            labels: (patches, rows', cols') as of `label`.
        """
        inputs, labels = self._on_grid(pixels, labels)
        if self._num_parts == 1:
            return self._loss_of_step(inputs, labels)
        total, losses = int(np.count_nonzero(labels >= 0)) or 1, []
        split = [self._split(one) for one in (*inputs, labels)]
        for *some_inputs, some_labels in zip(*split, strict=True):
            # Keras steps after the last part, with the mean of the parts' gradients. The weights
            # make it the mean over labelled pixels, of which one part may have more than another.
            weight = self._num_parts * int(np.count_nonzero(some_labels >= 0)) / total
            weights = np.full(len(some_labels), weight, np.float32)
            losses.append(self._loss_of_step(some_inputs, some_labels, weights))
        return float(np.mean(losses))

    def _loss_of_step(
        self, inputs: list[AnyArray], labels: IntArray, weights: FloatArray | None = None
    ) -> float:
        """Take a step, or a part of one, from what `_on_grid` returns; ``weights`` of its rows."""
        given = inputs if len(inputs) > 1 else inputs[0]  # Keras wants a single input as it is
        return float(self._trainer.train_on_batch(given, labels, weights))

    def _split(self, array: AnyArray) -> list[AnyArray]:
        """Cut a batch (patches, ...) into parts that fit into memory one at a time."""
        return np.split(array, self._num_parts)

    def _inputs(self, pixels: FloatArray) -> Iterator[list[AnyArray]]:
        """Yield the inputs of what describes pixels, part by part of a batch."""
        for part in self._split(pixels):
            yield [part, self.backbone.describe_patches(part)] if self.backbone else [part]

    def reset_optimizer(self) -> None:
        """Continue with a fresh Adam, without compiling again."""
        reset_optimizer(self._trainer.optimizer)

    def embed(self, batch: Batch) -> FloatArray:
        """Return the features of all valid pixels; (samples, features)."""
        parts = zip(self._inputs(batch.pixels), self._split(batch.valid), strict=True)
        return np.concatenate(
            [np.asarray(self._embedder.predict_on_batch(x))[valid] for x, valid in parts]
        )

    def embed_sample(self, batch: Batch, plan: SamplePlan) -> Sample:
        """Return the features of the planned pixels, patch by patch."""
        # TensorFlow traces the graph again for every new shape: so all rows have one length. A
        # sampled pixel takes one position, and each pair with one of its two neighbours two more.
        length = plan.row_length * (5 if self._compare else 1)
        positions = np.zeros((len(batch.pixels), length), np.int32)
        counts = []
        for row, patch in enumerate(batch.indexes.tolist()):
            sampled = plan.positions(patch, batch.valid[row])
            compared = sampled if self._compare else sampled[:0]
            here, there = neighbours(compared, batch.valid[row])
            used = np.concatenate([sampled, here, there])
            positions[row, : len(used)] = used
            counts.append((len(sampled), len(here)))
        parts = zip(self._inputs(batch.pixels), self._split(positions), strict=True)
        vectors = np.concatenate(
            [np.asarray(self._sampler.predict_on_batch([*x, places])) for x, places in parts]
        )
        num_backbone = self.backbone.num_features if self.backbone else 0
        samples = []
        # a batch that is filled up has more rows than patches
        for patch_vectors, (size, pairs) in zip(vectors, counts, strict=False):
            used_vectors = patch_vectors[: size + 2 * pairs]
            features, near, far = np.split(used_vectors, [size, size + pairs])
            samples.append(Sample(features, near - far, num_backbone))
        if not samples:  # a member of a group may have no patch of a batch
            return Sample(vectors[0, :0], vectors[0, :0], num_backbone)
        return join_samples(samples)

    def load_weights(self, path: Path) -> None:
        """Start from the weights of a .keras or .weights.h5 file.

        Raises:
            RunError: if the file cannot be read or its weights do not fit.
        """
        load_weights(self.network, path)

    def save_weights(self, path: Path, *, overwrite: bool = False) -> None:
        """Write the weights alone, as .weights.h5.

        Raises:
            OutputError: if the file exists and may not be replaced, or cannot be written.
        """
        with new_file(path, kind=WEIGHTS, overwrite=overwrite) as new:
            self.network.save_weights(new)
            mark_weights(new)

    def state(self) -> dict[str, AnyArray]:
        """Return all weights and the optimizer's variables, to continue from exactly."""
        state = {f"weight_{i:04d}": value for i, value in enumerate(self.network.get_weights())}
        for i, variable in enumerate(self._optimizer_variables()):
            state[f"optimizer_{i:04d}"] = keras.ops.convert_to_numpy(variable)
        return state

    def restore(self, state: dict[str, AnyArray]) -> None:
        """Take over what `state` returned; a codebook fits these weights again after `freeze`."""
        self.codebook = None
        weights = [state[name] for name in sorted(state) if name.startswith("weight_")]
        self.network.set_weights(weights)
        for i, variable in enumerate(self._optimizer_variables()):
            variable.assign(state[f"optimizer_{i:04d}"])

    def _optimizer_variables(self) -> list[Any]:
        """Return the optimizer's variables but its sums over parts: they are zero between steps."""
        variables = self._trainer.optimizer.variables
        return [one for one in variables if not one.name.endswith("gradient_accumulator")]


def num_parts(base_filters: int, shape: Shape, batch: int) -> int:
    """Return the smallest number of equal parts of a batch that each fit into memory."""
    size = batch * shape[0] * shape[1] * (base_filters + _BESIDE)
    return next(
        parts for parts in range(1, batch + 1)
        if batch % parts == 0 and (size <= parts * _LARGEST_PART or parts == batch)
    )  # fmt: skip
