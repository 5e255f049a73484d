"""No label is lost without a word: what becomes of shapes, pixels and values is said."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import pandas as pd
import pyogrio
import pytest
import rasterio
import shapely

from clusternet.classes.assign import assign_classes
from clusternet.errors import LabelError
from clusternet.evaluation.evaluate import evaluate
from clusternet.labels.rasterization import rasterize_labels
from clusternet.legend.class_list import make_class_list
from clusternet.raster.categories import read_categories

LEFT, TOP, PIXEL = 448_000, 5_412_000, 0.5  # of rasters by the write_raster fixture
SHAPE = (24, 30)
CLUSTERS = np.indices(SHAPE)[1].astype(np.uint8) // 10  # three stripes


def box(row: float, col: float, height: float, width: float) -> shapely.Polygon:
    """Return the box around pixels, in the coordinates of the rasters here."""
    left, top = LEFT + col * PIXEL, TOP - row * PIXEL
    return shapely.box(left, top - height * PIXEL, left + width * PIXEL, top)


FOREST, WATER = ("forest", box(2, 2, 6, 6)), ("water", box(2, 12, 6, 6))
SPECKS = [("well", box(10.6, 3.6, 0.3, 0.3)), ("well", box(11.6, 3.6, 0.3, 0.3))]


@pytest.fixture
def draw(tmp_path: Path):
    """Return ``draw(shapes)``: (class, geometry) pairs as a GeoPackage."""

    def write(shapes: list[tuple[Any, Any]], name: str = "labels.gpkg") -> Path:
        path = tmp_path / name
        classes, geometries = zip(*shapes, strict=True)
        frame = geopandas.GeoDataFrame({"class": classes}, geometry=list(geometries), crs=32631)
        frame.to_file(path)
        return path

    return write


@pytest.fixture
def clusters(write_raster) -> Path:
    return write_raster("scene_clusters.tif", CLUSTERS)


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture):
    """Return ``lines()``: the messages so far, warnings marked."""
    caplog.set_level("INFO")

    def read() -> str:
        return "\n".join(f"{r.levelname} {r.getMessage()}" for r in caplog.records)

    return read


def use(command: str, labels: Path, clusters: Path, folder: Path, **options: Any) -> Any:
    """Let one of the commands read labels."""
    if command == "rasterization":
        return rasterize_labels(labels, clusters, folder / "out.tif", **options)
    if command == "clusters2classes":
        return assign_classes(clusters, labels, folder / "out", unlabelled="unknown", **options)
    return evaluate(clusters, labels, clusters=True, **options)


every_command = pytest.mark.parametrize(
    ("command", "advice"),
    [
        ("rasterization", "; --all_touched labels every pixel that a shape touches."),
        ("clusters2classes", "; draw them at least a pixel wide."),
        ("evaluation", "; draw them at least a pixel wide."),
    ],
)


@every_command
def test_a_class_smaller_than_a_pixel_is_named(
    command: str, advice: str, draw, clusters, tmp_path, lines
) -> None:
    use(command, draw([FOREST, WATER, *SPECKS]), clusters, tmp_path)
    expected = (
        "WARNING class 'well': none of its 2 shape(s) gives a label: 2 covering no pixel centre"
    )
    assert expected + advice in lines()
    assert "INFO labels used: 'forest' 36 px of 1 shape(s), 'water' 36 px of 1 shape(s)." in lines()


def test_the_advice_of_rasterization_works(draw, clusters, tmp_path) -> None:
    found = rasterize_labels(
        draw([FOREST, *SPECKS]), clusters, tmp_path / "l.tif", all_touched=True
    )
    assert found.counts[1] == 2


@every_command
def test_no_label_at_all_is_an_error(command: str, advice: str, draw, clusters, tmp_path) -> None:
    with pytest.raises(LabelError, match=r"2 shape\(s\) read, 2 covering no pixel centre") as error:
        use(command, draw(SPECKS), clusters, tmp_path)
    assert ("--all_touched" in str(error.value)) == (command == "rasterization")
    assert not (tmp_path / "out").exists() and not (tmp_path / "out.tif").exists()


def test_what_became_of_every_shape_is_said(draw, clusters, tmp_path, lines) -> None:
    shapes = [
        ("under", box(3, 3, 2, 2)), FOREST, WATER, ("forest", box(500, 500, 4, 4)),
        ("forest", box(4.1, 20.1, 0.2, 0.2)), ("away", box(-90, 0, 5, 5)),
        ("forest", shapely.MultiPolygon([box(14, 3, 2, 2), box(17.1, 3.1, 0.2, 0.2)])),
    ]  # fmt: skip
    assign_classes(clusters, draw(shapes), tmp_path / "out", unlabelled="unknown")
    for line in (
        "WARNING class 'under': none of its 1 shape(s) gives a label: 1 wholly under later shapes.",
        "WARNING class 'away': none of its 1 shape(s) gives a label: 1 off the map.",
        "INFO class 'forest': 2 of its 4 shapes give no label: 1 off the map, 1 covering no pixel "
        "centre.",
        "INFO labels used: 'forest' 40 px of 4 shape(s), 'water' 36 px of 1 shape(s).",
    ):
        assert line in lines()


def test_a_shape_is_lost_only_if_no_map_shows_it(draw, write_raster, tmp_path, lines) -> None:
    write_raster("maps/a_clusters.tif", CLUSTERS)
    beside = rasterio.Affine(PIXEL, 0, LEFT + 30 * PIXEL, 0, -PIXEL, TOP)
    write_raster("maps/b_clusters.tif", CLUSTERS, transform=beside)
    labels = draw([FOREST, ("water", box(2, 40, 6, 6)), ("forest", box(0, 90, 3, 3))])
    assign_classes(tmp_path / "maps", labels, tmp_path / "out", unlabelled="unknown")
    assert "WARNING" not in lines()
    assert "class 'forest': 1 of its 2 shapes give no label: 1 off the map." in lines()


def test_labels_where_the_map_has_no_data_are_named(draw, write_raster, tmp_path, lines) -> None:
    holed = CLUSTERS.copy()
    holed[:, 10:20] = 9
    path = write_raster("scene_clusters.tif", holed, nodata=9)
    assign_classes(path, draw([FOREST, WATER]), tmp_path / "out", unlabelled="unknown")
    assert "class 'water': none of its 1 shape(s) gives a label: the maps have no data there" in (
        lines()
    )


def test_shapes_in_collections_and_in_three_dimensions_are_read(draw, clusters, tmp_path) -> None:
    nested = shapely.GeometryCollection(
        [shapely.GeometryCollection([shapely.force_3d(box(2, 2, 2, 2)), shapely.Point()])]
    )
    assert rasterize_labels(draw([("a", nested)]), clusters, tmp_path / "l.tif").counts == {0: 4}


# --- values of rasters -------------------------------------------------------------------------

MASK = np.zeros(SHAPE, np.uint8)
MASK[3:9, 3:9] = 255


def test_a_mask_of_0_and_255_is_two_classes(write_raster, tmp_path, lines) -> None:
    mask = write_raster("mask.tif", MASK)
    worst = write_raster("worst_classes.tif", np.zeros(SHAPE, np.uint8))
    right = write_raster("right_clusters.tif", (MASK > 0).astype(np.uint8))
    assert evaluate(worst, mask).accuracy == pytest.approx(1 - 36 / MASK.size)
    assert evaluate(right, mask, clusters=False).accuracy == 1
    report = assign_classes(right, mask, tmp_path / "out")
    assert [row.land_class.number for row in report.legend.rows] == [0, 1]
    said = "mask.tif: holds only 0 and 255, taken as the classes 0 and 1; --ignore_label 255 if"
    assert lines().count(said) == 3


def test_a_predicted_mask_of_0_and_255_is_two_classes(write_raster, lines) -> None:
    predicted, truth = write_raster("maps/m.png", MASK), write_raster("labels/m.png", MASK)
    report = evaluate(predicted.parent, truth.parent)
    assert (report.accuracy, report.pooled.scores.pixels) == (1, MASK.size)


@pytest.mark.parametrize(
    ("values", "options"),
    [
        ({}, {"ignore_label": 255}),
        ({"third": 1}, {}),
        ({}, {"classes": make_class_list({0: "land", 1: "roof", 2: "water"})}),
    ],
)
def test_255_beside_other_classes_means_no_label(write_raster, values, options) -> None:
    mask = MASK.copy()
    mask[20, 20] = values.get("third", 0)
    truth = write_raster("labels/m.png", mask)
    report = evaluate(write_raster("maps/m.tif", np.zeros(SHAPE, np.uint8)), truth, **options)
    assert report.pooled.scores.pixels == MASK.size - 36


def test_255_can_be_a_class_by_the_list(write_raster) -> None:
    truth = write_raster("m.png", MASK)
    classes = make_class_list({0: "land", 255: "roof"})
    report = evaluate(write_raster("m.tif", np.zeros(SHAPE, np.uint8)), truth, classes=classes)
    assert report.pooled.scores.pixels == MASK.size
    assert report.class_names[255] == "roof"


def test_one_mask_with_other_classes_decides_for_all(write_raster, tmp_path) -> None:
    for name, other in (("a", 0), ("b", 3)):
        mask = MASK.copy()
        mask[0, 0] = other
        write_raster(f"labels/{name}.png", mask)
        write_raster(f"maps/{name}.tif", np.zeros(SHAPE, np.uint8))
    report = evaluate(tmp_path / "maps", tmp_path / "labels")
    assert report.pooled.scores.pixels == 2 * (MASK.size - 36)


def test_undeclared_255_is_counted(write_raster, lines) -> None:
    mask = MASK.copy()
    mask[0, 0] = 1
    evaluate(write_raster("m.tif", np.zeros(SHAPE, np.uint8)), write_raster("l.png", mask))
    assert "l.png: 36 pixels of value 255 are taken as unlabelled." in lines()


def test_nan_is_no_label(write_raster) -> None:
    labels = np.full(SHAPE, 1, np.float32)
    labels[0] = np.nan
    labels[1] = -9999
    truth = write_raster("l.tif", labels, nodata=-9999)
    report = evaluate(write_raster("m.tif", np.ones(SHAPE, np.uint8)), truth)
    assert report.pooled.scores.pixels == MASK.size - 60


@pytest.mark.parametrize(
    ("name", "options"),
    [("l.jpg", {}), ("l.tif", {"compress": "JPEG"}), ("l.tif", {"compress": "LERC",
     "max_z_error": 2}), ("l.tif", {"driver": "JP2OpenJPEG"})],
)  # fmt: skip
def test_labels_that_compression_changes_are_refused(write_raster, name, options) -> None:
    truth = write_raster(name, np.zeros((64, 64), np.uint8), **options)
    with pytest.raises(LabelError, match="compression changes class numbers"):
        evaluate(write_raster("m.tif", np.zeros((64, 64), np.uint8)), truth)


def test_a_jpeg_under_another_name_is_refused(write_raster) -> None:
    truth = write_raster("l.jpg", np.zeros((64, 64), np.uint8))
    truth = truth.rename(truth.with_suffix(".png"))
    with pytest.raises(LabelError, match="JPEG compression changes class numbers"):
        evaluate(write_raster("m.tif", np.zeros((64, 64), np.uint8)), truth)


def test_names_beside_label_rasters_count(write_raster, tmp_path) -> None:
    truth = write_raster("labels/m.tif", CLUSTERS)
    listed = {"0": "field", "1": "forest", "2": "water"}
    (tmp_path / "labels" / "classes.json").write_text(json.dumps(listed))
    report = evaluate(write_raster("m.tif", CLUSTERS), truth, clusters=True)
    assert report.class_names == ("field", "forest", "water")


ATTRIBUTES = """<PAMDataset><PAMRasterBand band="1"><GDALRasterAttributeTable>
<FieldDefn index="0"><Name>Value</Name><Type>0</Type><Usage>5</Usage></FieldDefn>
<FieldDefn index="1"><Name>Cover</Name><Type>2</Type><Usage>2</Usage></FieldDefn>
<Row index="0"><F>1</F><F>forest</F></Row><Row index="1"><F>2</F><F>water</F></Row>
</GDALRasterAttributeTable></PAMRasterBand></PAMDataset>"""


def test_names_in_a_raster_attribute_table_count(write_raster) -> None:
    path = write_raster("l.tif", CLUSTERS)
    path.with_name("l.tif.aux.xml").write_text(ATTRIBUTES)
    assert read_categories(path)[0] == {1: "forest", 2: "water"}


def test_names_in_a_table_of_arcgis_count(write_raster, tmp_path) -> None:
    path = write_raster("l.tif", CLUSTERS)
    columns = {
        "VALUE": [1, 2],
        "COUNT": [5.0, 7.0],
        "Note": ["a", "b"],
        "Class_Name": ["Föhre", "sea"],
    }
    pyogrio.write_dataframe(pd.DataFrame(columns), tmp_path / "t.dbf", driver="ESRI Shapefile")
    for suffix in ("dbf", "cpg"):
        (tmp_path / f"t.{suffix}").rename(tmp_path / f"l.tif.vat.{suffix}")
    assert read_categories(path)[0] == {1: "Föhre", 2: "sea"}
    (tmp_path / "l.tif.vat.dbf").write_bytes(b"no table")
    with pytest.raises(
        LabelError, match=r"l\.tif\.vat\.dbf: is no table of names for l\.tif; remove"
    ):
        read_categories(path)


def test_a_class_lost_between_pixel_centres_is_named(write_raster, tmp_path, lines) -> None:
    fine = CLUSTERS.repeat(4, 0).repeat(4, 1)
    fine[40, 40] = 7
    finer = rasterio.Affine(PIXEL / 4, 0, LEFT, 0, -PIXEL / 4, TOP)
    labels = write_raster("fine.tif", fine, transform=finer)
    evaluate(write_raster("scene.tif", CLUSTERS), labels, clusters=True)
    assert "WARNING classes without any label: class 7." in lines()


# --- matching by name, through files --------------------------------------------------------------


def test_a_label_file_that_lacks_a_class_scores_a_perfect_map_as_such(
    draw, clusters, tmp_path, lines
) -> None:
    areas = [(name, box(1, 10 * k + 1, 20, 8)) for k, name in enumerate(("field", "forest", "sea"))]
    assign_classes(clusters, draw(areas), tmp_path / "out")
    perfect = tmp_path / "out" / "scene_classes.tif"
    fewer = draw(areas[1:], "valid.gpkg")
    rasterize_labels(fewer, clusters, tmp_path / "valid.tif")
    for labels in (fewer, tmp_path / "valid.tif"):
        report = evaluate(perfect, labels)
        assert (report.accuracy, report.basis) == (1, "")
    assert "WARNING classes that only the maps have, not the labels: field" in lines()


def test_a_class_map_without_its_side_file_has_the_names_of_its_legend(
    draw, clusters, tmp_path
) -> None:
    areas = [(name, box(1, 10 * k + 1, 20, 8)) for k, name in enumerate(("field", "forest", "sea"))]
    assign_classes(clusters, draw(areas), tmp_path / "out")
    (tmp_path / "out" / "scene_classes.tif.aux.xml").unlink()
    report = evaluate(tmp_path / "out" / "scene_classes.tif", draw(areas[1:], "valid.gpkg"))
    assert (report.accuracy, report.basis) == (1, "")


def test_maps_and_labels_without_a_common_name_are_refused(draw, clusters, tmp_path) -> None:
    assign_classes(clusters, draw([FOREST, WATER]), tmp_path / "out")
    other = draw([("wood", FOREST[1]), ("lake", WATER[1])], "other.gpkg")
    with pytest.raises(LabelError, match=r"No class of the maps \(forest, water\) has the name"):
        evaluate(tmp_path / "out" / "scene_classes.tif", other)


def test_a_background_is_no_named_class(draw, clusters, tmp_path) -> None:
    found = rasterize_labels(draw([FOREST]), clusters, tmp_path / "l.tif", background=0)
    assert (found.counts[1], found.names[1]) == (36, "forest")


def test_a_background_that_is_not_listed_is_refused(draw, clusters, tmp_path) -> None:
    classes = make_class_list({4: "forest"})
    with pytest.raises(LabelError, match=r"--background: class 0 is not in the class list \(4 for"):
        rasterize_labels(draw([FOREST]), clusters, tmp_path / "l.tif", classes=classes,
                         background=0)  # fmt: skip


def test_class_maps_of_two_legends_meet_by_name(draw, write_raster, tmp_path) -> None:
    for name, kinds in (("a", ("bog", "forest", "sea")), ("b", ("forest", "sea", "well"))):
        path = write_raster(f"maps/{name}_clusters.tif", CLUSTERS)
        areas = [(kind, box(1, 10 * k + 1, 20, 8)) for k, kind in enumerate(kinds)]
        labels = draw(areas, f"{name}.gpkg")
        assign_classes(path, labels, tmp_path / f"out_{name}")
        target = tmp_path / "classes" / f"{name}.tif"
        target.parent.mkdir(exist_ok=True)
        for ending in ("", ".aux.xml"):
            (tmp_path / f"out_{name}" / f"{name}_classes.tif{ending}").rename(f"{target}{ending}")
        (tmp_path / "truth").mkdir(exist_ok=True)
        labels.rename(tmp_path / "truth" / labels.name)
    report = evaluate(tmp_path / "classes", tmp_path / "truth")
    assert report.accuracy == 1
    assert set(report.class_names) == {"bog", "forest", "sea", "well"}


def test_numbers_names_and_colours_come_from_a_list(draw, clusters, tmp_path) -> None:
    classes = make_class_list({4: "forest", 9: "water"}, {4: (1, 2, 3)})
    path = tmp_path / "l.tif"
    found = rasterize_labels(draw([FOREST]), clusters, path, classes=classes)
    assert found.counts == {4: 36}
    names, colours = read_categories(path)
    assert (names, colours[4]) == ({4: "forest"}, (1, 2, 3))
    with pytest.raises(LabelError, match="the class 'lake', which is not in the class list"):
        rasterize_labels(draw([("lake", FOREST[1])]), clusters, path, classes=classes,
                         overwrite=True)  # fmt: skip


def test_a_class_whose_shapes_have_no_geometry_is_named(draw, clusters, tmp_path, lines) -> None:
    rasterize_labels(draw([FOREST, ("bog", None), ("bog", shapely.Point())]), clusters,
                     tmp_path / "l.tif")  # fmt: skip
    assert "WARNING classes without any label: 'bog'." in lines()
    assert "2 of 3 shapes have no geometry and are left out" in lines()


def test_a_list_as_class_is_refused(tmp_path, clusters) -> None:
    feature = {"type": "Feature", "properties": {"class": ["a"]}}
    feature["geometry"] = shapely.geometry.mapping(FOREST[1])
    path = tmp_path / "l.geojson"
    path.write_text(json.dumps({"type": "FeatureCollection", "features": [feature]}))
    with pytest.raises(LabelError, match="field 'class' holds lists; expected class numbers"):
        rasterize_labels(path, clusters, tmp_path / "l.tif")


def test_a_map_that_names_only_unknown_is_told_apart_by_number(draw, clusters, tmp_path) -> None:
    numbers = draw([(0, FOREST[1]), (1, WATER[1])])
    assign_classes(clusters, numbers, tmp_path / "out", unlabelled="unknown")
    names = draw([FOREST, WATER], "names.gpkg")
    perfect = tmp_path / "out" / "scene_classes.tif"
    with pytest.raises(LabelError, match=r"holds class numbers, but .* holds names .*--classes"):
        evaluate(perfect, names)
    listed = make_class_list({0: "forest", 1: "water"})
    assert evaluate(perfect, names, classes=listed).accuracy == 1


def test_many_shapes_without_a_label_take_no_time(draw, clusters, tmp_path, lines) -> None:
    specks = [("tree", box(i % 20 + 0.6, i // 20 % 28 + 0.6, 0.2, 0.2)) for i in range(2000)]
    stacked = [("under", box(4, 22, 1, 1))] * 20 + [("over", box(4, 22, 1, 1))]
    rasterize_labels(draw([*specks, *stacked]), clusters, tmp_path / "l.tif")
    assert "class 'under': none of its 20 shape(s) gives a label: 20 wholly under" in lines()
    assert "class 'tree': none of its 2000 shape(s) gives a label: 2000 covering no" in lines()


def test_numbers_as_text_are_said_and_stray_names_warned_of(
    draw, clusters, tmp_path, lines
) -> None:
    text = draw([("1", FOREST[1]), ("2", WATER[1])])
    assert rasterize_labels(text, clusters, tmp_path / "a.tif").counts == {1: 36, 2: 36}
    assert "INFO" in lines() and "holds numbers as text; they are taken as class numbers" in lines()
    stray = draw([("1", FOREST[1]), ("2", WATER[1]), ("2?", box(15, 2, 2, 2))], "stray.gpkg")
    found = rasterize_labels(stray, clusters, tmp_path / "b.tif")
    assert found.counts == {1: 36, 2: 36, 3: 4}
    assert "WARNING" in lines() and "holds numbers and names (such as '2?')" in lines()


def test_a_share_of_the_label_files_numbers_classes_as_all_do(
    draw, write_raster, tmp_path, lines
) -> None:
    for name, kind in (("a", "bog"), ("b", "forest"), ("c", "water")):
        write_raster(f"maps/{name}_clusters.tif", CLUSTERS)
        (tmp_path / "labels").mkdir(exist_ok=True)
        draw([(kind, FOREST[1])], f"labels/{name}.gpkg")
    report = assign_classes(tmp_path / "maps", tmp_path / "labels", tmp_path / "out",
                            unlabelled="unknown", gt_fraction=0.34, seed=3)  # fmt: skip
    (number, name), *_ = report.votes.names.items() if report.votes else ()
    assert (number, name) == (0, "bog")
    assert "2 label file(s) are left out by --gt_fraction" in lines()
