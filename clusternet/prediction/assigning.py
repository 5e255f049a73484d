"""What a run gives pixels: clusters, or the classes that it was fine-tuned for."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from clusternet.errors import RunError
from clusternet.training.class_head import read_class_head
from clusternet.training.run import Run
from clusternet.training.run_files import CLASS_HEAD, CODEBOOK
from clusternet.training.stored_codebook import read_codebook

Assign = Literal["codebook", "head", "classes"]


def no_classes(run: Path) -> str:
    """Return the message for a run that has no classes to assign."""
    return (
        f"{run}: has no classes to assign; fine-tune it with main.py --labels, or leave --assign "
        "out for clusters."
    )


def chosen_assign(run: Path, assign: Assign | None) -> Assign:
    """Return what a run gives pixels; without a choice classes if it has them, else clusters.

    Raises:
        RunError: if classes are wanted of a run that has none.
    """
    has_classes = (run / CLASS_HEAD).is_file()
    if assign == "classes" and not has_classes:
        raise RunError(no_classes(run))
    return assign or ("classes" if has_classes else "codebook")


def assign_of(run: Run, assign: Assign | None) -> Assign:
    """Do what `chosen_assign` does, for a run that has been read."""
    if assign == "classes" and run.class_head is None:
        raise RunError(no_classes(run.folder))
    return assign or ("codebook" if run.class_head is None else "classes")


def identity_of(run: Path, assign: Assign) -> str:
    """Return what `clusternet.training.run.Run.identity` does, from a run folder.

    Raises:
        RunError: if a file is missing or damaged.
    """
    if assign == "classes":
        return read_class_head(run / CLASS_HEAD)[0].identity
    return read_codebook(run / CODEBOOK)[0].identity


def kind_of(assign: Assign) -> str:
    """Return the kind of the maps: the word that their names end in."""
    return "classes" if assign == "classes" else "clusters"
