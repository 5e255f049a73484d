"""Plots and maps of an evaluation as PNG. matplotlib is loaded when the first plot is drawn."""

from __future__ import annotations

import io
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from clusternet.evaluation.results import EpochScores, EvaluationReport
from clusternet.files.pictures import colour_labels
from clusternet.types import IntArray, UInt8Array

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_BLUE, _ORANGE, _GREEN = "#0072b2", "#d55e00", "#009e73"  # Okabe and Ito: safe for the colour-blind
_MOST_ANNOTATED = 15  # columns; the figures in the cells of a larger matrix would overlap
_LONGEST_NAME = 30  # characters beside a matrix


def confusion_png(report: EvaluationReport) -> bytes:
    """Draw the confusion matrix; each row is divided by the pixels of its true class."""
    counts = report.pooled.confusion
    # only classes that occur in the labels or the maps
    rows = np.flatnonzero(counts.sum(axis=1) + counts[:, :-1].sum(axis=0))
    cols = np.append(rows, len(counts)) if counts[:, -1].any() else rows
    names = [_shortened(name) for name in (*report.class_names, "no class")]
    totals = counts[rows].sum(axis=1, keepdims=True)
    share = counts[np.ix_(rows, cols)] / np.maximum(totals, 1)
    side = min(max(0.62 * len(cols) + 2.4, 4.5), 16)
    figure = _new_figure(side + 0.8, side)
    axes = figure.subplots()
    image = axes.imshow(share, cmap="cividis", vmin=0, vmax=1)
    plain = dict(parse_math=False)  # matplotlib takes text between two $ as a formula
    axes.set_xticks(range(len(cols)), [names[c] for c in cols], rotation=45, ha="right", **plain)
    axes.set_yticks(range(len(rows)), [names[r] for r in rows], **plain)
    axes.set(xlabel="predicted", ylabel="truth")
    if len(cols) <= _MOST_ANNOTATED:
        for (row, col), value in np.ndenumerate(share):
            colour = "black" if value > 0.55 else "white"  # cividis is light at its upper end
            axes.text(col, row, f"{value:.2f}", ha="center", va="center", color=colour, size=9)
    figure.colorbar(image, ax=axes, label="share of the true class", shrink=0.8)
    return _to_png(figure)


def epochs_png(epochs: Sequence[EpochScores]) -> bytes:
    """Draw the scores of each epoch as lines."""
    from matplotlib.ticker import MaxNLocator

    figure = _new_figure(7.5, 4.2)
    axes = figure.subplots()
    numbers = [epoch.epoch for epoch in epochs]
    lines = (
        ("accuracy", [e.accuracy for e in epochs], _BLUE, "o"),
        ("mean IoU", [e.mean_iou for e in epochs], _ORANGE, "s"),
        ("NMI", [e.nmi for e in epochs], _GREEN, "^"),
    )
    for label, values, colour, marker in lines:
        axes.plot(numbers, values, color=colour, marker=marker, markersize=4, label=label)
    axes.set(xlabel="epoch", ylabel="score", ylim=(0, 1))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, ncols=3, loc="upper left")
    return _to_png(figure)


def class_picture_png(values: IntArray, colours: UInt8Array) -> bytes:
    """Draw class values (rows, cols) in their colours (classes, 3); -1 means none, light grey."""
    buffer = io.BytesIO()
    Image.fromarray(colour_labels(values, -1, colours)).save(buffer, "PNG")
    return buffer.getvalue()


def _new_figure(width: float, height: float) -> Figure:
    # Figure instead of pyplot: it needs no window system and leaves the caller's figures alone.
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def _shortened(name: str) -> str:
    return name if len(name) <= _LONGEST_NAME else f"{name[: _LONGEST_NAME - 1]}…"


def _to_png(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        # the font lacks the letters of some names; the page and the tables show them
        warnings.filterwarnings("ignore", "Glyph .* missing from", UserWarning)
        figure.savefig(buffer, format="png", dpi=110)
    return buffer.getvalue()
