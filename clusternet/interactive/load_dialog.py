"""The dialog that asks how the strokes of a file are read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nicegui import ui

from clusternet.interactive.dialogs import buttons, dialog
from clusternet.interactive.drop_downs import drop_down
from clusternet.interactive.heard import heard
from clusternet.raster.shape_classes import CLASS_FIELD
from clusternet.raster.shapes import list_fields

if TYPE_CHECKING:
    from pathlib import Path

    from clusternet.interactive.page import Page
    from clusternet.interactive.tasks import Task

_MOST_WARNINGS = 3  # shown of a file
Fields = Mapping[str, tuple[str, ...]]
"""Names of the fields of each layer."""


@dataclass(frozen=True)
class Reading:
    """How a file of strokes is read."""

    class_field: str | None
    """Field that holds the class; None for ``class``, or in a file without fields."""
    layer: str | None
    """Layer to read, None for the only one."""
    add: bool
    """True to add the strokes to those that are there, False to replace these."""


def class_field_of(fields: tuple[str, ...]) -> str | None:
    """Return the field that holds the class if nobody says which, None if none is called so."""
    return next((name for name in fields if name.lower() == CLASS_FIELD), None)


def reading(fields: Fields, layer: str, field: str | None, *, add: bool) -> Reading:
    """Return the choice of a person as `clusternet.labels.stroke_files.read_strokes` takes it."""
    usual = class_field_of(fields[layer])
    return Reading(
        None if field in (None, usual) else field, layer if len(fields) > 1 else None, add
    )


class LoadDialog:
    """The dialog of one page."""

    def __init__(self, page: Page) -> None:
        """Remember the page."""
        self._page = page

    async def ask(self, name: str, fields: Fields) -> Reading | None:
        """Ask how a file is read; None if the person cancels.

        Args:
            name: of the file.
            fields: of each layer.
        """
        with self._page.on_page() as is_open:
            if not is_open:
                return None
            layers = list(fields)
            with dialog(f"Load {name}") as opened:
                layer = drop_down({each: each for each in layers}, value=layers[0], label="Layer")
                layer.mark("layer").set_visibility(len(layers) > 1)
                field = drop_down({}, label="Field with the class").mark("field")
                how = ui.radio(
                    {True: "Add to the strokes on the page", False: "Replace these"}, value=True
                ).props("dense")  # fmt: skip
                how.mark("how")

                def show_fields() -> None:
                    names = fields[str(layer.value)]
                    usual = class_field_of(names) or next(iter(names), None)
                    field.set_options({each: each for each in names}, value=usual)
                    field.set_visibility(bool(names))

                layer.on_value_change(show_fields)
                show_fields()
                buttons(opened, "Load", lambda: opened.submit(True)).mark("load-file")
        wanted = await opened
        chosen = reading(fields, str(layer.value), field.value, add=bool(how.value))
        if not self._page.client.is_deleted:
            opened.delete()
        return chosen if wanted else None


async def load_file(page: Page, path: Path, name: str) -> bool:
    """Load strokes from a file that a person has chosen; True if they were loaded.

    Args:
        page: the page.
        path: the file.
        name: how the person calls it.
    """
    found: list[Fields] = []

    def look(path: Path) -> None:
        found.append(list_fields(path))

    with page.cards.working(f"Reading {name} ...") as task:
        if not await page.attempt(look, path, called=name):
            return False
    if task.is_cancelled:
        return False
    how = await page.load_dialog.ask(name, found[0])
    if how is None:
        return False
    said: list[str] = []

    def read(path: Path, task: Task) -> None:
        with heard() as lines:
            page.workspace.load(
                path, class_field=how.class_field, layer=how.layer, add=how.add, owner=page.owner,
                task=task,
            )  # fmt: skip
        said.extend(lines)

    with page.cards.working(f"Reading {name} ...") as task:
        done = await page.attempt(read, path, task, called=name)
    for line in said[:_MOST_WARNINGS]:
        page.warn(line.replace(str(path), name))
    return done
