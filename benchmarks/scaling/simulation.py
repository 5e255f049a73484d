"""How long an epoch, a survey and maps would take on many workers, from measured costs.

The assumptions are named here, and printed with the results. Nothing of this was run on more than
one machine.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product

from measures.isolation import Figures

WORKERS = (1, 2, 4, 8, 16, 32, 64, 128, 256)
MANY = 1_000_000  # patches of a country
_ENOUGH = 0.5  # efficiency of the largest number of workers that is called useful


@dataclass(frozen=True)
class Network:
    """The network between workers. An assumption."""

    name: str
    bytes_per_second: float
    """Of each worker, in each direction, at the same time as the others."""
    latency: float
    """Seconds of a message there and back, without Ray."""
    call_seconds: float = 0.001
    """Seconds that Ray's processes need for a message; one process takes those of all workers
    that meet in an exchange. Measured."""


NETWORKS = (
    Network("1 Gbit/s", 1e9 / 8 * 0.9, 200e-6),
    Network("10 Gbit/s", 1e10 / 8 * 0.9, 50e-6),
)


@dataclass(frozen=True)
class Training:
    """The costs and sizes of one configuration, see `scaling.costs.measure_costs`."""

    patch_seconds: float
    """To label a patch and train on it, on one worker."""
    embed_seconds: float
    """To compute the features of a patch of the sample."""
    kmeans_seconds: float
    """Of an epoch; of a patch, where groups of patches are clustered."""
    save_seconds: float
    gradient_bytes: float
    sample_bytes: float
    codebook_bytes: float
    batch: int
    epoch_patches: int
    sample_patches: int
    group: int = 0
    """Patches that have a codebook of their own; 0: an epoch has one."""
    exchange_every: int = 1
    """Steps between two exchanges of gradients."""
    spreads_kmeans: bool = False
    """K-Means runs where the features are, and only sums of clusters travel."""

    @classmethod
    def of(cls, figures: Figures) -> Training:
        """Take measured figures."""
        names = cls.__dataclass_fields__.keys() & figures.keys()
        return cls(**{name: figures[name] for name in names})

    def faster(self, factor: float) -> Training:
        """Return the same with a faster network library, such as on a GPU; K-Means stays."""
        return replace(
            self,
            patch_seconds=self.patch_seconds / factor,
            embed_seconds=self.embed_seconds / factor,
        )


def epoch_seconds(training: Training, network: Network, workers: int) -> float:
    """Return the time of an epoch.

    Every step each worker labels and trains its part of the batch. So no more workers than the
    batch has patches are of use. Gradients are summed up in parts: a worker sends twice their size.
    """
    steps = math.ceil(training.epoch_patches / training.batch)
    part = math.ceil(training.batch / workers)
    exchanges = math.ceil(steps / training.exchange_every)
    work = steps * part * training.patch_seconds
    travel = exchanges * exchange_seconds(training.gradient_bytes, network, workers)
    rounds = math.ceil(training.epoch_patches / training.group) if training.group else 1
    return (
        work
        + travel
        + rounds * sample_seconds(training, network, workers)
        + (training.save_seconds)
    )


def exchange_seconds(size: float, network: Network, workers: int) -> float:
    """Return the time to sum up ``size`` bytes over workers, in two meetings of all."""
    if workers == 1:
        return 0.0
    travel = 2 * size * (workers - 1) / workers / network.bytes_per_second
    return travel + 2 * (network.latency + network.call_seconds * workers)


def sample_seconds(training: Training, network: Network, workers: int) -> float:
    """Return the time to gather a sample, cluster it, and hand the codebook out."""
    embed = math.ceil(training.sample_patches / workers) * training.embed_seconds
    kmeans = training.kmeans_seconds * (training.group or 1)
    if workers == 1:
        return embed + kmeans
    meet = 2 * (network.latency + network.call_seconds * workers)
    if training.spreads_kmeans:
        return (
            embed
            + kmeans / workers
            + _ITERATIONS * exchange_seconds(training.codebook_bytes, network, workers)
        )
    others = training.sample_bytes * (workers - 1) / workers
    return embed + kmeans + meet + (others + training.codebook_bytes) / network.bytes_per_second


_ITERATIONS = 20  # of K-Means


def variants(training: Training, workers: int) -> Iterator[tuple[str, Training]]:
    """Yield the training as it is, and changed so that more workers are of use.

    A batch has no more patches than share a codebook.
    """
    yield "as configured", training
    largest = training.group or training.epoch_patches
    larger = replace(training, batch=min(max(training.batch, 4 * workers), largest))
    yield "larger batch", larger
    yield "and exchange every 8 steps", replace(larger, exchange_every=8)
    yield "and K-Means on all workers", replace(larger, exchange_every=8, spreads_kmeans=True)


def simulate_training(
    rows: Sequence[Figures], call_seconds: float, speeds: Sequence[float] = (1, 50)
) -> list[Figures]:
    """Return the speed-up on each number of workers, for all configurations and changes."""
    found: dict[tuple[object, ...], Figures] = {}
    for row, network, speed in product(rows, NETWORKS, speeds):
        meeting = replace(network, call_seconds=call_seconds)
        for patches in dict.fromkeys((row["epoch_patches"], MANY)):
            measured = replace(Training.of(row).faster(speed), epoch_patches=patches)
            one = epoch_seconds(measured, meeting, 1)
            for workers in WORKERS:
                for variant, training in variants(measured, workers):
                    key = row["configuration"], patches, network.name, speed, variant
                    entry = found.setdefault(key, {
                        "configuration": row["configuration"], "patches": patches,
                        "network": network.name, "speed": speed, "variant": variant,
                        "one_seconds": one, "speedup": [],
                    })  # fmt: skip
                    entry["speedup"].append(one / epoch_seconds(training, meeting, workers))
    for entry in found.values():
        entry["useful"] = useful(entry["speedup"])
    return list(found.values())


def useful(speedups: Sequence[float]) -> int:
    """Return the largest number of workers that are used at half their power, or better."""
    pairs = zip(WORKERS, speedups, strict=True)
    return max(number for number, speedup in pairs if speedup >= _ENOUGH * number)


def simulate_maps(
    seconds_per_megapixel: float, bytes_per_megapixel: float, write_seconds: float
) -> list[Figures]:
    """Return the speed-up of `predict`: workers compute, and one process receives and writes.

    Args:
        seconds_per_megapixel: of one worker.
        bytes_per_megapixel: that come back to the command.
        write_seconds: of the command, to write a megapixel.
    """
    rows = []
    for network in NETWORKS:
        receive = bytes_per_megapixel / network.bytes_per_second
        speedups = [
            seconds_per_megapixel / max(seconds_per_megapixel / workers, receive, write_seconds)
            for workers in WORKERS
        ]
        rows.append({
            "network": network.name, "speedup": speedups, "useful": useful(speedups),
            "receive_seconds": receive, "write_seconds": write_seconds,
        })  # fmt: skip
    return rows


def simulate_survey(open_seconds: float, patch_seconds: float) -> Figures:
    """Return the speed-up of opening and surveying a folder: one process opens all files first."""
    one = open_seconds + patch_seconds
    speedups = [one / (open_seconds + patch_seconds / workers) for workers in WORKERS]
    return {"speedup": speedups, "useful": useful(speedups), "open_seconds": open_seconds}
