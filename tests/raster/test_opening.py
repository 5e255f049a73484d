"""Opening files that GDAL complains of."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
from affine import Affine
from conftest import WriteRaster
from rasterio.crs import CRS

from clusternet.errors import RasterError
from clusternet.raster import open_raster
from clusternet.raster.gdal_messages import Complaint, plain_words
from clusternet.settings import TilingSettings
from clusternet.tiling.tile import tile_rasters
from clusternet.windows import Window

MERCATOR = (
    'PROJCS["m",GEOGCS["WGS 84",DATUM["WGS_1984",SPHEROID["WGS 84",6378137,298.257223563]],'
    'PRIMEM["Greenwich",0],UNIT["degree",0.0174532925199433]],PROJECTION["Mercator_1SP"],'
    'PARAMETER["latitude_of_origin",0],PARAMETER["central_meridian",10.5],'
    'PARAMETER["scale_factor",0.83],PARAMETER["false_easting",0],PARAMETER["false_northing",0],'
    'UNIT["metre",1]]'
)


def test_a_crs_that_proj_does_not_know_is_left_out_with_a_word(
    tmp_path: Path, write_raster: WriteRaster, caplog: pytest.LogCaptureFixture
) -> None:
    pixels = np.full((8, 8), 5, np.uint8)
    path = write_raster("mercator.tif", pixels, crs=CRS.from_wkt(MERCATOR))
    known = struct.pack("<3d", 0, 10.5, 0.83)  # latitude of origin, meridian, scale
    content = path.read_bytes()
    assert content.count(known) == 1
    path.write_bytes(content.replace(known, struct.pack("<3d", 34, 10.5, 0.83)))
    settings = TilingSettings(patch_shape=(8, 8))
    report = tile_rasters(path, tmp_path / "patches", settings, workers=1)
    assert report.written == 1
    said = [text for text in caplog.messages if "mercator.tif: its CRS cannot be used" in text]
    assert len(said) == 1 and len(said[0]) - len(str(path)) < 220


def test_a_grey_map_without_a_world_file_lies_nowhere(tmp_path: Path) -> None:
    path = tmp_path / "map.pgm"
    path.write_bytes(b"P5\n2 2\n255\nabcd")
    with open_raster(path) as raster:
        assert not raster.profile.is_georeferenced
    path.with_suffix(".wld").write_text("2\n0\n0\n-2\n101\n199\n")
    with open_raster(path) as raster:
        assert raster.profile.transform == Affine(2, 0, 100, 0, -2, 200)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("notes.tif", b"these are notes", "damaged, cut off, or another format"),
        ("image.hdr", b"ENVI\nsamples = 2\nlines = 2\nbands = 1\n", "ENVI header file"),
    ],
)
def test_a_file_that_cannot_be_opened_is_refused_in_gdals_words(
    tmp_path: Path, name: str, content: bytes, said: str
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(RasterError) as refused, open_raster(path):
        pass
    message = str(refused.value).replace(str(tmp_path), "")
    assert message.startswith(f"/{name}: cannot be read as a raster (") and said in message
    assert len(message) < 220


def test_a_directory_at_a_place_that_no_file_has_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "far.tif"
    path.write_bytes(b"II+\0" + struct.pack("<HHQ", 8, 0, 2**63 + 8))
    with pytest.raises(RasterError, match=r"far\.tif: cannot be read as a raster"):
        tile_rasters(path, tmp_path / "patches", workers=1)


@pytest.mark.parametrize(("marker", "is_read"), [(0xE1, True), (0xD9, True), (0xD0, False)])
def test_bytes_between_the_parts_of_a_jpeg_cost_no_pixels(marker: int, is_read: bool) -> None:
    said = (
        f"CPLE_AppDefined in libjpeg: Corrupt JPEG data: 16 extraneous bytes before marker "
        f"{marker:#x} (this warning can be turned as an error by setting X to TRUE)\\n"
    )
    assert Complaint(said, is_error=False).costs_pixels is not is_read
    assert plain_words(said).startswith("libjpeg: ") and plain_words(said).endswith(f"{marker:#x}")


def test_a_jpeg_with_bytes_between_its_parts_is_read(write_raster: WriteRaster) -> None:
    path = write_raster("photo.jpg", np.full((16, 16, 3), 90, np.uint8))
    content = path.read_bytes()
    place = content.index(b"\xff\xdb")
    path.write_bytes(content[:place] + bytes(16) + content[place:])
    with open_raster(path) as raster:
        assert (abs(raster.read(Window(0, 0, 16, 16))[0].astype(int) - 90) < 3).all()


def test_complex_pixels_are_refused_with_a_way_out(write_raster: WriteRaster) -> None:
    path = write_raster("radar.tif", np.full((4, 4), 1 + 2j, np.complex64))
    with pytest.raises(RasterError, match=r"radar\.tif: .* found complex64; take the amplitude"):
        with open_raster(path):
            pass


@pytest.mark.parametrize("compression", [0, 1])
def test_a_bmp_that_may_leave_pixels_out_is_refused(tmp_path: Path, compression: int) -> None:
    path = tmp_path / "picture.bmp"
    table = bytes(value for index in range(256) for value in (index, index, index, 0))
    info = struct.pack("<IiiHHIIiiII", 40, 4, 2, 1, 8, compression, 0, 0, 0, 0, 0)
    pixels = bytes([4, 7, 0, 0, 4, 7, 0, 1]) if compression else bytes([7] * 8)
    head = b"BM" + struct.pack("<IHHI", 54 + len(table) + len(pixels), 0, 0, 54 + len(table))
    path.write_bytes(head + info + table + pixels)
    if compression:
        with pytest.raises(RasterError, match=r"picture\.bmp: is a BMP of run lengths"):
            with open_raster(path):
                pass
    else:
        with open_raster(path) as raster:
            assert (raster.read(Window(0, 0, 2, 4))[0] == 7).all()


@pytest.mark.parametrize("numbers", ["5, 0, 0, 7, 0, 0", "5, nan, 0, 7, 0, 1", "5, 1, 2, 7, 2, 4"])
def test_pixels_without_a_size_have_no_place(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, numbers: str
) -> None:
    path = tmp_path / "flat.vrt"
    path.write_text(
        '<VRTDataset rasterXSize="8" rasterYSize="8"><SRS>EPSG:32631</SRS>'
        f"<GeoTransform>{numbers}</GeoTransform>"
        '<VRTRasterBand dataType="Byte" band="1"/></VRTDataset>'
    )
    settings = TilingSettings(patch_shape=(8, 8))
    assert tile_rasters(path, tmp_path / "patches", settings, workers=1).written == 1
    assert "flat.vrt: its pixels have no size on the ground" in caplog.text
    with open_raster(path) as raster:
        assert raster.profile.transform == Affine.identity()


def test_a_damaged_hdf5_file_is_refused_in_one_line(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Its library writes to stderr by itself."""
    path = tmp_path / "cut.h5"
    addresses = struct.pack("<4Q", 0, 2**64 - 1, 5000, 2**64 - 1)
    path.write_bytes(
        b"\x89HDF\r\n\x1a\n" + bytes([0, 0, 0, 0, 0, 8, 8, 0]) + struct.pack("<HHI", 4, 16, 0)
        + addresses + struct.pack("<QQII", 0, 96, 0, 0) + bytes(216)
    )  # fmt: skip
    with pytest.raises(RasterError, match=r"cut\.h5: cannot be read as a raster"):
        with open_raster(path):
            pass
    assert capfd.readouterr().err == ""
