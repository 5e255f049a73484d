"""Patches on disk, and batches of them for training."""
