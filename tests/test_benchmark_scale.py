"""The benchmark of several machines: its sums, and that all of it still runs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import pytest
from conftest import ROOT

sys.path.insert(0, str(ROOT / "benchmarks"))
import scale
from scaling import simulation, stages

FREE = simulation.Network("free", float("inf"), 0, 0)
COSTS = {
    "configuration": "default", "size": 512, "patch_seconds": 2.0, "embed_seconds": 0.5,
    "kmeans_seconds": 1.0, "save_seconds": 0.0, "gradient_bytes": 8e6, "sample_bytes": 1e6,
    "codebook_bytes": 1e4, "patch_bytes": 786_432, "batch": 1, "epoch_patches": 32,
    "sample_patches": 64, "group": 0,
}  # fmt: skip
TRAINING = simulation.Training.of(COSTS)


def test_the_overhead_is_taken_apart_into_start_and_work() -> None:
    # plain: 2 s and 3 s a piece; Ray: 7 s and 3.3 s a piece
    found = stages.overhead((1, 11), (5.0, 35.0), (10.3, 43.3))
    assert found["start_seconds"] == pytest.approx(5)
    assert found["work_factor"] == pytest.approx(1.1)
    assert found["share_of_five_minutes"] == pytest.approx((7 + 3.3 * 298 / 3) / 300 - 1)


def test_one_worker_needs_the_sum_of_its_work() -> None:
    assert simulation.epoch_seconds(TRAINING, FREE, 1) == 32 * 2 + 64 * 0.5 + 1


def test_workers_beyond_the_batch_are_of_no_use_for_steps() -> None:
    one, many = (simulation.epoch_seconds(TRAINING, FREE, number) for number in (1, 64))
    assert one - many == pytest.approx(63 * 0.5)  # of the sample; the batch is 1
    larger = replace(TRAINING, batch=32)
    assert simulation.epoch_seconds(larger, FREE, 32) == pytest.approx(2 + 2 * 0.5 + 1)


def test_gradients_travel_twice_and_all_workers_meet_twice() -> None:
    network = simulation.Network("slow", 1e6, 0.1, 0.01)
    assert simulation.exchange_seconds(4e6, network, 1) == 0
    assert simulation.exchange_seconds(4e6, network, 4) == pytest.approx(6 + 2 * (0.1 + 0.04))


def test_the_writer_bounds_the_maps() -> None:
    rows = simulation.simulate_maps(1.0, 0, 0.1)
    assert max(rows[0]["speedup"]) == pytest.approx(10)
    assert rows[0]["useful"] == 16


def test_a_simulation_of_what_the_folder_holds_is_drawn(tmp_path: Path) -> None:
    folder = tmp_path / "scale"
    folder.mkdir()
    costs = [COSTS, COSTS | {"configuration": "official"}]
    results = {"machine": {}, "commands": [], "costs": costs}
    (folder / "results.json").write_text(json.dumps(results))

    page = tmp_path / "scale.md"
    page.write_text(
        "Before.\n<!-- tables of benchmarks/scale.py -->\nold\n<!-- end of the tables -->\nAfter.\n"
    )
    (tmp_path / "images").mkdir()

    scale.main(["--output_folder", str(folder), "--parts", "simulation", "--page", str(page)])

    text = page.read_text()
    assert text.startswith("Before.") and text.endswith("-->\nAfter.\n") and "old" not in text
    assert "larger batch" in text and (tmp_path / "images" / "scale.png").exists()

    assert (folder / "scale.png").stat().st_size > 1000
    rows = json.loads((folder / "results.json").read_text())["training"]
    assert {row["patches"] for row in rows} == {32, simulation.MANY}
    assert all(row["speedup"][0] == 1 for row in rows if row["variant"] == "as configured")
    assert "larger batch" in (folder / "tables.md").read_text()


@pytest.mark.slow
@pytest.mark.skipif(find_spec("ray") is None, reason="Ray is not installed")
def test_all_parts_are_measured_into_one_folder(tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, ROOT / "benchmarks" / "scale.py", "--quick", "--output_folder", tmp_path,
         "--stages", "survey", "train"],
        check=True, capture_output=True, env=os.environ | {"PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    results = json.loads((tmp_path / "results.json").read_text())
    assert {"overhead", "workers", "traffic", "costs", "names", "training", "maps"} <= set(results)
    assert (tmp_path / "tables.md").read_text().count("### ") == 7
