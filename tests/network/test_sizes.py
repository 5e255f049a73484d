"""The sizes of the U-Net, worked out by following one axis through its layers."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clusternet.errors import SettingsError
from clusternet.network.sizes import (
    check_shape,
    decoder_margins,
    margin,
    nearest_size,
    num_weights,
    output_size,
    skip_crops,
    uncovered,
)

sizes = st.integers(204, 700)  # smaller ones leave nothing


def followed(size: int) -> tuple[int, list[int]]:
    """Return what the valid network leaves of an axis, and what it cuts off each skip."""
    skips = []
    for _ in range(4):
        skips.append(size - 2 - 2)  # two 3x3 convolutions
        size = (size - 4) // 2  # 2x2 pooling
    size = size - 2 - 2
    crops = []
    for skip in reversed(skips):
        size = 2 * size - 1  # doubled, a 2x2 convolution
        crops.insert(0, skip - size)
        size = size - 2 - 2
    return size, crops


@pytest.mark.parametrize(
    ("size", "labelled"), [(256, 53), (512, 309), (204, 5), (203, 0), (188, 0), (20, 0), (1, 0)]
)
def test_valid_sizes_are_the_published_ones(size: int, labelled: int) -> None:
    assert output_size(size, "valid") == labelled


@given(sizes)
def test_every_size_is_what_the_layers_leave(size: int) -> None:
    assert (output_size(size, "valid"), skip_crops(size)) == followed(size)


@given(st.integers(1, 500))
def test_the_same_network_labels_every_pixel_of_whole_grains(size: int) -> None:
    assert output_size(size, "same") == (size if size in range(16, 501, 16) else 0)


@given(st.integers(204, 600))
def test_the_unlabelled_border_is_the_same_modulo_the_grain(size: int) -> None:
    assert size - output_size(size, "valid") == size + 16 - output_size(size + 16, "valid")


def test_a_shape_that_fits_gives_the_shape_of_its_labels() -> None:
    assert check_shape((48, 64), "same") == (48, 64)
    assert check_shape((256, 512), "valid") == (53, 309)


@pytest.mark.parametrize(
    ("shape", "padding", "words"),
    [
        ((500, 64), "same", ["divisible by 16", "--padding same", "(500, 64)", "496 64."]),
        ((64, 7), "same", ["divisible by 16", "64 16."]),
        ((128, 300), "valid", ["at least 204", "--padding valid", "(128, 300)", "204 300."]),
    ],
)
def test_a_shape_that_does_not_fit_is_refused_with_the_nearest(
    shape: tuple[int, int], padding: str, words: list[str]
) -> None:
    for one in (shape, shape[::-1]):
        with pytest.raises(SettingsError) as refusal:
            check_shape(one, padding)
        if one == shape:
            assert all(word in str(refusal.value) for word in words)


@pytest.mark.parametrize(
    ("size", "nearest"), [(1, 16), (23, 16), (24, 32), (25, 32), (40, 48), (32, 32), (500, 496)]
)
def test_the_nearest_size_of_whole_grains_is_the_larger_of_two(size: int, nearest: int) -> None:
    assert nearest_size(size, "same") == nearest


@pytest.mark.parametrize(("size", "nearest"), [(1, 204), (203, 204), (204, 204), (301, 301)])
def test_the_nearest_size_of_the_valid_network_is_no_smaller(size: int, nearest: int) -> None:
    assert nearest_size(size, "valid") == nearest


@given(sizes)
def test_a_valid_margin_is_half_of_the_border_rounded_up(size: int) -> None:
    border = size - followed(size)[0]
    assert margin("valid", size) == border // 2 + border % 2
    assert uncovered("valid") <= border // 2


def test_margins_are_those_that_were_measured() -> None:
    # with same padding the zeros beyond a window reach 109 pixels inwards at most, 7 x 16 is 112
    assert margin("same") == 112
    assert margin("valid") == 102
    assert uncovered("valid") == min(  # of all sizes, half of the border
        (size - followed(size)[0]) // 2 for size in range(512, 528)
    )


def test_weights_are_counted_layer_by_layer() -> None:
    # one band, one filter at the top, two features, three clusters: kernels and biases by hand
    down = [(1, 1), (1, 1), (1, 2), (2, 2), (2, 4), (4, 4), (4, 8), (8, 8), (8, 16), (16, 16)]
    up = [(16, 8), (8, 8), (8, 4), (4, 4), (4, 2), (2, 2), (2, 1), (1, 2)]  # after each joint
    threes = sum(9 * inputs * outputs + outputs for inputs, outputs in [*down, *up])
    twos = sum(4 * 2 * width * width + width for width in (8, 4, 2, 1))  # from below to the joint
    head = 2 * 3 + 3
    assert num_weights(1, 3, base_filters=1, num_features=2) == threes + twos + head
    paper = num_weights(3, 100, base_filters=64, num_features=64)
    assert 31_000_000 < paper < 31_100_000  # the U-Net of Ronneberger et al. 2015 has 31.0 million


def test_the_decoder_needs_what_its_convolutions_reach() -> None:
    # from below: a level gives twice what it gets, and three convolutions take a pixel each
    margins = decoder_margins()
    assert len(margins) == 4
    for here, below in pairwise(margins):
        assert 2 * below - 3 in (here, here + 1)
    assert margins[0] == 2
    assert uncovered("same") == 112 - 2 * margins[0]
