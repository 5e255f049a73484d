"""What the dialogs of the page have in common."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from nicegui import ui


@contextmanager
def dialog(title: str) -> Iterator[ui.dialog]:
    """Build a dialog with a title; Esc closes it."""
    with ui.dialog() as opened, ui.card().classes("dialog"):
        ui.label(title).classes("dialog-title")
        yield opened


def buttons(opened: ui.dialog, text: str, action: Callable[[], Any]) -> ui.button:
    """Add Cancel, and the button that Enter presses; return the latter."""
    with ui.element("div").classes("dialog-buttons"):
        ui.button("Cancel", on_click=opened.close).props("flat no-caps color=grey-5")
        wanted = ui.button(text, on_click=action).props("unelevated no-caps autofocus")
    return wanted
