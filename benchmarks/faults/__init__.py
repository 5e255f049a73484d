"""The trials of reliability.py: kills, signals, full disks, little memory, damaged files."""
