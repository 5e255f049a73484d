"""The published scheme, implemented plainly, to compare with.

For each group of 32 patches: features of all pixels (predict), K-Means over all of them with 20
iterations, a Python list of pixels for each cluster, one-hot targets, compile again, one pass
over the shuffled group. The network, the patches and the libraries are the same as ours.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from clusternet.network.sizes import check_shape
from clusternet.settings import TrainingSettings
from measures.isolation import Clock, Figures, epoch_figures

GROUP = 32
PHASES = ("read", "embed", "K-Means", "lists and one-hot", "compile and trace", "train")


def measure_published(folder: Path, size: int, settings: TrainingSettings) -> Figures:
    """Time the patches of ``folder``; extrapolate to a patch of a whole group.

    All phases grow with the number of patches, except the first training step, which traces anew.
    The tracing of the first prediction is left out, as it happens once a run.
    """
    from clusternet.network.backend import keras, resolve_precision
    from clusternet.network.unet import build_network, features_tensor

    rows, cols = check_shape((size, size), settings.padding)
    network = build_network(
        3, settings.num_clusters, shape=(size, size), base_filters=settings.base_filters,
        padding=settings.padding, dtype=resolve_precision(settings.precision),
    )  # fmt: skip
    softmax = keras.layers.Softmax(dtype="float32")(network.output)
    trained = keras.Model(network.input, softmax)
    embedder = keras.Model(network.input, features_tensor(network))
    batch, clusters = settings.batch_size((size, size), GROUP), settings.num_clusters
    embedder.predict(np.zeros((batch, size, size, 3), np.float32), verbose=0)

    clocks = {phase: Clock() for phase in PHASES}
    with clocks["read"].running():
        files = sorted(folder.rglob("*.png"))
        pixels = np.stack([np.asarray(Image.open(file), np.float32) for file in files])
        pixels = (pixels - pixels.mean((0, 1, 2))) / pixels.std((0, 1, 2))
    with clocks["embed"].running():
        embedded = embedder.predict(pixels, batch_size=batch, verbose=0)
        features = np.ascontiguousarray(embedded.reshape(-1, embedded.shape[-1]), np.float32)
    with clocks["K-Means"].running():
        assignment = _cluster(features, clusters)
    with clocks["lists and one-hot"].running():
        lists: list[list[int]] = [[] for _ in range(clusters)]
        for pixel, cluster in enumerate(assignment):
            lists[cluster[0]].append(pixel)
        labels = np.zeros(len(features), np.int64)
        for cluster, places in enumerate(lists):
            labels[places] = cluster
        targets = np.eye(clusters, dtype=np.float32)[labels].reshape(-1, rows, cols, clusters)
    with clocks["compile and trace"].running():
        trained.compile(keras.optimizers.Adam(settings.learn_rate), "categorical_crossentropy")
    steps = _StepClock.callback(keras, clocks["train"])
    trained.fit(pixels, targets, batch_size=batch, shuffle=True, verbose=0, callbacks=[steps])
    return _figures(clocks, len(files), batch, rows * cols)


class _StepClock:
    """Times every training step."""

    @staticmethod
    def callback(keras: Any, clock: Clock) -> Any:
        running = clock.running()

        def begin(batch: int, logs: Any = None) -> None:
            nonlocal running
            running = clock.running()
            running.__enter__()

        def end(batch: int, logs: Any = None) -> None:
            running.__exit__(None, None, None)

        made = keras.callbacks.LambdaCallback()
        made.on_train_batch_begin, made.on_train_batch_end = begin, end
        return made


def _cluster(features: Any, clusters: int) -> Any:
    import faiss

    kmeans = faiss.Clustering(features.shape[1], clusters)
    kmeans.niter = 20
    kmeans.max_points_per_centroid = 10_000_000
    index = faiss.IndexFlatL2(features.shape[1])
    kmeans.train(features, index)
    return index.search(features, 1)[1]


def _figures(clocks: dict[str, Clock], patches: int, batch: int, labelled: int) -> Figures:
    wall, busy = ({}, {})
    for kind, seconds in enumerate((wall, busy)):
        for name, clock in clocks.items():
            seconds[name] = sum((clock.wall, clock.busy)[kind]) / patches
        steps = (clocks["train"].wall, clocks["train"].busy)[kind]
        compiled = sum((clocks["compile and trace"].wall, clocks["compile and trace"].busy)[kind])
        seconds["train"] = clocks["train"].total()[kind] / patches
        traced = steps[0] - seconds["train"] * batch
        seconds["compile and trace"] = (compiled + traced) / GROUP
    return epoch_figures(wall, busy, patches, labelled)
