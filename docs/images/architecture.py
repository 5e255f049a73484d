"""Draw the picture of docs/architecture.md: the rooms and what goes from one to the next.

python docs/images/architecture.py docs/images/architecture.png
"""

from __future__ import annotations

import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot as plt
from matplotlib.axes import Axes

INK, SOFT, EDGE = "#1d2733", "#5b6877", "#0b5c8c"
# room: (column, row, what it does)
STAGES = {
    "tiling": (0, 2, "rasters to patches"),
    "patches": (1, 2, "patches to batches"),
    "training": (2, 2, "label, fit, embed, cluster"),
    "prediction": (3, 2, "run + raster to cluster map"),
    "learning": (4, 2, "features + labels to classifier"),
    "classes": (5, 2, "classifier to class map"),
    "evaluation": (6, 2, "map + labels to scores"),
}
BELOW = {
    "raster": (0, 0.95, "rasters and shapes on disk"),
    "network": (1, 0.95, "U-Net, fixed filters"),
    "clustering": (2, 0.95, "K-Means, sampling"),
    "labels": (3, 0.95, "label files, strokes"),
    "legend": (4, 0.95, "class lists, legends"),
    "files": (5, 0.95, "whole outputs, locks"),
}
ABOVE = {
    "interactive": (5, 3.25, "the page for strokes"),
    "demo": (6, 3.25, "synthetic scenes"),
}
# from, to, what travels, where on disk
FLOW = [
    ("tiling", "patches", "patches.json"),
    ("patches", "training", "batches"),
    ("training", "prediction", "run folder"),
    ("prediction", "learning", "clusters, features"),
    ("learning", "classes", "classifier"),
    ("classes", "evaluation", "_classes.tif"),
]
WIDTH, HEIGHT = 0.8, 0.5


def box(axes: Axes, name: str, place: tuple[float, float, str], colour: str) -> None:
    """Draw a room with its name and what it does."""
    x, y, text = place
    axes.add_patch(
        plt.Rectangle((x - WIDTH / 2, y - HEIGHT / 2), WIDTH, HEIGHT, fc=colour, ec=EDGE, lw=1.2)
    )
    axes.text(x, y + 0.09, f"{name}/", ha="center", va="center", weight="bold", size=10, color=INK)
    words = text.split()
    half = (len(words) + 1) // 2
    lines = text if len(text) < 17 else " ".join(words[:half]) + "\n" + " ".join(words[half:])
    axes.text(x, y - 0.1, lines, ha="center", va="center", size=7, color=SOFT)


def main(target: Path) -> None:
    """Draw the picture."""
    figure, axes = plt.subplots(figsize=(11.6, 4.6), dpi=150)
    for rooms, colour in ((STAGES, "#e3eff7"), (BELOW, "#f6f8fa"), (ABOVE, "#fdf3e1")):
        for name, place in rooms.items():
            box(axes, name, place, colour)
    for start, end, text in FLOW:
        x, y = STAGES[start][0] + WIDTH / 2, STAGES[start][1]
        axes.annotate(
            "",
            (STAGES[end][0] - WIDTH / 2, y),
            (x, y),
            arrowprops={"arrowstyle": "->", "color": EDGE},
        )
        axes.text(
            (x + STAGES[end][0] - WIDTH / 2) / 2, y + 0.33, text, ha="center", size=7, color=EDGE
        )
    axes.text(-0.4, 3.25, "commands", size=9, weight="bold", color=INK, va="center")
    axes.text(
        -0.4,
        3.0,
        "main.py and tools/*.py parse, call one function, print one line",
        size=8,
        color=SOFT,
    )
    axes.text(
        -0.4, 0.3, "top folder: errors, windows, settings, metrics; processes/: signals, progress, "
        "workers: what every room may use", size=8, color=SOFT,
    )  # fmt: skip
    axes.set_xlim(-0.5, 6.5)
    axes.set_ylim(0.15, 3.65)
    axes.axis("off")
    figure.savefig(target, bbox_inches="tight")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
