"""The rules from strokes to classes, by name."""

from __future__ import annotations

from collections.abc import Callable

from threadpoolctl import threadpool_limits

from clusternet.learning.classifiers import (
    Classifier,
    Samples,
    Scene,
    fit_centroids,
    fit_forest,
    fit_logistic,
)
from clusternet.learning.ensemble import fit_ensemble
from clusternet.learning.perceptron import fit_perceptron
from clusternet.learning.published import fit_published

RULES: dict[str, Callable[[Samples, Scene], Classifier]] = {
    "perceptron": fit_perceptron,
    "ensemble": fit_ensemble,
    "logistic": fit_logistic,
    "centroids": fit_centroids,
    "clusters": fit_published,
    "forest": fit_forest,
}
"""Every rule; ``clusters`` is the published one."""
DEFAULT_RULE = "perceptron"


def fit_rule(rule: str, samples: Samples, scene: Scene) -> Classifier:
    """Fit a rule to the pixels under strokes."""
    # These fits are so small that waiting for other threads takes longer than one thread alone.
    with threadpool_limits(1):
        return RULES[rule](samples, scene)
