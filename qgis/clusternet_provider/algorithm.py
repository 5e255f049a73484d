"""What all algorithms share: reading parameters, calling the command, loading results."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from osgeo import gdal
from processing.core.ProcessingConfig import ProcessingConfig
from qgis.core import (
    QgsProcessing,
    QgsProcessingAlgorithm,
    QgsProcessingContext,
    QgsProcessingException,
    QgsProcessingFeedback,
    QgsProcessingLayerPostProcessorInterface,
    QgsProcessingParameterBoolean,
    QgsProcessingParameterDefinition,
    QgsProcessingParameterExtent,
    QgsProcessingParameterFile,
    QgsProcessingParameterString,
    QgsProcessingUtils,
    QgsProject,
)

from .process import COMMAND, CanceledError, CommandError, find_command, run

OVERWRITE, MORE = "OVERWRITE", "MORE_FLAGS"


class OwnStyle(QgsProcessingLayerPostProcessorInterface):
    """Gives a loaded layer the colours and names that ClusterNet wrote beside it."""

    def postProcessLayer(self, layer: Any, context: Any, feedback: Any) -> None:
        """Read the style."""
        layer.loadDefaultStyle()
        layer.triggerRepaint()


_STYLES: list[OwnStyle] = []
"""Kept, because QGIS keeps the object but not what Python has added to it."""


def use_own_style(details: Any) -> None:
    """Have a layer styled as ClusterNet says when it is loaded."""
    _STYLES.append(OwnStyle())  # a new one for each layer, because QGIS deletes it with the layer
    details.setPostProcessor(_STYLES[-1])


class ClusterNetAlgorithm(QgsProcessingAlgorithm):
    """One command of ClusterNet."""

    NAME = ""
    TITLE = ""
    HELP = ""

    def createInstance(self) -> ClusterNetAlgorithm:
        """Return a new one of the same kind."""
        return type(self)()

    def name(self) -> str:
        """Return the name in scripts."""
        return self.NAME

    def displayName(self) -> str:
        """Return the name in the toolbox."""
        return self.TITLE

    def shortHelpString(self) -> str:
        """Return the help beside the dialog."""
        return self.HELP

    def initAlgorithm(self, configuration: Any = None) -> None:
        """Declare the parameters."""
        self.declare()
        overwrite = QgsProcessingParameterBoolean(
            OVERWRITE, "Replace an output that ClusterNet wrote", defaultValue=False
        )
        more = QgsProcessingParameterString(
            MORE, "Further flags of the command, as in a shell", optional=True
        )
        for parameter in (overwrite, more):
            self.add_advanced(parameter)

    def declare(self) -> None:
        """Declare the parameters of this algorithm."""
        raise NotImplementedError

    def add_advanced(self, parameter: Any) -> None:
        """Add a parameter that few users need."""
        advanced = QgsProcessingParameterDefinition.FlagAdvanced
        parameter.setFlags(parameter.flags() | advanced)
        self.addParameter(parameter)

    def add_folder(self, name: str, text: str, *, optional: bool = False) -> None:
        """Add a folder to read."""
        kind = QgsProcessingParameterFile.Folder
        self.addParameter(QgsProcessingParameterFile(name, text, kind, optional=optional))

    # what is given

    def raster_file(self, parameters: Any, name: str, context: Any) -> Path | None:
        """Return the file of a raster layer, None if none is given."""
        layer = self.parameterAsRasterLayer(parameters, name, context)
        if layer is None:
            return None
        path = Path(layer.source())
        if layer.providerType() != "gdal" or not path.exists():
            raise QgsProcessingException(
                f"{layer.name()}: expected a raster in a file, found {layer.source()}; save it "
                "as a GeoTIFF first."
            )
        return path

    def raster_part(self, parameters: Any, names: Sequence[str], context: Any) -> Path | None:
        """Return the file of a raster layer, or a virtual raster of the part in an extent.

        Args:
            parameters: of the algorithm.
            names: of the raster and of the extent.
            context: of the algorithm.
        """
        source, extent = names
        path = self.raster_file(parameters, source, context)
        layer = self.parameterAsRasterLayer(parameters, source, context)
        box = self.parameterAsExtent(parameters, extent, context, layer.crs()) if layer else None
        if path is None or box is None or box.isNull():
            return path
        return cut(path, (box.xMinimum(), box.yMinimum(), box.xMaximum(), box.yMaximum()))

    def vectors(self, parameters: Any, name: str, context: Any, feedback: Any) -> list[str]:
        """Return the file of a vector layer and the flag that names its layer, if there is one.

        Layers that are in no file, or are filtered, are written to a temporary GeoPackage.
        """
        if self.parameterAsSource(parameters, name, context) is None:
            return []
        path, layer = self.parameterAsCompatibleSourceLayerPathAndLayerName(
            parameters, name, context, ["gpkg", "shp", "geojson"], "gpkg", feedback
        )
        return [path, *(["--layer", layer] if layer and Path(path).suffix == ".gpkg" else [])]

    def field(self, parameters: Any, name: str, context: Any) -> list[str]:
        """Return the flag of the field that holds classes."""
        fields = self.parameterAsFields(parameters, name, context)
        return ["--class_field", fields[0]] if fields else []

    def folder(self, parameters: Any, name: str, context: Any) -> str:
        """Return a folder that is given; an empty text if none is."""
        return self.parameterAsFile(parameters, name, context)

    # the command

    def call(
        self,
        words: Sequence[str],
        parameters: Any,
        context: QgsProcessingContext,
        feedback: QgsProcessingFeedback,
        *,
        epochs: int | None = None,
    ) -> bool:
        """Run a command; return False if the user has cancelled.

        Raises:
            QgsProcessingException: with the line that the command printed.
        """
        flags = list(words)
        if self.parameterAsBool(parameters, OVERWRITE, context):
            flags.append("--overwrite")
        try:
            flags += shlex.split(self.parameterAsString(parameters, MORE, context) or "")
            program = find_command(ProcessingConfig.getSetting(COMMAND) or "")
            run([*program, *flags], feedback, epochs=epochs)
        except (CommandError, ValueError) as error:
            raise QgsProcessingException(str(error)) from error
        except CanceledError:
            feedback.pushInfo("Cancelled.")
            return False
        return True

    def load(self, path: Path, output: str, context: QgsProcessingContext) -> str:
        """Have QGIS load a map with its colours and names; return its path."""
        details = QgsProcessingContext.LayerDetails(
            path.stem, context.project() or QgsProject.instance(), output
        )
        details.forceName = True
        use_own_style(details)
        context.addLayerToLoadOnCompletion(str(path), details)
        return str(path)


def add_extent(algorithm: QgsProcessingAlgorithm) -> None:
    """Add a part of the raster to work on."""
    algorithm.addParameter(
        QgsProcessingParameterExtent("EXTENT", "Only this part of the raster", optional=True)
    )


def cut(path: Path, box: tuple[float, float, float, float]) -> Path:
    """Return a virtual raster of the pixels of a raster that a box touches.

    Args:
        path: of the raster.
        box: left, bottom, right, top in the CRS of the raster.

    Raises:
        QgsProcessingException: if the box touches none.
    """
    raster = gdal.Open(str(path))
    inverse = gdal.InvGeoTransform(raster.GetGeoTransform())
    corners = [gdal.ApplyGeoTransform(inverse, x, y) for x in box[::2] for y in box[1::2]]
    cols, rows = zip(*corners)  # noqa: B905  (QGIS may bring Python 3.9)
    left, top = (max(0, int(min(values) // 1)) for values in (cols, rows))
    right = min(raster.RasterXSize, int(-(-max(cols) // 1)))
    bottom = min(raster.RasterYSize, int(-(-max(rows) // 1)))
    if right <= left or bottom <= top:
        raise QgsProcessingException(
            f"{path}: the extent does not touch it; draw it on the raster."
        )
    if (left, top, right, bottom) == (0, 0, raster.RasterXSize, raster.RasterYSize):
        return path
    part = Path(QgsProcessingUtils.generateTempFilename(f"{path.stem}.vrt"))
    window = [left, top, right - left, bottom - top]
    gdal.Translate(str(part), raster, format="VRT", srcWin=window)
    return part


VECTORS = [QgsProcessing.TypeVectorAnyGeometry]
POLYGONS = [QgsProcessing.TypeVectorPolygon]
