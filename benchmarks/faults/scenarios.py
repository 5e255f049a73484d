"""Commands that are killed at each of their writes, what must be there then, and what mends it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from faults.trees import Tree, visible

Words = Sequence[object]


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
    yield from _both("predict", predict, old_maps, maps)
    yield Scenario("predict --overwrite, then --skip_existing", (*predict, "--overwrite"),
                   (*predict, "--skip_existing"), old_maps, maps)  # fmt: skip
    classes = ("clusters2classes", given / "maps2", given / "labels", "--output_folder",
               out / "classes", "--polygons", out / "classes.gpkg")  # fmt: skip
    class_maps = tuple((f"classes/{name}",) for name in ("east", "west", "legend"))
    yield from _both("classes", classes, ((given / "classes1", "classes"),),
                     (*class_maps, ("classes.gpkg",)))  # fmt: skip
    burn = ("rasterization", given / "shapes.gpkg", given / "images" / "east.tif",
            out / "burned.tif")  # fmt: skip
    yield from _both("rasterize", burn, ((given / "burned.tif", "burned.tif"),))
    score = ("evaluation", given / "classes2", given / "labels", "--output_folder",
             out / "report")  # fmt: skip
    yield from _both("evaluate", score, ((given / "report", "report"),))


def _both(name: str, words: Words, before: tuple[tuple[Path, str], ...],
          units: tuple[tuple[str, ...], ...] = (("",),)) -> Iterator[Scenario]:  # fmt: skip
    again = (*words, "--overwrite")
    yield Scenario(name, words, again, (), units)
    yield Scenario(f"{name} --overwrite", again, again, before, units)
