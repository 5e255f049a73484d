"""The table and the plot of a journey."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from measures.isolation import Figures

from clusternet.files.outputs import Kind, new_file

JOURNEY = Kind(
    "results of a journey",
    lambda folder: "journeys" in json.loads((folder / "journey.json").read_text(encoding="utf-8")),
    lambda _: lambda _: False,
)
PHASES = ("start", "reading", "computing", "writing", "other processes")
LABELS = {
    "ours": "ClusterNet", "forest": "multi-scale features and forest",
    "kmeans": "K-Means on the bands", "published": "published scheme, one epoch",
}  # fmt: skip
_COLOURS = ("#8c8c8c", "#b3c7d9", "#2f6f9f", "#79a9c9", "#d9a441", "#7a9e5b", "#a35d5d")


def load(folder: Path) -> dict[str, Any]:
    """Return what was measured before; empty if nothing was."""
    path = folder / "journey.json"
    return dict(json.loads(path.read_text(encoding="utf-8"))) if path.is_file() else {}


def save(results: dict[str, Any], folder: Path) -> None:
    """Write figures, table and plot."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in (("journey.json", json.dumps(results, indent=1)),
                       ("journey.md", table(results))):  # fmt: skip
        with new_file(folder / name, overwrite=True) as path:
            path.write_text(text + "\n", encoding="utf-8")
    with new_file(folder / "journey.png", overwrite=True) as path:
        _draw(results["journeys"], path)


def table(results: dict[str, Any]) -> str:
    """Return Markdown: a row for each command, each sum, and each of the others."""
    head = ("scene", "what", "by the clock, s", "processor, s", *PHASES, "GiB",
            "processor s a megapixel", "times ours")  # fmt: skip
    lines = ["| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    for journey in results["journeys"].values():
        ours = total(journey, "ours")
        for name in (name for name in LABELS if name in journey["methods"]):
            rows = journey["methods"][name]
            own = total(journey, name)
            ratio = f"{own['cpu'] / ours['cpu']:.2f}" if ours and own else ""
            per = f"{own['cpu'] / journey['megapixels']:.2f}"
            each = rows if len(rows) > 1 else []
            lines += [_line(journey["scene"], f"{row['step']}{_note(row)}", row) for row in each]
            lines.append(
                _line(journey["scene"], f"**{LABELS[name]}**", own).rstrip("| ").rstrip()
                + f" | {per} | {ratio} |"
            )
    return "\n".join(lines)


def total(journey: dict[str, Any], name: str) -> Figures:
    """Return the sums of a method; empty if it was not measured."""
    rows = journey["methods"].get(name, [])
    if not rows:
        return {}
    phases = {
        phase: sum(row["phases"].get(phase, 0.0) for row in rows)
        for phase in PHASES
        if any(phase in row["phases"] for row in rows)
    }
    sums = {key: sum(row[key] for row in rows) for key in ("wall", "cpu")}
    return sums | {"phases": phases, "gib": max(row["gib"] for row in rows)}


def _note(row: Figures) -> str:
    epochs = row.get("reckoned_from_epochs")
    return f" (10 epochs, reckoned from {epochs})" if epochs else ""


def _line(scene: str, what: str, row: Figures) -> str:
    cells = [f"{row['phases'][name]:.1f}" if name in row["phases"] else "" for name in PHASES]
    times = f"{row['wall']:.1f}", f"{row['cpu']:.1f}"
    return "| " + " | ".join((scene, what, *times, *cells, f"{row['gib']:.1f}", "", "")) + " |"


def _draw(journeys: dict[str, Any], path: Path) -> None:
    """Draw processor seconds a megapixel: a bar for each method, ours in commands."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, every = plt.subplots(
        1, len(journeys), figsize=(1.5 + 3.1 * len(journeys), 3.2), layout="constrained",
        squeeze=False,
    )  # fmt: skip
    for axes, journey in zip(every[0], journeys.values(), strict=True):
        names = [name for name in LABELS if name in journey["methods"]]
        colour = iter(_COLOURS)
        for place, name in enumerate(reversed(names)):
            begin = 0.0
            for row in journey["methods"][name]:
                seconds = row["cpu"] / journey["megapixels"]
                is_ours = name == "ours"
                axes.barh(
                    place, seconds, left=begin, color=next(colour) if is_ours else "#c0c0c0",
                    label=row["step"] if is_ours else None,
                )  # fmt: skip
                begin += seconds
            axes.text(begin, place, f" {begin:.1f}", va="center", fontsize=8)
        axes.set_yticks(range(len(names)), [LABELS[name] for name in reversed(names)])
        axes.set_title(journey["scene"], fontsize=9)
        axes.set_xlabel("processor seconds a megapixel", fontsize=8)
        axes.margins(x=0.18)
        axes.spines[["top", "right"]].set_visible(False)
        axes.tick_params(labelsize=8)
        if axes is not every[0][0]:
            axes.set_yticklabels([])
    with_ours = [
        axes for axes, journey in zip(every[0], journeys.values(), strict=True)
        if "ours" in journey["methods"]
    ]  # fmt: skip
    if with_ours:
        handles = with_ours[0].get_legend_handles_labels()
        figure.legend(*handles, fontsize=7, frameon=False, loc="outside lower center", ncols=4)
    figure.savefig(path, dpi=130, format="png")
    plt.close(figure)
