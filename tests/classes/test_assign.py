"""Cluster maps and a few labels become a legend and class maps."""

from __future__ import annotations

import re
import subprocess
import sys
import warnings
from pathlib import Path

import geopandas
import numpy as np
import pytest
import rasterio
import shapely
from conftest import ROOT

from clusternet.classes.assign import ClassOptions, assign_classes
from clusternet.classes.voting import draw_labels
from clusternet.clustering.kmeans import Codebook
from clusternet.errors import (
    ClusterNetError,
    GridMismatchError,
    LabelError,
    OutputError,
    RunError,
    SettingsError,
)
from clusternet.labels.origins import read_origins
from clusternet.legend.class_list import make_class_list
from clusternet.legend.legend import read_legend
from clusternet.raster import MapForm, create_map, open_raster
from clusternet.raster.categories import read_categories
from clusternet.raster.shapes import read_shapes
from clusternet.training.stored_codebook import StoredCodebook, write_codebook
from clusternet.windows import Window

LEFT, TOP, PIXEL = 448_000, 5_412_000, 0.5  # of rasters by the write_raster fixture
# Three columns of 20 pixels: clusters 0, 1 and 2; cluster 3 in a corner; a nodata row.
CLUSTERS = np.repeat(np.arange(3, dtype=np.uint8), 20)[None].repeat(30, axis=0)
CLUSTERS[25:29, 50:] = 3
CLUSTERS[29] = 255
NUM_CLUSTERS = 5


def pixel_box(row: int, col: int, height: int, width: int) -> shapely.Polygon:
    """Return the box around pixels, in the coordinates of the rasters here."""
    left, top = LEFT + col * PIXEL, TOP - row * PIXEL
    return shapely.box(left, top - height * PIXEL, left + width * PIXEL, top)


@pytest.fixture
def write_map(write_raster, tmp_path: Path):
    """Return ``write(name, clusters, run, kind)``: a cluster map as prediction writes it."""

    def write(name="a_clusters.tif", clusters=CLUSTERS, run="run1", kind="clusters") -> Path:
        with open_raster(write_raster("grid.tif", clusters)) as raster:
            grid = raster.profile
        (tmp_path / "grid.tif").unlink()
        tags = {"CLUSTERNET_KIND": kind, "CLUSTERNET_CLUSTERS": str(NUM_CLUSTERS)}
        tags |= {"CLUSTERNET_RUN": run} if run else {}
        path = tmp_path / "maps" / name
        with create_map(path, grid, MapForm(nodata=255, tags=tags), overwrite=True) as writer:
            writer.write(Window(0, 0, *clusters.shape), clusters)
        return path

    return write


@pytest.fixture
def cluster_map(write_map) -> Path:
    return write_map()


@pytest.fixture
def draw(tmp_path: Path):
    """Return ``draw(boxes, classes)``: labels as a GeoPackage in another CRS."""

    def write(boxes, classes, name="labels.gpkg", field="class", crs=4326) -> Path:
        path = tmp_path / name
        frame = geopandas.GeoDataFrame(
            {field: classes}, geometry=[pixel_box(*box) for box in boxes], crs=32631
        )
        frame = frame.to_crs(crs) if crs else frame.set_crs(None, allow_override=True)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "'crs' was not provided")
            frame.to_file(path)
        return path

    return write


@pytest.fixture
def labels(draw) -> Path:
    """Wood on cluster 0, field on 1 (and a little on 0), nothing on 2 and 3."""
    return draw([(2, 2, 6, 10), (10, 18, 5, 12)], ["wood", "field"])


@pytest.fixture
def run_folder(tmp_path: Path):
    """A run folder whose centroid 2 lies near 0, 3 near 1, and 4 near 3."""
    centroids = np.array([[0, 0], [10, 0], [1, 1], [9, 1], [8, 2]], np.float32)
    eye = np.eye(2, dtype=np.float32)
    stored = StoredCodebook(
        Codebook(centroids, np.zeros(2, np.float32), eye), np.ones(5, np.int32), eye
    )
    (tmp_path / "run").mkdir()
    write_codebook(tmp_path / "run" / "codebook.npz", stored, "digest")
    return tmp_path / "run", stored.identity


def read_map(path: Path) -> np.ndarray:
    with rasterio.open(path) as dataset:
        return dataset.read(1)


def legend_of(report) -> list[int]:
    return [row.land_class.number for row in report.legend.rows]


# --- naming ------------------------------------------------------------------------------------


def test_clusters_get_the_class_of_most_labelled_pixels(cluster_map, labels, tmp_path) -> None:
    report = assign_classes(cluster_map, labels, tmp_path / "out", unlabelled="unknown")
    rows = report.legend.rows
    assert [row.land_class.name for row in rows] == ["wood", "field", *["unknown"] * 3]
    assert [row.votes for row in rows] == [70, 50, 0, 0, 0]
    assert rows[0].purity == pytest.approx(60 / 70)
    assert rows[2].purity is None
    assert (report.num_untouched, report.untouched_became) == (3, "unknown")


def test_the_class_map_holds_classes_on_the_same_grid(cluster_map, labels, tmp_path) -> None:
    report = assign_classes(cluster_map, labels, tmp_path / "out", unlabelled="unknown")
    (path,) = report.class_maps
    assert path == tmp_path / "out" / "a_classes.tif"
    expected = np.array([1, 0, 2, 2])[np.minimum(CLUSTERS, 3)]
    expected[CLUSTERS == 255] = 255
    np.testing.assert_array_equal(read_map(path), expected)
    with rasterio.open(path) as classes, rasterio.open(cluster_map) as clusters:
        assert classes.transform == clusters.transform
        assert classes.crs == clusters.crs
        assert (classes.nodata, classes.dtypes[0]) == (255, "uint8")
        assert classes.tags()["CLUSTERNET_KIND"] == "classes"
        assert classes.tags()["CLUSTERNET_RUN"] == "run1"
    names, colours = read_categories(path)
    assert names == {0: "field", 1: "wood", 2: "unknown"}
    assert colours[2] == (128, 128, 128)


def test_untouched_clusters_go_to_the_nearest_labelled_centroid(
    write_map, labels, run_folder, tmp_path
) -> None:
    run, identity = run_folder
    path = write_map(run=identity)
    report = assign_classes(path, labels, tmp_path / "out", run=run)
    assert legend_of(report) == [1, 0, 1, 0, 0]
    assert (report.num_untouched, report.untouched_became) == (3, "nearest")
    assert "3 without labels (nearest)" in report.summary()
    assert read_legend(run / "legend.csv") == read_legend(report.legend_path)


def test_without_the_run_untouched_clusters_become_unknown_with_a_warning(
    cluster_map, labels, tmp_path, caplog
) -> None:
    report = assign_classes(cluster_map, labels, tmp_path / "out")
    assert report.untouched_became == "unknown"
    assert "3 cluster(s) have no labels and become unknown" in caplog.text
    assert "--run" in caplog.text


def test_a_class_without_a_cluster_is_reported(cluster_map, draw, tmp_path, caplog) -> None:
    path = draw([(0, 0, 9, 9), (0, 12, 1, 3)], ["wood", "path"])
    assign_classes(cluster_map, path, tmp_path / "out")
    assert "no cluster stands for the class 'path' (3 labelled pixels)" in caplog.text


def test_labels_on_a_coarser_raster_count_on_the_maps_pixels(
    cluster_map, write_raster, tmp_path, caplog
) -> None:
    coarse = np.full((3, 6), 255, np.uint8)
    coarse[1, 0], coarse[1, 2] = 4, 7
    transform = rasterio.transform.from_origin(LEFT, TOP, 5, 5)
    path = write_raster("labels.tif", coarse, transform=transform)
    with caplog.at_level("INFO"):
        report = assign_classes(cluster_map, path, tmp_path / "out", unlabelled="unknown")
    assert legend_of(report)[:3] == [4, 7, 8]
    assert [row.votes for row in report.legend.rows][:2] == [100, 100]
    assert "labels on 200 of the 1800 pixels" in caplog.text


def test_class_names_and_colours_of_a_label_raster_are_kept(
    cluster_map, write_raster, tmp_path
) -> None:
    with open_raster(cluster_map) as raster:
        grid = raster.profile
    path = tmp_path / "labels.tif"
    colours = np.array([[1, 2, 3], [4, 5, 6]], np.uint8)
    form = MapForm(nodata=255, colours=colours, names=["sea", "land"])
    with create_map(path, grid, form) as writer:
        writer.write(Window(0, 0, 30, 60), (CLUSTERS > 0).astype(np.uint8))
    classes = assign_classes(cluster_map, path, tmp_path / "out").legend.classes
    assert (classes[0].name, classes[0].colour) == ("sea", (1, 2, 3))
    assert (classes[1].name, classes[1].colour) == ("land", (4, 5, 6))


def test_values_named_unlabelled_do_not_vote(cluster_map, write_raster, tmp_path) -> None:
    path = write_raster("labels.tif", np.where(CLUSTERS == 0, 9, 1).astype(np.uint8))
    names = make_class_list({0: "land", 1: "sea", 9: "unlabelled"})
    report = assign_classes(cluster_map, path, tmp_path / "out", classes=names)
    assert [row.votes > 0 for row in report.legend.rows] == [False, True, True, True, False]


def test_several_maps_share_one_legend(write_map, draw, tmp_path) -> None:
    write_map("x/a_clusters.tif")
    write_map("b_clusters.tif")
    draw([(0, 0, 9, 9)], ["wood"], "a.gpkg")
    folder = tmp_path / "labels"
    (folder / "x").mkdir(parents=True)
    draw([(0, 0, 9, 9)], ["wood"], folder / "x" / "a.gpkg")
    draw([(0, 22, 9, 9)], ["field"], folder / "b.gpkg")
    report = assign_classes(tmp_path / "maps", folder, tmp_path / "out", unlabelled="unknown")
    assert {path.relative_to(tmp_path / "out") for path in report.class_maps} == {
        Path("b_classes.tif"), Path("x/a_classes.tif")
    }  # fmt: skip
    assert [row.land_class.name for row in report.legend.rows[:2]] == ["wood", "field"]
    first, second = (read_map(path) for path in report.class_maps)
    np.testing.assert_array_equal(first, second)


def test_maps_without_labels_get_class_maps_too(write_map, draw, tmp_path) -> None:
    write_map("a_clusters.tif")
    write_map("b_clusters.tif")
    folder = tmp_path / "labels"
    folder.mkdir()
    draw([(0, 0, 9, 60)], ["all"], folder / "b.gpkg")
    assert len(assign_classes(tmp_path / "maps", folder, tmp_path / "out").class_maps) == 2


def test_a_map_that_one_label_file_misses_is_no_error(write_map, write_raster, labels, tmp_path):
    write_map("a_clusters.tif")
    transform = rasterio.transform.from_origin(LEFT + 900, TOP, 0.5, 0.5)
    write_raster("maps/far.tif", CLUSTERS, nodata=255, transform=transform)
    report = assign_classes(tmp_path / "maps", labels, tmp_path / "out")
    assert report.votes.total == 120
    assert len(report.class_maps) == 2


def test_windows_do_not_change_the_result(cluster_map, labels, tmp_path, monkeypatch) -> None:
    whole = assign_classes(cluster_map, labels, tmp_path / "whole")
    monkeypatch.setattr("clusternet.prediction.cluster_maps.WINDOW", (7, 11))
    parts = assign_classes(cluster_map, labels, tmp_path / "parts")
    assert parts.legend == whole.legend
    np.testing.assert_array_equal(read_map(parts.class_maps[0]), read_map(whole.class_maps[0]))


def test_a_high_class_number_gives_a_16_bit_map(cluster_map, draw, tmp_path) -> None:
    path = draw([(0, 0, 20, 60)], [300])
    (written,) = assign_classes(cluster_map, path, tmp_path / "out").class_maps
    with rasterio.open(written) as dataset:
        assert (dataset.dtypes[0], dataset.nodata) == ("uint16", 65535)
        assert dataset.read(1)[0, 0] == 300


def test_a_foreign_map_without_tags_is_read_through(write_raster, tmp_path) -> None:
    path = write_raster("m.png", CLUSTERS[:29])
    labels = tmp_path / "l.gpkg"
    shapes = geopandas.GeoDataFrame({"class": [1]}, geometry=[shapely.box(0, 0, 9, 9)])
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "'crs' was not provided")
        shapes.to_file(labels)
    report = assign_classes(path, labels, tmp_path / "out")
    assert legend_of(report) == [1, 2, 2, 2]


# --- the published code's rule -----------------------------------------------------------------


@pytest.mark.parametrize(("threshold", "expected"), [(0.4, [1, 1]), (0.5, [0, 1]), (1.0, [0, 0])])
def test_the_binary_rule_keeps_clusters_above_the_threshold(
    cluster_map, write_raster, tmp_path, threshold, expected
) -> None:
    values = np.zeros(CLUSTERS.shape, np.uint8)
    values[:, :8] = 1  # 40 % of cluster 0
    values[:, 22:40] = 1  # 90 % of cluster 1
    report = assign_classes(
        cluster_map, write_raster("l.tif", values), tmp_path / "out", rule="binary",
        keep_clust_threshold=threshold,
    )  # fmt: skip
    assert legend_of(report) == [*expected, 0, 0, 0]
    assert report.untouched_became == "class 0"


def test_shapes_of_one_class_serve_the_binary_rule_with_a_background(
    cluster_map, draw, tmp_path
) -> None:
    path = draw([(0, 20, 29, 20)], [1])
    report = assign_classes(cluster_map, path, tmp_path / "out", rule="binary", background=0)
    assert legend_of(report) == [0, 1, 0, 0, 0]


def test_the_binary_rule_refuses_other_labels(cluster_map, draw, tmp_path) -> None:
    with pytest.raises(LabelError, match="expected labels 0 and 1, found 2"):
        assign_classes(cluster_map, draw([(0, 0, 9, 9)], [2]), tmp_path / "out", rule="binary")


def test_the_same_seed_draws_the_same_share_of_the_label_files() -> None:
    pairs = [(name, Path(f"{name}.tif")) for name in "abcdefghij"]
    drawn = draw_labels(pairs, 0.3, seed=4)
    assert len(drawn) == 3
    assert drawn == draw_labels(pairs, 0.3, seed=4)
    assert any(draw_labels(pairs, 0.3, seed) != drawn for seed in range(9))
    assert len(draw_labels(pairs, 0.01, seed=4)) == 1
    assert draw_labels(pairs, 1.0, seed=4) == pairs


# --- an existing legend ------------------------------------------------------------------------


def test_an_edited_legend_is_applied_without_labels(
    write_map, cluster_map, labels, tmp_path
) -> None:
    assign_classes(cluster_map, labels, tmp_path / "out", unlabelled="unknown")
    legend = tmp_path / "out" / "legend.csv"
    legend.write_text(legend.read_text().replace("unknown,#808080", "lake,#0000ff"))
    other = write_map("b_clusters.tif", CLUSTERS[:, ::-1])
    report = assign_classes(other, None, tmp_path / "other", legend=legend)
    np.testing.assert_array_equal(
        read_map(report.class_maps[0]), read_map(tmp_path / "out" / "a_classes.tif")[:, ::-1]
    )
    assert read_categories(report.class_maps[0])[0][2] == "lake"
    assert (tmp_path / "other" / "legend.csv").exists()


def test_a_legend_edited_in_its_place_is_kept(cluster_map, labels, tmp_path) -> None:
    out = tmp_path / "out"
    assign_classes(cluster_map, labels, out)
    edited = (out / "legend.csv").read_text().replace("wood", "forest")
    (out / "legend.csv").write_text(edited)
    assign_classes(cluster_map, None, out, legend=out / "legend.csv", overwrite=True)
    assert (out / "legend.csv").read_text() == edited
    assert read_categories(out / "a_classes.tif")[0][1] == "forest"


def test_class_maps_state_their_labels_also_after_the_legend_was_edited(
    cluster_map, labels, tmp_path
) -> None:
    def stated(folder: Path) -> list[Path | None]:
        with rasterio.open(folder / "a_classes.tif") as raster:
            origins = read_origins(raster.tags())
        return [origin.found(folder / "a_classes.tif") for origin in origins]

    out = tmp_path / "out"
    assign_classes(cluster_map, labels, out)
    assert stated(out) == [labels]
    legend = out / "legend.csv"
    legend.write_text(legend.read_text().replace("unknown", "lake"))
    assign_classes(cluster_map, None, out, legend=legend, overwrite=True)
    assert stated(out) == [labels]
    assign_classes(cluster_map, None, tmp_path / "other", legend=legend)
    assert stated(tmp_path / "other") == [labels]
    labels.write_bytes(labels.read_bytes() + b" ")  # is another file now
    assign_classes(cluster_map, None, tmp_path / "third", legend=legend)
    assert stated(tmp_path / "third") == []


def test_a_legend_without_run_is_accepted(cluster_map, tmp_path) -> None:
    legend = tmp_path / "legend.csv"
    legend.write_text("cluster;class\n0;1\n1;1\n2;0\n3;0\n4;0\n")
    report = assign_classes(cluster_map, None, tmp_path / "out", legend=legend)
    assert set(np.unique(read_map(report.class_maps[0]))) == {0, 1, 255}


# --- polygons ----------------------------------------------------------------------------------


def test_polygons_carry_class_name_and_area(cluster_map, labels, tmp_path) -> None:
    path = tmp_path / "out" / "p.gpkg"
    assign_classes(cluster_map, labels, tmp_path / "out", unlabelled="unknown", polygons=path)
    frame = geopandas.read_file(path, layer="a_classes")
    assert dict(zip(frame["name"], frame["class"], strict=True)) == {
        "field": 0, "wood": 1, "unknown": 2
    }  # fmt: skip
    assert frame.crs.to_epsg() == 32631
    np.testing.assert_allclose(frame.area_ha, frame.area / 10_000)
    assert frame.area.sum() == pytest.approx(29 * 60 * 0.25)


def test_polygons_of_several_maps_are_layers(write_map, labels, tmp_path) -> None:
    write_map("a_clusters.tif")
    write_map("b_clusters.tif")
    path = tmp_path / "p.gpkg"
    assign_classes(tmp_path / "maps", labels, tmp_path / "out", polygons=path, min_area=100)
    for layer in ("a_classes", "b_classes"):
        assert read_shapes(path, layer=layer).classes.size == 3


# --- wrong input -------------------------------------------------------------------------------


def refused(tmp_path: Path, kind: type[ClusterNetError], *args, **options) -> str:
    """Return the message of a refusal that leaves nothing behind."""
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(kind) as error:
        assign_classes(*args, **options)
    assert sorted(tmp_path.rglob("*")) == before
    assert "\n" not in str(error.value)
    return str(error.value)


def test_labels_without_crs_are_refused(cluster_map, draw, tmp_path) -> None:
    path = draw([(0, 0, 9, 9)], ["a"], crs=None)
    message = refused(tmp_path, GridMismatchError, cluster_map, path, tmp_path / "out")
    assert "labels.gpkg: has no CRS but" in message


def test_labels_elsewhere_are_refused(cluster_map, draw, tmp_path) -> None:
    path = draw([(5000, 5000, 9, 9)], ["a"])
    message = refused(tmp_path, GridMismatchError, cluster_map, path, tmp_path / "out")
    assert "does not overlap" in message


def test_labels_on_nodata_only_are_refused(cluster_map, draw, tmp_path) -> None:
    path = draw([(29, 0, 1, 9)], ["a"])
    message = refused(tmp_path, LabelError, cluster_map, path, tmp_path / "out")
    assert "no pixel of the maps has a label" in message


def test_a_missing_class_field_is_refused(cluster_map, draw, tmp_path) -> None:
    path = draw([(0, 0, 9, 9)], ["a"], field="landuse")
    message = refused(tmp_path, LabelError, cluster_map, path, tmp_path / "out", class_field="use")
    assert "no field 'use' (--class_field); fields there: landuse" in message


def test_labels_outside_the_classes_are_refused(cluster_map, draw, tmp_path) -> None:
    message = refused(
        tmp_path, LabelError, cluster_map, draw([(0, 0, 9, 9)], [3]), tmp_path / "out",
        classes=make_class_list({0: "a", 1: "b"}),
    )  # fmt: skip
    assert "holds the label 3, which is not in the class list (0 a, 1 b)" in message


def test_a_class_name_outside_the_classes_is_refused(cluster_map, labels, tmp_path) -> None:
    message = refused(
        tmp_path, LabelError, cluster_map, labels, tmp_path / "out",
        classes=make_class_list({0: "wood", 1: "b"}),
    )  # fmt: skip
    assert "the class 'field', which is not in the class list (0 wood, 1 b); add it" in message


def test_a_map_of_another_run_is_refused_by_a_legend(
    write_map, cluster_map, labels, tmp_path
) -> None:
    assign_classes(cluster_map, labels, tmp_path / "first")
    other = write_map("b_clusters.tif", run="run2")
    legend = tmp_path / "first" / "legend.csv"
    message = refused(tmp_path, LabelError, other, None, tmp_path / "out", legend=legend)
    assert "b_clusters.tif: comes from another run than the legend" in message


def test_maps_of_two_runs_are_refused(write_map, labels, tmp_path) -> None:
    write_map("a_clusters.tif")
    write_map("b_clusters.tif", run="run2")
    message = refused(tmp_path, LabelError, tmp_path / "maps", labels, tmp_path / "out")
    assert "b_clusters.tif: comes from another run than" in message


def test_a_run_that_did_not_make_the_map_is_refused(
    cluster_map, labels, run_folder, tmp_path
) -> None:
    run, _ = run_folder
    message = refused(tmp_path, RunError, cluster_map, labels, tmp_path / "out", run=run)
    assert "is not the run that made the maps" in message


def test_a_folder_that_is_no_run_is_refused(cluster_map, labels, tmp_path) -> None:
    (tmp_path / "no_run").mkdir()
    run = tmp_path / "no_run"
    message = refused(tmp_path, RunError, cluster_map, labels, tmp_path / "out", run=run)
    assert "codebook.npz: cannot be read" in message


def test_a_legend_that_lacks_a_cluster_is_refused(cluster_map, tmp_path) -> None:
    legend = tmp_path / "legend.csv"
    legend.write_text("cluster,class\n0,1\n1,1\n2,0\n4,0\n")
    message = refused(tmp_path, LabelError, cluster_map, None, tmp_path / "out", legend=legend)
    assert "has no line for cluster 3" in message


def test_a_bad_legend_is_refused(cluster_map, tmp_path) -> None:
    legend = tmp_path / "legend.csv"
    legend.write_text("cluster,class\n0,wood\n")
    message = refused(tmp_path, LabelError, cluster_map, None, tmp_path / "out", legend=legend)
    assert "legend.csv, line 2: class must be a whole number" in message


def test_labels_and_legend_together_are_refused(cluster_map, labels, tmp_path) -> None:
    out = tmp_path / "out"
    assert "either labels or a legend" in refused(
        tmp_path, SettingsError, cluster_map, labels, out, legend=labels
    )
    assert "either labels or a legend" in refused(tmp_path, SettingsError, cluster_map, None, out)


@pytest.mark.parametrize(
    ("pixels", "message"),
    [
        (np.ones((9, 9), np.float32), r"expected a cluster map .* found 1 band\(s\) of float32"),
        (np.ones((9, 9, 3), np.uint8), r"found 3 band\(s\) of uint8"),
        (np.full((9, 9), -1, np.int16), "holds the value -1; expected clusters from 0"),
    ],
)
def test_a_raster_that_is_no_cluster_map_is_refused(
    write_raster, labels, tmp_path, pixels, message
) -> None:
    path = write_raster("m.tif", pixels)
    found = refused(tmp_path, LabelError, path, labels, tmp_path / "out")
    assert re.search(message, found)


def test_a_class_map_is_no_cluster_map(write_map, labels, tmp_path) -> None:
    path = write_map(kind="classes")
    message = refused(tmp_path, LabelError, path, labels, tmp_path / "out")
    assert "expected a cluster map" in message


def test_existing_outputs_are_refused_before_any_work(cluster_map, labels, tmp_path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    for name in ("legend.csv", "a_classes.tif"):
        (out / name).write_text("mine")
        message = refused(tmp_path, OutputError, cluster_map, labels, out)
        assert f"{name}: exists already" in message
        (out / name).unlink()
    assign_classes(cluster_map, labels, out)
    assign_classes(cluster_map, labels, out, overwrite=True)


def test_polygons_want_a_geopackage(cluster_map, labels, tmp_path) -> None:
    message = refused(
        tmp_path, OutputError, cluster_map, labels, tmp_path / "out", polygons=tmp_path / "p.shp"
    )
    assert "p.shp: polygons are written as GeoPackage" in message


@pytest.mark.parametrize("missing", ["maps", "labels", "legend"])
def test_missing_files_are_refused(cluster_map, labels, tmp_path, missing: str) -> None:
    paths = {"maps": cluster_map, "labels": labels, missing: tmp_path / "nothing.tif"}
    given = None if missing == "legend" else paths["labels"]
    message = refused(
        tmp_path, ClusterNetError, paths["maps"], given, tmp_path / "out",
        legend=paths.get("legend"),
    )  # fmt: skip
    assert "nothing.tif" in message


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("gt_fraction", 0.0), ("gt_fraction", 1.5), ("keep_clust_threshold", 0.0),
        ("sieve", -1), ("min_area", -1), ("simplify", -0.5), ("rule", "all"),
        ("unlabelled", "guess"),
    ],
)  # fmt: skip
def test_settings_that_cannot_be_used_are_refused(
    cluster_map, labels, tmp_path, option, value
) -> None:
    message = refused(
        tmp_path, SettingsError, cluster_map, labels, tmp_path / "out", **{option: value}
    )
    assert f"--{option}: expected" in message


# --- the command -------------------------------------------------------------------------------


def run_script(*args: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, ROOT / "tools" / "clusters2classes.py", *map(str, args)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_the_command_writes_class_maps_and_says_so(cluster_map, labels, tmp_path) -> None:
    out = tmp_path / "out"
    done = run_script(cluster_map, labels, "--output_folder", out, "--polygons", out / "p.gpkg")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"1 class map(s) in {out}: field, wood, unknown")
    assert done.stdout.count("\n") == 1
    assert sorted(path.name for path in out.iterdir()) == [
        "a_classes.qml", "a_classes.tif", "a_classes.tif.aux.xml", "legend.csv", "p.gpkg", "p.qml",
        "report.html",
    ]  # fmt: skip


def test_the_command_refuses_in_one_line(cluster_map, tmp_path) -> None:
    done = run_script(cluster_map, tmp_path / "no.gpkg", "--output_folder", tmp_path / "out")
    assert done.returncode == 2
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_options_are_given_as_one_thing_or_by_name(cluster_map, draw, tmp_path):
    labels = draw([(0, 0, 9, 9), (40, 0, 49, 9)], [0, 1])
    options = ClassOptions(unlabelled="unknown", background=7)
    reports = [
        assign_classes(cluster_map, labels, tmp_path / "one", options),
        assign_classes(cluster_map, labels, tmp_path / "two", unlabelled="unknown", background=7),
        assign_classes(cluster_map, labels, tmp_path / "three", ClassOptions(background=7),
                       unlabelled="unknown", classes=None),
    ]  # fmt: skip
    first, *others = [report.legend for report in reports]
    assert all(legend == first for legend in others)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"backgrund": 0}, "backgrund"),
        ({"seed": "one"}, "--seed: expected a whole number, received"),
        ({"unlabelled": "nearly"}, "--unlabelled: expected one of"),
        ({"sieve": -1}, "--sieve: expected a number of pixels"),
        ({"classes": "a,b"}, "--classes: expected a ClassList, received"),
    ],
)
def test_options_that_cannot_be_used_are_refused(cluster_map, tmp_path, options, message):
    with pytest.raises((SettingsError, TypeError), match=message):
        assign_classes(cluster_map, tmp_path / "labels.tif", tmp_path / "out", **options)


def test_only_what_lies_in_an_area_counts(cluster_map, labels, draw, tmp_path) -> None:
    area = draw([(0, 0, 30, 20)], ["any"], name="area.gpkg")  # cluster 0
    report = assign_classes(cluster_map, labels, tmp_path / "out", aoi=area)
    assert report.votes is not None
    assert report.votes.total == 70  # 60 of wood, 10 of field; the other 50 lie outside
    with rasterio.open(tmp_path / "out" / "a_classes.tif") as dataset:
        classes = dataset.read(1)
    assert (classes[:, 20:] == 255).all() and (classes[:29, :20] != 255).all()
    outside = draw([(0, 100, 5, 5)], ["any"], name="outside.gpkg")
    with pytest.raises(GridMismatchError, match="none of its polygons, for --aoi"):
        assign_classes(cluster_map, labels, tmp_path / "other", aoi=outside)
