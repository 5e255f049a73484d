"""Rasters at addresses, and lists of rasters: what is asked for, and what is said on failure."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from pathlib import Path
from zipfile import ZipFile

import numpy as np
import pytest
from conftest import WriteRaster
from loopback import Loopback, loopback
from test_claims import tiff, tiles

from clusternet.errors import RasterError
from clusternet.locations import RemotePath, location
from clusternet.raster import find_scenes, one_scene, open_raster
from clusternet.raster.finding import inner_paths
from clusternet.scene_rule import EACH_FILE
from clusternet.windows import Window

WHOLE = Window(0, 0, 64, 64)


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Loopback]:
    """A server of the folder ``tmp_path``; reading gives up at once when it fails."""
    monkeypatch.setenv("GDAL_HTTP_MAX_RETRY", "0")
    with loopback(tmp_path) as running:
        yield running


@pytest.fixture
def scene(write_raster: WriteRaster) -> Path:
    return write_raster("scene.tif", np.arange(64 * 64, dtype=np.uint16).reshape(64, 64))


def refusal(path: Path | str) -> str:
    with pytest.raises(RasterError) as caught, open_raster(location(path)):
        pass
    return str(caught.value)


def test_a_raster_is_read_from_its_address(scene: Path, server: Loopback) -> None:
    with open_raster(location(f"{server.address}/scene.tif")) as raster:
        assert (raster.read(WHOLE)[0][..., 0] == np.arange(4096).reshape(64, 64)).all()
        assert str(raster.profile.path) == f"{server.address}/scene.tif"
    assert all(path == "/scene.tif" for path, _, _ in server.ranges)  # no file beside it


def test_windows_are_read_by_ranges(write_raster: WriteRaster, server: Loopback) -> None:
    noise = np.random.default_rng(0).integers(0, 2**16, (1024, 1024), np.uint16)
    path = write_raster("big.tif", noise, tiled=True, blockxsize=128, blockysize=128)
    with open_raster(location(f"{server.address}/big.tif")) as raster:
        raster.read(Window(512, 512, 128, 128))
    assert server.bytes_sent < path.stat().st_size / 8


def test_an_archive_is_read(scene: Path, server: Loopback) -> None:
    with ZipFile(scene.with_name("scenes.zip"), "w") as archive:
        archive.write(scene, "deep/scene.tif")
    for name in (
        f"/vsizip/{scene.with_name('scenes.zip')}/deep/scene.tif",
        f"/vsizip//vsicurl/{server.address}/scenes.zip/deep/scene.tif",
        f"/vsicurl/{server.address}/scene.tif",
    ):
        with open_raster(location(name)) as raster:
            assert raster.read(WHOLE)[0].max() == 4095


def test_secrets_of_an_address_are_used_and_not_shown(scene: Path, server: Loopback) -> None:
    host = server.address.removeprefix("http://")
    named = location(f"http://me:secret@{host}/scene.tif?sig=secret")
    assert isinstance(named, RemotePath)
    assert named.name == "scene.tif" and "secret" not in f"{named} {named!r}"
    assert "secret" in pickle.loads(pickle.dumps(named)).address
    with open_raster(named) as raster:
        assert raster.profile.shape == (64, 64)
    server.fails_after = 0
    assert "secret" not in refusal(f"http://me:secret@{host}/other.tif?sig=secret")


def test_a_failure_names_the_address_and_the_status(scene: Path, server: Loopback) -> None:
    assert refusal(f"{server.address}/none.tif").startswith(f"{server.address}/none.tif: ")
    assert "HTTP status 404" in refusal(f"{server.address}/none.tif")
    server.fails_after, server.failure = 0, 403
    assert "HTTP status 403, access denied" in refusal(f"{server.address}/scene.tif")


def test_a_server_that_dies_is_named_with_its_status(
    write_raster: WriteRaster, server: Loopback
) -> None:
    noise = np.random.default_rng(0).integers(0, 2**16, (512, 512), np.uint16)
    write_raster("big.tif", noise, tiled=True, blockxsize=128, blockysize=128)
    with open_raster(location(f"{server.address}/big.tif")) as raster:
        server.fails_after = server.requests
        with pytest.raises(RasterError, match=r"big\.tif: cannot be read .*HTTP status 503"):
            raster.read(Window(384, 384, 128, 128))


def test_no_address_is_opened_that_was_not_typed(
    tmp_path: Path, scene: Path, server: Loopback
) -> None:
    xml = f"<GDAL_WMS><Service name='TMS'><ServerUrl>{server.address}/x</ServerUrl></Service>"
    (tmp_path / "evil.tif").write_text(xml)
    (tmp_path / "evil.vrt").write_text(
        f"<VRTDataset rasterXSize='64' rasterYSize='64'><VRTRasterBand dataType='UInt16' band='1'>"
        f"<SimpleSource><SourceFilename>{scene}</SourceFilename></SimpleSource></VRTRasterBand>"
        "</VRTDataset>"
    )
    assert "holds no raster" in refusal(f"{server.address}/evil.tif")
    assert "names other files" in refusal(f"{server.address}/evil.vrt")
    server.requests = 0
    refusal(tmp_path / "evil.tif")
    assert server.requests == 0


@pytest.mark.parametrize(
    "text", ["htp://host/a.tif", "/vsimem/a.tif", "/vsistdin/", "/vsizip//vsisparse/a.xml/b.tif"]
)
def test_other_addresses_are_refused(text: str) -> None:
    with pytest.raises(RasterError, match="no address that rasters are read from"):
        location(text)


def test_local_paths_stay_as_they_are(tmp_path: Path) -> None:
    for text in ("a.tif", "s3:a.tif", "C:/a.tif", str(tmp_path)):
        assert type(location(text)) is type(Path()) and location(text) == Path(text)
    assert location("file:///a%20b.tif") == Path("/a b.tif")


def test_a_list_names_files_folders_and_addresses(
    tmp_path: Path, write_raster: WriteRaster
) -> None:
    pixels = np.ones((8, 8), np.uint8)
    write_raster("in/a.tif", pixels), write_raster("in/deep/b.tif", pixels)
    listed = tmp_path / "scenes.txt"
    listed.write_text("# scenes\n\nin/a.tif\nin/deep\nhttps://host/area/c.tif?key=1\nin/a.tif\n")
    scenes = find_scenes(listed)
    assert [path.name for path in scenes] == ["a.tif", "b.tif", "c.tif"]
    assert str(scenes[2]) == "https://host/area/c.tif"
    local = tmp_path / "local.txt"
    local.write_text("in/a.tif\nin/deep\n")
    assert inner_paths(local, find_scenes(local)) == [Path("a.tif"), Path("deep/b.tif")]


def test_a_list_of_one_raster_stands_for_it(tmp_path: Path, write_raster: WriteRaster) -> None:
    first, listed = write_raster("a.tif", np.ones((8, 8), np.uint8)), tmp_path / "scenes.txt"
    listed.write_text("a.tif\n")
    assert one_scene(listed, EACH_FILE) == first
    write_raster("b.tif", np.ones((8, 8), np.uint8))
    listed.write_text("a.tif\nb.tif\n")
    with pytest.raises(RasterError, match=r"holds 2 scenes, expected one; give one of them"):
        one_scene(listed, EACH_FILE)


def test_a_wrong_line_of_a_list_is_named(tmp_path: Path) -> None:
    listed = tmp_path / "scenes.txt"
    listed.write_text("\nnone.tif\n")
    with pytest.raises(RasterError, match=r"scenes\.txt, line 2: .*none\.tif: no such file"):
        find_scenes(listed)
    listed.write_text("# none\n")
    with pytest.raises(RasterError, match="lists 0 rasters"):
        find_scenes(listed)


def test_a_claim_that_a_file_on_a_server_cannot_hold_is_refused(
    tmp_path: Path, server: Loopback
) -> None:
    (tmp_path / "lie.tif").write_bytes(tiff(60_000, 60_000, **tiles(512)))
    assert "claims 60000 x 60000 pixels" in refusal(f"{server.address}/lie.tif")
