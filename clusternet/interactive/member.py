"""What a scene is in a project of several: its key, its drawing, and who looks at it."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING

from clusternet.interactive.session import Session
from clusternet.labels.strokes import Drawing

if TYPE_CHECKING:
    from clusternet.interactive.project import Project


class Member:
    """A scene that may share its classes with others."""

    folder: Path

    def __init__(self, saved: Drawing | None) -> None:
        """Start alone, with the drawing that was saved with the scene."""
        self.has_saved = saved is not None
        """True if strokes or classes of this scene were saved before."""
        self.session = Session(saved)
        self.project: Project | None = None
        """The project that it is a scene of, None if it is the only one."""
        self.viewers = 0
        """Number of pages that show the scene."""
        self.hidden: frozenset[int] = frozenset()
        """Numbers of the classes that are hidden."""
        self.revision = 0
        """Grows with every change that a page shows."""
        self.map_revision = 0
        """Grows with every change of the class map's pixels or colours."""
        self._is_stale = False  # strokes of another scene have changed since the last fit
        self._lock = threading.RLock()  # re-entrant: what holds it calls what takes it, too
        self._changed = threading.Event()

    @property
    def key(self) -> str:
        """The name of the scene in a project; no two scenes of a run share it."""
        return self.folder.name

    @property
    def tag(self) -> str:
        """What strokes on this scene are marked with: its key in a project, else nothing."""
        return self.key if self.project is not None else ""

    @property
    def drawing(self) -> Drawing:
        """The strokes and classes as they are now."""
        return self.session.drawing

    @property
    def is_watched(self) -> bool:
        """True unless the project has other scenes and no page shows this one."""
        return self.project is None or self.viewers > 0

    def join(self, project: Project, session: Session) -> None:
        """Become a scene of a project, with its classes and strokes."""
        self.project, self.session, self._lock = project, session, project.lock
        self._is_stale = True

    def note_change(self) -> None:
        """Note that strokes or classes of the project have changed on another scene."""
        with self._lock:
            self._forget_hidden()
            self._is_stale = True
            self._mark_changed(new_map=True)
        self._changed.set()

    def show_to(self, page_is_open: bool) -> None:
        """Note that a page shows the scene, or no longer; areas are counted while one does."""
        with self._lock:
            self.viewers += 1 if page_is_open else -1
        self._changed.set()

    def hide(self, number: int, hidden: bool) -> None:
        """Hide a class on the map, or show it again."""
        with self._lock:
            one = frozenset((number,))
            self.hidden = self.hidden | one if hidden else self.hidden - one
            self._mark_changed(new_map=True)

    def _forget_hidden(self) -> None:
        # A new class may get the number of a removed one; it must not be hidden like that.
        self.hidden &= {c.number for c in self.drawing.classes}

    def _mark_changed(self, *, new_map: bool = False) -> None:
        with self._lock:
            self.revision += 1
            self.map_revision += new_map
