"""Maps of runs with a backbone do not depend on how the raster is cut either."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from conftest import WriteRaster, four_textures
from tiny_backbones import make_backbone_run, pooled_inside, transformer, two_levels

from clusternet.errors import RunError
from clusternet.prediction.map_outputs import MapOptions
from clusternet.prediction.maps import predict_rasters
from clusternet.prediction.predictor import Predictor, load

RUNS = {
    "convolutions": (two_levels, "same"),
    "pooled": (pooled_inside, "same"),
    "transformer": (transformer, "valid"),
}


@pytest.fixture(scope="module")
def predictors(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Predictor]:
    root = tmp_path_factory.mktemp("runs")
    return {
        name: load(make_backbone_run(root / name, make(), padding), precision="float32")
        for name, (make, padding) in RUNS.items()
    }


@pytest.mark.usefixtures("eagerly")
@pytest.mark.parametrize("name", RUNS)
def test_features_do_not_depend_on_the_window_size(
    predictors: dict[str, Predictor], name: str
) -> None:
    predictor, pixels = predictors[name], four_textures(90, 117, 3)
    predictor.window_size = 768
    whole, clusters = predictor.features(pixels), predictor.predict(pixels)
    assert whole.shape == (90, 117, predictor.num_features)
    assert whole[..., -5:].std(axis=(0, 1)).min() > 1e-3
    predictor.window_size = 48
    np.testing.assert_allclose(predictor.features(pixels), whole, atol=1e-4)
    assert (predictor.predict(pixels) != clusters).mean() < 1e-3


@pytest.mark.usefixtures("eagerly")
@pytest.mark.parametrize("name", ["convolutions", "transformer"])
@pytest.mark.parametrize("shape", [(1, 40), (17, 5)])
def test_small_rasters_are_covered(
    predictors: dict[str, Predictor], name: str, shape: tuple[int, int]
) -> None:
    predictors[name].window_size = 64
    labels = predictors[name].predict(four_textures(*shape, 3))
    assert labels.shape == shape and labels.min() >= 0


@pytest.mark.usefixtures("eagerly")
def test_feature_maps_hold_the_backbone_too(
    predictors: dict[str, Predictor], write_raster: WriteRaster, tmp_path: Path
) -> None:
    import rasterio

    predictor = predictors["convolutions"]
    predictor.window_size = 64
    raster = write_raster("scene.tif", four_textures(40, 50, 3))
    predict_rasters(predictor, [raster], tmp_path / "maps", MapOptions(features=True))
    (path,) = (tmp_path / "maps").glob("*features*")
    with rasterio.open(path) as maps:
        assert maps.count == predictor.num_features == 6 + 24 + 5


def test_a_network_that_is_not_the_runs_is_refused(tmp_path: Path) -> None:
    run = make_backbone_run(tmp_path / "run", two_levels())
    other = make_backbone_run(tmp_path / "other", pooled_inside())
    for name in ("backbone.json", "backbone.keras"):
        (run / name).write_bytes((other / name).read_bytes())
    with pytest.raises(RunError, match="its backbone and its codebook do not fit each other"):
        load(run)
