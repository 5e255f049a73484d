"""The algorithms that use labels: class maps, scores, strokes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from qgis.core import (
    QgsProcessingException,
    QgsProcessingOutputHtml,
    QgsProcessingOutputNumber,
    QgsProcessingOutputRasterLayer,
    QgsProcessingParameterBoolean,
    QgsProcessingParameterEnum,
    QgsProcessingParameterFeatureSource,
    QgsProcessingParameterField,
    QgsProcessingParameterFolderDestination,
    QgsProcessingParameterNumber,
    QgsProcessingParameterRasterDestination,
    QgsProcessingParameterRasterLayer,
)

from .algorithm import POLYGONS, VECTORS, ClusterNetAlgorithm, use_own_style

_RULES = ("auto", "clusters", "classifier")
_RULE_TEXTS = (
    "Compare both, and take what scores better on labels held back",
    "A name for each cluster",
    "A classifier of features",
)
_STROKE_RULES = ("perceptron", "logistic", "centroids", "clusters", "forest")


class Classes(ClusterNetAlgorithm):
    """Turn a cluster map into a class map by polygons."""

    NAME, TITLE = "classes", "4. Make a class map from polygons"
    HELP = (
        "Turns a cluster map into a class map by a few polygons whose field holds the class: a "
        "number or a name. The class map is loaded with colours and names.\n\nWith a run folder, "
        "clusters without a polygon get the class of the nearest cluster that has one, and "
        "methods that look at features can be compared."
    )

    def declare(self) -> None:
        """Declare the parameters."""
        self.addParameter(QgsProcessingParameterRasterLayer("INPUT", "Cluster map"))
        self.addParameter(QgsProcessingParameterFeatureSource("LABELS", "Polygons", POLYGONS))
        self.addParameter(
            QgsProcessingParameterField(
                "CLASS_FIELD", "Field of the class", parentLayerParameterName="LABELS"
            )
        )
        self.add_folder("RUN", "Run folder of the map", optional=True)
        self.addParameter(
            QgsProcessingParameterEnum("RULE", "Method", list(_RULE_TEXTS), defaultValue=0)
        )
        self.addParameter(
            QgsProcessingParameterFolderDestination("OUTPUT", "Folder for the class map")
        )
        self.addOutput(QgsProcessingOutputRasterLayer("MAP", "Class map"))

    def processAlgorithm(self, parameters: Any, context: Any, feedback: Any) -> dict[str, Any]:
        """Run the command, and load the map."""
        source = self.raster_file(parameters, "INPUT", context)
        run = self.folder(parameters, "RUN", context)
        rule = _RULES[self.parameterAsEnum(parameters, "RULE", context)]
        output = self.parameterAsString(parameters, "OUTPUT", context)
        words = ["classes", str(source), *self.vectors(parameters, "LABELS", context, feedback)]
        words += [*self.field(parameters, "CLASS_FIELD", context), "--output_folder", output]
        words += ["--run", run] if run else []
        # without a run no features are known, and clusters are named
        words += ["--rule", rule] if run or rule != "auto" else []
        if not self.call(words, parameters, context, feedback):
            return {}
        stem = Path(str(source)).stem.removesuffix("_clusters")
        path = Path(output) / f"{stem}_classes.tif"
        return {"OUTPUT": output, "MAP": self.load(path, "MAP", context)}


class Evaluate(ClusterNetAlgorithm):
    """Score a map against labels."""

    NAME, TITLE = "evaluate", "5. Score a map"
    HELP = (
        "Scores a class map or a cluster map against labels, which are a vector layer or a raster "
        "layer. Writes accuracy, IoU, kappa and the confusion matrix as a page, CSV and JSON."
    )

    def declare(self) -> None:
        """Declare the parameters."""
        self.addParameter(QgsProcessingParameterRasterLayer("INPUT", "Map"))
        self.addParameter(
            QgsProcessingParameterFeatureSource("LABELS", "Labels", VECTORS, optional=True)
        )
        self.addParameter(
            QgsProcessingParameterField(
                "CLASS_FIELD", "Field of the class", parentLayerParameterName="LABELS",
                optional=True,
            )
        )  # fmt: skip
        self.addParameter(
            QgsProcessingParameterRasterLayer(
                "LABEL_RASTER", "or labels as a raster", optional=True
            )
        )
        self.addParameter(QgsProcessingParameterFolderDestination("OUTPUT", "Report"))
        self.addOutput(QgsProcessingOutputHtml("REPORT", "Report"))
        self.addOutput(QgsProcessingOutputNumber("ACCURACY", "Accuracy"))
        self.addOutput(QgsProcessingOutputNumber("MEAN_IOU", "Mean IoU"))

    def processAlgorithm(self, parameters: Any, context: Any, feedback: Any) -> dict[str, Any]:
        """Run the command, and read the scores."""
        labels = self.vectors(parameters, "LABELS", context, feedback)
        raster = self.raster_file(parameters, "LABEL_RASTER", context)
        if bool(labels) == bool(raster):
            raise QgsProcessingException("Expected labels as a vector layer or as a raster: one.")
        source = self.raster_file(parameters, "INPUT", context)
        output = self.parameterAsString(parameters, "OUTPUT", context)
        words = ["evaluate", str(source), *(labels or [str(raster)]), "--output_folder", output]
        words += self.field(parameters, "CLASS_FIELD", context) if labels else []
        if not self.call(words, parameters, context, feedback):
            return {}
        return {"OUTPUT": output, **_scores(Path(output))}


def _scores(folder: Path) -> dict[str, Any]:
    """Return the page and the main scores of a report."""
    page = folder / "report.html"
    found: dict[str, Any] = {"REPORT": str(page)} if page.is_file() else {}
    scores = json.loads((folder / "scores.json").read_text(encoding="utf-8"))
    for name, key in (("ACCURACY", "accuracy"), ("MEAN_IOU", "mean_iou")):
        if isinstance(scores.get(key), (int, float)):
            found[name] = scores[key]
    return found


class ApplyStrokes(ClusterNetAlgorithm):
    """Make a class map from strokes."""

    NAME, TITLE = "applystrokes", "6. Make a class map from strokes"
    HELP = (
        "Makes a class map of a raster from points, lines and areas whose field holds the class, "
        "such as the strokes that the page of <i>clusternet draw</i> saves. They may have been "
        "drawn on another raster of the same run."
    )

    def declare(self) -> None:
        """Declare the parameters."""
        self.add_folder("RUN", "Run folder")
        self.addParameter(QgsProcessingParameterRasterLayer("INPUT", "Raster"))
        self.addParameter(QgsProcessingParameterFeatureSource("STROKES", "Strokes", VECTORS))
        self.addParameter(
            QgsProcessingParameterField(
                "CLASS_FIELD", "Field of the class", parentLayerParameterName="STROKES",
                optional=True,
            )
        )  # fmt: skip
        self.addParameter(
            QgsProcessingParameterRasterLayer(
                "DRAWN_ON", "Raster that they were drawn on, if another", optional=True
            )
        )
        self.addParameter(
            QgsProcessingParameterNumber(
                "SMOOTH", "Side of the smoothing in pixels; 1 for none",
                QgsProcessingParameterNumber.Integer, 17, minValue=1,
            )
        )  # fmt: skip
        self.add_advanced(
            QgsProcessingParameterEnum("RULE", "Rule", list(_STROKE_RULES), defaultValue=0)
        )
        self.add_advanced(QgsProcessingParameterBoolean("POLYGONS", "Also write polygons", False))
        self.addParameter(QgsProcessingParameterRasterDestination("OUTPUT", "Class map"))

    def processAlgorithm(self, parameters: Any, context: Any, feedback: Any) -> dict[str, Any]:
        """Run the command."""
        strokes, *layer = self.vectors(parameters, "STROKES", context, feedback)
        raster = self.raster_file(parameters, "INPUT", context)
        drawn_on = self.raster_file(parameters, "DRAWN_ON", context)
        output = self.parameterAsOutputLayer(parameters, "OUTPUT", context)
        rule = _STROKE_RULES[self.parameterAsEnum(parameters, "RULE", context)]
        smooth = self.parameterAsInt(parameters, "SMOOTH", context)
        words = ["draw", self.folder(parameters, "RUN", context), str(raster), "--strokes", strokes]
        words += [*layer, *self.field(parameters, "CLASS_FIELD", context), "--output", output]
        words += ["--smooth", str(smooth), "--stroke_rule", rule]
        words += ["--drawn_on", str(drawn_on)] if drawn_on else []
        if self.parameterAsBool(parameters, "POLYGONS", context):
            words += ["--polygons", f"{Path(output).with_suffix('')}_polygons.gpkg"]
        if not self.call(words, parameters, context, feedback):
            return {}
        if context.willLoadLayerOnCompletion(output):
            use_own_style(context.layerToLoadOnCompletionDetails(output))
        return {"OUTPUT": output}
