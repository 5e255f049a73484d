"""Normalised names of classes, which every file format of a class map can hold.

Names are read from vectors, rasters, legends, class lists and the interactive page. They are
written as XML, CSV, HTML, to tables of GeoPackages and to the console. `clean_name` is called
where a name is read.
"""

from __future__ import annotations

import logging
import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable

from clusternet.errors import LabelError
from clusternet.messages import short_value

logger = logging.getLogger(__name__)

MAX_NAME = 200
"""Characters of the longest name."""
_BREAKS = re.compile(r"\s*[\t\n\v\f\r\x1c-\x1f\x85\u2028\u2029]\s*")
# What XML 1.0 cannot hold, and the other control characters.
_UNWRITABLE = re.compile("[^\t\n\r\x20-\x7e\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
_INVISIBLE = "\N{ZERO WIDTH SPACE}\N{ZERO WIDTH NO-BREAK SPACE}"


def clean_name(text: str, source: object = "class names", *, quiet: bool = False) -> str:
    """Return a class name as it is compared, shown and written; it may be empty.

    White space around it is removed. Line breaks and tabs inside become a space. Letters with
    accents get one form (Unicode NFC), however they were typed. A control character becomes a
    replacement character, with a warning. Upper and lower case are kept.

    Args:
        text: the name that a file states or a person types.
        source: the file that holds it, for messages.
        quiet: leave the warning out.

    Raises:
        LabelError: if it is longer than ``MAX_NAME``.
    """
    name = _BREAKS.sub(" ", unicodedata.normalize("NFC", text)).strip().strip(_INVISIBLE).strip()
    if len(name) > MAX_NAME:
        raise LabelError(
            f"{source}: expected class names of up to {MAX_NAME} characters, found one of "
            f"{len(name)} ({short_value(name, 40)}); shorten it."
        )
    written = _UNWRITABLE.sub(_REPLACEMENT, name)
    if written != name and not quiet:
        logger.warning(
            "%s: the class name %s holds control characters; it is written '%s'.",
            source, ascii(name), written,
        )  # fmt: skip
    return written


def is_made_up(number: int, name: str) -> bool:
    """Tell whether a name says no more than its number, as ``class 3`` and ``3`` do."""
    return name in (f"class {number}", str(number))


def warn_of_near_twins(names: Iterable[str], source: object) -> None:
    """Warn of names that differ by upper and lower case only: they are different classes."""
    alike = defaultdict(set)
    for name in names:
        alike[name.casefold()].add(name)
    for twins in alike.values():
        if len(twins) > 1:
            first, second = sorted(twins)[:2]
            logger.warning(
                "%s: '%s' and '%s' differ by upper and lower case only; they are taken as two "
                "classes.", source, first, second,
            )  # fmt: skip
