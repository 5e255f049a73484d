"""The list of patches on disk, ``patches.json``."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path, PurePath
from typing import Any

from clusternet.errors import PatchError
from clusternet.files.outputs import Kind
from clusternet.locations import state_text
from clusternet.messages import short_value
from clusternet.nodata import (
    NodataChoice,
    NodataRule,
    Number,
    check_rule,
    decode_number,
    encode_number,
)
from clusternet.patches.patch_files import PatchFormat
from clusternet.raster import RasterProfile
from clusternet.raster.band_identity import NOTHING_STATED, BandIdentity
from clusternet.raster.category_names import is_our_side_file
from clusternet.raster.control import Control
from clusternet.raster.crs import same_crs_text
from clusternet.scene_rule import SceneRule
from clusternet.text_files import read_json, taken_apart
from clusternet.windows import Edge, Shape, Window

MANIFEST_NAME, CLASSES = "patches.json", "classes.json"
_FORMAT = 1
_TILE_AGAIN = "tile the rasters again, or remove this file and give --nodata by hand."
_ONE_PATCH: dict[str, Any] = {"file": "", "raster": "", "window": []}
_NOTHING = NodataChoice()


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
    state: str | None = None
    """What tells whether its files have changed; None (earlier versions) if that is not known."""

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
            state=state_text(profile.path),
        )


@dataclass(frozen=True, slots=True)
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
    keep_dark_region_ratio: float | None = None
    """Largest share of nodata in a patch; None (earlier versions) if that is not known."""
    aoi: str | None = None
    """The file of polygons inside of which patches were cut, and its state."""

    @cached_property
    def _by_name(self) -> dict[str, PatchSource]:
        return {raster.name: raster for raster in self.rasters}

    def identity_of(self, file: str | PurePath) -> BandIdentity:
        """Return what is known of the bands of a patch, given relative to the folder."""
        source = self._by_name.get(PurePath(file).parts[0])
        return NOTHING_STATED if source is None else source.identity

    @cached_property
    def _choices(self) -> dict[str, NodataChoice]:
        """Made once for a raster: there may be a million patches."""
        return {each.name: NodataChoice(each.nodata, each.nodata_rule) for each in self.rasters}

    def choice_of(self, file: str | PurePath) -> NodataChoice:
        """Return what marks pixels without data in a patch, given relative to the folder."""
        return self._choices.get(PurePath(file).parts[0], _NOTHING)

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


def read_manifest(folder: Path, *, with_patches: bool = True) -> Manifest | None:
    """Read ``patches.json`` of a folder of patches; None where there is none.

    Args:
        folder: the folder.
        with_patches: False leaves the patches out, which take much memory if there are many.

    Raises:
        PatchError: if it is damaged, or of a later version.
    """
    path = folder / MANIFEST_NAME
    if not path.is_file():
        return None
    values = read_json(path, PatchError, None if with_patches else _without_patch)
    with taken_apart(PatchError, f"{path}: cannot be read as a list of patches", _TILE_AGAIN):
        if values["format"] != _FORMAT:
            raise PatchError(
                f"{path}: expected format {_FORMAT}, found {short_value(values['format'])}; "
                "tile the rasters again with this version."
            )
        return _parse_manifest(values)


def _without_patch(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return a JSON object, but of each patch nothing: a million of them share one object."""
    values = dict(pairs)
    is_patch = values.keys() == _ONE_PATCH.keys() and _is_window(values["window"])
    return _ONE_PATCH if is_patch else values


def _is_window(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 4 and all(type(each) is int for each in value)


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
            if p is not _ONE_PATCH
        ),
        given=_parse_given(values.get("given")),
        keep_dark_region_ratio=values.get("keep_dark_region_ratio"),
        aoi=values.get("aoi"),
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
