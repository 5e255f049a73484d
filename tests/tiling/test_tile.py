"""Patches are the raster under their windows, and every window is accounted for."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine
from conftest import WriteRaster
from loopback import loopback
from PIL import Image

from clusternet.errors import (
    GridMismatchError,
    LabelError,
    OutputError,
    PatchError,
    RasterError,
    SettingsError,
)
from clusternet.locations import location
from clusternet.patches.manifest import read_manifest
from clusternet.raster import Raster, open_raster
from clusternet.raster.quiet import quiet_georeferencing
from clusternet.settings import TilingSettings
from clusternet.tiling import cutting as tiling
from clusternet.tiling.inputs import raster_names
from clusternet.tiling.tile import TilingReport, tile_rasters
from clusternet.windows import Window

SIXTEEN = TilingSettings(patch_shape=(16, 16))


def everything(folder: Path) -> list[str]:
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())


def read_patch(path: Path) -> tuple[np.ndarray, np.ndarray]:
    with open_raster(path) as raster:
        return raster.read(Window(0, 0, *raster.profile.shape))


def picture(rows: int, cols: int, bands: int = 3, dtype: str = "uint8") -> np.ndarray:
    values = np.random.default_rng(rows * cols).integers(1, 120, (rows, cols, bands))
    return values.astype(dtype)


@pytest.fixture
def scene(write_raster: WriteRaster) -> Path:
    """An RGB raster of 40 x 50 pixels: three by four patches of 16, the last ones shifted."""
    return write_raster("in/scene.tif", picture(40, 50))


@pytest.fixture
def patches(tmp_path: Path) -> Path:
    return tmp_path / "patches"


@pytest.mark.parametrize("edge", ["shift", "pad", "drop"])
@pytest.mark.parametrize(
    ("bands", "dtype"), [(1, "uint8"), (3, "uint8"), (4, "uint8"), (2, "uint16"), (3, "int16"),
                         (1, "int8"), (5, "float32"), (1, "float64"), (2, "int64")]
)  # fmt: skip
def test_patches_are_the_raster_under_their_windows(write_raster, patches, bands, dtype, edge):
    pixels = picture(40, 50, bands, dtype)
    path = write_raster("scene.tif", pixels)
    settings = TilingSettings(patch_shape=(16, 12), stride=(10, 12), edge=edge)
    report = tile_rasters(path, patches, settings)
    manifest = read_manifest(patches)
    padded = np.pad(pixels, ((0, 16), (0, 12), (0, 0)))
    for patch in manifest.patches:
        read, valid = read_patch(patches / patch.file)
        assert read.dtype == dtype
        np.testing.assert_array_equal(read, padded[patch.window.slices()])
        inside = patch.window.inside((40, 50))
        assert valid[: inside.height, : inside.width].all()
        assert valid.sum() == inside.height * inside.width
    assert len(manifest.patches) == report.written == len(everything(patches)) - 1


def test_shifted_patches_cover_the_whole_raster(scene, patches):
    tile_rasters(scene, patches, SIXTEEN)
    seen = np.zeros((40, 50), bool)
    for patch in read_manifest(patches).patches:
        seen[patch.window.slices()] = True
    assert seen.all()


def test_files_are_named_by_row_and_column(scene, patches):
    tile_rasters(scene, patches, SIXTEEN)
    names = sorted(path.name for path in (patches / "scene").iterdir())
    assert names[:2] == ["00000_00000.png", "00000_00016.png"]
    assert names[-1] == "00024_00034.png"


def test_names_sort_in_the_order_of_the_grid(scene, patches):
    tile_rasters(scene, patches, SIXTEEN)
    manifest = read_manifest(patches)
    windows = [patch.window for patch in sorted(manifest.patches, key=lambda patch: patch.file)]
    assert windows == sorted(windows)


def test_a_raster_of_exactly_one_patch_gives_one_patch(write_raster, patches):
    report = tile_rasters(write_raster("a.tif", picture(16, 16)), patches, SIXTEEN)
    assert report.written == 1


def test_a_smaller_raster_is_padded_with_a_warning(write_raster, patches, caplog):
    pixels = picture(5, 9)
    tile_rasters(write_raster("a.tif", pixels), patches, SIXTEEN)
    assert "smaller than a patch of 16 x 16" in caplog.text and "a.tif" in caplog.text
    read, valid = read_patch(patches / "a" / "00000_00000.png")
    np.testing.assert_array_equal(read[:5, :9], pixels)
    assert valid.sum() == 5 * 9


def test_padding_takes_the_nodata_value(write_raster, patches):
    tile_rasters(write_raster("a.tif", picture(5, 9), nodata=200), patches, SIXTEEN)
    image = np.asarray(Image.open(patches / "a" / "00000_00000.png"))
    assert image.shape == (16, 16, 3)
    assert (image[5:] == 200).all()


def test_dropped_windows_are_counted(scene, patches):
    settings = TilingSettings(patch_shape=(16, 16), edge="drop")
    report = tile_rasters(scene, patches, settings)
    assert report.written == 2 * 3
    assert report.skipped == {"past the edge": 3 * 4 - 2 * 3}


def test_a_stride_below_the_patch_makes_patches_overlap(scene, patches):
    settings = TilingSettings(patch_shape=(16, 16), stride=(8, 8))
    assert tile_rasters(scene, patches, settings).written == 4 * 6


@pytest.mark.parametrize(
    ("bands", "options", "mask", "size", "mode"),
    [
        (1, {}, False, 32, "L"),
        (3, {}, False, 32, "RGB"),
        (3, {"nodata": 0}, False, 20, "RGB"),
        (1, {"nodata": 0}, False, 9, "L"),
        (3, {}, True, 32, "RGBA"),
        (3, {}, False, 9, "RGBA"),
        (4, {"photometric": "RGB", "alpha": "YES"}, False, 32, "RGBA"),
        (1, {}, True, 32, "tif"),
        (1, {}, False, 9, "tif"),
        (2, {}, False, 32, "tif"),
        (4, {"photometric": "minisblack", "alpha": "unspecified"}, False, 32, "tif"),
    ],
)
def test_eight_bit_grey_and_colour_become_png(
    write_raster, patches, bands, options, mask, size, mode
):
    shown = np.ones((size, size), bool) if mask else None
    path = write_raster("a.tif", picture(size, size, bands), mask=shown, **options)
    tile_rasters(path, patches, SIXTEEN)
    first = next((patches / "a").iterdir())
    if mode == "tif":
        assert first.suffix == ".tif"
    else:
        with Image.open(first) as image:
            assert image.mode == mode


def test_geotiff_patches_lie_where_their_window_lies(write_raster, patches):
    path = write_raster("a.tif", picture(40, 50, 2, "uint16"), nodata=7)
    tile_rasters(path, patches, SIXTEEN)
    with rasterio.open(path) as whole, rasterio.open(patches / "a" / "00016_00034.tif") as patch:
        assert patch.crs == whole.crs
        assert patch.nodata == 7
        assert patch.transform @ (0, 0) == whole.transform @ (34, 16)


def test_keras_reads_the_patches_of_all_rasters(write_raster, tmp_path, patches):
    from keras.src.legacy.preprocessing.image import ImageDataGenerator

    pixels = picture(16, 16)
    for name in ("in/a.tif", "in/b/a.png"):
        write_raster(name, pixels)
    tile_rasters(tmp_path / "in", patches, SIXTEEN, workers=1)
    iterator = ImageDataGenerator().flow_from_directory(
        str(patches), target_size=(16, 16), class_mode=None, batch_size=2
    )
    np.testing.assert_array_equal(iterator[0], np.stack([pixels, pixels]))


def test_rasters_of_one_name_in_two_folders_do_not_collide(write_raster, tmp_path, patches):
    for name in ("in/a/scene.tif", "in/b/scene.tif", "in/other.tif"):
        write_raster(name, picture(16, 16))
    report = tile_rasters(tmp_path / "in", patches, SIXTEEN)
    assert report.rasters == report.written == 3
    assert sorted(path.name for path in patches.iterdir()) == [
        "a__scene", "b__scene", "other", "patches.json",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("paths", "names"),
    [
        (["a.tif", "b.tif"], ["a", "b"]),
        (["x/a.tif", "y/a.tif"], ["x__a", "y__a"]),
        (["a.tif", "A.tif"], ["a_tif", "A_tif_2"]),
        (["a.tif", "a.png"], ["a_tif", "a_png"]),
        (["a.tif", "a.png", "x/a.tif"], ["a_tif", "a_png", "x__a"]),
        (["x__a.tif", "x/a.tif", "y/a.tif"], ["x__a", "x__a_tif", "y__a"]),
        (["a.v1.tif", "a.v2.tif"], ["a.v1", "a.v2"]),
        (["/x/a.tif", "/y/a.tif"], ["x__a", "y__a"]),  # names, not places outside of the output
    ],
)
def test_every_raster_has_a_name_of_its_own(paths, names):
    assert raster_names([Path(path) for path in paths]) == names


# nodata


def test_black_is_data_unless_the_user_says_otherwise(write_raster, patches, tmp_path):
    pixels = picture(16, 32)
    pixels[:, :16] = 0
    path = write_raster("a.tif", pixels)
    assert tile_rasters(path, patches, SIXTEEN).written == 2
    black = TilingSettings(patch_shape=(16, 16), nodata=0)
    report = tile_rasters(path, tmp_path / "p2", black)
    assert report.written == 1
    assert report.skipped == {"with nothing but nodata": 1}


@pytest.mark.parametrize(("ratio", "written"), [(0.0, 1), (0.24, 1), (0.25, 2), (0.5, 3), (1, 4)])
def test_the_ratio_is_the_largest_share_of_nodata_that_is_kept(
    write_raster, patches, ratio, written
):
    pixels = picture(16, 16 * 5)
    for patch, rows in enumerate((0, 4, 8, 15, 16)):  # the last holds nothing but nodata
        pixels[:rows, patch * 16 : (patch + 1) * 16] = 0
    settings = TilingSettings(patch_shape=(16, 16), keep_dark_region_ratio=ratio)
    report = tile_rasters(write_raster("a.tif", pixels, nodata=0), patches, settings)
    assert report.written == written
    assert sum(report.skipped.values()) == 5 - written
    assert report.skipped["with nothing but nodata"] == 1


def test_padding_does_not_count_as_nodata(write_raster, patches):
    settings = TilingSettings(patch_shape=(16, 16), keep_dark_region_ratio=0)
    path = write_raster("a.tif", picture(3, 3), nodata=0)
    assert tile_rasters(path, patches, settings).written == 1


def test_alpha_marks_what_the_mask_of_the_raster_marks(write_raster, patches):
    mask = np.random.default_rng(0).random((16, 16)) > 0.2
    tile_rasters(write_raster("a.tif", picture(16, 16), mask=mask), patches, SIXTEEN)
    alpha = np.asarray(Image.open(patches / "a" / "00000_00000.png"))[..., 3]
    np.testing.assert_array_equal(alpha == 255, mask)


def test_the_nodata_in_force_is_recorded(write_raster, tmp_path, patches):
    write_raster("in/a.tif", picture(16, 16), nodata=3)
    write_raster("in/b.tif", picture(16, 16))
    write_raster("in/c.tif", picture(16, 16, 1, "float32"), nodata=float("nan"))
    tile_rasters(tmp_path / "in", patches, SIXTEEN)
    manifest = read_manifest(patches)
    found = {p.raster: manifest.nodata_of(p.file) for p in manifest.patches}
    assert found["a"] == 3 and found["b"] is None and np.isnan(found["c"])


def test_a_mask_stands_in_for_the_tag_of_64_bit_integers(write_raster, patches):
    pixels = np.full((16, 16), 5, np.int64)
    pixels[0, 0] = -7
    tile_rasters(write_raster("a.tif", pixels, nodata=-7), patches, SIXTEEN)
    assert np.argwhere(~read_patch(patches / "a" / "00000_00000.tif")[1]).tolist() == [[0, 0]]


def test_nothing_but_nodata_is_one_clear_line(write_raster, tmp_path, patches):
    path = write_raster("in/a.tif", np.zeros((40, 40), np.uint8), nodata=0)
    with pytest.raises(PatchError, match=r"no window of 16 x 16.*9 with nothing but nodata"):
        tile_rasters(path, patches, SIXTEEN)
    assert everything(tmp_path) == ["in/a.tif"]


def test_a_ratio_that_no_window_meets_is_one_clear_line(write_raster, tmp_path, patches):
    pixels = picture(16, 16)
    pixels[:8] = 0
    settings = TilingSettings(patch_shape=(16, 16), keep_dark_region_ratio=0.1)
    path = write_raster("in/a.tif", pixels, nodata=0)
    with pytest.raises(PatchError, match=r"1 with more than 10 % nodata.*keep_dark_region_ratio"):
        tile_rasters(path, patches, settings)
    assert everything(tmp_path) == ["in/a.tif"]


# masks and crops


@pytest.mark.parametrize(
    "name", ["scene.png", "scene_mask.tif", "scene.TIF", "deeper/scene_mask.png"]
)
def test_labels_are_cut_by_the_same_windows(write_raster, tmp_path, scene, patches, name):
    labels = np.arange(40 * 50, dtype=np.uint16).reshape(40, 50) % 250
    labels = labels.astype(np.uint8)
    write_raster("labels/made.png", labels)
    target = tmp_path / "labels" / name
    target.parent.mkdir(exist_ok=True)
    (tmp_path / "labels" / "made.png").rename(target)
    tile_rasters(scene, patches, SIXTEEN, masks_folder=tmp_path / "labels")
    images, masks = read_manifest(patches), read_manifest(tmp_path / "patches_masks")
    assert [p.file for p in images.patches] == [p.file for p in masks.patches]
    for patch in masks.patches:
        image = Image.open(tmp_path / "patches_masks" / patch.file)
        assert image.mode == "L"
        np.testing.assert_array_equal(np.asarray(image), labels[patch.window.slices()])


def test_labels_in_the_same_relative_folder_come_first(write_raster, tmp_path, patches):
    for folder, value in (("a", 1), ("b", 2)):
        write_raster(f"in/{folder}/scene.tif", picture(16, 16))
        write_raster(f"labels/{folder}/scene.tif", np.full((16, 16), value, np.uint8))
    tile_rasters(tmp_path / "in", patches, SIXTEEN, masks_folder=tmp_path / "labels")
    masks = tmp_path / "patches_masks"
    assert read_patch(masks / "a__scene" / "00000_00000.png")[0].max() == 1
    assert read_patch(masks / "b__scene" / "00000_00000.png")[0].max() == 2


def test_labels_of_skipped_patches_are_not_written(write_raster, tmp_path, patches):
    pixels = picture(16, 32)
    pixels[:, :16] = 0
    path = write_raster("in/a.tif", pixels, nodata=0)
    write_raster("labels/a.tif", np.ones((16, 32), np.uint8))
    tile_rasters(path, patches, SIXTEEN, masks_folder=tmp_path / "labels")
    assert everything(tmp_path / "patches_masks") == ["a/00000_00016.png", "patches.json"]


def test_pixels_without_a_label_become_255(write_raster, tmp_path, patches):
    labels = np.ones((5, 9), np.uint8)
    labels[0] = 0
    path = write_raster("in/a.tif", picture(5, 9))
    write_raster("labels/a.tif", labels, nodata=0)
    tile_rasters(path, patches, SIXTEEN, masks_folder=tmp_path / "labels")
    mask = np.asarray(Image.open(tmp_path / "patches_masks" / "a" / "00000_00000.png"))
    assert (mask[1:5, :9] == 1).all()
    assert np.count_nonzero(mask == 255) == 16 * 16 - 4 * 9


@pytest.mark.parametrize(
    ("dtype", "ignored"), [("uint16", 65535), ("int16", 32767), ("float32", float("nan"))]
)
def test_labels_of_other_types_are_lossless_geotiffs(
    write_raster, tmp_path, patches, dtype, ignored
):
    labels = (np.arange(5 * 9) * 300).reshape(5, 9).astype(dtype)
    path = write_raster("in/a.tif", picture(5, 9))
    write_raster("labels/a.tif", labels)
    tile_rasters(path, patches, SIXTEEN, masks_folder=tmp_path / "labels")
    mask, valid = read_patch(tmp_path / "patches_masks" / "a" / "00000_00000.tif")
    np.testing.assert_array_equal(mask[:5, :9, 0], labels)
    np.testing.assert_array_equal(mask[9, 9, 0], np.array(ignored, dtype))
    assert valid.sum() == 5 * 9


def tile_labels(write_raster, tmp_path, labels, nodata=None, **options):
    """Tile rasters named like ``labels``: name -> (pixels, class names); return the folder.

    ``nodata`` is that of the last label raster.
    """
    last = list(labels)[-1]
    for name, (pixels, names) in labels.items():
        write_raster(f"in/{name}.tif", picture(*pixels.shape))
        own = nodata if name == last else None
        path = write_raster(f"labels/{name}.tif", pixels, nodata=own)
        if names:
            entries = "".join(f"<Category>{text}</Category>" for text in names)
            path.with_name(f"{path.name}.aux.xml").write_text(
                "<PAMDataset><PAMRasterBand band='1'><CategoryNames>"
                f"{entries}</CategoryNames></PAMRasterBand></PAMDataset>"
            )
    tile_rasters(
        tmp_path / "in", tmp_path / "patches", SIXTEEN, masks_folder=tmp_path / "labels", **options
    )
    return tmp_path / "patches_masks"


def test_label_patches_of_several_rasters_share_numbers_and_names(write_raster, tmp_path):
    ones = np.ones((16, 16), np.uint8)
    masks = tile_labels(
        write_raster, tmp_path, {"a": (ones, ["field", "sea"]), "b": (ones, ["sea", "wood"])}
    )
    listed = json.loads((masks / "classes.json").read_text(encoding="utf-8"))
    assert listed == {"0": "field", "1": "sea", "2": "wood"}
    for name, number in (("a", 1), ("b", 2)):
        patch = read_patch(masks / name / "00000_00000.png")[0]
        assert (patch == number).all()


def test_a_renumbered_class_is_not_taken_for_nodata(write_raster, tmp_path):
    ones = np.ones((16, 16), np.int16)
    masks = tile_labels(
        write_raster, tmp_path, {"a": (0 * ones, ["field"]), "b": (ones, ["", "field"])}, nodata=0
    )
    pixels, valid = read_patch(masks / "b" / "00000_00000.png")
    assert (pixels == 0).all() and valid.all()


def test_a_mask_of_0_and_255_gives_patches_of_0_and_1(write_raster, tmp_path, caplog):
    mask = np.zeros((16, 16), np.uint8)
    mask[4:9, 4:9] = 255
    masks = tile_labels(write_raster, tmp_path, {"a": (mask, None)})
    np.testing.assert_array_equal(read_patch(masks / "a" / "00000_00000.png")[0][..., 0], mask > 0)
    assert "holds only 0 and 255, taken as the classes 0 and 1; --ignore_label 255" in caplog.text


def test_the_advice_about_255_works(write_raster, tmp_path):
    mask = np.zeros((16, 16), np.uint8)
    mask[4:9, 4:9] = 255
    masks = tile_labels(write_raster, tmp_path, {"a": (mask, None)}, ignore_label=255)
    np.testing.assert_array_equal(read_patch(masks / "a" / "00000_00000.png")[0][..., 0], mask)


def test_classes_of_windows_without_a_patch_are_named(write_raster, tmp_path, caplog):
    pixels = picture(16, 32)
    pixels[:, :16] = 0
    write_raster("in/a.tif", pixels, nodata=0)
    labels = np.ones((16, 32), np.uint8)
    labels[3:5, 3:5] = 7
    write_raster("labels/a.tif", labels)
    tile_rasters(tmp_path / "in", tmp_path / "p", SIXTEEN, masks_folder=tmp_path / "labels")
    assert "class 7: none of its 4 labelled pixel(s) counts: no patch is cut there." in caplog.text


def test_label_rasters_without_a_label_are_refused(write_raster, tmp_path):
    nothing = np.full((16, 16), 255, np.uint8)
    with pytest.raises(LabelError, match=r"gives no patch a label.* 256 pixels of value 255"):
        tile_labels(write_raster, tmp_path, {"a": (nothing, None)})
    assert not (tmp_path / "patches").exists() and not (tmp_path / "patches_masks").exists()


def test_a_label_image_with_a_colour_table_keeps_its_numbers(write_raster, tmp_path, patches):
    path = write_raster("in/a.tif", picture(16, 16))
    labels = np.arange(256, dtype=np.uint8).reshape(16, 16) % 3
    image = Image.fromarray(labels, "P")
    image.putpalette([9, 9, 9, 200, 0, 0, 0, 200, 0])
    (tmp_path / "labels").mkdir()
    image.save(tmp_path / "labels" / "a.png")
    tile_rasters(path, patches, SIXTEEN, masks_folder=tmp_path / "labels")
    mask = read_patch(tmp_path / "patches_masks" / "a" / "00000_00000.png")[0]
    np.testing.assert_array_equal(mask[..., 0], labels)


def test_crops_are_the_centres_of_patches_and_labels(write_raster, tmp_path, patches):
    pixels = picture(16, 16)
    path = write_raster("in/a.tif", pixels)
    write_raster("labels/a.tif", pixels[..., 0])
    settings = TilingSettings(patch_shape=(16, 16), crop_shape=(5, 6))
    tile_rasters(path, patches, settings, masks_folder=tmp_path / "labels")
    crop = np.asarray(Image.open(tmp_path / "patches_crops" / "a" / "00000_00000.png"))
    mask = np.asarray(Image.open(tmp_path / "patches_masks" / "a" / "00000_00000.png"))
    np.testing.assert_array_equal(crop, pixels[6:11, 5:11])
    np.testing.assert_array_equal(mask, pixels[6:11, 5:11, 0])
    assert read_manifest(tmp_path / "patches_crops").patches[0].window == Window(6, 5, 5, 6)


def test_geotiff_crops_lie_where_they_were_cut(write_raster, tmp_path, patches):
    path = write_raster("in/a.tif", picture(16, 16, 2))
    tile_rasters(path, patches, TilingSettings(patch_shape=(16, 16), crop_shape=(5, 6)))
    crop = tmp_path / "patches_crops" / "a" / "00000_00000.tif"
    with rasterio.open(path) as whole, rasterio.open(crop) as part:
        assert part.transform @ (0, 0) == whole.transform @ (5, 6)


def test_labels_below_the_rasters_are_not_tiled_as_rasters(write_raster, tmp_path, patches):
    write_raster("in/a.tif", picture(16, 16))
    write_raster("in/labels/a.tif", np.ones((16, 16), np.uint8))
    report = tile_rasters(
        tmp_path / "in", patches, SIXTEEN, masks_folder=tmp_path / "in" / "labels"
    )
    assert report.rasters == 1


def test_a_raster_without_labels_is_named(write_raster, tmp_path, scene, patches):
    write_raster("labels/other.tif", np.ones((40, 50), np.uint8))
    with pytest.raises(LabelError, match=r"scene\.tif: has no label raster in .*scene_mask"):
        tile_rasters(scene, patches, SIXTEEN, masks_folder=tmp_path / "labels")
    assert everything(tmp_path) == ["in/scene.tif", "labels/other.tif"]


def test_two_label_rasters_for_one_raster_are_refused(write_raster, tmp_path, scene, patches):
    for name in ("labels/scene.tif", "labels/scene_mask.tif"):
        write_raster(name, np.ones((40, 50), np.uint8))
    with pytest.raises(LabelError, match=r"expected one label file .*scene\.tif and scene_mask"):
        tile_rasters(scene, patches, SIXTEEN, masks_folder=tmp_path / "labels")


def test_labels_of_another_size_are_refused(write_raster, tmp_path, scene, patches):
    write_raster("labels/scene.tif", np.ones((40, 49), np.uint8))
    with pytest.raises(GridMismatchError, match=r"expected 40 x 50 pixels .* found 40 x 49"):
        tile_rasters(scene, patches, SIXTEEN, masks_folder=tmp_path / "labels")
    assert everything(tmp_path) == ["in/scene.tif", "labels/scene.tif"]


def test_labels_in_colour_are_refused(write_raster, tmp_path, scene, patches):
    write_raster("labels/scene.tif", picture(40, 50))
    with pytest.raises(LabelError, match=r"expected one band of class numbers, found 3"):
        tile_rasters(scene, patches, SIXTEEN, masks_folder=tmp_path / "labels")


# wrong input


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"patch_shape": (0, 16)}, "patch_shape: expected two numbers above 0"),
        ({"patch_shape": (16, -16)}, "patch_shape: expected two numbers above 0"),
        ({"stride": (16, 0)}, "stride: expected two numbers above 0"),
        ({"stride": (-1, 16)}, "stride: expected two numbers above 0"),
        ({"crop_shape": (0, 4)}, "crop_shape: expected two numbers above 0"),
        ({"patch_shape": (16, 16), "crop_shape": (17, 16)}, "crop_shape: expected at most the"),
        ({"edge": "wrap"}, "edge: expected one of shift, pad, drop"),
        ({"keep_dark_region_ratio": 1.5}, "keep_dark_region_ratio: expected a share from 0 to 1"),
        ({"keep_dark_region_ratio": float("nan")}, "keep_dark_region_ratio: expected a share"),
        ({"patch_shpe": (16, 16)}, "'patch_shpe' is not a setting. Did you mean patch_shape?"),
    ],
)
def test_settings_that_cannot_be_used_are_refused(values, message):
    with pytest.raises(SettingsError) as error:
        TilingSettings.from_mapping(values)
    assert message in str(error.value)


def test_less_than_one_worker_is_refused(scene, patches):
    with pytest.raises(SettingsError, match="workers: expected a number above 0, received 0"):
        tile_rasters(scene, patches, SIXTEEN, workers=0)


def test_infinite_values_are_no_data_with_a_warning(write_raster, tmp_path, patches, caplog):
    for name in ("a", "b"):
        pixels = picture(20, 20, 1, "float32")
        pixels[19, 19], pixels[0, 0] = np.inf, np.nan
        write_raster(f"in/{name}.tif", pixels, nodata=-9999)
    tile_rasters(tmp_path / "in", patches, SIXTEEN)
    assert caplog.text.count("infinite values count as no data, in 2 raster(s): a.tif, b.tif") == 1
    valid = read_patch(patches / "a" / "00004_00004.tif")[1]
    assert np.argwhere(~valid).tolist() == [[15, 15]]


@pytest.mark.parametrize("value", [-9999, 256, 0.5, float("nan")])
def test_a_nodata_value_that_no_pixel_can_hold_is_refused(scene, patches, value):
    settings = TilingSettings(patch_shape=(16, 16), nodata=value)
    with pytest.raises(RasterError, match=r"scene\.tif: nodata value .* cannot occur in uint8"):
        tile_rasters(scene, patches, settings)


def test_an_existing_output_is_refused(scene, patches):
    tile_rasters(scene, patches, SIXTEEN)
    before = everything(patches)
    with pytest.raises(OutputError, match="patches: exists already"):
        tile_rasters(scene, patches, TilingSettings(patch_shape=(8, 8)))
    assert everything(patches) == before


@pytest.mark.parametrize("beside", ["patches_masks", "patches_crops"])
def test_an_existing_folder_beside_the_output_is_refused(write_raster, tmp_path, patches, beside):
    path = write_raster("in/a.tif", picture(16, 16))
    write_raster("labels/a.tif", np.ones((16, 16), np.uint8))
    write_raster(f"{beside}/mine.tif", picture(4, 4))
    settings = TilingSettings(patch_shape=(16, 16), crop_shape=(4, 4))
    with pytest.raises(OutputError, match=f"{beside}: exists already"):
        tile_rasters(path, patches, settings, masks_folder=tmp_path / "labels")
    assert not patches.exists()


def test_overwriting_replaces_an_earlier_tiling(scene, patches):
    tile_rasters(scene, patches, SIXTEEN)
    report = tile_rasters(scene, patches, TilingSettings(patch_shape=(40, 50)), overwrite=True)
    assert report.written == 1
    assert everything(patches) == ["patches.json", "scene/00000_00000.png"]


def test_overwriting_spares_a_folder_that_no_tiling_wrote(scene, patches):
    patches.mkdir()
    (patches / "thesis.txt").touch()
    with pytest.raises(OutputError, match=r"no folder of patches.*remove it by hand"):
        tile_rasters(scene, patches, SIXTEEN, overwrite=True)
    assert everything(patches) == ["thesis.txt"]


@pytest.mark.parametrize("output", ["in/patches", "in", "."])
def test_an_output_that_holds_the_rasters_or_lies_among_them_is_refused(scene, tmp_path, output):
    with pytest.raises(OutputError, match=r"(is|holds|lies inside) the input"):
        tile_rasters(tmp_path / "in", tmp_path / output, SIXTEEN, overwrite=True)
    assert everything(tmp_path) == ["in/scene.tif"]


def test_labels_are_never_overwritten_by_label_patches(write_raster, tmp_path, scene, patches):
    write_raster("patches_masks/scene.tif", np.ones((40, 50), np.uint8))
    masks = tmp_path / "patches_masks"
    with pytest.raises(OutputError, match=r"(is|holds|lies inside) the input"):
        tile_rasters(scene, patches, SIXTEEN, masks_folder=masks, overwrite=True)


def test_a_disk_that_fills_up_leaves_nothing(scene, tmp_path, patches, monkeypatch):
    def full(*_args, **_kwargs):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Image.Image, "save", full)
    with pytest.raises(OutputError, match=r"patches: cannot be written \(No space left"):
        tile_rasters(scene, patches, SIXTEEN)
    assert everything(tmp_path) == ["in/scene.tif"]


def test_an_output_below_a_file_is_one_clear_line(scene, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match=r"file/patches: cannot be written"):
        tile_rasters(scene, tmp_path / "file" / "patches", SIXTEEN)


def test_an_interruption_leaves_nothing(scene, tmp_path, patches, monkeypatch):
    def interrupt(*_args, **_kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(Image.Image, "save", interrupt)
    with pytest.raises(KeyboardInterrupt):
        tile_rasters(scene, patches, SIXTEEN)
    assert everything(tmp_path) == ["in/scene.tif"]


# memory and processes


def test_no_more_than_a_window_is_read_at_a_time(tmp_path, patches, monkeypatch):
    path = tmp_path / "sparse.tif"
    layout = dict(width=3000, height=3000, tiled=True, blockxsize=256, blockysize=256)
    with quiet_georeferencing(), rasterio.open(
        path, "w", driver="GTiff", count=1, dtype="uint8", SPARSE_OK=True, **layout
    ):  # fmt: skip
        pass
    read, shapes = Raster.read, []

    def spy(raster: Raster, window: Window):
        shapes.append(window.shape)
        return read(raster, window)

    monkeypatch.setattr(Raster, "read", spy)
    tile_rasters(path, patches, TilingSettings(patch_shape=(500, 500)), workers=1)
    assert shapes == [(500, 500)] * 36


def test_several_processes_write_what_one_writes(write_raster, tmp_path, monkeypatch):
    monkeypatch.setattr(tiling, "_SMALL_JOB", 0)
    for name in ("in/a.tif", "in/b.png"):
        write_raster(name, picture(70, 50))
    for workers in (1, 3):
        tile_rasters(tmp_path / "in", tmp_path / f"with_{workers}", SIXTEEN, workers=workers)
    files = everything(tmp_path / "with_1")
    assert everything(tmp_path / "with_3") == files
    for file in files:
        assert (tmp_path / "with_1" / file).read_bytes() == (
            tmp_path / "with_3" / file
        ).read_bytes()


def test_a_damaged_raster_stops_all_processes_and_leaves_nothing(
    write_raster, tmp_path, patches, monkeypatch
):
    monkeypatch.setattr(tiling, "_SMALL_JOB", 0)
    write_raster("in/a.tif", picture(70, 50))
    damaged = write_raster("in/b.tif", picture(70, 50))
    damaged.write_bytes(damaged.read_bytes()[:6000])
    with pytest.raises(RasterError, match=r"b\.tif: cannot be read at row"):
        tile_rasters(tmp_path / "in", patches, SIXTEEN, workers=2)
    assert everything(tmp_path) == ["in/a.tif", "in/b.tif"]


# patches.json


def test_the_manifest_records_where_patches_come_from(write_raster, tmp_path, patches):
    path = write_raster("in/deep/a.tif", picture(20, 20, 2, "int16"), nodata=-9)
    tile_rasters(tmp_path / "in", patches, SIXTEEN)
    with open_raster(path) as raster:
        profile = raster.profile
    manifest = read_manifest(patches)
    (source,) = manifest.rasters
    assert (manifest.patch_shape, manifest.stride, manifest.edge) == ((16, 16), (16, 16), "shift")
    assert (source.name, source.source, source.shape) == ("a", "deep/a.tif", (20, 20))
    assert (source.crs, source.transform) == ("EPSG:32631", tuple(profile.transform)[:6])
    assert (source.num_bands, source.dtype, source.nodata) == (2, "int16", -9)
    assert [patch.window for patch in manifest.patches] == [
        Window(0, 0, 16, 16), Window(0, 4, 16, 16), Window(4, 0, 16, 16), Window(4, 4, 16, 16),
    ]  # fmt: skip


def test_the_manifest_is_plain_json(write_raster, tmp_path, patches):
    pixels = picture(16, 16, 1, "float32")
    tile_rasters(write_raster("é.tif", pixels, nodata=float("nan")), patches, SIXTEEN)
    values = json.loads((patches / "patches.json").read_text(encoding="utf-8"))
    assert values["format"] == 1
    assert values["rasters"][0]["nodata"] == "nan"
    assert values["patches"] == [
        {"file": "é/00000_00000.tif", "raster": "é", "window": [0, 0, 16, 16]}
    ]


def test_a_folder_without_manifest_has_none(tmp_path):
    assert read_manifest(tmp_path) is None


def test_a_patch_of_another_folder_has_no_nodata_value(scene, patches):
    tile_rasters(scene, patches, SIXTEEN)
    assert read_manifest(patches).nodata_of("foreign/0_0.png") is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "is no JSON"),
        ("[]", "cannot be read as a list of patches"),
        ('{"format": 1}', "cannot be read as a list of patches"),
        ('{"format": 2}', "expected format 1, found 2"),
    ],
)
def test_a_damaged_manifest_is_named(tmp_path, text, message):
    (tmp_path / "patches.json").write_text(text)
    with pytest.raises(PatchError, match=rf"patches\.json: {message}"):
        read_manifest(tmp_path)


def test_the_summary_is_one_line():
    report = TilingReport(2, 30, {"with nothing but nodata": 4, "past the edge": 5})
    assert report.summary() == (
        "2 raster(s): 30 patches written, 9 skipped (4 with nothing but nodata, 5 past the edge)"
    )


@pytest.mark.parametrize("stride", [512, 400])
def test_tiling_an_address_reads_each_block_once(tmp_path, patches, stride):
    profile = dict(driver="COG", count=1, height=4096, width=4096, dtype="uint8", blocksize=512)
    options = dict(overviews="none", compress="none", crs="EPSG:32631", transform=Affine.scale(10))
    with rasterio.open(tmp_path / "scene.tif", "w", **options, **profile) as dataset:
        dataset.write(np.full((1, 4096, 4096), 7, np.uint8))
    size = (tmp_path / "scene.tif").stat().st_size
    with loopback(tmp_path) as server:
        settings = TilingSettings(stride=(stride, stride))
        tile_rasters(location(f"{server.address}/scene.tif"), patches, settings, workers=1)
    assert server.requests < 64 + 10
    assert server.most_often_sent("/scene.tif", size) == 1
    assert size - 2**16 < server.bytes_sent <= size
