"""Flat mappings in YAML files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from clusternet.errors import SettingsError
from clusternet.messages import short_value
from clusternet.text_files import read_text, taken_apart

_LONGEST_YAML, _DEEPEST_YAML = 65536, 8  # characters, nested lists and mappings


def read_yaml(path: Path) -> dict[str, Any]:
    """Read a flat YAML mapping.

    Raises:
        SettingsError: if the file is missing, not YAML, or not a mapping.
    """
    text = read_text(path, SettingsError)
    # PyYAML raises other errors than its own for impossible values, such as the date 2026-13-45
    with taken_apart(SettingsError, f"{path}: cannot be read as YAML"):
        values = _parse_yaml(text)
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise SettingsError(
            f"{path}: expected 'name: value' lines, found a {type(values).__name__}."
        )
    for name in values:
        if not isinstance(name, str):
            raise SettingsError(f"{path}: '{short_value(name)}' is not a setting.")
    return values


def _parse_yaml(text: str) -> Any:
    """Parse YAML, but no long or deeply nested text, for which the parser needs quadratic time.

    Raises:
        ValueError: if it is too long or nested too deeply.
    """
    if len(text) > _LONGEST_YAML:
        raise ValueError(f"it has {len(text):,} characters")
    depth = 0
    for event in yaml.parse(text, yaml.SafeLoader):
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        if depth > _DEEPEST_YAML:
            raise ValueError("nested too deeply")
    return yaml.safe_load(text)


def write_yaml(path: Path, values: Mapping[str, Any], *, start: str = "") -> None:
    """Write a flat mapping as YAML, in its own order, after the text ``start``."""
    path.write_text(start + yaml.safe_dump(dict(values), sort_keys=False), encoding="utf-8")
