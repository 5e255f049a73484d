"""Pictures for people, and the colours they use."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from skimage.color import rgb2lab

from clusternet.colours import palette
from clusternet.errors import LabelError, OutputError, SettingsError
from clusternet.files.pictures import NODATA_COLOUR, colour_labels, save_png, side_by_side, stretch


def ramp(rows: int = 20, cols: int = 50, bands: int = 3, dtype: str = "uint16") -> np.ndarray:
    values = np.linspace(100, 3000, rows * cols * bands).reshape(rows, cols, bands)
    return values.astype(dtype)


def all_valid(pixels: np.ndarray) -> np.ndarray:
    return np.ones(pixels.shape[:2], bool)


@pytest.mark.parametrize("dtype", ["int16", "uint16", "int32", "float32", "float64"])
@pytest.mark.parametrize("bands", [1, 2, 3, 4, 7])
def test_any_pixel_type_and_band_count_gives_rgb_over_the_whole_scale(dtype, bands):
    pixels = ramp(bands=bands, dtype=dtype)
    picture = stretch(pixels, all_valid(pixels))
    assert picture.shape == (20, 50, 3) and picture.dtype == np.uint8
    assert picture.min() == 0 and picture.max() == 255


@pytest.mark.parametrize("bands", [1, 2])
def test_one_or_two_bands_give_grey_of_the_first(bands):
    pixels = ramp(bands=bands)
    picture = stretch(pixels, all_valid(pixels))
    assert (picture == picture[..., :1]).all()
    assert (np.diff(picture[..., 0].ravel().astype(int)) >= 0).all()


def test_bands_are_shown_in_the_asked_order():
    pixels = np.random.default_rng(0).integers(0, 4000, (30, 30, 4))
    picture = stretch(pixels, all_valid(pixels), bands=(3, 1, 0))
    assert np.array_equal(picture, stretch(pixels[..., [3, 1, 0]], all_valid(pixels)))


def test_a_band_that_is_not_there_is_refused():
    with pytest.raises(SettingsError, match=r"bands from 0 to 2, received \(3, 1, 0\)"):
        stretch(ramp(), all_valid(ramp()), bands=(3, 1, 0))


def test_nodata_is_light_grey_and_does_not_count():
    pixels = ramp(dtype="float32")
    valid = all_valid(pixels)
    valid[:5] = False
    without = stretch(pixels[5:], valid[5:])
    pixels[:3], pixels[3:5] = np.nan, -3.4e38
    picture = stretch(pixels, valid)
    assert (picture[:5] == NODATA_COLOUR).all()
    assert np.array_equal(picture[5:], without)


def test_nothing_valid_is_all_grey():
    picture = stretch(ramp(), np.zeros((20, 50), bool))
    assert (picture == NODATA_COLOUR).all()


def test_a_flat_band_is_middle_grey():
    picture = stretch(np.full((4, 4, 1), 7, np.int16), np.ones((4, 4), bool))
    assert (picture == 128).all()


def test_an_8_bit_image_that_spans_well_keeps_its_colours():
    pixels = np.random.default_rng(0).integers(20, 230, (40, 40, 3)).astype(np.uint8)
    assert np.array_equal(stretch(pixels, all_valid(pixels)), pixels)


def test_a_dull_8_bit_image_is_stretched():
    pixels = np.random.default_rng(0).integers(90, 130, (40, 40, 3)).astype(np.uint8)
    assert np.ptp(stretch(pixels, all_valid(pixels))) == 255


def test_one_wild_pixel_does_not_darken_the_picture():
    pixels = ramp(bands=1, dtype="float32")
    pixels[0, 0] = 1e9
    assert 100 < np.median(stretch(pixels, all_valid(pixels))) < 155


def test_labels_take_their_colours_and_nodata_grey():
    colours = palette(3)
    picture = colour_labels(np.array([[0, 2], [255, 1]], np.uint8), 255, colours)
    assert picture.tolist() == [
        [colours[0].tolist(), colours[2].tolist()],
        [list(NODATA_COLOUR), colours[1].tolist()],
    ]


@pytest.mark.parametrize("label", [3, -1])
def test_a_label_without_colour_is_refused(label):
    labels = np.array([[0, label]])
    with pytest.raises(LabelError, match="Expected labels from 0 to 2, found"):
        colour_labels(labels, None, palette(3))


def test_panels_stand_side_by_side_on_white():
    low, high = np.zeros((4, 5), np.uint8), np.full((6, 3, 3), 9, np.uint8)
    picture = side_by_side([low, high], gap=2)
    assert picture.shape == (6, 10, 3)
    assert (picture[:4, :5] == 0).all() and (picture[:, 7:] == 9).all()
    assert (picture[:, 5:7] == 255).all() and (picture[4:, :5] == 255).all()


def test_captions_stand_above_the_panels():
    panel = np.zeros((30, 80, 3), np.uint8)
    picture = side_by_side([panel, panel], captions=["image", "clusters"])
    strip = picture[:-30]
    assert (picture[-30:, :80] == 0).all()
    assert (strip[:, :80] < 128).any() and (strip[:, 88:] < 128).any()


@pytest.mark.parametrize(
    ("images", "captions", "message"),
    [([], None, "at least one image"), ([np.zeros((2, 2), np.uint8)], [], "each of 1 images")],
)
def test_panels_that_cannot_be_shown_are_refused(images, captions, message):
    with pytest.raises(SettingsError, match=message):
        side_by_side(images, captions=captions)


def test_saved_png_reads_back_the_same(tmp_path):
    picture = np.random.default_rng(0).integers(0, 256, (9, 7, 3)).astype(np.uint8)
    save_png(tmp_path / "new" / "picture.png", picture)
    with Image.open(tmp_path / "new" / "picture.png") as image:
        assert np.array_equal(np.array(image), picture)
    assert len(list((tmp_path / "new").iterdir())) == 1


def test_failed_png_keeps_the_old_one_and_leaves_nothing(tmp_path, monkeypatch):
    path = tmp_path / "picture.png"
    save_png(path, np.zeros((3, 3, 3), np.uint8))
    old = path.read_bytes()

    def fail(*_args, **_options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Image.Image, "save", fail)
    with pytest.raises(OutputError, match="No space left on device"):
        save_png(path, np.zeros((2, 2, 3), np.uint8), overwrite=True)
    assert path.read_bytes() == old and list(tmp_path.iterdir()) == [path]


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 1100), st.integers(0, 1100))
def test_a_short_palette_is_the_start_of_a_long_one(first, second):
    short, long = sorted((first, second))
    assert np.array_equal(palette(short), palette(long)[:short])
    assert palette(long).shape == (long, 3)


def test_a_hundred_colours_can_be_told_apart():
    lab = rgb2lab(palette(100) / 255)
    away = np.linalg.norm(lab[:, None] - lab, axis=-1)
    assert away[~np.eye(100, dtype=bool)].min() > 12


def test_changing_a_palette_changes_no_other():
    palette(40)[:] = 0
    assert palette(40)[20:].any()
