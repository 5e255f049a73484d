"""Write an evaluation as files: JSON, CSV, PNG and a page to read."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from clusternet.errors import SettingsError
from clusternet.evaluation.epoch_scores import evaluate_epochs, find_epochs
from clusternet.evaluation.evaluate import evaluate
from clusternet.evaluation.figures import confusion_png, epochs_png
from clusternet.evaluation.report_page import TITLE, render_page, spread
from clusternet.evaluation.results import Agreement, EpochScores, EvaluationReport
from clusternet.files.locks import claimed
from clusternet.files.outputs import Kind, check_apart, check_new, check_writable, new_folder
from clusternet.files.spreadsheet import as_cell
from clusternet.legend.class_list import read_class_list
from clusternet.metrics import Scores, Values
from clusternet.processes.interrupts import interrupts
from clusternet.processes.waiting import run_aside

PAGE = "report.html"
_FILES = (
    "scores.json", "scores.csv", "confusion.csv", "confusion.png", "history.csv", "history.png",
    PAGE,
)  # fmt: skip
REPORT = Kind(
    "report",
    lambda folder: TITLE in (folder / PAGE).read_text(encoding="utf-8", errors="replace"),
    lambda _folder: lambda relative_path: relative_path in _FILES,
)
_PER_CLASS = ("iou", "dice", "precision", "recall")
_OVERALL = ("accuracy", "mean_iou", "mean_dice", "kappa")


@dataclass(frozen=True)
class WrittenEvaluation:
    """An evaluation and where it was written."""

    folder: Path
    report: EvaluationReport | None
    """None where only epochs were scored."""
    epochs: tuple[EpochScores, ...]
    """Empty where no run was given."""

    def __str__(self) -> str:
        """Say the result in one line."""
        parts = []
        if self.report is not None:
            draws = self.report.draws
            note = f" with {draws.labelled_fraction:.0%} of the labels" if draws else ""
            parts.append(
                f"accuracy {self.report.accuracy:.3f}, mIoU {self.report.mean_iou:.3f}{note}"
            )
            if self.report.basis:
                parts.append(self.report.basis)
        if self.epochs:
            best = max(self.epochs, key=lambda epoch: epoch.mean_iou)
            parts.append(
                f"best of {len(self.epochs)} epoch(s) is {best.epoch}: "
                f"accuracy {best.accuracy:.3f}, mIoU {best.mean_iou:.3f}"
            )
        return f"{'; '.join(parts)}; report: {self.folder / PAGE}"


@interrupts.listening()
def evaluate_to_folder(
    maps: Path | None,
    labels: Path,
    output_folder: Path | None = None,
    *,
    history: Path | None = None,
    classes: Path | None = None,
    overwrite: bool = False,
    ignore_label: int | None = None,
    **options: Any,
) -> WrittenEvaluation:
    """Score maps, or the epochs of a run, against labels and write the report.

    Args:
        maps: a map or a folder of maps; None to score a run's epochs only.
        labels: see `clusternet.evaluation.evaluate.evaluate`.
        output_folder: folder to write; None appends ``_evaluation`` to the name of the maps, or
            of the run.
        history: run whose test maps of each epoch are scored too.
        classes: ``classes.json`` or ``legend.csv``.
        overwrite: replace an existing output.
        ignore_label: see `clusternet.evaluation.evaluate.evaluate`.
        options: other options of `clusternet.evaluation.evaluate.evaluate`.

    Raises:
        ClusterNetError: with one clear line, for anything that the caller can correct.
    """
    source = maps or history
    if source is None:
        raise SettingsError("Expected maps to score, or a run folder (--history), or both.")
    folder = output_folder or source.resolve().with_name(f"{_name(source)}_evaluation")
    check_apart((folder,), (maps, labels, history, classes))
    with claimed(folder):
        check_new(folder, kind=REPORT, overwrite=overwrite)
        check_writable(folder)
        class_list = read_class_list(classes) if classes else None
        common: dict[str, Any] = dict(classes=class_list, ignore_label=ignore_label)
        if history is not None:
            find_epochs(history)  # fails now if there is none, not after the long evaluation
        report = evaluate(maps, labels, **common, **options) if maps is not None else None
        epochs = tuple(evaluate_epochs(history, labels, **common)) if history is not None else ()
        write_report(folder, report, epochs, overwrite=overwrite)
    return WrittenEvaluation(folder, report, epochs)


def write_report(
    folder: Path,
    report: EvaluationReport | None,
    epochs: Sequence[EpochScores] = (),
    *,
    overwrite: bool = False,
) -> None:
    """Write ``scores.json``, ``scores.csv``, ``confusion.csv``, ``confusion.png``, ``report.html``.

    Scores of epochs, if any, go to ``history.csv`` and ``history.png``.

    Raises:
        OutputError: if ``folder`` exists and ``overwrite`` is false, or writing fails.
    """
    with new_folder(folder, kind=REPORT, overwrite=overwrite) as hidden_folder:
        if report is not None:
            text = json.dumps(_report_values(report), indent=1, allow_nan=False)
            (hidden_folder / "scores.json").write_text(text + "\n", encoding="utf-8")
            _write_csv(hidden_folder / "scores.csv", _score_rows(report))
            _write_csv(hidden_folder / "confusion.csv", _confusion_rows(report))
            (hidden_folder / "confusion.png").write_bytes(run_aside(partial(confusion_png, report)))
        if epochs:
            _write_csv(hidden_folder / "history.csv", _epoch_rows(epochs))
            (hidden_folder / "history.png").write_bytes(run_aside(partial(epochs_png, epochs)))
        page = run_aside(partial(render_page, report, epochs))  # matplotlib takes seconds
        (hidden_folder / PAGE).write_text(page, encoding="utf-8")


def _name(path: Path) -> str:
    resolved = path.resolve()
    return resolved.name if resolved.is_dir() else resolved.stem


def _plain(value: float | None) -> float | None:
    """Return a value for JSON and CSV, which have no NaN."""
    return None if value is None or math.isnan(value) else round(float(value), 6)


def _report_values(report: EvaluationReport) -> dict[str, Any]:
    values: dict[str, Any] = {
        "kind": report.kind,
        "accuracy": _plain(report.accuracy),
        "mean_iou": _plain(report.mean_iou),
        "classes": dict(enumerate(report.class_names)),
        "classes_matched": report.basis or "by name",
        "pooled": _agreement_values(report.pooled, report.class_names),
    }
    if report.draws is not None:
        draws = report.draws
        values["labelled_fraction"] = {
            "fraction": draws.labelled_fraction,
            "seed": draws.seed,
            **{name: _draw_values(getattr(draws, name)) for name in _OVERALL},
        }
    if report.one_to_one is not None:
        values["one_to_one"] = _score_values(report.one_to_one, report.class_names)
    values["files"] = [
        {"map": str(file.map_path), "labels": str(file.label_path)}
        | _agreement_values(file.agreement, report.class_names)
        for file in report.files
    ]
    return values


def _draw_values(values: Values) -> dict[str, Any]:
    return {
        "mean": _plain(values.mean()),
        "deviation": _plain(spread(values)),
        "draws": [_plain(value) for value in values],
    }


def _agreement_values(agreement: Agreement, names: Sequence[str]) -> dict[str, Any]:
    shares: dict[str, Any] = {
        "nodata_share": _plain(agreement.nodata_share),
        "unlabelled_share": _plain(agreement.unlabelled_share),
    }
    if agreement.nmi is not None:
        shares |= {"nmi": _plain(agreement.nmi), "ari": _plain(agreement.ari)}
    return shares | _score_values(agreement.scores, names)


def _score_values(scores: Scores, names: Sequence[str]) -> dict[str, Any]:
    values: dict[str, Any] = {"pixels": scores.pixels}
    values |= {name: _plain(getattr(scores, name)) for name in _OVERALL}
    for measure in _PER_CLASS:
        column = getattr(scores, measure)
        values[measure] = {names[i]: _plain(value) for i, value in enumerate(column)}
    return values


def _score_rows(report: EvaluationReport) -> list[list[Any]]:
    """Return a header, a row for all files together and a row for each file."""
    header = ["file", "labels", "pixels", "nodata_share", "unlabelled_share", *_OVERALL]
    header += ["nmi", "ari"] if report.kind == "clusters" else []
    header += [f"{measure} {name}" for measure in _PER_CLASS for name in report.class_names]
    named = [("all files", "", report.pooled)]
    named += [(str(f.map_path), str(f.label_path), f.agreement) for f in report.files]
    rows: list[list[Any]] = [header]
    for name, label_name, agreement in named:
        row: list[Any] = [name, label_name, agreement.scores.pixels, _plain(agreement.nodata_share)]
        row += [_plain(agreement.unlabelled_share)]
        row += [_plain(getattr(agreement.scores, measure)) for measure in _OVERALL]
        row += [_plain(agreement.nmi), _plain(agreement.ari)] if report.kind == "clusters" else []
        row += [_plain(v) for measure in _PER_CLASS for v in getattr(agreement.scores, measure)]
        rows.append(row)
    return rows


def _confusion_rows(report: EvaluationReport) -> list[list[Any]]:
    header = ["truth \\ predicted", *report.class_names, "no class"]
    counts = report.pooled.confusion.tolist()
    return [header, *([name, *row] for name, row in zip(report.class_names, counts, strict=True))]


def _epoch_rows(epochs: Sequence[EpochScores]) -> list[list[Any]]:
    rows = [[e.epoch, e.pixels, *map(_plain, (e.accuracy, e.mean_iou, e.nmi))] for e in epochs]
    return [["epoch", "pixels", "accuracy", "mean_iou", "nmi"], *rows]


def _write_csv(path: Path, rows: Sequence[Sequence[Any]]) -> None:
    # spreadsheets would run a class name such as "=1+1" as a formula
    cells = [[as_cell(cell) if isinstance(cell, str) else cell for cell in row] for row in rows]
    with path.open("w", newline="", encoding="utf-8") as text:  # csv writes line ends
        csv.writer(text).writerows(cells)
