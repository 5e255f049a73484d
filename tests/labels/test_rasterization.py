"""Labels drawn as vectors become a label raster on the grid of another raster."""

from __future__ import annotations

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

from clusternet.errors import ClusterNetError, GridMismatchError, LabelError, OutputError
from clusternet.labels.rasterization import rasterize_labels
from clusternet.raster.categories import read_categories

LEFT, TOP, PIXEL = 448_000, 5_412_000, 0.5  # of rasters by the write_raster fixture


def pixel_box(row: float, col: float, height: float, width: float) -> shapely.Polygon:
    """Return the box around pixels, in the coordinates of the rasters here."""
    left, top = LEFT + col * PIXEL, TOP - row * PIXEL
    return shapely.box(left, top - height * PIXEL, left + width * PIXEL, top)


@pytest.fixture
def reference(write_raster) -> Path:
    return write_raster("scene.tif", np.zeros((30, 40, 3), np.uint8))


@pytest.fixture
def draw(tmp_path: Path):
    """Return ``draw(boxes, name, crs, **fields)`` -> path."""

    def write(boxes, name="drawn.gpkg", crs=4326, **fields) -> Path:
        frame = geopandas.GeoDataFrame(
            fields, geometry=[pixel_box(*box) for box in boxes], crs=32631
        )
        frame = frame.to_crs(crs) if crs else frame.set_crs(None, allow_override=True)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "'crs' was not provided")
            frame.to_file(tmp_path / name)
        return tmp_path / name

    return write


def burnt(path: Path) -> np.ndarray:
    with rasterio.open(path) as dataset:
        return dataset.read(1)


@pytest.mark.parametrize("name", ["a.gpkg", "a.shp", "a.geojson"])
def test_names_become_numbers_with_names_and_colours(draw, reference, tmp_path, name) -> None:
    vectors = draw([(0, 0, 5, 5), (10, 10, 4, 6)], name, use=["wood", "field"])
    result = rasterize_labels(vectors, reference, tmp_path / "l.tif", class_field="use")
    expected = np.full((30, 40), 255)
    expected[:5, :5], expected[10:14, 10:16] = 1, 0
    np.testing.assert_array_equal(burnt(tmp_path / "l.tif"), expected)
    names, colours = read_categories(tmp_path / "l.tif")
    assert names == {0: "field", 1: "wood"}
    assert colours[0] != colours[1]
    assert result.counts == {0: 24, 1: 25}
    assert result.share == pytest.approx(49 / 1200)


def test_the_label_raster_lies_on_the_references_grid(draw, reference, tmp_path) -> None:
    rasterize_labels(draw([(0, 0, 5, 5)], **{"class": [3]}), reference, tmp_path / "l.tif")
    with rasterio.open(tmp_path / "l.tif") as labels, rasterio.open(reference) as scene:
        assert (labels.crs, labels.transform) == (scene.crs, scene.transform)
        assert (labels.shape, labels.count, labels.nodata) == (scene.shape, 1, 255)


def test_later_shapes_lie_on_top(draw, reference, tmp_path) -> None:
    vectors = draw([(0, 0, 9, 9), (3, 3, 3, 3)], **{"class": [1, 2]})
    rasterize_labels(vectors, reference, tmp_path / "l.tif")
    assert burnt(tmp_path / "l.tif")[4, 4] == 2


def test_an_order_field_says_what_lies_on_top(draw, reference, tmp_path) -> None:
    vectors = draw([(0, 0, 9, 9), (3, 3, 3, 3)], **{"class": [1, 2], "z": [5, 4]})
    rasterize_labels(vectors, reference, tmp_path / "l.tif", order_field="z")
    assert burnt(tmp_path / "l.tif")[4, 4] == 1


def test_background_is_a_class(draw, reference, tmp_path) -> None:
    vectors = draw([(0, 0, 5, 5)], kind=["house"])
    result = rasterize_labels(vectors, reference, tmp_path / "l.tif", burn_value=1, background=0)
    assert result.counts == {0: 1175, 1: 25}
    assert result.share == 1


def test_all_touched_labels_pixels_at_the_edge_too(draw, reference, tmp_path) -> None:
    vectors = draw([(2.7, 2.7, 1.6, 1.6)], crs=32631, **{"class": [0]})
    few = rasterize_labels(vectors, reference, tmp_path / "a.tif")
    many = rasterize_labels(vectors, reference, tmp_path / "b.tif", all_touched=True)
    assert (few.counts, many.counts) == ({0: 1}, {0: 9})


def test_class_255_takes_16_bit(draw, reference, tmp_path) -> None:
    rasterize_labels(draw([(0, 0, 5, 5)], **{"class": [255]}), reference, tmp_path / "l.tif")
    with rasterio.open(tmp_path / "l.tif") as labels:
        assert (labels.dtypes[0], labels.nodata) == ("uint16", 65535)
        assert labels.read(1)[0, 0] == 255


def test_windows_do_not_change_the_labels(draw, reference, tmp_path, monkeypatch) -> None:
    vectors = draw([(0, 0, 25, 31), (9.3, 3.2, 7.7, 21.9)], **{"class": [1, 2]})
    rasterize_labels(vectors, reference, tmp_path / "whole.tif")
    monkeypatch.setattr("clusternet.labels.rasterization._WINDOW", (7, 9))
    rasterize_labels(vectors, reference, tmp_path / "parts.tif")
    np.testing.assert_array_equal(burnt(tmp_path / "whole.tif"), burnt(tmp_path / "parts.tif"))


# --- wrong input -------------------------------------------------------------------------------


def refused(tmp_path: Path, kind: type[ClusterNetError], *args, **options) -> str:
    """Return the message of a refusal that leaves nothing behind."""
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(kind) as error:
        rasterize_labels(*args, **options)
    assert sorted(tmp_path.rglob("*")) == before
    assert "\n" not in str(error.value)
    return str(error.value)


def test_an_existing_output_is_refused(draw, reference, tmp_path) -> None:
    vectors = draw([(0, 0, 5, 5)], **{"class": [1]})
    rasterize_labels(vectors, reference, tmp_path / "l.tif")
    message = refused(tmp_path, OutputError, vectors, reference, tmp_path / "l.tif")
    assert "l.tif: exists already" in message
    rasterize_labels(vectors, reference, tmp_path / "l.tif", overwrite=True)


def test_vectors_elsewhere_are_refused(draw, reference, tmp_path) -> None:
    vectors = draw([(900, 900, 5, 5)], **{"class": [1]})
    message = refused(tmp_path, GridMismatchError, vectors, reference, tmp_path / "l.tif")
    assert "none of its 1 shapes lies on" in message


def test_vectors_without_crs_are_refused(draw, reference, tmp_path) -> None:
    vectors = draw([(0, 0, 5, 5)], crs=None, **{"class": [1]})
    message = refused(tmp_path, GridMismatchError, vectors, reference, tmp_path / "l.tif")
    assert "drawn.gpkg: has no CRS but" in message


def test_a_missing_class_field_is_refused(draw, reference, tmp_path) -> None:
    vectors = draw([(0, 0, 5, 5)], a=[1], b=[2])
    message = refused(tmp_path, LabelError, vectors, reference, tmp_path / "l.tif", class_field="c")
    assert "has no field 'c' (--class_field); fields there: a, b" in message


@pytest.mark.parametrize("option", ["background", "burn_value"])
@pytest.mark.parametrize("value", [-1, 65535])
def test_class_numbers_that_no_raster_holds_are_refused(
    draw, reference, tmp_path, option: str, value: int
) -> None:
    vectors = draw([(0, 0, 5, 5)], **{"class": [1]})
    message = refused(
        tmp_path, LabelError, vectors, reference, tmp_path / "l.tif", **{option: value}
    )
    assert "0 to 65534" in message
    assert str(value) in message


@pytest.mark.parametrize("missing", ["vectors", "reference"])
def test_missing_files_are_refused(draw, reference, tmp_path, missing: str) -> None:
    paths = {"vectors": draw([(0, 0, 5, 5)], **{"class": [1]}), "reference": reference}
    paths[missing] = tmp_path / "nothing.gpkg"
    message = refused(
        tmp_path, ClusterNetError, paths["vectors"], paths["reference"], tmp_path / "l.tif"
    )
    assert "nothing.gpkg: no such file" in message


# --- the command -------------------------------------------------------------------------------


def run_script(*args: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, ROOT / "tools" / "rasterization.py", *map(str, args)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_the_command_writes_labels_and_says_so(draw, reference, tmp_path) -> None:
    vectors = draw([(0, 0, 5, 5)], use=["wood"])
    done = run_script(vectors, reference, tmp_path / "l.tif", "--class_field", "use")
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{tmp_path / 'l.tif'}: 2.08% of the pixels labelled (wood 25 px)\n"


def test_the_command_refuses_in_one_line(reference, tmp_path) -> None:
    done = run_script(reference, reference, tmp_path / "l.tif")
    assert done.returncode == 2
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "l.tif").exists()
