"""What processes of a cluster take over from the command, wherever they run."""

from __future__ import annotations

import logging
import os
import shutil
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from clusternet.process_setup import prepare_process
from clusternet.processes.showing import VARIABLE

_SAME = ("KERAS_BACKEND", VARIABLE)
_THREADS = ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "OMP_NUM_THREADS")
_SHARED_GPU = {"TF_FORCE_GPU_ALLOW_GROWTH": "true", "XLA_PYTHON_CLIENT_PREALLOCATE": "false"}
"""Otherwise the first worker of a node would take all memory of its GPU."""


@dataclass(frozen=True)
class Surroundings:
    """What a process takes over from the command."""

    folder: Path
    """Relative paths are meant from here."""
    environment: Mapping[str, str]
    log_level: int
    has_screen: bool
    """True if the command writes to a terminal."""

    @classmethod
    def of_command(cls, cores: int, *, shares_gpu: bool = False) -> Surroundings:
        """Return those of this process.

        Args:
            cores: threads of libraries, unless the user has set another number.
            shares_gpu: whether other processes use the same GPU.
        """
        own = dict.fromkeys(_THREADS, str(cores)) | (_SHARED_GPU if shares_gpu else {})
        environment = {name: os.environ.get(name, value) for name, value in own.items()}
        environment |= {name: os.environ[name] for name in _SAME if name in os.environ}
        size = shutil.get_terminal_size()
        environment |= {"COLUMNS": str(size.columns), "LINES": str(size.lines)}
        level = logging.getLogger("clusternet").getEffectiveLevel()
        has_screen = sys.stderr is not None and sys.stderr.isatty()
        return cls(Path.cwd(), environment, level, has_screen)

    def take_over(self) -> None:
        """Set this process up as the command is."""
        os.environ.update(self.environment)
        prepare_process()
        with suppress(OSError):  # a node need not have it; paths may be absolute
            os.chdir(self.folder)
