"""Where the labels of a training pass come from."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from clusternet.alternation import IGNORE, Alternation
from clusternet.batches import Batch, BatchLoader
from clusternet.clustering import Clustering, cluster
from clusternet.filters import filter_features
from clusternet.prefetch import prefetch
from clusternet.sampling import SamplePlan
from clusternet.settings import TrainingSettings
from clusternet.types import FloatArray, IntArray
from clusternet.windows import Window, centre

Labelled = Iterator[tuple[Batch, IntArray]]
"""Batches with their pseudo-labels (batch size, rows', cols'), IGNORE where there is none."""


def cluster_features(
    features: FloatArray, settings: TrainingSettings, start: IntArray | None = None
) -> Clustering:
    """Cluster the network's features as the settings say; see `clusternet.clustering.cluster`."""
    return cluster(
        features,
        settings.num_clusters,
        iterations=settings.kmeans_iterations,
        seed=settings.seed,
        transform=settings.feature_transform,
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
            found = cluster_features(sample, settings).codebook.assign(features)
        else:
            found = cluster_features(features, settings).assignment
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
        sample = [
            values.reshape(-1, values.shape[-1])[plan.positions(patch, valid)]
            for batch in loader.batches(plan.patches)
            for patch, values, valid in zip(
                batch.indexes.tolist(), self._features(batch), batch.valid, strict=False
            )
        ]
        self._codebook = cluster(
            np.concatenate(sample),
            settings.num_clusters,
            iterations=settings.kmeans_iterations,
            seed=settings.seed,
            transform="standardise",
        ).codebook

    def labels(self, order: NDArray[np.int64]) -> Labelled:
        """Label patches; done in the reading threads, while the network trains."""
        return prefetch(self._label, self._loader.batches(order), self._loader.workers)

    def _features(self, batch: Batch) -> Iterator[FloatArray]:
        for pixels in batch.pixels[: len(batch.indexes)]:
            yield filter_features(pixels)[self._middle]

    def _label(self, batch: Batch) -> tuple[Batch, IntArray]:
        labels = np.full(batch.valid.shape, IGNORE, np.int32)
        for place, values in enumerate(self._features(batch)):
            found = self._codebook.assign(values.reshape(-1, values.shape[-1]))
            valid = batch.valid[place]
            labels[place] = np.where(valid, found.reshape(valid.shape), IGNORE)
        return batch, labels
