"""Of a folder every raster is read once, and what is not read is named."""

from __future__ import annotations

import os
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import rasterio
import rasterio.shutil
import tifffile
from conftest import WriteRaster
from PIL import Image

from clusternet.errors import PatchError, RasterError
from clusternet.labels.pairing import pair_files
from clusternet.patches.folder import open_patches
from clusternet.raster import find_rasters, find_scenes, open_raster
from clusternet.raster.quiet import quiet_georeferencing
from clusternet.settings import TilingSettings
from clusternet.tiling.inputs import find_inputs

PIXELS = np.arange(1, 61, dtype=np.uint8).reshape(6, 10)


def names(source: Path) -> list[str]:
    return [path.relative_to(source).as_posix() for path in find_scenes(source)]


def test_linked_folders_are_searched(write_raster: WriteRaster, tmp_path: Path) -> None:
    write_raster("archive/2020/a.tif", PIXELS)
    write_raster("work/b.tif", PIXELS)
    (tmp_path / "work" / "2020").symlink_to(tmp_path / "archive" / "2020")
    assert names(tmp_path / "work") == ["2020/a.tif", "b.tif"]


def test_links_in_a_circle_end_and_give_each_file_once(
    write_raster: WriteRaster, tmp_path: Path
) -> None:
    write_raster("in/z/a.tif", PIXELS)
    for name in ("in/again", "in/z/up", "in/z/self"):
        (tmp_path / name).symlink_to(tmp_path / "in")
    (tmp_path / "in/early").symlink_to(tmp_path / "in/z")
    assert names(tmp_path / "in") == ["z/a.tif"]
    assert [path.name for path in find_rasters(tmp_path / "in")] == ["a.tif"]


def test_a_file_of_two_names_is_taken_once_and_said(
    write_raster: WriteRaster, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = write_raster("in/b.tif", PIXELS)
    (tmp_path / "in/a.tif").symlink_to(path)
    os.link(path, tmp_path / "in/c.tif")
    assert names(tmp_path / "in") == ["b.tif"]
    assert "2 file(s) are other names" in caplog.text and "a.tif, c.tif" in caplog.text


def test_links_that_lead_nowhere_are_named(
    write_raster: WriteRaster, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_raster("in/a.tif", PIXELS)
    (tmp_path / "in/gone.tif").symlink_to(tmp_path / "absent.tif")
    assert names(tmp_path / "in") == ["a.tif"]
    assert "lead nowhere: gone.tif" in caplog.text


@pytest.fixture
def mixed_folder(write_raster: WriteRaster, tmp_path: Path) -> Path:
    """A raster that is read, others that are not, and files that are no rasters."""
    write_raster("in/a.TIF", PIXELS)
    write_raster("in/old.img", PIXELS, driver="HFA")
    write_raster("in/envi", PIXELS, driver="ENVI")
    write_raster("in/raster.gpkg", PIXELS, driver="GPKG")
    write_raster("in/.hidden.tif", PIXELS)
    for name in ("all.zip", "a.TIF.ovr", "a.TIF.aux.xml", "notes.txt", "labels.shp", "other.bin"):
        (tmp_path / "in" / name).write_bytes(b"no raster")
    return tmp_path / "in"


def test_rasters_of_other_endings_are_counted_and_named_once(
    mixed_folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert names(mixed_folder) == ["a.TIF"]
    others = [text for text in caplog.messages if "other endings" in text]
    assert len(others) == 1
    assert "4 file(s) with other endings are left out: (none), .gpkg, .img, .zip;" in others[0]


def test_hidden_rasters_are_named(mixed_folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    find_scenes(mixed_folder)
    assert "1 hidden file(s) or folder(s) left out: .hidden.tif" in caplog.text


def test_a_folder_of_other_rasters_says_so(write_raster: WriteRaster, tmp_path: Path) -> None:
    write_raster("in/a.asc", PIXELS.astype(np.int32), driver="MEM")
    (tmp_path / "in/a.asc").write_bytes(b"ncols 1")
    with pytest.raises(RasterError, match=r"no raster found; .*; found 1 ending in \.asc"):
        find_scenes(tmp_path / "in")


def write_vrt(path: Path, *sources: tuple[Path, tuple[int, int, int, int]], bands: bool) -> Path:
    """Write a mosaic or stack of parts (x, y, width, height) of rasters of 6 x 10 pixels."""
    parts = [
        f"<SimpleSource><SourceFilename relativeToVRT='1'>{os.path.relpath(s, path.parent)}"
        "</SourceFilename><SourceProperties RasterXSize='10' RasterYSize='6'/>"
        f"<SrcRect xOff='{x}' yOff='{y}' xSize='{w}' ySize='{h}'/>"
        f"<DstRect xOff='{0 if bands else 10 * i}' yOff='0' xSize='{w}' ySize='{h}'/>"
        "</SimpleSource>"
        for i, (s, (x, y, w, h)) in enumerate(sources)
    ]
    of_bands = parts if bands else ["".join(parts)]
    text = "".join(
        f"<VRTRasterBand dataType='Byte' band='{i}'>{part}</VRTRasterBand>"
        for i, part in enumerate(of_bands, 1)
    )
    width = 10 if bands else 10 * len(sources)
    path.write_text(f"<VRTDataset rasterXSize='{width}' rasterYSize='6'>{text}</VRTDataset>")
    return path


WHOLE = (0, 0, 10, 6)


@pytest.mark.parametrize("bands", [True, False])
def test_files_that_a_virtual_raster_is_made_of_are_left_out(
    write_raster: WriteRaster, tmp_path: Path, caplog: pytest.LogCaptureFixture, bands: bool
) -> None:
    tiles = [write_raster(f"in/tiles/{name}.tif", PIXELS) for name in "ab"]
    write_raster("in/c.tif", PIXELS)
    write_vrt(tmp_path / "in/all.vrt", *((tile, WHOLE) for tile in tiles), bands=bands)
    assert names(tmp_path / "in") == ["all.vrt", "c.tif"]
    assert "2 file(s) left out, because all.vrt is made of them: tiles/a.tif" in caplog.text


def test_a_virtual_raster_of_others_stands_for_all_of_them(
    write_raster: WriteRaster, tmp_path: Path
) -> None:
    tile = write_raster("in/a.tif", PIXELS)
    inner = write_vrt(tmp_path / "in/b.vrt", (tile, WHOLE), bands=True)
    write_vrt(tmp_path / "in/z.vrt", (inner, WHOLE), bands=True)
    assert names(tmp_path / "in") == ["z.vrt"]


def test_a_virtual_raster_of_a_virtual_part_is_left_out(
    write_raster: WriteRaster, tmp_path: Path
) -> None:
    tile = write_raster("in/a.tif", PIXELS)
    inner = write_vrt(tmp_path / "in/b.vrt", (tile, (0, 0, 4, 6)), bands=True)
    write_vrt(tmp_path / "in/z.vrt", (inner, WHOLE), bands=True)
    assert names(tmp_path / "in") == ["a.tif"]


def test_a_stack_of_pages_stands_for_their_file(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    pages = write_pages(tmp_path / "in/pages.tif", PIXELS, PIXELS)
    stack = write_vrt(tmp_path / "in/stack.vrt", (pages, WHOLE), (pages, WHOLE), bands=True)
    text = stack.read_text().replace("='1'>pages.tif", f"='0'>GTIFF_DIR:2:{pages}")
    stack.write_text(text)
    assert names(tmp_path / "in") == ["stack.vrt"]


def test_a_virtual_raster_of_a_part_is_left_out(
    write_raster: WriteRaster, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    tile = write_raster("in/a.tif", PIXELS)
    write_vrt(tmp_path / "in/part.vrt", (tile, (2, 0, 5, 6)), bands=True)
    assert names(tmp_path / "in") == ["a.tif"]
    assert "it shows a part of a.tif" in caplog.text


def test_the_commands_own_virtual_rasters_are_understood(
    write_raster: WriteRaster, tmp_path: Path
) -> None:
    path = write_raster("in/a.tif", PIXELS)
    rasterio.shutil.copy(path, tmp_path / "in/a.vrt", driver="VRT")
    assert names(tmp_path / "in") == ["a.vrt"]


def write_pages(path: Path, *pages: np.ndarray) -> Path:
    with tifffile.TiffWriter(path) as writer:
        for page in pages:
            writer.write(page, photometric="minisblack", metadata=None)
    return path


@pytest.mark.parametrize(
    ("pages", "command"),
    [
        (2, "gdalbuildvrt -separate stack.vrt GTIFF_DIR:1:{0}/stack.tif GTIFF_DIR:2:{0}/stack.tif"),
        (60, "bash -c 'gdalbuildvrt -separate stack.vrt GTIFF_DIR:{{1..60}}:{0}/stack.tif'"),
    ],
)
def test_pages_that_look_like_bands_are_refused_with_a_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pages: int, command: str
) -> None:
    write_pages(tmp_path / "stack.tif", *[PIXELS] * pages)
    monkeypatch.chdir(tmp_path)
    if pages == 2:
        monkeypatch.setattr("clusternet.raster.pages.MOST", 900)  # however long the folder's name
    with pytest.raises(RasterError, match=f"holds {pages} pages of the same size") as caught:
        with open_raster(Path("stack.tif")):
            pass
    assert command.format(tmp_path) in str(caught.value)


def test_pages_of_another_size_do_not_stop_anything(tmp_path: Path) -> None:
    path = write_pages(tmp_path / "a.tif", PIXELS, PIXELS[::2, ::2])
    with open_raster(path) as raster:
        assert raster.profile.shape == (6, 10)


def test_a_file_of_several_data_sets_is_refused_with_a_command(tmp_path: Path) -> None:
    path = tmp_path / "two.gpkg"
    for table in "ab":
        with quiet_georeferencing(), rasterio.open(
            path, "w", driver="GPKG", height=6, width=10, count=1, dtype="uint8",
            crs="EPSG:32631", transform=rasterio.transform.from_origin(0, 6, 1, 1),
            RASTER_TABLE=table, APPEND_SUBDATASET="YES" if path.exists() else "NO",
        ) as dataset:  # fmt: skip
            dataset.write(PIXELS[None])
    with pytest.raises(RasterError, match=r"holds 2 data set\(s\) .*gdal_translate .*GPKG:"):
        with open_raster(path):
            pass


def test_patches_in_linked_folders_are_read(write_raster: WriteRaster, tmp_path: Path) -> None:
    write_raster("archive/a/0.png", PIXELS)
    write_raster("archive/a/1.png", PIXELS[::-1])
    write_raster("patches/b/0.png", PIXELS)
    (tmp_path / "patches/a").symlink_to(tmp_path / "archive/a")
    (tmp_path / "patches/a/loop").symlink_to(tmp_path / "patches")
    patches = open_patches(tmp_path / "patches")
    assert [file.as_posix() for file in patches.files] == ["a/0.png", "a/1.png", "b/0.png"]
    np.testing.assert_array_equal(patches.read(1)[0][..., 0], PIXELS[::-1])


def test_other_files_among_patches_are_named(
    write_raster: WriteRaster, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_raster("patches/b/0.tif", PIXELS)
    write_raster("patches/b/1.jp2", PIXELS, driver="JP2OpenJPEG")
    open_patches(tmp_path / "patches")
    assert "1 file(s) with other endings are left out: .jp2" in caplog.text


def test_patches_with_pages_are_refused(tmp_path: Path) -> None:
    (tmp_path / "patches/a").mkdir(parents=True)
    write_pages(tmp_path / "patches/a/0.tif", PIXELS, PIXELS)
    with pytest.raises(PatchError, match="holds 2 pages"):
        open_patches(tmp_path / "patches")


def test_label_folders_may_be_linked(write_raster: WriteRaster, tmp_path: Path) -> None:
    scene = write_raster("maps/a_clusters.tif", PIXELS)
    label = write_raster("archive/a.png", PIXELS)
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels/2020").symlink_to(label.parent)
    assert pair_files(scene.parent, tmp_path / "labels") == [
        (scene, tmp_path / "labels/2020/a.png")
    ]


def warnings_of(caplog: pytest.LogCaptureFixture, word: str) -> list[str]:
    return [text for text in caplog.messages if word in text]


def write_band(write: WriteRaster, name: str, size: int = 24, shift: float = 0.0) -> Path:
    """Write a single band of a footprint of 12 by 12 metres."""
    pixels = np.random.default_rng(0).integers(1, 99, (size, size)).astype(np.uint16)
    place = rasterio.transform.from_origin(448_000 + shift, 5_412_000, 12 / size, 12 / size)
    return write(name, pixels, transform=place)


LONG = "LC09_L2SP_193027_20230615_20230617_02_T1_SR"


@pytest.mark.parametrize(
    ("names", "command"),
    [
        (["T32_B02.tif", "T32_B03.tif"], "in/T32_stack.vrt in/T32_B02.tif in/T32_B03.tif"),
        ([f"{LONG}_B{i}.TIF" for i in (4, 5, 10)], f"in/{LONG}_B*.TIF"),
        (["red.tif", "green.tif"], "in/stack.vrt in/green.tif in/red.tif"),
        (
            ["R10m/x_B04_10m.jp2", "R20m/x_B05_20m.jp2"],
            "in/R10m/x_stack.vrt in/R10m/x_B04_10m.jp2 in/R20m/x_B05_20m.jp2",
        ),
        (["before.tif", "after.tif"], "in/stack.vrt in/after.tif in/before.tif"),
    ],
)
def test_separate_bands_of_a_scene_are_not_tiled_in_silence(
    write_raster: WriteRaster, tmp_path: Path, caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch, names: list[str], command: str,
) -> None:  # fmt: skip
    for i, name in enumerate(names):
        write_band(write_raster, f"in/{name}", size=48 if i == 0 else 24)
    monkeypatch.chdir(tmp_path)
    find_inputs(Path("in"), TilingSettings(patch_shape=(16, 16)))
    found = warnings_of(caplog, "separate bands of one scene")
    assert len(found) == 1 and "gdalbuildvrt -separate -resolution highest " in found[0]
    assert found[0].endswith(command)


def test_scenes_of_other_places_are_no_bands(
    write_raster: WriteRaster, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_band(write_raster, "in/a_B02.tif")
    write_band(write_raster, "in/b_B03.tif")
    write_band(write_raster, "in/B04.tif", shift=500)
    write_raster("in/a_B03.tif", np.zeros((24, 24, 3), np.uint16))
    find_inputs(tmp_path / "in", TilingSettings(patch_shape=(16, 16)))
    assert warnings_of(caplog, "separate bands") == []


def test_bands_of_many_scenes_are_told_in_few_lines(
    write_raster: WriteRaster, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for scene in range(5):
        for band in ("red", "nir"):
            write_band(write_raster, f"in/{scene}/{band}.tif", size=4)
    find_inputs(tmp_path / "in", TilingSettings(patch_shape=(4, 4)))
    assert len(warnings_of(caplog, "separate bands")) == 3
    assert "and so do the files of 2 more scenes" in caplog.text


def test_pages_of_another_size_are_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = write_pages(tmp_path / "a.tif", PIXELS, PIXELS[::2, ::2])
    find_inputs(path, TilingSettings(patch_shape=(4, 4)))
    assert f"{path} holds 1 more image(s), such as thumbnails or frames" in caplog.text


def test_an_archive_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(b"PK")
    with pytest.raises(RasterError, match=r"a\.zip: is an archive; unpack it"):
        with open_raster(tmp_path / "a.zip"):
            pass


def test_label_files_of_no_map_are_named(
    write_raster: WriteRaster, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    for name in ("maps/a_clusters.tif", "labels/a.png", "labels/b.png", "in/a.tif"):
        write_raster(name, PIXELS)
    pair_files(tmp_path / "maps", tmp_path / "labels")
    find_inputs(tmp_path / "in", TilingSettings(patch_shape=(4, 4)), tmp_path / "labels")
    assert "1 label file(s) belong to none of the maps and are left out: b.png" in caplog.text
    assert "1 label raster(s) belong to none of the rasters" in caplog.text


@pytest.mark.parametrize("name", ["a.png", "a.webp"])
def test_frames_of_an_animation_are_named(
    name: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (3, 20, 20, 3), np.uint8)
    first, *others = map(Image.fromarray, noise)
    path = tmp_path / name
    first.save(path, save_all=True, append_images=others, duration=50)
    find_inputs(path, TilingSettings(patch_shape=(4, 4)))
    assert f"{path} holds 2 more image(s), such as thumbnails or frames" in caplog.text


def test_a_chunk_that_claims_no_frames_is_passed_over(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "a.png"
    Image.fromarray(np.zeros((20, 20, 3), np.uint8)).save(path)
    content = path.read_bytes()
    chunk = b"acTL" + struct.pack(">II", 0, 0)
    header_ends = 33  # the signature and IHDR
    size, check = struct.pack(">I", 8), struct.pack(">I", zlib.crc32(chunk))
    path.write_bytes(content[:header_ends] + size + chunk + check + content[header_ends:])
    find_inputs(path, TilingSettings(patch_shape=(4, 4)))  # a warning would be an error here
    assert caplog.text == ""
