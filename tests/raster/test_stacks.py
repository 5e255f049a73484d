"""Bands in separate files become one scene on the finest grid, and quality bands hide pixels."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from zipfile import ZipFile

import numpy as np
import pytest
import rasterio
from conftest import WriteRaster
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio.enums import Resampling
from rasterio.transform import from_origin

from clusternet.errors import GridMismatchError, RasterError, SettingsError
from clusternet.nodata import NodataChoice
from clusternet.raster import find_scenes, one_scene, open_raster
from clusternet.raster.finding import inner_paths
from clusternet.scene_rule import BandPattern, SceneRule
from clusternet.types import AnyArray, BoolArray
from clusternet.windows import Window

WriteBand = Callable[..., Path]
SIDE = 24  # pixels of 10 m


@pytest.fixture
def write_band(write_raster: WriteRaster) -> WriteBand:
    """Return ``write(name, metres, pixels)``: a band of 240 m from 600000, 5400000."""

    def write(name: str, metres: int, pixels: AnyArray | None = None, **options: object) -> Path:
        side = SIDE * 10 // metres
        if pixels is None:
            seed = sum(name.encode())
            pixels = np.random.default_rng(seed).integers(1, 4000, (side, side), np.uint16)
        place = dict(crs="EPSG:32632", transform=from_origin(600000, 5400000, metres, metres))
        return write_raster(name, pixels, **(place | options))

    return write


@pytest.fixture
def sentinel(write_band: WriteBand, tmp_path: Path) -> Path:
    """Two days of bands of 10, 20 and 60 m, in folders by pixel size; clouds upper left."""
    clouds = np.full((SIDE // 2, SIDE // 2), 4, np.uint8)
    clouds[:3, :4] = 9
    for day in ("0101", "0111"):
        for name in ("B02_10m", "B03_10m", "B02_20m", "B11_20m", "B01_60m"):
            size = int(name[4:6])
            write_band(f"s2/{day}/R{size}m/T32_{day}_{name}.tif", size)
        write_band(f"s2/{day}/R20m/T32_{day}_SCL_20m.tif", 20, clouds)
    return tmp_path / "s2"


def read(path: Path, rule: SceneRule, window: Window | None = None) -> tuple[AnyArray, BoolArray]:
    with open_raster(path, NodataChoice(scene=rule)) as raster:
        return raster.read(window or Window(0, 0, *raster.profile.shape))


def test_each_prefix_is_a_scene_on_the_finest_grid(sentinel: Path) -> None:
    rule = SceneRule("B02,B11,B01")
    scenes = find_scenes(sentinel, rule)
    assert [path.relative_to(sentinel).as_posix() for path in scenes] == [
        "0101/T32_0101", "0111/T32_0111",
    ]  # fmt: skip
    with open_raster(scenes[0], NodataChoice(scene=rule)) as raster:
        assert raster.profile.shape == (SIDE, SIDE)
        assert raster.profile.bands.descriptions == ("B02", "B11", "B01")
        assert raster.profile.transform == from_origin(600000, 5400000, 10, 10)


def test_coarser_bands_are_interpolated_and_finer_ones_unchanged(sentinel: Path) -> None:
    rule = SceneRule("B02,B11")
    pixels, _ = read(find_scenes(sentinel, rule)[0], rule)
    with rasterio.open(sentinel / "0101/R10m/T32_0101_B02_10m.tif") as dataset:
        assert (pixels[..., 0] == dataset.read(1)).all()
    with rasterio.open(sentinel / "0101/R20m/T32_0101_B11_20m.tif") as dataset:
        expected = dataset.read(1, out_shape=(SIDE, SIDE), resampling=Resampling.bilinear)
    assert (pixels[..., 1] == expected).all()


@settings(max_examples=25)
@given(st.tuples(*[st.integers(0, SIDE - 1)] * 4))
def test_a_window_of_a_stack_is_a_part_of_it(
    tmp_path_factory: pytest.TempPathFactory, corners: tuple[int, int, int, int]
) -> None:
    folder = tmp_path_factory.getbasetemp() / "stack"
    if not folder.exists():
        folder.mkdir()
        for name, side in (("s_B02.tif", SIDE), ("s_B11.tif", SIDE // 2), ("s_B01.tif", SIDE // 6)):
            with rasterio.open(
                folder / name, "w", driver="GTiff", count=1, height=side, width=side,
                dtype="uint16", crs="EPSG:32632",
                transform=from_origin(600000, 5400000, 240 / side, 240 / side),
            ) as dataset:  # fmt: skip
                dataset.write(np.random.default_rng(side).integers(1, 4000, (1, side, side)))
    rule = SceneRule("B02,B11,B01")
    scene = find_scenes(folder, rule)[0]
    (top, bottom), (left, right) = sorted(corners[:2]), sorted(corners[2:])
    window = Window(top, left, bottom - top + 1, right - left + 1)
    assert (read(scene, rule, window)[0] == read(scene, rule)[0][window.slices()]).all()


def test_values_of_the_quality_band_become_nodata(sentinel: Path) -> None:
    rule = SceneRule("B02,B11", "SCL", "3,8-10")
    scene = find_scenes(sentinel, rule)[0]
    expected = np.ones((SIDE, SIDE), bool)
    expected[:6, :8] = False
    assert (read(scene, rule)[1] == expected).all()
    with open_raster(scene, NodataChoice(scene=rule)) as raster:
        assert raster.profile.num_bands == 2 and raster.profile.has_mask
        coarse = raster.read_coarse(Window(0, 0, SIDE, SIDE), 2)[1]
    assert (coarse == expected[::2, ::2]).all()


def test_a_quality_band_of_the_raster_itself_is_no_band_of_it(write_raster: WriteRaster) -> None:
    pixels = np.dstack([np.full((8, 8), 7), np.arange(64).reshape(8, 8)]).astype(np.uint16)
    path = write_raster("scene.tif", pixels)
    with rasterio.open(path, "r+") as dataset:
        dataset.descriptions = ("red", "QA_PIXEL")
    bits = SceneRule("", "qa_pixel", "bit3,bit5")
    values, valid = read(path, bits)
    assert values.shape == (8, 8, 1)
    assert (valid == ((pixels[..., 1] & 0b101000) == 0)).all()
    with pytest.raises(RasterError, match="has no band called SCL"):
        read(path, SceneRule("", "SCL", "3"))


def test_masks_of_the_files_hide_pixels(write_band: WriteBand, tmp_path: Path) -> None:
    write_band("s_B02.tif", 10)
    mask = np.ones((12, 12), bool)
    mask[0, 0] = False
    write_band("s_B11.tif", 20, mask=mask)
    rule = SceneRule("B02,B11")
    valid = read(find_scenes(tmp_path, rule)[0], rule)[1]
    assert not valid[:2, :2].any() and valid.sum() == SIDE * SIDE - 4


def test_nodata_of_a_coarse_band_is_not_interpolated(write_band: WriteBand, tmp_path: Path) -> None:
    write_band("s_B02.tif", 10, nodata=0)
    pixels = np.full((12, 12), 1000, np.uint16)
    pixels[3, 3] = 0
    write_band("s_B11.tif", 20, pixels, nodata=0)
    rule = SceneRule("B02,B11")
    values, valid = read(find_scenes(tmp_path, rule)[0], rule)
    assert set(np.unique(values[..., 1])) <= {0, 1000}
    assert not valid[6:8, 6:8].any()


def test_scenes_lie_in_archives(sentinel: Path) -> None:
    archive = sentinel.parent / "s2.zip"
    with ZipFile(archive, "w") as opened:
        for path in sorted(sentinel.rglob("*.tif")):
            opened.write(path, path.relative_to(sentinel.parent))
    rule = SceneRule("B02,B11")
    for source in (archive, sentinel.parent):
        if source == sentinel.parent:
            for path in sentinel.rglob("*.tif"):
                path.unlink()
        scenes = find_scenes(source, rule)
        assert [scene.name for scene in scenes] == ["T32_0101", "T32_0111"]
        assert read(scenes[0], rule)[0].shape == (SIDE, SIDE, 2)


def test_a_scene_is_named_by_what_its_files_share(sentinel: Path) -> None:
    rule = SceneRule("B02,B11")
    assert one_scene(sentinel / "0111", rule).name == "T32_0111"
    assert one_scene(sentinel / "0111" / "T32_0111", rule).name == "T32_0111"
    with pytest.raises(RasterError, match="holds 2 scenes"):
        one_scene(sentinel, rule)
    with pytest.raises(RasterError, match="nor a scene of --stack"):
        one_scene(sentinel / "0111" / "T33", rule)


def test_a_missing_band_is_named(sentinel: Path) -> None:
    with pytest.raises(RasterError, match=r"T32_0101: has no file for B08 of --stack; found B02"):
        find_scenes(sentinel, SceneRule("B02,B08"))
    with pytest.raises(RasterError, match="has no file for QA of --mask_band"):
        find_scenes(sentinel, SceneRule("B02", "QA", "1"))
    with pytest.raises(RasterError, match="no file is named as a band of --stack B7"):
        find_scenes(sentinel, SceneRule("B7"))


def test_a_quality_band_belongs_to_scenes_whose_names_go_on(write_band: WriteBand) -> None:
    for scene in ("LC08_01_T1", "LC08_02_T1"):
        for name in ("SR_B2", "SR_B3"):
            folder = write_band(f"ls/{scene}/{scene}_{name}.TIF", 10).parent.parent
        write_band(f"ls/{scene}/{scene}_QA_PIXEL.TIF", 10, np.full((SIDE, SIDE), 8, np.uint16))
    rule = SceneRule("B2,B3", "QA_PIXEL", "bit3")
    scenes = find_scenes(folder, rule)
    assert [scene.name for scene in scenes] == ["LC08_01_T1_SR", "LC08_02_T1_SR"]
    for scene in scenes:
        assert scene.quality[0].parent.name == scene.parent.name
        assert not read(scene, rule)[1].any()


def test_scenes_in_archives_of_a_folder_are_named_below_it(
    sentinel: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "zips"
    folder.mkdir()
    for day in ("0101", "0111"):
        with ZipFile(folder / f"{day}.zip", "w") as archive:
            for path in sorted((sentinel / day).rglob("*.tif")):
                archive.write(path, path.relative_to(sentinel))
    monkeypatch.chdir(tmp_path)
    for source in (folder, Path("zips")):
        inner = inner_paths(source, find_scenes(source, SceneRule("B02,B11")))
        assert [str(path) for path in inner] == [
            str(Path(f"{day}.zip", day, f"T32_{day}")) for day in ("0101", "0111")
        ]


def test_bands_of_other_ground_are_refused(write_band: WriteBand, tmp_path: Path) -> None:
    write_band("a_B02.tif", 10)
    rule = SceneRule("B02,B03")
    write_band("a_B03.tif", 10, crs="EPSG:32633")
    with pytest.raises(GridMismatchError, match=r"a_B03\.tif: its CRS is EPSG:32633"):
        read(find_scenes(tmp_path, rule)[0], rule)
    write_band("a_B03.tif", 10, transform=from_origin(600100, 5400000, 10, 10))
    with pytest.raises(GridMismatchError, match="covers other ground"):
        read(find_scenes(tmp_path, rule)[0], rule)
    write_band("a_B03.tif", 10, np.ones((24, 24, 3), np.uint16))
    with pytest.raises(RasterError, match="expected one band"):
        read(find_scenes(tmp_path, rule)[0], rule)


@pytest.mark.parametrize(
    ("pattern", "file", "key"),
    [
        ("B02", "a/T32_B02_10m.jp2", ("a", "T32")),
        ("B02", "a/R10m/T32_B02_10m.jp2", ("a", "T32")),
        ("b02", "scene/B02.tif", ("scene", "")),
        ("B1", "a/LC08_SR_B1.TIF", ("a", "LC08_SR")),
        ("SR_B1", "a/LC08_SR_B1.TIF", ("a", "LC08")),
        ("B1", "a/LC08_B11.TIF", None),
        ("B1", "a/LC08_AB1.TIF", None),
        ("B8", "a/LC08_B8A.TIF", None),
        ("*_B02*", "a/x_B02_y_20m.tif", ("a", "x_y")),
        ("*.B02.*.tif", "a/HLS.B02.v2.tif", ("a", "HLS_v2")),
        ("B02/*", "day/B02/T32.tif", ("day", "T32")),
        ("blue=B02", "a/T32_B02.tif", ("a", "T32")),
        ("B2", "a/T32_B02_10m.jp2", ("a", "T32")),
        ("B02", "a/LC08_B2.TIF", ("a", "LC08")),
        ("B2", "a/LC08_B20.TIF", None),
    ],
)
def test_names_of_bands(pattern: str, file: str, key: tuple[str, ...] | None) -> None:
    assert BandPattern.parse(pattern).key(Path(file)) == key


@pytest.mark.parametrize("texts", [
    ("B02,B02", "", ""), ("B02,", "", ""), ("", "SCL", ""), ("", "", "3"), ("", "SCL", "x"),
    ("", "SCL", "bit64"), ("B02;B03", "", ""),
])  # fmt: skip
def test_rules_that_cannot_be_read(texts: tuple[str, str, str]) -> None:
    with pytest.raises(SettingsError):
        SceneRule(*texts)
