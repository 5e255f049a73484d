"""From a few strokes to a class map in seconds, in the browser or in batch.

Everything but the page (`app` and what it imports: `panel`, `scene_map`, `tiles`) works without
the packages of the ``interactive`` extra.
"""
