"""Images with colour tables: whole and broken tables, every pixel type, nodata and alpha."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from conftest import WriteRaster

from clusternet.errors import RasterError
from clusternet.raster import open_raster
from clusternet.raster.categories import read_categories
from clusternet.windows import Window

TABLE = {0: (1, 2, 3, 255), 1: (10, 20, 30, 255), 2: (0, 0, 0, 255), 3: (200, 100, 50, 255)}
NUMBERS = np.array([[0, 1, 2], [3, 3, 1]])


def colours_of(numbers: np.ndarray) -> np.ndarray:
    table = np.array([TABLE[index][:3] for index in range(4)])
    return table[numbers]


def read(path: Path, **options: Any) -> tuple[np.ndarray, np.ndarray]:
    with open_raster(path, **options) as raster:
        return raster.read(Window(0, 0, *raster.profile.shape))


@pytest.fixture
def write_vrt(tmp_path: Path, write_raster: WriteRaster) -> Any:
    """Return ``write(pixels, table, nodata=None)``: any type with any table, which only VRT has."""

    def write(pixels: np.ndarray, table: Any, nodata: float | None = None) -> Path:
        source = write_raster("source.tif", pixels)
        kind = {"uint8": "Byte"}.get(pixels.dtype.name, pixels.dtype.name.title())
        kind = kind.replace("Ui", "UI")
        entries = "".join(
            '<Entry c1="{}" c2="{}" c3="{}" c4="{}"/>'.format(*colour) for colour in table
        )
        mark = "" if nodata is None else f"<NoDataValue>{nodata}</NoDataValue>"
        path = tmp_path / "palette.vrt"
        path.write_text(
            f'<VRTDataset rasterXSize="{pixels.shape[1]}" rasterYSize="{pixels.shape[0]}">'
            f'<VRTRasterBand dataType="{kind}" band="1">{mark}<ColorInterp>Palette</ColorInterp>'
            f"<ColorTable>{entries}</ColorTable><SimpleSource>"
            f'<SourceFilename relativeToVRT="1">{source.name}</SourceFilename>'
            "<SourceBand>1</SourceBand></SimpleSource></VRTRasterBand></VRTDataset>"
        )
        return path

    return write


@pytest.mark.parametrize(
    "dtype", ["uint8", "int8", "uint16", "int16", "uint32", "int32", "float32", "float64"]
)
def test_pixels_of_any_type_become_the_colours_of_their_numbers(write_vrt, dtype: str) -> None:
    pixels, valid = read(write_vrt(NUMBERS.astype(dtype), TABLE.values()))
    assert pixels.dtype == np.uint8 and (pixels == colours_of(NUMBERS)).all() and valid.all()


@pytest.mark.parametrize(
    ("dtype", "value", "said"),
    [
        ("uint8", 4, "4"),
        ("int16", -1, "-1"),
        ("int8", -128, "-128"),
        ("uint32", 2**32 - 1, "4294967295"),
        ("float32", 1.5, "1.5"),
    ],
)
def test_a_number_without_a_colour_is_refused(write_vrt, dtype: str, value: Any, said: str) -> None:
    numbers = NUMBERS.astype(dtype)
    numbers[1, 2] = value
    with pytest.raises(
        RasterError, match=rf"palette\.vrt: holds the pixel value {said}, for which"
    ):
        read(write_vrt(numbers, TABLE.values()))
    pixels, _ = read(write_vrt(numbers, TABLE.values()), codes=True)  # labels need none
    assert pixels[1, 2, 0] == value


@pytest.mark.parametrize(
    ("dtype", "nodata"),
    [("uint8", 255), ("uint8", 3), ("int16", -9999), ("float32", float("nan"))],
)
def test_the_number_for_nodata_needs_no_colour(write_vrt, dtype: str, nodata: float) -> None:
    numbers = NUMBERS.astype(dtype)
    numbers[0, 1] = nodata
    pixels, valid = read(write_vrt(numbers, TABLE.values(), nodata))
    assert not valid[0, 1] and valid.sum() == np.sum(numbers == numbers) - np.sum(numbers == nodata)
    assert (pixels[valid] == colours_of(NUMBERS)[valid]).all()


def test_a_nodata_value_that_no_pixel_can_hold_marks_nothing(write_vrt) -> None:
    assert read(write_vrt(NUMBERS.astype(np.uint8), TABLE.values(), -9999))[1].all()


def test_nan_in_a_palette_is_never_data(write_vrt) -> None:
    numbers = NUMBERS.astype(np.float32)
    numbers[0, 0] = np.nan
    assert read(write_vrt(numbers, TABLE.values()))[1].sum() == NUMBERS.size - 1


def test_a_palette_without_a_table_is_grey(tmp_path: Path, write_raster: WriteRaster) -> None:
    path = write_raster("grey.tif", NUMBERS.astype(np.uint8))
    path.with_name("grey.tif.aux.xml").write_text(
        '<PAMDataset><PAMRasterBand band="1"><ColorInterp>Palette</ColorInterp>'
        "</PAMRasterBand></PAMDataset>"
    )
    pixels, valid = read(path)
    assert (pixels[..., 0] == NUMBERS).all() and valid.all()
    assert read_categories(path) == ({}, {})


def test_a_table_with_what_is_no_colour_is_refused(write_vrt) -> None:
    with pytest.raises(RasterError, match=r"palette\.vrt: its colour table holds the value 300"):
        read(write_vrt(NUMBERS.astype(np.uint8), [*TABLE.values(), (0, 300, 0, 255)]))


def test_a_table_in_one_of_several_bands_is_refused(tmp_path: Path, write_vrt) -> None:
    path = write_vrt(NUMBERS.astype(np.uint8), TABLE.values())
    with_table = path.read_text()
    first = '<VRTRasterBand dataType="Byte" band="1"/>'
    path.write_text(
        with_table.replace('band="1"', 'band="2"').replace(
            "<VRTRasterBand", f"{first}<VRTRasterBand"
        )
    )
    with pytest.raises(RasterError, match=r"palette\.vrt: band 2 has a colour table .* -b 2\.$"):
        read(path)


def test_a_table_beside_an_alpha_band_shows_colours(tmp_path: Path, write_raster) -> None:
    alpha = np.array([[255, 0, 255], [255, 255, 255]])
    path = write_raster("a.tif", np.dstack([NUMBERS, alpha]).astype(np.uint8), alpha="yes")
    with rasterio.open(path, "r+") as dataset:
        assert dataset.colorinterp[1].name == "alpha"
    entries = "".join('<Entry c1="{}" c2="{}" c3="{}" c4="{}"/>'.format(*c) for c in TABLE.values())
    path.with_name("a.tif.aux.xml").write_text(
        '<PAMDataset><PAMRasterBand band="1"><ColorInterp>Palette</ColorInterp>'
        f"<ColorTable>{entries}</ColorTable></PAMRasterBand></PAMDataset>"
    )
    pixels, valid = read(path)
    assert (valid == (alpha > 0)).all() and (pixels[valid] == colours_of(NUMBERS)[valid]).all()


def png_of_palette(numbers: np.ndarray, bits: int, colours: Any, alpha: bytes) -> bytes:
    """Return a PNG whose pixels take ``bits`` bits each."""

    def chunk(name: bytes, data: bytes) -> bytes:
        body = name + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    rows, cols = numbers.shape
    places = (numbers[..., None] >> np.arange(bits - 1, -1, -1)) & 1
    packed = np.packbits(places.reshape(rows, -1).astype(np.uint8), axis=1)
    data = b"".join(b"\0" + row.tobytes() for row in packed)
    header = struct.pack(">IIBBBBB", cols, rows, bits, 3, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        chunk(*part)
        for part in (
            (b"IHDR", header),
            (b"PLTE", b"".join(bytes(colour[:3]) for colour in colours)),
            (b"tRNS", alpha),
            (b"IDAT", zlib.compress(data)),
            (b"IEND", b""),
        )
    )


@pytest.mark.parametrize(("bits", "most"), [(1, 1), (2, 3), (4, 3), (8, 3)])
def test_png_palettes_of_few_bits_keep_their_transparency(tmp_path, bits: int, most: int) -> None:
    numbers = np.minimum(NUMBERS, most)
    path = tmp_path / "p.png"
    colours = list(TABLE.values())[: most + 1]
    path.write_bytes(png_of_palette(numbers, bits, colours, bytes([255, 0])))
    pixels, valid = read(path)
    assert (valid == (numbers != 1)).all()
    assert (pixels[valid] == colours_of(numbers)[valid]).all()
