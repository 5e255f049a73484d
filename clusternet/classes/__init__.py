"""Clusters and labels to class maps."""
