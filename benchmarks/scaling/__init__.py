"""Measurements and the simulation of `scale.py`."""
