"""What matters to the user of a class map."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

from clusternet.errors import SettingsError
from clusternet.messages import short_value

Aim = Literal["recall", "precision", "iou"]
AIMS: tuple[Aim, ...] = get_args(Aim)


@dataclass(frozen=True)
class Preference:
    """The measure that matters to the user, and its class."""

    aim: Aim
    class_name: str | None = None
    """None means all classes alike."""

    @classmethod
    def parse(cls, text: str) -> Preference:
        """Read ``recall`` or ``recall:dead tree``.

        Raises:
            SettingsError: if it is neither.
        """
        aim, colon, name = text.partition(":")
        for known in AIMS:
            if aim == known and bool(colon) == bool(name.strip()):
                return cls(known, name.strip() or None)
        raise SettingsError(
            f"--prefer: expected {', '.join(AIMS)}, or one of them and a class as in "
            f"recall:roof, received {short_value(text, 60)}."
        )

    def numbers(self, classes: Mapping[str, int]) -> list[int]:
        """Return the numbers of the classes that matter.

        Raises:
            SettingsError: if there is no such class.
        """
        if self.class_name is None:
            return list(classes.values())
        if self.class_name not in classes:
            raise SettingsError(
                f"--prefer: expected a class with labels ({', '.join(classes)}), received "
                f"{short_value(self.class_name, 60)}."
            )
        return [classes[self.class_name]]
