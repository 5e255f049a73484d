"""The commands of docs/tutorial.md run one after the other, and leave what the page promises."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import geopandas
import pytest
import rasterio
from conftest import ROOT

from clusternet.demo.scene import write_scenes
from clusternet.legend.familiar import COLOURS
from clusternet.legend.legend import read_legend

TUTORIAL = ROOT / "docs" / "tutorial.md"
BLOCKS = re.findall(r"^```bash\n(.*?)^```", TUTORIAL.read_text("utf-8"), re.DOTALL | re.MULTILINE)
SCENE = "clusternet scene tutorial\n"
TRAINING = "--config demo"
SHAPE = (192, 256)

# stands in for the configuration demo, so that training takes seconds
CONFIG = """# tiny
base_filters: 2
num_features: 8
num_clusters: 30
num_epochs: 1
train_batch_size: 2
sample_patches: 4
precision: float32
"""

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the page is written for bash")


@pytest.fixture(scope="module")
def tutorial(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Run the page on scenes of a few patches; returns the folder that it fills."""
    place = tmp_path_factory.mktemp("tutorial")
    (place / "tiny.yaml").write_text(CONFIG)
    environment = os.environ | {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "CUDA_VISIBLE_DEVICES": "",
    }
    assert BLOCKS[0] == SCENE and sum(block.count(TRAINING) for block in BLOCKS) == 1
    write_scenes(place / "tutorial", shape=SHAPE)
    for block in BLOCKS[1:]:
        quick = block.replace(TRAINING, "--config tiny.yaml")
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", quick], cwd=place, env=environment,
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"{block}\n{done.stderr}"
    return place / "tutorial"


@pytest.mark.parametrize(
    "name",
    [
        "maps/train_clusters.tif", "maps/unseen_clusters.tif", "maps/unseen_confidence.tif",
        "classes/train_classes.tif", "classes/unseen_classes.tif", "unseen/unseen_classes.tif",
        "labels.tif",
    ],
)  # fmt: skip
def test_the_maps_lie_on_the_grid_of_their_scene(tutorial: Path, name: str) -> None:
    scene = "unseen" if "unseen" in Path(name).name else "train"
    with (
        rasterio.open(tutorial / "images" / f"{scene}.tif") as image,
        rasterio.open(tutorial / name) as made,
    ):
        assert (made.crs, made.transform, made.shape) == (image.crs, image.transform, image.shape)
        assert made.read(1).min() < made.nodata


def test_the_polygons_open_with_class_and_area(tutorial: Path) -> None:
    for layer in ("train_classes", "unseen_classes"):
        frame = geopandas.read_file(tutorial / "classes" / "polygons.gpkg", layer=layer)
        assert len(frame) and frame.is_valid.all()
        assert {"class", "name", "area_ha"} <= set(frame.columns)


def test_the_edited_legend_was_applied(tutorial: Path) -> None:
    classes = {row.cluster: row.land_class for row in _rows(tutorial / "classes")}
    assert {classes[cluster].name for cluster in (2, 11, 17, 23)} == {"field"}
    assert classes[11].colour == COLOURS["field"]
    with rasterio.open(tutorial / "classes" / "unseen_classes.tif") as made:
        assert made.colormap(1)[0][:3] == COLOURS["field"]


def test_the_run_has_a_report_in_which_clusters_are_named(tutorial: Path) -> None:
    assert 'id="save"' in (tutorial / "run" / "report.html").read_text()


def test_qgis_finds_a_style_with_the_names(tutorial: Path) -> None:
    root = ElementTree.parse(tutorial / "classes" / "unseen_classes.qml").getroot()
    shown = [entry.attrib["label"] for entry in root.iter("paletteEntry")]
    assert shown == list(dict.fromkeys(shown)) and "field" in shown
    names = {row.land_class.name for row in _rows(tutorial / "classes")}
    assert set(shown) == names


@pytest.mark.parametrize("name", ["report", "report_clusters"])
def test_the_reports_are_there(tutorial: Path, name: str) -> None:
    assert "<html" in (tutorial / name / "report.html").read_text()
    assert (tutorial / name / "scores.json").is_file()


def test_the_run_holds_a_preview(tutorial: Path) -> None:
    assert list((tutorial / "run" / "previews").glob("*.png"))


def test_the_pictures_of_the_page_exist() -> None:
    names = re.findall(r"!\[[^]]*\]\(([^)]*)\)", TUTORIAL.read_text("utf-8"))
    assert names
    for name in names:
        assert (TUTORIAL.parent / name).stat().st_size < 300 * 1024


def _rows(folder: Path) -> tuple:
    return read_legend(folder / "legend.csv").rows
