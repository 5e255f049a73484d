"""The text of docs/reliability.md; the figures come from the trials."""

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
that nothing disturbed. Of any other output there is the old one or the new one. Files that belong
together and are no folder (a map, its confidence, its style and names) appear one right after the
other: a kill between them leaves some out, and never one of the new beside one of the old. The next
call writes what is right and removes what was left.

*Tried:* Python's hooks tell before each file is created, written to, renamed or removed. There the
whole output folder is kept: that is what a kill at this moment leaves. States that differ are
looked at one by one, those too in which the last write stopped half way. Then the next call is
made: first on one state of each kind of what is under a final name, then on others at random as
time allows. Networks are built once in the process and put back to their first weights. What
libraries written in C write is seen when Python writes next.
""",
    ),
    "signals": (
        "Ctrl-C, SIGTERM, SIGHUP",
        """
*Promised:* a signal asks, and the command ends between two steps, with one line and exit status
130. A training saves nothing half: the run loads, or is not there yet. It ends within two steps or
5 s. A second signal ends it at once, without saving.

*Tried:* signals at random moments after the command has come to its first line, while two endless
loops keep the machine busy. A quarter go to commands that start, imports included. The others go to
trainings that were forked from a process which had imported everything, so that more of them fit
into the time. Clean is: exit status 130, or 0 if the command was ready; one line on the end, no
line of anyone else; nothing hidden left behind; a run that loads. Seconds are those of the clock or
of the processor, whichever is less, since the clock of a busy machine tells of the others. Before
its first line, for some hundredths of a second, a command ends as Python does.
""",
    ),
    "disks": (
        "Full disks, permissions, links, mounts, two at a time",
        """
*Promised:* a full disk and a missing permission end in one line that says so and names the file;
nothing half-written stays. An output that is a link stays one, a folder that is a mount is filled.
A second command on an output that is being written is refused; the lock of a process that has ended
is taken over.

*Tried:* no room after the n-th write of each command, by a hook that raises what the system would;
disks of a few kilobytes in memory, and mounts, where mounting is allowed; each kind of file
unreadable, and outputs that cannot be written, in a process that gives up the right of root to read
and write everything; outputs that are links; a second command while the first one works, and after
it was killed.
""",
    ),
    "memory": (
        "Little memory",
        """
*Promised:* under `ulimit -v` a command does its work or ends in one line with exit status 2, and
heeds signals, whatever library ran out of memory.

*Tried:* four commands under five limits, and SIGTERM under one that is too low to start.
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
    "repeats": (
        "The same run again",
        """
*Promised:* the same command with the same versions on the same number of cores gives bitwise the
same run, whatever `--workers` says and wherever the patches lie. Another number of threads adds
numbers up in another order, and the last bits of the weights may differ. Libraries take as many
threads as there are cores, so `taskset`, a container with fewer cores and another machine count as
others. There is no flag for this: on processors only the number of threads matters. Where fewer
cores are, `TF_NUM_INTRAOP_THREADS`, `TF_NUM_INTEROP_THREADS` and `OMP_NUM_THREADS` can be set to
the number of cores of the first machine. [method.md](method.md) says more, also of graphics
processors.

*Tried:* a training of three epochs in each of these surroundings, all files compared but for times
and `workers` in `settings.yaml`.
""",
    ),
}

FOOT = """
## What `--resume` notices

`bands.json` holds a digest (SHA-256) of the patches that a run is trained on: of their names below
the folder, their sizes, pixels and valid masks, in the order in which they are read. `--resume`
reads all patches anyway, and refuses if the digest differs: a patch that was changed in place, also
if the statistics of the bands stay, one that is missing or new, one that was renamed. It does not
notice what changes no pixel: another folder, times, compression, tags such as the CRS. Runs of
versions before 2026-11-27 hold no digest; there the statistics of the bands are compared.

## What syncing costs

Files and folders are put on the disk before they are renamed. [outputs.md](outputs.md) has a
measurement; among the trials of the same run again are two more, each the fastest of five.
"""
