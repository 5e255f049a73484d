"""Draw the picture of README.md from the folder that ``clusternet demo`` leaves.

python docs/images/demo.py demo docs/images
"""

from __future__ import annotations

import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from PIL import Image

from clusternet.demo.comparison import draw_scenes


def main(folder: Path, output: Path) -> None:
    """Draw the scene that the network never saw."""
    with TemporaryDirectory() as place:
        draw_scenes(folder / "scene", folder / "maps", folder / "classes", Path(place))
        image = Image.open(Path(place, "unseen.png")).convert("RGB")
    image.thumbnail((1280, 1280), Image.Resampling.LANCZOS)
    path = output / "demo.jpg"
    image.save(path, quality=82)
    print(f"{path}: {path.stat().st_size // 1024} KiB")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
