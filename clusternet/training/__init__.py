"""Training: the algorithm (`loop.py`), and the run folder that it leaves."""
