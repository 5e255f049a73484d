"""The result of turning cluster maps into class maps, and its summary."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from clusternet.classes.voting import Votes
from clusternet.legend.land_classes import LandClass
from clusternet.legend.legend import Legend

if TYPE_CHECKING:  # it loads faiss
    from clusternet.learning.choice import Choice


@dataclass(frozen=True)
class ClassReport:
    """What `clusternet.classes.assign.assign_classes` did."""

    class_maps: tuple[Path, ...]
    """The class maps, in the order of the cluster maps."""
    legend_path: Path
    """The legend beside them."""
    legend: Legend
    """Its content."""
    votes: Votes | None
    """The labelled pixels by cluster and class; None if a legend was given."""
    num_untouched: int
    """Clusters that no label touches."""
    untouched_became: str
    """What became of them: ``nearest``, ``unknown`` or ``class 0``."""
    polygons: Path | None
    """The GeoPackage, if one was asked for."""
    classes: dict[int, LandClass]
    """The classes of the maps by number; a class may have no cluster."""
    choice: Choice | None = None
    """The method that was chosen, and why; None if clusters were named without comparing."""
    note: str = ""
    """How to have methods compared; empty where that needs no hint."""

    def summary(self) -> str:
        """Return one line about the result."""
        names = ", ".join(land_class.name for land_class in self.classes.values())
        facts = [f"{len(self.class_maps)} class map(s) in {self.legend_path.parent}: {names}"]
        if self.choice is not None and self.votes is not None:
            facts.append(f"{self.votes.total:,} labelled pixels")
            facts.append(self.choice.summary(self.classes))
        elif self.votes is not None:
            named = f"{self.votes.total:,} labelled pixels named {len(self.legend.rows)} clusters"
            if self.num_untouched:
                named += f", of which {self.num_untouched} without labels ({self.untouched_became})"
            facts.append(named)
        facts.append(self.votes.basis if self.votes is not None else "")
        facts += [f"polygons in {self.polygons}" if self.polygons else "", self.note]
        return "; ".join(fact for fact in facts if fact)
