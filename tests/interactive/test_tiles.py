"""Pictures of a raster for the map."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from clusternet.nodata import NodataChoice
from clusternet.raster.pyramid import build_pyramid

pytest.importorskip("rio_tiler", reason="pip install -e '.[interactive]' for the page")


def test_border_of_a_raster_seen_from_afar_has_its_own_colours(tmp_path, write_raster):
    from clusternet.interactive.tiles import TILE, ImageTiles

    colour = (200, 100, 50)
    shape = (2090, 2724)  # no multiple of what a pixel shows from afar
    raster = write_raster("wide.png", np.full((*shape, 3), colour, np.uint8))
    images = ImageTiles(build_pyramid(raster, tmp_path))
    for zoom in range(images.max_zoom):
        step = 1 << (images.max_zoom - zoom)
        for row, col in np.ndindex(*(-(-size // (TILE * step)) for size in shape)):
            tile = images.tile(zoom, col, row, images.first_look())
            if tile is not None:
                pixels = np.asarray(Image.open(io.BytesIO(tile)))
                assert (pixels[pixels[..., 3] > 0][:, :3] == colour).all(), (zoom, col, row)


def shown(images, zoom: int = 0) -> np.ndarray:
    """The first tile, (rows, cols, 4)."""
    return np.asarray(Image.open(io.BytesIO(images.tile(zoom, 0, 0, images.first_look()))))


@pytest.mark.parametrize(
    ("nodata", "rule", "hidden"),
    [(None, None, [0, 1, 2]), (9, None, [3]), (9, "any", [3, 4]), (None, "all", [])],
)
def test_a_pixel_without_data_is_not_shown(write_raster, nodata, rule, hidden):
    from clusternet.interactive.tiles import ImageTiles

    pixels = np.full((8, 8, 4), 50, np.uint8)
    pixels[1, :3, :2], pixels[1, 2, 1] = 3, 50
    pixels[1, 3, :3], pixels[1, 4, 1] = 9, 9
    pixels[..., 3] = 255
    pixels[2, :2, 3] = 0, 1  # alpha counts in any case, even a hint of it is data
    path = write_raster("a.tif", pixels, photometric="RGB", alpha="YES")
    if nodata is None:
        path = stack_with_nodata(path, (3, 3, None))
    images = ImageTiles(path, NodataChoice(nodata, rule))
    visible = shown(images)[:8, :8, 3] > 0
    assert np.flatnonzero(~visible[1]).tolist() == hidden
    assert visible[2, 1] and (nodata is None or not visible[2, 0])


def stack_with_nodata(path, nodata):
    """A view of a raster whose bands have nodata values of their own."""
    rows = "".join(
        f'<VRTRasterBand dataType="Byte" band="{band}">'
        + ("" if value is None else f"<NoDataValue>{value}</NoDataValue>")
        + f'<SimpleSource><SourceFilename relativeToVRT="1">{path.name}</SourceFilename>'
        f"<SourceBand>{band}</SourceBand></SimpleSource></VRTRasterBand>"
        for band, value in enumerate(nodata, 1)
    )
    view = path.with_suffix(".vrt")
    view.write_text(f'<VRTDataset rasterXSize="8" rasterYSize="8">{rows}</VRTDataset>')
    return view


def test_large_numbers_are_told_apart(write_raster):
    from clusternet.interactive.tiles import ImageTiles

    pixels = (np.arange(64).reshape(8, 8) + 2_000_000_000).astype(np.int32)
    grey = shown(ImageTiles(write_raster("a.tif", pixels)))[:8, :8, 0]
    assert len(np.unique(grey)) > 50
