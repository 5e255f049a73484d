"""One pass over the patches: what is usable, what is left out and said, which statistics."""

from __future__ import annotations

import logging
import pickle
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from conftest import WriteRaster, four_textures
from PIL import Image

from clusternet.errors import PatchError
from clusternet.patches.bands import Bands
from clusternet.patches.folder import PatchFolder, open_patches
from clusternet.patches.survey import survey_patches

SHAPE = (16, 20)


@pytest.fixture
def patches(tmp_path: Path) -> Path:
    """Four RGB patches; number 1 is black, number 2 has a black top half."""
    (tmp_path / "patches" / "a").mkdir(parents=True)
    for number in range(4):
        pixels = four_textures(*SHAPE, 3, seed=number)
        pixels[: {1: 16, 2: 8}.get(number, 0)] = 0
        Image.fromarray(pixels).save(tmp_path / f"patches/a/{number}.png")
    return tmp_path / "patches"


def bands_of(folder: Path) -> Bands:
    return survey_patches(open_patches(folder, nodata=0), SHAPE).bands


def turn(path: Path) -> None:
    with Image.open(path) as image:
        pixels = np.asarray(image).copy()
    Image.fromarray(pixels[::-1]).save(path)


def swap(first: Path, second: Path) -> None:
    kept = first.read_bytes()
    first.write_bytes(second.read_bytes())
    second.write_bytes(kept)


@pytest.mark.parametrize(
    "change",
    [
        lambda a: turn(a / "0.png"),
        lambda a: swap(a / "0.png", a / "3.png"),
        lambda a: (a / "0.png").rename(a / "4.png"),
    ],
    ids=["pixels in another order", "contents swapped", "another name"],
)
def test_patches_changed_in_place_are_others_though_their_statistics_stay(
    patches: Path, change: Callable[[Path], object]
) -> None:
    before = bands_of(patches)
    change(patches / "a")
    after = bands_of(patches)
    np.testing.assert_allclose(after.mean, before.mean)
    np.testing.assert_allclose(after.std, before.std)
    assert not after.same_as(replace(before, mean=after.mean, std=after.std))
    assert after.same_as(replace(before, mean=after.mean, std=after.std, patches=""))  # as earlier


def test_the_same_patches_elsewhere_are_the_same(patches: Path, tmp_path: Path) -> None:
    before = bands_of(patches)
    (patches / "a" / "notes.txt").touch()
    (tmp_path / "elsewhere" / "a").mkdir(parents=True)
    for number in (3, 1, 0, 2):  # other times, perhaps another order in the folder
        source = patches / "a" / f"{number}.png"
        (tmp_path / "elsewhere" / "a" / source.name).write_bytes(source.read_bytes())
    assert bands_of(tmp_path / "elsewhere") == before


def pixels_of(folder: PatchFolder) -> np.ndarray:
    """Return all valid pixels; (pixels, bands)."""
    found = [folder.read(index) for index in range(len(folder))]
    return np.concatenate([pixels[valid] for pixels, valid in found])


@pytest.mark.parametrize("workers", [1, 3])
def test_statistics_are_those_of_all_valid_pixels(patches: Path, workers: int) -> None:
    folder = open_patches(patches, nodata=0)
    bands = survey_patches(folder, SHAPE, workers=workers).bands
    expected = pixels_of(folder).astype(float)
    np.testing.assert_allclose(bands.mean, expected.mean(axis=0))
    np.testing.assert_allclose(bands.std, expected.std(axis=0))
    assert (bands.num_bands, bands.dtype, bands.nodata) == (3, "uint8", 0)
    assert bands.patch_shape == SHAPE


def test_patches_without_data_are_left_out_and_counted(patches: Path) -> None:
    survey = survey_patches(open_patches(patches, nodata=0), SHAPE)
    assert survey.usable.tolist() == [0, 2, 3]
    assert survey.valid_counts.tolist() == [320, 160, 320]
    assert (survey.num_blank, survey.num_damaged) == (1, 0)


def test_only_the_part_that_gets_labels_counts(patches: Path) -> None:
    folder = open_patches(patches, nodata=0)
    survey = survey_patches(folder, (4, 6))
    assert survey.valid_counts.tolist() == [24, 12, 24]
    # the border is not labelled, but its pixels are seen, and so they are standardised
    np.testing.assert_allclose(survey.bands.mean, pixels_of(folder).mean(axis=0, dtype=float))


def damage(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-200])


def test_a_damaged_patch_is_named(patches: Path) -> None:
    damage(patches / "a" / "3.png")
    with pytest.raises(PatchError, match=r"3\.png: cannot be read.*--skip_bad_files"):
        survey_patches(open_patches(patches), SHAPE)


def test_a_damaged_patch_is_skipped_on_demand(
    patches: Path, caplog: pytest.LogCaptureFixture
) -> None:
    damage(patches / "a" / "3.png")
    with caplog.at_level(logging.WARNING):
        survey = survey_patches(open_patches(patches, nodata=0), SHAPE, skip_bad_files=True)
    assert survey.usable.tolist() == [0, 2]
    assert (survey.num_damaged, survey.num_blank) == (1, 1)
    assert "3.png" in caplog.text


def test_nothing_but_damaged_patches_is_refused(patches: Path) -> None:
    for path in patches.rglob("*.png"):
        damage(path)
    folder = open_patches(patches, skip_bad_files=True)
    with pytest.raises(PatchError, match=r"none of its \d images can be read"):
        survey_patches(folder, SHAPE, skip_bad_files=True)


def test_nothing_but_nodata_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    Image.fromarray(np.full((*SHAPE, 3), 9, np.uint8)).save(tmp_path / "a/1.png")
    with pytest.raises(PatchError, match=r"every pixel to label is nodata \(nodata value 9"):
        survey_patches(open_patches(tmp_path, nodata=9), SHAPE)


def test_equal_pixels_everywhere_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    Image.fromarray(np.full((*SHAPE, 3), 9, np.uint8)).save(tmp_path / "a/1.png")
    with pytest.raises(PatchError, match="nothing to segment"):
        survey_patches(open_patches(tmp_path), SHAPE)


def test_a_constant_band_is_reported_and_harmless(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    pixels = four_textures(*SHAPE, 3)
    pixels[..., 1] = 50
    (tmp_path / "a").mkdir()
    Image.fromarray(pixels).save(tmp_path / "a/1.png")
    folder = open_patches(tmp_path)
    with caplog.at_level(logging.WARNING):
        bands = survey_patches(folder, SHAPE).bands
    assert "band(s) [2] are constant" in caplog.text
    assert bands.std[1] == 1.0
    assert np.isfinite(bands.standardise(*folder.read(0))).all()


@pytest.mark.parametrize(
    ("dtype", "values", "message"),
    [
        ("int64", [2**60, 2**60 + 700], "band 1 holds whole numbers as large as 1.15e.18 that dev"),
        ("uint64", [2**64 - 1, 2**64 - 2], "64-bit floats cannot tell apart; subtract a constant"),
        ("float64", [-1.7e308, 5], "band 1 holds values as large as 1.7e.308.*--nodata"),
    ],
)
def test_numbers_too_large_for_a_deviation_are_refused(
    write_raster: WriteRaster, tmp_path: Path, dtype: str, values: list[float], message: str
) -> None:
    write_raster("p/a/1.tif", np.array([values, values], dtype))
    with pytest.raises(PatchError, match=message) as refused:
        survey_patches(open_patches(tmp_path / "p"), (2, 2))
    assert len(str(refused.value).replace(str(tmp_path), "")) < 300


def test_advice_for_numbers_too_large_works(write_raster: WriteRaster, tmp_path: Path) -> None:
    pixels = np.array([[2**60, 2**60 + 700], [2**60 + 5, 2**60 + 9]])
    write_raster("p/a/1.tif", pixels - 2**60)
    assert survey_patches(open_patches(tmp_path / "p"), (2, 2)).bands.std[0] > 1
    write_raster("q/a/1.tif", np.array([[-1.7e308, 5], [-1.7e308, 6]]))
    assert survey_patches(open_patches(tmp_path / "q", nodata=-1.7e308), (2, 2)).bands.mean == (
        5.5,
    )


def test_whole_numbers_over_the_whole_range_are_taken(
    write_raster: WriteRaster, tmp_path: Path
) -> None:
    pixels = np.array([[-(2**63), 2**63 - 1], [0, 5]])
    write_raster("p/a/1.tif", pixels)
    bands = survey_patches(open_patches(tmp_path / "p"), (2, 2)).bands
    np.testing.assert_allclose(bands.std, pixels.astype(float).std())


def test_infinite_values_are_no_data_with_a_warning(
    write_raster: WriteRaster, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for name in "123":
        pixels = np.array([[1, 2], [3, np.inf if name > "1" else np.nan]], np.float32)
        write_raster(f"p/a/{name}.tif", pixels)
    assert survey_patches(open_patches(tmp_path / "p"), (2, 2)).bands.mean == (2.0,)
    assert "infinite values count as no data, in 2 patch(es), such as" in caplog.text


class Elsewhere:
    """Sends work and results as bytes, as to other processes, and does the work here."""

    num_workers = 1

    def map(self, work, items, *, ordered=False, name=str):
        for index, item in enumerate(items):
            sent_work, sent = pickle.loads(pickle.dumps((work, item)))
            yield index, pickle.loads(pickle.dumps(sent_work(sent)))


@pytest.mark.parametrize("kind", ["png", "tif"])
def test_a_survey_elsewhere_is_that_of_one_process(
    kind: str, write_raster: WriteRaster, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for number in range(11):
        pixels = four_textures(*SHAPE, 3, seed=number)
        pixels[: {0: 16, 3: 8, 7: 16}.get(number, 0)] = 0
        if kind == "png":
            (tmp_path / "p/a").mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(tmp_path / f"p/a/{number:02d}.png")
        else:
            values = pixels.astype(np.float32) / 7
            values[0, 0, 0] = np.inf if number in (5, 9) else values[0, 0, 0]
            write_raster(f"p/a/{number:02d}.tif", values)
    damage(tmp_path / f"p/a/04.{kind}")
    told, found = [], []
    for executor in (None, Elsewhere()):
        caplog.clear()
        folder = open_patches(tmp_path / "p", nodata=0, skip_bad_files=True)
        found.append(survey_patches(folder, (4, 6), skip_bad_files=True, executor=executor))
        said = (each for each in caplog.records if each.name == "clusternet.patches.survey")
        told.append([each.getMessage() for each in said])
    here, there = found
    assert there.bands == here.bands
    np.testing.assert_array_equal(there.usable, here.usable)
    np.testing.assert_array_equal(there.valid_counts, here.valid_counts)
    assert (there.num_damaged, there.num_blank) == (here.num_damaged, here.num_blank) == (1, 2)
    assert told[0] == told[1] and f"04.{kind}" in told[0][0]


def test_damage_that_is_found_elsewhere_is_named(patches: Path) -> None:
    damage(patches / "a" / "3.png")
    with pytest.raises(PatchError, match=r"3\.png: cannot be read.*--skip_bad_files"):
        survey_patches(open_patches(patches), SHAPE, executor=Elsewhere())
