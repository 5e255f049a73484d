"""Show where the time of training goes on a GPU: phases of an epoch, and a trace of steps.

    KERAS_BACKEND=jax python benchmarks/gpu.py --output_folder gpu
    KERAS_BACKEND=jax python benchmarks/gpu.py --output_folder gpu --base_filters 16 --patches 8

Works with every backend and without a GPU, too. Prints a line for each number of base filters:
the seconds of an epoch of 8 megapixels by phase, and the share of the speed of large matrix
products that its convolutions reach. The trace is for TensorBoard, Perfetto or XProf.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from measures.epoch import measure_epoch
from measures.isolation import Figures
from measures.limit import convolutions
from measures.material import configuration, write_patches

EPOCH_PIXELS = 8e6


def matrix_speed(precision: str, side: int) -> float:
    """Return the FLOP/s of products of two matrices of ``side`` x ``side``."""
    from clusternet.network.backend import keras, resolve_precision

    dtype = "bfloat16" if "bfloat16" in resolve_precision(precision) else "float32"
    one = keras.random.normal((side, side), dtype=dtype)
    best = float("inf")
    for _ in range(5):
        started, product = time.perf_counter(), one
        for _ in range(10):
            product = keras.ops.matmul(product, one) * 1e-3
        float(product[0, 0])  # waits for the device
        best = min(best, time.perf_counter() - started)
    return 10 * 2 * side**3 / best


def training_flop(size: int, base_filters: int) -> float:
    """Return the operations of the convolutions for a patch: forwards and both gradients."""
    shapes = convolutions(size, configuration("default", base_filters=base_filters))
    macs = sum(
        rows[0] * rows[1] * kernel[0] * kernel[1] * kernel[2] * kernel[3]
        for _, kernel, rows in shapes
    )
    return 3 * 2 * float(macs)


@contextmanager
def traced(folder: Path) -> Iterator[None]:
    """Write the profiler's trace of what is done inside."""
    from clusternet.network.backend import keras

    if keras.backend.backend() == "jax":
        import jax

        with jax.profiler.trace(str(folder)):
            yield
    else:
        import tensorflow as tf

        with tf.profiler.experimental.Profile(str(folder)):
            yield


def trace_steps(folder: Path, size: int, base_filters: int, steps: int) -> None:
    """Write a trace of some steps: labels, and training towards them."""
    import numpy as np

    from clusternet.clustering.kmeans import cluster
    from clusternet.patches.batches import Batch
    from clusternet.training.learner import Learner

    settings = configuration("default", base_filters=base_filters)
    shape, rng = (size, size), np.random.default_rng(1)
    pixels = rng.normal(size=(1, size, size, 3)).astype(np.float32)
    batch = Batch(np.arange(1), pixels, np.ones((1, size, size), bool))
    learner = Learner(3, shape, settings, 1)
    features = learner.embed(batch)[:: size // 8]
    learner.freeze(cluster(features, settings.num_clusters, iterations=2).codebook)
    for traces in (False, True):  # the first round compiles
        with traced(folder) if traces else tempfile.TemporaryDirectory():
            for _ in range(steps):
                learner.fit(pixels, learner.label(batch))


def measure(size: int, base_filters: int, patches: int, matrix_side: int) -> Figures:
    """Return the figures of an epoch."""
    settings = configuration("default", base_filters=base_filters)
    with tempfile.TemporaryDirectory() as work:
        folder = write_patches(Path(work) / "patches", patches, size)
        figures = measure_epoch(folder, size, settings, started=time.time())
    a_patch = figures["wall"]
    flop = training_flop(size, base_filters)
    speed = matrix_speed(settings.precision, matrix_side)
    return {
        "epoch": {phase: EPOCH_PIXELS / size**2 * seconds for phase, seconds in a_patch.items()},
        "share": flop / a_patch["train"] / speed,
        "matrices": speed,
    }


def main() -> None:
    """Measure, print and trace."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--output_folder", type=Path, required=True, help="where traces go")
    parser.add_argument("--base_filters", type=int, nargs="+", default=[16, 64])
    parser.add_argument("--size", type=int, default=512, help="side of the patches")
    parser.add_argument("--patches", type=int, default=32, help="patches of the epoch timed")
    parser.add_argument("--steps", type=int, default=4, help="steps traced")
    parser.add_argument("--matrix_side", type=int, default=8192, help="of the products timed")
    args = parser.parse_args()
    if args.output_folder.exists():
        parser.error(f"{args.output_folder}: exists; expected a new folder.")
    for base_filters in args.base_filters:
        figures = measure(args.size, base_filters, args.patches, args.matrix_side)
        phases = ", ".join(f"{name} {value:.2f}" for name, value in figures["epoch"].items())
        print(
            f"{base_filters} base filters, patches of {args.size}: an epoch takes "
            f"{sum(figures['epoch'].values()):.2f} s ({phases}); training is at "
            f"{figures['share']:.1%} of {figures['matrices'] / 1e12:.2f} TFLOP/s",
            flush=True,
        )
        trace_steps(args.output_folder / str(base_filters), args.size, base_filters, args.steps)
    print(f"{args.output_folder}: traces written", file=sys.stderr)


if __name__ == "__main__":
    main()
