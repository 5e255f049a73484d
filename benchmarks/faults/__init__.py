"""Faults on purpose: kills, signals, full disks, little memory, damaged files (reliability.py)."""
