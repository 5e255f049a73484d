"""What `make demo` shows at its end: scores beside those of a baseline, and pictures."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from clusternet.colours import palette
from clusternet.demo.baselines import cluster_bands
from clusternet.demo.scene import CLASS_COLOURS, DEMO
from clusternet.evaluation.evaluate import evaluate
from clusternet.files.outputs import Kind
from clusternet.files.pictures import colour_labels, is_our_png, save_png, side_by_side, stretch
from clusternet.raster import open_raster
from clusternet.types import AnyArray, UInt8Array
from clusternet.windows import Window

_PICTURE = Kind(
    "picture",
    # Earlier versions did not sign their pictures; those are known by the folder they lie in.
    lambda path: (
        is_our_png(path) or (path.parent.name == "pictures" and DEMO.owns(path.parents[1]))
    ),
)


@dataclass(frozen=True)
class DemoScore:
    """Scores of the clusters of one scene, named by the truth in a tenth of its blocks."""

    scene: str
    features: str
    """What was clustered."""
    accuracy: float
    mean_iou: float


def compare_with_bands(
    scene: Path, maps: Path, work: Path, num_clusters: int, *, overwrite: bool = False
) -> list[DemoScore]:
    """Score cluster maps of the demo's scenes, and maps of K-Means on the bands beside them.

    Args:
        scene: folder with ``images`` and ``masks``, as `clusternet.demo.scene.write_scenes`
            leaves it.
        maps: folder of the cluster maps.
        work: folder for the maps of K-Means on the bands.
        num_clusters: number of clusters of K-Means; take that of the maps, to compare like with
            like.
        overwrite: replace the maps of an earlier call.
    """
    images = sorted((scene / "images").glob("*.tif"))
    cluster_bands(scene / "images" / "train.tif", images, work, num_clusters=num_clusters,
                  overwrite=overwrite)  # fmt: skip
    scores = []
    for image in images:
        labels = scene / "masks" / image.name
        with _label_messages_once():
            for name, folder in (("K-Means on the bands", work), ("ClusterNet", maps)):
                report = evaluate(folder / f"{image.stem}_clusters.tif", labels, clusters=True)
                if report.draws is None:
                    continue
                accuracy, iou = report.draws.accuracy.mean(), report.draws.mean_iou.mean()
                scores.append(DemoScore(image.stem, name, float(accuracy), float(iou)))
    return scores


@contextmanager
def _label_messages_once() -> Iterator[None]:
    """Log each message about labels once, although several evaluations read the same labels."""
    logged: set[str] = set()

    def is_new(record: logging.LogRecord) -> bool:
        is_known = record.getMessage() in logged
        logged.add(record.getMessage())
        return not is_known

    label_logger = logging.getLogger("clusternet.legend.inventory")
    label_logger.addFilter(is_new)
    try:
        yield
    finally:
        label_logger.removeFilter(is_new)


def draw_scenes(
    scene: Path, maps: Path, classes: Path, pictures: Path, *, overwrite: bool = False
) -> list[Path]:
    """Draw image, cluster map, class map and truth of every scene side by side as PNG."""
    drawn = []
    for image in sorted((scene / "images").glob("*.tif")):
        pixels, valid = _read(image)
        panels = [stretch(pixels, valid)]
        for path, colours in (
            (maps / f"{image.stem}_clusters.tif", palette(255)),
            (classes / f"{image.stem}_classes.tif", CLASS_COLOURS),
            (scene / "masks" / image.name, CLASS_COLOURS),
        ):
            labels, known = _read(path, codes=True)
            shown = np.where(known, labels[..., 0].astype(np.int32), -1)
            panels.append(colour_labels(shown, -1, _rgb(colours)))
        above = side_by_side(panels[:2], captions=["image", "clusters: no labels used"])
        below = side_by_side(panels[2:], captions=["classes: from twenty polygons", "truth"])
        path = pictures / f"{image.stem}.png"
        save_png(path, np.concatenate([above, below]), kind=_PICTURE, overwrite=overwrite)
        drawn.append(path)
    return drawn


def _read(path: Path, *, codes: bool = False) -> tuple[AnyArray, AnyArray]:
    with open_raster(path, codes=codes) as raster:
        return raster.read(Window(0, 0, *raster.profile.shape))


def _rgb(colours: AnyArray) -> UInt8Array:
    return np.asarray(colours, np.uint8).reshape(-1, 3)
