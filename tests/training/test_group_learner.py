"""A group takes the steps of one process, and its members stay alike."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from memory_training import SETTINGS, MemoryPatches, random_patches
from thread_group import ThreadGroup, in_threads

from clusternet.clustering.kmeans import cluster
from clusternet.errors import RunError
from clusternet.network.backend import keras
from clusternet.network.unet import masked_cross_entropy
from clusternet.patches.bands import Bands
from clusternet.patches.batches import Batch, BatchLoader, part_of_step
from clusternet.processes.groups import ALONE
from clusternet.training import learner as learner_module
from clusternet.training.group_learner import GroupLearner, patches_each
from clusternet.training.learner import IGNORE, Learner

SHAPE = (32, 32)
STEPS = ([0, 1, 3, 4, 5], [6, 7, 8, 9, 2], [3])
"""Patches of three steps; patch 2 has no data, and the last step is not full."""
BUILDING = threading.Lock()  # Keras numbers layers in one place for all threads


def patches() -> MemoryPatches:
    """Return patches that differ in how many pixels have data."""
    found = random_patches(shape=SHAPE)
    for number in range(len(found.valid)):
        found.valid[number, : 3 * number] = False
    return found


def loader(rows: int) -> BatchLoader:
    bands = Bands(3, "float32", None, (0.0,) * 3, (1.0,) * 3, SHAPE)
    return BatchLoader(patches(), bands, SHAPE, rows, 1)


def labels_of(batch: Batch) -> np.ndarray:
    """Return labels that depend on the patch alone."""
    labels = np.full(batch.valid.shape, IGNORE, np.int32)
    for row, patch in enumerate(batch.indexes.tolist()):
        labels[row] = np.random.default_rng(patch).integers(0, SETTINGS.num_clusters, SHAPE)
    return np.where(batch.valid, labels, IGNORE).astype(np.int32)


class PlainSgd(Learner):
    """Plain steps, whose scale Adam would hide."""

    def _compiled(self, inputs: Any, description: Any, settings: Any, parts: Any) -> Any:
        trainer = keras.Model(self.network.input, self.network.output)
        trainer.compile(keras.optimizers.SGD(0.3), masked_cross_entropy)
        return trainer


class GroupSgd(GroupLearner):
    def _new_optimizer(self, settings: Any) -> Any:
        return keras.optimizers.SGD(0.3)


def take_steps(learner: Learner, rank: int, size: int) -> list[float]:
    rows = loader(patches_each(5, size))
    parts = [part_of_step(np.array(step), rank, size) for step in STEPS]
    return [learner.fit(batch.pixels, labels_of(batch)) for batch in rows.parts(parts)]


def weights(learner: Learner) -> np.ndarray:
    return np.concatenate([one.ravel() for one in learner.network.get_weights()])


@pytest.fixture(scope="module")
def plain() -> tuple[np.ndarray, np.ndarray, list[float]]:
    """Weights before and after three steps of one process, and their losses."""
    learner = PlainSgd(3, SHAPE, SETTINGS, 5)
    before = weights(learner)
    losses = take_steps(learner, 0, 1)
    return before, weights(learner), losses


@pytest.mark.parametrize(("size", "most"), [(3, None), (2, 2)], ids=["three", "two, in parts"])
def test_steps_of_a_group_are_those_of_one_process(
    plain: tuple[np.ndarray, np.ndarray, list[float]],
    monkeypatch: pytest.MonkeyPatch,
    size: int,
    most: int | None,
) -> None:
    if most:  # patches that fit into memory at once
        limit = most * 32 * 32 * (SETTINGS.base_filters + learner_module._BESIDE)
        monkeypatch.setattr(learner_module, "_LARGEST_PART", limit)

    def work(group: ThreadGroup) -> tuple[np.ndarray, list[float]]:
        with BUILDING:
            learner = GroupSgd(3, SHAPE, SETTINGS, 5, group)
        losses = take_steps(learner, group.rank, size)
        return weights(learner), losses

    before, after, losses = plain
    found = in_threads(size, work)

    assert np.abs(after - before).max() > 0.02
    for member, their_losses in found:
        np.testing.assert_array_equal(member, found[0][0])
        np.testing.assert_allclose(member, after, rtol=0, atol=1e-6)
        np.testing.assert_allclose(their_losses, losses, rtol=1e-6)


def test_a_checkpoint_of_a_group_is_one_of_a_single_process(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    limit = 32 * 32 * (SETTINGS.base_filters + learner_module._BESIDE)
    monkeypatch.setattr(learner_module, "_LARGEST_PART", limit)
    settings = replace(SETTINGS, learn_rate=0.01)
    alone = Learner(3, SHAPE, settings, 5)  # counts five parts a step
    member = GroupLearner(3, SHAPE, settings, 5, ALONE)
    for learner in (alone, member):
        take_steps(learner, 0, 1)

    one, other = alone.state(), member.state()

    assert one.keys() == other.keys()
    for name in one:
        assert one[name].shape == other[name].shape and one[name].dtype == other[name].dtype
        np.testing.assert_allclose(one[name], other[name], atol=1e-4, err_msg=name)
    alone.restore(other)
    member.restore(other)
    losses = [take_steps(learner, 0, 1) for learner in (alone, member)]
    np.testing.assert_allclose(losses[1], losses[0], rtol=1e-3)
    np.testing.assert_allclose(weights(member), weights(alone), atol=1e-3)


def test_members_that_differ_are_told_before_clusters_are_kept() -> None:
    class Pair:
        rank, size = 0, 2

        def gather(self, values: list[Any]) -> list[Any]:
            (own,) = values
            return [own, ("another", "node7")]

    learner = GroupLearner(3, SHAPE, SETTINGS, 4, Pair())
    codebook = cluster(np.random.default_rng(1).normal(size=(50, 6)).astype(np.float32), 5).codebook
    with pytest.raises(RunError, match=r"Workers 0 on .* and 1 on node7 .* different weights"):
        learner.freeze(codebook)
    assert learner.codebook is None
