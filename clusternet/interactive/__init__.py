"""The page on which a person draws strokes and sees the class map follow.

What shows the page (`page` and what it is built of, `server`, `tiles`) needs the packages of the
``interactive`` extra. `workspace` and what it is built of work without them.
"""
