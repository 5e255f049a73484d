"""Text for people: one line each, without characters that a terminal obeys, and not too long."""

from __future__ import annotations

import re
import reprlib
import unicodedata

MOST = 290
"""Characters of a message at most: about three lines of a terminal."""
_UNPRINTABLE = {"Cc", "Cs", "Zl", "Zp"}  # control characters, broken ones, ends of lines
_DEFINITION = re.compile(r'\b[A-Z_]{3,}\[(?=")|\{(?= ?")')
_NAME = re.compile(r'(?:"name": ?|\[)"([^"]*)"')
_FLOWS = set("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")  # turn text around


def printable(text: str) -> str:
    """Return text whose control characters, such as a newline, are written as escapes.

    Names of files may hold any character; one with a newline must not split a line in two, nor
    one with an escape sequence colour the terminal.
    """
    return "".join(_escaped(c) if _is_unprintable(c) else c for c in text)


def _is_unprintable(character: str) -> bool:
    return unicodedata.category(character) in _UNPRINTABLE or character in _FLOWS


def _escaped(character: str) -> str:
    if "\udc80" <= character <= "\udcff":  # a byte of a file's name that is no UTF-8
        return f"\\x{ord(character) - 0xDC00:02x}"
    return character.encode("unicode_escape", "backslashreplace").decode("ascii")


def short(text: str, most: int = 80) -> str:
    """Return text of at most ``most`` characters, its middle left out where it is longer."""
    if len(text) <= most:
        return text
    end = (most - 5) // 2
    return f"{text[: most - 5 - end]} ... {text[len(text) - end :]}"


def short_value(value: object, most: int = 80) -> str:
    """Return a value of a file as text, however large and deeply nested it is."""
    if isinstance(value, str):
        return short(printable(value), most)
    writer = reprlib.Repr()
    writer.maxlist = writer.maxdict = writer.maxtuple = 4
    writer.maxlevel = 2
    return short(printable(writer.repr(value)), most)


def one_line(text: str, most: int = 120) -> str:
    """Return what a library says as part of a line of ours: short, in one line, no full stop."""
    named = without_definitions(" ".join(text.split()))
    return short(printable(named).rstrip(". "), most)


def without_definitions(text: str) -> str:
    """Return text with each definition of a CRS, as WKT or JSON, replaced by the CRS's name."""
    parts, done = [], 0
    for start in _DEFINITION.finditer(text):
        if start.start() >= done:
            end = _closing(text, start.end() - 1)
            name = _NAME.search(text, start.start(), end)
            parts += [text[done : start.start()], name[1] if name else "..."]
            done = end
    return "".join((*parts, text[done:]))


def _closing(text: str, place: int) -> int:
    """Return the place after the bracket that closes the one at ``place``."""
    depth = 0
    for index in range(place, len(text)):
        depth += (text[index] in "[{") - (text[index] in "]}")
        if depth == 0:
            return index + 1
    return len(text)
