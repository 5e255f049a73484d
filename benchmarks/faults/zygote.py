"""A process that has imported everything, and forks commands that start at once (signals.py).

It reads lines of JSON: a list of words is a command to fork, whose number it answers with; a
number is a process that has ended, whose exit status it answers with.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path

PATIENCE = 60.0  # seconds that a process may take to end


def main() -> None:
    """Serve until there are no more lines."""
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
    from faults.calls import ROOT

    sys.path.insert(0, str(ROOT))
    from clusternet.process_setup import prepare_process, quiet_stderr

    prepare_process()
    with quiet_stderr():  # imports alone: a backend that has computed has threads, and cannot fork
        import clusternet.prediction.predictor
        import clusternet.training.train  # noqa: F401

    _say("ready")
    for line in sys.stdin:
        asked = json.loads(line)
        _say(_wait(asked) if isinstance(asked, int) else _fork(asked))


def _say(value: object) -> None:
    print(json.dumps(value), flush=True)


def _fork(words: list[str]) -> int:
    name, errors, *rest = words
    number = os.fork()
    if number:
        return number
    status = 1
    try:
        stream = os.open(errors, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        for standard in (1, 2):
            os.dup2(stream, standard)
        status = _run(name, rest)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def _run(name: str, words: list[str]) -> int:
    from clusternet.processes.interrupts import interrupts
    from faults.calls import load_script

    interrupts.own_process()
    print("INFO: up", file=sys.stderr, flush=True)
    try:
        load_script(name).main(words)
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 1
    except BaseException:
        sys.excepthook(*sys.exc_info())  # type: ignore[arg-type]
        return 1
    return 0


def _wait(number: int) -> int:
    """Return the exit status of a process that has ended; if it has not, it is killed."""
    found, status = os.waitpid(number, os.WNOHANG)
    if not found:
        os.kill(number, signal.SIGKILL)
        _, status = os.waitpid(number, 0)
    return os.waitstatus_to_exitcode(status)


if __name__ == "__main__":
    main()
