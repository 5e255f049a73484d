"""The measurements of speed.py, one in each module; each runs in a fresh process."""
