"""The tables, the JSON file and the picture of `scale.py`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from measures.isolation import Figures

from clusternet.files.outputs import new_file
from scaling.simulation import MANY, NETWORKS, WORKERS

Row = tuple[str, ...]


def tables(results: dict[str, Any]) -> str:
    """Return all results as Markdown tables."""
    parts = (
        ("One Ray worker beside the plain command", "overhead", _overhead),
        ("Workers of one thread", "workers", _workers),
        ("Bytes between command and workers", "traffic", _traffic),
        ("Bytes of training", "costs", _training_bytes),
        ("Memory of the command by the number of patches", "names", _names),
        ("Simulated training: speed-up", "training", _training),
        ("Simulated maps, and survey of a million patches: speed-up", "maps", _maps),
    )
    return "\n".join(
        f"### {title}\n\n{markdown(rows(results[key]))}\n"
        for title, key, rows in parts
        if results.get(key)
    )


def markdown(rows: Sequence[Row]) -> str:
    """Return rows, the first of which is the head, as a Markdown table."""
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    lines.insert(1, "|" + "---|" * len(rows[0]))
    return "\n".join(lines)


def _overhead(rows: Sequence[Figures]) -> list[Row]:
    head = ("stage", "small job: plain, Ray (s)", "large job: plain, Ray (s)", "start, s",
            "work", "of five minutes")  # fmt: skip
    return [head, *(
        (row["stage"], *(f"{plain:.1f}, {ray:.1f}" for plain, ray in
                         zip(row["plain"], row["ray"], strict=True)),
         f"{row['start_seconds']:+.1f}", f"x {row['work_factor']:.2f}",
         f"{row['share_of_five_minutes']:+.0%}")
        for row in rows
    )]  # fmt: skip


def _workers(rows: Sequence[Figures]) -> list[Row]:
    return [("stage", "workers", "seconds", "speed-up", "efficiency"), *(
        (row["stage"], str(row["workers"]), f"{row['seconds']:.1f}", f"{row['speedup']:.2f}",
         f"{row['efficiency']:.0%}")
        for row in rows
    )]  # fmt: skip


def _traffic(rows: Sequence[Figures]) -> list[Row]:
    return [("stage", "to workers, bytes a megapixel", "back", "own work of the command"), *(
        (row["stage"], f"{row['sent'] / row['megapixels']:,.0f}",
         f"{row['received'] / row['megapixels']:,.0f}",
         f"{1e3 * row['own_seconds'] / row['megapixels']:.1f} ms a megapixel")
        for row in rows
    )]  # fmt: skip


def _training_bytes(rows: Sequence[Figures]) -> list[Row]:
    head = ("configuration", "patch", "gradients", "sent a step, 2 workers", "many workers",
            "sample an epoch", "codebook", "a worker's time for a patch")  # fmt: skip
    return [head, *(
        (row["configuration"], f"{row['size']}: {_mb(row['patch_bytes'])}",
         _mb(row["gradient_bytes"]), _mb(row["gradient_bytes"]),
         _mb(2 * row["gradient_bytes"]),
         _mb(row["sample_bytes"]) + (" a group" if row["group"] else ""),
         _mb(row["codebook_bytes"]), f"{row['patch_seconds']:.2f} s")
        for row in rows
    )]  # fmt: skip


def _mb(size: float) -> str:
    return f"{size / 1e6:.3g} MB"


def _names(rows: Sequence[Figures]) -> list[Row]:
    head = ("patches", "step", "seconds", "held", "peak", "held a patch")
    return [head, *(
        (f"{row['patches']:,}", step["step"], f"{step['seconds']:.1f}",
         f"{step['held'] / 2**20:.0f} MB", f"{step['peak'] / 2**20:.0f} MB",
         f"{step['held'] / row['patches']:.0f} bytes")
        for row in rows for step in row["steps"]
    )]  # fmt: skip


def _training(rows: Sequence[Figures]) -> list[Row]:
    shown = (3, 6, 8)
    numbers = ", ".join(str(WORKERS[place]) for place in shown)
    networks = (f"{each.name}: {numbers} workers; useful" for each in NETWORKS)
    head = ("settings", "patches an epoch", "change", "one worker", *networks)
    found: dict[tuple[str, ...], dict[str, str]] = {}
    for row in rows:
        if row["variant"] == "and exchange every 8 steps":
            continue
        speed = "" if row["speed"] == 1 else f", {row['speed']} times faster workers"
        key = (row["configuration"] + speed, f"{row['patches']:,}", row["variant"],
               _duration(row["one_seconds"]))  # fmt: skip
        speedups = ", ".join(f"{row['speedup'][place]:.3g}" for place in shown)
        found.setdefault(key, {})[row["network"]] = f"{speedups}; {row['useful']}"
    return [head, *((*key, *cells.values()) for key, cells in found.items())]


def _duration(seconds: float) -> str:
    for unit, name in ((86_400, "days"), (3600, "h"), (60, "min")):
        if seconds >= 2 * unit:
            return f"{seconds / unit:.0f} {name}"
    return f"{seconds:.0f} s"


def _maps(found: dict[str, Any]) -> list[Row]:
    head = ("what", *(str(number) for number in WORKERS), "useful")
    rows = [(f"predict, {row['network']}", row) for row in found["predict"]]
    rows += [("survey of a million patches", found["survey"])] if found.get("survey") else []
    return [head, *(
        (name, *(f"{speedup:.3g}" for speedup in row["speedup"]), str(row["useful"]))
        for name, row in rows
    )]  # fmt: skip


def put_into(page: Path, results: dict[str, Any]) -> None:
    """Replace the tables of a page, and the picture beside it.

    Raises:
        ValueError: if the page has no place for tables.
    """
    text = page.read_text(encoding="utf-8")
    before, start, rest = text.partition(_START)
    _, end, after = rest.partition(_END)
    if not end:
        raise ValueError(f"{page}: expected a line {_START} and a line {_END}")
    known = results["machine"]
    about = (
        f"Measured on {known['date']} on {known['cores']} cores, with a load of "
        f"{known['load'][0]:g} (above {known['cores']}: other programs ran, too)."
    )
    page.write_text(
        f"{before}{start}\n{about}\n\n{tables(results).strip()}\n{end}{after}", encoding="utf-8"
    )
    if results.get("training"):
        _plot(results["training"], page.parent / "images" / "scale.png")


_START, _END = "<!-- tables of benchmarks/scale.py -->", "<!-- end of the tables -->"


def save(results: dict[str, Any], folder: Path) -> None:
    """Write results.json, tables.md and, if there is a simulation, scale.png."""
    with new_file(folder / "results.json", overwrite=True) as hidden_path:
        hidden_path.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    with new_file(folder / "tables.md", overwrite=True) as hidden_path:
        hidden_path.write_text(tables(results), encoding="utf-8")
    if results.get("training"):
        with new_file(folder / "scale.png", overwrite=True) as hidden_path:
            _plot(results["training"], hidden_path)


def _plot(rows: Sequence[Figures], path: Path) -> None:
    """Draw the speed-up of training on a million patches against the number of workers."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt
    from matplotlib.lines import Line2D

    names = list(dict.fromkeys(row["configuration"] for row in rows))
    speeds = list(dict.fromkeys(row["speed"] for row in rows))
    figure, grid = plt.subplots(
        len(speeds), len(names), figsize=(4.2 * len(names), 3.4 * len(speeds)), sharex=True,
        sharey=True, layout="constrained", squeeze=False,
    )  # fmt: skip
    colours = {"as configured": "C3", "larger batch": "C1", "and exchange every 8 steps": "C2",
               "and K-Means on all workers": "C0"}  # fmt: skip
    styles = dict(zip((each.name for each in NETWORKS), (":", "-"), strict=True))
    for axes, (speed, name) in zip(
        grid.flat, ((speed, name) for speed in speeds for name in names), strict=True
    ):
        axes.plot(WORKERS, WORKERS, color="0.8", linewidth=1)
        for row in rows:
            if (row["configuration"], row["speed"], row["patches"]) == (name, speed, MANY):
                axes.plot(
                    WORKERS, row["speedup"], styles[row["network"]], color=colours[row["variant"]],
                    linewidth=1.6,
                )  # fmt: skip
        workers = "workers as measured" if speed == 1 else f"workers {speed} times as fast"
        axes.set(title=f"{name}, {workers}", xscale="log", yscale="log", ylim=(0.5, 300))
        axes.set_xticks(WORKERS, [str(number) for number in WORKERS])
        axes.set_yticks([1, 4, 16, 64, 256], ["1", "4", "16", "64", "256"])
        axes.minorticks_off()
        axes.grid(alpha=0.3)
    for axes in grid[-1]:
        axes.set_xlabel("workers")
    for axes in grid[:, 0]:
        axes.set_ylabel("speed-up of an epoch")
    lines = [Line2D([], [], color=colour, label=name) for name, colour in colours.items()]
    lines += [Line2D([], [], color="0.3", linestyle=styles[name], label=name)
              for name in styles]  # fmt: skip
    grid[0, 0].legend(handles=lines, frameon=False, fontsize=7, loc="upper left")
    figure.savefig(path, dpi=110)
    plt.close(figure)
