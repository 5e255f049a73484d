"""Which patches an epoch takes, in which order, and which of their pixels are clustered."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from memory_training import SETTINGS, USABLE, make_training, random_patches

from clusternet.settings import TrainingSettings
from clusternet.training.epoch_plan import TrainingData

GROUPS = replace(SETTINGS, cluster_scope="batch", clust_batch_size=4, samples_per_centroid=0)


@pytest.fixture
def data() -> TrainingData:
    return make_training().data


def changed(data: TrainingData, **changes: object) -> TrainingData:
    return replace(data, settings=replace(data.settings, **changes))


def choices(data: TrainingData, epoch: int) -> list[int]:
    """Return the patches that an epoch trains on, in order."""
    return data.plan(epoch).order.tolist()


def test_choices_differ_between_epochs_and_repeat_with_the_seed(data: TrainingData) -> None:
    def epochs(seed: int) -> list[list[int]]:
        return [choices(changed(data, seed=seed), epoch) for epoch in range(12)]

    first, again, other = epochs(1), epochs(1), epochs(2)
    assert first == again and first != other
    assert {frozenset(patches) for patches in first} != {frozenset(patches) for patches in other}
    assert all(len(set(patches)) == len(patches) == 4 for patches in first)
    assert len({frozenset(patches) for patches in first}) > 6  # not the same in another order
    assert set().union(*first) == set(USABLE)  # nothing is left out for ever
    assert any(patches != sorted(patches) for patches in first)


@pytest.mark.parametrize("settings", [SETTINGS, GROUPS], ids=["epoch", "batch"])
def test_an_epoch_trains_on_what_was_chosen_in_that_order(settings: TrainingSettings) -> None:
    training = make_training(settings=replace(settings, epoch_megapixels=0))
    training.start()
    training.epoch(1)
    assert training.observer.fitted_patches == choices(training.data, 1)


def test_an_epoch_without_limit_takes_every_patch_once_in_another_order(
    data: TrainingData,
) -> None:
    data = changed(data, epoch_megapixels=0)
    first, second = choices(data, 1), choices(data, 2)
    assert sorted(first) == sorted(second) == USABLE and first != second
    assert choices(changed(data, seed=2), 1) != first


def test_an_epoch_fills_a_batch_at_least(data: TrainingData) -> None:
    data = changed(data, epoch_megapixels=0.001)  # one patch
    assert len(choices(data, 1)) == 2
    data = replace(data, loader=replace(data.loader, batch_size=50))
    assert sorted(choices(data, 1)) == USABLE  # but not with what is not there


def test_what_is_clustered_was_trained_on_and_changes_every_epoch(data: TrainingData) -> None:
    plans = [data.plan(epoch).sample for epoch in (1, 2)]
    valid = data.loader.patches.valid
    for epoch, plan in enumerate(plans, 1):
        assert set(plan.quotas) <= set(choices(data, epoch))
        assert sum(plan.quotas.values()) == 5 * 40
        assert all(quota <= valid[patch].sum() for patch, quota in plan.quotas.items())
    everywhere = np.ones((32, 32), bool)
    both = [replace(plan, quotas={0: 9}).positions(0, everywhere).tolist() for plan in plans]
    assert both[0] != both[1]
    assert data.plan(1).sample == plans[0]
    assert changed(data, seed=2).plan(1).sample.seed != plans[0].seed
    assert len(changed(data, sample_patches=2).plan(1).sample.quotas) == 2
    # 0, all pixels of a group: what is kept is sampled
    assert sum(replace(data, settings=GROUPS).plan(1).sample.quotas.values()) == 5 * 256


def test_a_few_full_patches_are_sampled_to_the_last_pixel() -> None:
    patches = random_patches(4)
    patches.valid[:] = False
    patches.valid[[0, 1, 3], :2, :3] = True  # 6 each
    assert make_training(patches=patches).data.plan(1).sample.quotas == {0: 6, 1: 6, 3: 6}


def test_each_quarter_of_a_patch_is_trained_on_from_a_start_of_its_own(
    data: TrainingData,
) -> None:
    def starts(epoch: int, *patches: int, **changes: object) -> np.ndarray:
        plan = changed(data, pixel_step=2, **changes).plan(epoch)
        batch = next(data.loader.batches(np.array(patches)))
        return plan.starts(batch)

    assert data.plan(1).starts(next(data.loader.batches(np.array([3])))) is None  # all pixels
    both = starts(1, 3, 5)
    assert both.shape == (2, 4, 2) and both.dtype == np.int32
    np.testing.assert_array_equal(starts(1, 5, 3), both[::-1])  # whatever stands beside it
    np.testing.assert_array_equal(starts(1, 5)[0], both[1])  # the batch is filled up
    every = np.concatenate([starts(epoch, 3, 5) for epoch in range(9)]).reshape(-1, 2)
    assert {tuple(start) for start in every.tolist()} == {(0, 0), (0, 1), (1, 0), (1, 1)}
    assert len({starts(epoch, 3).tobytes() for epoch in range(9)}) > 3
    assert any((starts(epoch, 3) != starts(epoch, 3, seed=2)).any() for epoch in range(3))


def test_patches_are_labelled_where_they_are_trained_on() -> None:
    settings = replace(SETTINGS, epoch_megapixels=0, pixel_step=3)
    training = make_training(settings=settings)
    training.start()
    training.learner.starts.clear()
    training.epoch(1)
    plan = training.data.plan(1)
    wanted = [plan.starts(batch) for batch in training.data.batches(plan.order)]
    np.testing.assert_array_equal(training.learner.starts[: len(wanted)], wanted)


def test_groups_cut_the_order_and_have_seeds_of_their_own(data: TrainingData) -> None:
    plan = changed(data, epoch_megapixels=0).plan(1)
    groups = [*plan.groups(4)]
    assert [len(group.patches) for group in groups] == [4, 4, 1]
    np.testing.assert_array_equal(np.concatenate([group.patches for group in groups]), plan.order)
    assert len({group.seed for group in groups}) == 3
