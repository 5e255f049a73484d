"""Find the rasters of a folder, and report files that are left out."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from pathlib import Path

import rasterio
from rasterio.io import DatasetReader

from clusternet.errors import RasterError
from clusternet.files.folders import (
    Search,
    check_readable,
    endings,
    first_names,
    same_file_groups,
    search_folder,
)
from clusternet.foreign_errors import is_foreign
from clusternet.locations import location
from clusternet.raster.drivers import LOCAL
from clusternet.raster.endings import (
    ARCHIVES,
    NO_RASTERS,
    OTHER_RASTERS,
    PARTS,
    RASTER_SUFFIXES,
)
from clusternet.raster.gdal_messages import gdal_complaints
from clusternet.raster.lists import (
    common_folder,
    is_archive,
    is_list,
    plain_place,
    read_list,
    zipped_rasters,
)
from clusternet.raster.mosaics import repeated_pixels
from clusternet.raster.plain_paths import plain_path
from clusternet.raster.products import ProductPath, find_products, is_product, product_of
from clusternet.raster.quiet import quiet_georeferencing
from clusternet.raster.stacks import StackedPath, find_stacks
from clusternet.scene_rule import SceneRule

logger = logging.getLogger(__name__)

_MOST_OPENED = 200  # files of unknown ending that are opened to check whether they are rasters


def find_rasters(source: Path) -> list[Path]:
    """Return ``source`` itself, or all rasters below it, sorted.

    Linked folders are searched like others, each once. Hidden files are left out. An address is
    returned as it is, and a list of rasters (`clusternet.raster.lists`) is read.

    Raises:
        RasterError: if there is no such file or folder, or the folder holds no raster.
    """
    source = location(source)
    if is_list(source):
        return list(dict.fromkeys(p for each in read_list(source) for p in find_rasters(each)))
    return _rasters(source, _search(source))


def find_scenes(source: Path, rule: SceneRule | None = None) -> list[Path]:
    """Return rasters as `find_rasters` does, but each pixel once; report what is left out.

    A file with several names (links) is taken once. Of a ``.vrt`` and its source files, either the
    ``.vrt`` or its sources are taken. Hidden rasters, broken links and rasters of other formats
    are reported.

    Args:
        source: a raster, a folder, an address or a list.
        rule: with a stack, the files are bands of scenes; the names of these are returned.

    Raises:
        RasterError: as `find_rasters`; or if a scene lacks a band.
    """
    source = product_of(location(source))
    if isinstance(source, (StackedPath, ProductPath)):
        return [source]
    if rule is not None and rule.stack:
        if source.exists():
            return [*find_stacks(source, stack_files(source), rule)]
        return _named_stack(source, rule)
    if is_product(source):
        return [*find_products(source)]
    if is_list(source):
        return list(dict.fromkeys(p for each in read_list(source) for p in find_scenes(each)))
    search = _search(source)
    products = _take_products(source, search)
    if products and not _plain_rasters(search):
        return products
    rasters = _rasters(source, search)
    if source.is_file():
        return rasters
    report_left_out(source, search)
    # pixels that are read twice would count twice in training, and give two maps
    groups = same_file_groups(rasters)
    others = sorted(path for group in groups for path in group[1:])
    if others:
        logger.warning(
            "%s: %d file(s) are other names of files that are read, and are left out: %s",
            source, len(others), first_names(others, source),
        )  # fmt: skip
    kept = sorted(group[0] for group in groups)
    for left_out, because in repeated_pixels(kept):
        logger.warning("%s: %d file(s) left out, because %s: %s",
                       source, len(left_out), because, first_names(left_out, source))  # fmt: skip
        kept = [path for path in kept if path not in left_out]
    return [*kept, *products]


def _take_products(folder: Path, search: Search) -> list[Path]:
    """Return the products of a folder, and leave their files out of the search."""
    archives = [path for path in search.files if path.suffix.lower() == ".zip"]
    inside = {above for path in search.files for above in path.parents if folder in above.parents}
    products = sorted(path for path in (*archives, *inside) if is_product(path))
    within = set(products)
    unpacked = {path.stem for path in products if path.suffix.lower() == ".safe"}
    products = [p for p in products if p.suffix.lower() == ".safe" or p.stem not in unpacked]
    search.files[:] = [
        path for path in search.files if path not in within and not within & set(path.parents)
    ]
    return [scene for path in products for scene in find_products(path)]


def _named_stack(name: Path, rule: SceneRule) -> list[Path]:
    """Return the scene that a path names by what its files share."""
    known = find_stacks(name.parent, stack_files(name.parent), rule)
    named: list[Path] = [scene for scene in known if scene.parts == name.parts]
    if not named:
        raise RasterError(
            f"{name}: no such file or folder, nor a scene of --stack; {name.parent} holds "
            f"{', '.join(scene.name for scene in known[:3])}."
        )
    return named


def one_scene(source: Path, rule: SceneRule) -> Path:
    """Return the scene that a path names: a raster, or the only scene of a folder or a list.

    Raises:
        RasterError: if a folder or a list holds several scenes, or none.
    """
    source = product_of(location(source))
    is_plain = not (rule.stack or is_product(source) or is_list(source))
    if is_plain or (is_one_raster(source) and not is_product(source)):
        return source
    scenes = find_scenes(source, rule)
    if len(scenes) > 1:
        how = "give one of them" if is_list(source) else "name it by what its files share"
        raise RasterError(
            f"{source}: holds {len(scenes)} scenes, expected one; {how}, such as {scenes[0]}."
        )
    return scenes[0]


def is_one_raster(source: Path) -> bool:
    """Tell whether a path is one raster: no folder, list or archive, which may hold several."""
    return source.is_file() and not _holds_files(source) and product_of(source) == source


def stack_files(source: Path) -> list[Path]:
    """Return the files that may be bands of scenes: rasters, also those inside of zip archives.

    Raises:
        RasterError: if there is none.
    """
    if is_one_raster(source):
        raise RasterError(
            f"{source}: is one file; expected a folder, a zip archive of this machine, or a text "
            "file that lists the files of all bands, as --stack needs them."
        )
    if is_archive(source):
        return zipped_rasters(source)
    if is_list(source):
        return find_rasters(source)
    search = _search(source)
    unpacked = {above.stem for path in search.files for above in path.parents if is_product(above)}
    archives = [p for p in search.files if is_archive(p) and p.stem not in unpacked]
    zipped = [file for path in archives for file in zipped_rasters(path)]
    return zipped if zipped and not _plain_rasters(search) else [*_rasters(source, search), *zipped]


def _holds_files(path: Path) -> bool:
    return is_list(path) or is_archive(path)


def inner_paths(source: Path, paths: Sequence[Path]) -> list[Path]:
    """Return the paths of rasters relative to what the user gave, which outputs are named by.

    Args:
        source: what the user gave: a raster, a folder, or a list.
        paths: the rasters that `find_scenes` found there.
    """
    source = product_of(location(source))
    if is_list(source) or is_archive(source):
        root = common_folder(list(paths))
    else:
        root = source if source.is_dir() and not is_product(source) else source.parent
    return [_below(root, path) for path in paths]


def _below(root: Path, path: Path) -> Path:
    """Return a path relative to a folder, also of what lies in an archive there."""
    for folder, below in ((root, path), (root.absolute(), plain_place(path))):
        if below.is_relative_to(folder):
            return Path(*below.parts[len(folder.parts) :])
    return Path(*(part for part in path.parts if part != path.anchor))


def report_left_out(
    folder: Path, search: Search, suffixes: Sequence[str] = RASTER_SUFFIXES
) -> None:
    """Warn of files below a folder that look like rasters but are not read.

    Args:
        folder: the folder.
        search: the result of searching it.
        suffixes: the endings of files that are read.
    """
    hidden = [path for path in search.hidden if _is_or_holds_a_raster(path)]
    if hidden:
        logger.warning("%s: %d hidden file(s) or folder(s) left out: %s",
                       folder, len(hidden), first_names(hidden, folder))  # fmt: skip
    if search.broken:
        logger.warning("%s: %d link(s) lead nowhere: %s",
                       folder, len(search.broken), first_names(search.broken, folder))  # fmt: skip
    others = _other_rasters(search, suffixes)
    if others:
        logger.warning("%s: %d file(s) with other endings are left out: %s; %s.",
                       folder, len(others), endings(others), _remedy(others))  # fmt: skip


def report_forbidden(folder: Path, search: Search) -> None:
    """Warn of folders below a folder that are left out for lack of permission to read them."""
    if search.forbidden:
        logger.warning(
            "%s: %d folder(s) left out, with no permission to read them: %s",
            folder, len(search.forbidden), first_names(search.forbidden, folder),
        )  # fmt: skip


def _remedy(others: Sequence[Path]) -> str:
    files = [path for path in others if path.suffix.lower() not in ARCHIVES]
    if not files:
        return "unpack archives"
    return f"convert what is to be read (gdal_translate {files[0].name} {files[0].stem}.tif)"


def _search(source: Path) -> Search:
    if source.is_file():
        return Search(files=[source])
    if not source.exists():
        raise RasterError(f"{source}: no such file or folder.")
    search = search_folder(source)
    check_readable(source, search, RasterError)
    report_forbidden(source, search)
    return search


def _plain_rasters(search: Search) -> list[Path]:
    return [path for path in search.files if path.suffix.lower() in RASTER_SUFFIXES]


def _rasters(source: Path, search: Search) -> list[Path]:
    if source.is_file():
        return [source]
    rasters = _plain_rasters(search)
    if not rasters:
        others = _other_rasters(search)
        others_found = f"; found {len(others)} ending in {endings(others)}" if others else ""
        raise RasterError(
            f"{source}: no raster found; expected files ending in "
            f"{', '.join(RASTER_SUFFIXES)}{others_found}."
        )
    return rasters


def _other_rasters(search: Search, suffixes: Sequence[str] = RASTER_SUFFIXES) -> Sequence[Path]:
    """Return the files of a folder that hold rasters, but have an ending that is not read."""
    rasters, unknown = [], []
    for path in search.files:
        suffix = path.suffix.lower()
        if suffix in suffixes:
            continue
        if suffix in OTHER_RASTERS or suffix in ARCHIVES or suffix in RASTER_SUFFIXES:
            rasters.append(path)
        elif suffix not in PARTS and suffix not in NO_RASTERS:
            unknown.append(path)
    return sorted(rasters + [path for path in unknown[:_MOST_OPENED] if _holds_a_raster(path)])


def _holds_a_raster(path: Path) -> bool:
    try:
        name = plain_path(path, RasterError)
        with (
            quiet_georeferencing(),
            rasterio.Env(),
            gdal_complaints(),
            DatasetReader(name, driver=list(LOCAL)) as dataset,
        ):
            return bool(dataset.count or dataset.subdatasets)
    except RasterError:
        return False
    except Exception as error:
        if is_foreign(error):
            return False
        raise


def _is_or_holds_a_raster(hidden: Path) -> bool:
    if not hidden.is_dir():
        return hidden.suffix.lower() in RASTER_SUFFIXES and hidden.is_file()
    names = (name for _, _, files in os.walk(hidden) for name in files)
    return any(Path(name).suffix.lower() in RASTER_SUFFIXES for name in names)
