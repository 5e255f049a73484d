"""Tiling scenes of separate files, inside an area of interest, and what the patches remember."""

from __future__ import annotations

from pathlib import Path

import geopandas
import numpy as np
import pytest
import shapely
from conftest import WriteRaster
from loopback import loopback

from clusternet.errors import GridMismatchError, OutputError, RasterError, SettingsError
from clusternet.patches.bands import Bands
from clusternet.patches.folder import open_patches
from clusternet.patches.manifest import read_manifest
from clusternet.raster import open_raster
from clusternet.scene_rule import SceneRule
from clusternet.settings import TilingSettings
from clusternet.tiling.tile import tile_rasters
from clusternet.windows import Window

RULE = SceneRule("B02,B03", "SCL", "9")
SETTINGS = TilingSettings(
    patch_shape=(16, 16), stack="B02,B03", mask_band="SCL", mask_values="9", edge="pad"
)


@pytest.fixture
def bands(write_raster: WriteRaster, tmp_path: Path) -> Path:
    """Two scenes of two bands of 32 x 32 pixels; clouds in the first row of the first."""
    for name in ("a", "b"):
        for i, band in enumerate(("B02", "B03"), 1):
            write_raster(f"in/{name}_{band}.tif", np.full((32, 32), 100 * i, np.uint16))
        clouds = np.zeros((32, 32), np.uint8)
        clouds[0] = 9 if name == "a" else 0
        write_raster(f"in/{name}_SCL.tif", clouds)
    return tmp_path / "in"


def test_patches_are_of_the_stack(bands: Path, tmp_path: Path) -> None:
    report = tile_rasters(bands, tmp_path / "patches", SETTINGS, workers=1)
    assert (report.rasters, report.written) == (2, 8)
    with open_raster(tmp_path / "patches/a/00000_00016.tif") as patch:
        pixels, valid = patch.read(Window(0, 0, 16, 16))
        assert patch.profile.bands.descriptions == ("B02", "B03")
    assert (pixels == (100, 200)).all()
    assert not valid[0].any() and valid[1:].all()


def test_patches_and_runs_remember_how_scenes_are_made(bands: Path, tmp_path: Path) -> None:
    tile_rasters(bands, tmp_path / "patches", SETTINGS, workers=1)
    manifest = read_manifest(tmp_path / "patches")
    assert manifest is not None and manifest.given is not None
    assert manifest.given.scene == RULE
    assert manifest.rasters[0].identity.descriptions == ("B02", "B03")
    assert open_patches(tmp_path / "patches").choice.scene == RULE
    run = Bands(2, "uint16", None, (0.0, 0.0), (1.0, 1.0), (16, 16), scene=RULE)
    run.save(tmp_path / "bands.json")
    assert Bands.load(tmp_path / "bands.json") == run
    assert Bands.load(tmp_path / "bands.json").nodata_choice.scene == RULE


def test_only_patches_inside_an_area_are_written(bands: Path, tmp_path: Path) -> None:
    area = tmp_path / "area.geojson"
    box = shapely.box(448_000, 5_411_992, 448_008, 5_412_000)  # the first patch
    geopandas.GeoDataFrame(geometry=[box], crs=32631).to_crs(4326).to_file(area)
    tile_rasters(bands, tmp_path / "patches", SETTINGS, aoi=area, workers=1)
    files = sorted(path.name for path in (tmp_path / "patches").rglob("*.tif"))
    assert files == ["00000_00000.tif", "00000_00000.tif"]
    geopandas.GeoDataFrame(geometry=[shapely.Point(9, 9).buffer(1)], crs=4326).to_file(area)
    with pytest.raises(GridMismatchError, match="none of its polygons"):
        tile_rasters(bands, tmp_path / "other", SETTINGS, aoi=area, workers=1)
    assert not (tmp_path / "other").exists()


def test_what_was_cut_before_a_server_died_is_kept(
    write_raster: WriteRaster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GDAL_HTTP_MAX_RETRY", "0")
    noise = np.random.default_rng(0).integers(1, 2**16, (256, 256), np.uint16)
    for name in ("a", "b"):
        write_raster(f"www/{name}.tif", noise, tiled=True, blockxsize=128, blockysize=128)
    settings = TilingSettings(patch_shape=(128, 128))
    patches, listed = tmp_path / "patches", tmp_path / "scenes.txt"
    with loopback(tmp_path / "www") as server:
        listed.write_text(f"{server.address}/a.tif\n{server.address}/b.tif\n")
        server.heads_only = "/b.tif"
        with pytest.raises(RasterError, match=r"b\.tif: .*1 of 2 rasters are tiled"):
            tile_rasters(listed, patches, settings, workers=1)
        manifest = read_manifest(patches)
        assert manifest is not None and {patch.raster for patch in manifest.patches} == {"a"}
        assert sorted(path.name for path in patches.iterdir()) == ["a", "patches.json"]
        server.heads_only, server.ranges[:] = "", []
        report = tile_rasters(listed, patches, settings, skip_existing=True, workers=1)
        assert report.written == 8
        assert max(end for path, _, end in server.ranges if path == "/b.tif") > 100_000
        assert all(end < 20_000 for path, _, end in server.ranges if path == "/a.tif")
        other = TilingSettings(patch_shape=(64, 64))
        with pytest.raises(OutputError, match="was tiled with another size"):
            tile_rasters(listed, patches, other, skip_existing=True, workers=1)
        with pytest.raises(SettingsError, match="leave out --masks_folder"):
            tile_rasters(listed, patches, masks_folder=tmp_path, skip_existing=True)
