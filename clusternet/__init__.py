"""Segment satellite and aerial images without ground truth."""

__version__ = "0.1.0"
