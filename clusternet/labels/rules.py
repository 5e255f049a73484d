"""Rules for reading all label files of a command, decided before any label is used."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

from clusternet.errors import LabelError
from clusternet.legend.class_list import ClassList
from clusternet.legend.common_classes import CommonClasses, match_classes
from clusternet.legend.inventory import LabelInventory
from clusternet.legend.land_classes import MAX_CLASS
from clusternet.messages import short
from clusternet.raster.shapes import Shapes

UNLABELLED = 255
"""The value of 8-bit label rasters that means no label by convention, without a declaration."""


def check_background(background: int | None, classes: ClassList) -> None:
    """Raise LabelError if ``background`` is no class number or not in the class list."""
    if background is None:
        return
    if not 0 <= background <= MAX_CLASS:
        raise LabelError(f"--background: expected 0 to {MAX_CLASS}, received {background}.")
    if classes and background not in {**classes.names, **classes.no_classes}:
        raise LabelError(
            f"--background: class {background} is not in the class list "
            f"({short(str(classes), 90)}); add it there."
        )


@dataclass(frozen=True)
class LabelOptions:
    """How the user wants label files to be read."""

    classes: ClassList = field(default_factory=ClassList)
    """The classes that labels may hold; an empty list allows any."""
    class_field: str | None = None
    """Field of vectors that holds the class."""
    layer: str | None = None
    """Layer to read of vector files with several layers."""
    background: int | None = None
    """Class of pixels under no shape; None leaves them unlabelled."""
    ignore_label: int | None = None
    """Label value that means no label, in addition to the file's nodata value. None means 255 in
    8-bit rasters, unless 255 is a class: the file or the class list names it, or the rasters are
    masks of only 0 and 255."""


@dataclass(frozen=True)
class LabelRules:
    """How all label files of a command are read."""

    options: LabelOptions = field(default_factory=LabelOptions)
    """The choices of the user."""
    common: CommonClasses = field(default_factory=lambda: match_classes([]))
    """The common classes, and the numbers that each file gives them."""
    is_mask: bool = False
    """True if the rasters hold only 0 and 255, which become the classes 0 and 1."""
    inventory: LabelInventory = field(default_factory=LabelInventory)
    """Counts labels while they are read."""
    shapes: dict[Path, Shapes] = field(default_factory=dict)
    """Cache of the vector file that was read last, because many maps may share it."""

    def of_file(self, path: Path) -> LabelRules:
        """Return the rules of one file with an empty inventory, to be sent to a worker process."""
        common = replace(self.common, statements={path: self.common.statements[path]})
        return LabelRules(self.options, common, self.is_mask, LabelInventory())
