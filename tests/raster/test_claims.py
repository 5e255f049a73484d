"""Headers that claim more than their file can hold."""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from time import perf_counter

import numpy as np
import pytest
import rasterio
from PIL import Image

from clusternet.errors import ClusterNetError, RasterError
from clusternet.raster import open_raster
from clusternet.raster.categories import read_categories
from clusternet.raster.pyramid import build_pyramid
from clusternet.raster.quiet import quiet_georeferencing
from clusternet.settings import TilingSettings
from clusternet.tiling.tile import tile_rasters
from clusternet.windows import Window


def tiff(rows: int, cols: int, **tags: int) -> bytes:
    """Return a TIFF of one page, 8 bits, in one strip of 100 bytes that the file does not hold."""
    numbers = dict(
        cols=256, rows=257, bits=258, compression=259, colours=262, offset=273, bands=277,
        strip_rows=278, size=279, planes=284, tile_cols=322, tile_rows=323, tile=324, tile_size=325,
    )  # fmt: skip
    values = dict(cols=cols, rows=rows, bits=8, compression=1, colours=1, bands=1, planes=1) | tags
    if "tile" not in values:
        values = dict(offset=200, strip_rows=rows, size=100) | values
    entries = sorted((numbers[name], value) for name, value in values.items())
    body = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in entries)
    return b"II*\0" + struct.pack("<IH", 8, len(entries)) + body + struct.pack("<I", 0)


def tiles(side: int) -> dict[str, int]:
    return dict(tile_cols=side, tile_rows=side, tile=200, tile_size=100, compression=8)


def png(rows: int, cols: int) -> bytes:
    def chunk(name: bytes, data: bytes) -> bytes:
        body = name + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    header = struct.pack(">IIBBBBB", cols, rows, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        [chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(bytes(1000))), chunk(b"IEND", b"")]
    )


def bmp(rows: int, cols: int) -> bytes:
    info = struct.pack("<IiiHHIIiiII", 40, cols, rows, 1, 24, 0, 0, 0, 0, 0, 0)
    return b"BM" + struct.pack("<IHHI", 154, 0, 0, 54) + info + bytes(100)


def jpeg(tmp_path: Path, rows: int, cols: int) -> bytes:
    """Return a JPEG of 16 x 16 pixels whose header says otherwise."""
    path = tmp_path / "small.jpg"
    Image.new("RGB", (16, 16)).save(path)
    data = bytearray(path.read_bytes())
    place = data.index(b"\xff\xc0")
    data[place + 5 : place + 9] = struct.pack(">HH", rows, cols)
    return bytes(data)


def vrt(rows: int, cols: int, bands: int = 1, source: str = "") -> str:
    band = '<VRTRasterBand dataType="Byte" band="{}">{}</VRTRasterBand>'
    return f'<VRTDataset rasterXSize="{cols}" rasterYSize="{rows}">' + "".join(
        [*(band.format(number + 1, source) for number in range(bands)), "</VRTDataset>"]
    )


LIES: dict[str, Callable[[Path], bytes]] = {
    "pixels.tif": lambda _: tiff(100_000, 100_000),
    "pixels_in_rows.tif": lambda _: tiff(2, 2_000_000_000, strip_rows=1),
    "a_few_pixels_less.tif": lambda _: tiff(20_000, 20_000),
    "all_pixels_there_can_be.tif": lambda _: tiff(2**31 - 1, 2**31 - 1),
    "bands.tif": lambda _: tiff(10, 10, bands=65_535),
    "bands_of_many_pixels.tif": lambda _: tiff(1000, 1000, bands=4000),
    "tile.tif": lambda _: tiff(100, 100, **tiles(65_536)),
    "tile_of_a_quarter_gigabyte.tif": lambda _: tiff(100, 100, **tiles(16_384)),
    "pixels.png": lambda _: png(30_000, 30_000),
    "pixels.bmp": lambda _: bmp(2_000_000, 3_000_000),
    "pixels.jpg": lambda folder: jpeg(folder, 65_500, 65_500),
    "fewer.jpg": lambda folder: jpeg(folder, 12_000, 12_000),
    "pixels.vrt": lambda _: vrt(2**31 - 1, 2**31 - 1).encode(),
    "fewer.vrt": lambda _: vrt(30_000, 30_000).encode(),
    "bands.vrt": lambda _: vrt(10, 10, bands=5000).encode(),
    "pixels.asc": lambda _: (
        b"ncols 100000\nnrows 100000\nxllcorner 0\nyllcorner 0\ncellsize 1\n1 2 3\n"
    ),
}


@pytest.mark.parametrize("name", LIES)
def test_a_claim_that_a_file_cannot_hold_is_refused_at_once(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(LIES[name](tmp_path))
    start = perf_counter()
    with pytest.raises(RasterError) as refused, open_raster(path):
        pass
    seconds = perf_counter() - start
    message = str(refused.value)
    assert message.startswith(f"{path}: ") and len(message) - len(str(path)) < 220
    assert seconds < 5
    with pytest.raises(ClusterNetError):  # labels are opened by the same way
        read_categories(path)


def test_a_lie_leaves_no_patches(tmp_path: Path) -> None:
    path = tmp_path / "lie.tif"
    path.write_bytes(tiff(5000, 5000))
    with pytest.raises(RasterError, match=r"lie\.tif: cannot be read at row 0"):
        tile_rasters(path, tmp_path / "patches", TilingSettings(patch_shape=(256, 256)), workers=1)
    assert [found.name for found in tmp_path.iterdir()] == ["lie.tif"]


@pytest.mark.parametrize(("side", "bands"), [(10_000, 1), (10_000, 3), (60_000, 1)])
def test_a_sparse_raster_is_welcome(tmp_path: Path, side: int, bands: int) -> None:
    path = tmp_path / "sparse.tif"
    with quiet_georeferencing(), rasterio.open(
        path, "w", driver="GTiff", height=side, width=side, count=bands, dtype="uint8", nodata=7,
        sparse_ok=True, tiled=True, blockxsize=512, blockysize=512, compress="deflate",
    ) as dataset:  # fmt: skip
        dataset.write(np.full((bands, 512, 512), 9, np.uint8), window=((512, 1024), (512, 1024)))
    assert path.stat().st_size < 500_000
    with open_raster(path) as raster:
        pixels, valid = raster.read(Window(500, 600, 20, 10))
    assert (pixels[12:] == 9).all() and (pixels[:12] == 7).all() and not valid[:12].any()


def test_a_raster_that_compresses_well_is_welcome(tmp_path: Path) -> None:
    path = tmp_path / "zeros.png"
    Image.new("1", (8000, 8000)).save(path)
    with open_raster(path) as raster:
        assert raster.profile.shape == (8000, 8000)


def test_an_overview_that_lies_is_refused_before_it_is_looked_at(tmp_path, write_raster) -> None:
    path = write_raster("scene.tif", np.full((300, 300), 5, np.uint8), tiled=True)
    with rasterio.open(path, "r+") as dataset:
        dataset.build_overviews([2])
    assert build_pyramid(path, tmp_path) == path
    content = bytearray(path.read_bytes())
    # tile width and height stand in both directories; that of the overview is the second
    sides = b"".join(struct.pack("<HHII", tag, 3, 1, 256) for tag in (322, 323))
    assert content.count(sides) == 2
    place = content.rindex(sides)
    lie = b"".join(struct.pack("<HHII", tag, 4, 1, 65_536) for tag in (322, 323))
    content[place : place + len(lie)] = lie
    path.write_bytes(content)
    with pytest.raises(RasterError, match=r"scene\.tif: is stored in blocks of 4295 MB"):
        build_pyramid(path, tmp_path)


@pytest.mark.parametrize("names", [("a.vrt",), ("a.vrt", "b.vrt")])
def test_a_vrt_that_refers_to_itself_is_refused(tmp_path: Path, names: tuple[str, ...]) -> None:
    for name, source in zip(names, names[1:] + names[:1], strict=True):
        source = (
            f'<SimpleSource><SourceFilename relativeToVRT="1">{source}</SourceFilename>'
            "<SourceBand>1</SourceBand></SimpleSource>"
        )
        (tmp_path / name).write_text(vrt(10, 10, source=source))
    with pytest.raises(RasterError, match=r"a\.vrt: "), open_raster(tmp_path / "a.vrt") as raster:
        raster.read(Window(0, 0, 10, 10))


def named(path: Path, source: str, times: int = 1) -> None:
    """Write a virtual raster that names ``source`` several times."""
    name = (
        f'<SimpleSource><SourceFilename relativeToVRT="1">{source}</SourceFilename>'
        "<SourceBand>1</SourceBand></SimpleSource>"
    )
    path.write_text(vrt(10, 10, source=name * times))


def test_virtual_rasters_that_multiply_are_refused(tmp_path: Path, write_raster) -> None:
    write_raster("pixels.tif", np.full((10, 10), 7, np.uint8))
    for number in range(30):
        following = f"{number + 1}.vrt" if number < 29 else "pixels.tif"
        named(tmp_path / f"{number}.vrt", following, times=2)
    with pytest.raises(RasterError, match=r"/0\.vrt: .* 60 sources would be read 1e\+09 times"):
        with open_raster(tmp_path / "0.vrt"):
            pass
    with open_raster(tmp_path / "25.vrt") as raster:  # 32 times
        assert (raster.read(Window(0, 0, 10, 10))[0] == 7).all()


def test_a_long_chain_of_virtual_rasters_is_read_or_refused(tmp_path: Path, write_raster) -> None:
    write_raster("pixels.tif", np.full((10, 10), 7, np.uint8))
    for number in range(200):
        named(tmp_path / f"{number}.vrt", f"{number + 1}.vrt" if number < 199 else "pixels.tif")
    with open_raster(tmp_path / "190.vrt") as raster:
        assert (raster.read(Window(0, 0, 10, 10))[0] == 7).all()
    with open_raster(tmp_path / "0.vrt") as raster, pytest.raises(RasterError, match="ecursion"):
        raster.read(Window(0, 0, 10, 10))


def test_a_mosaic_of_many_tiles_and_bands_is_welcome(tmp_path: Path, write_raster) -> None:
    write_raster("pixels.tif", np.full((10, 10), 7, np.uint8))
    named(tmp_path / "inner.vrt", "pixels.tif", times=500)
    named(tmp_path / "mosaic.vrt", "inner.vrt", times=20)
    band = re.search(r"<SimpleSource>.*?</SimpleSource>", (tmp_path / "mosaic.vrt").read_text())
    assert band is not None
    (tmp_path / "stack.vrt").write_text(vrt(10, 10, 300, source=band[0]))
    (tmp_path / "again.vrt").write_text(
        vrt(10, 10, 300, source=band[0].replace("inner.vrt", "stack.vrt"))
    )
    for name in ("mosaic.vrt", "again.vrt"):
        with open_raster(tmp_path / name) as raster:
            assert raster.profile.shape == (10, 10)
