"""Fill templates of pages. Names of files and classes come from outside, so all text is escaped."""

from __future__ import annotations

import base64
import math
from importlib import metadata
from typing import Any

import jinja2

from clusternet.colours import RGB, as_hex

DASH = "\N{EN DASH}"
"""Shown where there is no value."""


def render(room: str, template: str, **values: Any) -> str:
    """Return a page as HTML.

    Args:
        room: the room that holds the template, such as ``evaluation``. The template may extend
            ``base.html`` and use the macros of ``parts.html``.
        template: its file name.
        values: what it shows.
    """
    environment = jinja2.Environment(
        loader=jinja2.ChoiceLoader(
            [
                jinja2.PackageLoader(f"clusternet.{room}", ""),
                jinja2.PackageLoader("clusternet.pages", ""),
            ]
        ),
        autoescape=True,
        undefined=jinja2.StrictUndefined,  # a misspelt name raises instead of showing nothing
        trim_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {
        "score": score,
        "integer": "{:,}".format,
        "percent": percent,
        "size": size,
        "hex": hex_colour,
        "base64": lambda picture: base64.b64encode(picture).decode(),
    }
    page = environment.get_template(template)
    return page.render(version=metadata.version("clusternet"), **values)


def score(value: float | None) -> str:
    """Return a score with three decimals."""
    return DASH if _is_missing(value) else f"{value:.3f}"


def percent(value: float | None, digits: int = 1) -> str:
    """Return a share in percent; a small one is not shown as zero."""
    if value is None or math.isnan(value):
        return DASH
    least = 10.0**-digits / 100
    return f"<{least:.{digits}%}" if 0 < value < least / 2 else f"{value:.{digits}%}"


def size(value: float | None, like: float | None = None) -> str:
    """Return an area or a count with thousands apart, and with four digits that count.

    Args:
        value: what is shown.
        like: show as many decimals as this value has.
    """
    if value is None or math.isnan(value):
        return DASH
    scale = abs(value if like is None else like)
    digits = 0 if scale == 0 or scale >= 1000 else max(0, 3 - math.floor(math.log10(scale)))
    return f"{value:,.{digits}f}"


def hex_colour(colour: RGB) -> str:
    """Return a colour as #rrggbb."""
    red, green, blue = (int(part) for part in colour)
    return as_hex((red, green, blue))


def _is_missing(value: float | None) -> bool:
    return value is None or math.isnan(value)
