"""Modules that load when something of them is first used, although an import names them.

TensorFlow's package imports all of its public interface, most of which is never used here: it is
more than a third of the time that TensorFlow takes to load.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from functools import partial
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import spec_from_loader
from types import ModuleType
from typing import Any


class LateModules(MetaPathFinder):
    """Finds the modules below some packages, and puts a stand-in in the place of each.

    The stand-in imports its module when one of its attributes is first read, and passes that and
    all later ones on. The import is Python's own, with its locks.
    """

    def __init__(self, packages: Sequence[str]) -> None:
        """Take the packages whose modules are loaded late."""
        self._packages = tuple(f"{package}." for package in packages)
        self._wanted: set[str] = set()

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return a spec of the stand-in; None for other modules, and for those that are wanted."""
        if name in self._wanted or not name.startswith(self._packages):
            return None
        found = PathFinder.find_spec(name, path, target)
        if found is None:
            return None
        is_package = found.submodule_search_locations is not None
        spec = spec_from_loader(name, _StandIn(self), origin=found.origin, is_package=is_package)
        if spec is not None:
            spec.submodule_search_locations = found.submodule_search_locations
            spec.has_location = found.has_location
        return spec

    def load(self, stand_in: ModuleType) -> ModuleType:
        """Return the module of a stand-in, imported if it is not yet."""
        name = stand_in.__name__
        self._wanted.add(name)
        if sys.modules.get(name) is stand_in:
            sys.modules.pop(name, None)
        return importlib.import_module(name)


class _StandIn(Loader):
    """Makes a stand-in of the module to be loaded."""

    def __init__(self, finder: LateModules) -> None:
        self._finder = finder

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return None  # an ordinary module

    def exec_module(self, module: ModuleType) -> None:
        def read(name: str) -> Any:
            loaded = self._finder.load(module)
            module.__getattr__ = partial(getattr, loaded)  # type: ignore[method-assign]
            return getattr(loaded, name)

        # Python calls it for what the module does not have
        module.__getattr__ = read  # type: ignore[method-assign]
