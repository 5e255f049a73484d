"""Synthetic overhead scenes with known truth, for trying things out and for tests."""

from clusternet.scene.making import CLASS_NAMES, Scene, make_scene
from clusternet.scene.writing import CLASS_COLOURS, write_scenes

__all__ = ["CLASS_COLOURS", "CLASS_NAMES", "Scene", "make_scene", "write_scenes"]
