"""A training that several processes share: what cannot be, and where it goes on after a loss."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from clusternet.errors import SettingsError
from clusternet.processes.groups import ALONE, Team, Work
from clusternet.settings import TrainingSettings
from clusternet.training.run_files import STATE
from clusternet.training.run_outputs import RunOutputs


@dataclass(frozen=True)
class TrainingJob:
    """What the processes of a training need to know."""

    outputs: RunOutputs
    settings: TrainingSettings
    current_epoch: int = 0
    """Epochs that count as done in a new run."""
    saved: tuple[int, int] | None = None
    """Tells one checkpoint in the run folder from the next; None if there is none."""


class SharedTraining:
    """The jobs of a training whose processes may die: each goes on from the last checkpoint."""

    def __init__(self, job: TrainingJob) -> None:
        """Take note of the checkpoint that is there already: an earlier run may have left it."""
        self._job = replace(job, saved=_saved(job.outputs.output))

    def next_job(self) -> TrainingJob:
        """Return what to do now; called when no process is at work."""
        outputs = self._job.outputs
        outputs.tidy()
        saved = _saved(outputs.output)
        if saved != self._job.saved:  # our own, since this process has locked the run folder
            self._job = replace(self._job, outputs=replace(outputs, resume=True), saved=saved)
        return self._job


def carry_out(work: Work[TrainingJob], job: TrainingJob, team: Team | None) -> None:
    """Do a job with a team, or in this process where there is none.

    Raises:
        SettingsError: if a team cannot do it.
    """
    if team is None:
        work(ALONE, job)
        return
    check_shareable(job.settings)
    team.run(work, SharedTraining(job).next_job)


def _saved(output: Path) -> tuple[int, int] | None:
    try:
        found = (output / STATE).stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns


def check_shareable(settings: TrainingSettings) -> None:
    """Refuse settings that only a single process can train with.

    Raises:
        SettingsError: naming the setting.
    """
    if settings.cluster_scope == "batch":
        raise SettingsError(
            "--cluster_scope batch: clusters all pixels of a group of patches, which would all "
            "have to travel between workers; take --cluster_scope epoch, or leave --ray and "
            "--num_workers out."
        )
