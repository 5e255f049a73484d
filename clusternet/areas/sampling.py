"""Draw validation points from class maps and write them."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from clusternet.areas.points import (
    MAP_CLASS,
    UNFILLED,
    check_fields,
    check_points_path,
    write_points,
)
from clusternet.areas.sample import Sample, SampleOptions, draw_sample
from clusternet.areas.strata import open_class_maps
from clusternet.files.locks import claimed
from clusternet.files.outputs import check_apart, check_new, check_writable
from clusternet.messages import short
from clusternet.processes.interrupts import interrupts
from clusternet.raster.shapes import check_closed

__all__ = ["SampleOptions", "WrittenSample", "sample_points"]


@dataclass(frozen=True)
class WrittenSample:
    """A sample and where it was written."""

    path: Path
    sample: Sample

    def __str__(self) -> str:
        """Say the result in one line."""
        counts = Counter(self.sample.classes.tolist())
        listed = ", ".join(f"{c.name} {counts[c.number]}" for c in self.sample.strata.classes)
        return f"{self.path}: {len(self.sample.classes)} points ({short(listed, 200)})"


@interrupts.listening()
def sample_points(
    maps: Path,
    output: Path,
    options: SampleOptions | None = None,
    *,
    map_field: str = MAP_CLASS,
    hide: bool = True,
    overwrite: bool = False,
) -> WrittenSample:
    """Draw a stratified random sample from a class map and write it as GeoPackage.

    Each point has a number, an empty field ``reference`` to be filled with the true class, and the
    class of the map.

    Args:
        maps: a class map, or a folder of them in one CRS.
        output: the GeoPackage.
        options: how points are drawn.
        map_field: the field that gets the class of the map.
        hide: let the style for QGIS hide that field.
        overwrite: replace points whose reference is not filled in.

    Raises:
        ClusterNetError: with one clear line, for anything that the caller can correct.
    """
    check_fields(map_field)
    check_points_path(output)
    check_apart((output,), (maps,))
    with claimed(output):
        check_closed(output)
        check_new(output, kind=UNFILLED, overwrite=overwrite)
        check_writable(output)
        opened = open_class_maps(maps)
        sample = draw_sample(opened, options or SampleOptions())
        write_points(output, sample, opened, map_field=map_field, hide=hide, overwrite=overwrite)
    return WrittenSample(output, sample)
