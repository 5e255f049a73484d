"""The algorithms that need no labels: tile, train, predict."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from qgis.core import (
    QgsProcessingException,
    QgsProcessingOutputRasterLayer,
    QgsProcessingParameterBoolean,
    QgsProcessingParameterEnum,
    QgsProcessingParameterFile,
    QgsProcessingParameterFolderDestination,
    QgsProcessingParameterNumber,
    QgsProcessingParameterRasterLayer,
)

from .algorithm import ClusterNetAlgorithm, add_extent

_INTEGER = QgsProcessingParameterNumber.Integer
_SIDES = ("64", "128", "256", "512", "1024")
_EPOCHS = 10  # the default of the command


class Tile(ClusterNetAlgorithm):
    """Cut a raster, or a folder of them, into patches."""

    NAME, TITLE = "tile", "1. Cut rasters into patches"
    HELP = (
        "Cuts a raster layer, or all rasters of a folder, into patches of one size. The network "
        "is trained on these patches.\n\nNodata values come from the files."
    )

    def declare(self) -> None:
        """Declare the parameters."""
        self.addParameter(QgsProcessingParameterRasterLayer("INPUT", "Raster", optional=True))
        add_extent(self)
        self.add_folder("FOLDER", "or a folder of rasters", optional=True)
        self.addParameter(
            QgsProcessingParameterEnum(
                "PATCH_SIZE", "Side of a patch in pixels", list(_SIDES), defaultValue=2
            )
        )
        self.addParameter(QgsProcessingParameterFolderDestination("OUTPUT", "Patches"))

    def processAlgorithm(self, parameters: Any, context: Any, feedback: Any) -> dict[str, Any]:
        """Run the command."""
        raster = self.raster_part(parameters, ("INPUT", "EXTENT"), context)
        source = str(raster or "") or self.folder(parameters, "FOLDER", context)
        if not source or (raster and self.folder(parameters, "FOLDER", context)):
            raise QgsProcessingException("Expected a raster layer or a folder of rasters: one.")
        side = _SIDES[self.parameterAsEnum(parameters, "PATCH_SIZE", context)]
        output = self.parameterAsString(parameters, "OUTPUT", context)
        words = ["tile", source, "--output_folder", output, "--patch_shape", side, side]
        done = self.call(words, parameters, context, feedback)
        return {"OUTPUT": output} if done else {}


class Train(ClusterNetAlgorithm):
    """Train on a folder of patches."""

    NAME, TITLE = "train", "2. Train without labels"
    HELP = (
        "Trains a network on a folder of patches, without labels, and writes a run folder. The "
        "run folder holds a picture of each epoch in <i>previews</i>.\n\nTen epochs take four to "
        "five minutes on two cores. Cancelling keeps what was trained; <i>--resume</i> in the "
        "further flags goes on from there."
    )

    def declare(self) -> None:
        """Declare the parameters."""
        self.add_folder("PATCHES", "Patches")
        for name, text, least, default in (
            ("NUM_CLUSTERS", "Number of clusters", 2, 100),
            ("NUM_EPOCHS", "Number of epochs", 0, _EPOCHS),
        ):
            self.addParameter(
                QgsProcessingParameterNumber(name, text, _INTEGER, default, minValue=least)
            )
        self.add_advanced(
            QgsProcessingParameterNumber(
                "SEED", "Seed of all random choices", _INTEGER, 1, minValue=0
            )
        )
        self.add_advanced(
            QgsProcessingParameterFile(
                "CONFIG", "File of settings (its number of clusters and epochs do not count)",
                extension="yaml", optional=True,
            )
        )  # fmt: skip
        self.addParameter(QgsProcessingParameterFolderDestination("OUTPUT", "Run folder"))

    def processAlgorithm(self, parameters: Any, context: Any, feedback: Any) -> dict[str, Any]:
        """Run the command."""
        numbers = {
            name: self.parameterAsInt(parameters, name, context)
            for name in ("NUM_CLUSTERS", "NUM_EPOCHS", "SEED")
        }
        output = self.parameterAsString(parameters, "OUTPUT", context)
        config = self.parameterAsFile(parameters, "CONFIG", context)
        words = ["train", self.folder(parameters, "PATCHES", context), "--output", output]
        for name, number in numbers.items():
            words += [f"--{name.lower()}", str(number)]
        words += ["--config", config] if config else []
        done = self.call(words, parameters, context, feedback, epochs=numbers["NUM_EPOCHS"] or None)
        return {"OUTPUT": output} if done else {}


class Predict(ClusterNetAlgorithm):
    """Write the cluster map of a raster."""

    NAME, TITLE = "predict", "3. Make a cluster map"
    HELP = (
        "Writes the cluster map of a raster on the raster's own grid, and its confidence if "
        "wanted. The map is loaded with a colour for each cluster."
    )

    def declare(self) -> None:
        """Declare the parameters."""
        self.add_folder("RUN", "Run folder")
        self.addParameter(QgsProcessingParameterRasterLayer("INPUT", "Raster"))
        add_extent(self)
        self.addParameter(
            QgsProcessingParameterBoolean("CONFIDENCE", "Also write the confidence", False)
        )
        self.addParameter(QgsProcessingParameterFolderDestination("OUTPUT", "Folder for the maps"))
        self.addOutput(QgsProcessingOutputRasterLayer("MAP", "Cluster map"))
        self.addOutput(QgsProcessingOutputRasterLayer("CONFIDENCE_MAP", "Confidence"))

    def processAlgorithm(self, parameters: Any, context: Any, feedback: Any) -> dict[str, Any]:
        """Run the command, and load the maps."""
        raster = self.raster_part(parameters, ("INPUT", "EXTENT"), context)
        output = self.parameterAsString(parameters, "OUTPUT", context)
        with_confidence = self.parameterAsBool(parameters, "CONFIDENCE", context)
        words = ["predict", self.folder(parameters, "RUN", context), str(raster)]
        words += ["--output_folder", output, *(["--confidence"] if with_confidence else [])]
        if not self.call(words, parameters, context, feedback):
            return {}
        results = {"OUTPUT": output}
        kinds = {"MAP": "clusters", **({"CONFIDENCE_MAP": "confidence"} if with_confidence else {})}
        for name, kind in kinds.items():
            path = Path(output) / f"{Path(str(raster)).stem}_{kind}.tif"
            results[name] = self.load(path, name, context)
        return results
