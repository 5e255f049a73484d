"""Computes the features of a scene that are missing, in the background."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from clusternet.classes.batch import LazyPredictor
from clusternet.errors import ClusterNetError
from clusternet.foreign_errors import mistake, reason
from clusternet.prediction.feature_cache import FeatureCache
from clusternet.prediction.filling import fill_cache

logger = logging.getLogger(__name__)

_TURN_SECONDS = 0.2  # between looks whether it is still wanted, while other scenes compute
_REFIT_SECONDS = 2.0  # between refits while features are still being computed


@dataclass(frozen=True)
class Progress:
    """How many windows of the scene have features."""

    done: int
    total: int
    message: str = ""
    """The error that stopped the computation; empty if there was none."""


class Filling:
    """The missing features of one scene."""

    def __init__(self, cache: FeatureCache, raster_path: Path, run_folder: Path) -> None:
        """Look at what is there."""
        self._cache, self._raster_path = cache, raster_path
        self._predictor = LazyPredictor(run_folder)
        self._turn = threading.Lock()
        self.progress = Progress(int(cache.done.sum()), len(cache.windows))

    def take_turns(self, turn: threading.Lock, predictor: LazyPredictor) -> None:
        """Share a network with other scenes, which compute one after another."""
        self._turn, self._predictor = turn, predictor

    def load_network(self) -> None:
        """Load the network if features are missing.

        Raises:
            RunError: if it cannot be read or does not belong to the run.
        """
        if not self._cache.is_complete:
            self._predictor.get()

    def run(self, stop: Callable[[], bool], came: Callable[[bool], object]) -> None:
        """Compute what is missing; a failure is logged and kept in ``progress``.

        Args:
            stop: asked before each window; True ends the work.
            came: called after each window, with True if the rule is to be fitted again: to the
                last window, and from time to time before.
        """
        if self._cache.is_complete:
            return
        while not self._turn.acquire(timeout=_TURN_SECONDS):
            if stop():
                return
        try:
            self._run(stop, came)
        finally:
            self._turn.release()

    def _run(self, stop: Callable[[], bool], came: Callable[[bool], object]) -> None:
        last = time.monotonic()

        def progress(done: int, total: int) -> None:
            nonlocal last
            self.progress = Progress(done, total)
            is_due = done == total or time.monotonic() - last > _REFIT_SECONDS
            if is_due:
                last = time.monotonic()
            came(is_due)

        try:
            fill_cache(
                self._cache, self._raster_path, self._predictor.get(), stop=stop, progress=progress
            )
        except Exception as error:  # shown on the page, which would otherwise wait for ever
            line = str(error)
            if not isinstance(error, ClusterNetError):
                line = f"Features cannot be computed: {reason(error)}"
            logger.error("%s", line, exc_info=mistake(error) is None)
            self.progress = replace(self.progress, message=line)
