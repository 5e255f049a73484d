"""An evaluation as one HTML page; styles and pictures are inside it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from clusternet.evaluation.figures import class_picture_png, confusion_png, epochs_png
from clusternet.evaluation.results import DrawScores, EpochScores, EvaluationReport
from clusternet.metrics import Values
from clusternet.pages.rendering import render, score

TITLE = "<title>ClusterNet evaluation</title>"
"""Stands in every report, so that --overwrite replaces reports and no other page."""


def render_page(report: EvaluationReport | None, epochs: Sequence[EpochScores] = ()) -> str:
    """Return the page as HTML. Needed are a report, the scores of epochs, or both."""
    return render(
        "evaluation",
        "report_page.html",
        title=TITLE,
        report=report,
        epochs=epochs,
        epochs_plot=epochs_png(epochs) if epochs else None,
        **({} if report is None else _report_values(report)),
    )


def _report_values(report: EvaluationReport) -> dict[str, Any]:
    """Return what the template shows of a report and cannot take from its fields."""
    scores = report.pooled.scores
    pictures = [(file.map_path.name, file.picture) for file in report.files if file.picture]
    return {
        "present": np.flatnonzero(~np.isnan(scores.iou)).tolist(),
        "truth_shares": report.pooled.confusion.sum(axis=1) / max(scores.pixels, 1),
        "draws": report.draws and _draw_tiles(report.draws),
        "confusion": confusion_png(report),
        "pictures": [
            (
                name,
                class_picture_png(picture.predicted, report.colours),
                class_picture_png(picture.truth, report.colours),
            )
            for name, picture in pictures
        ],
    }


def _draw_tiles(draws: DrawScores) -> list[tuple[str, str, str]]:
    columns = (
        ("accuracy", draws.accuracy), ("mean IoU", draws.mean_iou),
        ("mean Dice", draws.mean_dice), ("Cohen's kappa", draws.kappa),
    )  # fmt: skip
    return [(name, score(v.mean()), f"± {score(spread(v))}") for name, v in columns]


def spread(values: Values) -> float:
    """Return the sample standard deviation; 0 for one value, for which numpy gives NaN."""
    return float(values.std(ddof=1)) if len(values) > 1 else 0.0
