"""With limited memory a script ends in one line, whatever ends it, and is never left behind."""

from __future__ import annotations

import signal
import subprocess
import sys
import time

import pytest
from conftest import ROOT

from clusternet import limited_memory
from clusternet.foreign_errors import describe, is_foreign

resource = pytest.importorskip("resource", reason="limits of memory are POSIX")
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere they are not kept")

START = [
    "import os, signal, sys, time",
    "from clusternet.processes.interrupts import interrupts",
    "interrupts.own_process()",
    "print('up', flush=True)",
]


def start(*lines: str, megabytes: int = 400) -> subprocess.Popen[str]:
    """Start a script with so much memory, and wait until it has come to its first line."""

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (megabytes << 20, megabytes << 20))

    process = subprocess.Popen(
        [sys.executable, "-c", "\n".join([*START, *lines])], cwd=ROOT, preexec_fn=limit,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None and process.stdout.readline() == "up\n"
    return process


def end(process: subprocess.Popen[str]) -> tuple[int, str]:
    _, errors = process.communicate(timeout=20)
    return process.returncode, errors


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("os.write(2, b'terminate called\\n  what():  std::bad_alloc\\n'); os.abort()",
         "Ended (what():  std::bad_alloc)"),
        ("os._exit(127)", "Ended"),
        ("raise MemoryError", "Ended (MemoryError)"),
        ("os.write(2, b'BLAS\\n'); signal.raise_signal(signal.SIGINT); time.sleep(9)",
         "Ended (BLAS)"),
    ],
)  # fmt: skip
def test_whatever_ends_it_is_one_line(line: str, said: str) -> None:
    status, errors = end(start(line))
    assert status == 2
    assert errors == (
        f"error: {said}, most likely because memory is limited to 400 MB; raise the limit "
        "(ulimit -v).\n"
    )


def test_our_own_line_stands_alone() -> None:
    noise = "for _ in range(9): print('Exception ignored', file=sys.stderr)"
    status, errors = end(start("print('error: a.tif: no.', file=sys.stderr)", noise, "sys.exit(2)"))
    assert (status, errors) == (2, "error: a.tif: no.\n")


def test_what_goes_well_is_passed_on() -> None:
    lines = ["print('INFO: one', file=sys.stderr)", "print('two', file=sys.stderr)"]
    process = start(*lines, "print(sys.argv[1:])")
    assert process.stdout is not None
    output = process.stdout.read()
    assert (*end(process), output) == (0, "INFO: one\ntwo\n", "[]\n")


def test_a_signal_is_passed_on() -> None:
    process = start("time.sleep(30)")
    process.send_signal(signal.SIGTERM)
    assert end(process) == (130, "interrupted.\n")


def test_an_error_in_the_moment_of_a_signal_is_the_one_line() -> None:
    fails = "(print('error: no.', file=sys.stderr, flush=True), os._exit(2))"
    fails = f"signal.set_wakeup_fd(-1); signal.signal(signal.SIGTERM, lambda *_: {fails})"
    process = start(fails, "print('ready', flush=True)", "time.sleep(30)")
    assert process.stdout is not None and process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGTERM)
    assert end(process) == (2, "error: no.\n")


def test_what_heeds_no_signal_is_ended_by_the_second() -> None:
    deaf = "signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())"
    process = start(f"import threading; {deaf}; threading.main_thread()", "import hashlib",
                    "from ctypes import PyDLL; print('deaf', flush=True)",
                    "PyDLL(None).sleep(60)")  # fmt: skip  # a long call that lets no thread work
    assert process.stdout is not None and process.stdout.readline() == "deaf\n"
    process.send_signal(signal.SIGTERM)
    time.sleep(0.5)
    assert process.poll() is None
    process.send_signal(signal.SIGTERM)
    assert end(process) == (130, "interrupted.\n")


def test_without_a_limit_nothing_is_watched(monkeypatch: pytest.MonkeyPatch) -> None:
    unlimited = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
    monkeypatch.setattr(resource, "getrlimit", lambda kind: unlimited)
    assert limited_memory.limit() is None
    monkeypatch.setattr(resource, "getrlimit", lambda kind: (2**28, 2**28))
    assert limited_memory.limit() == 2**28


@pytest.mark.parametrize(
    "error",
    [
        MemoryError("Unable to allocate 7.28 TiB"),
        RuntimeError("can't start new thread"),
        ImportError("libgdal.so: failed to map segment from shared object"),
        ImportError("lib.so: cannot allocate memory in static TLS block"),
    ],
)
def test_what_lack_of_memory_makes_libraries_say_is_told_as_that(error: Exception) -> None:
    assert is_foreign(error)
    assert describe(error).startswith("Cannot go on (memory ran out")
    assert "ulimit -v" in describe(error) or "--train_batch_size" in describe(error)
