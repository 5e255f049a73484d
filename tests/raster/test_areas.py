"""An area of interest: pixels outside of its polygons are nodata, and are not even read."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import geopandas
import numpy as np
import pytest
import shapely
from conftest import WriteRaster

from clusternet.errors import ClusterNetError, GridMismatchError, LabelError
from clusternet.nodata import NodataChoice
from clusternet.raster import Raster, open_raster
from clusternet.raster.screens import inside_area
from clusternet.types import BoolArray
from clusternet.windows import Window

LEFT, TOP, PIXEL = 448_000, 5_412_000, 0.5  # of rasters by the write_raster fixture
Draw = Callable[..., Path]


def pixel_box(row: int, col: int, height: int, width: int) -> shapely.Polygon:
    left, top = LEFT + col * PIXEL, TOP - row * PIXEL
    return shapely.box(left, top - height * PIXEL, left + width * PIXEL, top)


@pytest.fixture
def draw(tmp_path: Path) -> Draw:
    """Return ``draw(*shapes, crs)``: a file of shapes."""

    def write(*shapes: shapely.Geometry, crs: int = 4326, name: str = "area.gpkg") -> Path:
        frame = geopandas.GeoDataFrame(
            {"use": ["x"] * len(shapes)}, geometry=list(shapes), crs=32631
        )
        frame.to_crs(crs).to_file(tmp_path / name)
        return tmp_path / name

    return write


@pytest.fixture
def scene(write_raster: WriteRaster) -> Path:
    return write_raster("scene.tif", np.full((40, 60), 9, np.uint8))


def inside(scene: Path, area: Path) -> BoolArray:
    with open_raster(scene, NodataChoice(aoi=area)) as raster:
        assert raster.profile.has_mask
        return raster.read(Window(0, 0, 40, 60))[1]


@pytest.mark.parametrize("crs", [32631, 4326, 3857])
def test_holes_and_parts_count_in_any_crs(scene: Path, draw: Draw, crs: int) -> None:
    holed = pixel_box(2, 3, 20, 30).difference(pixel_box(8, 10, 5, 6))
    expected = np.zeros((40, 60), bool)
    expected[2:22, 3:33], expected[8:13, 10:16], expected[30:38, 50:60] = True, False, True
    parts = shapely.MultiPolygon([holed, pixel_box(30, 50, 8, 20)])
    assert (inside(scene, draw(parts, crs=crs)) == expected).all()


def test_windows_outside_are_not_read(
    scene: Path, draw: Draw, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[Window] = []
    before = Raster._read_bands

    def counted(raster: Raster, window: Window) -> object:
        read.append(window)
        return before(raster, window)

    monkeypatch.setattr(Raster, "_read_bands", counted)
    with open_raster(scene, NodataChoice(aoi=draw(pixel_box(0, 0, 10, 10)))) as raster:
        pixels, valid = raster.read(Window(20, 20, 10, 10))
        assert not valid.any() and not pixels.any() and read == []
        assert raster.read(Window(0, 0, 10, 10))[1].all() and len(read) == 1


def test_rasters_outside_are_told(scene: Path, draw: Draw, write_raster: WriteRaster) -> None:
    with open_raster(scene) as raster:
        profile = raster.profile
    # its bounding box covers the raster, but none of its sides
    around = pixel_box(-10, -10, 60, 80).difference(pixel_box(-5, -5, 50, 70))
    assert inside_area([profile], None) == [True]
    assert inside_area([profile], draw(pixel_box(0, 0, 1, 1))) == [True]
    with pytest.raises(GridMismatchError, match=r"none of its polygons, .* lies on .*scene"):
        inside_area([profile], draw(around, name="around.gpkg"))


def test_other_files_are_refused(scene: Path, draw: Draw, tmp_path: Path) -> None:
    with pytest.raises(LabelError, match="expected polygons, for --aoi, found Point"):
        inside(scene, draw(shapely.Point(LEFT, TOP)))
    (tmp_path / "area.txt").write_text("no shapes")
    for path in (tmp_path / "none.gpkg", tmp_path / "area.txt"):
        with pytest.raises(ClusterNetError):
            inside(scene, path)
