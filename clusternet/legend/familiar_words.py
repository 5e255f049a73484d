"""What kind of land cover the name of a class means, in many languages.

The words stand in ``familiar_words.csv``: in lower case, in the singular, irregular plurals beside
it. A hyphen joins words that count only together. Words are compared without case and accents.
The kind ``denial`` has words that deny what stands beside them, as in *no forest*, the kind
``nothing`` words that only end as a known one does, as *waterproof* ends in *roof*.
"""

from __future__ import annotations

import csv
import re
import unicodedata
from functools import cache
from importlib import resources

_ROMANCE = ("fr", "es", "it", "pt", "ro", "ca")
# Languages in which the first of several nouns says what a thing is, as in "toit en herbe".
_COMPOUNDING = ("en", "de", "nl", "sv", "da", "no", "fi", "hu", "zh", "ja", "ko")
# Languages whose words end with what a thing is, as in "Laubwald" and "farmhouse".
_WITHOUT_SPACES = ("zh", "ja", "ko")
_PLURALS = ("s", "es", "e", "n", "en", "x", "er", "i", "ы", "и")
_AREAS = ("flache", "flachen", "sflache", "sflachen")  # German: Wasserfläche, Siedlungsflächen
_SHORTEST_END = 3  # letters of the shortest word that ends a compound, as "bos" in "naaldbos"
_SHORTEST_ENGLISH_END = 4
_LETTERS = str.maketrans({"ø": "o", "æ": "a", "ł": "l", "\N{LATIN SMALL LETTER DOTLESS I}": "i"})
# which NFKD leaves as they are
_PREFIXES = {"no", "non", "not"}  # as in "nonforest"


def kind_of(name: str) -> str | None:
    """Return the kind of land cover that a class name means; None if it says none.

    Kinds are ``water``, ``forest``, ``tree``, ``road``, ``roof``, ``building``, ``grass``,
    ``field``, ``bare``, ``snow`` and ``wetland``. A name such as *non-forest* says none.
    """
    words = _words(name)
    joined = "".join(words)
    if not words or any(map(_denies, words)) or _forms(joined) & _words_of("nothing"):
        return None
    if (whole := _kinds(ambiguous=True).get(joined)) is not None:
        return whole[0]
    found = [entry for word in words if (entry := _entry(word)) is not None]
    if not found:
        return None
    return found[0][0] if all(romance for _, romance in found) else found[-1][0]


def _entry(word: str) -> tuple[str, bool] | None:
    """Return the kind of a word, and whether its language puts the main noun first."""
    known, ends = _kinds(ambiguous=False), _compound_ends()
    forms = sorted(_forms(word), key=len, reverse=True)
    for form in forms:
        if form in known:
            return known[form]
    if _forms(word) & _words_of("nothing"):
        return None
    for form in forms:
        for start in range(1, len(form)):  # the longest end first
            if form[start:] in ends:
                return ends[form[start:]], False
    return None


def _forms(word: str) -> set[str]:
    """Return a word, and what it may be in the singular or without a word for an area."""
    return {word.removesuffix(end) for end in ("", *_PLURALS, *_AREAS)} - {""}


def _denies(word: str) -> bool:
    """Tell whether a word denies the others, or is a known word after one that denies it."""
    denials = _words_of("denial")
    return word in denials or any(
        word.startswith(denial) and word[len(denial) :] in _kinds(ambiguous=False)
        for denial in denials & _PREFIXES
    )


@cache
def _kinds(*, ambiguous: bool) -> dict[str, tuple[str, bool]]:
    """Return the kind of each word, and whether its language puts the main noun first.

    Args:
        ambiguous: include words that mean other things in other languages, as "las" does. They
            count where they are the whole name.
    """
    left_out = frozenset() if ambiguous else _words_of("ambiguous")
    kinds: dict[str, tuple[str, bool]] = {}
    for kind, language, words in _table():
        for word in words:
            if language and word not in left_out:
                kinds.setdefault(word, (kind, language in _ROMANCE))
    return kinds


@cache
def _compound_ends() -> dict[str, str]:
    """Return the kind of each word that can end a compound."""
    ends: dict[str, str] = {}
    for kind, language, words in _table():
        shortest = _SHORTEST_ENGLISH_END if language == "en" else _SHORTEST_END
        for word in words if language in _COMPOUNDING else ():
            long = len(word) >= shortest or language in _WITHOUT_SPACES
            if long and word not in _words_of("ambiguous"):
                ends.setdefault(word, kind)
    return ends


@cache
def _words_of(kind: str) -> frozenset[str]:
    return frozenset(word for row_kind, _, words in _table() for word in words if row_kind == kind)


@cache
def _table() -> list[tuple[str, str, list[str]]]:
    """Return kind, language and words of each line."""
    source = resources.files("clusternet.legend") / "familiar_words.csv"
    rows = csv.DictReader(source.read_text(encoding="utf-8").splitlines())
    return [
        (row["kind"], row["language"], ["".join(_words(word)) for word in row["words"].split()])
        for row in rows
    ]


def _words(name: str) -> list[str]:
    return re.findall(r"[^\W\d_]+", _plain(name))


def _plain(text: str) -> str:
    """Return a text in lower case without accents; ä, ae and a are equal, as are ö and ü."""
    apart = unicodedata.normalize("NFKD", text.casefold())
    bare = "".join(sign for sign in apart if not unicodedata.combining(sign)).translate(_LETTERS)
    return re.sub("([aou])e", r"\1", bare)
