"""What goes into a raster comes out again, and only what is valid counts as valid."""

from __future__ import annotations

import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
import rasterio
from affine import Affine
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from clusternet.errors import GridMismatchError, OutputError, RasterError
from clusternet.raster import (
    MapForm,
    check_same_grid,
    create_map,
    find_rasters,
    open_raster,
    write_patch,
)
from clusternet.raster.quiet import quiet_georeferencing
from clusternet.windows import Window

DTYPES = (
    "uint8", "int8", "uint16", "int16", "uint32", "int32", "uint64", "int64", "float32", "float64",
)  # fmt: skip


def numbers(dtype: str, shape: tuple[int, ...] = (11, 7, 2), seed: int = 0) -> np.ndarray:
    """Numbers over the whole range of a type."""
    raw = np.random.default_rng(seed).integers(0, 256, (*shape, np.dtype(dtype).itemsize))
    values = raw.astype(np.uint8).view(dtype)[..., 0].copy()
    if values.dtype.kind == "f":
        values[~np.isfinite(values)] = 1
    return values


def read_all(path: Path, nodata: float | None = None, codes: bool = False):
    with open_raster(path, nodata, codes=codes) as raster:
        pixels, valid = raster.read(Window(0, 0, *raster.profile.shape))
        return pixels, valid, raster.profile


@pytest.mark.parametrize("bands", [1, 2, 3, 4, 7])
@pytest.mark.parametrize("dtype", DTYPES)
def test_a_patch_comes_back_as_it_was_written(tmp_path, dtype, bands):
    pixels = numbers(dtype, (11, 7, bands))
    write_patch(tmp_path / "a.tif", pixels)
    read, valid, profile = read_all(tmp_path / "a.tif")
    assert read.dtype == dtype
    assert profile.num_bands == bands
    np.testing.assert_array_equal(read, pixels)
    assert valid.all()


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_mask_comes_back_as_it_was_written(tmp_path, dtype):
    valid = np.random.default_rng(1).random((11, 7)) > 0.5
    write_patch(tmp_path / "a.tif", numbers(dtype), valid=valid)
    _, read, profile = read_all(tmp_path / "a.tif")
    assert profile.has_mask and profile.nodata is None
    np.testing.assert_array_equal(read, valid)


def test_mask_and_nodata_value_of_a_patch_both_count(tmp_path):
    pixels = np.full((4, 5, 1), 7, np.uint16)
    pixels[0] = 9
    valid = np.ones((4, 5), bool)
    valid[:, 0] = False
    write_patch(tmp_path / "a.tif", pixels, valid=valid, nodata=9)
    np.testing.assert_array_equal(read_all(tmp_path / "a.tif")[1], valid & (pixels[..., 0] != 9))


@pytest.mark.parametrize(
    ("dtype", "nodata"),
    [("uint8", 0), ("int16", -9999), ("float32", -9999.5), ("float32", float("nan")),
     ("float32", -3.4e38), ("float64", 1e300), ("int32", -(2**31)), ("uint32", 2**32 - 1)],
)  # fmt: skip
def test_a_nodata_value_marks_its_pixels(tmp_path, dtype, nodata):
    pixels = np.full((4, 5, 1), 7, dtype)
    pixels[1, 2] = nodata
    write_patch(tmp_path / "a.tif", pixels, nodata=nodata)
    _, valid, _ = read_all(tmp_path / "a.tif")
    assert np.argwhere(~valid).tolist() == [[1, 2]]


def test_black_is_data_without_a_nodata_value(write_raster):
    assert read_all(write_raster("a.tif", np.zeros((4, 5, 3), np.uint8)))[1].all()


def test_the_users_nodata_wins_over_the_files(write_raster):
    pixels = np.full((4, 5), 7, np.uint8)
    pixels[0], pixels[1] = 1, 2
    path = write_raster("a.tif", pixels, nodata=1)
    _, valid, profile = read_all(path, nodata=2)
    assert profile.nodata == 2
    assert valid.all(axis=1).tolist() == [True, False, True, True]


@pytest.mark.parametrize("mode", ["LA", "RGBA"])
def test_an_alpha_band_is_a_mask_and_no_measurement(tmp_path, mode):
    image = Image.new(mode, (5, 4), (9,) * (len(mode) - 1) + (255,))
    image.putpixel((2, 1), (9,) * (len(mode) - 1) + (0,))
    image.save(tmp_path / "a.png")
    pixels, valid, profile = read_all(tmp_path / "a.png")
    assert profile.has_mask and pixels.shape[-1] == profile.num_bands == len(mode) - 1
    assert np.argwhere(~valid).tolist() == [[1, 2]]


def test_an_alpha_band_counts_beside_a_nodata_value(write_raster):
    pixels = np.full((4, 5, 4), 200, np.uint8)
    pixels[0, 0, :3] = 0
    pixels[3, 4, 3] = 0
    path = write_raster("a.tif", pixels, nodata=0, photometric="RGB", alpha="YES")
    assert np.argwhere(~read_all(path)[1]).tolist() == [[0, 0], [3, 4]]


def test_a_mask_band_is_read(write_raster):
    mask = np.ones((4, 5), bool)
    mask[2, 3] = False
    _, valid, profile = read_all(write_raster("a.tif", np.full((4, 5), 3, np.int16), mask=mask))
    assert profile.has_mask
    np.testing.assert_array_equal(valid, mask)


def test_one_transparent_colour_of_an_rgb_png_is_nodata(tmp_path):
    image = Image.new("RGB", (5, 4), (1, 2, 9))
    image.putpixel((2, 1), (1, 2, 3))
    image.save(tmp_path / "a.png", transparency=(1, 2, 3))
    assert np.argwhere(~read_all(tmp_path / "a.png")[1]).tolist() == [[1, 2]]


@pytest.fixture
def palette_image(tmp_path: Path) -> Path:
    """Two rows of index 1 (red) below one of index 2 (green)."""
    image = Image.fromarray(np.array([[2, 2], [1, 1], [1, 1]], np.uint8), "P")
    image.putpalette([0, 0, 0, 255, 0, 0, 0, 255, 0])
    image.save(tmp_path / "palette.png")
    return tmp_path / "palette.png"


def test_a_palette_image_is_read_as_its_colours(palette_image):
    pixels, valid, profile = read_all(palette_image)
    assert (profile.num_bands, profile.dtype) == (3, "uint8")
    assert pixels[:, 0].tolist() == [[0, 255, 0], [255, 0, 0], [255, 0, 0]]
    assert valid.all()


def test_a_palette_image_of_labels_is_read_as_its_numbers(palette_image):
    assert read_all(palette_image, codes=True)[0][..., 0].tolist() == [[2, 2], [1, 1], [1, 1]]


def test_a_transparent_palette_entry_is_nodata(palette_image):
    Image.open(palette_image).save(palette_image, transparency=2)
    _, valid, profile = read_all(palette_image)
    assert profile.nodata is None and profile.has_mask
    assert valid.tolist() == [[False, False], [True, True], [True, True]]


def test_a_palette_of_sixteen_bits_is_read(tmp_path, write_raster):
    path = write_raster("a.tif", np.full((4, 5), 300, np.uint16), photometric="palette")
    with rasterio.open(path, "r+") as dataset:
        dataset.write_colormap(1, {300: (1, 2, 3, 255)})
    pixels, _, profile = read_all(path)
    assert profile.dtype == "uint8" and pixels[0, 0].tolist() == [1, 2, 3]


@pytest.mark.parametrize("transform", [Affine.rotation(30) @ Affine.scale(2, -2), None])
def test_rotated_and_missing_transforms_come_back(tmp_path, transform):
    write_patch(tmp_path / "a.tif", np.zeros((4, 5, 1), np.uint8), transform=transform)
    profile = read_all(tmp_path / "a.tif")[2]
    expected = transform or Affine.identity()
    assert profile.transform.almost_equals(expected)
    assert profile.is_georeferenced == (transform is not None)


def test_the_transform_of_a_window_points_to_its_first_pixel(write_raster):
    profile = read_all(write_raster("a.tif", np.zeros((8, 9), np.uint8)))[2]
    window = Window(3, 2, 4, 4)
    assert profile.window_transform(window) @ (0, 0) == profile.transform @ (2, 3)


@given(
    row=st.integers(-12, 12), col=st.integers(-12, 12),
    height=st.integers(1, 20), width=st.integers(1, 20),
)  # fmt: skip
def test_a_window_beyond_the_raster_is_filled(beyond_raster, row, col, height, width):
    path, pixels = beyond_raster
    with open_raster(path) as raster:
        read, valid = raster.read(Window(row, col, height, width))
    padded = np.pad(pixels, 40, constant_values=-1)
    expected = padded[row + 40 : row + 40 + height, col + 40 : col + 40 + width]
    np.testing.assert_array_equal(read[..., 0], expected)
    np.testing.assert_array_equal(valid, expected != -1)


@pytest.fixture(scope="module")
def beyond_raster(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, np.ndarray]:
    pixels = np.arange(1, 64, dtype=np.int16).reshape(9, 7)
    path = tmp_path_factory.mktemp("beyond") / "a.tif"
    write_patch(path, pixels[..., np.newaxis], nodata=-1)
    return path, pixels


def cut_off(path: Path, share: float = 0.5) -> Path:
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    return path


@pytest.mark.parametrize("share", [0.4, 0.95])
@pytest.mark.parametrize("name", ["a.tif", "a.png", "a.jpg"])
def test_a_file_cut_off_is_named(write_raster, name, share):
    pixels = np.random.default_rng(0).integers(0, 256, (90, 80, 3), dtype=np.uint8)
    path = cut_off(write_raster(name, pixels), share)
    with pytest.raises(RasterError, match=rf"{name}: cannot be read"):
        read_all(path)


def test_a_file_that_is_no_raster_is_named(tmp_path):
    (tmp_path / "a.tif").write_text("no raster")
    with pytest.raises(RasterError, match=r"a\.tif: cannot be read as a raster"):
        read_all(tmp_path / "a.tif")


def test_complex_pixels_are_refused(write_raster):
    path = write_raster("a.tif", np.zeros((4, 5), np.complex64))
    with pytest.raises(RasterError, match=r"one pixel type for all bands.*complex64"):
        read_all(path)


def test_rasters_are_found_in_all_folders_but_hidden_ones(write_raster, tmp_path):
    pixels = np.zeros((4, 5), np.uint8)
    names = ["b.tif", "a/c.PNG", "a/.hidden.tif", ".git/d.tif"]
    for name in names[:1] + names[2:]:
        write_raster(name, pixels)
    Image.fromarray(pixels).save(tmp_path / "a" / "c.PNG")
    (tmp_path / "notes.txt").touch()
    found = [path.relative_to(tmp_path).as_posix() for path in find_rasters(tmp_path)]
    assert found == ["a/c.PNG", "b.tif"]


def test_a_folder_without_rasters_is_refused(tmp_path):
    with pytest.raises(RasterError, match=r"no raster found; expected files ending in .tif"):
        find_rasters(tmp_path)


def test_a_missing_source_is_refused(tmp_path):
    with pytest.raises(RasterError, match="absent: no such file or folder"):
        find_rasters(tmp_path / "absent")


def test_rasters_of_different_size_do_not_share_a_grid(write_raster):
    first = read_all(write_raster("a.tif", np.zeros((4, 5), np.uint8)))[2]
    second = read_all(write_raster("b.tif", np.zeros((4, 6), np.uint8)))[2]
    with pytest.raises(GridMismatchError, match=r"b\.tif: expected 4 x 5 pixels .* found 4 x 6"):
        check_same_grid(first, second)


def test_a_map_keeps_the_grid_colours_and_names(write_raster, tmp_path):
    grid = read_all(write_raster("a.tif", np.zeros((9, 8), np.uint8)))[2]
    colours = np.array([[1, 2, 3], [4, 5, 6]], np.uint8)
    path = tmp_path / "map.tif"
    form = MapForm(nodata=255, colours=colours, names=["one", "two"])
    with create_map(path, grid, form) as writer:
        writer.write(Window(0, 0, 9, 8), np.ones((9, 8), np.uint8))
        assert not path.exists()
    with rasterio.open(path) as written:
        assert (written.crs, written.transform) == (grid.crs, grid.transform)
        assert written.colormap(1)[1] == (4, 5, 6, 255)
        assert written.colormap(1)[255][3] == 0
        assert (written.read(1) == 1).all()
    side_file = ElementTree.parse(tmp_path / "map.tif.aux.xml")
    assert [name.text for name in side_file.iter("Category")] == ["one", "two"]


def test_a_map_that_fails_leaves_nothing(write_raster, tmp_path):
    grid = read_all(write_raster("a.tif", np.zeros((9, 8), np.uint8)))[2]
    with (
        pytest.raises(KeyboardInterrupt),
        create_map(tmp_path / "map.tif", grid, MapForm()) as writer,
    ):
        writer.write(Window(0, 0, 2, 8), np.ones((2, 8), np.uint8))
        raise KeyboardInterrupt
    assert [path.name for path in tmp_path.iterdir()] == ["a.tif"]


def test_a_map_is_not_overwritten_unasked(write_raster):
    path = write_raster("a.tif", np.zeros((9, 8), np.uint8))
    grid = read_all(path)[2]
    with pytest.raises(OutputError, match="exists already"), create_map(path, grid, MapForm()):
        pass


def test_files_without_georeference_give_no_warning(write_raster):
    path = write_raster("a.png", np.zeros((9, 8), np.uint8))
    with quiet_georeferencing():
        assert not read_all(path)[2].is_georeferenced


def test_reading_in_many_threads_leaves_the_warning_filters_alone(write_raster):
    path = write_raster("a.png", np.zeros((9, 8), np.uint8))
    before = list(warnings.filters)
    with ThreadPoolExecutor(4) as pool:
        for _, _, profile in pool.map(read_all, [path] * 200):
            assert not profile.is_georeferenced
    assert warnings.filters == before
