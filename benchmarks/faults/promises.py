"""The words of docs/reliability.md; its figures come from the trials."""

from __future__ import annotations

HEAD = """
# Reliability

What is promised when a command is killed, interrupted, starved or given damaged files, how that is
tried, and what came of it. [outputs.md](outputs.md) says how outputs are written.
"""

PROMISES: dict[str, tuple[str, str]] = {
    "kills": (
        "Killed at any moment",
        """
*Promised:* nothing half-written is ever under its final name. A run that was killed while it
trained loads, or `main.py --resume` goes on with it, and the result is bitwise the one of a run
that nothing disturbed. Of any other output there is the old one or the new one, and the next call
writes the right one and removes what was left.

*Tried:* Python's hooks tell before each file is created, written to, renamed or removed. There the
whole output folder is kept: that is what a kill at this moment leaves. States that differ are
looked at one by one, those too in which the last write stopped half way. Then the next call is
made: first on one state of each kind of what is under a final name, then on others at random as
time allows. Networks are built once in the process and put back to their first weights.
""",
    ),
    "files": (
        "Damaged files",
        """
*Promised:* a damaged file is refused in one line with exit status 2, or is read. No command ends in
a traceback, hangs, takes memory that the file does not need, or executes what a file holds. A run
that loads gives no NaN.

*Tried:* one sound file of each kind is damaged in a random way and then read as its command reads
it, in a process that is watched: bits flipped, cut off, parts swapped, repeated, zeroed or removed,
extreme numbers, NaN, infinity, deep nesting, arrays of other shapes and types, pickles that would
touch a file. The limits are 10 s and 1 GiB. A network is signed again after it was damaged, so that
its digest does not tell. Code that runs is noticed by the file that it touches, and by Python's
audit hook for programs that are started and for anything that is unpickled.
""",
    ),
}

FOOT = ""
