"""Folders of patches: what is found, what belongs together, which pixels are valid."""

from __future__ import annotations

import gc
import json
import logging
import struct
import tracemalloc
from pathlib import Path
from zlib import compress, crc32

import numpy as np
import pytest
from conftest import WriteRaster, four_textures
from PIL import Image

from clusternet.errors import PatchError, RasterError
from clusternet.patches.folder import find_patches, open_patches, read_header
from clusternet.settings import TilingSettings
from clusternet.tiling.tile import tile_rasters


def save(path: Path, pixels: np.ndarray, mode: str | None = None) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(pixels)
    (image.convert(mode) if mode else image).save(path)
    return path


def rgba(alpha: np.ndarray, seed: int = 0) -> np.ndarray:
    pixels = four_textures(*alpha.shape, 3, seed=seed)
    return np.concatenate([pixels, alpha[..., None].astype(np.uint8)], axis=-1)


# --- what is found


def test_images_of_all_folders_come_in_order(tmp_path: Path) -> None:
    for name in ("b/1.png", "a/2.PNG", "a/deep/er/3.jpg", "a/10.tif"):
        save(tmp_path / name, four_textures(8, 8, 3))
    names = [path.as_posix() for path in find_patches(tmp_path)]
    assert names == ["a/10.tif", "a/2.PNG", "a/deep/er/3.jpg", "b/1.png"]


def test_every_patch_found_is_read_under_its_own_index(tmp_path: Path) -> None:
    for value, name in enumerate(("b/1.png", "a/2.png", "a/deep/3.png", "a/10.png", "A/1.png")):
        save(tmp_path / name, np.full((4, 5), value * 40 + 10, np.uint8))
    folder = open_patches(tmp_path)
    for index, file in enumerate(folder.files):
        with Image.open(tmp_path / file) as image:
            np.testing.assert_array_equal(folder.read(index)[0][..., 0], np.asarray(image))


def test_other_and_hidden_files_are_no_patches(tmp_path: Path) -> None:
    save(tmp_path / "a/1.png", four_textures(8, 8, 3))
    save(tmp_path / "a/.2.png", four_textures(9, 9, 3))
    save(tmp_path / ".cache/3.png", four_textures(9, 9, 3))
    (tmp_path / "patches.txt").write_text("a list")
    (tmp_path / "a/1.png.aux.xml").write_text("<xml/>")
    folder = open_patches(tmp_path)
    assert [path.as_posix() for path in folder.files] == ["a/1.png"]
    assert folder.read(0)[0].shape == (8, 8, 3)


def test_images_beside_the_folders_are_left_out_with_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    save(tmp_path / "scene/1.png", four_textures(8, 8, 3))
    save(tmp_path / "overview.png", four_textures(30, 30, 3))
    with caplog.at_level(logging.WARNING):
        assert [path.as_posix() for path in find_patches(tmp_path)] == ["scene/1.png"]
    assert f"{tmp_path}: 1 images lie directly in the folder" in caplog.text


def test_images_only_beside_folders_are_refused_with_the_way_out(tmp_path: Path) -> None:
    save(tmp_path / "patches/1.png", four_textures(8, 8, 3))
    with pytest.raises(PatchError, match=r"one folder level deeper.*patches/scene.*give"):
        find_patches(tmp_path / "patches")


def test_a_file_instead_of_a_folder_is_refused(tmp_path: Path) -> None:
    path = save(tmp_path / "1.png", four_textures(8, 8, 3))
    with pytest.raises(PatchError, match="expected a folder of patches, found a file"):
        find_patches(path)


# --- headers


@pytest.mark.parametrize(
    ("name", "mode", "num_bands", "dtype", "has_alpha", "is_plain"),
    [
        ("a.png", "L", 1, "uint8", False, True),
        ("a.png", "1", 1, "uint8", False, True),
        ("a.png", "RGB", 3, "uint8", False, True),
        ("a.jpg", "RGB", 3, "uint8", False, True),
        ("a.png", "RGBA", 3, "uint8", True, True),
        ("a.png", "P", 3, "uint8", False, True),
        ("a.png", "LA", 1, "uint8", True, False),
        ("a.png", "I;16", 1, "uint16", False, False),
        ("a.tif", "RGB", 3, "uint8", False, False),
    ],
)
def test_a_header_says_what_is_in_the_file(
    tmp_path: Path, name: str, mode: str, num_bands: int, dtype: str, has_alpha: bool,
    is_plain: bool,
) -> None:  # fmt: skip
    if mode == "I;16":
        path = save(tmp_path / name, np.full((6, 9), 40_000, np.uint16))
    else:
        path = save(tmp_path / name, four_textures(6, 9, 3), mode)
    header = read_header(path)
    assert (header.shape, header.num_bands, header.dtype) == ((6, 9), num_bands, dtype)
    assert (header.has_alpha, header.is_plain) == (has_alpha, is_plain)


# --- pixels and valid


def test_grey_patches_have_one_band(tmp_path: Path) -> None:
    grey = four_textures(8, 10, 1)[..., 0]
    save(tmp_path / "a/1.png", grey)
    pixels, valid = open_patches(tmp_path).read(0)
    np.testing.assert_array_equal(pixels[..., 0], grey)
    assert pixels.shape == (8, 10, 1) and valid.all()


def test_alpha_is_the_valid_mask_and_no_band(tmp_path: Path) -> None:
    alpha = np.full((8, 10), 255)
    alpha[:3, :4], alpha[5, 5] = 0, 1  # even a hint of a pixel is data
    image = rgba(alpha)
    save(tmp_path / "a/1.png", image)
    folder = open_patches(tmp_path)
    pixels, valid = folder.read(0)
    assert folder.num_bands == 3
    np.testing.assert_array_equal(pixels[valid], image[valid][:, :3])
    np.testing.assert_array_equal(valid, alpha > 0)


def test_rgb_and_rgba_patches_mix(tmp_path: Path) -> None:
    alpha = np.full((8, 10), 255)
    alpha[0] = 0
    save(tmp_path / "a/1.png", four_textures(8, 10, 3, seed=1))
    save(tmp_path / "a/2.png", rgba(alpha))
    folder = open_patches(tmp_path)
    pixels, valid = folder.read(0)
    np.testing.assert_array_equal(pixels, four_textures(8, 10, 3, seed=1))
    assert valid.all()
    np.testing.assert_array_equal(folder.read(1)[1], alpha > 0)


def test_a_colour_table_is_read_as_the_colours_it_shows(tmp_path: Path) -> None:
    save(tmp_path / "a/1.png", four_textures(8, 10, 3), "P")
    with Image.open(tmp_path / "a/1.png") as image:
        shown = np.asarray(image.convert("RGB"))
    np.testing.assert_array_equal(open_patches(tmp_path).read(0)[0], shown)


def test_grey_with_alpha_is_grey_and_valid(tmp_path: Path) -> None:
    image = np.stack([four_textures(8, 10, 1)[..., 0], np.full((8, 10), 255, np.uint8)], axis=-1)
    image[:2, :, 1] = 0
    save(tmp_path / "a/1.png", image)
    pixels, valid = open_patches(tmp_path).read(0)
    assert pixels.shape == (8, 10, 1)
    np.testing.assert_array_equal(pixels[valid][:, 0], image[valid][:, 0])
    np.testing.assert_array_equal(valid, image[..., 1] > 0)


def test_sixteen_bit_png_keeps_its_values(tmp_path: Path) -> None:
    image = (four_textures(8, 10, 1)[..., 0].astype(np.uint16)) * 256 + 7
    save(tmp_path / "a/1.png", image)
    folder = open_patches(tmp_path)
    np.testing.assert_array_equal(folder.read(0)[0][..., 0], image)
    assert folder.dtype == "uint16"


def test_black_is_data_unless_the_user_says_otherwise(tmp_path: Path) -> None:
    image = four_textures(8, 10, 3)
    image[:2] = 0
    image[5, 5, 1] = 0  # dark in one band only
    save(tmp_path / "a/1.png", image)
    assert open_patches(tmp_path).read(0)[1].all()
    folder = open_patches(tmp_path, nodata=0)
    np.testing.assert_array_equal(folder.read(0)[1], image.any(axis=-1))
    assert folder.nodata == 0


def tiled(tmp_path: Path, write_raster: WriteRaster, dtype: type, nodata: float) -> Path:
    """Tile a raster with a nodata corner; its patches are PNG or GeoTIFF by type."""
    pixels = four_textures(16, 16, 3).astype(dtype)
    pixels[:4, :4] = nodata
    write_raster("rasters/scene.tif", pixels, nodata=nodata)
    tile_rasters(tmp_path / "rasters", tmp_path / "patches", TilingSettings((16, 16)))
    return tmp_path / "patches"


@pytest.mark.parametrize(("dtype", "nodata"), [(np.uint8, 7), (np.int16, -9999)])
def test_nodata_comes_from_patches_json(
    tmp_path: Path, write_raster: WriteRaster, dtype: type, nodata: float
) -> None:
    folder = open_patches(tiled(tmp_path, write_raster, dtype, nodata))
    _, valid = folder.read(0)
    assert folder.nodata == nodata
    assert not valid[:4, :4].any() and valid.sum() == 16 * 16 - 16


def test_the_user_s_nodata_wins_over_patches_json(
    tmp_path: Path, write_raster: WriteRaster
) -> None:
    folder = open_patches(tiled(tmp_path, write_raster, np.uint8, 7), nodata=0)
    assert folder.nodata == 0 and folder.read(0)[1].all()


def test_rasters_of_different_nodata_keep_their_own(
    tmp_path: Path, write_raster: WriteRaster
) -> None:
    for name, nodata in (("a", 7), ("b", 9)):
        pixels = np.full((16, 16, 3), nodata, np.uint8)
        pixels[8:] = 16 - nodata  # what is nodata in the other one
        write_raster(f"rasters/{name}.tif", pixels, nodata=nodata)
    tile_rasters(tmp_path / "rasters", tmp_path / "patches", TilingSettings((16, 16)))
    folder = open_patches(tmp_path / "patches")
    assert len(folder) == 2 and folder.nodata is None
    for index in range(2):
        _, valid = folder.read(index)
        assert not valid[:8].any() and valid[8:].all()


def test_a_damaged_patches_json_is_named(tmp_path: Path, write_raster: WriteRaster) -> None:
    patches = tiled(tmp_path, write_raster, np.uint8, 7)
    (patches / "patches.json").write_text(json.dumps({"format": 1}))
    with pytest.raises(PatchError, match=r"patches\.json: cannot be read as a list of patches"):
        open_patches(patches)


@pytest.mark.parametrize("suffix", [".png", ".tif"])
@pytest.mark.parametrize("nodata", [-9999, 300, 0.5, float("nan")])
def test_a_nodata_value_that_bytes_cannot_hold_is_refused(
    tmp_path: Path, suffix: str, nodata: float
) -> None:
    save(tmp_path / f"a/1{suffix}", four_textures(8, 8, 3))
    with pytest.raises(RasterError, match=r"--nodata or of the run, cannot occur in uint8"):
        open_patches(tmp_path, nodata=nodata)


# --- resizing


@pytest.mark.parametrize("shape", [(8, 10), (5, 7), (16, 20), (13, 3), (1, 1)])
def test_png_and_geotiff_are_resized_alike(tmp_path: Path, shape: tuple[int, int]) -> None:
    alpha = np.full((8, 10), 255)
    alpha[:3, :4] = 0
    found = []
    for suffix in (".png", ".tif"):
        save(tmp_path / suffix[1:] / f"a/1{suffix}", rgba(alpha))
        folder = open_patches(tmp_path / suffix[1:], img_shape=shape)
        assert folder.shape == shape
        found.append(folder.read(0))
    (pixels, valid), (other_pixels, other_valid) = found
    np.testing.assert_array_equal(valid, other_valid)
    np.testing.assert_array_equal(pixels[valid], other_pixels[valid])


def test_patches_of_different_shapes_may_be_resized_to_one(tmp_path: Path) -> None:
    save(tmp_path / "a/1.png", four_textures(8, 10, 3))
    save(tmp_path / "a/2.png", four_textures(30, 20, 3))
    with pytest.raises(PatchError, match=r"2\.png: expected 8 x 10 pixels.*--img_shape"):
        open_patches(tmp_path)
    folder = open_patches(tmp_path, img_shape=(16, 16))
    assert [folder.read(index)[0].shape for index in range(2)] == [(16, 16, 3)] * 2


# --- damage


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tif"])
def test_damage_behind_the_header_is_named_when_it_is_read(tmp_path: Path, suffix: str) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    path = save(tmp_path / f"a/1{suffix}", noise)
    whole = path.read_bytes()
    if suffix == ".tif":  # the directory of a TIFF stands at its start or its end
        path.write_bytes(whole)
        with path.open("r+b") as stream:
            stream.truncate(len(whole) - 4000)
    else:
        path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(PatchError, match=f"1\\{suffix}: cannot be read"):
        open_patches(tmp_path).read(0)


def claiming(side: int) -> bytes:
    """Return the beginning of a PNG that claims many pixels."""

    def chunk(text: bytes) -> bytes:
        return struct.pack(">I", len(text) - 4) + text + struct.pack(">I", crc32(text))

    header = chunk(b"IHDR" + struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT" + compress(bytes(100)))


@pytest.mark.parametrize("content", [b"", claiming(30_000)], ids=["empty", "gigapixel"])
def test_damaged_headers_are_skipped_on_demand(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, content: bytes
) -> None:
    save(tmp_path / "a/2.png", four_textures(8, 8, 3))
    (tmp_path / "a/1.png").write_bytes(content)
    with pytest.raises(PatchError, match=r"a/1\.png: cannot be read.*--skip_bad_files"):
        open_patches(tmp_path)
    with caplog.at_level(logging.WARNING):
        folder = open_patches(tmp_path, skip_bad_files=True)
    assert [path.as_posix() for path in folder.files] == ["a/2.png"]
    assert "left out" in caplog.text and "1.png" in caplog.text
    np.testing.assert_array_equal(folder.read(0)[0], four_textures(8, 8, 3))


def test_a_folder_takes_few_bytes_for_each_patch(tmp_path: Path) -> None:
    count = 1000
    save(tmp_path / "one.png", four_textures(8, 8, 3))
    (tmp_path / "p/scene").mkdir(parents=True)
    for number in range(count):
        (tmp_path / f"p/scene/{number:05d}_00000.png").hardlink_to(tmp_path / "one.png")
    open_patches(tmp_path / "p").read(0)  # loads what stays loaded

    tracemalloc.start()
    try:
        folder = open_patches(tmp_path / "p")
        folder.read(count - 1)
        gc.collect()
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert len(folder) == count
    assert held < 100 * count  # a Path alone takes more
