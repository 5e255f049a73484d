"""A band is what files say it is: put in order where they differ in order, else refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import rasterio
from conftest import WriteRaster
from hypothesis import given
from hypothesis import strategies as st
from random_run import make_run

from clusternet.errors import PatchError, RasterError, RunError
from clusternet.patches.bands import Bands
from clusternet.patches.folder import open_patches
from clusternet.patches.manifest import read_manifest
from clusternet.patches.survey import survey_patches
from clusternet.prediction.predictor import load
from clusternet.raster import open_array, open_raster
from clusternet.raster.band_fit import report_fit
from clusternet.raster.band_identity import AS_STORED, BandIdentity, BandsDifferError
from clusternet.settings import TilingSettings, TrainingSettings
from clusternet.tiling.tile import tile_rasters
from clusternet.training.run import Run, load_run
from clusternet.training.train import _open_test

RGB = ("red", "green", "blue")
BGR = RGB[::-1]
SIXTEEN = TilingSettings(patch_shape=(16, 16))


def described(*words: str | None) -> BandIdentity:
    return BandIdentity(descriptions=words)


def coloured(*words: str | None) -> BandIdentity:
    return BandIdentity(colours=words)


@pytest.mark.parametrize(
    ("known", "other", "order"),
    [
        (described(*RGB), described(*RGB), None),
        (described(*RGB), described(*BGR), (2, 1, 0)),
        (described(*RGB), described("Blue", "RED", "green "), (1, 2, 0)),
        (described(*RGB), BandIdentity(), None),
        (BandIdentity(), described(*RGB), None),
        (described("B02", "B03"), described("S2A_2020_B03", "S2A_2020_B02"), (1, 0)),
        (described("a_1.x", "a_2.x"), described("b 1 y", "b 2 y"), None),
        (described("B2 (490 nm)", "B8A"), described("b08a", "Band 02"), (1, 0)),
        (described("Band 1", "Band 2"), described("red", "green"), None),
        (described("Layer_1", "Layer_2"), described("B8", "B4"), None),
        (described("Band 1", "Band 2"), described("B1", "B2"), None),
        (described("Band 1", "Band 2"), described("Band 2", "Band 1"), (1, 0)),
        (described("red", None), described(None, "red"), (1, 0)),
        (described("red", None, None), described("red", None, None), None),
        (described("scene 2019"), described("scene 2020"), None),
        (coloured(*RGB), coloured(*BGR), (2, 1, 0)),
        (coloured(*RGB, None), coloured(*BGR, None), (2, 1, 0, 3)),
        (coloured(*RGB, None), coloured(None, *RGB), (1, 2, 3, 0)),
        (described(*RGB), coloured(*BGR), (2, 1, 0)),
        (described("B04", "B03", "B02"), coloured(*RGB), None),
        (BandIdentity(wavelengths_nm=(490, 560)), BandIdentity(wavelengths_nm=(559, 492)), (1, 0)),
        (
            BandIdentity(("blue", "green"), (490, 560)),
            BandIdentity(("B03", "B02"), (559, 492)),
            (1, 0),
        ),
    ],
)
def test_bands_are_put_in_order(known, other, order):
    assert known.arrange(other).order == order


@pytest.mark.parametrize(
    ("known", "other", "kind"),
    [
        (described(*RGB), described("red", "green", "nir"), "descriptions"),
        (described("B02", "B03", "B04"), described("B12", "B13", "B14"), "descriptions"),
        (described("S2_B04"), described("S2_B08"), "descriptions"),
        (described("B1", "B2", "B3"), described("B2", "B3", "B4"), "descriptions"),
        (described("red", None, None), described(None, None, "red"), "descriptions"),
        (coloured(*RGB), described("nir", "red", "green"), "colours"),
        (BandIdentity(wavelengths_nm=(490, 560)), BandIdentity(wavelengths_nm=(490, 840)),
         "wavelengths_nm"),
    ],
)  # fmt: skip
def test_bands_that_contradict_each_other_are_told(known, other, kind):
    with pytest.raises(BandsDifferError) as caught:
        known.arrange(other)
    assert caught.value.kind == kind


WORDS = st.lists(st.text("abcxyz019_"), min_size=1, max_size=5, unique=True)


@given(
    words=WORDS.filter(lambda w: len({" ".join(x.split()) for x in w}) == len(w)), data=st.data()
)
def test_any_order_of_the_same_names_is_undone(words, data):
    order = data.draw(st.permutations(range(len(words))))
    shuffled = described(*(words[i] for i in order))
    arrangement = described(*words).arrange(shuffled)
    pixels = np.array(order)[None, None]
    assert arrangement.apply(pixels).ravel().tolist() == list(range(len(words)))


def test_pixels_are_brought_to_the_known_scale():
    known = BandIdentity(scales=(0.0001,), offsets=(0.0,))
    other = BandIdentity(scales=(0.0001,), offsets=(-0.1,))
    found = known.arrange(other).apply(np.array([[[3000]]], np.uint16))
    assert found.item() == pytest.approx(2000)


def test_what_is_said_comes_back_from_json():
    known = BandIdentity(("red", None), (650.0, None), ("red", None), (0.5, 0.5), (0.0, 1.0))
    assert BandIdentity.from_json(json.loads(json.dumps(known.to_json()))) == known


@pytest.fixture
def write_bands(write_raster: WriteRaster):
    """Return ``write(name, descriptions)``: bands of 60, 120, 180 ... by the name of the band."""
    values = {name: 60.0 * i for i, name in enumerate((*RGB, "nir"), 1)}

    def write(name, words, *, colours=(), scale=None, dtype="uint8", shape=(20, 24), **options):
        words = words or RGB
        pixels = np.stack([np.full(shape, values[word]) for word in words], axis=-1)
        pixels += np.random.default_rng(0).integers(0, 5, (*shape, 1))
        path = write_raster(name, pixels.astype(dtype), photometric="minisblack", **options)
        with rasterio.open(path, "r+") as dataset:
            if colours:
                dataset.colorinterp = [rasterio.enums.ColorInterp[colour] for colour in colours]
            else:
                dataset.descriptions = words
            if scale is not None:
                dataset.scales, dataset.offsets = [scale[0]] * len(words), [scale[1]] * len(words)
        return path

    return write


def test_a_raster_says_what_its_bands_are(write_bands):
    with open_raster(write_bands("a.tif", BGR, scale=(0.1, 1))) as raster:
        assert raster.profile.bands == BandIdentity(BGR, (), (), (0.1,) * 3, (1.0,) * 3)


def test_wavelengths_are_read_in_nanometres(write_raster):
    path = write_raster("a.tif", np.zeros((4, 5, 2), np.uint16))
    with rasterio.open(path, "r+") as dataset:
        dataset.update_tags(1, ns="IMAGERY", CENTRAL_WAVELENGTH_UM="0.49")
        dataset.update_tags(2, wavelength="560.0", wavelength_units="Nanometers")
    with open_raster(path) as raster:
        assert raster.profile.bands.wavelengths_nm == (490.0, 560.0)


@pytest.mark.parametrize("name", ["a.jpg", "a.png"])
def test_a_plain_picture_does_not_contradict_a_raster_that_says_nothing(write_raster, name):
    pixels = np.zeros((4, 5, 3), np.uint8)
    with (
        open_raster(write_raster(name, pixels)) as picture,
        open_raster(write_raster("b.tif", pixels, photometric="minisblack")) as raster,
        open_array(pixels) as array,
    ):
        for first, second in ((picture, raster), (raster, picture), (picture, array)):
            assert first.profile.bands.agrees_with(second.profile.bands)


@pytest.fixture(scope="module")
def plain_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_run(tmp_path_factory.mktemp("bands") / "run", fixed_filters=True)


def with_bands(run: Path, identity: BandIdentity) -> Run:
    loaded = load_run(run)
    bands = Bands(**(vars(loaded.bands) | {"identity": identity}))
    return Run(loaded.folder, loaded.settings, bands, loaded.stored)


def test_a_run_of_an_earlier_version_says_nothing_of_its_bands(plain_run, write_bands):
    values = json.loads((plain_run / "bands.json").read_text())
    del values["identity"]
    (plain_run / "bands.json").write_text(json.dumps(values))
    run = load_run(plain_run)
    assert run.bands.identity == BandIdentity()
    with open_raster(write_bands("a.tif", BGR)) as raster:
        assert run.check_fits(raster.profile).is_trivial


def test_a_raster_in_another_order_gets_the_same_features_and_it_is_said(
    plain_run, write_bands, caplog
):
    predictor = load(plain_run)
    predictor.run = with_bands(plain_run, described(*RGB))
    rgb = predictor.features(write_bands("rgb.tif", RGB))
    bgr = write_bands("bgr.tif", BGR)
    np.testing.assert_array_equal(predictor.features(bgr), rgb)
    said = [text for text in caplog.messages if "another order" in text]
    assert len(said) == 1 and "bgr.tif" in said[0] and "in the order 3, 2, 1" in said[0]
    with rasterio.open(bgr) as dataset:
        np.testing.assert_array_equal(predictor.features(dataset), rgb)
    predictor.run = load_run(plain_run)
    assert (predictor.features(bgr) != rgb).any()


@pytest.mark.parametrize(
    ("known", "colours", "command"),
    [
        (described(*RGB), (), r"rio edit-info --bidx 1 --description red "),
        (coloured(*RGB), ("red", "green", "nir"), r"rio edit-info --colorinterp red,green,blue "),
    ],
)
def test_other_bands_are_refused_with_a_command(plain_run, write_bands, known, colours, command):
    path = write_bands("a.tif", ("nir", "green", "red"), colours=colours)
    with open_raster(path) as raster, pytest.raises(RunError, match=command) as caught:
        with_bands(plain_run, known).check_fits(raster.profile)
    assert str(path) in str(caught.value) and len(str(caught.value)) < 300 + 2 * len(str(path))


def test_a_scale_that_only_one_side_states_is_warned_of(write_bands, caplog):
    with open_raster(write_bands("a.tif", RGB, scale=(0.0001, 0))) as raster:
        report_fit(AS_STORED, BandIdentity(), raster.profile, "the run")
    assert "says at which scale pixels are stored (scale 0.0001, offset 0)" in caplog.text


def test_rasters_of_one_tiling_get_one_order(write_bands, tmp_path, caplog):
    write_bands("in/a.tif", RGB)
    write_bands("in/b.tif", BGR)
    tile_rasters(tmp_path / "in", tmp_path / "patches", SIXTEEN)
    sources = read_manifest(tmp_path / "patches").rasters
    assert [source.identity.descriptions for source in sources] == [RGB, RGB]
    patches = open_patches(tmp_path / "patches")
    assert patches.identity.descriptions == RGB
    assert survey_patches(patches, patches.shape).bands.identity == patches.identity
    first, last = (patches.read(i)[0] for i in (0, len(patches) // 2))
    np.testing.assert_array_equal(first, last)
    assert "b.tif: its bands stand in another order than those of" in caplog.text


@pytest.mark.parametrize(
    ("second", "message"),
    [
        (dict(words=("nir", "green", "blue")), r"b\.tif: its bands are nir, green, blue, not red"),
        (dict(words=RGB, scale=(0.1, -1)), r"b\.tif: .* gdal_translate -unscale -ot Float32"),
    ],
)
def test_rasters_of_other_bands_are_not_tiled_together(write_bands, tmp_path, second, message):
    write_bands("in/a.tif", RGB, scale=(0.1, 0))
    write_bands("in/b.tif", **second)
    with pytest.raises(RasterError, match=message):
        tile_rasters(tmp_path / "in", tmp_path / "patches", SIXTEEN)


def test_patches_of_16_bit_rasters_say_what_their_bands_are(write_bands, tmp_path):
    path = write_bands("a.tif", BGR, scale=(0.1, -1), dtype="uint16")
    tile_rasters(path, tmp_path / "patches", SIXTEEN)
    (tmp_path / "patches/patches.json").unlink()
    known = open_patches(tmp_path / "patches").identity
    assert (known.descriptions, known.scales, known.offsets) == (BGR, (0.1,) * 3, (-1.0,) * 3)


def test_foreign_patches_of_different_bands_are_refused(write_bands, tmp_path):
    write_bands("patches/x/a.tif", RGB)
    write_bands("patches/x/b.tif", BGR)
    with pytest.raises(PatchError, match=r"b\.tif: its bands are others .* tile their rasters"):
        open_patches(tmp_path / "patches")


def test_test_patches_of_another_order_are_refused(write_bands, tmp_path):
    for name, words in (("a", RGB), ("b", BGR)):
        path = write_bands(f"{name}.tif", words, dtype="uint16")
        tile_rasters(path, tmp_path / name, SIXTEEN)
    with pytest.raises(PatchError, match="stand in another order"):
        _open_test(tmp_path / "b", open_patches(tmp_path / "a"), TrainingSettings())


def test_a_run_is_not_resumed_on_another_order():
    bands = Bands(3, "uint8", None, (1.0,) * 3, (1.0,) * 3, (8, 8), identity=described(*RGB))
    other = Bands(**(vars(bands) | {"identity": described(*BGR)}))
    silent = Bands(**(vars(bands) | {"identity": BandIdentity()}))
    assert not bands.same_as(other)
    assert bands.same_as(silent) and silent.same_as(other)
