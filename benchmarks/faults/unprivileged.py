"""Run a command whom permissions bind, also if this user is root: COMMAND WORDS..."""

from __future__ import annotations

import ctypes
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from faults.calls import ROOT, load_script

sys.path.insert(0, str(ROOT))

_VERSION = 0x20080522  # of the structures of capget(2)
_READ_AND_WRITE_ALL = 0b110  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH


def give_up_rights() -> bool:
    """Let permissions bind root, too; False where that cannot be done."""
    if os.geteuid():
        return True
    library = ctypes.CDLL(None, use_errno=True)
    head = (ctypes.c_uint32 * 2)(_VERSION, 0)
    sets = (ctypes.c_uint32 * 6)()  # effective, permitted, inheritable: twice
    if library.capget(head, sets):
        return False
    for place in range(3):
        sets[place] &= ~_READ_AND_WRITE_ALL
    return not library.capset(head, sets)


def main() -> None:
    """Give up rights, and run the command."""
    name, *words = sys.argv[1:]
    if not give_up_rights():
        raise SystemExit(77)
    load_script(name).main(words)


if __name__ == "__main__":
    main()
