"""What learns from labels gets the features of a backbone as a group, and among all."""

from __future__ import annotations

from pathlib import Path

from tiny_backbones import make_backbone_run, two_levels

from clusternet.learning.methods import views_of
from clusternet.prediction.quantiser import Quantiser
from clusternet.training.run import load_run


def test_what_learns_from_labels_gets_the_backbone_as_a_group(tmp_path: Path) -> None:
    run = load_run(make_backbone_run(tmp_path / "run", two_levels()))
    views = views_of(run, Quantiser.of_run(run))
    assert list(views) == [
        "all features", "filters and backbone", "filters and learned features", "filters",
        "backbone", "bands",
    ]  # fmt: skip
    assert views["all features"].tolist() == list(range(6 + 24 + 5))
    assert views["backbone"].tolist() == list(range(30, 35))
    assert views["filters"].tolist() == list(range(6, 30))
    assert views["bands"].tolist() == [6, 7, 8]
