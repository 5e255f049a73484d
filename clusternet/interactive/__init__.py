"""The page on which a person draws strokes and sees the class map follow.

`page`, `panel`, `scene_map`, `server` and `tiles` need the packages of the ``interactive`` extra.
The other modules work without them.
"""
