"""Files are plain files whatever their names, and what stands in them is what they hold."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from conftest import WriteRaster

from clusternet.errors import ClusterNetError, RasterError
from clusternet.raster import MapForm, create_map, open_raster
from clusternet.raster.gdal_messages import gdal_complaints
from clusternet.raster.plain_paths import plain_path
from clusternet.windows import Window

NAMES = [
    "s3:x", "zip:x", "http:x", "file:x", "vrt:x", "GTIFF_DIR:1:x", "NETCDF:x", "a!b", "a;b", "a?b",
    "a?", "a#b", "a%20b", "a|layername=b", "a'b", 'a"b', "a\nb", "a\tb", "-x", "--help", " x ",
    "~x", "$HOME", "a,b", "[x]", "*", "a\\b", "a&b<c>", "ß", "x" * 240,
]  # fmt: skip
WHOLE = Window(0, 0, 8, 8)

names = pytest.mark.parametrize("name", NAMES)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def scene(here: Path, write_raster: WriteRaster) -> Path:
    """A raster of sevens in the working directory."""
    return write_raster("scene.tif", np.full((8, 8), 7, np.uint8)).relative_to(here)


@names
def test_a_raster_is_read_whatever_its_name(scene: Path, here: Path, name: str) -> None:
    path = Path(f"{name}.tif")
    shutil.copy(scene, path)
    for named in (path, here / path):
        with open_raster(named) as raster:
            assert raster.profile.path == named
            assert (raster.read(WHOLE)[0] == 7).all()


@names
def test_a_map_is_written_whatever_its_name(scene: Path, name: str) -> None:
    path = Path(name[:200]) / f"{name[:200]}.tif"
    with (
        open_raster(scene) as raster,
        create_map(path, raster.profile, MapForm(cog=True)) as target,
    ):
        target.write(WHOLE, raster.read(WHOLE)[0])
    with open_raster(path) as written:
        assert (written.read(WHOLE)[0] == 7).all()


@pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse such names")
def test_a_name_that_is_no_text_is_refused_in_one_line(scene: Path) -> None:
    shutil.copy(scene, b"\xff.tif")
    with pytest.raises(RasterError, match="no UTF-8 text, so it cannot be opened; rename it"):
        with open_raster(Path(os.fsdecode(b"\xff.tif"))):
            pass


def test_a_folder_called_as_the_virtual_ones_of_gdal_is_a_folder() -> None:
    assert plain_path(Path("/vsizip/a.tif"), ClusterNetError) == "/./vsizip/a.tif"


# --- files that name other files --------------------------------------------------------------
VRT = """<?xml version="1.0" encoding="{encoding}"?>
<VRTDataset rasterXSize="8" rasterYSize="8">
  <VRTRasterBand dataType="Byte" band="1">
    <SimpleSource>
      <SourceFilename relativeToVRT="1">{source}</SourceFilename>
      <SourceBand>1</SourceBand>
    </SimpleSource>
  </VRTRasterBand>
</VRTDataset>
"""


def write_vrt(path: Path, source: str, encoding: str = "UTF-8") -> Path:
    path.write_bytes(VRT.format(source=source, encoding=encoding).encode(encoding))
    return path


def test_a_vrt_is_read_as_the_files_that_it_names(scene: Path) -> None:
    with open_raster(write_vrt(Path("a.vrt"), "scene.tif")) as raster:
        assert (raster.read(WHOLE)[0] == 7).all()


@pytest.mark.parametrize(
    ("source", "encoding"),
    [("nowhere.tif", "UTF-8"), ("straße.tif", "ISO-8859-1"), ("a.vrt", "UTF-8")],
)
def test_a_vrt_whose_sources_cannot_be_read_is_no_raster_of_zeros(
    scene: Path, source: str, encoding: str, capfd: pytest.CaptureFixture[str]
) -> None:
    shutil.copy(scene, "straße.tif")
    path = write_vrt(Path("a.vrt"), source, encoding)
    with open_raster(path) as raster, pytest.raises(RasterError) as end:
        raster.read(WHOLE)
    assert str(end.value).startswith("a.vrt: cannot be read at row 0, column 0 (")
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("suffix", [".tif", ".png", ".jpg", ".jp2"])
@pytest.mark.parametrize(
    "text",
    [VRT.format(source="scene.tif", encoding="UTF-8"),
     '<GDAL_WMS><Service name="TMS"><ServerUrl>http://127.0.0.1:9/</ServerUrl></Service></GDAL_WMS>'],
    ids=["VRT", "WMS"],
)  # fmt: skip
def test_a_text_that_names_other_places_is_no_image(scene: Path, suffix: str, text: str) -> None:
    path = Path(f"image{suffix}")
    path.write_text(text)
    with pytest.raises(RasterError, match="cannot be read as a raster"), open_raster(path):
        pass


def test_an_image_is_known_by_its_content_not_by_its_ending(write_raster: WriteRaster) -> None:
    path = write_raster("a.png", np.full((8, 8), 7, np.uint8))
    path = path.rename(path.with_suffix(".tif"))
    with open_raster(path) as raster:
        assert (raster.read(WHOLE)[0] == 7).all()


def test_what_cost_pixels_without_an_error_of_rasterio_is_an_error(
    write_raster: WriteRaster,
) -> None:
    """A photograph that ends in its middle, with the mark of an end: GDAL warns and gives grey."""
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)
    path = write_raster("photo.jpg", noise)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2] + b"\xff\xd9")
    with open_raster(path) as raster, pytest.raises(RasterError, match=r"(?i)premature end"):
        raster.read(Window(0, 0, 64, 64))


def test_listening_to_gdal_leaves_no_trace() -> None:
    import logging

    def state() -> list[object]:
        loggers = [logging.getLogger(name) for name in ("rasterio._env", "rasterio._err")]
        return [
            *((log.level, log.filters[:]) for log in loggers),
            sys.excepthook,
            sys.unraisablehook,
        ]

    before = state()
    with gdal_complaints(), gdal_complaints():
        assert state() != before
    assert state() == before
