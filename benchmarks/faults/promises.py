"""The text of docs/reliability.md; the figures come from the trials."""

from __future__ import annotations

HEAD = """
# Reliability

What ClusterNet promises when a command is killed or interrupted, lacks memory or disk space, or
reads damaged files; how each promise is tested, and the results. [outputs.md](outputs.md) says
how outputs are written.
"""

PROMISES: dict[str, tuple[str, str]] = {
    "kills": (
        "Killed at any moment",
        """
*Promised:* no unfinished file has its final name. If a training is killed, its run loads, or
`main.py --resume` continues it; the result is bitwise equal to that of a run that was not
disturbed. Of any other output, either the old or the new version exists. Files that belong
together without a folder (a map, its confidence, its style and names) are renamed one right after
the other. A kill between them leaves some of them missing, but never mixes old and new ones. The
next call writes the right files and removes unfinished ones.

*Tested:* Python's hooks report each file before it is created, written to, renamed or removed. At
each report the whole output folder is copied: this is the state that a kill at that moment
leaves. All different states are examined, also with the last write cut off half way. Then the
command is called again: first on one state of each kind of files under final names, then on
others at random, as time allows. Networks are built once in the process, and their first weights
are restored. Writes by libraries in C are noticed at the next write by Python.
""",
    ),
    "signals": (
        "Ctrl-C, SIGTERM, SIGHUP",
        """
*Promised:* after a signal the command ends between two steps, with one line and exit status 130.
A training saves no unfinished run: the run loads, or does not exist yet. It ends within two steps
or 5 s. A second signal ends it at once, without saving.

*Tested:* signals at random moments after the command has reached its first line of code, while
two endless loops keep the machine busy. A quarter of them go to commands that are starting,
imports included. The others go to trainings forked from a process that had imported everything,
so that more trials fit into the time. A trial passes if the exit status is 130, or 0 if the
command had finished; if there is one line about the end and no line of another program; if no
hidden file is left; and if the run loads. Seconds are those of the clock or of the processor,
whichever is less, since other programs slow the clock time. Before its first line, for some
hundredths of a second, a command ends as Python does.
""",
    ),
    "disks": (
        "Full disks, permissions, links, mounts, two at a time",
        """
*Promised:* a full disk or a missing permission ends the command with one line that says so and
names the file; no unfinished file is left. An output that is a link remains a link. A folder that
is a mount point is filled. A second command on an output that is being written is refused. The
lock of a process that has ended is taken over.

*Tested:* no space after the n-th write of each command, by a hook that raises the error of the
system; disks of a few kilobytes in memory, and mounts, where mounting is allowed; each kind of
file unreadable, and outputs that cannot be written, in a process that drops the rights of root;
outputs that are links; a second command while the first one works, and after it was killed.
""",
    ),
    "memory": (
        "Little memory",
        """
*Promised:* under `ulimit -v` a command finishes its work, or ends with one line and exit status
2. It obeys signals, whichever library ran out of memory.

*Tested:* four commands under five limits, and SIGTERM under one that is too low to start.
""",
    ),
    "files": (
        "Damaged files",
        """
*Promised:* a damaged file is refused in one line with exit status 2, or is read. No command ends in
a traceback, hangs, takes memory that the file does not need, or executes code from a file. A run
that loads gives no NaN.

*Tested:* a valid file of each kind is damaged at random, and read as its command reads it, in a
monitored process. Damages are flipped bits, truncation, sections swapped, repeated, zeroed or
removed, extreme numbers, NaN, infinity, deep nesting, arrays of other shapes and types, and
pickles that would create a file. The limits are 10 s and 1 GiB. A damaged network gets a new
digest, so that the digest does not reveal the damage. Execution of code is detected by the file
that it creates, and by Python's audit hook for started programs and for unpickling.
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
reads all patches anyway, and refuses if the digest differs: if a patch was changed in place (also
with the same statistics of the bands), added, removed or renamed. Changes that change no pixel
are not noticed: another folder, times, compression, tags such as the CRS. Runs of versions before
2026-11-27 hold no digest; for them the statistics of the bands are compared.

## What syncing costs

Files and folders are synced to the disk before they are renamed. [outputs.md](outputs.md) has a
measurement; among the trials of the same run again are two more, each the fastest of five.
"""
