"""Draw docs/images/qgis.png: the dialog of an algorithm in QGIS, and the map that it made.

    xvfb-run -a /usr/bin/python3 docs/images/qgis_dialog.py FOLDER docs/images/qgis.png

FOLDER is what ``clusternet demo --output FOLDER`` has made. This runs in the Python of QGIS.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

from qgis.core import (
    QgsApplication,
    QgsLayerTreeModel,
    QgsProject,
    QgsRasterLayer,
    QgsVectorLayer,
)
from qgis.gui import QgsLayerTreeView, QgsMapCanvas
from qgis.PyQt.QtCore import QSize
from qgis.PyQt.QtGui import QColor, QPainter, QPixmap

_DRAW_SECONDS = 5.0
_ROOT = Path(__file__).resolve().parents[2]
_DIALOG, _TREE, _MAP = QSize(800, 520), QSize(200, 520), QSize(640, 520)


def main(folder: Path, target: Path) -> None:
    """Open the dialog and the map, and save a picture of both."""
    QgsApplication.setPrefixPath("/usr", True)
    application = QgsApplication([], True)
    application.initQgis()
    sys.path[:0] = ["/usr/share/qgis/python/plugins", str(_ROOT / "qgis")]
    from processing.core.Processing import Processing

    Processing.initialize()
    from clusternet_provider import classFactory

    plugin = classFactory(None)
    plugin.initProcessing()
    layers = [
        QgsVectorLayer(str(folder / "scene" / "labels.gpkg"), "labels"),
        QgsRasterLayer(str(folder / "classes" / "train_classes.tif"), "train_classes"),
        QgsRasterLayer(str(folder / "maps" / "train_clusters.tif"), "train_clusters"),
    ]
    QgsProject.instance().addMapLayers(layers)
    parts = [_dialog(folder, layers), *_map(layers)]
    for part in parts:
        part.show()
    end = time.monotonic() + _DRAW_SECONDS
    while time.monotonic() < end:
        application.processEvents()
    _join([part.grab() for part in parts]).save(str(target))
    os._exit(0)  # the objects of QGIS must not be deleted in the order that Python chooses


def _dialog(folder: Path, layers: list) -> object:
    from processing.gui.AlgorithmDialog import AlgorithmDialog

    registry = QgsApplication.processingRegistry()
    dialog = AlgorithmDialog(registry.createAlgorithmById("clusternet:classes"))
    labels, _, clusters = layers
    dialog.setParameters(
        {
            "INPUT": clusters.id(), "LABELS": labels.id(), "CLASS_FIELD": "class",
            "RUN": str(Path("demo") / "run"), "OUTPUT": str(Path("demo") / "classes"),
        }
    )  # fmt: skip
    dialog.resize(_DIALOG)
    return dialog


def _map(layers: list) -> tuple[object, object]:
    canvas = QgsMapCanvas()
    canvas.resize(_MAP)
    canvas.setCanvasColor(QColor("white"))
    canvas.setLayers(layers[:2])
    canvas.setDestinationCrs(layers[1].crs())
    canvas.setExtent(layers[1].extent())
    tree = QgsLayerTreeView()
    root = QgsProject.instance().layerTreeRoot()
    model = QgsLayerTreeModel(root, tree)
    tree.setModel(model)
    tree.expandAll()
    root.findLayer(layers[2]).setExpanded(False)
    tree.resize(_TREE)
    return tree, canvas


def _join(pictures: list) -> QPixmap:
    size = QSize(sum(p.width() for p in pictures), max(p.height() for p in pictures))
    joined = QPixmap(size)
    joined.fill(QColor("white"))
    painter, left = QPainter(joined), 0
    for picture in pictures:
        painter.drawPixmap(left, 0, picture)
        left += picture.width()
    painter.end()
    return joined


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
