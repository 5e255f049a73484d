"""Where the labels of a training pass come from."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from clusternet.alternation import IGNORE, Alternation
from clusternet.batches import Batch, BatchLoader
from clusternet.clustering import Clustering, Space, cluster, fit_transform, join_spaces
from clusternet.filters import REACH, teacher_features
from clusternet.prefetch import prefetch
from clusternet.sampling import SamplePlan
from clusternet.settings import TrainingSettings
from clusternet.types import BoolArray, FloatArray, IntArray
from clusternet.windows import Window, centre

_LEARNED_WEIGHT = 0.6  # deviation of the learned features, in those of the filters

Labelled = Iterator[tuple[Batch, IntArray]]
"""Batches with their pseudo-labels (batch size, rows', cols'), IGNORE where there is none."""


def cluster_features(
    features: FloatArray,
    settings: TrainingSettings,
    filters: Space | None,
    start: IntArray | None = None,
) -> Clustering:
    """Cluster features as the settings say.

    Args:
        features: (samples, features), the fixed filters last if they take part.
        settings: of the run.
        filters: the space of the fixed filters; None if they take no part.
        start: see `clusternet.clustering.cluster`.
    """
    learned = features[:, : settings.num_features]
    space = fit_transform(learned, settings.feature_transform)
    if filters is not None:
        space = join_spaces(features, space, filters, _LEARNED_WEIGHT)
    return cluster(
        features,
        settings.num_clusters,
        iterations=settings.kmeans_iterations,
        seed=settings.seed,
        space=space,
        start=start,
    )


def codebook_labels(
    loader: BatchLoader, order: NDArray[np.int64], alternation: Alternation
) -> Labelled:
    """Label by the frozen network and its codebook: one codebook for all patches."""
    for batch in loader.batches(order):
        yield batch, alternation.label(batch)


def group_labels(
    loader: BatchLoader,
    order: NDArray[np.int64],
    alternation: Alternation,
    settings: TrainingSettings,
    filters: Space | None = None,
) -> Labelled:
    """Label group by group as the published code does: fresh K-Means and fresh Adam for each."""
    size = settings.clust_batch_size
    most = settings.samples_per_centroid * settings.num_clusters
    for first in range(0, len(order), size):
        group = list(loader.batches(order[first : first + size]))
        features = np.concatenate([alternation.embed(batch) for batch in group])
        if 0 < most < len(features):
            rng = np.random.default_rng((settings.seed, first))
            sample = features[np.sort(rng.choice(len(features), most, replace=False))]
            found = cluster_features(sample, settings, filters).codebook.assign(features)
        else:
            found = cluster_features(features, settings, filters).assignment
        del features
        alternation.reset_optimizer()
        for batch in group:
            labels = np.full(batch.valid.shape, IGNORE, np.int32)
            here, found = np.split(found, [np.count_nonzero(batch.valid)])
            labels[batch.valid] = here
            yield batch, labels


class FilterTeacher:
    """Labels by clusters of fixed filters, which make sense before the network does."""

    def __init__(self, loader: BatchLoader, plan: SamplePlan, settings: TrainingSettings) -> None:
        """Cluster the filters of the planned pixels."""
        self._loader = loader
        self._middle = centre(Window(0, 0, *loader.patches.shape), loader.labelled_shape).slices()
        sample: list[FloatArray] = []
        differences: list[FloatArray] = []
        for batch in loader.batches(plan.patches):
            triples = zip(batch.indexes.tolist(), self._features(batch), batch.valid, strict=False)
            for patch, values, valid in triples:
                chosen = plan.positions(patch, valid)
                sample.append(values.reshape(-1, values.shape[-1])[chosen])
                differences += _local_differences(values, valid, chosen)
        features, local = np.concatenate(sample), np.concatenate(differences)
        # in patches smaller than REACH there are no differences
        self.space = fit_transform(features, "standardise", local if len(local) else None)
        self._codebook = cluster(
            features,
            settings.num_clusters,
            iterations=settings.kmeans_iterations,
            seed=settings.seed,
            space=self.space,
        ).codebook

    def labels(self, order: NDArray[np.int64]) -> Labelled:
        """Label patches; done in the reading threads, while the network trains."""
        return prefetch(self._label, self._loader.batches(order), self._loader.workers)

    def _features(self, batch: Batch) -> Iterator[FloatArray]:
        for pixels in batch.pixels[: len(batch.indexes)]:
            yield teacher_features(pixels)[self._middle]

    def _label(self, batch: Batch) -> tuple[Batch, IntArray]:
        labels = np.full(batch.valid.shape, IGNORE, np.int32)
        for place, values in enumerate(self._features(batch)):
            found = self._codebook.assign(values.reshape(-1, values.shape[-1]))
            valid = batch.valid[place]
            labels[place] = np.where(valid, found.reshape(valid.shape), IGNORE)
        return batch, labels


def _local_differences(values: FloatArray, valid: BoolArray, chosen: IntArray) -> list[FloatArray]:
    """Return what chosen pixels differ by from those `REACH` below and to the right of them."""
    rows, cols = np.unravel_index(chosen, valid.shape)
    found = []
    for down, across in ((REACH, 0), (0, REACH)):
        inside = (rows + down < valid.shape[0]) & (cols + across < valid.shape[1])
        here = rows[inside], cols[inside]
        there = here[0] + down, here[1] + across
        usable = valid[there]
        found.append((values[here] - values[there])[usable])
    return found
