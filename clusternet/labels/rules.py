"""How the label files of a command are read: one way for all, settled before the first pixel."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

from clusternet.errors import LabelError
from clusternet.legend.class_list import ClassList
from clusternet.legend.inventory import LabelInventory
from clusternet.legend.land_classes import MAX_CLASS
from clusternet.legend.meeting import Meeting, meet
from clusternet.messages import short
from clusternet.raster.shapes import Shapes

UNLABELLED = 255
"""The value of 8-bit label rasters that means no label, whether or not the file declares it."""


def check_background(background: int | None, classes: ClassList) -> None:
    """Raise LabelError if pixels under no shape cannot have this class."""
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
    """What the user says of label files."""

    classes: ClassList = field(default_factory=ClassList)
    """The classes that labels may hold; an empty list allows any."""
    class_field: str | None = None
    """Field of vectors that holds the class."""
    layer: str | None = None
    """Layer of vector files that hold several."""
    background: int | None = None
    """Class of pixels under no shape; None leaves them unlabelled."""
    ignore_label: int | None = None
    """Label value that means no label, beside the file's own nodata; None means 255 in 8-bit
    rasters, unless 255 is a class by its name, by the list of classes, or in a mask of only 0 and
    255."""


@dataclass(frozen=True)
class LabelRules:
    """What holds for all label files of a command."""

    options: LabelOptions = field(default_factory=LabelOptions)
    """What the user says."""
    meeting: Meeting = field(default_factory=lambda: meet([]))
    """The common classes, and the numbers that each file gives them."""
    is_mask: bool = False
    """True if the rasters hold nothing but 0 and 255: two classes, 0 and 1."""
    inventory: LabelInventory = field(default_factory=LabelInventory)
    """Counts what becomes of labels while they are read."""
    shapes: dict[Path, Shapes] = field(default_factory=dict)
    """The vector file that was read last: many maps may share it."""

    def of_file(self, path: Path) -> LabelRules:
        """Return the rules of one file, with an empty inventory: small enough to be sent around."""
        meeting = replace(self.meeting, statements={path: self.meeting.statements[path]})
        return LabelRules(self.options, meeting, self.is_mask, LabelInventory())
