"""The cards of a page that show what is being done, how far it is, and a button that stops it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nicegui import ui

from clusternet.interactive.tasks import Task

if TYPE_CHECKING:
    from clusternet.interactive.page import Page

_LOOK_EVERY = 0.2  # seconds


@dataclass(frozen=True)
class _Card:
    card: ui.element
    text: ui.label
    bar: ui.linear_progress


class TaskCards:
    """The work that one page has asked for."""

    def __init__(self, page: Page) -> None:
        """Build the place for the cards over the map of a page."""
        self._page = page
        self._cards: dict[Task, _Card] = {}
        self._place = ui.element("div").classes("tasks")

    @contextmanager
    def working(self, text: str) -> Iterator[Task]:
        """Show a card while work is done; its button cancels the task."""
        task = Task(text)
        with self._page.on_page() as is_open:
            if is_open:
                with self._place:
                    self._cards[task] = self._build(task)
        try:
            yield task
        finally:
            card = self._cards.pop(task, None)
            if card is not None and not self._page.client.is_deleted:
                card.card.delete()

    def _build(self, task: Task) -> _Card:
        with ui.element("div").classes("card task").mark("task") as card:
            with ui.element("div").classes("card-title"):
                text = ui.label(task.text)
                ui.button("Cancel", on_click=lambda: self._cancel(task)).props(
                    "flat dense no-caps"
                ).mark("cancel")
            bar = ui.linear_progress(0, show_value=False).props("rounded size=6px indeterminate")
            ui.timer(_LOOK_EVERY, lambda: self._refresh(task))  # goes with the card
        return _Card(card, text, bar)

    def _refresh(self, task: Task) -> None:
        card = self._cards.get(task)
        if card is None:
            return
        card.text.text = task.text
        share = task.share
        card.bar.value = share or 0
        card.bar.props(remove="indeterminate") if share else card.bar.props("indeterminate")

    def _cancel(self, task: Task) -> None:
        task.cancel()
        if task in self._cards:
            self._cards[task].card.set_visibility(False)

    def cancel_last(self) -> None:
        """Cancel what was asked for last."""
        if self._cards:
            self._cancel(list(self._cards)[-1])
