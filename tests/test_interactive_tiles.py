"""Pictures of a raster for the map."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

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
