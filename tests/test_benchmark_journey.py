"""The benchmark of the journey still runs. Its figures are not tested: times are not for tests."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT
from PIL import Image


@pytest.mark.slow
def test_every_way_from_rasters_to_class_maps_is_timed(tmp_path: Path) -> None:
    call = [sys.executable, ROOT / "benchmarks" / "journey.py", "--tiny", "--epochs", "1",
            "--output_folder", tmp_path, "--sizes", "many"]  # fmt: skip
    subprocess.run(call, check=True, capture_output=True)
    (journey,) = json.loads((tmp_path / "journey.json").read_text())["journeys"].values()
    steps = {name: [row["step"] for row in rows] for name, rows in journey["methods"].items()}
    assert steps == {
        "ours": ["tile", "train", "predict", "classes"],
        "forest": ["forest"], "kmeans": ["kmeans"], "published": ["epoch"],
    }  # fmt: skip
    for row in journey["methods"]["ours"]:
        assert {"start", "reading", "computing", "writing"} <= set(row["phases"])
        assert row["cpu"] > 0 and row["phases"]["start"] > 0
    assert "times ours" in (tmp_path / "journey.md").read_text()
    with Image.open(tmp_path / "journey.png") as picture:
        assert min(picture.size) > 200
