"""Synthetic overhead scenes with known truth, for trying things out and for tests.

Every part is there to make two classes hard to tell apart by colour, or easy by texture and
surroundings (crop rows, crowns and their shadows, banks, roofs of many colours). Of plainer
scenes a K-Means over the bands would make as good a map, and the demo would show nothing. Here
it falls as far behind as on real images (docs/results.md).
"""

from clusternet.demo.scene.making import CLASS_NAMES, Scene, make_scene
from clusternet.demo.scene.writing import CLASS_COLOURS, DEMO, SCENES, write_scenes

__all__ = ["CLASS_COLOURS", "CLASS_NAMES", "DEMO", "SCENES", "Scene", "make_scene", "write_scenes"]
