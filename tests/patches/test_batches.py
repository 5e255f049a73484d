"""Batches hold the patches that were asked for, and are filled up to one size."""

from __future__ import annotations

import numpy as np
import pytest
from conftest import four_textures
from PIL import Image

from clusternet.patches.batches import BatchLoader
from clusternet.patches.folder import open_patches
from clusternet.patches.survey import survey_patches
from clusternet.windows import Window, centre

SHAPE, LABELLED = (16, 20), (6, 7)


@pytest.fixture(scope="module")
def loader(tmp_path_factory: pytest.TempPathFactory) -> BatchLoader:
    """Seven patches in batches of three; each has a black corner of its own size."""
    folder = tmp_path_factory.mktemp("patches")
    (folder / "a").mkdir()
    for number in range(7):
        pixels = four_textures(*SHAPE, 3, seed=number)
        pixels[: number + 1, : 2 * number + 1] = 0
        Image.fromarray(pixels).save(folder / f"a/{number}.png")
    patches = open_patches(folder, nodata=0)
    return BatchLoader(patches, survey_patches(patches, LABELLED).bands, LABELLED, 3, 2)


@pytest.mark.parametrize("order", [range(7), [6, 0, 3, 3], [5], []])
def test_patches_come_in_the_order_asked_for(loader: BatchLoader, order: list[int]) -> None:
    batches = list(loader.batches(np.array(order, np.int64)))
    assert [index for batch in batches for index in batch.indexes.tolist()] == list(order)
    assert all(len(batch.indexes) == 3 for batch in batches[:-1])


def test_pixels_and_valid_belong_to_their_index(loader: BatchLoader) -> None:
    middle = centre(Window(0, 0, *SHAPE), LABELLED).slices()
    for batch in loader.batches(np.array([4, 1, 6, 2])):
        for place, index in enumerate(batch.indexes.tolist()):
            pixels, valid = loader.patches.read(index)
            expected = loader.bands.standardise(pixels, valid)
            np.testing.assert_array_equal(batch.pixels[place], expected)
            np.testing.assert_array_equal(batch.valid[place], valid[middle])


def test_pixels_without_data_are_zero(loader: BatchLoader) -> None:
    (batch,) = loader.batches(np.array([6]))
    assert (batch.pixels[0, :7, :13] == 0).all() and (batch.pixels[0, 7:] != 0).any()


def test_every_batch_has_the_same_shape(loader: BatchLoader) -> None:
    for batch in loader.batches(np.arange(7)):
        assert batch.pixels.shape == (3, *SHAPE, 3) and batch.pixels.dtype == np.float32
        assert batch.valid.shape == (3, *LABELLED) and batch.valid.dtype == bool


def test_what_fills_up_the_last_batch_is_never_valid(loader: BatchLoader) -> None:
    *_, last = loader.batches(np.arange(7))
    assert last.indexes.tolist() == [6]
    assert not last.valid[1:].any() and not last.pixels[1:].any()
    assert last.valid[0].any()
