"""Compute the features of a scene into its cache."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from clusternet.prediction.feature_cache import IDENTITY, WINDOW, FeatureCache, Identity, open_cache
from clusternet.prediction.quantiser import Quantiser
from clusternet.processes.progress import Progress
from clusternet.raster import open_raster
from clusternet.training.run import Run
from clusternet.types import BoolArray
from clusternet.windows import Window

if TYPE_CHECKING:
    from clusternet.prediction.predictor import Prediction, Predictor

_FLUSH_EVERY = 16  # windows


def prepare_cache(folder: Path, raster_path: Path, run: Run) -> tuple[FeatureCache, str]:
    """Open or start the cache of a raster; the network is not needed for this.

    Returns:
        the cache, and the reason for starting a new one (empty if it was opened).

    Raises:
        RunError: if the raster's bands or pixel type differ from the run's.
        OutputError: if the disk has too little space.
    """
    return open_cache(folder, *_needed(raster_path, run))


def complete_cache(folder: Path, raster_path: Path, run: Run) -> FeatureCache | None:
    """Return the cache of a raster if it is complete, else None; nothing is written.

    Raises:
        RunError: if the raster's bands or pixel type differ from the run's.
    """
    identity, quantiser = _needed(raster_path, run)
    if identity.differences(folder / IDENTITY):
        return None
    try:
        cache = FeatureCache(folder, identity.shape, quantiser)
    except (OSError, EOFError, ValueError):
        return None
    return cache if cache.is_complete else None


def _needed(raster_path: Path, run: Run) -> tuple[Identity, Quantiser]:
    with open_raster(raster_path, run.bands.nodata_choice) as raster:
        profile = raster.profile
    run.check_fits(profile)
    quantiser = Quantiser.compact(run)
    return Identity.of(profile, run, quantiser.depth), quantiser


def fill_cache(
    cache: FeatureCache,
    raster_path: Path,
    predictor: Predictor,
    *,
    stop: Callable[[], bool] = lambda: False,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> None:
    """Compute the windows that are missing in a cache.

    Args:
        cache: see `prepare_cache`.
        raster_path: the scene.
        predictor: predictor of the run, with windows of 512 pixels.
        stop: called after each window; True ends the computation.
        progress: called after each window with (windows done, all windows).
    """
    numbers = {(w.row, w.col): i for i, w in enumerate(cache.windows)}
    missing = ~cache.done
    total = len(numbers)
    progress(total - int(missing.sum()), total)
    with Progress(
        total=total, initial=total - int(missing.sum()), desc="features", unit="window",
    ) as bar:  # fmt: skip
        first = total - int(missing.sum()) + 1
        for count, prediction in enumerate(_missing(cache, raster_path, predictor, missing), first):
            number = numbers[prediction.window.row, prediction.window.col]
            cache.write(number, prediction.features, prediction.labels, prediction.valid)
            bar.update()
            progress(count, total)
            if count % _FLUSH_EVERY == 0:
                cache.flush()
            if stop():
                break
    cache.flush()


def _missing(
    cache: FeatureCache, raster_path: Path, predictor: Predictor, missing: BoolArray
) -> Iterator[Prediction]:
    wanted = {(w.row, w.col) for w, m in zip(cache.windows, missing, strict=True) if m}
    if not wanted:
        return
    # the marks of computed windows hold for windows of this size only
    if predictor.window_size != WINDOW:
        raise ValueError(f"the predictor's windows must be {WINDOW} pixels")

    def is_wanted(window: Window) -> bool:
        return (window.row, window.col) in wanted

    with (
        open_raster(raster_path, predictor.choice) as raster,
        closing(predictor.windows(raster, features=True, only=is_wanted)) as predictions,
    ):
        yield from predictions
