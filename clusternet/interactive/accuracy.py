"""How good the map is: a card over the map that can stay open while one draws."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any

from nicegui import ui

from clusternet.colours import as_hex
from clusternet.interactive.session import Session
from clusternet.labels.strokes import Drawing
from clusternet.learning.stroke_check import StrokeCheck
from clusternet.legend.land_classes import LandClass

if TYPE_CHECKING:
    from clusternet.interactive.page import Page

_HEADS = {
    "Class": "",
    "Found": "Share of the pixels drawn as the class that get it (recall, producer's accuracy)",
    "Right": "Share of the pixels that get the class and were drawn as it (precision, user's "
    "accuracy)",
    "Places": "Groups of strokes that lie apart from each other",
}  # fmt: skip


@dataclass(frozen=True)
class ClassScore:
    """A row of the table; texts as they are shown."""

    land_class: LandClass
    found: str = ""
    right: str = ""
    places: str = "0"


def class_scores(check: StrokeCheck | None, drawing: Drawing) -> list[ClassScore]:
    """Return a row for each class of a drawing, in its order."""
    if check is None:
        return [ClassScore(land_class) for land_class in drawing.classes]
    scores, column = check.scores, {n: i for i, n in enumerate(check.numbers.tolist())}
    rows = []
    for land_class in drawing.classes:
        i = column.get(land_class.number)
        if i is None:
            rows.append(ClassScore(land_class))
            continue
        known = bool(check.judged[i])
        found, right = (f"{values[i]:.0%}" if known else "?"
                        for values in (scores.recall, scores.precision))  # fmt: skip
        rows.append(ClassScore(land_class, found, right, str(check.places[i])))
    return rows


def headline(check: StrokeCheck | None) -> tuple[str, str]:
    """Return the accuracy as it is shown, and how it was found."""
    if check is None or not check.confusion.sum():
        held_back = check is not None and check.num_held_back
        return "?", (
            "The strokes that are held back lie beside others; draw some elsewhere." if held_back
            else "Draw each class at two places or more; then this is known."
        )  # fmt: skip
    basis = f"{int(check.places.sum())} places, each held back once while the others are learned"
    if check.num_held_back:
        strokes = "stroke is" if check.num_held_back == 1 else "strokes are"
        basis = f"{check.num_held_back} {strokes} held back as a check and not learned"
    return f"{check.scores.accuracy:.0%}", f"of the pixels get the class drawn on them. {basis}."


def confusion_html(check: StrokeCheck | None, drawing: Drawing) -> str:
    """Return the table of pixels by drawn and found class, empty without one."""
    if check is None or not check.confusion.sum():
        return ""
    by_number = {c.number: c for c in drawing.classes}
    classes = [by_number.get(number) for number in check.numbers.tolist()]
    heads = "".join(f"<th>{_swatch(each)}</th>" for each in classes)
    rows = []
    for i, land_class in enumerate(classes):
        total = max(int(check.confusion[i].sum()), 1)
        cells = []
        for j, pixels in enumerate(check.confusion[i].tolist()):
            colour = "47, 111, 237" if i == j else "220, 70, 60"
            opacity = pixels and 0.25 + pixels / total * 0.55  # one wrong pixel is seen, too
            cells.append(f'<td style="background: rgba({colour}, {opacity:.2f})">'
                         f"{pixels or ''}</td>")  # fmt: skip
        name = escape(land_class.name if land_class else "")
        rows.append(f"<tr><th>{_swatch(land_class)} {name}</th>{''.join(cells)}</tr>")
    return f"<table><tr><th>drawn | found</th>{heads}</tr>{''.join(rows)}</table>"


def _swatch(land_class: LandClass | None) -> str:
    if land_class is None:
        return ""
    colour, name = as_hex(land_class.colour), escape(land_class.name, quote=True)
    return f'<span class="dot" style="background: {colour}" title="{name}"></span>'


class AccuracyCard:
    """The card of one page; it is built anew only when the classes change."""

    def __init__(self, page: Page) -> None:
        """Build it, closed."""
        self._page, self._workspace = page, page.workspace
        self._classes: object = None
        self._seen: object = None
        self._cells: dict[int, list[ui.label]] = {}
        with ui.element("div").classes("card accuracy").mark("accuracy") as self._card:
            with ui.element("div").classes("card-title"):
                ui.label("How good is it?")
                ui.button(icon="close", color=None, on_click=self.toggle).props(
                    "flat dense round size=sm"
                ).tooltip("Close (Q)")
            self._accuracy = ui.label("").classes("accuracy-number").mark("accuracy-number")
            self._basis = ui.label("").classes("facts")
            self._more = self._button("", "add_location_alt", page.draw_weakest)
            self._table = ui.element("div").classes("scores")
            self._confusion = ui.html("", sanitize=False).classes("confusion")
            self._hold_back()
        self._card.set_visibility(False)

    def _hold_back(self) -> None:
        with ui.element("div").classes("choices"):
            self._fifth = self._button(
                "Hold back every fifth stroke", "filter_5",
                lambda: self._page.change(Session.hold_back_every_fifth),
            )  # fmt: skip
            self._pen = self._button("Draw strokes to be held back (K)", "fact_check",
                                     self._page.toggle_checks)  # fmt: skip
            self._none = self._button(
                "Learn all strokes", "done_all", lambda: self._page.change(Session.hold_back_none)
            )

    def _button(self, text: str, icon: str, action: Any) -> ui.button:
        button = ui.button(text, icon=icon, on_click=action)
        return button.props("flat dense no-caps align=left color=grey-4").classes("wide")

    def toggle(self) -> None:
        """Open or close the card."""
        self._card.set_visibility(not self._card.visible)
        self._seen = None
        self.refresh()

    def refresh(self) -> None:
        """Show the accuracy of the workspace, if the card is open."""
        drawing, check = self._workspace.drawing, self._workspace.check
        shown = drawing, check, self._page.draws_checks
        if not self._card.visible or self._seen == shown:
            return
        self._seen = shown
        if self._classes != drawing.classes:
            self._classes = drawing.classes
            self._build_table(drawing.classes)
        number, basis = headline(check)
        self._accuracy.text = number
        is_old = check is not None and self._workspace.checked is not drawing.strokes
        self._basis.text = basis + " Being computed anew." * is_old
        for row in class_scores(check, drawing):
            for cell, text in zip(self._cells[row.land_class.number],
                                  (row.found, row.right, row.places), strict=True):  # fmt: skip
                cell.text = text
        self._confusion.content = confusion_html(check, drawing)
        weakest = self.weakest()
        self._more.set_visibility(weakest is not None)
        if weakest is not None:
            self._more.text = f"Draw more of '{weakest.name}' here (J)"
        self._fifth.set_enabled(not drawing.every_fifth)
        self._none.set_enabled(drawing.every_fifth or any(s.is_check for s in drawing.strokes))
        self._pen.props(f"color={'primary' if self._page.draws_checks else 'grey-4'}")

    def _build_table(self, classes: tuple[LandClass, ...]) -> None:
        self._table.clear()
        self._cells = {}
        with self._table:
            for text, meaning in _HEADS.items():
                ui.label(text).classes("facts").tooltip(meaning or text)
            ui.label("")
            for land_class in classes:
                self._row(land_class)

    def _row(self, land_class: LandClass) -> None:
        number = land_class.number
        with ui.element("div").classes("class-name"):
            ui.element("div").classes("dot").style(f"background: {as_hex(land_class.colour)}")
            ui.label(land_class.name)
        self._cells[number] = [ui.label("") for _ in range(3)]
        button = ui.button(icon="add_location_alt", color=None).props("flat dense round size=sm")
        button.on_click(lambda: self._page.draw_more(number))
        button.tooltip(f"Draw more of '{land_class.name}' where it is least certain")

    def weakest(self) -> LandClass | None:
        """Return the class that more strokes would help most, if it is known and still there."""
        check, classes = self._workspace.check, self._workspace.drawing.classes
        number = None if check is None else check.weakest
        return next((c for c in classes if c.number == number), None)
