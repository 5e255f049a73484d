"""A Ray cluster of two nodes on this machine. The second one sees another file system."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from clusternet.distributed.guard import clean
from clusternet.distributed.local_secrets import LocalSecrets

HEAD, OTHER = "127.0.0.2", "127.0.0.3"  # all of 127.0.0.0/8 is this machine
_START = [sys.executable, "-m", "ray.scripts.scripts", "start", "--block", "--num-cpus=1",
          "--object-store-memory=80000000", "--disable-usage-stats"]  # fmt: skip
_PATIENCE = 120.0  # seconds
# Nodes that are gone are noticed within seconds instead of half a minute.
_QUICK = {
    "RAY_health_check_period_ms": "500",
    "RAY_health_check_timeout_ms": "2000",
    "RAY_health_check_failure_threshold": "4",
}

_COMMAND = """
import sys
import time
from pieces import square
from clusternet.command_line.command import run_command
from clusternet.distributed.cluster import ray_executor
from clusternet.processes.interrupts import interrupts
interrupts.own_process()

@interrupts.listening()
def work():
    with ray_executor(sys.argv[1], 2) as executor:
        list(executor.map(square, range(4)))
        print("ready", flush=True)
        list(executor.map(time.sleep, [60] * 4))

run_command(work)
"""


def has_own_mounts() -> bool:
    """Tell whether a process here may have mounts of its own."""
    command = ["unshare", "--map-root-user", "--mount", "true"]
    try:
        return subprocess.run(command, check=False, capture_output=True).returncode == 0
    except OSError:
        return False


@dataclass
class TwoNodes:
    """A cluster with a core on each of two nodes."""

    folder: Path
    """Of the logs and sockets; its name must be short."""
    secrets: LocalSecrets
    hidden: Path
    """The second node sees an empty folder of 1 MB there, if it may have mounts of its own."""
    fakes: Path
    """The second node finds packages there first."""
    modules: Path
    """Both nodes find the pieces of work of the tests there."""
    port: int = 0
    _nodes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    @property
    def address(self) -> str:
        """The address to connect to."""
        return f"{HEAD}:{self.port}"

    def start(self) -> None:
        """Start the nodes that do not run, and wait for them."""
        if HEAD not in self._nodes:
            with socket.create_server((HEAD, 0)) as server:
                self.port = server.getsockname()[1]
            self._start(HEAD, "--head", f"--port={self.port}", "--include-dashboard=false",
                        f"--temp-dir={self.folder}")  # fmt: skip
        if OTHER not in self._nodes:
            self._start(OTHER, f"--address={self.address}")

    def kill(self, node: str) -> None:
        """End a node and all its processes at once, as when its power fails."""
        process = self._nodes.pop(node)
        tree = _descendants(process.pid)
        for each in (process.pid, *tree):
            os.kill(each, signal.SIGKILL)
        process.wait()

    def workers(self) -> list[str]:
        """Return what our workers do, on both nodes."""
        found = []
        for node in self._nodes.values():
            for each in _descendants(node.pid):
                with suppress(OSError):  # it has ended
                    found.append(Path(f"/proc/{each}/cmdline").read_text().split("\0")[0])
        return [name for name in found if name.startswith("ray::Worker")]

    @contextmanager
    def command(self) -> Iterator[subprocess.Popen[str]]:
        """Start a command that works on the cluster for minutes, and wait until it does."""
        with subprocess.Popen(
            [sys.executable, "-c", _COMMAND, self.address],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | {"PYTHONPATH": str(self.modules)},
        ) as command:
            try:
                assert command.stdout is not None and command.stdout.readline() == "ready\n"
                yield command
            finally:
                command.kill()  # or a test that fails would wait for it for ever

    def end(self) -> None:
        """End everything."""
        clean(str(self.folder), self.secrets.mark)
        for process in self._nodes.values():
            process.wait()

    def _start(self, node: str, *arguments: str) -> None:
        command = [*_START, f"--node-ip-address={node}", *arguments]
        paths = [str(self.modules)]
        if node == OTHER:
            paths.insert(0, str(self.fakes))
            if has_own_mounts():
                script = f'mount -t tmpfs -o size=1M none "{self.hidden}" && exec "$@"'
                command = ["unshare", "--map-root-user", "--mount", "sh", "-c", script, "sh",
                           *command]  # fmt: skip
        variables = _QUICK | self.secrets.environment()
        log = self.folder.with_suffix(f".{node}.log")
        with log.open("wb") as stream:
            self._nodes[node] = subprocess.Popen(
                command,
                env=os.environ | variables | {"PYTHONPATH": os.pathsep.join(paths)},
                stdout=stream,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        until = time.monotonic() + _PATIENCE
        while b"Ray runtime started" not in log.read_bytes():
            assert time.monotonic() < until and self._nodes[node].poll() is None, log.read_text()
            time.sleep(0.1)


@contextmanager
def two_nodes(folder: Path, modules: Path) -> Iterator[TwoNodes]:
    """Start a cluster of two nodes for the time of the block.

    Args:
        folder: empty; for the folders that the nodes see differently.
        modules: both nodes import pieces of work from there.
    """
    for name in ("hidden", "fakes"):
        (folder / name).mkdir()
    secrets = LocalSecrets()
    with tempfile.TemporaryDirectory(prefix="cn2-", dir="/tmp") as short:
        nodes = TwoNodes(Path(short) / "ray", secrets, folder / "hidden", folder / "fakes", modules)
        # the test itself connects to the cluster
        ours = {"RAY_AUTH_TOKEN": secrets.token, "RAY_AUTH_MODE": "token"}
        before = {name: os.environ.get(name) for name in ours}
        os.environ.update(ours)
        try:
            nodes.start()
            yield nodes
        finally:
            nodes.end()
            for name, value in before.items():
                os.environ.pop(name, None)
                if value is not None:
                    os.environ[name] = value


def _descendants(process: int) -> list[int]:
    """Return the children of a process, and theirs."""
    parents: dict[int, list[int]] = {}
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            words = (entry / "stat").read_text().rpartition(")")[2].split()
        except OSError:  # it has ended
            continue
        parents.setdefault(int(words[1]), []).append(int(entry.name))
    found = list(parents.get(process, []))
    for child in found:
        found += parents.get(child, [])
    return found
