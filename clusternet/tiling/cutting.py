"""Spread the cutting of rasters over processes, and stop where a server or a worker fails."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from clusternet.errors import ClusterNetError, WorkerError
from clusternet.processes.executors import Executor, LocalProcesses
from clusternet.processes.progress import Progress
from clusternet.settings import TilingSettings
from clusternet.tiling.chunks import Chunk, Layer, Outcome, cut_chunk, split_windows
from clusternet.tiling.inputs import TilingPair
from clusternet.tiling.resuming import Before, may_fail_midway
from clusternet.windows import grid

PAST_EDGE = "past the edge"
_SMALL_JOB = 2**25  # pixels: below that, one process is done before others have started


@dataclass(frozen=True)
class Cut:
    """What was cut."""

    outcomes: dict[int, Outcome]
    """By index, of the rasters that were cut to the end."""
    failure: ClusterNetError | None = None
    """Why the others were not."""


def cut_all(
    pairs: Sequence[TilingPair],
    layers: list[Layer],
    settings: TilingSettings,
    executor: Executor,
    aoi: Path | None,
    before: Before | None = None,
) -> Cut:
    """Cut all rasters, or those until a server or workers fail.

    Args:
        pairs: the rasters, and their labels.
        layers: the folders to write.
        settings: of the tiling.
        executor: where rasters are cut.
        aoi: file of polygons; pixels outside are nodata.
        before: what was cut before; then only its labels are cut.
    """
    chunks: list[Chunk] = []
    owners: list[int] = []
    outcomes = []
    for owner, pair in enumerate(pairs):
        windows = pair.windows(settings)
        outcomes.append(Outcome(skipped=_past_edge(pair, len(windows), settings)))
        known = None if before is None else frozenset(before[pair.raster.name].kept)
        for some in split_windows(
            windows, pair.raster.path, math.ceil(executor.num_workers / len(pairs))
        ):
            chunks.append(Chunk(pair, some, layers, settings, aoi, known))
            owners.append(owner)
    # Chunks, not rasters, are spread over processes: a single large raster keeps all of them busy.
    num_windows = sum(len(chunk.windows) for chunk in chunks)
    is_small = num_windows * math.prod(settings.patch_shape) < _SMALL_JOB
    if is_small and isinstance(executor, LocalProcesses):
        executor = LocalProcesses(1)
    with Progress(total=num_windows, desc="tiling", unit="patch") as progress:
        failure, left = None, Counter(owners)
        try:
            for index, result in executor.map(cut_chunk, chunks, name=str):
                outcomes[owners[index]].add(result)
                left[owners[index]] -= 1
                progress.update(len(chunks[index].windows))
        except ClusterNetError as error:
            if not (isinstance(error, WorkerError) or may_fail_midway(pairs)):
                raise
            failure = error
    for outcome in outcomes:
        outcome.kept.sort()  # chunks come in any order, but patches.json must not depend on it
    return Cut({i: each for i, each in enumerate(outcomes) if not left[i]}, failure)


def _past_edge(pair: TilingPair, num_windows: int, settings: TilingSettings) -> Counter[str]:
    if settings.edge != "drop":
        return Counter()
    shape = pair.raster.profile.shape
    num_covering = len(grid(shape, settings.patch_shape, settings.full_stride, "pad"))
    return +Counter({PAST_EDGE: num_covering - num_windows})
