"""The area of each class, estimated first and then counted."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from clusternet.learning.classifiers import Classifier
from clusternet.learning.mapping import count_pixels, quick_step
from clusternet.prediction.feature_cache import FeatureCache


@dataclass(frozen=True)
class Areas:
    """The pixels of each class."""

    counts: dict[int, int]
    is_exact: bool
    """False if estimated from every n-th pixel, or while features are computed."""


def count_areas(
    cache: FeatureCache,
    classifier: Classifier | None,
    smooth: int,
    *,
    is_ending: Callable[[], bool],
    is_overtaken: Callable[[], bool],
) -> Iterator[Areas]:
    """Yield an estimate of the areas, then, if it takes longer, the exact areas.

    Args:
        cache: features of the scene.
        classifier: in force, None if there is none.
        smooth: see `clusternet.learning.mapping.classify`.
        is_ending: asked before each window of the estimate; True yields nothing more.
        is_overtaken: the same of the exact count.
    """
    if classifier is None:
        yield Areas({}, True)
        return
    complete, step = cache.is_complete, quick_step(cache)
    counts = count_pixels(cache, classifier, step, smooth, stop=is_ending)
    if is_ending():
        return
    yield Areas(counts, complete and step == 1)
    if complete and step > 1:
        counts = count_pixels(cache, classifier, 1, smooth, stop=is_overtaken)
        if not is_overtaken():
            yield Areas(counts, True)
