"""The parts of quality.py: labelled scenes, descriptions of their pixels, scores, strokes."""
