"""Lists to choose from that give the keys back to the shortcuts."""

from __future__ import annotations

from typing import Any

from nicegui import ui

# Left in the list, the focus would take all keys from the shortcuts.
_LEAVE_LIST = """() => setTimeout(() => {
  if (document.activeElement?.closest(".q-select")) document.activeElement.blur();
})"""


def drop_down(options: dict[Any, str], **more: Any) -> ui.select:
    """Return a list to choose from that gives the keys back once it is closed."""
    chosen = ui.select(options, **more).props("dense options-dense")
    return chosen.on("popup-hide", js_handler=_LEAVE_LIST)
