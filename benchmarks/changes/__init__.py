"""Changes of the method, which curve.py trains one at a time beside the method as it is.

They are no options of ClusterNet; docs/experiments.md has the scores of each. A change sets values
of settings, or replaces functions and classes of the package.
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

_LEARNER = "clusternet.training.learner.Learner"
_AUGMENT = "clusternet.training.epoch_plan.augment"
_FEATURES = "clusternet.network.unet.features_tensor"
_RELIGHT = "clusternet.patches.augmentation._View.relight"
_ALGORITHM = "clusternet.training.train.alternate"


@dataclass(frozen=True)
class Change:
    """One difference from the method as it is."""

    settings: Mapping[str, Any] = field(default_factory=dict)
    replacements: Mapping[str, Any] = field(default_factory=dict)
    """Dotted name of a function or class of the package -> its replacement."""

    def settings_from(self, settings: TrainingSettings) -> TrainingSettings:
        """Return settings with the values of this change."""
        return dataclasses.replace(settings, **self.settings)

    @contextmanager
    def in_force(self) -> Iterator[None]:
        """Apply the replacements within the block."""
        with ExitStack() as stack:
            for name, replacement in self.replacements.items():
                stack.enter_context(patch(name, replacement))
            yield


NO_CHANGE = Change()
CHANGES: Mapping[str, Change] = {
    # steps
    "rate_low": Change({"learn_rate": 2e-4}),
    "rate_high": Change({"learn_rate": 1e-3}),
    "batch_16": Change({"train_batch_size": 16}),
    "fresh_head": Change(replacements={_LEARNER: phases.FreshHead}),
    # views
    "no_views": Change({"augment": False}),
    "turns_only": Change(replacements={_RELIGHT: views.same_light}),
    "light_only": Change(replacements={_AUGMENT: views.light_only}),
    "blur": Change(replacements={_AUGMENT: views.blurred}),
    "zoom": Change(replacements={_AUGMENT: views.zoomed}),
    "band_hidden": Change(replacements={_AUGMENT: views.band_hidden}),
    # labels
    "clusters_50": Change({"num_clusters": 50}),
    "clusters_200": Change({"num_clusters": 200}),
    "sinkhorn": Change(replacements={_LEARNER: labels.BalancedLabels}),
    "soft": Change(replacements={_LEARNER: labels.SoftTargets, _AUGMENT: labels.augment_soft}),
    "superpixels": Change(replacements={_LEARNER: labels.SuperpixelLabels}),
    "mean_teacher": Change(replacements={_LEARNER: labels.MeanTeacher}),
    # what is clustered
    "alone": Change({"fixed_filters": False}),
    "alone_plain": Change({"fixed_filters": False, "feature_transform": "none"}),
    "alone_standardised": Change({"fixed_filters": False, "feature_transform": "standardise"}),
    "alone_whitened": Change({"fixed_filters": False, "feature_transform": "whiten"}),
    "standardised": Change({"feature_transform": "standardise"}),
    "whitened": Change({"feature_transform": "whiten"}),
    "unit_length": Change(replacements={_FEATURES: networks.unit_features}),
    "averaged": Change(replacements={_FEATURES: networks.averaged_features}),
    # the network, and what comes before the first clustering
    "group_norm": Change(
        replacements={
            "clusternet.training.learner.build_network": networks.normalised_network,
            "clusternet.prediction.networks.build_network": networks.normalised_network,
        }
    ),
    "inpainting": Change(replacements={_ALGORITHM: phases.inpainting_first}),
}
"""Name on the command line -> change."""
