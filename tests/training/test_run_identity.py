"""Runs that were given the same have one identity, and all others have another one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from memory_training import SETTINGS, Training, make_training

from clusternet.training.run_identity import run_identity, stated_identity


def started(output: Path, **changes: object) -> Training:
    """Return a training without epochs that is about to start."""
    return make_training(settings=replace(SETTINGS, num_epochs=0, **changes), output=output)


def identity_of(training: Training) -> str:
    """Let it start, and return what its files state."""
    training.complete()
    return stated_identity(training.observer.output / "settings.yaml")


@pytest.fixture
def identity(tmp_path: Path) -> str:
    """Of a run that was given what all others here are given."""
    return identity_of(started(tmp_path / "first"))


def test_equal_runs_have_one_identity(tmp_path: Path, identity: str) -> None:
    # how many threads read changes nothing
    assert identity_of(started(tmp_path / "other", workers=2)) == identity != ""
    # 1 in a call is 1.0 on the command line
    whole, float_ = (
        identity_of(started(tmp_path / repr(number), epoch_megapixels=number))
        for number in (1, 1.0)
    )
    assert whole == float_ != identity


@pytest.mark.parametrize("other", [{"learn_rate": 0.02}, {"augment": True}, {"seed": 2}])
def test_other_settings_give_another_identity(
    tmp_path: Path, identity: str, other: dict[str, float]
) -> None:
    assert identity_of(started(tmp_path / "run", **other)) != identity


def test_other_patches_give_another_identity() -> None:
    bands = make_training().data.survey.bands
    other = replace(bands, patches="another digest")
    assert run_identity(SETTINGS, bands, "codebook") != run_identity(SETTINGS, other, "codebook")


def test_other_weights_give_another_identity(tmp_path: Path, identity: str) -> None:
    training = started(tmp_path / "run")
    training.learner.weights *= 2
    assert identity_of(training) != identity


def test_a_run_with_nothing_to_replace_has_a_folder_before_its_first_epoch(tmp_path: Path) -> None:
    make_training(output=tmp_path / "run", overwrite=True).start()
    assert (tmp_path / "run/settings.yaml").is_file()
