"""The report of class maps: a page with areas, the clusters of each class, and doubtful places."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from clusternet.classes.doubts import MapCounts, Place, count_maps
from clusternet.files.side_files import check_side_file, new_side_file
from clusternet.legend.land_classes import LandClass
from clusternet.legend.legend import Legend
from clusternet.pages.rendering import render
from clusternet.prediction.cluster_maps import ClusterMap
from clusternet.processes.waiting import run_aside
from clusternet.types import UInt8Array

PAGE = "report.html"
TITLE = "<title>ClusterNet classes</title>"
"""Stands in every report of class maps, which shows that ClusterNet wrote it."""

_MOST_CLUSTERS = 40  # of a class that are listed


def is_our_page(path: Path) -> bool:
    """Tell whether a page is a report of class maps that ClusterNet wrote."""
    try:
        return TITLE in path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False


def check_page(path: Path, *, overwrite: bool) -> None:
    """Refuse a report of ours that may not be replaced; OutputError."""
    check_side_file(path, is_ours=is_our_page(path), overwrite=overwrite)


def write_page(
    path: Path,
    cluster_maps: Sequence[ClusterMap],
    targets: Sequence[Path],
    legend: Legend,
    classes: Mapping[int, LandClass],
    *,
    overwrite: bool,
) -> None:
    """Write the report beside class maps; a page that ClusterNet did not write is kept.

    Args:
        path: the page.
        cluster_maps: the maps of clusters.
        targets: the class map of each.
        legend: the class of each cluster, with votes and purity.
        classes: by number.
        overwrite: replace a report of ours.

    Raises:
        OutputError: if it exists and may not be replaced, or cannot be written.
    """
    part: AbstractContextManager[Path | None] = new_side_file(
        path, is_ours=is_our_page(path), overwrite=overwrite, lacks="the maps get no report"
    )
    with part as hidden:
        if hidden is not None:
            counts = count_maps(cluster_maps, targets, legend, classes)
            names = [target.name for target in targets]
            page = run_aside(lambda: _page(names, counts, legend, classes))
            hidden.write_text(page, encoding="utf-8")


def _page(
    names: Sequence[str], counts: MapCounts, legend: Legend, classes: Mapping[int, LandClass]
) -> str:
    total, mapped = float(counts.areas.sum()), int(counts.pixels.sum())
    rows = [
        _class_row(land_class, counts, legend, total)
        for land_class in sorted(classes.values(), key=lambda c: -counts.areas[:, c.number].sum())
    ]
    return render(
        "classes",
        "class_page.html",
        title=TITLE,
        names=names,
        unit=counts.unit,
        total=total,
        mapped=mapped,
        nodata_share=counts.nodata / max(counts.nodata + mapped, 1),
        rows=rows,
        largest=max([row["share"] for row in rows], default=1) or 1,
        places=[_shown(place, names) for place in counts.places],
    )


def _class_row(
    land_class: LandClass, counts: MapCounts, legend: Legend, total: float
) -> dict[str, Any]:
    areas = counts.areas[:, land_class.number]
    area = float(areas.sum())
    purities = {row.cluster: row.purity for row in legend.rows}
    order = np.argsort(-areas, kind="stable")
    clusters = [
        {"number": int(number), "share": float(areas[number] / area),
         "purity": purities.get(int(number))}
        for number in order.tolist() if areas[number] > 0
    ]  # fmt: skip
    return {
        "land_class": land_class,
        "pixels": int(counts.pixels[:, land_class.number].sum()),
        "area": area,
        "share": area / total if total else 0.0,
        "clusters": clusters[:_MOST_CLUSTERS],
        "others": max(len(clusters) - _MOST_CLUSTERS, 0),
    }


def _shown(place: Place, names: Sequence[str]) -> dict[str, Any]:
    x, y = place.centre
    digits = 6 if abs(x) <= 360 and abs(y) <= 360 else 1  # degrees or metres
    return {
        "map": names[place.class_map],
        "x": f"{x:.{digits}f}",
        "y": f"{y:.{digits}f}",
        "doubt": place.doubt,
        "cluster": place.cluster,
        "why": place.why,
        "classes": None if place.classes is None else _png(place.classes),
        "image": None if place.image is None else _png(place.image),
    }


def _png(picture: UInt8Array) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "PNG", optimize=True)
    return buffer.getvalue()
