"""The part of a project's drawing that lies on one of its scenes."""

from __future__ import annotations

from dataclasses import replace

from clusternet.interactive.session import Session
from clusternet.labels.strokes import Drawing


class SceneSession(Session):
    """A session of which one scene is seen: strokes are those of the scene, classes are shared."""

    def __init__(self, shared: Session, scene: str) -> None:
        """See the part of ``shared`` that lies on a scene."""
        self._shared, self._scene = shared, scene
        self.history = shared.history
        # set as one, as several threads read it at once
        self._seen: tuple[Drawing | None, Drawing] = None, Drawing()

    @property
    def owner(self) -> str:
        """The page whose changes follow."""
        return self._shared.owner

    @owner.setter
    def owner(self, name: str) -> None:
        self._shared.owner = name

    @property
    def drawing(self) -> Drawing:
        """The classes, and the strokes on this scene; the same objects until they change."""
        whole = self._shared.drawing
        seen, part = self._seen
        if seen is not whole:
            strokes = tuple(s for s in whole.strokes if s.scene == self._scene)
            strokes = part.strokes if strokes == part.strokes else strokes
            new = replace(whole, strokes=strokes)
            part = part if new == part else new
            self._seen = whole, part
        return part

    @property
    def whole(self) -> Drawing:
        """The drawing of all scenes."""
        return self._shared.whole

    @whole.setter
    def whole(self, drawing: Drawing) -> None:
        self._shared.whole = drawing

    def _push(self, drawing: Drawing) -> None:
        numbers = {c.number for c in drawing.classes}
        others = [
            s for s in self.whole.strokes if s.scene != self._scene and s.land_class in numbers
        ]
        own = [s if s.scene == self._scene else replace(s, scene=self._scene)
               for s in drawing.strokes]  # fmt: skip
        strokes = (*others, *own)
        self.change_whole(lambda whole: replace(drawing, strokes=strokes))
