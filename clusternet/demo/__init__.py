"""Synthetic scenes, simple methods to compare with, and what the demo shows of them."""
