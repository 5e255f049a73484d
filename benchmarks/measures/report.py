"""The table, the JSON file and the picture."""

from __future__ import annotations

import json
import os
import platform
from datetime import date
from pathlib import Path
from typing import Any

from clusternet.files.outputs import Kind, new_file
from clusternet.training.run import library_versions
from measures.isolation import CORES, Figures
from measures.published import GROUP

Row = tuple[str, ...]


def machine() -> dict[str, Any]:
    """Describe the processor, memory and libraries, which determine the speed."""
    try:
        info = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        info = ""
    features = ("avx2", "avx512f", "avx512_bf16", "amx_bf16")
    return {
        "date": date.today().isoformat(),
        "processor": platform.machine(),
        "cores": CORES,
        "features": [feature for feature in features if f" {feature}" in info],
        "load": [round(value, 1) for value in os.getloadavg()],
        "python": platform.python_version(),
        "versions": library_versions(),
    }


def tables(results: dict[str, Any]) -> str:
    """Return all results as Markdown tables."""
    parts = [
        ("Limit: the network's convolutions one by one", "limit", _limits),
        ("Epoch: milliseconds a patch, busy and by the clock", "epoch", _epochs),
        ("Epoch: against the published scheme, and share of the limit", "epoch", _ratios),
        ("Prediction", "prediction", _predictions),
        ("Start", "start", _starts),
        ("Growth with patches (second epoch of main.py)", "growth", _growth),
        ("Growth with clusters (K-Means, 256 samples a cluster)", "clusters", _clusters),
    ]
    return "\n".join(
        f"### {title}\n\n{_markdown(rows(results))}\n"
        for title, key, rows in parts
        if results.get(key)
    )


def load(folder: Path) -> dict[str, Any]:
    """Return what was measured before; empty if nothing was."""
    path = folder / "results.json"
    return dict(json.loads(path.read_text(encoding="utf-8"))) if path.is_file() else {}


def merge(before: Any, now: Any) -> Any:
    """Return the new results, and the old rows of other patch sizes."""
    if not isinstance(before, list) or not all("size" in row for row in [*before, *now]):
        return now
    sizes = {row["size"] for row in now}
    return [*(row for row in before if row["size"] not in sizes), *now]


def _limits(results: dict[str, Any]) -> list[Row]:
    head = ("configuration", "size", "precision", "G multiply-adds a patch",
            "forward GFLOP/s", "training GFLOP/s")  # fmt: skip
    return [head, *(
        (row["configuration"], str(row["size"]), row["precision"], f"{row['gmac']:.1f}",
         f"{row['forward']:.0f}", f"{row['train']:.0f}")
        for row in results["limit"]
    )]  # fmt: skip


def _epochs(results: dict[str, Any]) -> list[Row]:
    epochs = results["epoch"]
    phases = list(dict.fromkeys(phase for row in epochs for phase in row["busy"]))
    phases.remove("read")
    rows: list[Row] = [("scheme", "size", "precision", *phases, "all busy", "all by the clock",
                        "peak GiB")]  # fmt: skip
    for row in epochs:
        times = [_ms(row["busy"][name]) if name in row["busy"] else "" for name in phases]
        rows.append((row["scheme"], str(row["size"]), row["precision"], *times,
                     _ms(row["busy_per_patch"]), _ms(row["wall_per_patch"]),
                     f"{row['peak_gib']:.1f}"))  # fmt: skip
    return rows


def _ms(seconds: float) -> str:
    return f"{1e3 * seconds:.0f}"


def _ratios(results: dict[str, Any]) -> list[Row]:
    published = {
        (row["size"], row["precision"]): row
        for row in results["epoch"]
        if row["scheme"] == "published"
    }
    limits = {
        (row["configuration"], row["size"], row["precision"]): row
        for row in results.get("limit", [])
    }
    rows: list[Row] = [(
        "scheme", "size", "precision", "times less work than published",
        "than published in float32", "a labelled pixel", "by the clock", "beside the network",
        "label: forward limit", "train: forward limit", "train: training limit",
    )]  # fmt: skip
    for row in results["epoch"]:
        if row["scheme"] == "published":
            continue
        size, precision = row["size"], row["precision"]
        same, plain = published.get((size, precision)), published.get((size, "float32"))
        busy = row["busy"]
        network = busy["label"] + busy["train"]
        rows.append((
            row["scheme"], str(size), precision,
            _ratio(same, row, "busy_per_patch"), _ratio(plain, row, "busy_per_patch"),
            _ratio(same, row, "busy_per_patch", a_pixel=True),
            _ratio(same, row, "wall_per_patch"),
            f"{1 - network / row['busy_per_patch']:.0%}",
            *_shares(row, limits.get((row["scheme"], size, precision))),
        ))  # fmt: skip
    return rows


def _ratio(other: Figures | None, row: Figures, key: str, *, a_pixel: bool = False) -> str:
    if other is None:
        return ""
    pixels = row["labelled"] / other["labelled"] if a_pixel else 1
    return f"{other[key] / row[key] * pixels:.1f}"


def _shares(row: Figures, limit: Figures | None) -> Row:
    """Return the shares of the limit that labelling and training reach: arithmetic over time."""
    if limit is None:
        return "", "", ""
    flop, busy = 2 * limit["gmac"], row["busy"]
    labelling = f"{flop / busy['label'] / limit['forward']:.0%}" if busy["label"] else ""
    training = 3 * flop / busy["train"]
    return labelling, f"{training / limit['forward']:.0%}", f"{training / limit['train']:.0%}"


def _predictions(results: dict[str, Any]) -> list[Row]:
    limits = {
        row["precision"]: row
        for row in results.get("limit", [])
        if row["configuration"] == "default"
    }
    rows: list[Row] = [("base filters", "side", "megapixels a second",
                        "busy seconds a megapixel", "share of the limit", "peak GiB")]  # fmt: skip
    for row in results["prediction"]:
        share = ""
        limit = limits.get(row["precision"])
        if limit and row["base_filters"] == limit["base_filters"]:
            flop = 2 * limit["gmac"] / limit["size"] ** 2 * 1e6
            share = f"{flop / row['busy_seconds_per_megapixel'] / limit['forward']:.0%}"
        rows.append((str(row["base_filters"]), str(row["side"]),
                     f"{row['megapixels_per_second']:.2f}",
                     f"{row['busy_seconds_per_megapixel']:.2f}", share,
                     f"{row['peak_gib']:.2f}"))  # fmt: skip
    return rows


def _starts(results: dict[str, Any]) -> list[Row]:
    rows: list[Row] = [("what", "seconds")]
    rows += [(f"{name} --help", f"{seconds:.2f}") for name, seconds in results["start"].items()]
    for row in results.get("epoch", []):
        if "first_step" in row:
            what = f"first step, {row['scheme']}, {row['size']}, {row['precision']}"
            rows.append((what, f"{row['first_step']:.1f}"))
    return rows


def _growth(results: dict[str, Any]) -> list[Row]:
    rows: list[Row] = [("patches", "second epoch, s", "ms a patch", "peak GiB")]
    for row in results["growth"]:
        a_patch = 1e3 * row["epoch_seconds"] / row["patches"]
        rows.append((str(row["patches"]), f"{row['epoch_seconds']:.1f}", f"{a_patch:.0f}",
                     f"{row['peak_gib']:.2f}"))  # fmt: skip
    return rows


def _clusters(results: dict[str, Any]) -> list[Row]:
    return [("clusters", "seconds", "peak GiB"), *(
        (str(row["clusters"]), f"{row['seconds']:.2f}", f"{row['peak_gib']:.2f}")
        for row in results["clusters"]
    )]  # fmt: skip


def _markdown(rows: list[Row]) -> str:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |"
        for row in rows
    ]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(lines)


def _has_results(folder: Path) -> bool:
    found = json.loads((folder / "results.json").read_text(encoding="utf-8"))
    return isinstance(found, dict) and {"machine", "commands"} <= found.keys()


RESULTS = Kind("folder of results", _has_results, lambda _: lambda _: False)
"""Added to and never replaced as a whole."""


def save(results: dict[str, Any], folder: Path) -> None:
    """Write results.json, tables.md and growth.png."""
    text = json.dumps(results, indent=1)
    with new_file(folder / "results.json", overwrite=True) as hidden_path:
        hidden_path.write_text(text + "\n", encoding="utf-8")
    with new_file(folder / "tables.md", overwrite=True) as hidden_path:
        hidden_path.write_text(tables(results), encoding="utf-8")
    if "growth" in results:
        with new_file(folder / "growth.png", overwrite=True) as hidden_path:
            _plot(results, hidden_path)


def _plot(results: dict[str, Any], path: Path) -> None:
    """Draw the time of an epoch against the number of patches."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    growth, group = results["growth"], results["growth_published"]
    counts = [row["patches"] for row in growth]
    figure, axes = plt.subplots(figsize=(5, 3.2), layout="constrained")
    axes.plot(counts, [row["epoch_seconds"] for row in growth], "o-", label="ClusterNet")
    groups = [-(-count // GROUP) for count in counts]
    seconds = group["wall_per_patch"] * GROUP
    axes.plot(counts, [seconds * number for number in groups], "s--",
              label=f"published scheme (one group of {GROUP} measured)")  # fmt: skip
    axes.set(xlabel="patches", ylabel="seconds an epoch", xscale="log", yscale="log")
    axes.set_xticks(counts, [str(count) for count in counts])
    axes.minorticks_off()
    axes.grid(alpha=0.3)
    axes.legend(frameon=False, fontsize=8)
    figure.savefig(path, dpi=100)
    plt.close(figure)
