"""How time and memory grow: with the number of patches, and with the number of clusters."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from measures.isolation import Figures, gib
from measures.material import ROOT, write_patches

SAMPLES_PER_CENTROID = 256


def measure_main(count: int, size: int, *flags: str) -> Figures:
    """Run main.py for two epochs; return the seconds of the second and the peak memory."""
    with tempfile.TemporaryDirectory() as folder:
        patches = write_patches(Path(folder) / "patches", count, size)
        run = Path(folder) / "run"
        command = [sys.executable, ROOT / "main.py", patches, "--output", run,
                   "--num_epochs", "2", "--epoch_megapixels", "0", *flags]  # fmt: skip
        process = subprocess.Popen(  # noqa: S603  (our own script)
            command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL
        )
        _, status, used = os.wait4(process.pid, 0)
        if status:
            raise RuntimeError(f"main.py failed: {command}")
        with (run / "history.csv").open(encoding="utf-8") as text:
            seconds = float(list(csv.DictReader(text))[-1]["seconds"])
    return {"patches": count, "epoch_seconds": seconds, "peak_gib": gib(used.ru_maxrss)}


def measure_kmeans(num_clusters: int) -> Figures:
    """Time the clustering of a sample of the default size for this number of clusters."""
    from clusternet.clustering.kmeans import cluster

    rng = np.random.default_rng(1)
    centres = rng.normal(size=(num_clusters, 64))
    features = rng.normal(size=(SAMPLES_PER_CENTROID * num_clusters, 64)).astype(np.float32)
    features += centres[rng.integers(0, num_clusters, len(features))].astype(np.float32)
    begin = time.perf_counter()
    cluster(features, num_clusters)
    return {"clusters": num_clusters, "seconds": time.perf_counter() - begin}
