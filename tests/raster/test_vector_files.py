"""Vectors are read as what they claim to be, under any name, and nothing else is read for them."""

from __future__ import annotations

import json
import logging
import shutil
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import geopandas
import pytest
import shapely

from clusternet.errors import LabelError
from clusternet.foreign_errors import is_foreign
from clusternet.raster.shapes import read_shapes
from clusternet.raster.vector_files import list_layers, read_layer, write_layer

POINT = {
    "type": "Feature",
    "properties": {"class": "field"},
    "geometry": {"type": "Point", "coordinates": [3, 45]},
}
COLLECTION: dict[str, Any] = {"type": "FeatureCollection", "features": [POINT]}
FRAME = geopandas.GeoDataFrame(
    {"class": ["field"]}, geometry=[shapely.Point(3, 45)], crs="EPSG:4326"
)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def originals(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One point as every format; the shapefile is several files."""
    folder = tmp_path_factory.mktemp("vectors")
    for suffix in ("gpkg", "shp", "geojson", "fgb"):
        FRAME.to_file(folder / f"a.{suffix}")
    return folder


def classes(path: Path) -> list[str]:
    return list(read_layer(path)["class"])


NAMES = ["s3:x", "zip:x", "a!b", "a;b", "a?b", "a?", "a#b", "a%20b", "a|layername=b", "a'b", 'a"b',
         "a\nb", "-x", "~x", "x" * 240]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_vectors_are_read_whatever_their_name(here: Path, originals: Path, name: str) -> None:
    for path in originals.iterdir():
        shutil.copy(path, here / f"{name}{path.suffix}")
    for suffix in ("gpkg", "shp", "geojson"):
        assert classes(Path(f"{name}.{suffix}")) == ["field"]
    assert list(read_shapes(here / f"{name}.gpkg").names.values()) == ["field"]


@pytest.mark.parametrize("name", NAMES)
def test_vectors_are_written_whatever_their_name(here: Path, name: str) -> None:
    path = Path(f"{name}.gpkg")
    write_layer(FRAME, path, layer="a", driver="GPKG")
    assert classes(path) == ["field"] and [p.name for p in here.iterdir()] == [path.name]


def test_a_layer_is_appended_under_such_a_name_too(here: Path) -> None:
    for append in (False, True):
        write_layer(FRAME, here / "a!b.gpkg", layer="a", driver="GPKG", append=append)
    assert classes(here / "a!b.gpkg") == ["field", "field"]


# --- contents that are not what the name says -------------------------------------------------
def vrt(secret: Path) -> str:
    return (
        f'<OGRVRTDataSource><OGRVRTLayer name="{secret.stem}"><SrcDataSource>{secret}'
        "</SrcDataSource></OGRVRTLayer></OGRVRTDataSource>"
    )


@pytest.mark.parametrize(
    "suffix", ["gpkg", "shp", "geojson", "json", "fgb", "kml", "gml", "sqlite"]
)
def test_a_text_that_names_another_file_is_not_followed(
    here: Path, originals: Path, suffix: str
) -> None:
    path = here / f"a.{suffix}"
    path.write_text(vrt(originals / "a.gpkg"))
    with pytest.raises(LabelError, match=r"a text that names other places to read"):
        read_layer(path)
    path.write_text("\n\n " + vrt(originals / "a.gpkg"))
    with pytest.raises(LabelError, match=r"a text that names other places to read"):
        list_layers(path)


@pytest.mark.parametrize("suffix", ["gpkg", "shp", "geojson", "fgb"])
@pytest.mark.parametrize("other", ["gpkg", "shp", "geojson", "fgb"])
def test_a_format_under_the_name_of_another_is_refused(
    here: Path, originals: Path, suffix: str, other: str
) -> None:
    if suffix == other:
        return
    path = here / f"b.{suffix}"
    shutil.copy(originals / f"a.{other}", path)
    with pytest.raises(LabelError, match=r"cannot be read as vectors"):
        read_layer(path)


@pytest.fixture
def server() -> Iterator[tuple[str, list[str]]]:
    """An address, and the paths that were asked for there."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(200)
            self.end_headers()

        do_HEAD = do_GET

        def log_message(self, *arguments: Any) -> None:
            pass

    found = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=found.serve_forever, args=(0.01,))
    thread.start()
    yield f"http://127.0.0.1:{found.server_port}", asked
    found.shutdown()
    thread.join()
    found.server_close()


@pytest.mark.parametrize(
    "crs",
    [{"type": "link", "properties": {"href": "{}/crs", "type": "proj4"}},
     {"type": "url", "properties": {"url": "{}/crs"}},
     {"type": "name", "properties": {"name": "{}/crs"}}],
    ids=["link", "url", "name"],
)  # fmt: skip
def test_a_crs_that_is_an_address_is_not_fetched(
    here: Path, server: tuple[str, list[str]], crs: dict[str, Any]
) -> None:
    address, asked = server
    text = json.dumps(COLLECTION | {"crs": crs}).replace("{}", address)
    (here / "a.geojson").write_text(text)
    if crs["type"] == "name":
        read_layer(here / "a.geojson")  # takes it for a name that it does not know
    else:
        with pytest.raises(LabelError, match="states its CRS by a link"):
            read_layer(here / "a.geojson")
    assert asked == []


def test_gml_is_read_without_a_file_beside_it_and_without_the_network(
    here: Path, server: tuple[str, list[str]]
) -> None:
    address, asked = server
    (here / "a.gml").write_text(
        '<ogr:FeatureCollection xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" '
        f'xsi:schemaLocation="http://ogr {address}/wfs?request=DescribeFeatureType" '
        'xmlns:ogr="http://ogr" xmlns:gml="http://www.opengis.net/gml"><gml:featureMember>'
        "<ogr:a><ogr:shape><gml:Point><gml:coordinates>3,45</gml:coordinates></gml:Point>"
        "</ogr:shape><ogr:class>field</ogr:class></ogr:a></gml:featureMember>"
        "</ogr:FeatureCollection>"
    )
    assert classes(here / "a.gml") == ["field"]
    assert asked == [] and [path.name for path in here.iterdir()] == ["a.gml"]


GOOD_JSON = {
    "a collection": json.dumps(COLLECTION).encode(),
    "with a mark of its encoding": b"\xef\xbb\xbf" + json.dumps(COLLECTION).encode(),
    "a feature": json.dumps(POINT).encode(),
    "a feature a line": b"\n".join([json.dumps(POINT).encode()] * 2),
    "of Esri": json.dumps({
        "geometryType": "esriGeometryPoint", "spatialReference": {"wkid": 4326},
        "fields": [{"name": "class", "type": "esriFieldTypeString"}],
        "features": [{"attributes": {"class": "field"}, "geometry": {"x": 3, "y": 45}}],
    }).encode(),
}  # fmt: skip
BAD_JSON = {
    "an algorithm of GDAL": b'{"type": "gdal_streamed_alg", "command_line": "read a.gpkg"}',
    "nothing": b"",
    "text": b"http://127.0.0.1/a.geojson",
    "a list": b"[]",
    "a number": b"7",
    "another object": b'{"0": "field"}',
    "cut off": json.dumps(COLLECTION).encode()[:-5],
    "nested too deeply": b'{"type": ' + b"[" * 100_000,
    "Latin-1": json.dumps(COLLECTION).replace("field", "forêt").encode("latin-1"),
    "UTF-16": json.dumps(COLLECTION).encode("utf-16"),
}


@pytest.mark.parametrize("form", GOOD_JSON)
def test_json_of_shapes_is_read(here: Path, form: str) -> None:
    (here / "a.geojson").write_bytes(GOOD_JSON[form])
    assert set(classes(here / "a.geojson")) == {"field"}


@pytest.mark.parametrize("form", BAD_JSON)
def test_other_json_is_refused_in_one_line(here: Path, form: str) -> None:
    (here / "a.json").write_bytes(BAD_JSON[form])
    with pytest.raises(LabelError, match=r"a\.json: cannot be read as vectors \(") as end:
        read_layer(here / "a.json")
    assert len(str(end.value)) < 300 and "\n" not in str(end.value)


def test_a_projection_in_another_encoding_is_no_traceback(
    here: Path, originals: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    for path in originals.glob("a.*"):
        shutil.copy(path, here)
    for text in ('GEOGCS["Straße"]', "Straße", 'PROJCS["Straße",GEOGCS["ß",DATUM["ß"'):
        (here / "a.prj").write_bytes(text.encode("latin-1"))
        try:
            assert classes(here / "a.shp") == ["field"]
        except LabelError as error:
            assert "a.shp: its CRS cannot be read (PROJ: " in str(error)
    assert "Traceback" not in capfd.readouterr().err


def test_a_shape_that_is_none_is_missing_with_a_word(
    here: Path, caplog: pytest.LogCaptureFixture
) -> None:
    line = {"type": "LineString", "coordinates": [[3, 45]]}
    features = [POINT | {"geometry": line}, POINT, POINT | {"geometry": line}]
    (here / "a.geojson").write_text(json.dumps(COLLECTION | {"features": features}))
    with caplog.at_level(logging.WARNING):
        frame = read_layer(here / "a.geojson")
    assert list(frame.geometry.isna()) == [True, False, True]
    assert "holds shapes that are damaged (point array must contain" in caplog.text


@pytest.mark.parametrize(
    ("suffix", "damage"),
    [
        ("prj", lambda whole: whole[:50]), ("prj", lambda whole: whole.replace(b"DATUM", b"D")),
        ("prj", lambda whole: whole.replace(b"N", b"\xce", 1)),
        ("shp", lambda whole: whole[:-100]), ("dbf", lambda whole: whole[:-8]),
    ],
)  # fmt: skip
def test_a_damaged_shapefile_is_no_traceback_and_no_line_of_gdal(
    here: Path, capfd: pytest.CaptureFixture[str], suffix: str, damage: Any
) -> None:
    boxes = [shapely.box(0, 0, 9, 9), shapely.box(20, 0, 29, 9)]
    geopandas.GeoDataFrame({"class": [0, 1]}, geometry=boxes, crs=32631).to_file(here / "a.shp")
    damaged = here / f"a.{suffix}"
    damaged.write_bytes(damage(damaged.read_bytes()))
    for read in (list_layers, read_layer):
        try:
            read(here / "a.shp")
        except LabelError as error:
            assert "its CRS cannot be read (" in str(error)
        except Exception as error:
            assert is_foreign(error)
    assert capfd.readouterr().err == ""
