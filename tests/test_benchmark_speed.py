"""The speed benchmark still runs. What it measures is not tested: times are not for tests."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT
from PIL import Image

PHASES = {"read", "embed and sample", "K-Means", "label", "train", "save"}


def measure(folder: Path, *parts: str) -> dict[str, Any]:
    """Run the benchmark at its smallest; return its results."""
    subprocess.run(
        [sys.executable, ROOT / "benchmarks" / "speed.py", "--tiny", "--precisions", "float32",
         "--output_folder", folder, "--parts", *parts],
        check=True, capture_output=True, env=os.environ | {"PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    return dict(json.loads((folder / "results.json").read_text()))


def test_an_epoch_is_taken_apart_beside_the_published_scheme(tmp_path: Path) -> None:
    results = measure(tmp_path, "limit", "epoch")
    rows = results["epoch"]
    assert results["limit"][0]["gmac"] > 0
    assert [row["scheme"] for row in rows] == ["published", "official"]
    assert set(rows[1]["busy"]) == PHASES
    assert all(row["busy_per_patch"] > 0 and row["peak_gib"] > 0 for row in rows)
    assert "less work than published" in (tmp_path / "tables.md").read_text()


@pytest.mark.slow
def test_all_parts_are_measured_into_one_folder(tmp_path: Path) -> None:
    measure(tmp_path, "limit", "epoch")
    results = measure(tmp_path, "start", "prediction", "growth")
    assert {"limit", "epoch", "start", "prediction", "growth", "clusters"} <= set(results)
    assert (tmp_path / "tables.md").read_text().count("### ") == 7
    with Image.open(tmp_path / "growth.png") as picture:
        assert min(picture.size) > 200
