"""Parts of `journey.py`: scenes, our commands, what others would write, and the report."""
