"""The algorithm: cluster pixel features, train on the clusters, repeat.

DeepCluster (Caron et al. 2018) for the pixels of overhead images (Girard et al. 2019). The formulas
are in docs/method.md, in the same order. Saving and reporting are not here: see `run_writer.py`.

Several processes may run this together, one group (`clusternet.processes.groups`). Each then has
its part of every batch, and all have the same weights and the same clusters.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import numpy as np

from clusternet.clustering.kmeans import Clustering, cluster_features
from clusternet.clustering.sampling import Sample, join_samples
from clusternet.patches.batches import Batch
from clusternet.training.epoch_plan import EpochPlan, TrainingData
from clusternet.training.pseudo_labels import SampleLabels, cluster_group, take_labels
from clusternet.types import IntArray

if TYPE_CHECKING:  # it loads the network library
    from clusternet.training.learner import Learner


def alternate(learner: Learner, data: TrainingData, observer: Observer, epochs_done: int) -> None:
    """Cluster the features of pixels, train on the clusters, and repeat to the last epoch.

    Args:
        learner: the network; without a codebook if the run is new.
        data: the patches and settings of the run.
        observer: is told of every step; saves the run when clusters fit the weights.
        epochs_done: the number of the last epoch that is done, 0 before the first one.
    """
    settings = data.settings
    if learner.codebook is None:  # a new run; a resumed one brings its codebook along
        plan = data.plan(epochs_done)
        sample = embed(learner, data, plan, observer)
        clustering = data.group.once(cluster_features, sample, settings)
        learner.freeze(clustering.codebook)
        observer.clustered(plan, sample, clustering, None)
    for epoch in range(epochs_done + 1, settings.num_epochs + 1):
        plan = data.plan(epoch)
        observer.epoch_started(plan)
        if settings.cluster_scope == "epoch":  # one codebook for all patches: the default
            sample_labels = initial_labels = label_and_fit(learner, data, plan, observer)
        else:  # a codebook for each group of patches: as published
            sample_labels = label_and_fit_groups(learner, data, plan, observer)
            initial_labels = None  # a number means another cluster in each group
        sample = embed(learner, data, plan, observer)
        clustering = data.group.once(
            cluster_features, sample, settings, initial_labels=initial_labels
        )
        learner.freeze(clustering.codebook)
        observer.clustered(plan, sample, clustering, sample_labels)


def label_and_fit(
    learner: Learner, data: TrainingData, plan: EpochPlan, observer: Observer
) -> IntArray:
    """Label each batch and take a step towards its labels, once for every patch.

    Returns:
        the pseudo-labels (samples,) of the pixels that are clustered at the end of the epoch,
        IGNORE for those that were not labelled.
    """
    sample_labels = SampleLabels(plan.sample, data.group)
    for batch in data.batches(plan.order):
        labels = learner.label(batch, plan.starts(batch))  # by the frozen weights and codebook
        sample_labels.collect(batch, labels)
        loss = learner.fit(*plan.view(batch.pixels, labels, batch))
        observer.fitted(batch, loss)
    return sample_labels.in_order()


def label_and_fit_groups(
    learner: Learner, data: TrainingData, plan: EpochPlan, observer: Observer
) -> IntArray:
    """Do the same as the published code does, with new clusters and a new Adam for each group."""
    sample_labels = SampleLabels(plan.sample)
    for group in plan.groups(data.settings.clust_batch_size):
        batches = [*data.batches(group.patches)]
        # The features may take gigabytes: no variable keeps them, and K-Means may overwrite them.
        assignment = cluster_group(
            np.concatenate([learner.embed(batch) for batch in batches]), group, data.settings
        )
        learner.reset_optimizer()
        for batch in batches:
            labels, assignment = take_labels(batch, assignment)
            sample_labels.collect(batch, labels)
            loss = learner.fit(*plan.view(batch.pixels, labels))
            observer.fitted(batch, loss)
    return sample_labels.in_order()


def embed(learner: Learner, data: TrainingData, plan: EpochPlan, observer: Observer) -> Sample:
    """Return the features of the sampled pixels under the present weights."""
    parts = []
    for batch in data.batches(plan.sample.patches):
        parts.append(learner.embed_sample(batch, plan.sample))
        observer.embedded(batch, plan)
    return join_samples(data.group.gather(parts))


class Observer(Protocol):
    """Is told what the algorithm has done, and may show, record and save it.

    Every call comes between two steps, where nothing is half done. So an observer may raise
    KeyboardInterrupt to answer a signal.
    """

    def epoch_started(self, plan: EpochPlan) -> None:
        """Begin an epoch of training."""

    def fitted(self, batch: Batch, loss: float) -> None:
        """Take note of a training step on ``batch``."""

    def embedded(self, batch: Batch, plan: EpochPlan) -> None:
        """Take note that the sampled pixels of ``batch`` have features."""

    def clustered(
        self,
        plan: EpochPlan,
        sample: Sample,
        clustering: Clustering,
        labels_before: IntArray | None,
    ) -> None:
        """End an epoch, or the clustering before the first one.

        The codebook of ``clustering`` fits the present weights: this is the moment to save both.

        Args:
            plan: of the epoch.
            sample: what was clustered.
            clustering: of the sample.
            labels_before: (samples,) its pseudo-labels in the epoch; None before the first one.
        """
