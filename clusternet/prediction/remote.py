"""Predict rasters by other processes: windows go out, their clusters come back in order."""

from __future__ import annotations

import logging
import math
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import chain, islice, tee
from pathlib import Path

import numpy as np

from clusternet.errors import ClusterNetError, RasterError, RunError
from clusternet.nodata import NodataChoice
from clusternet.prediction.assigning import Assign, assign_of
from clusternet.prediction.grid import PredictionGrid, planned_window
from clusternet.prediction.predictor import Prediction, Predictor
from clusternet.processes.executors import Executor
from clusternet.raster import Raster, RasterProfile, open_raster
from clusternet.raster.band_fit import report_fit
from clusternet.training.run import Run, load_run
from clusternet.windows import Window

logger = logging.getLogger(__name__)

_MOST_BYTES = 32 * 2**20  # of the results of one piece of work
_PIECES = 4  # of a raster for each worker, at least, so that all have work to its end
_PIXEL_BYTES = 9  # cluster, validity and confidence of a pixel, at most


@dataclass(frozen=True)
class Network:
    """The network that a worker loads, and how it is applied."""

    run: Path
    identity: str
    assign: Assign
    precision: str
    window_size: int


@dataclass(frozen=True)
class WindowTask:
    """Some windows of a raster, which a worker predicts in one go."""

    network: Network
    raster: Path
    windows: tuple[Window, ...]
    """Windows of the map."""
    confidence: bool
    features: bool
    choice: NodataChoice
    """What marks pixels without data."""

    def __str__(self) -> str:
        """Name the raster and the first window, for messages."""
        first = self.windows[0]
        return f"{self.raster}, window at row {first.row}, column {first.col}"


@dataclass(frozen=True)
class WindowResult:
    """What a worker found; labels have the smallest type that holds them."""

    predictions: list[Prediction]
    num_infinite: int


class RemotePredictor:
    """Predicts windows like `Predictor`, in the processes of an executor.

    This process loads no network.
    """

    def __init__(
        self,
        run: Run,
        executor: Executor,
        *,
        assign: Assign | None = None,
        precision: str = "auto",
        window_size: int | None = None,
    ) -> None:
        """Take what `Predictor` takes, and where the work is done."""
        self.run, self.assign = run, assign_of(run, assign)
        bands = run.bands.num_bands
        self.window_size = window_size or planned_window(bands, run.settings)
        self._features_window = window_size or planned_window(
            bands, run.settings, keeps_features=True
        )
        self.choice = run.bands.nodata_choice
        """What marks pixels without data."""
        self._executor = executor
        self._sent: Iterator[tuple[WindowTask, WindowResult | ClusterNetError]] | None = None
        folder = run.folder.resolve()
        identity = run.identity(self.assign)
        self._network = Network(folder, identity, self.assign, precision, self.window_size)

    @property
    def num_clusters(self) -> int:
        """Number of clusters."""
        return self.run.settings.num_clusters

    def windows(
        self, raster: Raster, *, confidence: bool = False, features: bool = False
    ) -> Generator[Prediction, None, None]:
        """Predict a raster window by window; see `Predictor.windows`."""
        profile, run = raster.profile, self.run
        arrangement = run.check_fits(profile)
        report_fit(arrangement, run.bands.identity, profile, f"the run {run.folder}")
        tasks = self._tasks(profile, raster.choice, confidence, features)
        num_infinite = 0
        with closing(self._results(tasks)) as results:
            for result in results:
                if isinstance(result, ClusterNetError):
                    raise result
                num_infinite += result.num_infinite
                for one in result.predictions:
                    yield replace(one, labels=one.labels.astype(np.int32))
        if num_infinite:
            logger.warning("%s: infinite values count as no data", profile.path)

    @contextmanager
    def ahead(
        self, sources: Sequence[Path], aoi: Path | None, *, confidence: bool, features: bool
    ) -> Iterator[None]:
        """Let workers go on with the following rasters while one is written.

        Within the block `windows` must be called for these rasters, in their order.

        Args:
            sources: the rasters.
            aoi: their `clusternet.nodata.NodataChoice.aoi`.
            confidence: as `windows` will be asked.
            features: as `windows` will be asked.
        """
        choice = replace(self.choice, aoi=aoi)
        tasks, expected = tee(self._tasks_of(sources, choice, confidence, features))
        with closing(self._executor.map(predict_windows, tasks, ordered=True)) as results:
            self._sent = ((next(expected), result) for _, result in results)
            try:
                yield
            finally:
                self._sent = None

    def _tasks_of(
        self, sources: Sequence[Path], choice: NodataChoice, confidence: bool, features: bool
    ) -> Iterator[WindowTask]:
        for source in sources:
            try:
                with open_raster(source, choice) as raster:
                    profile, seen = raster.profile, raster.choice
                self.run.check_fits(profile)
            except ClusterNetError:
                return  # told when it is this raster's turn, and those before it are written
            yield from self._tasks(profile, seen, confidence, features)

    def _results(
        self, tasks: Iterator[WindowTask]
    ) -> Generator[WindowResult | ClusterNetError, None, None]:
        """Yield the results of a raster's pieces of work, which may have been sent before."""
        if self._sent is not None:
            for task in tasks:
                sent_task, result = next(self._sent, (None, None))
                if sent_task is None or result is None:  # the raster could not be read then
                    tasks = chain([task], tasks)
                    break
                if sent_task != task:
                    raise RasterError(
                        f"{task.raster}: has changed since the command began; call it again."
                    )
                yield result
            else:
                return
        with closing(self._executor.map(predict_windows, tasks, ordered=True)) as results:
            for _, result in results:
                yield result

    def _tasks(
        self, profile: RasterProfile, choice: NodataChoice, confidence: bool, features: bool
    ) -> Iterator[WindowTask]:
        path, shape = profile.path.resolve(), profile.shape
        side = self._features_window if features else self.window_size
        grid = PredictionGrid.plan(
            shape, self.run.bands.patch_shape, self.run.settings.padding, side
        )
        network = replace(self._network, window_size=side)
        depth = len(self.run.stored.codebook.offset) if features else 0
        rows, cols = grid.kept_shape
        most = _MOST_BYTES // (rows * cols * (_PIXEL_BYTES + 4 * depth))
        count = math.ceil(shape[0] / rows) * math.ceil(shape[1] / cols)
        size = max(1, min(most, count // (_PIECES * self._executor.num_workers)))
        windows = (kept for _, kept in grid.windows(shape))
        while some := tuple(islice(windows, size)):
            yield WindowTask(network, path, some, confidence, features, choice)


def predict_windows(task: WindowTask) -> WindowResult | ClusterNetError:
    """Predict some windows of a raster, with a network that is loaded once.

    An error is returned: raised, it would end the command while an earlier raster is written.
    """
    try:
        return _predict(task)
    except ClusterNetError as error:
        return error


def _predict(task: WindowTask) -> WindowResult:
    predictor = _load(task.network)
    wanted = set(task.windows)
    with (
        open_raster(task.raster, task.choice) as raster,
        closing(
            predictor.windows(
                raster,
                confidence=task.confidence,
                features=task.features,
                only=wanted.__contains__,
            )
        ) as predictions,
    ):
        found = [_narrow(one) for one in predictions]
        return WindowResult(found, raster.num_infinite)


def _narrow(prediction: Prediction) -> Prediction:
    """Return a prediction whose labels take as few bytes as their values need, to travel."""
    labels = prediction.labels
    kind = np.result_type(np.min_scalar_type(labels.min()), np.min_scalar_type(labels.max()))
    return replace(prediction, labels=labels.astype(kind))


@lru_cache(maxsize=1)
def _load(network: Network) -> Predictor:
    run = load_run(network.run)
    if run.identity(network.assign) != network.identity:
        raise RunError(f"{network.run}: has changed since the command began; call it again.")
    return Predictor(
        run,
        assign=network.assign,
        precision=network.precision,
        window_size=network.window_size,
    )
