"""Commands that are killed at each write, the files that must then exist, and the next call."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from faults.trees import Tree, visible

Words = Sequence[object]
_MAPS = ("_clusters.tif", "_classes.tif", "burned.tif", ".json")
"""Ends of files that are never without one, old or new."""


@dataclass(frozen=True)
class Scenario:
    """One command, outputs below ``out``."""

    name: str
    words: Words
    """The command that is killed."""
    again: Words
    """The call that comes next."""
    before: tuple[tuple[Path, str], ...] = ()
    """Earlier outputs: copies of these, at these places below ``out``."""
    units: tuple[tuple[str, ...], ...] = (("",),)
    """What is replaced at once: starts of paths below ``out`` that are old together or new
    together."""
    is_gradual: bool = False
    """The files of a unit appear one after the other; none of the new beside one of the old."""

    def prepare(self, out: Path) -> None:
        """Put the earlier outputs in place."""
        out.mkdir(parents=True)
        for source, place in self.before:
            copy = shutil.copytree if source.is_dir() else shutil.copy2
            copy(source, out / place)

    def mixed(self, tree: Tree, old: Tree, new: Tree) -> str:
        """Name what is neither as it was nor as it will be; nothing if all is one of both."""
        for unit in self.units:
            found, *wanted = (_part(kept, unit) for kept in (tree, old, new))
            lost = [p for p in wanted[0] if p.endswith(_MAPS) and p not in found]
            if lost:
                return f"{lost[0]} is gone"
            if self.is_gradual and any(found.items() <= whole.items() for whole in wanted):
                continue
            if found not in wanted:
                return f"{', '.join(unit)} hold {', '.join(found) or 'nothing'}"
        return ""


def _part(tree: Tree, starts: tuple[str, ...]) -> Tree:
    return {path: kept for path, kept in visible(tree).items() if path.startswith(starts)}


def command_scenarios(given: Path, out: Path) -> Iterator[Scenario]:
    """Yield the commands that train nothing, each on nothing and on an earlier output."""
    maps = tuple((f"maps/{name}_",) for name in ("east", "west"))
    tile = ("patch_generator", given / "images", "--output_folder", out / "patches",
            "--masks_folder", given / "labels", "--patch_shape", 32, 32, "--stride", 32, 32,
            "--workers", 1)  # fmt: skip
    yield from _both("tile", tile, ((given / "patches", "patches"),),
                     (("patches/",), ("patches_masks/",)))  # fmt: skip
    predict = ("full_prediction", given / "run2", given / "images", "--output_folder",
               out / "maps", "--confidence")  # fmt: skip
    old_maps = ((given / "maps1", "maps"),)
    yield from _both("predict", predict, old_maps, maps, is_gradual=True)
    yield Scenario("predict --overwrite, then --skip_existing", (*predict, "--overwrite"),
                   (*predict, "--skip_existing"), old_maps, maps, is_gradual=True)  # fmt: skip
    classes = ("clusters2classes", given / "maps2", given / "labels", "--output_folder",
               out / "classes", "--polygons", out / "classes.gpkg")  # fmt: skip
    class_maps = tuple((f"classes/{name}",) for name in ("east", "west", "legend"))
    yield from _both("classes", classes, ((given / "classes1", "classes"),),
                     (*class_maps, ("classes.gpkg",)), is_gradual=True)  # fmt: skip
    burn = ("rasterization", given / "shapes.gpkg", given / "images" / "east.tif",
            out / "burned.tif")  # fmt: skip
    yield from _both("rasterize", burn, ((given / "burned.tif", "burned.tif"),), is_gradual=True)
    score = ("evaluation", given / "classes2", given / "labels", "--output_folder",
             out / "report")  # fmt: skip
    yield from _both("evaluate", score, ((given / "report", "report"),))


def _both(name: str, words: Words, before: tuple[tuple[Path, str], ...],
          units: tuple[tuple[str, ...], ...] = (("",),), *,
          is_gradual: bool = False) -> Iterator[Scenario]:  # fmt: skip
    again = (*words, "--overwrite")
    yield Scenario(name, words, again, (), units, is_gradual)
    yield Scenario(f"{name} --overwrite", again, again, before, units, is_gradual)
