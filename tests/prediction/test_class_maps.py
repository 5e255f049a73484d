"""A fine-tuned run writes class maps: right by construction, named, coloured, with nodata."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio
from conftest import WriteRaster
from random_run import make_run

import clusternet
from clusternet.errors import OutputError, RunError
from clusternet.evaluation.evaluate import evaluate
from clusternet.legend.land_classes import LandClass
from clusternet.prediction.map_outputs import MapOptions
from clusternet.prediction.maps import predict_rasters
from clusternet.prediction.predictor import Predictor
from clusternet.raster.category_names import side_file_path
from clusternet.training.run import load_run
from clusternet.training.run_files import CLASS_HEAD, CODEBOOK

CLASSES = (
    LandClass(3, "dark, or wet", (10, 20, 30)),
    LandClass(4, "middle", (40, 50, 60)),
    LandClass(9, "bright", (70, 80, 90)),
)
LEVELS = {3: 60, 4: 100, 9: 140}  # of bands with mean 100 and deviation 50: -0.8, 0 and 0.8


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_run(tmp_path_factory.mktemp("run") / "classes", fixed_filters=True, classes=CLASSES)


@pytest.fixture(scope="module")
def predictor(run: Path) -> Predictor:
    return clusternet.load(run, precision="float32", window_size=64)


@pytest.fixture
def truth() -> np.ndarray:
    return np.random.default_rng(2).choice([3, 4, 9], (150, 130))


@pytest.fixture
def scene(write_raster: WriteRaster, truth: np.ndarray) -> Path:
    """A scene of which the first band tells the class, with a corner without data."""
    pixels = np.random.default_rng(1).integers(1, 255, (*truth.shape, 3)).astype(np.uint8)
    pixels[..., 0] = np.select([truth == number for number in LEVELS], list(LEVELS.values()))
    pixels[:30, :40] = 0
    return write_raster("scenes/town.tif", pixels, nodata=0)


def test_the_map_of_a_whole_raster_holds_the_right_classes(
    predictor: Predictor, scene: Path, truth: np.ndarray, tmp_path: Path
) -> None:
    report = predict_rasters(predictor, [scene], tmp_path / "maps", MapOptions(confidence=True))
    made = tmp_path / "maps/town_classes.tif"
    assert report.maps == (made,) and report.summary() == str(made)
    expected = truth.copy()
    expected[:30, :40] = 255
    with rasterio.open(made) as found, rasterio.open(scene) as source:
        np.testing.assert_array_equal(found.read(1), expected)
        assert (found.nodata, found.dtypes) == (255, ("uint8",))
        assert (found.crs, found.transform) == (source.crs, source.transform)
        assert found.tags()["CLUSTERNET_KIND"] == "classes"
        assert [found.colormap(1)[one.number][:3] for one in CLASSES] == [
            one.colour for one in CLASSES
        ]
    assert all(one.name in side_file_path(made).read_text() for one in CLASSES)
    with rasterio.open(tmp_path / "maps/town_confidence.tif") as found:
        assert (found.read(1)[:30, :40] == 255).all() and found.read(1).min() > 0
    with pytest.raises(OutputError, match=r"town_classes.tif: exists already"):
        predict_rasters(predictor, [scene], tmp_path / "maps")
    again = predict_rasters(predictor, [scene], tmp_path / "maps", MapOptions(skip_existing=True))
    assert (again.maps, again.skipped) == ((), 1)


def test_the_map_scores_against_labels_by_name(
    predictor: Predictor, scene: Path, truth: np.ndarray, tmp_path: Path, write_raster: WriteRaster
) -> None:
    predict_rasters(predictor, [scene], tmp_path / "maps")
    write_raster("labels/town.tif", (truth - 3).astype(np.uint8))
    names = "{" + ", ".join(f'"{one.number - 3}": "{one.name}"' for one in CLASSES) + "}"
    (tmp_path / "labels/classes.json").write_text(names)
    report = evaluate(tmp_path / "maps", tmp_path / "labels")
    assert (report.kind, report.accuracy) == ("classes", 1)


def test_a_run_with_classes_still_gives_clusters(
    run: Path, predictor: Predictor, scene: Path
) -> None:
    assert set(np.unique(predictor.predict(scene))) == {-1, 3, 4, 9}
    clusters = Predictor(load_run(run), assign="codebook", precision="float32")
    assert clusters.predict(scene).max() < 6


def test_classes_of_a_run_without_any_are_refused(tmp_path: Path) -> None:
    plain = make_run(tmp_path / "plain")
    with pytest.raises(RunError, match="plain: has no classes to assign; fine-tune it"):
        Predictor(load_run(plain), assign="classes")
    assert Predictor(load_run(plain)).assign == "codebook"


def test_a_class_head_of_another_run_is_refused(tmp_path: Path) -> None:
    first, other = (
        make_run(tmp_path / name, classes=CLASSES[:count])
        for name, count in (("first", 2), ("other", 3))
    )
    kept = (first / CLASS_HEAD).read_bytes()
    (first / CLASS_HEAD).write_bytes((first / CODEBOOK).read_bytes())
    with pytest.raises(RunError, match=r"class_head.npz: is not the class head of a run"):
        load_run(first)
    (first / CLASS_HEAD).write_bytes(kept[:-200])
    with pytest.raises(RunError, match=r"class_head.npz"):
        load_run(first)
    wide = make_run(tmp_path / "wide", classes=CLASSES, fixed_filters=True)
    (other / CLASS_HEAD).write_bytes((wide / CLASS_HEAD).read_bytes())
    with pytest.raises(RunError, match=r"other"):
        Predictor(load_run(other))
