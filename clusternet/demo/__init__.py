"""Synthetic scenes with truth, a baseline, and the comparison that the demo prints."""
