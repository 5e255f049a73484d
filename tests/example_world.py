"""A folder with one of everything that commands read and write."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import geopandas
import h5py
import interactive_scene
import numpy as np
import rasterio
import shapely
from rasterio.transform import from_origin

from clusternet.classes.assign import assign_classes
from clusternet.demo.scene import write_scenes
from clusternet.evaluation.report import write_report
from clusternet.files.outputs import KIND_TAG
from clusternet.files.pictures import save_png
from clusternet.labels.rasterization import rasterize_labels
from clusternet.raster import MapForm, create_map, open_raster
from clusternet.settings import TilingSettings
from clusternet.tiling.tile import tile_rasters
from clusternet.training.run import load_run
from clusternet.training.run_files import mark_weights
from clusternet.windows import Window

SIDE = 32
MARK = "notes.txt"
"""A file of the user in every folder."""


def build_world(folder: Path) -> set[str]:
    """Fill a folder with what commands read and write; return the paths that ClusterNet wrote."""
    ours: set[str] = set()

    @contextmanager
    def made() -> Iterator[None]:
        before = set(files_below(folder))
        yield
        ours.update(set(files_below(folder)) - before)

    (folder / "images").mkdir(parents=True)
    scene = folder / "images" / "scene.tif"
    pixels = interactive_scene.COLOURS.astype(np.uint8)[_quarters()]
    _write_raster(scene, np.moveaxis(pixels, -1, 0))
    _write_raster(folder / "labels" / "scene.tif", (_quarters()[None] % 2).astype(np.uint8))
    _write_raster(folder / "mine.tif", pixels[None, ..., 0])
    boxes = [shapely.box(448_000, 5_411_990, 448_006, 5_412_000),
             shapely.box(448_008, 5_411_990, 448_016, 5_412_000)]  # fmt: skip
    for name in ("vectors.gpkg", "mine.gpkg", "strokes.gpkg"):
        frame = geopandas.GeoDataFrame({"class": [0, 1]}, geometry=boxes, crs=32631)
        frame.to_file(folder / name)
    with h5py.File(folder / "mine.weights.h5", "w") as file:
        file["a"] = 1
    for name in (
        "mine.qml",
        "mine.tif.aux.xml",
        "fresh.qml",
        "fresh.tif.aux.xml",
        "labels.tif.aux.xml",
        "settings.yaml",
    ):
        (folder / name).write_text("{}\n")
    (folder / "mine" / "deep").mkdir(parents=True)
    with made():
        tile_rasters(scene, folder / "patches", TilingSettings((16, 16)))
        run = interactive_scene.make_run(folder)
        with open_raster(scene) as raster:
            grid = raster.profile
        tags = {KIND_TAG: "clusters", "CLUSTERNET_RUN": load_run(run).stored.identity,
                "CLUSTERNET_CLUSTERS": "4"}  # fmt: skip
        maps = folder / "maps" / "scene_clusters.tif"
        form = MapForm(nodata=255, tags=tags, names=list("abcd"))
        with create_map(maps, grid, form) as writer:
            writer.write(Window(0, 0, SIDE, SIDE), _quarters().astype(np.uint8))
        assign_classes(maps.parent, folder / "vectors.gpkg", folder / "classes", run=run,
                       polygons=folder / "polygons.gpkg")  # fmt: skip
        rasterize_labels(folder / "vectors.gpkg", scene, folder / "labels.tif")
        write_report(folder / "report", None)
        write_scenes(folder / "made", shape=(128, 128))
        write_scenes(folder / "demo" / "scene", shape=(128, 128))
        for name in ("net", "old"):
            save_weights(folder / f"{name}.weights.h5")
        for epoch in (1, 2):
            save_png(folder / "epochs" / f"epoch_00{epoch}" / "a" / "0_0.png", pixels)
    for path in [folder, *(path for path in folder.rglob("*") if path.is_dir())]:
        (path / MARK).write_text(f"mine: {path.name}")
    return ours


def _quarters() -> np.ndarray:
    return (np.arange(SIDE)[:, None] >= SIDE // 2) * 2 + (np.arange(SIDE) >= SIDE // 2)


def _write_raster(path: Path, bands: np.ndarray) -> None:
    path.parent.mkdir(exist_ok=True)
    with rasterio.open(
        path, "w", driver="GTiff", count=len(bands), height=SIDE, width=SIDE, dtype="uint8",
        crs="EPSG:32631", transform=from_origin(448_000, 5_412_000, 0.5, 0.5),
    ) as dataset:  # fmt: skip
        dataset.write(bands)


def save_weights(path: Path) -> None:
    """Write a file of weights that is ours."""
    with h5py.File(path, "w") as file:
        file["a"] = 1
    mark_weights(path)


def files_below(folder: Path) -> dict[str, bytes]:
    """Return what is in each file below a folder by its relative path, and where links lead to."""
    return {
        path.relative_to(folder).as_posix(): (
            f"link to {path.readlink()}".encode() if path.is_symlink() else path.read_bytes()
        )
        for path in folder.rglob("*")
        if path.is_symlink() or path.is_file()
    }
