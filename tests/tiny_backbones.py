"""Tiny networks with random weights that stand for pretrained ones, and a run with one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from random_run import CLUSTERS, make_run

from clusternet.backbone.describing import Describer
from clusternet.backbone.loading import open_file
from clusternet.backbone.measuring import measure
from clusternet.backbone.network_files import digest_of
from clusternet.backbone.stretch import Stretch
from clusternet.clustering.kmeans import cluster
from clusternet.clustering.reduction import LevelMoments, Reduction
from clusternet.errors import RunError, SettingsError
from clusternet.network.backend import keras
from clusternet.training.backbone import RunBackbone
from clusternet.training.backbone_files import StoredBackbone
from clusternet.training.run import load_run, save_description
from clusternet.training.run_files import CODEBOOK, MODEL
from clusternet.training.stored_codebook import StoredCodebook, write_codebook

layers = keras.layers
BANDS_OF_RGB = Stretch((3, 2, 1), (10.0, 0.0, 20.0), (200.0, 250.0, 240.0))


def two_levels() -> Any:
    """Maps at strides of 2 and 8 pixels, of any size."""
    rgb = keras.Input((None, None, 3))
    fine = layers.Conv2D(4, 5, strides=2, padding="same", activation="relu")(_scaled(rgb))
    coarse = layers.Conv2D(6, 5, strides=4, padding="same", activation="relu")(fine)
    return keras.Model(rgb, [fine, coarse])


def unpadded() -> Any:
    """One map at a stride of 4 pixels, which leaves out the border."""
    rgb = keras.Input((None, None, 3))
    fine = layers.Conv2D(4, 4, strides=2, activation="relu")(_scaled(rgb))
    return keras.Model(rgb, layers.Conv2D(5, 4, strides=2)(fine))


def pooled_inside() -> Any:
    """A map at a stride of 2 pixels, of a network that pools to a stride of 16 inside."""
    rgb = keras.Input((None, None, 3))
    fine = layers.Conv2D(4, 3, strides=2, padding="same", activation="relu")(_scaled(rgb))
    coarse = layers.UpSampling2D(8)(layers.AveragePooling2D(8)(fine))
    return keras.Model(rgb, layers.Concatenate()([fine, coarse]))


def squeezed() -> Any:
    """Maps that depend on the mean of the whole image, of any size."""
    rgb = keras.Input((None, None, 3))
    maps = layers.Conv2D(4, 3, strides=2, padding="same", activation="relu")(_scaled(rgb))
    mean = layers.GlobalAveragePooling2D(keepdims=True)(maps)
    return keras.Model(rgb, layers.Multiply()([maps, layers.Conv2D(4, 1)(mean)]))


def transformer(side: int = 32, patch: int = 8) -> Any:
    """Patches that look at each other, of images of one size."""
    rgb, count = keras.Input((side, side, 3)), side // patch
    tokens = layers.Conv2D(8, patch, strides=patch)(_scaled(rgb))
    tokens = layers.Reshape((count * count, 8))(tokens)
    tokens = layers.Add()([tokens, layers.MultiHeadAttention(2, 4)(tokens, tokens)])
    return keras.Model(rgb, layers.Reshape((count, count, 8))(tokens))


def _scaled(rgb: Any) -> Any:
    return layers.Rescaling(1 / 127.5, -1)(rgb)


def save(network: Any, path: Path) -> Path:
    """Write a network as a .keras file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    network.save(path)
    return path


def reduction_of(depths: list[int], dimensions: int = 5) -> Reduction:
    """Return a reduction that was fitted to random features."""
    moments = LevelMoments(depths)
    moments.add(np.random.default_rng(3).gamma(2, size=(200, sum(depths))).astype(np.float32))
    return moments.fit(dimensions)


def make_backbone_run(folder: Path, network: Any, padding: str = "same") -> Path:
    """Write a run with random weights that describes pixels by filters and a backbone."""
    make_run(folder, padding, fixed_filters=True)
    run = load_run(folder)
    opened = open_file(save(network, folder / "backbone.keras"), SettingsError)
    geometry = measure(opened.network, "tiny")
    reduction = reduction_of([level.depth for level in geometry.levels])
    stored = StoredBackbone("tiny", "backbone.keras", str(opened.digest), BANDS_OF_RGB, geometry)
    describer = Describer(opened.network, geometry, BANDS_OF_RGB, run.bands, reduction)
    RunBackbone(describer, opened, stored).save(folder, "")
    depth = len(run.stored.codebook.offset) + reduction.num_features
    features = np.random.default_rng(0).normal(size=(300, depth)).astype(np.float32)
    found = cluster(features, CLUSTERS)
    limits = np.percentile(features, (0.5, 99.5), axis=0).astype(np.float32)
    codebook = StoredCodebook(found.codebook, found.sizes, limits, reduction)
    write_codebook(folder / CODEBOOK, codebook, digest_of(folder / MODEL, RunError))
    save_description(folder, replace(run.settings, backbone="tiny"), run.bands)
    return folder


def opened_network(network: Any) -> Any:
    """Return a network in the form in which an opened one comes."""
    rgb = keras.Input(network.inputs[0].shape[1:])
    return keras.Model(rgb, keras.tree.flatten(network(rgb)))
