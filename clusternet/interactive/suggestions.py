"""Where to draw next: regions of a scene, the least certain one first, each once."""

from __future__ import annotations

import threading
from collections.abc import Sequence

from clusternet.labels.strokes import Stroke
from clusternet.learning.classifiers import Classifier
from clusternet.learning.mapping import least_certain
from clusternet.prediction.feature_cache import FeatureCache
from clusternet.windows import Window


class Suggestions:
    """The regions that were suggested since the last stroke; safe to use from any thread."""

    def __init__(self) -> None:
        """Start with none."""
        self._given: list[Window] = []
        self._lock = threading.Lock()

    def forget(self) -> None:
        """Start over, as strokes have changed."""
        with self._lock:
            self._given = []

    def next(
        self,
        cache: FeatureCache,
        classifier: Classifier | None,
        strokes: Sequence[Stroke],
        land_class: int | None,
    ) -> Window | None:
        """Return the window where the classes are least certain; a new one each time, or None.

        Args:
            cache: features of the scene.
            classifier: fitted to the strokes.
            strokes: drawn on the scene.
            land_class: number of a class; then the window where it is least certain whether
                pixels are of this class.
        """
        if classifier is None:
            return None
        with self._lock:
            skip = list(self._given)
        known = land_class if land_class in classifier.numbers else None
        window = least_certain(cache, classifier, strokes, skip, land_class=known)
        with self._lock:
            self._given = [] if window is None else [*self._given, window]
        return window
