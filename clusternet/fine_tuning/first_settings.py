"""The settings that a fine-tuning starts with, known without the network library."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from clusternet.settings import TrainingSettings
from clusternet.training.run import load_run


def first_settings(pretrained_weights: Path | None) -> TrainingSettings:
    """Return the settings of the run that a fine-tuning starts from; the defaults without a run.

    Only the class head is fitted then, in no epochs: with few labels, training on costs more than
    it gains (docs/results.md).

    Raises:
        RunError: if it is a folder, but not that of a run.
    """
    if pretrained_weights is None or not pretrained_weights.is_dir():
        return TrainingSettings(num_epochs=0)
    return replace(load_run(pretrained_weights).settings, num_epochs=0)
