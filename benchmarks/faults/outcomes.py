"""The results of trials: counts for the page, and the cases that failed."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass
class Row:
    """One kind of trial: a line of a table."""

    what: str
    tried: int = 0
    held: int = 0
    note: str = ""

    def count(self, held: bool) -> None:
        """Count one trial."""
        self.tried += 1
        self.held += held


@dataclass
class Part:
    """All trials of one part."""

    name: str
    rows: list[Row] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    """What did not hold, a line each."""
    skipped: list[str] = field(default_factory=list)
    """What could not be tried here, and why."""
    seconds: float = 0.0
    """By the clock."""
    processor_seconds: float = 0.0
    """Of all processes; ``seconds`` on a quiet machine is half of it on two cores."""
    load: float = 0.0
    """Processes that wanted a core at the end, these included."""

    def row(self, what: str, note: str = "") -> Row:
        """Return the row of a kind of trial; a new one if there is none."""
        for row in self.rows:
            if row.what == what:
                return row
        self.rows.append(Row(what, note=note))
        return self.rows[-1]

    def judge(self, what: str, fault: str, case: str = "") -> None:
        """Count one trial; it passed if no fault is given."""
        self.row(what).count(not fault)
        if fault:
            self.faults.append(f"{what}{f', {case}' if case else ''}: {fault}")

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return asdict(self)

    @classmethod
    def joined(cls, name: str, parts: list[Part]) -> Part:
        """Return one part of several, one after the other."""
        joined = cls(name)
        for part in parts:
            joined.rows += part.rows
            joined.faults += part.faults
            joined.skipped += part.skipped
        return joined

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Part:
        """Read what `to_json` returned."""
        rows = [Row(**row) for row in values["rows"]]
        return cls(**{**values, "rows": rows})
