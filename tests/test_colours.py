"""Colours as text: what is written is read back, and what is no colour is told apart."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clusternet.colours import RGB, as_hex, from_hex

LEVEL = st.integers(0, 255)


@given(st.tuples(LEVEL, LEVEL, LEVEL))
def test_a_colour_is_read_back_from_its_text(colour: RGB) -> None:
    assert from_hex(as_hex(colour)) == from_hex(as_hex(colour).upper()) == colour


def test_a_colour_may_lack_its_sign_and_have_space_around() -> None:
    assert from_hex(" 1f77b4 ") == (31, 119, 180)


@pytest.mark.parametrize("text", ["", "#", "#1f77b", "#1f77b4ff", "##1f77b4", "1f 77b4", "red"])
def test_other_text_is_no_colour(text: str) -> None:
    assert from_hex(text) is None
