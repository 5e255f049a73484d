"""Where the labels of a training pass come from."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from clusternet.clustering.kmeans import Clustering, check_features, cluster, fit_space
from clusternet.clustering.sampling import Sample
from clusternet.patches.batches import Batch, BatchLoader
from clusternet.settings import TrainingSettings
from clusternet.training.learner import IGNORE, Learner
from clusternet.types import FloatArray, IntArray

_GROUP = 5  # the number of this stream of random choices; `clusternet.training.loop` has the others
_LEARNED_WEIGHT = 0.6  # deviation of the learned features, in those of the filters

Labelled = Iterator[tuple[Batch, IntArray]]
"""Batches with their pseudo-labels (batch size, rows', cols'), IGNORE where there is none."""


def cluster_features(
    sample: Sample,
    settings: TrainingSettings,
    start: IntArray | None = None,
    *,
    overwrite: bool = False,
) -> Clustering:
    """Cluster features as the settings say.

    Args:
        sample: of features, the fixed filters last if they take part.
        settings: of the run.
        start: see `clusternet.clustering.kmeans.cluster`.
        overwrite: likewise.
    """
    check_features(sample.features, settings.num_clusters)
    space = fit_space(
        sample.features,
        sample.differences,
        settings.feature_transform,
        num_learned=settings.num_features if settings.fixed_filters else None,
        weight=_LEARNED_WEIGHT,
    )
    return cluster(
        sample.features,
        settings.num_clusters,
        iterations=settings.kmeans_iterations,
        seed=settings.seed,
        space=space,
        start=start,
        overwrite=overwrite,
    )


def codebook_labels(loader: BatchLoader, order: NDArray[np.int64], learner: Learner) -> Labelled:
    """Label by the frozen network and its codebook: one codebook for all patches."""
    for batch in loader.batches(order):
        yield batch, learner.label(batch)


def group_labels(
    loader: BatchLoader,
    order: NDArray[np.int64],
    learner: Learner,
    settings: TrainingSettings,
    epoch: int,
) -> Labelled:
    """Label group by group as the published code does: fresh K-Means and fresh Adam for each.

    Where a group has more pixels than are clustered, they are drawn anew for each group and
    ``epoch``.
    """
    size = settings.clust_batch_size
    most = settings.samples_per_centroid * settings.num_clusters
    for first in range(0, len(order), size):
        group = list(loader.batches(order[first : first + size]))
        features = np.concatenate([learner.embed(batch) for batch in group])
        if 0 < most < len(features):
            rng = np.random.default_rng((settings.seed, _GROUP, epoch, first + 1))
            sample = features[np.sort(rng.choice(len(features), most, replace=False))]
            found = cluster_features(_apart(sample), settings).codebook.assign(features)
        else:
            found = cluster_features(_apart(features), settings, overwrite=True).assignment
        del features
        learner.reset_optimizer()
        for batch in group:
            labels = np.full(batch.valid.shape, IGNORE, np.int32)
            here, found = np.split(found, [np.count_nonzero(batch.valid)])
            labels[batch.valid] = here
            yield batch, labels


def _apart(features: FloatArray) -> Sample:
    """Return features of which nobody knows who is whose neighbour."""
    return Sample(features, features[:0])
