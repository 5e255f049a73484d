"""An evaluation as one HTML page that needs no other file."""

from __future__ import annotations

import base64
import math
from collections.abc import Iterable, Sequence
from html import escape
from importlib import metadata

import numpy as np

from clusternet.evaluation.figures import class_picture_png, confusion_png, epochs_png
from clusternet.evaluation.results import DrawScores, EpochScores, EvaluationReport
from clusternet.metrics import Values

TITLE = "<title>ClusterNet evaluation</title>"
"""Stands in every report, and tells ours from other pages."""

_STYLE = """
:root { --ink: #1d2733; --soft: #5b6877; --line: #dde3ea; --back: #f6f8fa; --mark: #0b5c8c; }
* { box-sizing: border-box; }
body { margin: 0; background: var(--back); color: var(--ink);
       font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; }
main { max-width: 62rem; margin: 0 auto; padding: 2rem 1.25rem 4rem; }
h1 { margin: 0 0 .25rem; font-size: 1.7rem; }
h2 { margin: 2.5rem 0 .75rem; font-size: 1.2rem; }
p { max-width: 46rem; } .soft { color: var(--soft); }
.tiles { display: flex; flex-wrap: wrap; gap: .75rem; margin: 1.25rem 0; }
.tile { flex: 1 1 9rem; padding: .8rem 1rem; background: #fff; border: 1px solid var(--line);
        border-radius: .5rem; }
.tile b { display: block; font-size: 1.6rem; color: var(--mark); font-weight: 650; }
.wide { overflow-x: auto; background: #fff; border: 1px solid var(--line); border-radius: .5rem; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { padding: .4rem .75rem; text-align: right; white-space: nowrap;
         border-bottom: 1px solid var(--line); }
th { font-weight: 600; color: var(--soft); font-size: .85rem; }
td:first-child, th:first-child { text-align: left; }
tr:last-child td { border-bottom: 0; }
.swatch { display: inline-block; width: .9em; height: .9em; margin-right: .5em;
          border-radius: .2em; border: 1px solid #0003; vertical-align: -.08em; }
.legend span { margin-right: 1.1rem; white-space: nowrap; }
img { max-width: 100%; height: auto; display: block; }
figure { margin: 0 0 1.25rem; } figcaption { margin-bottom: .35rem; font-weight: 600; }
.pair { display: grid; grid-template-columns: 1fr 1fr; gap: .75rem; }
.pair img { width: 100%; image-rendering: pixelated; border: 1px solid var(--line); }
.plot { background: #fff; border: 1px solid var(--line); border-radius: .5rem; padding: 1rem; }
"""


def render_page(report: EvaluationReport | None, epochs: Sequence[EpochScores] = ()) -> str:
    """Return the page; the scores of epochs are shown if there are any."""
    parts = [] if report is None else _report_parts(report)
    if epochs:
        parts += _epoch_parts(epochs)
    body = "\n".join(parts)
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"{TITLE}\n<style>{_STYLE}</style>\n</head>\n<body>\n<main>\n"
        f"<h1>Evaluation</h1>\n{body}\n"
        f'<p class="soft">ClusterNet {metadata.version("clusternet")}</p>\n'
        "</main>\n</body>\n</html>\n"
    )


def _report_parts(report: EvaluationReport) -> list[str]:
    what = "cluster" if report.kind == "clusters" else "class"
    parts = [
        f'<p class="soft">{len(report.files)} {what} map(s), {report.pooled.scores.pixels:,} '
        f"labelled pixels. {report.pooled.nodata_share:.1%} of the maps is nodata; "
        f"{report.pooled.unlabelled_share:.1%} of the rest has no label. Neither is counted.</p>"
    ]
    if report.basis:
        parts.append(f'<p class="soft">{escape(report.basis[0].upper() + report.basis[1:])}.</p>')
    if report.draws:
        parts += _draw_parts(report.draws)
    if report.kind == "clusters":
        parts += _cluster_parts(report)
    else:
        parts.append(_overall_tiles(report))
    parts += ["<h2>Classes</h2>", _class_table(report)]
    matrix = _image(confusion_png(report), "confusion matrix")
    parts += ["<h2>Confusion matrix</h2>", f'<div class="plot">{matrix}</div>']
    parts += _pictures(report)
    parts += ["<h2>Files</h2>", _file_table(report)]
    return parts


def _draw_parts(draws: DrawScores) -> list[str]:
    columns = (
        ("accuracy", draws.accuracy), ("mean IoU", draws.mean_iou),
        ("mean Dice", draws.mean_dice), ("Cohen's kappa", draws.kappa),
    )  # fmt: skip
    tiles = [(name, f"{_number(v.mean())}", f"± {_number(spread(v))}") for name, v in columns]
    return [
        f"<h2>With {draws.labelled_fraction:.0%} of the labels</h2>",
        f"<p>Clusters are named by the majority of the labels in "
        f"{draws.labelled_fraction:.0%} of the blocks of 128 x 128 pixels, and the other blocks "
        f"are scored: mean and standard deviation of {len(draws)} draw(s).</p>",
        _tiles(tiles),
    ]


def _cluster_parts(report: EvaluationReport) -> list[str]:
    parts = [
        "<h2>With all labels</h2>",
        "<p>Clusters are named by the majority of all labels, and the same pixels are scored: "
        "the most that naming whole clusters can reach. The tables below show this case.</p>",
        _overall_tiles(report),
    ]
    rows = [["NMI of clusters and classes", _number(report.pooled.nmi)],
            ["ARI of clusters and classes", _number(report.pooled.ari)]]  # fmt: skip
    if report.one_to_one is not None:
        rows += [
            ["accuracy, one cluster for each class", _number(report.one_to_one.accuracy)],
            ["mean IoU, one cluster for each class", _number(report.one_to_one.mean_iou)],
        ]
    return [*parts, "<h2>Clusters as such</h2>", _table(["measure", "value"], rows)]


def _overall_tiles(report: EvaluationReport) -> str:
    scores = report.pooled.scores
    return _tiles([
        ("accuracy", _number(scores.accuracy), ""), ("mean IoU", _number(scores.mean_iou), ""),
        ("mean Dice", _number(scores.mean_dice), ""), ("Cohen's kappa", _number(scores.kappa), ""),
    ])  # fmt: skip


def _class_table(report: EvaluationReport) -> str:
    scores = report.pooled.scores
    truth = report.pooled.confusion.sum(axis=1)
    rows = [
        [_swatch(report, value) + escape(report.class_names[value]),
         f"{truth[value] / max(scores.pixels, 1):.1%}",
         *(_number(column[value]) for column in
           (scores.iou, scores.dice, scores.precision, scores.recall))]
        for value in np.flatnonzero(~np.isnan(scores.iou)).tolist()
    ]  # fmt: skip
    return _table(["class", "share of truth", "IoU", "Dice (F1)", "precision", "recall"], rows)


def _pictures(report: EvaluationReport) -> list[str]:
    shown = [file for file in report.files if file.picture is not None]
    if not shown:
        return []
    present = np.flatnonzero(~np.isnan(report.pooled.scores.iou)).tolist()
    legend = " ".join(
        f"<span>{_swatch(report, value)}{escape(report.class_names[value])}</span>"
        for value in present
    )
    parts = ["<h2>Maps</h2>", f'<p class="soft">Left the map, right the labels; grey has neither '
             f'data nor label.</p><p class="legend">{legend}</p>']  # fmt: skip
    for file in shown:
        if file.picture is not None:
            images = "".join(
                _image(class_picture_png(values, report.colours), kind)
                for values, kind in (
                    (file.picture.predicted, "map"),
                    (file.picture.truth, "labels"),
                )
            )
            caption = f"<figcaption>{escape(file.map_path.name)}</figcaption>"
            parts.append(f'<figure>{caption}<div class="pair">{images}</div></figure>')
    return parts


def _file_table(report: EvaluationReport) -> str:
    header = ["map", "pixels", "nodata", "unlabelled", "accuracy", "mean IoU", "kappa"]
    rows = []
    for file in report.files:
        found = file.agreement
        rows.append([
            escape(file.map_path.name), f"{found.scores.pixels:,}", f"{found.nodata_share:.1%}",
            f"{found.unlabelled_share:.1%}", _number(found.scores.accuracy),
            _number(found.scores.mean_iou), _number(found.scores.kappa),
        ])  # fmt: skip
    return _table(header, rows)


def _epoch_parts(epochs: Sequence[EpochScores]) -> list[str]:
    rows = [
        [str(e.epoch), f"{e.pixels:,}", _number(e.accuracy), _number(e.mean_iou), _number(e.nmi)]
        for e in epochs
    ]
    return [
        "<h2>Epochs</h2>",
        "<p>The test maps of each epoch, clusters named by the majority of all labels.</p>",
        f'<div class="plot">{_image(epochs_png(epochs), "scores by epoch")}</div><br>',
        _table(["epoch", "pixels", "accuracy", "mean IoU", "NMI"], rows),
    ]


def spread(values: Values) -> float:
    """Return the sample standard deviation; 0 for one value."""
    return float(values.std(ddof=1)) if len(values) > 1 else 0.0


def _number(value: float | None) -> str:
    return "&ndash;" if value is None or math.isnan(value) else f"{value:.3f}"


def _tiles(tiles: Iterable[tuple[str, str, str]]) -> str:
    shown = "".join(
        f'<div class="tile">{name}<b>{value}</b><span class="soft">{note}</span></div>'
        for name, value, note in tiles
    )
    return f'<div class="tiles">{shown}</div>'


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table; cells are HTML already."""
    head = "".join(f"<th>{name}</th>" for name in header)
    body = "\n".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    return f'<div class="wide"><table><tr>{head}</tr>\n{body}\n</table></div>'


def _swatch(report: EvaluationReport, value: int) -> str:
    red, green, blue = report.colours[value]
    return f'<i class="swatch" style="background: rgb({red},{green},{blue})"></i>'


def _image(png: bytes, text: str) -> str:
    data = base64.b64encode(png).decode()
    return f'<img alt="{text}" src="data:image/png;base64,{data}">'
