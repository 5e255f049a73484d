"""Where the members of a group meet: a small process beside the command."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any

Event = tuple[str, Any]
"""What the first member tells the command: its kind, and what belongs to it."""


@dataclass
class _Meeting:
    """An exchange that not all members have come to yet."""

    rows: dict[int, list[Any]] = field(default_factory=dict)
    complete: asyncio.Event = field(default_factory=asyncio.Event)


class Coordinator:
    """An actor that the members and the command call.

    Arrays travel from member to member through Ray's object store; only references come here.
    """

    def __init__(self, size: int) -> None:
        """Take the number of members."""
        self._size = size
        self._meetings: dict[int, _Meeting] = {}
        self._events: list[Event] = []
        self._told, self._stop = asyncio.Event(), asyncio.Event()

    async def swap(self, number: int, rank: int, row: list[Any]) -> list[Any]:
        """Return what each member has for this one, by rank, once all members have come.

        Args:
            number: of the exchange; members count alike.
            rank: of the member.
            row: what it has for each member, by rank.
        """
        meeting = self._meetings.setdefault(number, _Meeting())
        meeting.rows[rank] = row
        if len(meeting.rows) == self._size:
            del self._meetings[number]
            meeting.complete.set()
        await meeting.complete.wait()
        return [meeting.rows[other][rank] for other in range(self._size)]

    async def tell(self, event: Event) -> None:
        """Keep an event for the command."""
        self._events.append(event)
        self._told.set()

    async def listen(self) -> list[Event]:
        """Return the events since the last call, as soon as there are any or `stop` is called."""
        await self._told.wait()
        events, self._events = self._events, []
        if not self._stop.is_set():
            self._told.clear()
        return events

    async def stop(self) -> None:
        """Ask all members to stop."""
        self._stop.set()
        self._told.set()

    async def stopped(self) -> None:
        """Return once the members are asked to stop."""
        await self._stop.wait()
