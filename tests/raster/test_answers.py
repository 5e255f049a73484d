"""Cloud stores are read, and where a server fails one line tells why and what to do."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from conftest import WriteRaster
from loopback import loopback

from clusternet.errors import RasterError
from clusternet.locations import location
from clusternet.raster import open_raster
from clusternet.raster.answers import of_messages
from clusternet.windows import Window


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reading gives up at once, and knows no log-in."""
    monkeypatch.setenv("GDAL_HTTP_MAX_RETRY", "0")
    monkeypatch.setenv("GDAL_HTTP_LOW_SPEED_TIME", "1")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "GOOGLE_APPLICATION_CREDENTIALS"):
        monkeypatch.delenv(name, raising=False)


def refusal(address: str) -> str:
    with pytest.raises(RasterError) as caught, open_raster(location(address)):
        pass
    text = str(caught.value)
    assert text.startswith(f"{address}: cannot be read (") and len(text) < 300 and "\n" not in text
    return text


@contextmanager
def listening(*, answers: bool) -> Iterator[str]:
    """Yield the address of a server that ends each connection at once, or never says anything."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        taken = []

        def take() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                if answers:
                    connection.close()
                else:
                    taken.append(connection)

        thread = threading.Thread(target=take)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.getsockname()[1]}/scene.tif"
        finally:
            server.shutdown(socket.SHUT_RDWR)
            thread.join()
            for connection in taken:
                connection.close()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


STATUS = {
    401: "log-in needed); check the address and its log-in", 403: "access denied); check",
    404: "not found); check the address", 429: "too many requests); give the same command again",
    500: "server error); give the same command again later", 503: "server busy); give",
}  # fmt: skip


def test_each_status_has_its_advice(tmp_path: Path) -> None:
    with loopback(tmp_path) as server:
        server.fails_after = 0
        for status, words in STATUS.items():
            server.failure = status
            assert f"HTTP status {status}, {words}" in refusal(f"{server.address}/{status}.tif")


def test_a_server_that_is_not_there_cannot_be_reached() -> None:
    host = f"127.0.0.1:{free_port()}"
    assert "the server cannot be reached); check" in refusal(f"http://{host}/scene.tif")
    archive = f"/vsizip//vsicurl/http://{host}/scenes.zip/scene.tif"
    assert "the server cannot be reached); check" in refusal(archive)


def test_a_server_without_tls_is_named(tmp_path: Path) -> None:
    with loopback(tmp_path) as server:
        address = server.address.replace("http:", "https:")
        assert "no secure connection to the server" in refusal(f"{address}/scene.tif")


def test_silence_and_broken_connections_are_told_apart() -> None:
    with listening(answers=False) as address:
        assert "does not answer in time); try again, or allow more time: GDAL_" in refusal(address)
    with listening(answers=True) as address:
        assert "the server ended the connection without an answer" in refusal(address)


@pytest.mark.parametrize(
    ("scheme", "endpoint", "anonymous"),
    [
        ("s3", {"AWS_S3_ENDPOINT": "{host}", "AWS_HTTPS": "NO", "AWS_VIRTUAL_HOSTING": "FALSE"},
         "AWS_NO_SIGN_REQUEST"),
        ("gs", {"CPL_GS_ENDPOINT": "http://{host}/"}, "GS_NO_SIGN_REQUEST"),
    ],
)  # fmt: skip
def test_cloud_stores_are_read(
    scheme: str, endpoint: dict[str, str], anonymous: str, tmp_path: Path,
    write_raster: WriteRaster, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    pixels = np.arange(64 * 64, dtype=np.uint16).reshape(64, 64)
    write_raster("bucket/deep/scene.tif", pixels)
    with loopback(tmp_path) as server:
        for name, text in endpoint.items():
            host = server.address.removeprefix("http://")
            monkeypatch.setenv(name, text.format(host=host))
        assert "no log-in is set for this store); set" in refusal(f"{scheme}://bucket/locked.tif")
        monkeypatch.setenv(anonymous, "YES")
        with open_raster(location(f"{scheme}://bucket/deep/scene.tif")) as raster:
            assert (raster.read(Window(0, 0, 64, 64))[0][..., 0] == pixels).all()
        assert "HTTP status 404, not found" in refusal(f"{scheme}://another/deep/scene.tif")


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ("CURL error: Could not resolve host: no.invalid", "no server of this name is known"),
        ("<urlopen error [Errno -2] Name or service not known>", "no server of this name is known"),
        ("CURL error: SSL certificate problem: self-signed certificate", "no secure connection"),
        ("CURL error: Connection timed out after 15001 milliseconds", "not answer in time"),
        ("The specified bucket does not exist", "there is no such bucket"),
        ("The specified key does not exist.", "HTTP status 404"),
        ("The AWS Access Key Id you provided does not exist in our records.", "HTTP status 403"),
        ("Missing AZURE_STORAGE_ACCOUNT+(AZURE_STORAGE_ACCESS_KEY or ...)", "no log-in is set"),
        ("InvalidCredentials: No valid AWS credentials found. For authenticated ...", "no log-in"),
        ("Filename should be of the form /vsis3/bucket/key", "names no file in a bucket"),
        ("HTTP response code on http://127.0.0.1:8123/a.zip: 404", "HTTP status 404"),
    ],
)
def test_messages_of_gdal_are_understood(said: str, reason: str) -> None:
    answer = of_messages([said])
    assert answer is not None and reason in answer.reason


def test_other_messages_say_nothing_of_a_server() -> None:
    assert of_messages(["'a.tif' not recognized as being in a supported file format."]) is None
