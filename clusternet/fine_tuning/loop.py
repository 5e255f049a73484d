"""The algorithm of fine-tuning: classes on labelled pixels, the first clusters on the others.

The class head begins as a perceptron that is fitted to the labelled pixels. So before its first
step a fine-tuned run predicts what that classifier predicts. Each step then takes as many patches
with labels as without. docs/method.md describes it.
"""

from __future__ import annotations

import math
from itertools import repeat

import numpy as np

from clusternet.clustering.kmeans import Codebook, cluster_features
from clusternet.fine_tuning.class_learner import BALANCE, UNITS, ClassLearner
from clusternet.fine_tuning.labelled_data import LabelledData, joined
from clusternet.fine_tuning.patch_labels import IGNORE
from clusternet.learning.perceptron import Training, train_layers
from clusternet.patches.batches import Batch
from clusternet.training.epoch_plan import EpochPlan
from clusternet.training.loop import Observer, embed
from clusternet.training.pseudo_labels import SampleLabels
from clusternet.types import AnyArray, FloatArray, IntArray

_MOST_PATCHES = 256  # that the first fit takes its pixels from
_MOST_PIXELS = 20_000
# ten times the decay for strokes, since the pixels of a labelled area are nearly alike
_TRAINING = Training(units=UNITS, decay=100.0, iterations=100)


def fine_tune_network(
    learner: ClassLearner,
    labelled: LabelledData,
    observer: Observer,
    epochs_done: int,
    codebook: Codebook | None = None,
) -> None:
    """Fit the class head, then train the whole network to the last epoch.

    Args:
        learner: the network; without a codebook if the run is new.
        labelled: the patches, labels and settings of the run.
        observer: is told of every step, see `clusternet.training.loop.Observer`.
        epochs_done: the number of the last epoch that is done, 0 before the first one.
        codebook: the clusters of the run whose weights the network has; None finds new ones.
    """
    data, settings = labelled.data, labelled.data.settings
    if learner.codebook is None:  # a new run; a resumed one brings its codebook along
        plan = data.plan(epochs_done)
        sample = embed(learner, data, plan, observer)
        start = None if codebook is None else codebook.assign(sample.features)
        clustering = cluster_features(sample, settings, initial_labels=start)
        learner.freeze(codebook or clustering.codebook)
        fit_head(learner, labelled, sample.features)
        learner.freeze(clustering.codebook)
        observer.clustered(plan, sample, clustering, None)
    for epoch in range(epochs_done + 1, settings.num_epochs + 1):
        plan = data.plan(epoch)
        learner.slow_down(rate_of(epoch, settings.num_epochs))
        observer.epoch_started(plan)
        fit_epoch(learner, labelled, plan, observer)
        sample_labels = label_sample(learner, labelled, plan)
        sample = embed(learner, data, plan, observer)
        clustering = cluster_features(sample, settings, initial_labels=sample_labels)
        learner.freeze(clustering.codebook)
        observer.clustered(plan, sample, clustering, sample_labels)


def rate_of(epoch: int, num_epochs: int) -> float:
    """Return the share of the first learning rate that an epoch has: half a cosine, 1 at first."""
    return 0.5 + 0.5 * math.cos(math.pi * (epoch - 1) / num_epochs)


def fit_epoch(
    learner: ClassLearner, labelled: LabelledData, plan: EpochPlan, observer: Observer
) -> None:
    """Take a step for each batch of the plan, with a batch of labelled patches beside it.

    If clusters are not learned, the batch of labelled patches stands alone.
    """
    data = labelled.data
    size = data.loader.batch_size
    steps = math.ceil(len(plan.order) / size)
    drawn = data.batches(labelled.draw(plan.epoch, steps * size))
    others = data.batches(plan.order) if learner.learns_clusters else repeat(None, steps)
    for with_labels, other in zip(drawn, others, strict=True):
        pixels, clusters, classes = _targets(learner, labelled, with_labels, other)
        # both kinds of labels turn with the pixels
        pixels, targets = plan.view(pixels, np.stack([clusters, classes], axis=-1))
        loss = learner.fit_both(pixels, targets[..., 0], targets[..., 1])
        observer.fitted(other or with_labels, loss)


def _targets(
    learner: ClassLearner, labelled: LabelledData, with_labels: Batch, other: Batch | None
) -> tuple[FloatArray, IntArray, IntArray]:
    """Return the pixels of a step, and their clusters and classes: each pixel has one of both."""
    classes = labelled.classes_of(with_labels)
    if other is None:
        return with_labels.pixels, np.full_like(classes, IGNORE), classes
    both = joined(other, with_labels)
    classes = np.concatenate([labelled.classes_of(other), classes])
    clusters = np.where(classes == IGNORE, learner.label(both), IGNORE).astype(np.int32)
    return both.pixels, clusters, classes


def label_sample(learner: ClassLearner, labelled: LabelledData, plan: EpochPlan) -> IntArray:
    """Return the clusters of the sampled pixels, by which new centroids keep their numbers."""
    sample_labels = SampleLabels(plan.sample)
    for batch in labelled.data.batches(plan.sample.patches):
        sample_labels.collect(batch, learner.label(batch))
    return sample_labels.in_order()


def fit_head(learner: ClassLearner, labelled: LabelledData, sample: FloatArray) -> None:
    """Fit the class head to labelled pixels as a perceptron, in the space of the clusters.

    Args:
        learner: with its first clusters.
        labelled: the labels.
        sample: (samples, depth) features of an even sample of all pixels.
    """
    if learner.codebook is None:
        raise ValueError("the learner has no clusters yet")
    offset, projection = class_space(learner.codebook, sample)
    features, columns = _labelled_pixels(learner, labelled)
    values = np.asarray((features - offset) @ projection, np.float32)
    present, places = np.unique(columns, return_inverse=True)
    num_classes = len(learner.classes)
    arrays = {
        "offset": offset,
        "projection": projection,
        "hidden": np.zeros((values.shape[1], UNITS), np.float32),
        "hidden_bias": np.zeros(UNITS, np.float32),
        "output": np.zeros((UNITS, num_classes), np.float32),
        "bias": np.full(num_classes, _UNSEEN, np.float32),
    }
    if len(present) > 1:
        hidden, hidden_bias, output, bias = train_layers(
            values, places, len(present), _TRAINING, balance=BALANCE
        )
        arrays |= {"hidden": hidden, "hidden_bias": hidden_bias}
        arrays["output"][:, present], arrays["bias"][present] = output, bias
    learner.set_head({name: np.asarray(value, np.float32) for name, value in arrays.items()})


def class_space(codebook: Codebook, sample: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return offset (depth,) and projection (depth, depth) of the class head.

    It is the space of the clusters, with a mean variance of 1. Without a projection every feature
    is standardised by itself.
    """
    if codebook.has_projection:
        variance = codebook.transform(sample).var(axis=0, dtype=np.float64).mean()
        return codebook.offset, codebook.projection / np.float32(max(variance, 1e-12) ** 0.5)
    deviation = np.maximum(sample.std(axis=0, dtype=np.float64), 1e-6)
    return codebook.offset, np.diag(1 / deviation).astype(np.float32)


_UNSEEN = -5.0  # score of a class that the first fit has no pixel of


def _labelled_pixels(learner: ClassLearner, labelled: LabelledData) -> tuple[FloatArray, AnyArray]:
    """Return the features (samples, depth) and columns (samples,) of a draw of labelled pixels."""
    rng = labelled.generator()
    chosen = labelled.patches
    if len(chosen) > _MOST_PATCHES:
        chosen = np.sort(rng.choice(chosen, _MOST_PATCHES, replace=False))
    share = _MOST_PIXELS / labelled.count(chosen)
    features, columns = [], []
    for batch in labelled.data.batches(chosen):
        classes = labelled.classes_of(batch)
        kept = (classes != IGNORE) & (rng.random(classes.shape) < share)
        features.append(learner.embed(batch)[kept[batch.valid]])
        columns.append(classes[kept])
    return np.concatenate(features), np.concatenate(columns)
