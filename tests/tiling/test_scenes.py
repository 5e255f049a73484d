"""Tiling scenes of separate files, inside an area of interest, and what the patches remember."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import pytest
import shapely
from conftest import WriteRaster
from loopback import loopback

from clusternet.errors import GridMismatchError, OutputError, RasterError, WorkerError
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
        with pytest.raises(OutputError, match="was tiled with another patch_shape"):
            tile_rasters(listed, patches, other, skip_existing=True, workers=1)


class Failing:
    """An executor whose workers end again and again at a raster, and may be late to stop."""

    num_workers = 2

    def __init__(self, name: str) -> None:
        self._name = name
        self.late: Any = None

    def map(self, work: Any, items: Any, **how: Any) -> Iterator[tuple[int, Any]]:
        for index, item in enumerate(items):
            if item.pair.raster.name == self._name:
                self.late = partial(work, item)
                raise WorkerError(f"{item}: the worker that had it ended 3 times (out of memory?)")
            yield index, work(item)


def test_what_was_cut_before_workers_died_is_kept(
    write_raster: WriteRaster, tmp_path: Path
) -> None:
    noise = np.random.default_rng(0).integers(1, 255, (64, 64), np.uint8)
    for name in ("a", "b"):
        write_raster(f"in/{name}.tif", noise)
    settings, patches = TilingSettings(patch_shape=(32, 32)), tmp_path / "patches"
    workers = Failing("b")

    with pytest.raises(WorkerError, match=r"b\.tif, window at row 0, .*1 of 2 rasters are tiled"):
        tile_rasters(tmp_path / "in", patches, settings, executor=workers)

    assert sorted(path.name for path in patches.iterdir()) == ["a", "patches.json"]
    report = tile_rasters(tmp_path / "in", patches, settings, skip_existing=True, workers=1)
    assert report.written == 8
    with pytest.raises(OSError):
        workers.late()
    assert {path.name for path in tmp_path.iterdir()} == {"in", "patches"}


def test_label_patches_go_on_where_a_server_died(
    write_raster: WriteRaster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GDAL_HTTP_MAX_RETRY", "0")
    rng = np.random.default_rng(0)
    noise = rng.integers(1, 2**16, (256, 256), np.uint16)
    for name in ("a", "b"):
        write_raster(f"www/{name}.tif", noise, tiled=True, blockxsize=128, blockysize=128)
        write_raster(f"masks/{name}.tif", rng.integers(0, 3, (256, 256), np.uint8))
    settings = TilingSettings(patch_shape=(128, 128), crop_shape=(64, 64))
    listed, masks = tmp_path / "scenes.txt", tmp_path / "masks"

    def tile(name: str, *, skip_existing: bool = False) -> None:
        tile_rasters(
            listed, tmp_path / name, settings, masks_folder=masks, skip_existing=skip_existing,
            workers=1,
        )  # fmt: skip

    with loopback(tmp_path / "www") as server:
        listed.write_text(f"{server.address}/a.tif\n{server.address}/b.tif\n")
        tile("whole")
        # GDAL keeps what an address sent, so the second call asks another name of the server
        listed.write_text(listed.read_text().replace("127.0.0.1", "localhost"))
        server.heads_only = "/b.tif"
        with pytest.raises(RasterError, match="1 of 2 rasters are tiled"):
            tile("part")
        assert {path.parent.name for path in (tmp_path / "part_masks").rglob("*.png")} == {"a"}
        server.heads_only, server.ranges[:] = "", []
        tile("part", skip_existing=True)
        assert all(end < 20_000 for path, _, end in server.ranges if path == "/a.tif")
    for end in ("", "_masks", "_crops"):
        whole, part = tmp_path / f"whole{end}", tmp_path / f"part{end}"
        files = {path.relative_to(whole): path.read_bytes() for path in whole.rglob("*.*")}
        assert files == {path.relative_to(part): path.read_bytes() for path in part.rglob("*.*")}


def test_going_on_counts_the_labels_of_all_rasters(
    write_raster: WriteRaster, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for index, name in enumerate("ab"):
        write_raster(f"in/{name}.tif", np.ones((32, 32), np.uint16))
        write_raster(f"masks/{name}.tif", np.full((32, 32), index, np.uint8))
    settings = TilingSettings(patch_shape=(32, 32))
    tile_rasters(tmp_path / "in/a.tif", tmp_path / "patches", settings, workers=1)
    with caplog.at_level("INFO"):
        tile_rasters(
            tmp_path / "in", tmp_path / "patches", settings, masks_folder=tmp_path / "masks",
            skip_existing=True, workers=1,
        )  # fmt: skip
    assert len(list((tmp_path / "patches_masks").rglob("*.png"))) == 2
    assert "labels used: class 0 1,024 px, class 1 1,024 px" in caplog.text


@pytest.mark.parametrize("change", ["aoi", "keep_dark_region_ratio", "crops"])
def test_patches_cut_otherwise_are_not_taken(change: str, bands: Path, tmp_path: Path) -> None:
    area, patches = tmp_path / "area.geojson", tmp_path / "patches"
    box = shapely.box(448_000, 5_411_992, 448_008, 5_412_000)
    geopandas.GeoDataFrame(geometry=[box], crs=32631).to_crs(4326).to_file(area)
    tile_rasters(bands, patches, SETTINGS, aoi=area, workers=1)
    tile_rasters(bands, patches, SETTINGS, aoi=area, skip_existing=True, workers=1)
    before = sorted(path.name for path in patches.rglob("*"))
    settings = {
        "aoi": SETTINGS,
        "keep_dark_region_ratio": replace(SETTINGS, keep_dark_region_ratio=0.9),
        "crops": replace(SETTINGS, crop_shape=(8, 8)),
    }[change]
    with pytest.raises(OutputError, match=f"{change}.*--skip_existing cannot go on"):
        tile_rasters(
            bands, patches, settings, aoi=None if change == "aoi" else area, skip_existing=True,
            workers=1,
        )  # fmt: skip
    assert sorted(path.name for path in patches.rglob("*")) == before


def test_a_raster_that_has_changed_is_cut_again(write_raster: WriteRaster, tmp_path: Path) -> None:
    raster = write_raster("a.tif", np.ones((32, 32), np.uint16))
    settings = TilingSettings(patch_shape=(32, 32))
    tile_rasters(raster, tmp_path / "patches", settings, workers=1)
    write_raster("a.tif", np.full((32, 32), 7, np.uint16))
    tile_rasters(raster, tmp_path / "patches", settings, skip_existing=True, workers=1)
    with open_raster(tmp_path / "patches/a/00000_00000.tif") as patch:
        assert (patch.read(Window(0, 0, 32, 32))[0] == 7).all()
