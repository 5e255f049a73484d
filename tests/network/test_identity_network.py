"""A network that passes its input on gives every raster back, pixel by pixel in its place."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from conftest import WriteRaster
from memory_training import SETTINGS, Learners

from clusternet.clustering.kmeans import Codebook
from clusternet.clustering.sampling import SamplePlan
from clusternet.network.filter_sizes import num_filters
from clusternet.network.sizes import check_shape
from clusternet.network.unet import build_network
from clusternet.patches.bands import Bands
from clusternet.patches.batches import Batch
from clusternet.prediction.map_outputs import MapOptions
from clusternet.prediction.maps import predict_raster
from clusternet.prediction.predictor import Assign, load
from clusternet.settings import TrainingSettings
from clusternet.training.run import save_description, save_result
from clusternet.training.stored_codebook import StoredCodebook
from clusternet.windows import Window, centre

CLUSTERS = 60

pytestmark = pytest.mark.usefixtures("eagerly")


def pass_on(network: Any) -> None:
    """Make the features of a pixel its bands: the middle of each kernel on the top level is 1.

    All other weights are 0, so that nothing comes from the lower levels, and nothing from the
    pixels beside it. Bands must not be negative.
    """
    for layer in network.layers:
        layer.set_weights([np.zeros_like(value) for value in layer.get_weights()])
    for name in ("down0_conv1", "down0_conv2", "up0_conv1", "up0_conv2"):
        kernel, bias = network.get_layer(name).get_weights()
        kernel[1, 1, 0, 0] = 1  # the skip comes first where it meets the lower levels
        network.get_layer(name).set_weights([kernel, bias])


def value_codebook(depth: int, place: int, clusters: int = CLUSTERS) -> Codebook:
    """Return a codebook by which a pixel's cluster is the value of one of its features."""
    centroids = np.zeros((clusters, depth), np.float32)
    centroids[:, place] = np.arange(clusters)
    projection = np.zeros((depth, depth), np.float32)
    projection[place, place] = 1
    return Codebook(centroids, np.zeros(depth, np.float32), projection)


def write_identity_run(folder: Path, padding: str, *, filters: bool = False) -> Path:
    """Write a run whose clusters are the values of the only band.

    With filters it is the value that the filter bank passes on, otherwise that of the network.
    """
    settings = TrainingSettings(
        num_clusters=CLUSTERS, base_filters=1, num_features=1, padding=padding,
        precision="float32", fixed_filters=filters,
    )  # fmt: skip
    # 211 and 227: the skips of the valid network are cut by odd numbers of pixels
    shape = (64, 48) if padding == "same" else (211, 227)
    network = build_network(1, CLUSTERS, shape=shape, base_filters=1, num_features=1,
                            padding=padding)  # fmt: skip
    pass_on(network)
    depth = 1 + (num_filters(1) if filters else 0)
    codebook = value_codebook(depth, int(filters))
    _, kernel, bias = value_codebook(1, 0).convolution()  # of no offset
    network.get_layer("logits").set_weights([kernel[None, None], bias])
    feature_range = np.stack([np.zeros(depth), np.full(depth, CLUSTERS)]).astype(np.float32)
    stored = StoredCodebook(codebook, np.ones(CLUSTERS, np.int32), feature_range)
    save_description(folder, settings, Bands(1, "uint8", 255, (0.0,), (1.0,), shape))
    save_result(folder, network, stored, [])
    return folder


def values(shape: tuple[int, int], seed: int = 0) -> np.ndarray:
    """Return a raster (rows, cols) uint8 of random values, 255 (nodata) on some pixels."""
    rng = np.random.default_rng(seed)
    raster = rng.integers(0, CLUSTERS, shape).astype(np.uint8)
    if raster.size > 100:
        raster[rng.random(shape) < 0.1] = 255
        raster[-1, -1] = raster[0, 0] = 7
    return raster


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("identity")
    return {
        "same": write_identity_run(root / "same", "same"),
        "valid": write_identity_run(root / "valid", "valid"),
        "same filters": write_identity_run(root / "same filters", "same", filters=True),
        "valid filters": write_identity_run(root / "valid filters", "valid", filters=True),
    }


@pytest.mark.parametrize("kind", ["same", "valid", "same filters", "valid filters"])
def test_maps_of_whole_rasters_are_the_rasters(
    runs: dict[str, Path], write_raster: WriteRaster, tmp_path: Path, kind: str
) -> None:
    predictor = load(runs[kind], precision="float32", window_size=48)
    for number, shape in enumerate([(1, 40), (67, 51)]):
        pixels = values(shape, number)
        source = write_raster("scene.tif", pixels, nodata=255)
        output = tmp_path / f"{number}_clusters.tif"
        predict_raster(predictor, source, output, MapOptions(confidence=True, features=True))
        with rasterio.open(source) as scene, rasterio.open(output) as made:
            assert (made.transform, made.crs) == (scene.transform, scene.crs)
            np.testing.assert_array_equal(made.read(1), pixels, err_msg=f"{kind} {shape}")
        place = kind.endswith("filters") + 1  # of the band that is passed on
        with rasterio.open(tmp_path / f"{number}_features.tif") as made:
            stored = made.read(place) * made.scales[0] + made.offsets[0]
            assert ((made.read(place) == 255) == (pixels == 255)).all()
        step = CLUSTERS / 254
        np.testing.assert_allclose(stored[pixels < 255], pixels[pixels < 255], atol=step / 2 + 1e-4)
        with rasterio.open(tmp_path / f"{number}_confidence.tif") as made:
            assert (made.read(1) == np.where(pixels == 255, 255, 254)).all()  # all on a centroid


@pytest.mark.parametrize("kind", ["same", "valid"])
@pytest.mark.parametrize("assign", ["codebook", "head"])
def test_no_window_size_moves_a_pixel(runs: dict[str, Path], kind: str, assign: Assign) -> None:
    pixels = values((40, 21))
    expected = np.where(pixels == 255, -1, pixels.astype(int))
    predictor = load(runs[kind], precision="float32", assign=assign)
    for predictor.window_size in (16, 768) if assign == "codebook" else (32,):
        np.testing.assert_array_equal(predictor.predict(pixels), expected)


@pytest.mark.parametrize("kind", ["same", "valid"])
def test_features_of_whole_rasters_are_the_rasters(runs: dict[str, Path], kind: str) -> None:
    pixels = values((1, 70))
    features = load(runs[kind], precision="float32", window_size=32).features(pixels)
    np.testing.assert_allclose(features[..., 0], np.where(pixels == 255, np.nan, pixels), atol=1e-5)


@pytest.mark.parametrize(("padding", "shape"), [("same", (32, 32)), ("valid", (204, 211))])
def test_labels_and_samples_of_patches_are_their_own_pixels(
    learners: Learners, padding: str, shape: tuple[int, int]
) -> None:
    learner = learners(3, shape, replace(SETTINGS, padding=padding), 2)
    pass_on(learner.network)
    learner.freeze(value_codebook(SETTINGS.num_features, 0, SETTINGS.num_clusters))
    labelled = check_shape(shape, padding)
    pixels = np.random.default_rng(0).integers(0, 5, (2, *shape, 3)).astype(np.float32)
    middle = centre(Window(0, 0, *shape), labelled).slices()
    valid = np.random.default_rng(1).random((2, *labelled)) < 0.8
    batch = Batch(np.array([4, 7]), pixels, valid)
    expected = pixels[:, *middle, 0]
    np.testing.assert_array_equal(learner.label(batch), np.where(valid, expected, -1))
    np.testing.assert_allclose(learner.embed(batch)[:, 0], expected[valid], atol=1e-5)
    plan = SamplePlan({4: 11, 7: 5}, (1,))
    chosen = [plan.positions(*pair) for pair in zip(plan.quotas, valid, strict=True)]
    sampled = [values.ravel()[at] for values, at in zip(expected, chosen, strict=True)]
    features = learner.embed_sample(batch, plan).features[:, 0]
    np.testing.assert_allclose(features, np.concatenate(sampled), atol=1e-5)
