"""The memory of the command by the number of patches, for a folder of tiny patches."""

from __future__ import annotations

import gc
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from measures.isolation import Figures
from PIL import Image

Result = TypeVar("Result")

_A_FOLDER = 5000  # patches
_LINKS = 20_000  # of a file; file systems allow some 60,000
_SIDE = 8


def measure_names(folder: Path, count: int) -> Figures:
    """Open, survey, plan and read a folder, and note the memory that each step holds and takes.

    Names are as many as asked for; pixels are those of a few files that all names link to.
    """
    from clusternet.patches.batches import BatchLoader
    from clusternet.patches.folder import open_patches
    from clusternet.patches.survey import survey_patches
    from clusternet.settings import TrainingSettings
    from clusternet.training.epoch_plan import TrainingData

    _write(folder, min(count, 200), "warm")
    survey_patches(open_patches(folder / "warm"), (_SIDE, _SIDE))  # loads what stays loaded
    _write(folder, count, "many")
    steps: list[Figures] = []

    def step(name: str, call: Callable[[], Result]) -> Result:
        gc.collect()
        _forget_peak()
        before, start = _status("VmRSS"), time.perf_counter()
        result = call()
        seconds, peak = time.perf_counter() - start, _status("VmHWM")
        gc.collect()
        steps.append({
            "step": name, "seconds": seconds, "held": _status("VmRSS") - before,
            "peak": peak - before,
        })  # fmt: skip
        return result

    patches = step("open", lambda: open_patches(folder / "many"))
    survey = step("survey", lambda: survey_patches(patches, (_SIDE, _SIDE)))
    loader = BatchLoader(patches, survey.bands, (_SIDE, _SIDE), 32, 2)
    data = TrainingData(loader, survey, TrainingSettings(epoch_megapixels=0))
    plan = step("plan of an epoch", lambda: data.plan(1))
    step("100 batches", lambda: _read(data.batches(plan.order), 100))
    return {"patches": count, "steps": steps}


def _read(batches: Any, count: int) -> None:
    for number, _ in enumerate(batches, 1):
        if number == count:
            batches.close()
            return


def _write(folder: Path, count: int, name: str) -> None:
    """Write patches with a list of them, as `clusternet tile` does."""
    rng, target = np.random.default_rng(0), folder / name
    entries, rasters, source = [], [], folder
    for number in range(count):
        place, window = divmod(number, _A_FOLDER)
        raster = f"scene_{place:04d}"
        if not window:
            (target / raster).mkdir(parents=True)
            rasters.append(_raster(raster))
        if number % _LINKS == 0:
            source = folder / f"{name}_{number}.png"
            Image.fromarray(rng.integers(0, 255, (_SIDE, _SIDE, 3), np.uint8)).save(source)
        file = f"{raster}/{512 * (window // 100):05d}_{512 * (window % 100):05d}.png"
        os.link(source, target / file)
        entries.append({"file": file, "raster": raster, "window": [0, 0, _SIDE, _SIDE]})
    listed = {
        "format": 1, "patch_shape": [_SIDE, _SIDE], "stride": [_SIDE, _SIDE], "edge": "shift",
        "rasters": rasters, "patches": entries, "given": None,
    }  # fmt: skip
    (target / "patches.json").write_text(json.dumps(listed, indent=0), encoding="utf-8")


def _raster(name: str) -> dict[str, Any]:
    return {
        "name": name, "source": f"{name}.tif", "crs": None, "transform": [1, 0, 0, 0, -1, 0],
        "shape": [51200, 51200], "num_bands": 3, "dtype": "uint8", "nodata": None,
        "has_mask": False,
    }  # fmt: skip


def _status(name: str) -> int:
    """Return a figure of this process's memory in bytes (Linux)."""
    text = Path("/proc/self/status").read_text(encoding="utf-8")
    return int(text.split(f"{name}:")[1].split()[0]) * 1024


def _forget_peak() -> None:
    Path("/proc/self/clear_refs").write_text("5", encoding="utf-8")
