"""What speed.py measures, one thing a module; each runs in a fresh process."""
