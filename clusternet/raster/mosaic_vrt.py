"""Several maps as one: a virtual raster that names their files."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from pathlib import Path
from xml.etree.ElementTree import Element, SubElement, tostring

from affine import Affine

from clusternet.errors import GridMismatchError
from clusternet.files.outputs import KIND_TAG, new_file
from clusternet.raster.crs import crs_name, same_crs_text, wkt_of
from clusternet.raster.map_files import map_kind, map_side_files
from clusternet.raster.profile import RasterProfile
from clusternet.raster.writing import MapForm
from clusternet.windows import Shape

_TYPES = {"uint8": "Byte", "uint16": "UInt16"}


def check_mosaic(profiles: Sequence[RasterProfile]) -> None:
    """Raise GridMismatchError if maps on these grids cannot be shown as one without a warp."""
    for profile in profiles:
        a, b, _, d, e, _ = tuple(profile.transform)[:6]
        if not profile.is_georeferenced or profile.crs is None:
            raise GridMismatchError(
                f"{profile.path}: states no place or CRS, so it has no place in a --mosaic; set "
                "them: gdal_translate -a_ullr -a_srs."
            )
        if b or d or a <= 0 or e >= 0:
            raise GridMismatchError(
                f"{profile.path}: is rotated or mirrored, so it has no place in a --mosaic; bring "
                "it north up: gdalwarp."
            )
        first = profiles[0]
        if first.crs is None or same_crs_text(profile.crs) != same_crs_text(first.crs):
            raise GridMismatchError(
                f"{profile.path}: its CRS is {crs_name(profile.crs)}, that of {first.path} is "
                f"{crs_name(first.crs)}; a --mosaic needs one CRS: make one of each, or warp the "
                "rasters first: gdalwarp."
            )


def write_mosaic(
    path: Path, maps: Sequence[RasterProfile], form: MapForm, *, overwrite: bool = False
) -> None:
    """Write a virtual raster of maps, with their nodata value, colours and names.

    It has the smallest pixels of the maps, by the nearest pixel. Where maps overlap, the last one
    that has data counts.

    Args:
        path: the ``.vrt``.
        maps: the maps, whose files it names relative to itself.
        form: what the maps hold.
        overwrite: replace an existing mosaic of ours.

    Raises:
        GridMismatchError: if the maps have not one CRS.
        OutputError: if it exists and may not be replaced, or cannot be written.
    """
    check_mosaic(maps)
    transform, (rows, cols) = _union(maps)
    root = Element("VRTDataset", rasterXSize=str(cols), rasterYSize=str(rows))
    if maps[0].crs is not None:
        SubElement(root, "SRS", dataAxisToSRSAxisMapping="1,2").text = wkt_of(maps[0].crs)
    numbers = (transform.c, transform.a, 0.0, transform.f, 0.0, transform.e)
    SubElement(root, "GeoTransform").text = ", ".join(map(repr, numbers))
    metadata = SubElement(root, "Metadata")
    for key, value in form.tags.items():
        SubElement(metadata, "MDI", key=key).text = value
    band = SubElement(root, "VRTRasterBand", dataType=_TYPES[form.dtype], band="1")
    _describe(band, form)
    for profile in maps:
        _add_source(band, path, profile, transform, form)
    kind = map_kind(form.tags.get(KIND_TAG, ""))
    sides = map_side_files(path, kind, form.colours, form.names, (), overwrite=overwrite)
    with sides, new_file(path, kind=kind, overwrite=overwrite) as hidden_path:
        hidden_path.write_bytes(tostring(root, encoding="utf-8"))


def _union(maps: Sequence[RasterProfile]) -> tuple[Affine, Shape]:
    """Return the transform and shape of the grid of the smallest pixels that covers all maps."""
    finest = min(maps, key=lambda each: abs(each.transform.determinant)).transform
    boxes = [_box(each) for each in maps]
    left, top = min(box[0] for box in boxes), max(box[1] for box in boxes)
    right, bottom = max(box[2] for box in boxes), min(box[3] for box in boxes)
    # the grid goes on from the finest map, so that its pixels stay as they are
    left = finest.c + math.floor((left - finest.c) / finest.a + 1e-6) * finest.a
    top = finest.f + math.floor((top - finest.f) / finest.e + 1e-6) * finest.e
    cols, rows = (right - left) / finest.a, (bottom - top) / finest.e
    shape = (math.ceil(rows - 1e-6), math.ceil(cols - 1e-6))
    return Affine(finest.a, 0, left, 0, finest.e, top), shape


def _box(profile: RasterProfile) -> tuple[float, float, float, float]:
    left, top = profile.transform @ (0, 0)
    right, bottom = profile.transform @ (profile.shape[1], profile.shape[0])
    return float(left), float(top), float(right), float(bottom)


def _describe(band: Element, form: MapForm) -> None:
    if form.nodata is not None:
        SubElement(band, "NoDataValue").text = f"{form.nodata:g}"
    if form.colours is not None:
        SubElement(band, "ColorInterp").text = "Palette"
        table = SubElement(band, "ColorTable")
        for red, green, blue in form.colours.tolist():
            colour = {"c1": str(red), "c2": str(green), "c3": str(blue), "c4": "255"}
            SubElement(table, "Entry", colour)
    if form.names is not None:
        categories = SubElement(band, "CategoryNames")
        for name in form.names:
            SubElement(categories, "Category").text = name


def _add_source(
    band: Element, path: Path, profile: RasterProfile, transform: Affine, form: MapForm
) -> None:
    source = SubElement(band, "ComplexSource", resampling="nearest")
    file, folder = os.path.realpath(profile.path), os.path.realpath(path.parent)
    try:
        name, is_relative = Path(os.path.relpath(file, folder)).as_posix(), "1"
    except ValueError:  # on another drive
        name, is_relative = Path(file).as_posix(), "0"
    SubElement(source, "SourceFilename", relativeToVRT=is_relative).text = name
    SubElement(source, "SourceBand").text = "1"
    rows, cols = profile.shape
    x, y = ~transform @ profile.transform @ (0, 0)
    width = cols * profile.transform.a / transform.a
    height = rows * profile.transform.e / transform.e
    for tag, box in (("SrcRect", (0, 0, cols, rows)), ("DstRect", (x, y, width, height))):
        sides = zip(("xOff", "yOff", "xSize", "ySize"), box, strict=True)
        SubElement(source, tag, {side: repr(round(float(value), 6)) for side, value in sides})
    if form.nodata is not None:
        SubElement(source, "NODATA").text = f"{form.nodata:g}"
