"""Labels, a run and its rasters become class maps by the method that suits the labels."""

from __future__ import annotations

import logging
import shutil
from functools import partial
from pathlib import Path

import geopandas
import numpy as np
import pytest
import rasterio
import shapely
from conftest import ROOT, load_script
from random_run import CLUSTERS, make_run
from rasterio.transform import from_origin

from clusternet.classes.assign import assign_classes
from clusternet.classes.sources import find_sources
from clusternet.errors import ClusterNetError, GridMismatchError, RasterError, SettingsError
from clusternet.legend.legend import read_legend
from clusternet.prediction.cluster_maps import read_cluster_map
from clusternet.prediction.map_outputs import MapOptions
from clusternet.prediction.maps import predict_rasters
from clusternet.prediction.predictor import load

ROWS, COLS = 176, 240
SIDE = 24


def squares() -> list[tuple[int, int]]:
    return [(row, col) for row in range(4, ROWS - SIDE, 44) for col in range(4, COLS - SIDE, 60)]


def write(path: Path, pixels: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with rasterio.open(
        path, "w", driver="GTiff", height=pixels.shape[1], width=pixels.shape[2],
        count=len(pixels), dtype=pixels.dtype, crs="EPSG:32631",
        transform=from_origin(448_000, 5_412_000, 1, 1),
    ) as dataset:  # fmt: skip
        dataset.write(pixels)
    return path


def box(row: int, col: int) -> shapely.Polygon:
    left, top = 448_000 + col, 5_412_000 - row
    return shapely.box(left, top - SIDE, left + SIDE, top)


@pytest.fixture(scope="module")
def work(tmp_path_factory) -> Path:
    """A folder with a run, a scene of dark and bright squares, its map, and labels of squares."""
    folder = tmp_path_factory.mktemp("learned")
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 60, (3, ROWS, COLS)).astype(np.uint8)
    kinds = []
    for number, (row, col) in enumerate(squares()):
        kinds.append(["dark", "bright"][(number // 2) % 2])
        if kinds[-1] == "bright":
            pixels[:, row - 4 : row + SIDE + 4, col - 4 : col + SIDE + 4] += 150
    write(folder / "rasters" / "scene.tif", pixels)
    boxes = [box(*place) for place in squares()]
    frame = geopandas.GeoDataFrame({"class": kinds}, geometry=boxes, crs=32631)
    frame.to_file(folder / "labels.gpkg")
    make_run(folder / "run", fixed_filters=True)
    predict_rasters(load(folder / "run"), [folder / "rasters"], folder / "maps")
    return folder


def give(work: Path, output: Path, **options: object):
    return assign_classes(work / "maps", work / "labels.gpkg", output, **options)


def read(path: Path) -> np.ndarray:
    with rasterio.open(path) as dataset:
        return dataset.read(1)


def test_with_a_run_and_rasters_methods_are_compared(work, tmp_path) -> None:
    report = give(work, tmp_path / "out", run=work / "run", polygons=tmp_path / "p.gpkg")
    assert report.choice is not None and len(report.choice.scores) == 14
    names = {number: each.name for number, each in report.classes.items()}
    found = read(tmp_path / "out" / "scene_classes.tif")
    assert found.shape == (ROWS, COLS)
    bright = next(number for number, name in names.items() if name == "bright")
    kinds = geopandas.read_file(work / "labels.gpkg")["class"]
    for (row, col), kind in zip(squares(), kinds, strict=True):
        part = found[row : row + SIDE, col : col + SIDE]
        assert ((part == bright).mean() > 0.9) == (kind == "bright")
    text = report.summary()
    assert "on blocks held back" in text and "label next: " in text
    assert report.choice.method.name in text
    legend = read_legend(tmp_path / "out" / "legend.csv")
    assert len(legend.rows) == CLUSTERS
    clusters = read(work / "maps" / "scene_clusters.tif")
    for row in legend.rows:
        inside = found[clusters == row.cluster]
        if inside.size:
            assert row.votes == inside.size
            assert row.purity == pytest.approx((inside == row.land_class.number).mean(), abs=1e-3)
    assert (tmp_path / "p.gpkg").exists() and (work / "run" / "legend.csv").exists()


@pytest.mark.parametrize("rule", ["clusters", "auto"])
def test_a_class_without_cluster_is_warned_of_where_clusters_are_named(
    work, tmp_path, caplog, rule
) -> None:
    row, col = squares()[0]
    corner = box(row + 4, col + 4).bounds
    frame = geopandas.read_file(work / "labels.gpkg")
    small = shapely.box(corner[0], corner[3] - 2, corner[0] + 2, corner[3])
    frame.loc[len(frame)] = {"class": "rare", "geometry": small}
    frame.to_file(tmp_path / "labels.gpkg")
    run = None if rule == "clusters" else work / "run"
    assign_classes(work / "maps", tmp_path / "labels.gpkg", tmp_path / "out", run=run, rule=rule)
    assert ("no cluster stands for the class 'rare'" in caplog.text) == (rule == "clusters")


def test_a_classifier_alone_names_no_clusters(work, tmp_path) -> None:
    report = give(
        work, tmp_path / "out", run=work / "run", rasters=work / "rasters", rule="classifier"
    )
    assert len(report.choice.scores) == 12
    assert "clusters" not in {score.name for score in report.choice.scores}


@pytest.mark.parametrize("rule", [None, "clusters", "majority"])
def test_maps_alone_are_named_as_published(work, tmp_path, rule) -> None:
    report = give(work, tmp_path / "out", rule=rule)
    assert report.choice is None
    assert ("--run RUN and --rasters FOLDER" in report.summary()) == (rule is None)


def test_a_run_of_the_published_scheme_is_named_as_published(work, tmp_path) -> None:
    shutil.copytree(work / "run", tmp_path / "run")
    settings = (tmp_path / "run" / "settings.yaml").read_text(encoding="utf-8")
    text = settings.replace("cluster_scope: epoch", "cluster_scope: batch")
    text = text.replace("feature_transform: neighbours", "feature_transform: none")
    (tmp_path / "run" / "settings.yaml").write_text(text, encoding="utf-8")
    report = give(work, tmp_path / "out", run=tmp_path / "run")
    assert report.choice is None and "as published" in report.summary()


def test_rasters_that_have_moved_are_missed_or_asked_for(work, tmp_path) -> None:
    shutil.copytree(work / "maps", tmp_path / "maps")
    options = dict(run=work / "run", output_folder=tmp_path / "out")
    report = assign_classes(tmp_path / "maps", work / "labels.gpkg", **options)
    assert report.choice is None and "--rasters FOLDER would let" in report.summary()
    with pytest.raises(SettingsError, match="give --rasters FOLDER"):
        assign_classes(
            tmp_path / "maps", work / "labels.gpkg", tmp_path / "other", run=work / "run",
            rule="auto",
        )  # fmt: skip


def refusal(kind: type[ClusterNetError], work: Path, tmp_path: Path, **options: object) -> str:
    with pytest.raises(kind) as found:
        give(work, tmp_path / "refused", **options)
    assert not (tmp_path / "refused").exists() or not list((tmp_path / "refused").iterdir())
    assert "\n" not in str(found.value) and len(str(found.value)) < 300
    return str(found.value)


def test_what_auto_lacks_is_said(work, tmp_path) -> None:
    text = refusal(SettingsError, work, tmp_path, rule="auto")
    assert "give --run RUN and --rasters FOLDER" in text
    (tmp_path / "empty").mkdir()
    write(tmp_path / "others" / "other.tif", np.zeros((3, 20, 20), np.uint8))
    text = refusal(RasterError, work, tmp_path, run=work / "run", rasters=tmp_path / "others")
    assert "expected the raster that" in text and "scene.tif" in text
    path = write(tmp_path / "small.tif", np.zeros((3, 20, 20), np.uint8))
    refusal(GridMismatchError, work, tmp_path, run=work / "run", rasters=path)


def test_a_raster_that_the_map_was_not_made_from_is_named(work, tmp_path, caplog) -> None:
    (tmp_path / "copies").mkdir()
    shutil.copy(work / "rasters" / "scene.tif", tmp_path / "copies")  # with another time of change
    cluster_maps = [read_cluster_map(path) for path in (work / "maps").glob("*_clusters.tif")]
    find = partial(find_sources, "auto", work / "run")
    find(tmp_path / "copies", cluster_maps, work / "maps")
    assert caplog.text == ""
    with rasterio.open(tmp_path / "copies" / "scene.tif", "r+") as raster:
        raster.update_tags(made="otherwise")
    find(tmp_path / "copies", cluster_maps, work / "maps")
    assert "has another name or size than the raster that" in caplog.text


def test_rasters_beside_a_rule_that_needs_none_are_left_aside(work, tmp_path, caplog) -> None:
    with caplog.at_level(logging.WARNING):
        give(work, tmp_path / "out", rule="majority", rasters=work / "rasters")
    assert "--rasters is left aside" in caplog.text


def test_where_a_raster_lies_is_no_reason_to_predict_again(work, tmp_path) -> None:
    shutil.copytree(work / "rasters", tmp_path / "rasters", copy_function=shutil.copy2)
    report = predict_rasters(
        load(work / "run"), [tmp_path / "rasters"], work / "maps", MapOptions(skip_existing=True)
    )
    assert report.maps == () and report.skipped == 1


def test_the_command_takes_rasters(work, tmp_path, capsys) -> None:
    script = load_script(ROOT / "tools" / "clusters2classes.py")
    arguments = ["--run", work / "run", "--rasters", work / "rasters" / "scene.tif"]
    script.main(
        list(map(str, [work / "maps" / "scene_clusters.tif", work / "labels.gpkg", *arguments,
                       "--rule", "auto", "--output_folder", tmp_path / "out"]))
    )  # fmt: skip
    assert "; method: " in capsys.readouterr().out


def test_a_preference_is_heard_or_refused(work, tmp_path, caplog) -> None:
    with caplog.at_level(logging.INFO):
        give(work, tmp_path / "out", run=work / "run", rule="classifier", prefer="recall:bright")
    assert "--prefer recall: 'bright' on blocks held back" in caplog.text
    text = refusal(SettingsError, work, tmp_path, prefer="recall")
    assert "--rule auto" in text
    text = refusal(SettingsError, work, tmp_path, run=work / "run", prefer="recall:wood")
    assert "expected a class with labels (bright, dark)" in text
    with pytest.raises(SettingsError, match="take --rule auto"):
        give(work, tmp_path / "out", rule="majority", prefer="recall")
