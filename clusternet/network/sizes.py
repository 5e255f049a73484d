"""The arithmetic of the U-Net's sizes, without the network: what goes in, what comes out."""

from __future__ import annotations

import math
from dataclasses import dataclass

from clusternet.errors import SettingsError
from clusternet.windows import Shape

LEVELS = 5
TOTAL_STRIDE: int = 1 << (LEVELS - 1)
"""Pixels along an axis that the deepest level pools into one. A shift of the input by a multiple of
them shifts the output by as much; by any other shift it changes the output."""


def output_size(size: int, padding: str) -> int:
    """Return the labelled pixels along an axis of ``size`` input pixels; 0 if it does not fit.

    ``valid`` is the published code's network: two unpadded 3x3 convolutions a level (-4), 2x2
    pooling (halved, rounded down), and on the way up doubling, a 2x2 convolution (-1) and two
    3x3 convolutions (-4). 512 gives 309, 256 gives 53.
    """
    if padding == "same":
        return size if size % TOTAL_STRIDE == 0 else 0
    for _ in range(LEVELS - 1):
        size = (size - 4) // 2
    size -= 4
    for _ in range(LEVELS - 1):
        size = 2 * size - 1 - 4
    return max(size, 0)


def skip_crops(size: int) -> list[int]:
    """Return how many pixels the valid network cuts off each skip connection, top level first."""
    encoder = []
    for _ in range(LEVELS - 1):
        encoder.append(size - 4)
        size = (size - 4) // 2
    size -= 4
    crops = []
    for skip in reversed(encoder):
        size = 2 * size - 1
        crops.append(skip - size)
        size -= 4
    return crops[::-1]


Sides = tuple[tuple[int, int], tuple[int, int]]
"""Pixels at the (top, bottom), and at the (left, right)."""


@dataclass(frozen=True)
class Cut:
    """Pixels that a level of the decoder crops before it upsamples; None crops nothing."""

    below: Sides | None = None
    """From the tensor of the level below."""
    skip: Sides | None = None
    """From the skip connection."""


def skip_cuts(shape: Shape, padding: str) -> list[Cut]:
    """Return what each level cuts so that the skip connection fits, top level first."""
    if padding == "same":
        return [Cut()] * (LEVELS - 1)
    crops = zip(skip_crops(shape[0]), skip_crops(shape[1]), strict=True)
    # an odd pixel goes at the top and left, as published
    return [
        Cut(skip=(((rows + 1) // 2, rows // 2), ((cols + 1) // 2, cols // 2)))
        for rows, cols in crops
    ]


def centre_cuts() -> list[Cut]:
    """Return what each level leaves out, top level first, where only the centre is kept.

    The centre is what `margin` leaves of a window with same padding.
    """
    needed, border = decoder_margins(), margin("same")
    cuts = []
    spare = border >> LEVELS - 1  # pixels around the centre, at the level that comes from below
    for level in reversed(range(LEVELS - 1)):
        below, spare = spare - needed[level], 2 * needed[level]
        cuts.append(Cut(_all_around(below), _all_around((border >> level) - spare)))
    return cuts[::-1]


def _all_around(pixels: int) -> Sides:
    return ((pixels, pixels), (pixels, pixels))


def check_shape(shape: Shape, padding: str) -> Shape:
    """Return the shape of the labels of a patch of ``shape``.

    Raises:
        SettingsError: if the network cannot take the shape; the nearest that it can is named.
    """
    labelled = output_size(shape[0], padding), output_size(shape[1], padding)
    if min(labelled) > 0:
        return labelled
    nearest = tuple(nearest_size(size, padding) for size in shape)
    rule = (
        f"divisible by {TOTAL_STRIDE}"
        if padding == "same"
        else f"of at least {nearest_size(1, padding)}"
    )
    raise SettingsError(
        f"Expected patches with sides {rule} pixels for --padding {padding}, received {shape}; "
        f"the nearest that fits is --img_shape {nearest[0]} {nearest[1]}."
    )


def nearest_size(size: int, padding: str) -> int:
    """Return the nearest size that the network can take (the larger one of two as near)."""
    if padding == "same":
        return max(TOTAL_STRIDE * math.floor(size / TOTAL_STRIDE + 0.5), TOTAL_STRIDE)
    while not output_size(size, padding):
        size += 1
    return size


def num_weights(num_bands: int, num_clusters: int, base_filters: int, num_features: int) -> int:
    """Return the number of weights of the U-Net, without building one that memory cannot hold."""

    def conv(inputs: int, outputs: int, size: int) -> int:
        return (inputs * size**2 + 1) * outputs

    widths = [base_filters * 2**level for level in range(LEVELS)]
    total, inputs = 0, num_bands
    for width in widths:
        total += conv(inputs, width, 3) + conv(width, width, 3)
        inputs = width
    for level in reversed(range(LEVELS - 1)):
        width, last = widths[level], num_features if level == 0 else widths[level]
        total += conv(2 * width, width, 2) + conv(2 * width, width, 3) + conv(width, last, 3)
    return total + conv(num_features, num_clusters, 1)


def margin(padding: str, size: int = 64 * TOTAL_STRIDE) -> int:
    """Return how many pixels are read before a part that is kept, if it starts at a multiple of 16.

    The valid network needs the border that it does not label. That is half of 203 pixels where
    ``size`` is a multiple of 16. For other sizes it is half of 199 to 214 pixels, since pooling
    leaves pixels over. With same padding, zeros beyond the window change pixels near its border: 94
    pixels from the top and left and 109 from the bottom and right, if it starts and ends at
    multiples of 16. So 112 pixels, seven times the total stride, are enough on each side.
    """
    if padding == "valid":
        return math.ceil(_unlabelled(size) / 2)
    return TOTAL_STRIDE * math.ceil(
        (math.ceil(_unlabelled(64 * TOTAL_STRIDE) / 2) + 8) / TOTAL_STRIDE
    )


def uncovered(padding: str) -> int:
    """Return the least number of pixels on each side of a window that get no features.

    With valid padding sizes differ in it, see `margin`.
    """
    if padding == "same":  # see `build_network`, centre_only
        return margin(padding) - 2 * decoder_margins()[0]
    return min(_unlabelled(64 * TOTAL_STRIDE + more) // 2 for more in range(TOTAL_STRIDE))


def _unlabelled(size: int) -> int:
    """Return the pixels along an axis that the valid network does not label."""
    return size - output_size(size, "valid")


def decoder_margins() -> list[int]:
    """Return how many pixels around the kept centre each level of the decoder takes from below.

    They are counted in pixels of the level below, top level first. A level doubles its input. Each
    of its three convolutions then lets the zeros beyond the border change one pixel more.
    """
    margins, needed = [], 0
    for _ in range(LEVELS - 1):
        needed = math.ceil((needed + 3) / 2)
        margins.append(needed)
    return margins
