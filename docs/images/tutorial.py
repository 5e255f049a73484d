"""Draw the pictures of docs/tutorial.md from the folder that its commands leave.

    python docs/images/tutorial.py tutorial docs/images

``tutorial/unseen`` must still hold the class map made before the legend was edited.
"""

from __future__ import annotations

import sys
from pathlib import Path

import geopandas
import numpy as np
from PIL import Image, ImageDraw

from clusternet.colours import palette
from clusternet.demo.scene import CLASS_COLOURS
from clusternet.files.pictures import colour_labels, side_by_side, stretch
from clusternet.legend.familiar import COLOURS
from clusternet.raster import open_raster
from clusternet.types import AnyArray, UInt8Array
from clusternet.windows import Window


def read(path: Path, *, codes: bool = True) -> tuple[AnyArray, AnyArray]:
    """Return the pixels of a raster and which are valid."""
    with open_raster(path, codes=codes) as raster:
        return raster.read(Window(0, 0, *raster.profile.shape))


def coloured(path: Path, colours: UInt8Array) -> UInt8Array:
    """Return a map in its colours."""
    values, valid = read(path)
    return colour_labels(np.where(valid, values[..., 0].astype(np.int32), -1), -1, colours)


def with_polygons(image: Path, labels: Path) -> UInt8Array:
    """Return an image with the outlines of label polygons."""
    pixels, valid = read(image, codes=False)
    picture = Image.fromarray(stretch(pixels, valid))
    draw = ImageDraw.Draw(picture)
    with open_raster(image) as raster:
        place = ~raster.profile.transform
    frame = geopandas.read_file(labels).explode()
    for shape, name in zip(frame.geometry, frame["class"], strict=True):
        corners = [place @ (x, y) for x, y in shape.exterior.coords]
        draw.line(corners, fill="white", width=7)
        draw.line(corners, fill=COLOURS[name], width=4)
        draw.text((corners[0][0] + 14, corners[0][1] - 6), name, "white", font_size=18,
                  stroke_width=2, stroke_fill="black")  # fmt: skip
    return np.array(picture)


def main(folder: Path, output: Path) -> None:
    """Draw them all."""
    confidence, valid = read(folder / "maps" / "train_confidence.tif")
    pictures = {
        "tutorial_labels": side_by_side(
            [with_polygons(folder / "images" / "train.tif", folder / "labels.gpkg"),
             coloured(folder / "maps" / "train_clusters.tif", palette(255))],
            captions=["the first scene, and twenty polygons", "its clusters"],
        ),
        "tutorial_confidence": side_by_side(
            [coloured(folder / "maps" / "train_clusters.tif", palette(255)),
             np.where(valid, confidence[..., 0], 225).astype(np.uint8)],
            captions=["clusters of the first scene", "confidence: dark where two are as near"],
        ),
        "tutorial_classes": np.concatenate(
            [
                side_by_side(
                    [stretch(*read(folder / "images" / "unseen.tif", codes=False)),
                     coloured(folder / "unseen" / "unseen_classes.tif", CLASS_COLOURS)],
                    captions=["the second scene, without labels", "the legend as it came out"],
                ),
                side_by_side(
                    [coloured(folder / "classes" / "unseen_classes.tif", CLASS_COLOURS),
                     coloured(folder / "masks" / "unseen.tif", CLASS_COLOURS)],
                    captions=["four lines of the legend edited", "truth"],
                ),
            ]
        ),
    }  # fmt: skip
    for name, picture in pictures.items():
        image = Image.fromarray(picture)
        image.thumbnail((1280, 1280), Image.Resampling.LANCZOS)
        path = output / f"{name}.jpg"
        image.save(path, quality=82)
        print(f"{path}: {path.stat().st_size // 1024} KiB")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
