"""The backbone of a run in all members of a group: the first one fits it, the others get a copy."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from clusternet.backbone.describing import Describer
from clusternet.backbone.loading import enlarged, open_file
from clusternet.clustering.reduction import Reduction
from clusternet.errors import RunError
from clusternet.processes.groups import ALONE
from clusternet.training.backbone import RunBackbone
from clusternet.training.backbone_files import StoredBackbone
from clusternet.training.epoch_plan import TrainingData
from clusternet.training.run_files import BACKBONE_NETWORK


@dataclass(frozen=True)
class _Copy:
    """All that a member needs to describe pixels as the first one does."""

    network: bytes
    """A ``.keras`` file."""
    stored: StoredBackbone
    reduction: Reduction


def share_backbone(
    prepare: Callable[[TrainingData], RunBackbone | None], data: TrainingData
) -> RunBackbone | None:
    """Return what the first member prepares, in every member; None without a backbone.

    So all have the same numbers, whatever they would have found themselves, and a network is
    opened, or downloaded, once.

    Args:
        prepare: fits or loads the backbone in a process by itself.
        data: of the member.
    """
    group = data.group
    mine = prepare(replace(data, group=ALONE)) if group.rank == 0 else None
    if group.size == 1:
        return mine
    copy = group.once(_packed, mine)
    return mine if mine is not None or copy is None else _unpacked(copy, data)


def _packed(backbone: RunBackbone | None) -> _Copy | None:
    if backbone is None:
        return None
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / BACKBONE_NETWORK
        backbone.opened.network.save(path)
        network = path.read_bytes()
    return _Copy(network, backbone.stored, backbone.describer.reduction)


def _unpacked(copy: _Copy, data: TrainingData) -> RunBackbone:
    stored, bands = copy.stored, data.survey.bands
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / BACKBONE_NETWORK
        path.write_bytes(copy.network)
        opened = replace(open_file(path, RunError), name=stored.name)
    network = enlarged(opened.network, stored.scale, stored.name, RunError)
    describer = Describer(network, stored.geometry, stored.stretch, bands, copy.reduction)
    return RunBackbone(describer, opened, stored)
