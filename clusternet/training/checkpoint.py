"""The checkpoint of a run: with it, an interrupted run is resumed and ends bitwise equal."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from clusternet.errors import RunError
from clusternet.files.arrays import check_array, read_arrays, write_arrays
from clusternet.files.outputs import new_file
from clusternet.settings import TrainingSettings
from clusternet.text_files import taken_apart
from clusternet.training.epoch_record import EpochRecord
from clusternet.training.run import expected_weights
from clusternet.training.run_files import STATE
from clusternet.training.run_identity import COLUMN
from clusternet.training.stored_codebook import StoredCodebook
from clusternet.types import AnyArray
from clusternet.value_types import check_types

if TYPE_CHECKING:  # it loads the network library
    from clusternet.training.learner import Learner


@dataclass(frozen=True)
class Checkpoint:
    """Everything that a resumed run needs, in one file so that it is always of one moment."""

    epoch: int
    arrays: dict[str, AnyArray]
    """Weights and optimizer variables."""
    stored: StoredCodebook
    history: tuple[EpochRecord, ...]
    identity: str = ""
    """Of the run; empty in runs of earlier versions."""

    def save(self, folder: Path) -> None:
        """Write into the run folder."""
        with new_file(folder / STATE, overwrite=True) as path:
            history = json.dumps([dataclasses.asdict(row) for row in self.history])
            moment = {"epoch": np.array(self.epoch), "history": np.array(history)}
            moment[COLUMN] = np.array(self.identity)
            state = {f"state_{name}": value for name, value in self.arrays.items()}
            write_arrays(path, moment | self.stored.to_arrays() | state)

    @classmethod
    def load(cls, folder: Path) -> Checkpoint:
        """Read back from the run folder.

        Raises:
            RunError: if the file is damaged or foreign.
        """
        values = read_arrays(folder / STATE)
        with taken_apart(RunError, f"{folder / STATE}: is not the checkpoint of a run"):
            check_array("epoch", values["epoch"], (), "iu")
            history = json.loads(str(values["history"]))
            checkpoint = cls(
                epoch=int(values["epoch"]),
                arrays={
                    name.removeprefix("state_"): value
                    for name, value in values.items()
                    if name.startswith("state_")
                },
                stored=StoredCodebook.from_arrays(values),
                history=tuple(EpochRecord(**row) for row in history),
                identity=str(values.get(COLUMN, "")),
            )
            checkpoint.check()
            return checkpoint

    def check_size(self, folder: Path, settings: TrainingSettings, num_bands: int) -> None:
        """Raise RunError if the network of the settings has another number of weights."""
        held = sum(a.size for name, a in self.arrays.items() if name.startswith("weight_"))
        expected = expected_weights(settings, num_bands)
        if held != expected:
            raise RunError(
                f"{folder}: its checkpoint does not fit this version's network (it holds {held:,} "
                f"weights, expected {expected:,}); cannot be resumed. Start a new run, or replace "
                "this one with --overwrite."
            )

    def put_into(self, learner: Learner, folder: Path) -> None:
        """Bring a network back to the end of the epoch that this was written after.

        Raises:
            RunError: if it is of another network, as earlier versions may have written it.
        """
        try:
            learner.restore(self.arrays)
            learner.freeze(self.stored.codebook)
        except (KeyError, ValueError) as error:
            reason = " ".join(str(error).split())[:120]
            raise RunError(
                f"{folder}: its checkpoint does not fit this version's network ({reason}); "
                "cannot be resumed. Start a new run, or replace this one with --overwrite."
            ) from error

    def check(self) -> None:
        """Raise ValueError if something does not fit the rest, or is not finite."""
        if self.epoch < 0 or (self.history and self.history[-1].epoch != self.epoch):
            raise ValueError(f"epoch {self.epoch}")
        for record in self.history:
            check_types(record, ValueError)
        for name, array in self.arrays.items():
            check_array(name, array, array.shape, "fiu")
