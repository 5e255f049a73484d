"""Patches on disk: which format, and the list of them, ``patches.json``.

8-bit grey, RGB and RGBA patches are PNG, as Keras' ImageDataGenerator reads them; everything
else is GeoTIFF. Both are lossless.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path, PurePath
from typing import Any

import numpy as np
from PIL import Image

from clusternet.errors import PatchError
from clusternet.files.outputs import Kind
from clusternet.messages import short_value
from clusternet.nodata import (
    NodataChoice,
    NodataRule,
    Number,
    check_rule,
    decode_number,
    encode_number,
)
from clusternet.raster import RasterProfile, write_patch
from clusternet.raster.band_identity import NOTHING_STATED, BandIdentity
from clusternet.raster.category_names import is_our_side_file
from clusternet.raster.control import Control
from clusternet.raster.crs import same_crs_text
from clusternet.scene_rule import SceneRule
from clusternet.text_files import read_json, taken_apart
from clusternet.types import AnyArray, BoolArray
from clusternet.windows import Edge, Shape, Window

MANIFEST_NAME, CLASSES = "patches.json", "classes.json"
_FORMAT = 1
_TILE_AGAIN = "tile the rasters again, or remove this file and give --nodata by hand."
_MIN_DIGITS = 5  # file names of rasters up to 99,999 pixels a side all look alike


@dataclass(frozen=True)
class PatchFormat:
    """How the patches of one raster are written."""

    suffix: str
    """``.png`` or ``.tif``."""
    with_valid: bool
    """Valid pixels are marked by an alpha channel (PNG) or a mask band (GeoTIFF)."""


def choose_format(profile: RasterProfile, *, padded: bool) -> PatchFormat:
    """Return the format for all patches of a raster; ``padded``: some reach beyond it."""
    with_valid = (
        profile.has_mask or profile.nodata_needs_mask or (padded and profile.nodata is None)
    )
    is_eight_bit = profile.dtype == "uint8"
    if is_eight_bit and (profile.num_bands == 3 or (profile.num_bands == 1 and not with_valid)):
        return PatchFormat(".png", with_valid)
    # rasterio garbles the nodata tag of 64-bit integers: a mask says the same
    untaggable = profile.nodata is not None and profile.dtype in ("int64", "uint64")
    return PatchFormat(".tif", with_valid or untaggable)


def patch_name(window: Window, shape: Shape, suffix: str) -> str:
    """Return ``<row>_<col><suffix>``, zero-padded so that names sort in the order of the grid."""
    digits = max(_MIN_DIGITS, len(str(max(shape))))
    return f"{window.row:0{digits}d}_{window.col:0{digits}d}{suffix}"


def save_patch(
    path: Path,
    pixels: AnyArray,
    valid: BoolArray,
    patch_format: PatchFormat,
    profile: RasterProfile,
    window: Window,
) -> None:
    """Write one patch.

    Args:
        path: the file, with the suffix of ``patch_format``.
        pixels: (rows, cols, bands).
        valid: (rows, cols), True where usable.
        patch_format: as ``choose_format`` returned it for the raster.
        profile: of the raster that the patch is cut from.
        window: the pixels of that raster that the patch covers.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    if patch_format.suffix == ".png":
        if patch_format.with_valid:
            alpha = np.where(valid, 255, 0).astype(np.uint8)
            pixels = np.concatenate([pixels, alpha[..., np.newaxis]], axis=-1)
        image = Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels)
        # half the time of the default level, and photographs come out no larger
        image.save(path, compress_level=3)
        return
    # A tag beside a mask would mark pixels of its own, under the usual rule.
    is_tagged = profile.dtype not in ("int64", "uint64") and not profile.nodata_needs_mask
    write_patch(
        path,
        pixels,
        valid=valid if patch_format.with_valid else None,
        nodata=profile.nodata if is_tagged else None,
        crs=profile.output_crs,
        transform=profile.window_transform(window) if profile.is_georeferenced else None,
        control=None if profile.control is None else profile.control.of_window(window),
        bands=profile.bands,
    )


@dataclass(frozen=True)
class PatchSource:
    """A raster that patches were cut from."""

    name: str
    """The folder of its patches."""
    source: str
    """The raster, relative to the folder that was tiled."""
    crs: str | None
    """``EPSG:...`` or WKT."""
    transform: tuple[float, ...]
    """(a, b, c, d, e, f): x = a col + b row + c and y = d col + e row + f."""
    shape: Shape
    """(rows, cols) of the whole raster."""
    num_bands: int
    dtype: str
    nodata: Number | None
    """Marks pixels without data in all bands of the patches; None where nothing or a mask does."""
    has_mask: bool
    """True if its patches mark their valid pixels with an alpha channel or a mask band."""
    nodata_rule: NodataRule | None = None
    """In how many bands ``nodata`` must stand; None (earlier versions) means the usual rule."""
    band_nodata: tuple[Number | None, ...] | None = None
    """Nodata value of each band of the raster, where they differ; a mask marks the pixels."""
    identity: BandIdentity = NOTHING_STATED
    """What the raster says of its bands, in the order in which they stand in the patches."""
    control: Control | None = None
    """Ground control points or RPC of the raster, beside or instead of the transform."""

    @classmethod
    def from_profile(
        cls, name: str, source: str, profile: RasterProfile, patch_format: PatchFormat
    ) -> PatchSource:
        """Describe a raster."""
        return cls(
            name=name,
            source=source,
            crs=None if profile.crs is None else same_crs_text(profile.crs),
            transform=tuple(profile.transform)[:6],
            shape=profile.shape,
            num_bands=profile.num_bands,
            dtype=profile.dtype,
            nodata=profile.nodata,
            has_mask=patch_format.with_valid,
            nodata_rule=profile.nodata_rule,
            band_nodata=profile.band_nodata if profile.has_uneven_nodata else None,
            identity=profile.bands,
            control=profile.control,
        )


@dataclass(frozen=True)
class PatchEntry:
    """One patch."""

    file: str
    """Relative to the folder of ``patches.json``, with forward slashes."""
    raster: str
    """The name of its raster."""
    window: Window
    """The pixels of the raster that it covers; with padding it may reach beyond the raster."""


@dataclass(frozen=True)
class Manifest:
    """What ``patches.json`` says of a folder of patches."""

    patch_shape: Shape
    stride: Shape
    edge: Edge
    rasters: tuple[PatchSource, ...]
    patches: tuple[PatchEntry, ...]
    given: NodataChoice | None = None
    """What the user said of nodata; None (earlier versions) if that is not known."""

    @cached_property
    def _by_name(self) -> dict[str, PatchSource]:
        return {raster.name: raster for raster in self.rasters}

    def identity_of(self, file: str | PurePath) -> BandIdentity:
        """Return what is known of the bands of a patch, given relative to the folder."""
        source = self._by_name.get(PurePath(file).parts[0])
        return NOTHING_STATED if source is None else source.identity

    def choice_of(self, file: str | PurePath) -> NodataChoice:
        """Return what marks pixels without data in a patch, given relative to the folder."""
        source = self._by_name.get(PurePath(file).parts[0])
        return NodataChoice() if source is None else NodataChoice(source.nodata, source.nodata_rule)

    def nodata_of(self, file: str | PurePath) -> Number | None:
        """Return the nodata value of a patch, given relative to the folder; None if none."""
        return self.choice_of(file).value


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write ``patches.json``."""
    parts = {field.name: getattr(manifest, field.name) for field in fields(Manifest)}
    values = {"format": _FORMAT} | parts
    with (folder / MANIFEST_NAME).open("w", encoding="utf-8") as stream:
        # entries become mappings one by one, for there may be millions; with a line for each
        # value the file is fit for grep
        json.dump(
            values, stream, ensure_ascii=False, allow_nan=False, indent=0, default=_as_mapping
        )


def _as_mapping(entry: PatchEntry | PatchSource | NodataChoice) -> dict[str, Any]:
    """Return the JSON object of an entry of a manifest."""
    if isinstance(entry, PatchEntry):
        window = entry.window
        numbers = [window.row, window.col, window.height, window.width]
        return {"file": entry.file, "raster": entry.raster, "window": numbers}
    if isinstance(entry, NodataChoice):
        said = {"nodata": encode_number(entry.value), "nodata_rule": entry.rule}
        return said | ({"scene": entry.scene.to_json()} if entry.scene.is_given else {})
    return _source_values(entry)


def read_manifest(folder: Path) -> Manifest | None:
    """Read ``patches.json`` of a folder of patches; None where there is none.

    Raises:
        PatchError: if it is damaged, or of a later version.
    """
    path = folder / MANIFEST_NAME
    if not path.is_file():
        return None
    values = read_json(path, PatchError)
    with taken_apart(PatchError, f"{path}: cannot be read as a list of patches", _TILE_AGAIN):
        if values["format"] != _FORMAT:
            raise PatchError(
                f"{path}: expected format {_FORMAT}, found {short_value(values['format'])}; "
                "tile the rasters again with this version."
            )
        return _parse_manifest(values)


def _source_values(source: PatchSource) -> dict[str, Any]:
    values = vars(source) | {
        "nodata": encode_number(source.nodata),
        "identity": source.identity.to_json(),
        "control": None if source.control is None else source.control.to_json(),
    }
    if source.band_nodata is not None:
        values["band_nodata"] = [encode_number(value) for value in source.band_nodata]
    return values


def _made(folder: Path) -> Callable[[str], bool]:
    manifest = read_manifest(folder)
    listed = {MANIFEST_NAME, *(patch.file for patch in manifest.patches)} if manifest else set()

    def is_made(relative_path: str) -> bool:
        if relative_path == CLASSES:
            return _is_class_list(folder / relative_path)
        image = relative_path.removesuffix(".aux.xml")
        if image != relative_path and image in listed:
            return is_our_side_file(folder / relative_path, folder / image, unsigned=True)
        return relative_path in listed

    return is_made


def class_list_text(names: Mapping[int, str]) -> str:
    """Return what ``classes.json`` of label patches holds."""
    return json.dumps(dict(sorted(names.items())), indent=1, ensure_ascii=False) + "\n"


def _is_class_list(path: Path) -> bool:
    """Tell whether a list of classes stands there as `class_list_text` writes it."""
    try:
        text = path.read_text(encoding="utf-8")
        return text == class_list_text({int(key): name for key, name in json.loads(text).items()})
    except (OSError, ValueError, TypeError, AttributeError, RecursionError):
        return False


PATCHES = Kind("folder of patches", lambda folder: read_manifest(folder) is not None, _made)


def _parse_manifest(values: dict[str, Any]) -> Manifest:
    return Manifest(
        patch_shape=_pair(values["patch_shape"]),
        stride=_pair(values["stride"]),
        edge=values["edge"],
        rasters=tuple(_parse_source(source) for source in values["rasters"]),
        patches=tuple(
            PatchEntry(str(p["file"]), str(p["raster"]), Window(*map(int, p["window"])))
            for p in values["patches"]
        ),
        given=_parse_given(values.get("given")),
    )


def _parse_given(values: dict[str, Any] | None) -> NodataChoice | None:
    if values is None:
        return None
    return NodataChoice(
        decode_number(values["nodata"]),
        check_rule(values["nodata_rule"]),
        scene=SceneRule.from_json(values.get("scene")),
    )


def _parse_source(values: dict[str, Any]) -> PatchSource:
    band_nodata, control = values.get("band_nodata"), values.get("control")
    known = {field.name for field in fields(PatchSource)}  # a later version may say more
    return PatchSource(
        **{name: value for name, value in values.items() if name in known}
        | {
            "shape": _pair(values["shape"]),
            "transform": tuple(map(float, values["transform"])),
            "nodata": decode_number(values["nodata"]),
            "nodata_rule": check_rule(values.get("nodata_rule")),
            "band_nodata": band_nodata and tuple(map(decode_number, band_nodata)),
            "identity": BandIdentity.from_json(values.get("identity")),
            "control": control and Control.from_json(control),
        }
    )


def _pair(values: Sequence[Any]) -> Shape:
    rows, cols = map(int, values)
    return rows, cols
