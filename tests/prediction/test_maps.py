"""Maps do not depend on how the raster is cut, and lie on its grid."""

from __future__ import annotations

import copy
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import geopandas
import numpy as np
import pytest
import rasterio
import shapely
from affine import Affine
from conftest import WriteRaster, four_textures
from random_run import CLUSTERS, make_run

from clusternet.clustering.kmeans import Codebook
from clusternet.colours import palette
from clusternet.errors import GridMismatchError, OutputError, RunError
from clusternet.labels.pairing import find_maps
from clusternet.nodata import NodataChoice, NodataRule
from clusternet.patches.bands import Bands
from clusternet.prediction.map_outputs import MapOptions, map_paths
from clusternet.prediction.map_states import stack_of
from clusternet.prediction.maps import predict_raster, predict_rasters
from clusternet.prediction.predictor import Predictor, load
from clusternet.raster.categories import read_names
from clusternet.scene_rule import SceneRule

RUNS = ("same", "valid", "same with filters", "valid with filters")


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("runs")
    return {
        name: make_run(root / name, name.split()[0], fixed_filters=name.endswith("filters"))
        for name in RUNS
    }


Ready = Callable[..., Predictor]


@pytest.fixture(scope="module")
def ready(runs: dict[str, Path]) -> Ready:
    """Return ``ready(name, window_size)``: a predictor, loaded and compiled once for all tests."""
    loaded: dict[str, Predictor] = {}

    def get(name: str, window_size: int = 768) -> Predictor:
        if name not in loaded:
            loaded[name] = load(runs[name], precision="float32")
        loaded[name].window_size = window_size
        return loaded[name]

    return get


@pytest.mark.parametrize("padding", RUNS)
def test_the_map_does_not_depend_on_the_window_size(ready: Ready, padding: str) -> None:
    pixels = four_textures(100, 130, 3)
    whole = ready(padding).predict(pixels)
    for size in (32, 64, 112):
        cut = ready(padding, size).predict(pixels)
        # sums in another order may swap two centroids that are equally near
        assert (cut != whole).mean() < 1e-3


@pytest.mark.parametrize("padding", RUNS)
def test_a_crop_predicts_the_same_interior(ready: Ready, padding: str) -> None:
    pixels = four_textures(352, 384, 3)
    predictor = ready(padding, 112)
    whole, crop = predictor.predict(pixels), predictor.predict(pixels[32:, 48:])
    inner = (slice(112, -1), slice(112, -1))
    assert (whole[32:, 48:][inner] != crop[inner])[:-112, :-112].mean() < 1e-3


@pytest.mark.parametrize("padding", RUNS)
@pytest.mark.parametrize("shape", [(1, 1), (1, 40), (17, 5), (48, 48)])
def test_small_rasters_are_covered(ready: Ready, padding: str, shape: tuple[int, int]) -> None:
    labels = ready(padding, 64).predict(four_textures(*shape, 3))
    assert labels.shape == shape and labels.min() >= 0 and labels.max() < CLUSTERS


def test_labels_are_the_nearest_centroids_of_the_features(ready: Ready) -> None:
    pixels = four_textures(64, 80, 3)
    predictor = ready("same")
    features = predictor.features(pixels)
    codebook: Codebook = predictor.run.stored.codebook
    by_faiss = codebook.assign(features.reshape(-1, features.shape[-1])).reshape(64, 80)
    assert (by_faiss != predictor.predict(pixels)).mean() < 1e-3


def test_the_map_lies_on_the_raster_s_grid(
    ready: Ready, write_raster: WriteRaster, tmp_path: Path
) -> None:
    pixels = four_textures(70, 90, 3)
    pixels[:12, :16] = 0
    source = write_raster("scene.tif", pixels, nodata=0)
    predict_raster(ready("same"), source, tmp_path / "maps" / "scene_clusters.tif")
    with (
        rasterio.open(source) as scene,
        rasterio.open(tmp_path / "maps/scene_clusters.tif") as made,
    ):
        assert (made.crs, made.transform, made.shape) == (scene.crs, scene.transform, scene.shape)
        assert made.dtypes == ("uint8",) and made.nodata == 255
        assert made.tags()["CLUSTERNET_KIND"] == "clusters"
        labels = made.read(1)
    assert (labels[:12, :16] == 255).all()
    assert (labels == 255).sum() == 12 * 16


def test_an_open_dataset_predicts_like_its_array(
    runs: dict[str, Path], write_raster: WriteRaster
) -> None:
    pixels = four_textures(40, 50, 3)
    predictor = load(runs["same"])
    with rasterio.open(write_raster("scene.tif", pixels)) as dataset:
        np.testing.assert_array_equal(predictor.predict(dataset), predictor.predict(pixels))


def test_confidence_and_features_are_bytes_with_nodata(
    ready: Ready, write_raster: WriteRaster, tmp_path: Path
) -> None:
    pixels = four_textures(40, 50, 3)
    pixels[:5] = 0
    source = write_raster("scene.tif", pixels, nodata=0)
    options = MapOptions(confidence=True, features=True)
    predictor = ready("same")
    predict_raster(predictor, source, tmp_path / "scene_clusters.tif", options)
    with rasterio.open(tmp_path / "scene_confidence.tif") as made:
        confidence = made.read(1)
    assert (confidence[:5] == 255).all() and confidence[5:].max() <= 254
    with rasterio.open(tmp_path / "scene_features.tif") as made:
        stored = made.read() * np.array(made.scales)[:, None, None]
        stored += np.array(made.offsets)[:, None, None]
        step = np.array(made.scales)
    with rasterio.open(source) as dataset:
        exact = predictor.features(dataset)[5:]
    low, high = predictor.run.stored.feature_range
    difference = np.abs(np.moveaxis(stored, 0, -1)[5:] - exact.clip(low, high))
    assert (difference <= step / 2 + 1e-4).all()


def test_a_cog_keeps_colours_nodata_and_labels(
    ready: Ready, write_raster: WriteRaster, tmp_path: Path
) -> None:
    source = write_raster("scene.tif", four_textures(600, 700, 3))
    plain, cog = tmp_path / "a_clusters.tif", tmp_path / "b_clusters.tif"
    predictor = ready("same")
    predict_raster(predictor, source, plain)
    predict_raster(predictor, source, cog, MapOptions(cog=True))
    with rasterio.open(plain) as first, rasterio.open(cog) as second:
        assert second.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
        assert second.overviews(1) and second.nodata == 255
        assert first.colormap(1) == second.colormap(1)
        np.testing.assert_array_equal(first.read(1), second.read(1))
        assert second.tags()["CLUSTERNET_KIND"] == "clusters"
    assert sorted(path.name for path in tmp_path.glob(".*")) == []


@pytest.mark.parametrize(
    ("pixels", "found"),
    [
        (four_textures(32, 32, 4), "4 of uint8"),
        (four_textures(32, 32, 3).astype("uint16"), "uint16"),
    ],
)
def test_other_bands_or_types_are_refused(
    ready: Ready, write_raster: WriteRaster, tmp_path: Path, pixels: np.ndarray, found: str
) -> None:
    source = write_raster("other.tif", pixels)
    output = tmp_path / "out" / "other_clusters.tif"
    with pytest.raises(RunError, match=rf"other.tif: expected 3 band\(s\) of uint8.*{found}"):
        predict_raster(ready("same"), source, output)
    assert list(output.parent.iterdir()) == []


def test_a_folder_is_gone_on_with(ready: Ready, write_raster: WriteRaster, tmp_path: Path) -> None:
    for name in ("in/a.tif", "in/sub/b.tif"):
        write_raster(name, four_textures(32, 32, 3))
    predictor = ready("same")
    maps = tmp_path / "maps"
    report = predict_rasters(predictor, [tmp_path / "in" / "a.tif"], maps)
    assert report.maps == (maps / "a_clusters.tif",)
    with pytest.raises(OutputError, match="exists already"):
        predict_rasters(predictor, [tmp_path / "in"], maps)
    report = predict_rasters(predictor, [tmp_path / "in"], maps, MapOptions(skip_existing=True))
    assert report.maps == (maps / "sub" / "b_clusters.tif",) and report.skipped == 1


def made(maps: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in maps.iterdir() if path.suffix == ".tif"}


@pytest.fixture
def another_run(ready: Ready, monkeypatch: pytest.MonkeyPatch) -> Predictor:
    """The predictor of a run with other centroids, in a folder of its own."""
    predictor = ready("same")
    stored = predictor.run.stored
    book = replace(stored.codebook, centroids=stored.codebook.centroids[::-1].copy())
    other = replace(predictor.run, stored=replace(stored, codebook=book))
    found = copy.copy(predictor)
    found.run, found._models = other, {}
    monkeypatch.setattr(
        "clusternet.prediction.assigning.read_codebook", lambda _: (other.stored, "")
    )
    return found


@pytest.mark.parametrize("change", ["run", "assign", "raster", "confidence", "damaged", "cog"])
def test_only_maps_of_this_very_call_are_done(
    ready: Ready, write_raster: WriteRaster, tmp_path: Path, change: str,
    request: pytest.FixtureRequest,
) -> None:  # fmt: skip
    source, maps = write_raster("in/a.tif", four_textures(32, 32, 3)), tmp_path / "maps"
    predictor, options = ready("same"), MapOptions(skip_existing=True, confidence=True)
    assert len(predict_rasters(predictor, [source], maps, options).maps) == 1
    assert predict_rasters(predictor, [source], maps, options).skipped == 1
    if change == "run":
        predictor = request.getfixturevalue("another_run")
    elif change == "assign":
        predictor = copy.copy(predictor)
        predictor.assign, predictor._models = "head", {}
    elif change == "raster":
        write_raster("in/a.tif", four_textures(32, 32, 3, seed=9))
    elif change == "confidence":
        (maps / "a_confidence.tif").unlink()
    elif change == "damaged":
        (maps / "a_clusters.tif").write_bytes(b"")
        with pytest.raises(OutputError, match="no map of clusters that ClusterNet wrote"):
            predict_rasters(predictor, [source], maps, options)
        return
    else:
        options = replace(options, cog=True)
    again = predict_rasters(predictor, [source], maps, options)
    assert (len(again.maps), again.skipped) == (1, 0)
    assert predict_rasters(predictor, [source], maps, options).skipped == 1


def test_a_map_never_lies_beside_what_was_made_with_another(
    ready: Ready, another_run: Predictor, write_raster: WriteRaster, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """Whenever it is killed: at each change of the folder, what is there is of one run."""
    source, maps = write_raster("in/a.tif", four_textures(32, 32, 3)), tmp_path / "maps"
    predict_rasters(ready("same"), [source], maps, MapOptions(confidence=True, features=True))
    old, seen = made(maps), []

    def watched(act: Callable[..., object]) -> Callable[..., object]:
        def watch(*arguments: object, **options: object) -> object:
            result = act(*arguments, **options)
            seen.append({name: old.get(name) == data for name, data in made(maps).items()
                         if not name.startswith(".")})  # fmt: skip
            return result

        return watch

    for owner, name in ((os, "rename"), (os, "replace"), (os, "unlink"), (Path, "unlink"),
                        (Path, "rename"), (Path, "replace")):  # fmt: skip
        monkeypatch.setattr(owner, name, watched(getattr(owner, name)))
    predict_rasters(another_run, [source], maps, MapOptions(confidence=True, overwrite=True))
    assert all("a_clusters.tif" in state for state in seen)  # it is never missing
    assert all(len(set(state.values())) == 1 for state in seen)
    assert seen[-1] == {"a_clusters.tif": False, "a_confidence.tif": False}


def test_rasters_of_one_stem_get_maps_of_their_own(
    write_raster: WriteRaster, tmp_path: Path
) -> None:
    for name in ("in/a.tif", "in/a.png"):
        write_raster(name, four_textures(8, 8, 3))
    names = [output.name for _, output in map_paths([tmp_path / "in"], tmp_path)]
    assert names == ["a.png_clusters.tif", "a.tif_clusters.tif"]


@pytest.mark.parametrize("name", ["settings.yaml", "bands.json", "model.keras", "codebook.npz"])
def test_a_run_with_a_missing_file_is_refused(tmp_path: Path, name: str) -> None:
    run = make_run(tmp_path / "run")
    (run / name).unlink()
    with pytest.raises(RunError, match=f"{name}: missing"):
        load(run)


@pytest.mark.parametrize("name", ["settings.yaml", "bands.json", "model.keras", "codebook.npz"])
def test_a_run_with_a_damaged_file_is_refused(tmp_path: Path, name: str) -> None:
    run = make_run(tmp_path / "run")
    (run / name).write_bytes(b"\x00\x01 something else")
    with pytest.raises(RunError, match="run"):
        load(run)


def test_a_model_of_another_run_is_refused(tmp_path: Path) -> None:
    first, second = make_run(tmp_path / "a"), make_run(tmp_path / "b", num_bands=4)
    (first / "model.keras").write_bytes((second / "model.keras").read_bytes())
    with pytest.raises(RunError, match="different epochs or runs"):
        load(first)


def test_the_softmax_head_is_the_alternative(runs: dict[str, Path]) -> None:
    pixels = four_textures(32, 32, 3)
    head = Predictor(load(runs["same"]).run, assign="head").predict(pixels)
    assert head.shape == (32, 32) and set(np.unique(head)) <= set(range(CLUSTERS))


def test_features_of_a_window_without_data_are_nan(
    runs: dict[str, Path], write_raster: WriteRaster
) -> None:
    pixels = four_textures(64, 64, 3)
    pixels[:32] = 0
    source = write_raster("scene.tif", pixels, nodata=0)
    features = load(runs["same"], window_size=32).features(source)
    assert np.isnan(features[:32]).all() and not np.isnan(features[32:]).any()


@pytest.mark.parametrize(
    ("given", "rule", "overrides", "missing"),
    [
        (None, None, False, [0, 1, 2, 3]),  # each band by its own value, NaN and infinity anyway
        (7.0, None, False, [0, 1, 2, 3]),  # of other rasters: this one says something itself
        (7.0, None, True, [2, 3, 4]),
        (None, "all", False, [2, 3]),
    ],
)
def test_maps_have_no_data_where_the_run_says_so(
    write_raster: WriteRaster, tmp_path: Path, caplog: pytest.LogCaptureFixture,
    given: float | None, rule: NodataRule | None, overrides: bool, missing: list[int],
) -> None:  # fmt: skip
    run = make_run(tmp_path / "run", num_bands=2, dtype="float32")
    bands = Bands.load(run / "bands.json")
    replace(bands, nodata=given, nodata_rule=rule, nodata_overrides=overrides).save(
        run / "bands.json"
    )
    pixels = np.random.default_rng(0).uniform(20, 90, (20, 24, 2)).astype(np.float32)
    pixels[0, :5, 0] = -9999, 30, np.nan, 30, 7
    pixels[0, :5, 1] = 30, -1, 30, np.inf, 30
    pixels[1, :2, 0] = 0, -9999  # ordinary values of the other band, and of this one
    pixels[1, :2, 1] = -9999, 0
    for band in range(2):
        write_raster(f"{band}.tif", pixels[..., band])
    rows = "".join(
        f'<VRTRasterBand dataType="Float32" band="{band + 1}"><NoDataValue>{value}</NoDataValue>'
        f'<SimpleSource><SourceFilename relativeToVRT="1">{band}.tif</SourceFilename>'
        "<SourceBand>1</SourceBand></SimpleSource></VRTRasterBand>"
        for band, value in enumerate((-9999, -1))
    )
    stack = tmp_path / "stack.vrt"
    place = "<GeoTransform>0, 1, 0, 0, 0, -1</GeoTransform>"
    stack.write_text(f'<VRTDataset rasterXSize="24" rasterYSize="20">{place}{rows}</VRTDataset>')
    predict_raster(load(run), stack, tmp_path / "stack_clusters.tif")
    with rasterio.open(tmp_path / "stack_clusters.tif") as made:
        found = made.read(1)
    assert np.flatnonzero(found[0] == 255).tolist() == missing
    assert (found[1, 1] == 255) == (1 in missing) and (found[2:] != 255).all()
    assert found[1, 0] != 255
    assert "stack.vrt: infinite values count as no data" in caplog.text


@pytest.fixture
def area(tmp_path: Path) -> Path:
    """The upper left 20 x 30 pixels of rasters by the write_raster fixture."""
    path = tmp_path / "area.gpkg"
    box = shapely.box(448_000, 5_411_990, 448_015, 5_412_000)
    geopandas.GeoDataFrame(geometry=[box], crs=32631).to_crs(4326).to_file(path)
    return path


def test_maps_are_nodata_outside_of_an_area(
    ready: Ready, write_raster: WriteRaster, tmp_path: Path, area: Path
) -> None:
    predictor = ready("same")
    inside = write_raster("in/a.tif", four_textures(40, 60, 3))
    write_raster("in/b.tif", four_textures(40, 60, 3), transform=Affine(1, 0, 0, 0, -1, 0))
    options = MapOptions(aoi=area, skip_existing=True)
    report = predict_rasters(predictor, [tmp_path / "in"], tmp_path / "maps", options)
    assert [path.name for path in report.maps] == ["a_clusters.tif"]
    with rasterio.open(report.maps[0]) as dataset:
        has_data = dataset.read(1) != 255
    assert has_data[:20, :30].all() and has_data.sum() == 600
    assert not predict_rasters(predictor, [inside], tmp_path / "maps", options).maps
    whole = replace(options, aoi=None)
    assert predict_rasters(predictor, [inside], tmp_path / "maps", whole).maps


def test_scenes_are_put_together_as_the_run_says(
    ready: Ready, write_raster: WriteRaster, tmp_path: Path
) -> None:
    pixels = four_textures(32, 32, 3)
    for name in ("a", "b"):
        for i in range(3):
            write_raster(f"in/{name}_B{i}.tif", pixels[..., i])
    predictor = copy.copy(ready("same"))
    rule = SceneRule("B0,B1,B2")
    predictor.choice = NodataChoice(scene=rule)
    jobs = map_paths([tmp_path / "in"], tmp_path / "maps", rule)
    assert [(path.name, output.name) for path, output in jobs] == [
        ("a", "a_clusters.tif"), ("b", "b_clusters.tif"),
    ]  # fmt: skip
    expected = predictor.predict(pixels)
    assert (predictor.predict(tmp_path / "in" / "a") == expected).all()
    predict_raster(predictor, *jobs[0])
    with rasterio.open(jobs[0][1]) as dataset:
        tags = dataset.tags()
        assert (dataset.read(1) == expected).all()
    assert stack_of(jobs[0][1], tags, rule) == jobs[0][0]
    tags["CLUSTERNET_RASTER_PATH"] = "/vsicurl/http://127.0.0.1:9/in/a"
    assert stack_of(jobs[0][1], tags, rule) is None


def test_maps_are_shown_as_one(ready: Ready, write_raster: WriteRaster, tmp_path: Path) -> None:
    predictor = ready("same")
    for name, left, rows in (("a", 0, 20), ("b", 16, 30), ("c", 40, 20)):
        pixels = four_textures(rows, 24, 3, seed=rows)
        place = Affine(0.5, 0, 448_000 + left / 2, 0, -0.5, 5_412_000)
        write_raster(f"in/{name}.tif", pixels, transform=place)
    mosaic = tmp_path / "maps" / "all.vrt"
    options = MapOptions(mosaic=mosaic, skip_existing=True)
    for _ in range(2):  # the second time all maps are kept
        predict_rasters(predictor, [tmp_path / "in"], tmp_path / "maps", options)
        with rasterio.open(mosaic) as dataset:
            pixels = dataset.read(1)
            assert (dataset.shape, dataset.nodata, dataset.crs) == ((30, 64), 255, "EPSG:32631")
            assert dataset.colormap(1)[1][:3] == tuple(palette(CLUSTERS)[1])
            assert dataset.tags()["CLUSTERNET_KIND"] == "clusters"
    assert read_names(mosaic)[1] == "cluster 1"
    with rasterio.open(tmp_path / "maps" / "b_clusters.tif") as dataset:
        assert (pixels[:, 16:40] == dataset.read(1)).all()
    assert (pixels[20:, :16] == 255).all()
    assert [path.name for path in find_maps(tmp_path / "maps")] == [
        "a_clusters.tif", "b_clusters.tif", "c_clusters.tif",
    ]  # fmt: skip


def test_a_mosaic_of_several_crs_is_refused(
    ready: Ready, write_raster: WriteRaster, tmp_path: Path
) -> None:
    write_raster("in/a.tif", four_textures(20, 20, 3))
    write_raster("in/b.tif", four_textures(20, 20, 3), crs="EPSG:32632")
    options = MapOptions(mosaic=tmp_path / "all.vrt")
    with pytest.raises(GridMismatchError, match="a --mosaic needs one CRS"):
        predict_rasters(ready("same"), [tmp_path / "in"], tmp_path / "maps", options)
    assert not (tmp_path / "maps").exists() and not (tmp_path / "all.vrt").exists()
    with pytest.raises(OutputError, match=r"name it \*\.vrt"):
        MapOptions(mosaic=tmp_path / "all.tif")
