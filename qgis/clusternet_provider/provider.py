"""The provider: its name, its one setting, and its algorithms."""

from __future__ import annotations

import os
from pathlib import Path

from processing.core.ProcessingConfig import ProcessingConfig, Setting
from qgis.core import QgsProcessingProvider
from qgis.PyQt.QtGui import QIcon

from .labels import ApplyStrokes, Classes, Evaluate
from .learning import Predict, Tile, Train
from .process import COMMAND

_ICON = Path(__file__).with_name("icon.svg")


class Provider(QgsProcessingProvider):
    """The algorithms of ClusterNet."""

    def id(self) -> str:
        """Return what stands before the names of algorithms."""
        return "clusternet"

    def name(self) -> str:
        """Return the name in the toolbox."""
        return "ClusterNet"

    def icon(self) -> QIcon:
        """Return the icon in the toolbox."""
        return QIcon(str(_ICON))

    def load(self) -> bool:
        """Declare the setting, and add the algorithms."""
        ProcessingConfig.settingIcons[self.name()] = self.icon()
        ProcessingConfig.addSetting(
            Setting(
                self.name(),
                COMMAND,
                "Command clusternet, or the folder of the environment that has it",
                os.environ.get(COMMAND, ""),
                valuetype=Setting.FILE,
            )
        )
        ProcessingConfig.readSettings()
        self.refreshAlgorithms()
        return True

    def unload(self) -> None:
        """Take the setting away."""
        ProcessingConfig.removeSetting(COMMAND)

    def loadAlgorithms(self) -> None:
        """Add the algorithms in the order of the pipeline."""
        for algorithm in (Tile, Train, Predict, Classes, Evaluate, ApplyStrokes):
            self.addAlgorithm(algorithm())
