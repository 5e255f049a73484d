"""Write an assessment of class maps as files: JSON, CSV and a page to read."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from clusternet.areas.accuracy import Assessment, assess_areas
from clusternet.areas.estimation import half_width
from clusternet.areas.planning import points_for_accuracy, points_for_areas
from clusternet.errors import SettingsError
from clusternet.files.locks import claimed
from clusternet.files.outputs import Kind, check_apart, check_new, check_writable, new_folder
from clusternet.files.spreadsheet import as_cell
from clusternet.metrics import Counts, Values
from clusternet.pages.rendering import percent, render, size
from clusternet.processes.interrupts import interrupts
from clusternet.processes.waiting import run_aside

PAGE = "report.html"
TITLE = "<title>ClusterNet areas</title>"
"""Stands in every report, so that --overwrite replaces reports and no other page."""
_FILES = ("areas.json", "areas.csv", "confusion.csv", PAGE)
AREA_REPORT = Kind(
    "report of areas",
    lambda folder: TITLE in (folder / PAGE).read_text(encoding="utf-8", errors="replace"),
    lambda _folder: lambda relative_path: relative_path in _FILES,
)
_COLUMNS = (
    "class", "mapped_pixels", "mapped_area", "area", "area_half_width", "share", "share_half_width",
    "users_accuracy", "users_half_width", "producers_accuracy", "producers_half_width", "points",
    "unit",
)  # fmt: skip


@dataclass(frozen=True)
class Margins:
    """The confidence intervals that are wanted."""

    area: float = 0.1
    """Half width for the area of each class, as a share of that area."""
    accuracy: float = 0.02
    """Half width for the overall accuracy."""

    def __post_init__(self) -> None:
        """Refuse values that mean nothing."""
        for flag, value in (("area_margin", self.area), ("accuracy_margin", self.accuracy)):
            if not 0 < value < 1:
                raise SettingsError(
                    f"--{flag}: expected a share between 0 and 1, received {value}."
                )


@dataclass(frozen=True)
class WrittenAssessment:
    """An assessment and where it was written."""

    folder: Path
    assessment: Assessment

    def __str__(self) -> str:
        """Say the result in one line."""
        estimate = self.assessment.estimate
        half, points = float(half_width(estimate.overall_error)), int(estimate.counts.sum())
        interval = "(no interval)" if math.isnan(half) else f"\N{PLUS-MINUS SIGN} {half:.3f}"
        return (
            f"overall accuracy {estimate.overall:.3f} {interval} from {points} points; areas of "
            f"{len(self.assessment.classes)} classes: {self.folder / PAGE}"
        )


@interrupts.listening()
def assess_to_folder(
    maps: Path,
    points: Path,
    output_folder: Path | None = None,
    *,
    margins: Margins | None = None,
    overwrite: bool = False,
    **options: Any,
) -> WrittenAssessment:
    """Assess class maps by validation points and write the report.

    Args:
        maps: a class map or a folder of them.
        points: see `clusternet.areas.accuracy.assess_areas`.
        output_folder: folder to write; None appends ``_areas`` to the name of the maps.
        margins: the confidence intervals that are wanted.
        overwrite: replace an existing report of areas.
        options: other options of `clusternet.areas.accuracy.assess_areas`.

    Raises:
        ClusterNetError: with one clear line, for anything that the caller can correct.
    """
    resolved = maps.resolve()
    name = resolved.name if resolved.is_dir() else resolved.stem
    folder = output_folder or resolved.with_name(f"{name}_areas")
    margins = margins or Margins()
    check_apart((folder,), (maps, points))
    with claimed(folder):
        check_new(folder, kind=AREA_REPORT, overwrite=overwrite)
        check_writable(folder)
        assessment = assess_areas(maps, points, **options)
        write_assessment(folder, assessment, margins, overwrite=overwrite)
    return WrittenAssessment(folder, assessment)


def write_assessment(
    folder: Path, assessment: Assessment, margins: Margins, *, overwrite: bool = False
) -> None:
    """Write ``areas.json``, ``areas.csv``, ``confusion.csv`` and ``report.html``.

    Raises:
        OutputError: if ``folder`` exists and ``overwrite`` is false, or writing fails.
    """
    rows = class_rows(assessment)
    plan = points_for_areas(assessment.estimate, margins.area)
    for_accuracy = points_for_accuracy(assessment.estimate, margins.accuracy)
    with new_folder(folder, kind=AREA_REPORT, overwrite=overwrite) as hidden:
        values = _json_values(assessment, rows, margins, plan, for_accuracy)
        text = json.dumps(values, indent=1, allow_nan=False, ensure_ascii=False)
        (hidden / "areas.json").write_text(text + "\n", encoding="utf-8")
        _write_csv(hidden / "areas.csv", [_COLUMNS, *([r[c] for c in _COLUMNS] for r in rows)])
        names = [c.name for c in assessment.classes]
        counts = assessment.estimate.counts.tolist()
        table = [[name, *row] for name, row in zip(names, counts, strict=True)]
        _write_csv(hidden / "confusion.csv", [["map \\ reference", *names], *table])
        page = run_aside(lambda: _page(assessment, rows, margins, plan, for_accuracy))
        (hidden / PAGE).write_text(page, encoding="utf-8")


def class_rows(assessment: Assessment) -> list[dict[str, Any]]:
    """Return the figures of each class; areas in ``unit``, None where there is no figure."""
    estimate, total = assessment.estimate, assessment.total
    columns: dict[str, Values] = {
        "mapped_area": assessment.mapped,
        "area": estimate.shares * total,
        "area_half_width": half_width(estimate.share_errors) * total,
        "share": estimate.shares,
        "share_half_width": half_width(estimate.share_errors),
        "users_accuracy": estimate.users,
        "users_half_width": half_width(estimate.users_errors),
        "producers_accuracy": estimate.producers,
        "producers_half_width": half_width(estimate.producers_errors),
    }
    rows = []
    for place, land_class in enumerate(assessment.classes):
        row: dict[str, Any] = {name: _plain(values[place]) for name, values in columns.items()}
        row |= {
            "class": land_class.name,
            "mapped_pixels": int(assessment.pixels[place]),
            "points": int(estimate.sizes[place]),
            "unit": assessment.unit,
        }
        rows.append(row)
    return rows


def _plain(value: float) -> float | None:
    """Return a value for JSON and CSV, which have no NaN."""
    return None if math.isnan(value) else round(float(value), 6)


def _json_values(
    assessment: Assessment,
    rows: Sequence[dict[str, Any]],
    margins: Margins,
    plan: Counts,
    for_accuracy: Counts,
) -> dict[str, Any]:
    estimate, names = assessment.estimate, [c.name for c in assessment.classes]
    return {
        "design": "stratified",
        "method": "Olofsson et al. 2014, Remote Sensing of Environment 148, equations 1 to 13",
        "confidence": 0.95,
        "maps": [str(path) for path in assessment.maps],
        "points": str(assessment.points),
        "points_used": int(estimate.counts.sum()),
        "points_unused": assessment.unused,
        "warnings": list(assessment.warnings),
        "unit": assessment.unit,
        "map_area": _plain(assessment.total),
        "overall_accuracy": _plain(estimate.overall),
        "overall_half_width": _plain(float(half_width(estimate.overall_error))),
        "classes": list(rows),
        "confusion": {"rows": "map", "columns": "reference", "classes": names,
                      "points": estimate.counts.tolist(),
                      "shares": np.round(estimate.matrix, 6).tolist()},
        "more_points": {
            "area_margin": margins.area,
            "accuracy_margin": margins.accuracy,
            "for_areas_of": {name: _more(names, plan[:, k]) for k, name in enumerate(names)},
            "for_all_areas": _more(names, plan.max(axis=1)),
            "for_overall_accuracy": _more(names, for_accuracy),
        },
    }  # fmt: skip


def _more(names: Sequence[str], points: Counts) -> dict[str, Any]:
    """Return the points to add in each class of the map that needs some, and their sum."""
    listed = {name: int(count) for name, count in zip(names, points, strict=True) if count}
    return {"points": int(points.sum()), "in_map_classes": listed}


def _page(
    assessment: Assessment,
    rows: Sequence[dict[str, Any]],
    margins: Margins,
    plan: Counts,
    for_accuracy: Counts,
) -> str:
    estimate = assessment.estimate
    return render(
        "areas",
        "areas_page.html",
        title=TITLE,
        assessment=assessment,
        rows=rows,
        unit=assessment.unit,
        map_names=[path.name for path in assessment.maps],
        tiles=[
            ("overall accuracy", f"{estimate.overall:.1%}",
             f"\N{PLUS-MINUS SIGN} {percent(float(half_width(estimate.overall_error)))}"),
            ("points", f"{int(estimate.counts.sum()):,}", ""),
            ("area of the map", size(assessment.total), assessment.unit),
        ],
        bars=_bars(rows),
        plan=plan,
        plan_all=plan.max(axis=1),
        for_accuracy=for_accuracy,
        margins=margins,
    )  # fmt: skip


def _bars(rows: Sequence[dict[str, Any]]) -> list[dict[str, float]]:
    """Return the ends of bars and intervals in percent of the widest."""
    ends = [
        max(row["mapped_area"], row["area"] + (row["area_half_width"] or 0)) for row in rows
    ]  # no interval where a class has one point
    scale = 100 / max(*ends, 1e-12)
    bars = []
    for row in rows:
        half = row["area_half_width"] or 0
        low = max(row["area"] - half, 0)
        bars.append({
            "mapped": row["mapped_area"] * scale,
            "area": row["area"] * scale,
            "low": low * scale,
            "high": (row["area"] + half) * scale,
        })  # fmt: skip
    return bars


def _write_csv(path: Path, rows: Sequence[Sequence[Any]]) -> None:
    # spreadsheets would run a class name such as "=1+1" as a formula
    cells = [[as_cell(cell) if isinstance(cell, str) else cell for cell in row] for row in rows]
    with path.open("w", newline="", encoding="utf-8") as text:  # csv writes line ends
        csv.writer(text).writerows(cells)
