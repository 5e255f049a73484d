"""What an epoch costs a worker, and how many bytes travel: from shapes, and measured."""

from __future__ import annotations

import pickle
import time
from collections.abc import Callable, Generator, Iterable
from pathlib import Path
from typing import Any

from measures.epoch import EPOCH_PATCHES, measure_epoch
from measures.isolation import CORES, Figures, isolated
from measures.material import configuration, write_patches, write_raster

from scaling.material import Material

_SAMPLES_PER_CENTROID = 256
_FLOAT = 4  # bytes


def measure_costs(name: str, size: int, work: Path, count: int = 4, **changes: Any) -> Figures:
    """Measure an epoch of few patches; seconds are those of one thread.

    Args:
        name: ``default`` or ``official``.
        size: side of the patches.
        work: an empty folder.
        count: patches.
        changes: of the settings.
    """
    settings = configuration(name, train_batch_size=1 if name == "default" else 4, **changes)
    folder = write_patches(work / f"{name}_{size}", count, size)
    figures = isolated(
        measure_epoch, folder=folder, size=size, settings=settings, started=time.time()
    )
    busy = {phase: seconds * CORES for phase, seconds in figures["busy"].items()}
    grouped = settings.cluster_scope == "batch"
    sampled = min(settings.sample_patches, EPOCH_PATCHES)
    shapes = count_bytes(name, size, changes)
    return {
        "configuration": name, "size": size,
        "patch_seconds": busy["train"] + busy["label"],
        "embed_seconds": busy["embed and sample"] * (1 if grouped else EPOCH_PATCHES / sampled),
        "kmeans_seconds": busy["K-Means"] * (1 if grouped else EPOCH_PATCHES),
        "save_seconds": busy["save"] * EPOCH_PATCHES,
    } | shapes  # fmt: skip


def count_bytes(name: str, size: int, changes: dict[str, Any]) -> Figures:
    """Return the bytes of gradients, sample and codebook, from their shapes."""
    from clusternet.network.filter_sizes import num_filters
    from clusternet.network.sizes import check_shape
    from clusternet.training.run import expected_weights

    settings = configuration(name, train_batch_size=4, **changes)
    depth = settings.num_features + (num_filters(3) if settings.fixed_filters else 0)
    rows, cols = check_shape((size, size), settings.padding)
    per_centroid = settings.samples_per_centroid or _SAMPLES_PER_CENTROID
    group = settings.clust_batch_size * rows * cols if settings.cluster_scope == "batch" else 0
    return {
        "gradient_bytes": _FLOAT * expected_weights(settings, 3),
        "sample_bytes": _FLOAT * depth * (group or per_centroid * settings.num_clusters),
        "codebook_bytes": _FLOAT * depth * (settings.num_clusters + depth + 1),
        "patch_bytes": 3 * size * size,
        "batch": settings.batch_size((size, size), EPOCH_PATCHES)
        if name == "official" else configuration(name).batch_size((size, size), EPOCH_PATCHES),
        "epoch_patches": EPOCH_PATCHES if group else _epoch_patches(size),
        "group": settings.clust_batch_size if group else 0,
        "sample_patches": settings.clust_batch_size if group else settings.sample_patches,
    }  # fmt: skip


def _epoch_patches(size: int) -> int:
    from clusternet.settings import TrainingSettings

    return TrainingSettings().epoch_patches((size, size), 1_000_000)


class Counting:
    """An executor that works here and counts the bytes that would travel."""

    num_workers = 4

    def __init__(self) -> None:
        self.sent = self.received = self.pieces = 0
        self.seconds = 0.0

    def map(
        self,
        work: Callable[[Any], Any],
        items: Iterable[Any],
        *,
        ordered: bool = False,
        name: Callable[[Any], str] = str,
    ) -> Generator[tuple[int, Any], None, None]:
        """See `clusternet.processes.executors.Executor`."""
        for index, item in enumerate(items):
            start = time.process_time()
            result = work(item)
            self.seconds += time.process_time() - start
            self.pieces += 1
            self.sent += len(pickle.dumps((work, item)))
            self.received += len(pickle.dumps(result))
            yield index, result


def measure_traffic(material: Material, patch: int, base_filters: int, work: Path) -> list[Figures]:
    """Measure the bytes between command and workers, for a scene, 64 patches, or a map."""
    return [
        isolated(count_traffic, stage=stage, material=material, patch=patch,
                 base_filters=base_filters, work=work)
        for stage in ("tile", "survey", "predict", "classes", "evaluate")
    ]  # fmt: skip


def count_traffic(
    stage: str, material: Material, patch: int, base_filters: int, work: Path
) -> Figures:
    """Do a stage in one process, and count what would travel between several.

    Seconds are of the processor, which other programs disturb little. The first of two runs loads
    libraries and does not count.
    """
    for number in range(2):
        counting, start = Counting(), time.process_time()
        out = work / f"{stage}_traffic{number}"
        megapixels = _WORK[stage](counting, material, patch, base_filters, out)
        own = time.process_time() - start - counting.seconds
    return {
        "stage": stage, "megapixels": megapixels, "pieces": counting.pieces,
        "sent": counting.sent, "received": counting.received,
        "work_seconds": counting.seconds, "own_seconds": own,
    }  # fmt: skip


def _tile(executor: Counting, material: Material, patch: int, _: int, out: Path) -> float:
    from clusternet import TilingSettings, tile_rasters

    tile_rasters(material.scenes(1), out, TilingSettings((patch, patch)), executor=executor)
    return material.side**2 / 1e6


def _survey(executor: Counting, material: Material, patch: int, _: int, out: Path) -> float:
    from clusternet.patches.folder import open_patches
    from clusternet.patches.survey import survey_patches

    patches = open_patches(material.patches(64, patch))
    survey_patches(patches, patches.shape, executor=executor)
    return 64 * patch**2 / 1e6


def _predict(executor: Counting, material: Material, _: int, base_filters: int, out: Path) -> float:
    from clusternet.prediction.maps import predict_raster
    from clusternet.prediction.remote import RemotePredictor
    from clusternet.training.run import load_run

    out.mkdir(parents=True, exist_ok=True)
    predictor = RemotePredictor(load_run(material.run(base_filters)), executor)
    side = min(material.side, 1024)
    scene = out.parent / "scene.tif"  # is made in the run that does not count
    if not scene.exists():
        write_raster(scene, side)
    predict_raster(predictor, scene, out / "map.tif")
    return side**2 / 1e6


def _classes(executor: Counting, material: Material, _: int, __: int, out: Path) -> float:
    from clusternet.classes.assign import assign_classes

    assign_classes(material.maps(1), material.labels(1), out, executor=executor)
    return material.side**2 / 1e6


def _evaluate(executor: Counting, material: Material, _: int, __: int, out: Path) -> float:
    from clusternet.evaluation.report import evaluate_to_folder

    evaluate_to_folder(material.maps(1), material.labels(1), out, clusters=True, executor=executor)
    return material.side**2 / 1e6


_WORK: dict[str, Callable[[Counting, Material, int, int, Path], float]] = {
    "tile": _tile, "survey": _survey, "predict": _predict, "classes": _classes,
    "evaluate": _evaluate,
}  # fmt: skip


def measure_call(count: int = 300) -> Figures:
    """Measure the time of a piece of work that does nothing: what Ray adds to each."""
    from clusternet.distributed.cluster import ray_executor

    with ray_executor(None, 1) as executor:
        list(executor.map(abs, range(10)))
        start = time.perf_counter()
        list(executor.map(abs, range(count)))
        return {"call_seconds": (time.perf_counter() - start) / count}
