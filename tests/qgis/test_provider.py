"""The plugin in QGIS itself, without a screen: the algorithms run, maps load with their names."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import geopandas
import numpy as np
import pytest
import rasterio
import shapely
from conftest import ROOT, WriteRaster, four_textures
from random_run import CLUSTERS, make_run

# Debian's qgis_process passes a flag on that the program does not know
QGIS_PROCESS = shutil.which("qgis_process.bin") or shutil.which("qgis_process")
PYTHON = "/usr/bin/python3"

pytestmark = pytest.mark.skipif(
    QGIS_PROCESS is None, reason="QGIS is not installed (apt-get install qgis)"
)

_LOAD = """
import json, sys
from qgis.core import (
    QgsApplication, QgsProcessingContext, QgsProcessingFeedback, QgsProcessingUtils, QgsProject,
)

QgsApplication.setPrefixPath("/usr", True)
app = QgsApplication([], False)
app.initQgis()
sys.path[:0] = ["/usr/share/qgis/python/plugins", sys.argv[1]]
from processing.core.Processing import Processing
Processing.initialize()
from clusternet_provider import classFactory
plugin = classFactory(None)
plugin.initProcessing()
context, feedback = QgsProcessingContext(), QgsProcessingFeedback()
context.setProject(QgsProject.instance())
algorithm = QgsApplication.processingRegistry().createAlgorithmById(sys.argv[2])
results, done = algorithm.run(json.loads(sys.argv[3]), context, feedback)
layers = {}
for path, details in context.layersToLoadOnCompletion().items():
    layer = QgsProcessingUtils.mapLayerFromString(path, context)
    details.postProcessor().postProcessLayer(layer, context, feedback)
    renderer = layer.renderer()
    layers[details.name] = renderer.type(), [
        [one.value, one.label, one.color.name()] for one in renderer.classes()
    ]
print(json.dumps([results["MAP"], layers]))
"""


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """A profile of QGIS whose provider names this very Python."""
    home = tmp_path / "home"
    profile = home / ".local" / "share" / "QGIS" / "QGIS3" / "profiles" / "default" / "QGIS"
    profile.mkdir(parents=True)
    (home / "run").mkdir(mode=0o700)
    (profile / "QGIS3.ini").write_text(
        "[PythonPlugins]\nclusternet_provider=true\n\n"
        f"[Processing]\nConfiguration\\CLUSTERNET_COMMAND={sys.executable}\n"
    )
    others = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
    return others | {
        "HOME": str(home), "XDG_RUNTIME_DIR": str(home / "run"), "QT_QPA_PLATFORM": "offscreen",
        "QGIS_PLUGINPATH": str(ROOT / "qgis"), "PYTHONDONTWRITEBYTECODE": "1",
        "CLUSTERNET_COMMAND": sys.executable,
    }  # fmt: skip


def test_a_raster_becomes_a_cluster_map(
    write_raster: WriteRaster, tmp_path: Path, environment: dict[str, str]
) -> None:
    scene = write_raster("scene.tif", four_textures(80, 96, bands=3))
    run = make_run(tmp_path / "run")
    words = [str(QGIS_PROCESS), "run", "clusternet:predict", "--", f"RUN={run}", f"INPUT={scene}",
             "EXTENT=448000,448040,5411970,5412000 [EPSG:32631]", "CONFIDENCE=1",
             f"OUTPUT={tmp_path / 'maps'}"]  # fmt: skip
    done = subprocess.run(
        words, env=environment, cwd=tmp_path, text=True, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "100 - done." in done.stdout
    for name, nodata in (("scene_clusters.tif", 255), ("scene_confidence.tif", 255)):
        with rasterio.open(tmp_path / "maps" / name) as made, rasterio.open(scene) as raster:
            assert made.shape == (60, 80) and made.nodata == nodata
            assert made.crs == raster.crs and made.transform == raster.transform
    with rasterio.open(tmp_path / "maps" / "scene_clusters.tif") as made:
        assert made.read(1).max() < CLUSTERS


def test_a_class_map_is_loaded_with_its_colours_and_names(
    write_raster: WriteRaster, tmp_path: Path, environment: dict[str, str]
) -> None:
    if not Path(PYTHON).exists():
        pytest.skip("QGIS has a Python of its own here")
    clusters = np.indices((40, 40)).sum(0).astype(np.uint8) // 27  # three stripes
    made = write_raster("scene_clusters.tif", clusters, nodata=255)
    left, top = 448_000, 5_412_000
    boxes = [shapely.box(left, top - 5, left + 5, top),
             shapely.box(left + 15, top - 20, left + 20, top - 15)]  # fmt: skip
    frame = geopandas.GeoDataFrame({"use": ["meadow", "quay"]}, geometry=boxes, crs=32631)
    frame.to_file(tmp_path / "labels.gpkg")
    parameters = {
        "INPUT": str(made), "LABELS": str(tmp_path / "labels.gpkg"), "CLASS_FIELD": "use",
        "RULE": 1, "OUTPUT": str(tmp_path / "classes"), "MORE_FLAGS": "--unlabelled unknown",
    }  # fmt: skip
    done = subprocess.run(
        [PYTHON, "-c", _LOAD, str(ROOT / "qgis"), "clusternet:classes", json.dumps(parameters)],
        env=environment, cwd=tmp_path, text=True, capture_output=True, check=False,
    )  # fmt: skip
    assert done.stdout, done.stderr
    path, layers = json.loads(done.stdout.splitlines()[-1])
    assert path == str(tmp_path / "classes" / "scene_classes.tif")
    kind, classes = layers["scene_classes"]
    assert kind == "paletted"
    labels = {label for _, label, _ in classes}
    assert {"meadow", "quay"} <= labels
    assert len({colour for _, _, colour in classes}) == len(classes)
