"""Rasters to patches."""
