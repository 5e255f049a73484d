"""Synthetic overhead scenes with known truth, for trying things out and for tests."""

from clusternet.demo.scene.making import CLASS_NAMES, Scene, make_scene
from clusternet.demo.scene.writing import CLASS_COLOURS, DEMO, SCENES, write_scenes

__all__ = ["CLASS_COLOURS", "CLASS_NAMES", "DEMO", "SCENES", "Scene", "make_scene", "write_scenes"]
