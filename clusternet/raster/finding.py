"""Which files of a folder are rasters."""

from __future__ import annotations

from pathlib import Path

from clusternet.errors import RasterError

RASTER_SUFFIXES = (".tif", ".tiff", ".png", ".jpg", ".jpeg", ".vrt", ".jp2")


def find_rasters(source: Path) -> list[Path]:
    """Return ``source`` itself, or all rasters below it, sorted; hidden files are left out.

    Raises:
        RasterError: if there is no such file or folder, or the folder holds no raster.
    """
    if source.is_file():
        return [source]
    if not source.exists():
        raise RasterError(f"{source}: no such file or folder.")
    found = sorted(
        path
        for path in source.rglob("*")
        if path.suffix.lower() in RASTER_SUFFIXES
        and path.is_file()
        and not any(part.startswith(".") for part in path.relative_to(source).parts)
    )
    if not found:
        raise RasterError(
            f"{source}: no raster found; expected files ending in {', '.join(RASTER_SUFFIXES)}."
        )
    return found
