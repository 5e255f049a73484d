"""Places that people type, and scales and backdrops of scenes on Earth."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio
from interactive_scene import make_scene
from rasterio.transform import from_origin

from clusternet.errors import LabelError
from clusternet.interactive.backdrops import check_service, service_lattice
from clusternet.interactive.places import System, find_place, systems
from clusternet.raster import RasterProfile, open_raster
from clusternet.raster.world import pixel_metres


def profile_of(path: Path) -> RasterProfile:
    with open_raster(path) as raster:
        return raster.profile


@pytest.fixture
def placed(tmp_path: Path) -> RasterProfile:
    """A scene in UTM with its upper left corner at 448000, 5412000, half a metre a pixel."""
    return profile_of(make_scene(tmp_path))


def test_place_is_found_in_every_system(placed):
    assert systems(placed) == [System.CRS, System.LONLAT, System.LATLON, System.PIXEL]
    assert find_place("448050, 5411990", System.CRS, placed) == pytest.approx((20, 100))
    assert find_place(" 448050.0;5411990 ", System.CRS, placed) == pytest.approx((20, 100))
    assert find_place("20 100", System.PIXEL, placed) == (20.5, 100.5)
    (longitude,), (latitude,) = rasterio.warp.transform(
        "EPSG:32631", "EPSG:4326", [448_050], [5_411_990]
    )
    lonlat = find_place(f"{longitude:.9f}, {latitude:.9f}", System.LONLAT, placed)
    latlon = find_place(f"{latitude:.9f}° {longitude:.9f}°", System.LATLON, placed)
    assert lonlat == pytest.approx((20, 100), abs=0.01) and latlon == pytest.approx(lonlat)


@pytest.mark.parametrize("text", ["", "7", "1, 2, 3", "north 5, east 7", "1e400, 3", "5, x"])
def test_what_is_no_place_is_refused_with_what_was_expected(placed, text):
    with pytest.raises(LabelError, match=r"two numbers|not on the scene"):
        find_place(text, System.CRS, placed)


def test_place_beside_the_scene_or_beyond_the_projection_is_refused(placed):
    for text, system in (
        ("0, 0", System.CRS), ("1e300, -1e300", System.CRS), ("-1, 5", System.PIXEL),
        ("400, 0", System.LONLAT), ("200, 95", System.LONLAT), ("95, 200", System.LATLON),
    ):  # fmt: skip
        with pytest.raises(LabelError, match="not on the scene"):
            find_place(text, system, placed)


def test_scene_without_georeference_has_rows_and_columns_only(tmp_path):
    profile = profile_of(make_scene(tmp_path, georeferenced=False))
    assert systems(profile) == [System.PIXEL]
    assert pixel_metres(profile) is None and service_lattice(profile) is None


def test_scale_is_in_metres_also_where_the_crs_has_degrees(tmp_path, placed):
    assert pixel_metres(placed) == pytest.approx(0.5)
    path = tmp_path / "degrees.tif"
    with rasterio.open(
        path, "w", driver="GTiff", dtype="uint8", count=1, height=10, width=10, crs="EPSG:4326",
        transform=from_origin(10, 60, 0.001, 0.001),
    ) as dataset:  # fmt: skip
        dataset.write(np.ones((1, 10, 10), np.uint8))
    # 111.2 m to the north, half of it to the east at 60 degrees
    assert pixel_metres(profile_of(path)) == pytest.approx(111.2 * 0.5**0.5, rel=0.01)


def test_lattice_for_a_map_service_is_web_mercator(placed):
    lattice = np.array(service_lattice(placed))
    assert lattice.shape == (17, 17, 2)
    (x,), (y,) = rasterio.warp.transform("EPSG:32631", "EPSG:3857", [448_160], [5_411_880])
    assert lattice[16, 16] == pytest.approx((x, y), abs=0.01)  # the lower right corner


@pytest.mark.parametrize(
    "address",
    ["", "file:///{z}/{x}/{y}", "https://server/tiles", "javascript:{x}{y}{z}", "{x}{y}{z}",
     "https://[x/{z}/{x}/{y}", "https:///{z}/{x}/{y}"],
)  # fmt: skip
def test_only_addresses_of_tiles_are_map_services(address):
    with pytest.raises(LabelError, match=r"https://server/\{z\}/\{x\}/\{y\}.png"):
        check_service(address)
    assert check_service(" https://a/{z}/{x}/{y} ") == "https://a/{z}/{x}/{y}"
