"""The report of a run: a page with curves, the previews as a film, and a gallery of clusters."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from clusternet.colours import palette
from clusternet.files.pictures import side_by_side
from clusternet.files.side_files import new_side_file
from clusternet.legend.legend import COLUMNS
from clusternet.pages.charts import line
from clusternet.pages.rendering import render
from clusternet.patches.bands import Bands
from clusternet.processes.waiting import run_aside
from clusternet.training.epoch_record import EpochRecord
from clusternet.training.gallery import Card, Crop
from clusternet.training.run_files import PREVIEWS, REPORT, REPORT_TITLE, is_our_report
from clusternet.types import UInt8Array

_MOST_FRAMES = 12  # of the film
_FRAME_WIDTH = 150  # pixels
_GAP = 8  # pixels between image and map of a preview
_CHART = (230.0, 90.0)
_SPECTRUM = (150.0, 70.0)
_CURVES = (
    ("loss", "Loss", "Cross-entropy of the pseudo-labels: it falls while the network learns them."),
    ("objective", "K-Means objective", "Mean squared distance of a feature to its centroid."),
    ("nmi", "NMI with the epoch before", "1 if no pixel changed its cluster. It rises as clusters "
     "settle."),
    ("empty", "Empty clusters", "Clusters without a sampled pixel."),
)  # fmt: skip


@dataclass(frozen=True)
class RunFacts:
    """What the report says of a run beside its gallery."""

    name: str
    identity: str
    """Of the codebook; legends carry it."""
    history: Sequence[EpochRecord]
    bands: Bands
    num_patches: int
    """Usable patches."""


def write_report(folder: Path, facts: RunFacts, cards: Sequence[Card]) -> None:
    """Write ``report.html`` of a run folder; one that ClusterNet did not write is kept.

    Raises:
        OutputError: if it cannot be written.
    """
    path = folder / REPORT
    with new_side_file(
        path, is_ours=is_our_report(path), overwrite=True, lacks="the run gets no report"
    ) as hidden:
        if hidden is not None:
            page = run_aside(lambda: _page(folder, facts, cards))
            hidden.write_text(page, encoding="utf-8")


def _page(folder: Path, facts: RunFacts, cards: Sequence[Card]) -> str:
    colours = palette(len(cards))
    rows, cols = facts.bands.patch_shape
    last = facts.history[-1] if facts.history else None
    seconds = sum(record.seconds for record in facts.history)
    used = sum(card.share > 0 for card in cards)
    return render(
        "training",
        "run_page.html",
        title=REPORT_TITLE,
        facts=facts,
        tiles=[
            ("epochs", str(len(facts.history)), f"{seconds / 60:.1f} minutes"),
            ("patches", f"{facts.num_patches:,}", f"{rows} x {cols} pixels"),
            ("clusters", str(len(cards)), f"{used} of them used"),
            ("NMI", "\N{EN DASH}" if last is None else f"{last.nmi:.3f}", "with the epoch before"),
        ],
        curves=_curves(facts.history),
        chart=_CHART,
        frames=_frames(folder),
        cards=[_shown(card, colours) for card in sorted(cards, key=lambda card: -card.share)],
        spectrum=_SPECTRUM,
        spectra=_spectra(cards, facts.bands),
        band_names=_band_names(facts.bands),
        columns=COLUMNS,
    )  # fmt: skip


def _curves(history: Sequence[EpochRecord]) -> list[dict[str, Any]]:
    curves = []
    for name, label, text in _CURVES if len(history) > 1 else ():
        values = [float(getattr(record, name)) for record in history]
        curves.append({"label": label, "text": text, "line": line(values, _CHART),
                       "last": values[-1]})  # fmt: skip
    return curves


def _frames(folder: Path) -> list[tuple[str, bytes]]:
    """Return the captions and pictures of the film: the images, then the maps of some epochs."""
    paths = sorted((folder / PREVIEWS).glob("epoch_*.png"))
    chosen = np.unique(np.linspace(0, len(paths) - 1, min(len(paths), _MOST_FRAMES)).astype(int))
    frames: list[tuple[str, bytes]] = []
    for index in chosen.tolist() if paths else ():
        with Image.open(paths[index]) as preview:
            width = (preview.width - _GAP) // 2
            if not frames:
                image = preview.crop((0, 0, width, preview.height))
                frames.append(("image", _encoded(_narrow(image, Image.Resampling.BOX), "JPEG")))
            clusters = preview.crop((preview.width - width, 0, preview.width, preview.height))
            small = _narrow(clusters, Image.Resampling.NEAREST)
        epoch = int(paths[index].stem.removeprefix("epoch_"))
        frames.append((f"epoch {epoch}" if epoch else "start", _encoded(small, "PNG")))
    return frames


def _narrow(image: Image.Image, resampling: Image.Resampling) -> Image.Image:
    height = max(1, round(image.height * _FRAME_WIDTH / max(image.width, 1)))
    return image.convert("RGB").resize((_FRAME_WIDTH, height), resampling)


def _shown(card: Card, colours: UInt8Array) -> dict[str, Any]:
    return {
        "card": card,
        "colour": tuple(colours[card.number].tolist()),
        "nearest": [(number, tuple(colours[number].tolist())) for number in card.nearest],
        "typical": _strip(card.typical),
        "borderline": _strip(card.borderline),
    }


def _strip(crops: Sequence[Crop]) -> bytes | None:
    """Return pictures side by side in one file; None if there are none."""
    if not crops:
        return None
    pictures = [np.broadcast_to(c.picture, (*c.picture.shape[:2], 3)) for c in crops]  # grey, too
    return _encoded(Image.fromarray(side_by_side(pictures, gap=2)), "JPEG")


def _encoded(image: Image.Image, form: str) -> bytes:
    buffer = io.BytesIO()
    options: dict[str, Any] = {"quality": 85} if form == "JPEG" else {"optimize": True}
    image.save(buffer, form, **options)
    return buffer.getvalue()


def _spectra(cards: Sequence[Card], bands: Bands) -> dict[int, Any]:
    """Return the mean spectrum of each cluster as a line; all on one scale."""
    values = np.array([card.spectrum for card in cards])
    known = values[np.isfinite(values)]
    ends = (float(known.min()), float(known.max())) if known.size else (0.0, 1.0)
    lines = {card.number: line(card.spectrum, _SPECTRUM, ends=ends) for card in cards}
    return lines | {-1: line(bands.mean, _SPECTRUM, ends=ends)}


def _band_names(bands: Bands) -> list[str]:
    stated = bands.identity.descriptions
    numbered = [f"band {number}" for number in range(1, bands.num_bands + 1)]
    if len(stated) != bands.num_bands:
        return numbered
    return [name or number for name, number in zip(stated, numbered, strict=True)]
