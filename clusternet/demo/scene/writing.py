"""Write synthetic scenes as GeoTIFFs with truth, classes and label polygons."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import numpy as np

from clusternet.demo.scene.labels import write_label_polygons
from clusternet.demo.scene.making import CLASS_NAMES, Scene, make_scene
from clusternet.files.locks import claimed
from clusternet.files.outputs import Kind, new_folder
from clusternet.legend.familiar import COLOURS
from clusternet.processes.interrupts import interrupts
from clusternet.processes.progress import Progress
from clusternet.processes.waiting import run_aside
from clusternet.raster import MapForm, create_map, make_profile
from clusternet.types import BoolArray
from clusternet.value_types import check_seed
from clusternet.windows import Shape, Window

CLASS_COLOURS = np.array([COLOURS[name] for name in CLASS_NAMES], np.uint8)
"""(classes, 3), the RGB of each class in the truth rasters: as all commands give it."""

_EPSG = 32631  # UTM zone 31 north
_ORIGIN = 448_000.0, 5_412_000.0  # metres, upper left corner of the first scene
_PIXEL_SIZE = 0.5  # metres
_IMAGE_NODATA, _TRUTH_NODATA = 0, 255


_SCENES = "train", "unseen"
_FILES = {
    "classes.json", "labels.gpkg",
    *(f"{subfolder}/{name}.tif" for subfolder in ("images", "masks") for name in _SCENES),
    *(f"masks/{name}{ending}" for name in _SCENES for ending in (".qml", ".tif.aux.xml")),
}  # fmt: skip


def _class_list() -> str:
    classes = {str(value): name for value, name in enumerate(CLASS_NAMES)}
    return json.dumps(classes, indent=1) + "\n"


SCENES = Kind(
    "folder of synthetic scenes",
    lambda folder: (
        (folder / "classes.json").read_text(encoding="utf-8") == _class_list()
        and all((folder / "images" / f"{name}.tif").is_file() for name in _SCENES)
    ),
    lambda _folder: lambda relative_path: relative_path in _FILES,
)

DEMO = Kind("demo", lambda folder: SCENES.owns(folder / "scene"), lambda _: lambda _: False)
"""The folder that tools/demo.py fills; it is never replaced as a whole."""


@interrupts.listening()
def write_scenes(
    folder: Path, *, seed: int = 1, shape: Shape = (768, 1024), overwrite: bool = False
) -> list[Path]:
    """Write a scene for training and one for testing, with their truth.

    The folder then holds ``images/train.tif`` and ``images/unseen.tif`` (RGB, nodata 0),
    ``masks/train.tif`` and ``masks/unseen.tif`` (class values, nodata 255), ``classes.json``
    (value -> name), and ``labels.gpkg``, twenty small polygons drawn on the first scene. All
    are in EPSG:32631 with pixels of half a metre. Each scene has one slanted corner of nodata, as
    orthorectified images have.

    Args:
        folder: the folder to create.
        seed: fixes both scenes.
        shape: (rows, cols) of each scene; at least 128 each.
        overwrite: replace an existing folder.

    Returns:
        The two images.

    Raises:
        SettingsError: if the shape is too small, or the seed negative.
        OutputError: if the folder exists, or cannot be written.
    """
    check_seed(seed)
    with claimed(folder), new_folder(folder, kind=SCENES, overwrite=overwrite) as hidden_folder:
        for number, name in enumerate(Progress(_SCENES, desc="scenes", unit="scene")):
            # 2 * seed and 2 * seed + 1: no two seeds share a scene
            scene = run_aside(partial(make_scene, 2 * seed + number, shape))
            missing = _slanted_corner(shape, lower=number == 0)
            east = _ORIGIN[0] + number * (shape[1] + 200) * _PIXEL_SIZE
            _write_scene(hidden_folder, name, scene, missing, (east, _ORIGIN[1]))
        (hidden_folder / "classes.json").write_text(_class_list(), encoding="utf-8")
    return [folder / "images" / f"{name}.tif" for name in _SCENES]


def _slanted_corner(shape: Shape, *, lower: bool) -> BoolArray:
    """Return True (rows, cols) in a triangle at the lower right or the upper left corner."""
    down, right = (np.arange(size) / size for size in shape)
    corner: BoolArray = down[:, None] / 0.34 + right / 0.17 < 1
    return corner[::-1, ::-1] if lower else corner


def _write_scene(
    folder: Path, name: str, scene: Scene, missing: BoolArray, origin: tuple[float, float]
) -> None:
    pixels = np.where(missing[..., None], _IMAGE_NODATA, scene.pixels).astype(np.uint8)
    truth = np.where(missing, _TRUTH_NODATA, scene.truth).astype(np.uint8)
    image_path, mask_path = (folder / kind / f"{name}.tif" for kind in ("images", "masks"))
    grid = make_profile(
        image_path, missing.shape, epsg=_EPSG, origin=origin, pixel_size=_PIXEL_SIZE
    )
    whole = Window(0, 0, *missing.shape)
    with create_map(image_path, grid, MapForm(num_bands=3, nodata=_IMAGE_NODATA)) as image:
        image.write(whole, pixels)
    form = MapForm(nodata=_TRUTH_NODATA, colours=CLASS_COLOURS, names=scene.class_names)
    with create_map(mask_path, grid, form) as mask:
        mask.write(whole, truth)
    if name == "train":
        write_label_polygons(folder / "labels.gpkg", truth, grid, scene.class_names)
