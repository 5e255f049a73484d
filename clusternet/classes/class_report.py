"""What came of turning cluster maps into class maps."""

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
    """The classes of the maps by number; some may be that of no cluster."""
    choice: Choice | None = None
    """The method that was chosen, and why; None if clusters were named without comparing."""
    note: str = ""
    """What comparing methods would need."""

    def summary(self) -> str:
        """Return one line about the result."""
        names = ", ".join(land_class.name for land_class in self.classes.values())
        parts = [f"{len(self.class_maps)} class map(s) in {self.legend_path.parent}: {names}"]
        if self.choice is not None and self.votes is not None:
            parts.append(f"{self.votes.total:,} labelled pixels")
            parts.append(self.choice.summary(self.classes))
        elif self.votes is not None:
            named = f"{self.votes.total:,} labelled pixels named {len(self.legend.rows)} clusters"
            if self.num_untouched:
                named += f", of which {self.num_untouched} without labels ({self.untouched_became})"
            parts.append(named)
        parts.append(self.votes.basis if self.votes is not None else "")
        parts += [f"polygons in {self.polygons}" if self.polygons else "", self.note]
        return "; ".join(part for part in parts if part)
