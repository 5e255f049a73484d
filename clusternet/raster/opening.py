"""Open files as rasters: the checks that every file passes before its pixels are read."""

from __future__ import annotations

import logging
import os
import struct
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext, suppress
from functools import cached_property, lru_cache
from pathlib import Path

import rasterio
from rasterio._err import CPLE_BaseError  # raised by properties, but not in rasterio.errors
from rasterio.enums import ColorInterp
from rasterio.io import DatasetReader

from clusternet.errors import RasterError
from clusternet.foreign_errors import is_foreign
from clusternet.locations import RemotePath, SourcePath, state_of
from clusternet.nodata import NodataChoice, Number
from clusternet.process_setup import quiet_stderr
from clusternet.raster.claims import check_claims
from clusternet.raster.drivers import allowed_drivers
from clusternet.raster.endings import ARCHIVES
from clusternet.raster.gdal_messages import Complaint, gdal_complaints, plain_words
from clusternet.raster.nesting import check_nesting
from clusternet.raster.pages import check_pages
from clusternet.raster.plain_paths import plain_path
from clusternet.raster.products import ProductPath, check_whole, report_products
from clusternet.raster.profile import RasterProfile, has_extent
from clusternet.raster.quiet import quiet_georeferencing
from clusternet.raster.reading import Raster
from clusternet.raster.remote import check_remote_kind, remote_settings, why_unread
from clusternet.raster.screens import HAS_NO_DATA, AreaScreen, BandScreen, Screen
from clusternet.raster.stacking import Stack, make_stack
from clusternet.raster.stacks import StackedPath

logger = logging.getLogger(__name__)

_BMP_WITH_COMPRESSION = 40  # bytes: shorter headers have no field for the compression
_BMP_RUN_LENGTHS = (1, 2)  # BI_RLE8 and BI_RLE4
_HDF5 = b"\x89HDF\r\n\x1a\n"
_ANOTHER_FORMAT = "not recognized as being in a supported file format"


class _Reader(DatasetReader):  # type: ignore[misc]
    """A dataset whose colour interpretations can be read after a harmless error of GDAL.

    GDAL keeps the last error, also a harmless one, such as a CRS that PROJ does not know. rasterio
    then takes the number of a band's colour interpretation for an error number, and raises the old
    error. That clears it, so a second read succeeds.
    """

    @cached_property  # rasterio asks GDAL for all bands at each use
    def colorinterp(self) -> tuple[ColorInterp, ...]:
        """The colour interpretation of each band."""
        try:
            colours = super().colorinterp
        except CPLE_BaseError:
            colours = super().colorinterp
        return tuple(colours)


def _quiet_hdf5(path: Path) -> AbstractContextManager[None]:
    """Silence the HDF5 library, which prints errors to stderr even if GDAL handles them."""
    with suppress(OSError), path.open("rb") as stream:
        if stream.read(len(_HDF5)) == _HDF5:
            return quiet_stderr()
    return nullcontext()


def gdal_name(path: Path) -> str:
    """Return how GDAL calls a raster: a file, an address, or the text of a virtual raster.

    Raises:
        RasterError: if it cannot have a name, or bands of a scene cannot be read.
        GridMismatchError: if bands of a scene do not lie on each other.
    """
    if isinstance(path, StackedPath):
        return open_stack(path).xml()
    if isinstance(path, ProductPath):
        return path.gdal_name
    return plain_path(path, RasterError)


def open_stack(path: StackedPath) -> Stack:
    """Return the bands of a scene that lie in separate files; its files are looked at once."""
    return _open_stack(path, path.bands, path.quality, state_of(path))


def report_stacks(paths: Iterable[Path]) -> None:
    """Log which bands of scenes are interpolated or left out, by the example of the first."""
    paths = list(paths)
    report_products(paths)
    stacks = [path for path in paths if isinstance(path, StackedPath)]
    stack = open_stack(stacks[0]) if stacks else None
    if stack is not None and stack.coarser:
        others = f" and {len(stacks) - 1} more" if stacks[1:] else ""
        logger.info(
            "%s%s: %s brought to the pixels of %s by bilinear interpolation.",
            stack.path, others, ", ".join(stack.coarser), stack.grid.path.name,
        )  # fmt: skip


@lru_cache(maxsize=256)
def _open_stack(path: StackedPath, _bands: object, _quality: object, _state: object) -> Stack:
    return make_stack(path, _read_profile)


def _read_profile(path: Path) -> RasterProfile:
    with open_raster(path, codes=True) as raster:
        return raster.profile


@contextmanager
def open_dataset(path: Path) -> Iterator[DatasetReader]:
    """Open a file with rasterio, for metadata that `Raster` does not have.

    Raises:
        RasterError: if it is missing or unreadable, or cannot hold what its header claims.
    """
    check_remote_kind(path)
    name, drivers = gdal_name(path), allowed_drivers(path)
    with quiet_georeferencing():
        try:
            with (
                rasterio.Env(),
                remote_settings(path),
                gdal_complaints() as heard,
                _quiet_hdf5(path),
            ):
                dataset = _Reader(name, driver=drivers)
        except Exception as error:
            if not is_foreign(error):
                raise
            said = [complaint.text for complaint in heard]
            raise RasterError(_why_not(path, error, said)) from error
        with dataset:
            # before anything whose time or memory grows with the size that the header claims
            check_claims(dataset, path)
            check_whole(path, [complaint.text for complaint in heard])
            _check_bmp(dataset, path)
            if dataset.driver == "VRT" and not isinstance(path, SourcePath):
                check_nesting(path)
            _warn_of_lost_georeference(path, dataset, heard)
            yield dataset


def check_overviews(path: Path, number: int) -> None:
    """Raise RasterError if an overview of a file claims more than the file can hold."""
    name, drivers = gdal_name(path), allowed_drivers(path)
    with quiet_georeferencing(), rasterio.Env(), gdal_complaints():
        for level in range(number):
            with DatasetReader(name, driver=drivers, overview_level=level) as overview:
                check_claims(overview, path)


@contextmanager
def open_raster(
    path: Path, nodata: NodataChoice | Number | None = None, *, codes: bool = False
) -> Iterator[Raster]:
    """Open a raster for windowed reading.

    Args:
        path: the file.
        nodata: value that marks pixels without data, instead of the file's own; or a
            `clusternet.nodata.NodataChoice`, which also has a rule.
        codes: True for maps and labels, whose values are read unchanged. Otherwise an image with
            a colour table is read as red, green and blue.

    Raises:
        RasterError: if it is missing, unreadable or of a type that is not supported, or holds
            several images that belong together.
    """
    choice = NodataChoice.of(nodata)
    with open_dataset(path) as dataset, ExitStack() as stack:
        check_pages(dataset, path)
        raster = Raster(dataset, choice, codes=codes, path=path)
        if isinstance(path, StackedPath):
            for screen in _stack_screens(path, raster.profile, choice, stack):
                raster.screen_by(screen)
        if choice.aoi is not None:
            raster.screen_by(AreaScreen(choice.aoi, raster.profile))
        yield raster


def _stack_screens(
    path: StackedPath, profile: RasterProfile, choice: NodataChoice, opened: ExitStack
) -> Iterator[Screen]:
    """Yield what hides pixels of a scene: its quality band, and masks in the files of its bands.

    Interpolation also gives a value to a coarse pixel without data, from its neighbours.
    """
    stack = open_stack(path)
    layers = [
        (band, "mask,1", HAS_NO_DATA)
        for band in stack.profiles
        if band.has_mask or (band.shape != profile.shape and band.nodata is not None)
        if band.has_mask or profile.nodata_rule == "any"
    ]
    if stack.quality is not None:
        layers.insert(0, (stack.quality, "1", choice.scene.quality))
    for profile, band, values in layers:
        opened.enter_context(quiet_georeferencing())
        dataset = _Reader(stack.layer_xml(profile, band), driver=["VRT"])
        yield BandScreen(opened.enter_context(dataset), 1, values, profile.path)


def _check_bmp(dataset: DatasetReader, path: Path) -> None:
    """Refuse a BMP that may leave out pixels: for those GDAL returns uninitialised memory."""
    if dataset.driver != "BMP" or isinstance(path, SourcePath):
        return
    with path.open("rb") as stream:
        head = stream.read(34).ljust(34, b"\0")
    header_size, compression = struct.unpack_from("<14xI12xI", head)
    if header_size >= _BMP_WITH_COMPRESSION and compression in _BMP_RUN_LENGTHS:
        raise RasterError(
            f"{path}: is a BMP of run lengths, in which pixels may be left out; expected one "
            "without compression. Save it as PNG or TIFF with the program that wrote it."
        )


def _why_not(path: Path, error: Exception, heard: Sequence[str]) -> str:
    """Return the message for a file that cannot be opened, with GDAL's reason if it helps."""
    if isinstance(path, RemotePath):
        why = why_unread(path, [*heard, str(error)])
        return f"{path}: cannot be read ({why}); {why.advice}"
    if not Path(path).exists():
        return f"{path}: no such file."
    if not os.access(path, os.R_OK):
        return f"{path}: cannot be read (no permission)."
    if path.suffix.lower() in ARCHIVES:
        return f"{path}: is an archive; unpack it, and give what it holds."
    if _ANOTHER_FORMAT in str(error):
        return f"{path}: cannot be read as a raster (damaged, cut off, or another format)."
    said = str(error).removeprefix(f"{Path(path).name}: ")
    return f"{path}: cannot be read as a raster ({plain_words(said)})."


def _warn_of_lost_georeference(path: Path, dataset: DatasetReader, heard: list[Complaint]) -> None:
    said = next((c.text for c in heard if c.text.startswith("PROJ")), None)
    if dataset.driver != "PNM" and not has_extent(dataset.transform):
        _warn(
            f"{path}: its pixels have no size on the ground (transform "
            f"{tuple(dataset.transform)[:6]}); it is read without georeference. Set one: "
            "gdal_translate -a_ullr."
        )
    if said is not None and dataset.crs is None:
        _warn(
            f"{path}: its CRS cannot be used ({plain_words(said)}); it is read as one without CRS. "
            "Set another: gdal_translate -a_srs."
        )


@lru_cache
def _warn(message: str) -> None:
    """Warn once for each message, because a raster is opened many times."""
    logger.warning(message)
