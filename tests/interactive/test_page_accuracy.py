"""The card that says how good the map is."""

from __future__ import annotations

import numpy as np
import pytest

from clusternet.labels.strokes import Drawing
from clusternet.learning.stroke_check import StrokeCheck
from clusternet.legend.land_classes import LandClass

pytest.importorskip("nicegui", reason="pip install -e '.[interactive]' for the page")

from browser_page import Page, draw_two_classes, needs_browser

from clusternet.interactive.accuracy import class_scores, confusion_html, headline

CLASSES = (
    LandClass(1, "<b>grass", (1, 2, 3)), LandClass(2, "road", (4, 5, 6)),
    LandClass(4, "roof", (7, 8, 9)), LandClass(9, "none", (0, 0, 0)),
)  # fmt: skip


def check(confusion: list[list[int]], held_back: int = 0) -> StrokeCheck:
    places = np.array([3, 2, 1])
    return StrokeCheck(np.array([1, 2, 4]), np.array(confusion), places, held_back)


def test_the_card_shows_scores_by_hand():
    found = check([[8, 2, 0], [1, 9, 0], [0, 0, 0]])
    assert headline(found)[0] == "85%" and "6 places, each held back once" in headline(found)[1]
    rows = [(r.found, r.right, r.places) for r in class_scores(found, Drawing(CLASSES))]
    # 8 of 10 found, 8 of 9 right; roof was drawn at one place, and none at none
    assert rows == [("80%", "89%", "3"), ("90%", "82%", "2"), ("?", "?", "1"), ("", "", "0")]
    table = confusion_html(found, Drawing(CLASSES))
    assert "&lt;b&gt;grass" in table and "<b>" not in table
    assert headline(check([[8, 2, 0], [1, 9, 0], [0, 0, 0]], 1))[1].endswith(
        "1 stroke is held back as a check and not learned."
    )


def test_without_a_score_the_card_says_what_to_draw():
    nothing = [[0] * 3] * 3
    for unknown in (None, check(nothing)):
        assert headline(unknown) == ("?", "Draw each class at two places or more; then this is "
                                     "known.")  # fmt: skip
        assert confusion_html(unknown, Drawing(CLASSES)) == ""
    assert "lie beside others" in headline(check(nothing, 1))[1]


@needs_browser
def test_accuracy_is_shown_while_one_draws_and_the_keys_lead_to_the_weakest_class(
    page: Page,
) -> None:
    draw_two_classes(page)
    page.key("q")
    page.until(lambda: "How good is it?" in page.text() and "two places or more" in page.text())
    card, toolbar = page.box(".accuracy"), page.box(".toolbar")
    assert card["top"] >= toolbar["bottom"] and card["right"] < page.box(".panel")["left"]
    # the map in sight beside the card
    page.draw((290, 180), (310, 190))
    page.key("1")
    page.draw((170, 180), (200, 210))
    page.until(lambda: "places, each held back once" in page.text())
    page.key("j")
    page.until(lambda: page.script("return !!document.querySelector('.suggestion')"))

    page.key("k")
    name = "return document.querySelector('.pen-class').innerText"
    page.until(lambda: page.script(name).startswith("check: "))
    page.key("f")
    page.until(lambda: not page.script("return clusternet.map._animatingZoom"))
    page.draw((250, 100), (300, 110))
    page.until(lambda: page.script("return clusternet.strokes.at(-1).check"))
    page.until(lambda: "1 stroke is held back as a check" in page.text())
    page.key("k")
    page.until(lambda: not page.script(name).startswith("check: "))
    page.key("q")
    page.until(lambda: "Learn all strokes" not in page.text())
