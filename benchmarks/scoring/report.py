"""Results as JSON, CSV, a table, and pictures of the maps."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from clusternet.colours import palette
from clusternet.errors import OutputError
from clusternet.files.outputs import new_file
from clusternet.files.pictures import colour_labels, save_png, side_by_side, stretch
from clusternet.types import IntArray
from scoring.scenes import Scene

Row = dict[str, Any]
"""``method``, ``seed``, ``scenes`` (all or held out) and the scores by name."""
_PICTURE_SIDE = 360


def save_rows(
    folder: Path, rows: Sequence[Row], facts: dict[str, Any], keys: Sequence[str] = ("method",)
) -> None:
    """Write results.json, results.csv and tables.md, each whole or not at all.

    Args:
        folder: output folder.
        rows: the scores.
        facts: the conditions of the measurement.
        keys: see `format_tables`.

    Raises:
        OutputError: if one cannot be written.
    """
    text = json.dumps({"facts": facts, "rows": list(rows)}, indent=1)
    with new_file(folder / "results.json", overwrite=True) as part:
        part.write_text(text + "\n", encoding="utf-8")
    names = list(dict.fromkeys(name for row in rows for name in row))
    with (
        new_file(folder / "results.csv", overwrite=True) as part,
        part.open("w", newline="", encoding="utf-8") as file,
    ):
        writer = csv.DictWriter(file, names)
        writer.writeheader()
        writer.writerows(rows)
    with new_file(folder / "tables.md", overwrite=True) as part:
        part.write_text(format_tables(rows, keys), encoding="utf-8")


def load_rows(folder: Path) -> list[Row]:
    """Return the rows that an earlier call saved.

    Raises:
        OutputError: if the file holds something else.
    """
    path = folder / "results.json"
    if not path.exists():
        return []
    try:
        return list(json.loads(path.read_text(encoding="utf-8"))["rows"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise OutputError(
            f"{path}: expected the results of an earlier call, found {error!r}; delete it or "
            "choose another --output_folder."
        ) from error


def format_tables(rows: Sequence[Row], keys: Sequence[str] = ("method",)) -> str:
    """Return a Markdown table for each set of scenes; the mean and spread over seeds.

    Args:
        rows: the scores.
        keys: rows with equal values of these form a line of a table.
    """
    text = ""
    for scenes in dict.fromkeys(row["scenes"] for row in rows):
        chosen = [row for row in rows if row["scenes"] == scenes]
        skip = (*keys, "seed", "scenes")
        names = [
            name
            for name in dict.fromkeys(name for row in chosen for name in row)
            if name not in skip and not name.endswith("_std")
        ]
        table = [[*keys, "seeds", *names]]
        lines: dict[tuple[Any, ...], list[Row]] = {}
        for row in chosen:
            lines.setdefault(tuple(row[key] for key in keys), []).append(row)
        for line, ours in lines.items():
            cells = [_cell([row[name] for row in ours if row.get(name) is not None])
                     for name in names]  # fmt: skip
            table.append([*map(str, line), str(len(ours)), *cells])
        text += f"### Scenes: {scenes}\n\n{_markdown(table)}\n"
    return text


def _cell(values: Sequence[float]) -> str:
    if not values:
        return ""
    mean = np.mean(values)
    if abs(mean) >= 2:  # strokes, seconds
        return f"{mean:.1f}"
    spread = f" ± {np.std(values):.3f}" if len(values) > 1 else ""
    return f"{mean:.3f}{spread}"


def _markdown(table: Sequence[Sequence[str]]) -> str:
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |"
        for row in table
    ]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(lines) + "\n"


def save_picture(
    folder: Path, scene: Scene, truth: IntArray, maps: dict[str, IntArray], num_classes: int
) -> None:
    """Put image, truth and the class map of each method side by side."""
    pixels, valid = scene.pixels()
    step = max(1, -(-max(pixels.shape[:2]) // _PICTURE_SIDE))
    colours = palette(num_classes)

    def shown(labels: IntArray) -> np.ndarray:
        rows = np.arange(0, pixels.shape[0], step) * labels.shape[0] // pixels.shape[0]
        cols = np.arange(0, pixels.shape[1], step) * labels.shape[1] // pixels.shape[1]
        small = labels[rows][:, cols]
        return colour_labels(np.where(small < 0, 255, small), 255, colours)

    images = [stretch(pixels[::step, ::step], valid[::step, ::step]), shown(truth)]
    images += [shown(found) for found in maps.values()]
    picture = side_by_side(images, captions=["image", "truth", *maps])
    save_png(folder / f"{scene.name}.png", picture, kind=None, overwrite=True)


_CURVES = {"a 10% mean_iou": "mean IoU, 10 % of the labels", "b mean_iou": "one to one"}


def save_curve(path: Path, rows: Sequence[Row]) -> None:
    """Draw the scores of each method against its steps: the mean over seeds, and their range.

    Raises:
        OutputError: if the picture cannot be written.
    """
    from matplotlib.figure import Figure

    sets = list(dict.fromkeys(row["scenes"] for row in rows))
    figure = Figure((1 + 5 * len(sets), 7), layout="constrained")
    panels = figure.subplots(len(_CURVES), len(sets), sharex=True, sharey="row", squeeze=False)
    for (score, title), line in zip(_CURVES.items(), panels, strict=True):
        for scenes, axes in zip(sets, line, strict=True):
            chosen = [row for row in rows if row["scenes"] == scenes]
            for method in dict.fromkeys(row["method"] for row in chosen):
                found: dict[int, list[float]] = {}
                for row in chosen:
                    if row["method"] == method:
                        found.setdefault(row["steps"], []).append(row[score])
                steps, values = list(found), list(found.values())
                axes.plot(steps, [np.mean(v) for v in values], marker="o", label=method)
                axes.fill_between(steps, list(map(min, values)), list(map(max, values)), alpha=0.15)
            axes.set(title=f"{title}; scenes: {scenes}", xlabel="training steps")
            axes.grid(alpha=0.3)
            axes.label_outer()
    lines, names = panels[0, 0].get_legend_handles_labels()
    figure.legend(lines, names, loc="outside lower center", ncols=min(len(names), 4))
    with new_file(path, overwrite=True) as part:
        figure.savefig(part, format="png", dpi=110)
