"""Build the package: the files of settings in configs/ go into it. All else is in setup.cfg."""

from __future__ import annotations

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

CONFIGS = Path("configs")


class BuildWithConfigs(build_py):
    """Copies configs/ into the package, except where the checkout itself is installed (-e)."""

    def run(self) -> None:
        """Build."""
        super().run()
        if not self.editable_mode:
            for target, source in self._configs().items():
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(source, target)

    def get_outputs(self, include_bytecode: bool = True) -> list[str]:
        """Return the files that are built."""
        return [*super().get_outputs(include_bytecode), *map(str, self._configs())]

    def _configs(self) -> dict[Path, Path]:
        folder = Path(self.build_lib, "clusternet", CONFIGS)
        return {folder / path.name: path for path in sorted(CONFIGS.glob("*.yaml"))}


setup(cmdclass={"build_py": BuildWithConfigs})
