"""Sentinel-2 products are read by GDAL's driver, from folders and archives."""

from __future__ import annotations

import shutil
from pathlib import Path
from zipfile import ZipFile

import numpy as np
import pytest
import rasterio
from rasterio.transform import from_origin

from clusternet.errors import RasterError
from clusternet.nodata import NodataChoice
from clusternet.raster import find_scenes, one_scene, open_raster
from clusternet.raster.finding import inner_paths
from clusternet.scene_rule import EACH_FILE, SceneRule
from clusternet.windows import Window

NAME = "S2A_MSIL2A_20240101T101031_N0510_R022_T32UQD_20240101T120000"
GRANULE = "L2A_T32UQD_A000001_20240101T101031"
BANDS = {10: ("B02", "B03", "B04", "B08"), 20: ("B05", "B11", "SCL"), 60: ("B01",)}
SIDE = 12  # pixels of 10 m
HEAD = '<?xml version="1.0" encoding="UTF-8"?>\n'
SPACE = "https://psd-14.sentinel2.eo.esa.int/PSD"


@pytest.fixture
def product(tmp_path: Path) -> Path:
    """A product of level 2A; its bands hold their pixel size and number."""
    safe = tmp_path / "in" / f"{NAME}.SAFE"
    images = safe / "GRANULE" / GRANULE / "IMG_DATA"
    files = []
    for metres, names in BANDS.items():
        side = SIDE * 10 // metres
        for name in names:
            path = images / f"R{metres}m" / f"T32UQD_20240101T101031_{name}_{metres}m.jp2"
            path.parent.mkdir(parents=True, exist_ok=True)
            kind = "uint8" if name == "SCL" else "uint16"
            with rasterio.open(
                path, "w", driver="JP2OpenJPEG", count=1, width=side, height=side, dtype=kind,
                crs="EPSG:32632", transform=from_origin(600000, 5400000, metres, metres),
                QUALITY="100", REVERSIBLE="YES",
            ) as dataset:  # fmt: skip
                value = 9 if name == "SCL" else 100 * int(name[1:])
                dataset.write(np.full((1, side, side), value, kind))
            files.append(path.relative_to(safe).with_suffix("").as_posix())
    masks = safe / "GRANULE" / GRANULE / "QI_DATA"
    masks.mkdir()
    for name in ("MSK_DETFOO_B02", "MSK_QUALIT_B02", "MSK_CLDPRB_20m"):
        shutil.copy(next(images.rglob("*SCL_20m.jp2")), masks / f"{name}.jp2")
    listed = "".join(f"<IMAGE_FILE>{name}</IMAGE_FILE>" for name in files)
    (safe / "MTD_MSIL2A.xml").write_text(
        f'{HEAD}<n1:Level-2A_User_Product xmlns:n1="{SPACE}/User_Product_Level-2A.xsd">'
        f"<n1:General_Info><Product_Info><PRODUCT_URI>{NAME}.SAFE</PRODUCT_URI>"
        "<Query_Options><PRODUCT_FORMAT>SAFE_COMPACT</PRODUCT_FORMAT></Query_Options>"
        f'<Product_Organisation><Granule_List><Granule granuleIdentifier="{GRANULE}" '
        f'imageFormat="JPEG2000">{listed}</Granule></Granule_List></Product_Organisation>'
        "</Product_Info></n1:General_Info></n1:Level-2A_User_Product>"
    )
    places = "".join(
        f'<Size resolution="{m}"><NROWS>{SIDE * 10 // m}</NROWS><NCOLS>{SIDE * 10 // m}</NCOLS>'
        f'</Size><Geoposition resolution="{m}"><ULX>600000</ULX><ULY>5400000</ULY><XDIM>{m}</XDIM>'
        f"<YDIM>-{m}</YDIM></Geoposition>"
        for m in BANDS
    )
    (safe / "GRANULE" / GRANULE / "MTD_TL.xml").write_text(
        f'{HEAD}<n1:Level-2A_Tile_ID xmlns:n1="{SPACE}/S2_PDI_Level-2A_Tile_Metadata.xsd">'
        f"<n1:General_Info><TILE_ID>{GRANULE}</TILE_ID></n1:General_Info><n1:Geometric_Info>"
        "<Tile_Geocoding><HORIZONTAL_CS_NAME>WGS84 / UTM zone 32N</HORIZONTAL_CS_NAME>"
        f"<HORIZONTAL_CS_CODE>EPSG:32632</HORIZONTAL_CS_CODE>{places}</Tile_Geocoding>"
        "</n1:Geometric_Info></n1:Level-2A_Tile_ID>"
    )
    return safe


def zipped(product: Path) -> Path:
    archive = product.parent.parent / f"{NAME}.zip"
    with ZipFile(archive, "w") as opened:
        for path in sorted(product.rglob("*")):
            if path.is_file():
                opened.write(path, path.relative_to(product.parent))
    return archive


def test_bands_of_ten_metres_are_read(product: Path) -> None:
    for source in (product, product.parent, zipped(product)):
        scenes = find_scenes(source)
        assert [scene.stem for scene in scenes] == [NAME]
        assert inner_paths(source, scenes)[0].stem == NAME
        with open_raster(scenes[0]) as raster:
            assert raster.profile.bands.wavelengths_nm == (665, 560, 490, 842)
            pixels, _ = raster.read(Window(0, 0, SIDE, SIDE))
        assert (pixels == (400, 300, 200, 800)).all()
    assert one_scene(product, EACH_FILE) == product


def test_a_stack_takes_bands_of_all_sizes(product: Path) -> None:
    rule = SceneRule("B02,B11,B01", "SCL", "9")
    for source in (product, zipped(product)):
        with open_raster(find_scenes(source, rule)[0], NodataChoice(scene=rule)) as raster:
            assert raster.profile.bands.descriptions == ("B02", "B11", "B01")
            assert not raster.read(Window(0, 0, SIDE, SIDE))[1].any()  # clouds everywhere


def test_masks_of_a_product_are_no_bands(product: Path) -> None:
    for source in (product, product.parent, zipped(product)):
        scenes = find_scenes(source, SceneRule("B2"))
        assert [scene.name for scene in scenes] == ["T32UQD_20240101T101031"]
    rule = SceneRule("B02,B03", "MSK_CLDPRB", "9")
    with open_raster(find_scenes(product, rule)[0], NodataChoice(scene=rule)) as raster:
        assert not raster.read(Window(0, 0, SIDE, SIDE))[1].any()


def test_an_unpacked_product_beside_its_archive_counts_once(product: Path) -> None:
    zipped(product).rename(product.parent / f"{NAME}.zip")
    for rule in (EACH_FILE, SceneRule("B02,B03")):
        assert len(find_scenes(product.parent, rule)) == 1


def test_a_product_is_named_by_its_list_of_contents(product: Path) -> None:
    listed = product / "MTD_MSIL2A.xml"
    assert find_scenes(listed) == [product]
    assert inner_paths(listed, find_scenes(listed)) == [Path(product.name)]
    assert len(find_scenes(listed, SceneRule("B02,B11"))) == 1


def test_folders_inside_a_product_hold_its_files(product: Path) -> None:
    folder = product / "GRANULE" / GRANULE / "IMG_DATA" / "R10m"
    found = find_scenes(folder)
    assert [path.stem[-7:] for path in found] == ["B02_10m", "B03_10m", "B04_10m", "B08_10m"]
    assert inner_paths(folder, found)[0].parent == Path()


def test_a_product_that_lacks_a_band_is_refused(product: Path) -> None:
    next(product.rglob("*B03_10m.jp2")).unlink()
    with pytest.raises(RasterError, match=r"lacks its file .*_B03_10m\.jp2"):
        with open_raster(find_scenes(product)[0]):
            pass


@pytest.mark.parametrize("how", ["image", "name", "metadata"])
def test_a_product_may_not_name_other_places(product: Path, how: str) -> None:
    metadata = product / "MTD_MSIL2A.xml"
    if how == "image":
        next(product.rglob("*B03_10m.jp2")).write_text("<GDAL_WMS></GDAL_WMS>")
    elif how == "name":
        metadata.write_text(metadata.read_text().replace("<IMAGE_FILE>GRANULE", "<IMAGE_FILE>/etc"))
    else:
        metadata.unlink()
    with pytest.raises(RasterError, match=r"no JPEG 2000 image|does not lie in it|found none"):
        find_scenes(product)
