"""Pictures: images stretched for display, maps in colours, and several of them side by side."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from PIL.PngImagePlugin import PngInfo

from clusternet.colours import NODATA_COLOUR
from clusternet.errors import LabelError, SettingsError
from clusternet.files.outputs import Kind, new_file
from clusternet.types import AnyArray, BoolArray, FloatArray, UInt8Array

_PERCENTILES = (2, 98)
_ENOUGH = 128  # an 8-bit image that spans this many of its 256 values is not stretched
_MOST_SAMPLES = 500_000  # pixels that percentiles are taken from
_CAPTION_HEIGHT, _CAPTION_SIZE = 22, 14  # pixels
_SIGNATURE = "Software", "ClusterNet"
_COLOURS = bytes((31, 119, 180, 44, 160, 44))  # the first two of earlier versions


def stretch(
    pixels: AnyArray, valid: BoolArray, bands: tuple[int, int, int] | None = None
) -> UInt8Array:
    """Make an image that can be looked at from pixels of any type.

    Each band is spread from its 2nd and 98th percentile to 0 and 255. An 8-bit image that
    spans half of its range already keeps its own colours.

    Args:
        pixels: (rows, cols, bands); one or two bands give grey, more the first three.
        valid: (rows, cols), False where there is no data, which is shown in light grey.
        bands: indexes of the bands to show as red, green and blue, instead of the first three.

    Returns:
        RGB (rows, cols, 3).

    Raises:
        SettingsError: if ``bands`` names a band that is not there.
    """
    count = pixels.shape[-1]
    chosen = list(bands if bands is not None else range(3) if count >= 3 else (0,))
    if min(chosen) < 0 or max(chosen) >= count:
        raise SettingsError(f"Expected bands from 0 to {count - 1}, received {tuple(chosen)}.")
    shown = pixels[..., chosen]
    picture = np.empty((*valid.shape, 3), np.uint8)
    if valid.any():
        picture[:] = _spread(shown, shown[valid])
    picture[~valid] = NODATA_COLOUR
    return picture


def _spread(shown: AnyArray, values: AnyArray) -> UInt8Array:
    """Stretch bands (rows, cols, bands) to 8 bits by their valid values (pixels, bands)."""
    # Percentiles sort the values, so a regular sample keeps this fast on large images.
    step = max(1, len(values) // _MOST_SAMPLES)
    sample = values[::step].astype(np.float64)
    low, high = np.percentile(sample, _PERCENTILES, axis=0)
    if shown.dtype == np.uint8 and (high.max() - low.min()) >= _ENOUGH:
        return shown
    # A band without contrast comes out in the middle of the scale.
    flat = high <= low
    width = np.where(flat, 1, high - low)
    known: FloatArray = np.nan_to_num(shown.astype(np.float64), nan=0, posinf=0, neginf=0)
    scaled = np.where(flat, 0.5, np.clip((known - low) / width, 0, 1))
    spread: UInt8Array = np.rint(255 * scaled).astype(np.uint8)
    return spread


def colour_labels(labels: AnyArray, nodata_value: int | None, colours: UInt8Array) -> UInt8Array:
    """Give each label its colour.

    Args:
        labels: (rows, cols) of whole numbers.
        nodata_value: the label that means no data, shown in light grey; None for none.
        colours: (labels, 3) RGB, as of `clusternet.colours.palette`.

    Returns:
        RGB (rows, cols, 3).

    Raises:
        LabelError: if a label has no colour.
    """
    known = np.ones(labels.shape, bool) if nodata_value is None else labels != nodata_value
    present = labels[known]
    if present.size and (present.min() < 0 or present.max() >= len(colours)):
        raise LabelError(
            f"Expected labels from 0 to {len(colours) - 1}, "
            f"found {present.min()} to {present.max()}."
        )
    picture = np.empty((*labels.shape, 3), np.uint8)
    picture[:] = NODATA_COLOUR
    picture[known] = colours[present]
    return picture


def side_by_side(
    images: Sequence[AnyArray], gap: int = 8, captions: Sequence[str] | None = None
) -> UInt8Array:
    """Put 8-bit images into one picture, from left to right on white.

    Args:
        images: RGB (rows, cols, 3) or grey (rows, cols); heights may differ.
        gap: pixels between two images.
        captions: a line of text above each image.

    Returns:
        RGB (rows, cols, 3).

    Raises:
        SettingsError: if there are no images, or captions and images differ in number.
    """
    if not images:
        raise SettingsError("Expected at least one image to show.")
    if captions is not None and len(captions) != len(images):
        raise SettingsError(
            f"Expected a caption for each of {len(images)} images, received {len(captions)}."
        )
    top = _CAPTION_HEIGHT if captions is not None else 0
    height = top + max(image.shape[0] for image in images)
    width = sum(image.shape[1] for image in images) + gap * (len(images) - 1)
    picture = np.full((height, width, 3), 255, np.uint8)
    lefts = []
    left = 0
    for image in images:
        rows, cols = image.shape[:2]
        # grey (rows, cols) -> (rows, cols, 1), which spreads over the three bands
        picture[top : top + rows, left : left + cols] = image.reshape(rows, cols, -1)
        lefts.append(left)
        left += cols + gap
    if captions is None:
        return picture
    return _with_captions(picture, lefts, captions)


def _with_captions(picture: UInt8Array, lefts: list[int], captions: Sequence[str]) -> UInt8Array:
    drawn = Image.fromarray(picture)
    draw = ImageDraw.Draw(drawn)
    font = ImageFont.load_default(_CAPTION_SIZE)
    for left, text in zip(lefts, captions, strict=True):
        draw.text((left + 2, _CAPTION_HEIGHT // 2), text, (40, 40, 40), font, anchor="lm")
    return np.array(drawn)


def signature() -> PngInfo:
    """Return the PNG metadata that shows that ClusterNet wrote a file."""
    info = PngInfo()
    info.add_text(*_SIGNATURE)
    return info


def is_our_png(path: Path, *, unsigned: bool = False) -> bool:
    """Tell whether a file is a PNG that ClusterNet wrote.

    Args:
        path: the file.
        unsigned: accept also cluster maps of earlier versions, which have no signature but our
            colours, or 16 bits.
    """
    try:
        with Image.open(path, formats=("PNG",)) as image:
            if image.info.get(_SIGNATURE[0]) == _SIGNATURE[1]:
                return True
            colours = bytes(image.getpalette() or ())[: len(_COLOURS)]
            return unsigned and (colours == _COLOURS or image.mode.startswith("I"))
    # all of these are raised by Pillow for damaged files
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        return False


PICTURE = Kind("picture", is_our_png)


def save_png(
    path: Path, picture: UInt8Array, *, kind: Kind | None = PICTURE, overwrite: bool = False
) -> None:
    """Write a picture, RGB (rows, cols, 3) or grey (rows, cols), as PNG; it appears when whole.

    Args:
        path: the file.
        picture: the pixels.
        kind: what may be replaced, see `clusternet.files.outputs.new_file`.
        overwrite: replace such a file.

    Raises:
        OutputError: if it exists and may not be replaced, or cannot be written.
    """
    with new_file(path, kind=kind, overwrite=overwrite) as hidden_path:
        Image.fromarray(picture).save(hidden_path, format="PNG", pnginfo=signature())
