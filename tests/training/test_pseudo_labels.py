"""Features are clustered where they lie if nobody needs them afterwards: memory for one copy."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from memory_training import SETTINGS, make_training

from clusternet.clustering.kmeans import Clustering
from clusternet.clustering.sampling import Sample
from clusternet.training.pseudo_labels import cluster_features

GROUPS = replace(SETTINGS, cluster_scope="batch", clust_batch_size=4)


@pytest.mark.parametrize("overwrite", [None, False, True])
def test_features_are_overwritten_only_where_that_is_allowed(overwrite: bool | None) -> None:
    features = np.random.default_rng(0).normal(3, size=(200, 6)).astype(np.float32)
    sample = Sample(features.copy(), features[:0])
    options = {} if overwrite is None else {"overwrite": overwrite}
    cluster_features(sample, SETTINGS, **options)
    assert np.array_equal(sample.features, features) != bool(overwrite)


@pytest.mark.parametrize(("per_centroid", "copied"), [(0, False), (10, True)])
def test_a_group_that_is_clustered_whole_is_held_once(
    monkeypatch: pytest.MonkeyPatch, per_centroid: int, copied: bool
) -> None:
    kept = []

    def watch(sample: Sample, *args: object, **options: object) -> Clustering:
        before = sample.features.copy()
        found = cluster_features(sample, *args, **options)
        kept.append(np.array_equal(before, sample.features))
        return found

    training = make_training(settings=replace(GROUPS, epoch_megapixels=0.008))  # 8 patches
    training.start()
    training.change(samples_per_centroid=per_centroid)
    monkeypatch.setattr("clusternet.training.pseudo_labels.cluster_features", watch)
    training.epoch(1)
    assert kept == [copied, copied]
