"""Synthetic overhead scenes with known truth, for the demo, the tutorial and tests.

Classes share colours and differ in texture and surroundings: crop rows, crowns and their shadows,
banks, roofs of many colours. On simpler scenes K-Means on the bands makes an equally good map, so
that the demo would show nothing. On these scenes it falls as far behind as on real images
(docs/results.md).
"""

from clusternet.demo.scene.making import CLASS_NAMES, Scene, make_scene
from clusternet.demo.scene.writing import CLASS_COLOURS, DEMO, SCENES, write_scenes

__all__ = ["CLASS_COLOURS", "CLASS_NAMES", "DEMO", "SCENES", "Scene", "make_scene", "write_scenes"]
