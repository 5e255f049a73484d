"""One change of the method at a time, for curve.py to train beside the method as it is.

None is an option of the tool: docs/experiments.md says what each was worth. A change is values of
settings, or parts of the package with others in their place.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any
from unittest.mock import patch

from changes import labels, networks, phases, views
from clusternet.settings import TrainingSettings

_LEARNER = "clusternet.training.train.Learner"
_AUGMENT = "clusternet.training.epoch_plan.augment"
_FEATURES = "clusternet.network.unet.features_tensor"
_ALGORITHM = "clusternet.training.train.alternate"


@dataclass(frozen=True)
class Change:
    """What differs from the method as it is."""

    settings: Mapping[str, Any] = field(default_factory=dict)
    parts: Mapping[str, Any] = field(default_factory=dict)
    """Dotted name of a part of the package -> what takes its place."""

    def settings_from(self, settings: TrainingSettings) -> TrainingSettings:
        """Return settings with the values of this change."""
        return dataclasses.replace(settings, **self.settings)

    @contextmanager
    def in_force(self) -> Iterator[None]:
        """Put the parts in their places for a while."""
        with ExitStack() as stack:
            for name, part in self.parts.items():
                stack.enter_context(patch(name, part))
            yield


NO_CHANGE = Change()
CHANGES: Mapping[str, Change] = {
    # steps
    "rate_low": Change({"learn_rate": 2e-4}),
    "rate_high": Change({"learn_rate": 1e-3}),
    "batch_16": Change({"train_batch_size": 16}),
    "fresh_head": Change(parts={_LEARNER: phases.FreshHead}),
    # views
    "no_views": Change({"augment": False}),
    "turns_only": Change(parts={"clusternet.patches.augmentation._relight": views.same_light}),
    "light_only": Change(parts={_AUGMENT: views.light_only}),
    "blur": Change(parts={_AUGMENT: views.blurred}),
    "zoom": Change(parts={_AUGMENT: views.zoomed}),
    "band_hidden": Change(parts={_AUGMENT: views.band_hidden}),
    # labels
    "clusters_50": Change({"num_clusters": 50}),
    "clusters_200": Change({"num_clusters": 200}),
    "sinkhorn": Change(parts={_LEARNER: labels.BalancedLabels}),
    "soft": Change(parts={_LEARNER: labels.SoftTargets, _AUGMENT: labels.augment_soft}),
    "superpixels": Change(parts={_LEARNER: labels.SuperpixelLabels}),
    "mean_teacher": Change(parts={_LEARNER: labels.MeanTeacher}),
    # what is clustered
    "alone": Change({"fixed_filters": False}),
    "alone_plain": Change({"fixed_filters": False, "feature_transform": "none"}),
    "alone_standardised": Change({"fixed_filters": False, "feature_transform": "standardise"}),
    "alone_whitened": Change({"fixed_filters": False, "feature_transform": "whiten"}),
    "standardised": Change({"feature_transform": "standardise"}),
    "whitened": Change({"feature_transform": "whiten"}),
    "unit_length": Change(parts={_FEATURES: networks.unit_features}),
    "averaged": Change(parts={_FEATURES: networks.averaged_features}),
    # the network, and what comes before the first clustering
    "group_norm": Change(
        parts={
            "clusternet.training.learner.build_network": networks.normalised_network,
            "clusternet.prediction.predictor.build_network": networks.normalised_network,
        }
    ),
    "inpainting": Change(parts={_ALGORITHM: phases.inpainting_first}),
}
"""Name on the command line -> change."""
