"""The demo scores its maps beside those of K-Means on the bands."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest
from conftest import WriteRaster

from clusternet.demo.comparison import compare_with_bands


def test_both_maps_of_a_scene_are_scored_and_their_labels_told_once(
    write_raster: WriteRaster, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    truth = (np.arange(256)[:, None] % 32 < 16).astype(np.uint8).repeat(128, axis=1)
    noise = np.random.default_rng(0).integers(1, 20, (256, 128, 3))
    write_raster("images/train.tif", (truth[..., None] * 200 + noise).astype(np.uint8), nodata=0)
    write_raster("masks/train.tif", truth, nodata=255)
    write_raster("maps/train_clusters.tif", 1 - truth, nodata=255)
    with caplog.at_level(logging.INFO, logger="clusternet"):
        scores = compare_with_bands(tmp_path, tmp_path / "maps", tmp_path / "bands", 2)
    assert [score.features for score in scores] == ["K-Means on the bands", "ClusterNet"]
    assert [score.accuracy for score in scores] == [1, 1]
    assert caplog.text.count("labels used:") == 1
