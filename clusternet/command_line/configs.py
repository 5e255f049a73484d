"""The files of settings that come with ClusterNet."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parents[1]
# A build of the package copies the folder of the checkout into the package (setup.py).
_FOLDERS = (_PACKAGE / "configs", _PACKAGE.parent / "configs")


def shipped_files() -> dict[str, Path]:
    """Return the files that come with ClusterNet by name, such as ``official``."""
    folder = next((folder for folder in _FOLDERS if folder.is_dir()), None)
    return {path.stem: path for path in sorted(folder.glob("*.yaml"))} if folder else {}


def settings_file(text: str) -> Path:
    """Return the file that ``--config`` names.

    A file that exists is meant. Else ``official`` and ``configs/official.yaml`` mean the file of
    that name that comes with ClusterNet, so that both work in any folder.
    """
    path = Path(text).expanduser()
    for name, file in shipped_files().items():
        if path in (Path(name), Path("configs", file.name)) and not path.is_file():
            return file
    return path
