"""Files that carry an EXIF orientation are warned of, once, wherever they are read."""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from conftest import four_textures
from PIL import Image, ImageOps

from clusternet.errors import ClusterNetError
from clusternet.labels.pairing import pair_files
from clusternet.patches.folder import open_patches
from clusternet.raster.orientation import read_orientation, warn_of_orientation
from clusternet.settings import TilingSettings
from clusternet.tiling.tile import tile_rasters

PICTURE = four_textures(16, 24, 3)


def exif(orientation: int) -> Image.Exif:
    block = Image.Exif()
    block[0x0112] = orientation
    return block


def save(path: Path, orientation: int | None = 3, pixels: np.ndarray = PICTURE) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    options: dict[str, Any] = {} if orientation is None else {"exif": exif(orientation)}
    Image.fromarray(pixels).save(path, **options)
    return path


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
@pytest.mark.parametrize("suffix", [".jpg", ".png", ".tif"])
def test_orientation_is_read(tmp_path: Path, suffix: str, orientation: int) -> None:
    assert read_orientation(save(tmp_path / f"a{suffix}", orientation)) == orientation


@pytest.mark.parametrize("options", [{}, {"bigtiff": True}, {"byteorder": ">"}])
def test_orientation_of_any_tiff_is_read(tmp_path: Path, options: Any) -> None:
    path = tmp_path / "a.tif"
    pixels = np.zeros((3, 4, 5), np.float32)
    tifffile.imwrite(path, pixels, photometric="minisblack", planarconfig="contig",
                     extratags=[(274, "H", 1, 5, True)], **options)  # fmt: skip
    assert read_orientation(path) == 5


def test_orientation_behind_the_pixels_of_a_png_is_read(tmp_path: Path) -> None:
    plain, block = save(tmp_path / "a.png", None).read_bytes(), exif(6).tobytes()[6:]
    chunk = b"eXIf" + block
    chunk = len(block).to_bytes(4, "big") + chunk + zlib.crc32(chunk).to_bytes(4, "big")
    (tmp_path / "b.png").write_bytes(plain[:-12] + chunk + plain[-12:])
    with Image.open(tmp_path / "b.png") as image:
        assert image.getexif()[0x0112] == 6
    assert read_orientation(tmp_path / "b.png") == 6


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".tif"])
def test_what_states_none_or_nonsense_is_upright(tmp_path: Path, suffix: str) -> None:
    assert read_orientation(save(tmp_path / f"a{suffix}", None)) == 1
    assert read_orientation(save(tmp_path / f"b{suffix}", 77)) == 1


def test_no_file_breaks_the_reading(tmp_path: Path) -> None:
    whole = {s: save(tmp_path / f"a{s}").read_bytes() for s in (".jpg", ".png", ".tif")}
    for suffix, content in whole.items():
        for size in (0, 1, 3, 7, 9, 12, 15, 20, 30, 60, len(content) // 2):
            (tmp_path / f"cut{suffix}").write_bytes(content[:size])
            assert read_orientation(tmp_path / f"cut{suffix}") in range(1, 9)
    assert read_orientation(tmp_path / "absent.jpg") == 1
    assert read_orientation(tmp_path) == 1


# the warning


def warnings_in(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [r.getMessage() for r in caplog.records if "EXIF orientation" in r.getMessage()]


def test_files_are_warned_of_once_and_together(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    paths = [save(tmp_path / f"{i}.jpg", 6) for i in range(9)]
    warn_of_orientation([*paths, save(tmp_path / "upright.jpg", 1), tmp_path / "labels.gpkg"])
    warn_of_orientation(paths)
    (message,) = warnings_in(caplog)
    assert message.startswith("9 file(s) carry") and f"{paths[0]} (6)" in message
    assert "3.jpg" not in message and ", ..." in message
    assert len(message.replace(str(tmp_path), "")) < 300


def test_following_the_advice_ends_the_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with Image.open(save(tmp_path / "a.jpg")) as image:
        upright = ImageOps.exif_transpose(image)  # what mogrify -auto-orient does
    upright.save(tmp_path / "b.jpg", exif=upright.getexif())
    warn_of_orientation([tmp_path / "b.jpg"])
    assert warnings_in(caplog) == []


@pytest.mark.parametrize("turned", ["images/a.jpg", "labels/a.png"])
def test_tiling_warns_of_images_and_labels(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, turned: str
) -> None:
    save(tmp_path / "images/a.jpg", 3 if turned == "images/a.jpg" else None)
    label = np.zeros((16, 24), np.uint8)
    save(tmp_path / "labels/a.png", 3 if turned == "labels/a.png" else None, label)
    tile_rasters(tmp_path / "images", tmp_path / "p", TilingSettings((16, 24)),
                 masks_folder=tmp_path / "labels")  # fmt: skip
    (message,) = warnings_in(caplog)
    assert f"{tmp_path / turned} (3)" in message
    open_patches(tmp_path / "p")
    assert len(warnings_in(caplog)) == 1


def test_a_label_that_lies_on_its_side_is_explained_before_it_is_refused(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    save(tmp_path / "images/a.jpg", 6)
    save(tmp_path / "labels/a.png", None, np.zeros((24, 16), np.uint8))
    with pytest.raises(ClusterNetError, match="16 x 24"):
        tile_rasters(tmp_path / "images", tmp_path / "p", TilingSettings((16, 16)),
                     masks_folder=tmp_path / "labels")  # fmt: skip
    assert len(warnings_in(caplog)) == 1


def test_pairing_and_patches_warn(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    save(tmp_path / "maps/a.png", None)
    save(tmp_path / "labels/a.png")
    pair_files(tmp_path / "maps", tmp_path / "labels")
    pair_files(tmp_path / "maps/a.png", save(tmp_path / "single.png"))
    save(tmp_path / "p/a/1.jpg")
    open_patches(tmp_path / "p")
    assert len(warnings_in(caplog)) == 3
