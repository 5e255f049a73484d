"""Clusters as labels: of the sampled pixels, and of the groups of the published scheme."""

from __future__ import annotations

import numpy as np

from clusternet.clustering.kmeans import cluster_features
from clusternet.clustering.sampling import Sample, SamplePlan
from clusternet.patches.batches import Batch
from clusternet.processes.groups import ALONE, Group
from clusternet.settings import TrainingSettings
from clusternet.training.epoch_plan import PatchGroup
from clusternet.types import FloatArray, IntArray

IGNORE = -1
"""The pseudo-label of a pixel that has none."""


class SampleLabels:
    """The pseudo-labels of the sampled pixels, collected while all patches are labelled.

    K-Means starts from them, so that a cluster keeps its number while features move. They are
    taken on the way, since labelling these patches a second time would cost a forward pass.
    """

    def __init__(self, plan: SamplePlan, group: Group = ALONE) -> None:
        """Start without labels of the pixels of ``plan``, whose patches a group shares."""
        self._plan, self._group = plan, group
        self._labels: dict[int, IntArray] = {}

    def collect(self, batch: Batch, labels: IntArray) -> None:
        """Keep the labels of the sampled pixels of a batch.

        Args:
            batch: the patches as they are, not another view of them.
            labels: (batch size, rows', cols').
        """
        for row, patch in enumerate(batch.indexes.tolist()):
            if patch in self._plan.quotas:
                positions = self._plan.positions(patch, batch.valid[row])
                self._labels[patch] = labels[row].ravel()[positions]

    def in_order(self) -> IntArray:
        """Return the labels in the order of the sample; (samples,)."""
        labels: dict[int, IntArray] = {}
        for part in self._group.gather([self._labels]):
            labels |= part
        return np.concatenate([labels[patch] for patch in self._plan.quotas])


def cluster_group(features: FloatArray, group: PatchGroup, settings: TrainingSettings) -> IntArray:
    """Cluster the features of a group of patches; return the cluster of each, (samples,).

    Args:
        features: (samples, depth) of all valid pixels; overwritten if all of them are clustered.
        group: the patches, whose seed chooses pixels if there are more than are clustered.
        settings: of the run.
    """
    most = settings.samples_per_centroid * settings.num_clusters
    if 0 < most < len(features):
        rng = np.random.default_rng(group.seed)
        chosen = features[np.sort(rng.choice(len(features), most, replace=False))]
        clustering = cluster_features(_without_neighbours(chosen), settings)
        return clustering.codebook.assign(features)
    return cluster_features(_without_neighbours(features), settings, overwrite=True).assignment


def _without_neighbours(features: FloatArray) -> Sample:
    """Return a sample without differences: ``neighbours`` is refused in the published scheme."""
    return Sample(features, features[:0])


def take_labels(batch: Batch, assignment: IntArray) -> tuple[IntArray, IntArray]:
    """Split the labels of a group into those of its next batch and the rest.

    Args:
        batch: the next one of the group.
        assignment: (samples,) of the valid pixels of this batch and of those that follow.

    Returns:
        labels (batch size, rows', cols'), IGNORE where not valid; the rest of ``assignment``.
    """
    here, rest = np.split(assignment, [np.count_nonzero(batch.valid)])
    labels = np.full(batch.valid.shape, IGNORE, np.int32)
    labels[batch.valid] = here
    return labels, rest
