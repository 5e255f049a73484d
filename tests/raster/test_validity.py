"""A pixel is data or not: nodata values of each band, masks, alpha, NaN, and all at once."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import tifffile
from click.testing import CliRunner
from conftest import WriteRaster
from hypothesis import given
from hypothesis import strategies as st
from rasterio.rio.main import main_group
from rasterio.transform import from_origin

from clusternet.errors import LabelError, PatchError, RasterError
from clusternet.labels.reading import open_labels_onto
from clusternet.nodata import NodataChoice, default_rule, number
from clusternet.patches.bands import Bands
from clusternet.patches.folder import open_patches
from clusternet.patches.manifest import read_manifest
from clusternet.patches.survey import survey_patches
from clusternet.prediction.cluster_maps import read_clusters
from clusternet.raster import RasterProfile, open_array, open_raster
from clusternet.raster.validity import fitting, valid_pixels
from clusternet.settings import TilingSettings
from clusternet.tiling.tile import tile_rasters
from clusternet.windows import Window

NAN, INF = float("nan"), float("inf")
WriteStack = Callable[..., Path]


def read_all(path: Path, nodata: Any = None) -> tuple[np.ndarray, np.ndarray, RasterProfile]:
    with open_raster(path, nodata) as raster:
        pixels, valid = raster.read(Window(0, 0, *raster.profile.shape))
        return pixels, valid, raster.profile


def invalid(path: Path, nodata: Any = None) -> list[list[int]]:
    return np.argwhere(~read_all(path, nodata)[1]).tolist()


@pytest.fixture
def write_stack(tmp_path: Path) -> WriteStack:
    """Return ``write(pixels, nodata, masks)``: a VRT of separate bands as gdalbuildvrt makes it.

    ``nodata``: a value for each band or None; ``masks``: place of a band -> mask (rows, cols).
    """

    def write(pixels: np.ndarray, nodata: Any, masks: dict[int, np.ndarray] | None = None) -> Path:
        rows, cols, count = pixels.shape
        kind = {"uint8": "Byte", "float32": "Float32", "int64": "Int64", "int16": "Int16"}
        text = f'<VRTDataset rasterXSize="{cols}" rasterYSize="{rows}">'
        for band in range(count):
            tifffile.imwrite(tmp_path / f"band{band}.tif", pixels[..., band])
            text += f'<VRTRasterBand dataType="{kind[pixels.dtype.name]}" band="{band + 1}">'
            if nodata[band] is not None:
                text += f"<NoDataValue>{nodata[band]}</NoDataValue>"
            text += _source(f"band{band}.tif")
            if masks and band in masks:
                tifffile.imwrite(tmp_path / f"mask{band}.tif", masks[band].astype(np.uint8) * 255)
                text += '<MaskBand><VRTRasterBand dataType="Byte">'
                text += _source(f"mask{band}.tif") + "</VRTRasterBand></MaskBand>"
            text += "</VRTRasterBand>"
        (tmp_path / "stack.vrt").write_text(text + "</VRTDataset>")
        return tmp_path / "stack.vrt"

    return write


def _source(name: str) -> str:
    return (
        f'<SimpleSource><SourceFilename relativeToVRT="1">{name}</SourceFilename>'
        "<SourceBand>1</SourceBand></SimpleSource>"
    )


def row(*bands: list[float], dtype: str = "int16") -> np.ndarray:
    """One row of pixels from the values of each band; (1, cols, bands)."""
    return np.array(bands, dtype).T[np.newaxis]


# nodata values of bands


@pytest.mark.parametrize(
    ("dtype", "nodata", "expected"),
    [
        ("int16", (7, 7, 7), [0, 1, 2, 3]),  # one band is enough
        ("uint8", (7, 7, 7), [3]),  # a black frame is black in all bands
        ("uint8", (7, 8, 7), [0, 2, 3, 4]),  # each band for itself
        ("uint8", (None, 7, None), [1, 3]),
        ("int16", (None, 8, 7), [2, 3, 4]),
        ("int16", (None, None, None), []),
    ],
)
def test_each_band_has_its_own_nodata_value(
    write_stack: WriteStack, dtype: str, nodata: Any, expected: list[int]
) -> None:
    pixels = row([7, 1, 1, 7, 1, 1], [1, 7, 1, 7, 8, 1], [1, 1, 7, 7, 1, 1], dtype=dtype)
    assert invalid(write_stack(pixels, nodata)) == [[0, col] for col in expected]


@pytest.mark.parametrize(
    ("dtype", "rule", "expected"),
    [("uint8", "any", [0, 1, 3]), ("uint8", "all", [3]), ("int16", "any", [0, 1, 3]),
     ("int16", "all", [3])],
)  # fmt: skip
def test_the_rule_can_be_chosen(
    write_stack: WriteStack, dtype: str, rule: Any, expected: list[int]
) -> None:
    path = write_stack(row([7, 1, 1, 7], [1, 8, 1, 8], dtype=dtype), (7, 8))
    assert invalid(path, NodataChoice(rule=rule)) == [[0, col] for col in expected]


def test_a_band_that_always_has_data_leaves_nothing_out_where_all_must_lack_it(
    write_stack: WriteStack,
) -> None:
    path = write_stack(row([7, 1], [7, 1]), (7, None))
    assert invalid(path, NodataChoice(rule="all")) == []


def test_beyond_the_raster_each_band_has_its_own_value(write_stack: WriteStack) -> None:
    with open_raster(write_stack(row([1], [1], [1]), (7, None, 9))) as raster:
        pixels, valid = raster.read(Window(0, 0, 1, 2))
    assert pixels[0, 1].tolist() == [7, 0, 9] and valid.tolist() == [[True, False]]


@pytest.mark.parametrize(
    ("dtype", "text", "value"),
    [
        ("float32", "-3.4028234663852886e+38", np.finfo(np.float32).min),
        ("float32", "-3.4028234663852886e+38", np.float32(-3.4028235e38)),
        ("float32", "0.1", np.float32(0.1)),
        ("float64", "-1.7976931348623157e+308", np.finfo(np.float64).min),
        ("int16", "-32768.0", -32768),
        ("int64", "-9999", -9999),
        ("int64", str(2**53 + 1), 2**53 + 1),
        ("int64", str(2**63 - 1), 2**63 - 1),
        ("int64", str(-(2**63)), -(2**63)),
        ("uint64", str(2**64 - 1), 2**64 - 1),
    ],
)
def test_a_declared_value_marks_exactly_itself(
    tmp_path: Path, dtype: str, text: str, value: Any
) -> None:
    kind = np.dtype(dtype).type
    is_float = np.dtype(dtype).kind == "f"
    beside = np.nextafter(kind(value), kind(0)) if is_float else value + (1 if value < 0 else -1)
    path = tmp_path / "a.tif"
    pixels = np.array([[1, value, beside]], dtype)
    tifffile.imwrite(path, pixels, extratags=[(42113, "s", 0, text, True)])
    assert invalid(path) == [[0, 1]]


@pytest.mark.parametrize(
    ("dtype", "text"),
    [("uint8", "-9999"), ("uint8", "256"), ("uint8", "nan"), ("uint8", "1.5"), ("uint16", "65536"),
     ("int16", "-3.4028234663852886e+38"), ("uint64", "-1"), ("int8", "200")],
)  # fmt: skip
def test_a_value_that_no_pixel_can_hold_marks_none(tmp_path: Path, dtype: str, text: str) -> None:
    path = tmp_path / "a.tif"
    pixels = np.arange(6, dtype=dtype).reshape(2, 3)
    tifffile.imwrite(path, pixels, extratags=[(42113, "s", 0, text, True)])
    with open_raster(path) as raster:
        assert raster.profile.nodata is None and not raster.profile.nodata_needs_mask
        assert raster.read(Window(0, 0, 2, 3))[1].all()
        assert not raster.read(Window(1, 2, 2, 2))[0][1].any()  # padding has something to hold


@pytest.mark.parametrize(
    ("value", "dtype", "expected"),
    [(-9999, "uint8", None), (255.0, "uint8", 255), (0.5, "int16", None), (NAN, "int32", None),
     (INF, "uint16", None), (2**64 - 1, "uint64", 2**64 - 1), (2**63, "int64", None),
     (1e40, "float32", None), (1e40, "float64", 1e40), (-INF, "float32", -INF),
     (None, "uint8", None), (-3.4e38, "float32", -3.4e38)],
)  # fmt: skip
def test_a_value_is_taken_as_the_type_can_hold_it(value: Any, dtype: str, expected: Any) -> None:
    assert fitting(value, dtype) == expected
    assert type(fitting(value, dtype)) is type(expected)


def test_numbers_are_read_exactly() -> None:
    assert number(str(-(2**63) + 1)) == -(2**63) + 1 and number("-3.5e1") == -35
    with pytest.raises(ValueError, match="black"):
        number("black")


# what the user says


def test_the_users_value_counts_in_every_band_instead_of_the_files(
    write_stack: WriteStack,
) -> None:
    path = write_stack(row([7, 1, 2], [1, 8, 2]), (7, 8))
    assert invalid(path, 2) == [[0, 2]]


def test_a_fallback_counts_only_where_the_file_says_nothing(
    write_stack: WriteStack, write_raster: WriteRaster
) -> None:
    fallback = NodataChoice(2, overrides=False)
    assert invalid(write_stack(row([7, 1, 2], [1, 1, 2]), (7, None)), fallback) == [[0, 0]]
    pixels = row([7, 1, 2], [1, 1, 2])
    assert invalid(write_raster("silent.tif", pixels), fallback) == [[0, 2]]
    masked = write_raster("masked.tif", pixels, mask=[[True, False, True]])
    assert invalid(masked, fallback) == [[0, 1]]


def test_an_exact_value_of_the_user_replaces_a_large_one_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    pixels = np.array([[2**60, 2**60 + 1, 5]])
    tifffile.imwrite(path, pixels, extratags=[(42113, "s", 0, str(2**60), True)])
    assert invalid(path) == [[0, 0]]
    assert invalid(path, 2**60 + 1) == [[0, 1]]


# masks and alpha


def test_every_band_may_have_a_mask_of_its_own(write_stack: WriteStack) -> None:
    masks = {0: np.array([[False, True, True, True]]), 2: np.array([[True, True, False, True]])}
    path = write_stack(row([1] * 4, [1, 1, 1, 9], [1] * 4, dtype="uint8"), (None, 9, None), masks)
    assert read_all(path)[2].has_mask
    assert invalid(path) == [[0, 0], [0, 2], [0, 3]]


def test_masks_of_bands_and_all_of_them(write_stack: WriteStack) -> None:
    masks = {0: np.array([[False, True, False]]), 1: np.array([[True, False, False]])}
    path = write_stack(row([1] * 3, [1] * 3), (None, None), masks)
    assert invalid(path, NodataChoice(rule="all")) == [[0, 2]]


@pytest.mark.parametrize("internal", [True, False])
def test_a_mask_and_a_nodata_value_both_count(write_raster: WriteRaster, internal: bool) -> None:
    path = write_raster("a.tif", row([7, 1, 1], [1, 1, 1]), nodata=7)
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=internal), rasterio.open(path, "r+") as dataset:
        dataset.write_mask(np.array([[True, False, True]]))
    assert (path.with_name("a.tif.msk")).exists() != internal
    assert invalid(path) == [[0, 0], [0, 1]]


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_any_alpha_but_zero_shows_a_pixel(write_raster: WriteRaster, dtype: str) -> None:
    pixels = np.full((1, 5, 4), 9, dtype)
    pixels[0, :, 3] = [0, 1, 128, 254, 255]
    path = write_raster("a.tif", pixels, photometric="RGB", alpha="YES")
    assert invalid(path) == [[0, 0]]


def test_alpha_nodata_and_nan_all_count(write_raster: WriteRaster) -> None:
    pixels = np.full((1, 5, 4), 9, np.float32)
    pixels[0, 1, 0], pixels[0, 2, 1], pixels[0, 3, 3] = -9999, NAN, 0
    path = write_raster("a.tif", pixels, photometric="RGB", alpha="YES", nodata=-9999)
    assert invalid(path) == [[0, 1], [0, 2], [0, 3]]


def test_every_alpha_band_must_show_a_pixel(write_raster: WriteRaster) -> None:
    path = write_raster("a.tif", row([5, 5, 5], [0, 1, 1], [1, 1, 0], dtype="uint8"))
    with rasterio.open(path, "r+") as dataset:
        grey, alpha = rasterio.enums.ColorInterp.gray, rasterio.enums.ColorInterp.alpha
        dataset.colorinterp = (grey, alpha, alpha)
    pixels, valid, profile = read_all(path)
    assert profile.num_bands == pixels.shape[-1] == 1
    assert valid.tolist() == [[False, True, False]]


# NaN and infinity


@pytest.mark.parametrize("rule", [None, "any", "all"])
@pytest.mark.parametrize("nodata", [None, -9999, NAN])
def test_nan_is_never_data(write_raster: WriteRaster, nodata: Any, rule: Any) -> None:
    pixels = row([NAN, 1, -9999], [1, NAN, -9999], dtype="float32")
    path = write_raster("a.tif", pixels, nodata=nodata)
    expected = [[0, 0], [0, 1], [0, 2]] if nodata == -9999 else [[0, 0], [0, 1]]
    assert invalid(path, NodataChoice(rule=rule)) == expected


def test_infinite_values_are_no_data_and_counted(write_raster: WriteRaster) -> None:
    path = write_raster("a.tif", row([INF, 1, -INF, 5], dtype="float64"))
    with open_raster(path) as raster:
        assert raster.read(Window(0, 0, 1, 4))[1].tolist() == [[False, True, False, True]]
        assert raster.num_infinite == 2
    with open_raster(path, -INF) as raster:
        raster.read(Window(0, 0, 1, 4))
        assert raster.num_infinite == 1


def test_arrays_follow_the_same_rules() -> None:
    with open_array(row([NAN, 1, 5], [1, 1, 5], dtype="float32"), 5) as raster:
        assert raster.read(Window(0, 0, 1, 3))[1].tolist() == [[False, True, False]]


@pytest.mark.parametrize(("rule", "expected"), [(None, [0, 1, 3]), ("all", [0, 3])])
def test_masked_arrays_are_read_by_their_mask(rule: Any, expected: list[int]) -> None:
    masks = row([1, 1, 0, 0], [1, 0, 0, 0], dtype="bool")
    pixels = np.ma.MaskedArray(row([1, 1, 1, 7], [1, 1, 1, 7]), masks)
    with open_array(pixels, NodataChoice(7, rule)) as raster:
        valid = raster.read(Window(0, 0, 1, 4))[1]
    assert np.flatnonzero(~valid[0]).tolist() == expected


# laws


@given(st.data())
def test_any_is_stricter_than_all_and_both_agree_on_one_band(data: st.DataObject) -> None:
    count = data.draw(st.integers(1, 4))
    values = data.draw(st.lists(st.integers(0, 3), min_size=count * 6, max_size=count * 6))
    markers = data.draw(st.lists(st.one_of(st.none(), st.integers(0, 3)), min_size=count,
                                 max_size=count))  # fmt: skip
    bands = np.array(values, np.int16).reshape(count, 2, 3)
    strict, lenient = (valid_pixels(bands, markers, rule) for rule in ("any", "all"))
    assert (lenient | ~strict).all()
    missing = np.array([band == m if m is not None else np.zeros((2, 3), bool)
                        for band, m in zip(bands, markers, strict=True)])  # fmt: skip
    np.testing.assert_array_equal(strict, ~missing.any(axis=0))
    np.testing.assert_array_equal(lenient, ~missing.all(axis=0))


@pytest.mark.parametrize(
    ("dtype", "values", "rule"),
    [("uint8", (0, 0, 0), "all"), ("uint8", (0, 255), "any"), ("uint8", (0, None), "any"),
     ("uint8", (None, None), "any"), ("int8", (0, 0), "any"), ("float32", (0.0, 0.0), "any"),
     ("uint16", (0, 0, 0), "any")],
)  # fmt: skip
def test_the_usual_rule(dtype: str, values: Any, rule: str) -> None:
    assert default_rule(dtype, values) == rule


def test_a_stack_of_different_types_is_refused(write_stack: WriteStack) -> None:
    path = write_stack(row([1], [2]), (None, None))
    path.write_text(path.read_text().replace('"Int16" band="2"', '"Float32" band="2"'))
    with pytest.raises(RasterError, match=r"one pixel type for all bands.*float32, int16"):
        read_all(path)


# along the pipeline


SIXTEEN = (16, 16)


def noise(dtype: str, bands: int) -> np.ndarray:
    """Pixels (20, 24, bands) of values from 0 to 9, so that every value is common."""
    return np.random.default_rng(bands).integers(0, 10, (20, 24, bands)).astype(dtype)


@pytest.mark.parametrize(("rule", "edge"), [(None, "pad"), ("any", "shift"), ("all", "pad")])
@pytest.mark.parametrize(
    ("dtype", "nodata"),
    [("uint8", (3, 3, 3)), ("uint8", (3, 4, 3)), ("uint8", (None, 4, None)), ("uint8", (3, 3)),
     ("uint8", (3,)), ("int16", (3, 3, 3)), ("int16", (3, None)), ("float32", (3, 3)),
     ("float32", (NAN, 4)), ("int64", (3, 3)), ("int64", (2**63 - 1, 4))],
)  # fmt: skip
def test_patches_say_what_the_raster_says(
    write_stack: WriteStack, tmp_path: Path, dtype: str, nodata: Any, rule: Any, edge: Any
) -> None:
    pixels = noise(dtype, len(nodata))
    if dtype == "float32":
        pixels[5, 5, 0] = NAN
    if dtype == "int64":
        pixels[pixels == 7] = 2**63 - 1
    path = write_stack(pixels, nodata)
    settings = TilingSettings(SIXTEEN, edge=edge, nodata_rule=rule, keep_dark_region_ratio=1)
    tile_rasters(path, tmp_path / "patches", settings, workers=1)
    manifest = read_manifest(tmp_path / "patches")
    folder = open_patches(tmp_path / "patches")
    assert manifest is not None and len(folder) == len(manifest.patches) > 1
    with open_raster(path, settings.nodata_choice) as raster:
        for index, patch in enumerate(manifest.patches):
            expected, valid = raster.read(patch.window)
            found, known = folder.read(index)
            np.testing.assert_array_equal(known, valid)
            np.testing.assert_array_equal(found[known], expected[valid])
            if (tmp_path / "patches" / patch.file).suffix == ".tif":  # without patches.json
                np.testing.assert_array_equal(read_all(tmp_path / "patches" / patch.file)[1], valid)


def test_statistics_are_those_of_pixels_with_data(write_stack: WriteStack, tmp_path: Path) -> None:
    pixels = noise("uint8", 2)
    tile_rasters(write_stack(pixels, (3, 4)), tmp_path / "p", TilingSettings((20, 24)))
    bands = survey_patches(open_patches(tmp_path / "p"), (20, 24)).bands
    known = pixels[(pixels[..., 0] != 3) & (pixels[..., 1] != 4)]
    np.testing.assert_allclose(bands.mean, known.mean(axis=0))
    np.testing.assert_allclose(bands.std, known.std(axis=0))


@pytest.mark.parametrize(
    ("given", "declared", "expected"),
    [
        ({"nodata": 3}, 5, NodataChoice(3, None, overrides=True)),
        ({"nodata": 3, "nodata_rule": "any"}, 5, NodataChoice(3, "any", overrides=True)),
        ({"nodata_rule": "any"}, 5, NodataChoice(5, "any", overrides=False)),
        ({}, 5, NodataChoice(5, None, overrides=False)),
        ({}, None, NodataChoice(None, None, overrides=False)),
    ],
)
def test_a_run_remembers_how_its_rasters_were_read(
    write_raster: WriteRaster, tmp_path: Path, given: Any, declared: Any, expected: NodataChoice
) -> None:
    path = write_raster("a.tif", noise("uint8", 3), nodata=declared)
    settings = TilingSettings((20, 24), **given)
    tile_rasters(path, tmp_path / "p", settings)
    bands = survey_patches(open_patches(tmp_path / "p"), (20, 24)).bands
    assert bands.nodata_choice == expected
    bands.save(tmp_path / "bands.json")
    loaded = Bands.load(tmp_path / "bands.json")
    assert loaded.same_as(bands) and loaded.nodata_choice == expected
    with open_raster(path, settings.nodata_choice) as one, open_raster(path, expected) as other:
        window = Window(0, 0, 20, 24)
        np.testing.assert_array_equal(one.read(window)[1], other.read(window)[1])


def test_another_raster_is_read_by_its_own_nodata_value(
    write_raster: WriteRaster, tmp_path: Path
) -> None:
    pixels = noise("uint8", 1)
    tile_rasters(write_raster("a.tif", pixels, nodata=5), tmp_path / "p", TilingSettings((20, 24)))
    choice = survey_patches(open_patches(tmp_path / "p"), (20, 24)).bands.nodata_choice
    for name, declared, marker in (("b", 7, 7), ("silent", None, 5)):
        valid = read_all(write_raster(f"{name}.tif", pixels, nodata=declared), choice)[1]
        np.testing.assert_array_equal(valid, pixels[..., 0] != marker)


def test_patches_and_runs_of_earlier_versions_can_be_read(
    write_raster: WriteRaster, tmp_path: Path
) -> None:
    tile_rasters(write_raster("a.tif", noise("uint8", 3), nodata=3), tmp_path / "p",
                 TilingSettings((20, 24)))  # fmt: skip
    before = open_patches(tmp_path / "p").read(0)[1]
    path = tmp_path / "p" / "patches.json"
    values = json.loads(path.read_text())
    del values["given"], values["rasters"][0]["nodata_rule"], values["rasters"][0]["band_nodata"]
    values["rasters"][0]["of_a_later_version"] = 1
    path.write_text(json.dumps(values))
    folder = open_patches(tmp_path / "p")
    np.testing.assert_array_equal(folder.read(0)[1], before)
    assert folder.choice == NodataChoice(3, None, overrides=True)
    survey_patches(folder, (20, 24)).bands.save(tmp_path / "bands.json")
    kept = json.loads((tmp_path / "bands.json").read_text())
    del kept["nodata_rule"], kept["nodata_overrides"]
    (tmp_path / "bands.json").write_text(json.dumps(kept))
    assert Bands.load(tmp_path / "bands.json").nodata_choice == folder.choice


def test_labels_that_are_nan_are_no_labels(write_raster: WriteRaster, tmp_path: Path) -> None:
    labels = np.array([[1, NAN, 2], [-9999, 3, 3]], np.float32)
    image = write_raster("image.tif", noise("uint8", 3)[:2, :3])
    for nodata in (None, -9999, NAN):
        path = write_raster("labels.tif", labels if nodata == -9999 else abs(labels), nodata=nodata)
        with open_raster(image) as raster, open_labels_onto(path, raster.profile) as found:
            known = found.read(Window(0, 0, 2, 3))[1]
        assert np.argwhere(~known).tolist() == ([[0, 1], [1, 0]] if nodata == -9999 else [[0, 1]])


# what messages advise works


@pytest.mark.parametrize(
    ("settings", "changed", "advice"),
    [
        ({"edge": "drop", "patch_shape": (32, 32)}, {"edge": "pad"}, "try --edge pad, or a"),
        ({"edge": "drop", "patch_shape": (32, 32)}, {"patch_shape": (16, 16)}, "smaller --patch"),
        ({"keep_dark_region_ratio": 0}, {"keep_dark_region_ratio": 0.5}, "larger --keep_dark"),
        ({"nodata": 50}, {"nodata": 4}, "give another --nodata"),
        ({}, {"nodata": 4}, "another value with --nodata if they declare a wrong one"),
    ],
)
def test_advice_for_rasters_that_give_no_patch_works(
    write_raster: WriteRaster, tmp_path: Path, settings: Any, changed: Any, advice: str
) -> None:
    few = "keep_dark_region_ratio" in settings
    pixels = noise("uint8", 1) if few else np.full((20, 24, 1), 50, np.uint8)
    path = write_raster("a.tif", pixels, nodata=None if "edge" in settings else 5 if few else 50)
    settings = {"patch_shape": (20, 24), **settings}
    with pytest.raises(PatchError, match=advice) as refused:
        tile_rasters(path, tmp_path / "p", TilingSettings(**settings))
    assert len(str(refused.value).replace(str(tmp_path), "")) < 300
    assert tile_rasters(path, tmp_path / "p", TilingSettings(**settings | changed)).written


def test_advice_for_values_that_are_no_clusters_works(
    write_raster: WriteRaster, tmp_path: Path
) -> None:
    path = write_raster("map.tif", np.array([[0, 1, -9999, -1]], np.int32))
    with open_raster(path, codes=True) as raster, pytest.raises(LabelError) as refused:
        read_clusters(raster, Window(0, 0, 1, 4))
    advice = str(refused.value).partition("(")[2].partition(")")[0].split()
    assert advice[0] == "rio" and not CliRunner().invoke(main_group, advice[1:]).exception
    with open_raster(path, codes=True) as raster:  # which now has a value: no other is advised
        with pytest.raises(LabelError, match="change it to -9999"):
            read_clusters(raster, Window(0, 0, 1, 4))
        assert read_clusters(raster, Window(0, 0, 1, 3))[1].tolist() == [[True, True, False]]


def test_a_runs_value_that_a_raster_cannot_hold_marks_nothing_there(
    write_raster: WriteRaster,
) -> None:
    path = write_raster("a.tif", row([1, 2, 3], dtype="uint8"))
    assert invalid(path, NodataChoice(-9999)) == []  # that its type differs is said elsewhere


@pytest.mark.parametrize("finer", [False, True])
def test_labels_have_the_validity_of_their_file_on_any_grid(
    write_raster: WriteRaster, finer: bool
) -> None:
    step, scale = (0.25, 2) if finer else (0.5, 1)
    grid = write_raster("map.tif", np.zeros((2 * scale, 3 * scale), np.uint8),
                        transform=from_origin(448_000, 5_412_000, step, step))  # fmt: skip
    numbers = np.array([[1, 2, 3], [4, 5, 6]])
    alpha = np.stack([numbers, [[255, 0, 1], [255, 255, 255]]], axis=-1).astype(np.uint8)
    broken = np.where(numbers == 2, NAN, numbers).astype(np.float32)
    mask = numbers != 2
    files: dict[str, tuple[Any, Any]] = {
        "a mask": (write_raster("a.tif", numbers.astype(np.int16), mask=mask), [2]),
        "both": (write_raster("b.tif", numbers.astype(np.int16), mask=mask, nodata=6), [2, 6]),
        "alpha": (write_raster("c.tif", alpha, alpha="YES"), [2]),
        "NaN": (write_raster("d.tif", broken), [2]),
        "NaN and a value": (write_raster("e.tif", broken, nodata=6), [2, 6]),
        "a long value": (write_raster("f.tif", numbers, nodata=6), [6]),
    }
    for what, (path, expected) in files.items():
        with open_raster(grid) as raster, open_labels_onto(path, raster.profile) as labels:
            known = labels.read(Window(0, 0, *raster.profile.shape))[1][::scale, ::scale]
        assert numbers[~known].tolist() == expected, what


def test_advice_for_values_that_are_no_classes_works(write_raster: WriteRaster) -> None:
    path = write_raster("labels.tif", np.array([[1, -1, -9999]], np.int16))
    with open_raster(path) as raster:
        grid = raster.profile
    with open_labels_onto(path, grid) as labels, pytest.raises(LabelError) as refused:
        labels.read(Window(0, 0, 1, 3))
    advice = str(refused.value).partition("(")[2].partition(")")[0].split()
    assert not CliRunner().invoke(main_group, advice[1:]).exception
    with open_labels_onto(path, grid) as labels:
        with pytest.raises(LabelError, match="change it to -9999"):
            labels.read(Window(0, 0, 1, 3))
        assert labels.read(Window(0, 2, 1, 1))[1].tolist() == [[False]]


@pytest.mark.parametrize(("nodata", "stands_for"), [(None, NAN), (-9999, -9999), (NAN, NAN)])
def test_label_patches_have_no_label_where_labels_are_nan(
    write_raster: WriteRaster, tmp_path: Path, nodata: Any, stands_for: float
) -> None:
    labels = np.ones((20, 24), np.float32)
    labels[3, 4], labels[5, 6] = NAN, NAN if nodata is None else nodata
    image = write_raster("images/a.tif", noise("uint8", 3))
    write_raster("labels/a.tif", labels, nodata=nodata)
    tile_rasters(image, tmp_path / "p", TilingSettings((20, 24)), masks_folder=tmp_path / "labels")
    pixels, valid, profile = read_all(tmp_path / "p_masks/a/00000_00000.tif")
    assert np.argwhere(~valid).tolist() == [[3, 4], [5, 6]]
    assert str(profile.nodata) == str(float(stands_for))
    np.testing.assert_array_equal(pixels[~valid][:, 0], [stands_for] * 2)


def test_thousands_of_bands_are_opened_at_once(write_raster: WriteRaster) -> None:
    path = write_raster("many.tif", np.ones((2, 2, 3000), np.uint8), nodata=3)
    start = time.process_time()
    with open_raster(path) as raster:
        assert raster.profile.num_bands == 3000
    assert time.process_time() - start < 3  # half a minute where each band asks for all


def test_nodata_values_that_the_rule_leaves_idle_are_named(
    write_stack: WriteStack, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = write_stack(noise("int16", 2), (3, None))
    tile_rasters(path, tmp_path / "p", TilingSettings((20, 24), nodata_rule="all"))
    assert "with --nodata_rule all the values of the others mark nothing: stack.vrt" in caplog.text
    caplog.clear()
    tile_rasters(path, tmp_path / "q", TilingSettings((20, 24)))
    assert "nodata" not in caplog.text
