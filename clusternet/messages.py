"""Messages: one line each, of limited length, without control characters."""

from __future__ import annotations

import difflib
import re
import reprlib
import unicodedata

MOST = 290
"""Most characters of a message: about three lines of a terminal."""
# Unicode categories: control characters, surrogates (bytes that are no UTF-8), line separators
_UNPRINTABLE = {"Cc", "Cs", "Zl", "Zp"}
_DEFINITION = re.compile(r'\b[A-Z_]{3,}\[(?=")|\{(?= ?")')
_FLAG = re.compile(r"(?<![\w-])--([a-z][a-z_]+)")
_NAME = re.compile(r'(?:"name": ?|\[)"([^"]*)"')
# Marks of writing direction, which could show a message in another order than it was written.
_FLOWS = set("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def printable(text: str) -> str:
    """Return text whose control characters, such as a newline, are written as escapes.

    Names of files may hold any character; one with a newline must not split a line in two, nor
    one with an escape sequence colour the terminal.
    """
    return "".join(_escaped(c) if _is_unprintable(c) else c for c in text)


def _is_unprintable(character: str) -> bool:
    return unicodedata.category(character) in _UNPRINTABLE or character in _FLOWS


def _escaped(character: str) -> str:
    if (
        "\udc80" <= character <= "\udcff"
    ):  # how Python decodes bytes of file names that are no UTF-8
        return f"\\x{ord(character) - 0xDC00:02x}"
    return character.encode("unicode_escape", "backslashreplace").decode("ascii")


def short(text: str, most: int = 80) -> str:
    """Return text of at most ``most`` characters; the middle of a longer text is left out."""
    if len(text) <= most:
        return text
    end = (most - 5) // 2
    return f"{text[: most - 5 - end]} ... {text[len(text) - end :]}"


def short_value(value: object, most: int = 80) -> str:
    """Return a value of a file as short text, even if it is large or deeply nested."""
    if isinstance(value, str):
        return short(printable(value), most)
    writer = reprlib.Repr()
    writer.maxlist = writer.maxdict = writer.maxtuple = 4
    writer.maxlevel = 2
    return short(printable(writer.repr(value)), most)


def one_line(text: str, most: int = 120) -> str:
    """Return a library's message for use inside ours: short, in one line, without full stop."""
    named = without_definitions(" ".join(text.split()))
    return short(printable(named).rstrip(". "), most)


def without_definitions(text: str) -> str:
    """Return text with each definition of a CRS, as WKT or JSON, replaced by the CRS's name."""
    pieces, done = [], 0
    for start in _DEFINITION.finditer(text):
        if start.start() >= done:
            end = _closing(text, start.end() - 1)
            name = _NAME.search(text, start.start(), end)
            pieces += [text[done : start.start()], name[1] if name else "..."]
            done = end
    return "".join((*pieces, text[done:]))


def _closing(text: str, opening: int) -> int:
    """Return the index behind the bracket that closes the one at ``opening``."""
    depth = 0
    for index in range(opening, len(text)):
        depth += (text[index] in "[{") - (text[index] in "]}")
        if depth == 0:
            return index + 1
    return len(text)


def without_flags(text: str) -> str:
    """Return a message without the advice that names flags of a command, for other places.

    Of ``a.gpkg: holds several layers (b, c); choose one with --layer.`` the part before the
    semicolon is left. Commands to type, such as ``rio edit-info --crs``, are advice, too.
    """
    text = re.sub(r" ?\([^()]*(?<![\w-])--[a-z][^()]*\)", "", text)
    kept: list[str] = []
    for clause in re.split(r"(?<=[;.]) ", text):
        if not _FLAG.search(clause):
            kept.append(clause)
        elif kept:
            kept[-1] = kept[-1].rstrip(";,.") + "."  # what follows begins a new sentence
    if not kept:
        return _FLAG.sub(lambda flag: flag[1].replace("_", " "), text)
    return " ".join(kept)


def unknown_key_message(key: str, known: list[str], prefix: str = "") -> str:
    """Return the message for a key that is no setting, with the most similar setting.

    ``prefix`` is shown before both: ``--`` for flags.
    """
    near = difflib.get_close_matches(key, known, 1)
    hint = f" Did you mean {prefix}{near[0]}?" if near else ""
    return f"'{prefix}{key}' is not a setting.{hint}"
