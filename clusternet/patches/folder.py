"""Folders of patches: find them, check them, read them as pixels and a valid mask.

8-bit grey, RGB and RGBA patches are read through Keras' ImageDataGenerator; any other band count
or pixel type through rasterio, behind the same layout: images one folder level below PATCHES.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from PIL import Image

from clusternet.errors import PatchError, RasterError
from clusternet.files.folders import Search, check_readable, walk_files
from clusternet.files.path_list import PathList
from clusternet.foreign_errors import reason
from clusternet.nodata import NodataChoice, Number
from clusternet.patches.manifest import Manifest, read_manifest
from clusternet.patches.readers import KerasReader, RasterReader, Reader, nodata_choices
from clusternet.processes.interrupts import interrupts
from clusternet.raster import open_raster, warn_of_orientation
from clusternet.raster.band_identity import NOTHING_STATED, BandIdentity
from clusternet.raster.finding import report_forbidden, report_left_out
from clusternet.raster.quiet import quiet_warnings
from clusternet.raster.validity import check_nodata
from clusternet.types import AnyArray, BoolArray
from clusternet.windows import Shape

logger = logging.getLogger(__name__)

PATCH_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".ppm", ".tif", ".tiff")
_EIGHT_BIT_MODES = {"1": 1, "L": 1, "LA": 1, "P": 3, "PA": 3, "RGB": 3, "RGBA": 3}
# of Pillow: none that starts another program, as EPS does
_FORMATS = ("PNG", "JPEG", "MPO", "BMP", "PPM", "GIF", "WEBP", "TIFF")


@dataclass(frozen=True)
class PatchHeader:
    """What a patch file says of itself."""

    shape: Shape
    num_bands: int
    dtype: str
    has_alpha: bool
    is_plain: bool
    """True if ImageDataGenerator reads it whole: 8 bit, and grey, RGB or RGBA."""
    bands: BandIdentity = NOTHING_STATED
    """What the file says of its bands."""

    def __str__(self) -> str:
        """Describe the patch in a message."""
        rows, cols = self.shape
        return f"{rows} x {cols} pixels, {self.num_bands} band(s), {self.dtype}"


Kind = tuple[str, PatchHeader]
"""The folder of a raster, and the header of some of its patches; a million have few of them."""


@dataclass(frozen=True)
class PatchFolder:
    """Patches of one shape, band count and pixel type."""

    folder: Path
    files: Sequence[Path]
    """Relative to ``folder``, sorted."""
    shape: Shape
    """(rows, cols) as read, after any resizing."""
    num_bands: int
    dtype: str
    choice: NodataChoice
    """What the run's rasters are to be read with, beside what they say of themselves."""
    identity: BandIdentity
    """What is known of the bands."""
    _reader: Reader = field(repr=False, compare=False)

    def __len__(self) -> int:
        """Return the number of patches."""
        return len(self.files)

    @property
    def nodata(self) -> Number | None:
        """The one nodata value of all patches, None where there is none or files differ."""
        return self.choice.value

    @property
    def infinite(self) -> set[int]:
        """Indexes of the patches read so far that hold infinite values, which are no data."""
        return self._reader.infinite

    def part(self, chosen: slice) -> PatchFolder:
        """Return some of the patches, with indexes from 0; they can be sent to another process."""
        return replace(self, files=self.files[chosen], _reader=self._reader.part(chosen))

    def read(self, index: int) -> tuple[AnyArray, BoolArray]:
        """Read a patch; safe to call from several threads.

        Returns:
            pixels (rows, cols, bands) in the units of the file, and valid (rows, cols).

        Raises:
            PatchError: if the file is damaged.
        """
        try:
            return self._reader.read(index)
        except RasterError as error:
            raise PatchError(str(error)) from error
        except MemoryError:  # says nothing of the file
            raise
        except Exception as error:  # Pillow raises of every kind on damaged files
            raise PatchError(_damaged(self.folder / self.files[index], error)) from error


def check_folder(folder: Path) -> None:
    """Raise PatchError if there is no such folder."""
    if not folder.is_dir():
        instead = "a file" if folder.exists() else "nothing"
        raise PatchError(f"{folder}: expected a folder of patches, found {instead}.")


def check_has_patches(folder: Path) -> None:
    """Raise the PatchError of `find_patches` if that finds none; stop at the first patch."""
    check_folder(folder)
    if not any(_is_patch(path, folder) for path in walk_files(folder, Search())):
        find_patches(folder)


def _is_patch(path: Path, folder: Path) -> bool:
    return path.suffix.lower() in PATCH_SUFFIXES and path.parent != folder


def open_patches(
    folder: Path,
    *,
    img_shape: Shape | None = None,
    nodata: Number | None = None,
    skip_bad_files: bool = False,
) -> PatchFolder:
    """Find the patches one folder level below ``folder`` and check that they belong together.

    Args:
        folder: the folder, as written by tools/patch_generator.py.
        img_shape: (rows, cols) to resize to, by the nearest pixel as ImageDataGenerator does;
            None keeps the patches' own shape, which must then be the same for all.
        nodata: marks pixels without data, instead of what patches.json or the files say.
        skip_bad_files: leave files out whose header cannot be read.

    Raises:
        PatchError: if the folder is missing or empty, or its patches differ or are damaged.
        RasterError: if ``nodata`` cannot occur in pixels of their type.
    """
    files, kinds = _read_headers(folder, find_patches(folder), skip_bad_files)
    headers = [header for _, header in kinds]
    first = headers[0]
    for (_, header), file in kinds.items():
        same_shape = img_shape is not None or header.shape == first.shape
        if not same_shape or (header.num_bands, header.dtype) != (first.num_bands, first.dtype):
            hint = "; --img_shape ROWS COLS resizes them" if not same_shape else ""
            raise PatchError(
                f"{folder / file}: expected {first} like {folder / files[0]}, found {header}{hint}."
            )
    check_nodata(nodata, first.dtype, folder)
    manifest = read_manifest(folder, with_patches=False)
    if manifest is None:  # patches that we cut are oriented as their rasters
        warn_of_orientation(folder / file for file in files)
    shape = img_shape or first.shape
    choice, markers = nodata_choices(manifest, files, nodata)
    reader: Reader
    if all(header.is_plain for header in headers):
        has_alpha = any(header.has_alpha for header in headers)
        reader = KerasReader(folder, files, shape, first.num_bands, has_alpha, markers)
    else:
        reader = RasterReader(folder, files, shape, markers)
    return PatchFolder(
        folder=folder,
        files=files,
        shape=shape,
        num_bands=first.num_bands,
        dtype=first.dtype,
        choice=choice,
        identity=_common_identity(folder, manifest, kinds),
        _reader=reader,
    )


def find_patches(folder: Path) -> PathList:
    """Return the images one level or deeper below ``folder``, relative to it, sorted.

    Raises:
        PatchError: if there is no such folder, or no image where it should be.
    """
    check_folder(folder)
    search, deeper, num_beside = Search(), [], 0
    for path in walk_files(folder, search):
        if _is_patch(path, folder):
            deeper.append(path.relative_to(folder).as_posix())
        elif path.suffix.lower() in PATCH_SUFFIXES:
            num_beside += 1
        else:
            search.files.append(path)
    search.sort()
    check_readable(folder, search, PatchError)
    report_forbidden(folder, search)
    report_left_out(folder, search, PATCH_SUFFIXES)
    if deeper:
        if num_beside:
            logger.warning(
                "%s: %d images lie directly in the folder and are not used; images are "
                "expected one folder level deeper.", folder, num_beside,
            )  # fmt: skip
        return PathList.in_order(deeper)
    if num_beside:
        raise PatchError(
            f"{folder}: its {num_beside} images lie directly in it, expected one folder level "
            f"deeper; move them into a folder such as {folder / 'scene'}, or give "
            f"{folder.parent} if that holds nothing else."
        )
    raise PatchError(
        f"{folder}: holds no image ({', '.join(PATCH_SUFFIXES)}); make patches with "
        "tools/patch_generator.py."
    )


def read_header(path: Path) -> PatchHeader:
    """Read size, band count and pixel type of a patch without its pixels.

    Raises:
        PatchError: if the file is not a readable image.
    """
    if path.suffix.lower() not in (".tif", ".tiff"):
        try:
            # Pillow warns of large images. Of twice as large ones it raises what is no OSError.
            with (
                quiet_warnings(Image.DecompressionBombWarning),
                Image.open(path, formats=_FORMATS) as image,
            ):
                mode = image.mode
                if mode in _EIGHT_BIT_MODES:
                    return PatchHeader(
                        shape=(image.height, image.width),
                        num_bands=_EIGHT_BIT_MODES[mode],
                        dtype="uint8",
                        has_alpha="A" in mode or "transparency" in image.info,
                        is_plain=mode != "LA",
                    )
        except MemoryError:  # says nothing of the file
            raise
        except Exception as error:  # Pillow raises of every kind on damaged files
            raise PatchError(_damaged(path, error)) from error
    try:
        with open_raster(path) as raster:
            profile = raster.profile
    except RasterError as error:
        raise PatchError(str(error)) from error
    return PatchHeader(
        profile.shape, profile.num_bands, profile.dtype, profile.has_mask, False, profile.bands
    )


def _damaged(path: Path, error: Exception) -> str:
    forbidden = isinstance(error, PermissionError)
    why = reason(error) if forbidden else "damaged, cut off, or another format"
    return f"{path}: cannot be read as an image ({why}); --skip_bad_files leaves such files out."


def _read_headers(
    folder: Path, files: PathList, skip_bad_files: bool
) -> tuple[PathList, dict[Kind, Path]]:
    """Return the files that can be read, and the first file of each kind, in their order."""
    kinds: dict[Kind, Path] = {}
    bad: set[int] = set()
    for index, file in enumerate(files):
        interrupts.check()
        try:
            kinds.setdefault((file.parts[0], read_header(folder / file)), file)
        except PatchError as error:
            if not skip_bad_files:
                raise
            logger.warning("left out: %s", error)
            bad.add(index)
    if not kinds:
        raise PatchError(f"{folder}: none of its {len(files)} images can be read.")
    if not bad:
        return files, kinds
    good = (file.as_posix() for index, file in enumerate(files) if index not in bad)
    return PathList(good), kinds


def _common_identity(
    folder: Path, manifest: Manifest | None, kinds: dict[Kind, Path]
) -> BandIdentity:
    """Return what patches.json, or else the files, say of the bands of all patches."""
    known, first = NOTHING_STATED, next(iter(kinds.values()))
    for (_, header), file in kinds.items():
        listed = NOTHING_STATED if manifest is None else manifest.identity_of(file)
        bands = listed.filled_from(header.bands)
        if not known.agrees_with(bands):
            raise PatchError(
                f"{folder / file}: its bands are others than those of {folder / first}, or stand "
                "in another order; tile their rasters together, which puts them in one order."
            )
        known = known.filled_from(bands)
    return known
