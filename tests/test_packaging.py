"""What a wheel holds: all files of the package, the command, and the extras that docs name."""

from __future__ import annotations

import ast
import configparser
from fnmatch import fnmatch
from pathlib import Path

from conftest import ROOT

PACKAGE = ROOT / "clusternet"
SETUP = configparser.ConfigParser(interpolation=None)
SETUP.read(ROOT / "setup.cfg", encoding="utf-8")


def patterns() -> list[str]:
    """Return the patterns of package data, relative to the package."""
    return [
        "/".join((*name.split(".")[1:], pattern.strip()))
        for name, text in SETUP["options.package_data"].items()
        for pattern in text.replace(",", "\n").split("\n")
        if pattern.strip()
    ]


def other_files() -> list[Path]:
    """Return the files of the package that are no modules, relative to it."""
    files = (path for path in PACKAGE.rglob("*") if path.is_file() and path.suffix != ".py")
    return [path.relative_to(PACKAGE) for path in files if "__pycache__" not in path.parts]


def is_matched(path: Path, pattern: str) -> bool:
    """Tell whether setuptools takes a file; ``*`` matches no ``/``."""
    parts, wanted = path.as_posix().split("/"), pattern.split("/")
    return len(parts) == len(wanted) and all(map(fnmatch, parts, wanted))


def test_a_wheel_holds_the_styles_and_scripts_of_pages() -> None:
    found = other_files()
    assert any(path.suffix == ".css" for path in found)
    assert any(path.suffix == ".js" for path in found)
    lost = [path for path in found if not any(is_matched(path, one) for one in patterns())]
    assert lost == []


def test_every_folder_with_modules_is_a_package() -> None:
    folders = {path.parent for path in PACKAGE.rglob("*.py")}
    assert [folder for folder in folders if not (folder / "__init__.py").is_file()] == []


def test_the_extras_are_there() -> None:
    extras = SETUP["options.extras_require"]
    assert {"interactive", "distributed", "backbones", "qgis", "dev"} <= set(extras)


def test_the_command_is_that_of_the_package() -> None:
    from clusternet.__main__ import run

    scripts = SETUP["options.entry_points"]["console_scripts"].strip()
    assert scripts == f"clusternet = {run.__module__}:{run.__name__}"


def test_what_is_required_is_pinned_for_the_tests() -> None:
    pinned = (ROOT / "requirements.txt").read_text(encoding="utf-8").lower()
    for line in SETUP["options"]["install_requires"].strip().splitlines():
        name = line.split(">")[0].split(";")[0].strip().lower()
        assert f"\n{name}==" in pinned, name


# --- systems other than POSIX

_MODULES = {"fcntl", "resource", "pwd", "grp", "termios", "tty", "pty", "syslog"}
_OS = (
    "chown chroot ctermid fchdir fchmod fchown fork forkpty getegid geteuid getgid getgroups "
    "getloadavg getpgid getpgrp getpriority getsid getuid getxattr killpg lchown lockf "
    "major mkfifo mknod nice openpty pipe2 posix_fadvise posix_fallocate posix_spawn pread pwrite "
    "register_at_fork sched_getaffinity sched_setaffinity sched_yield sendfile set_blocking setgid "
    "setpgid setpriority setsid setuid setxattr statvfs fstatvfs sync sysconf tcgetpgrp uname wait "
    "wait3 wait4 WNOHANG O_CLOEXEC O_DIRECTORY O_NOFOLLOW O_NONBLOCK O_SYNC"
)
_SIGNAL = (
    "SIGALRM SIGCHLD SIGCONT SIGHUP SIGKILL SIGPIPE SIGQUIT SIGSTOP SIGTSTP SIGUSR1 SIGUSR2 "
    "SIGWINCH SIGXCPU alarm getitimer pause pthread_kill pthread_sigmask setitimer siginterrupt "
    "sigpending sigtimedwait sigwait"
)
_CALLS = {
    *(f"os.{name}" for name in _OS.split()), *(f"signal.{name}" for name in _SIGNAL.split()),
    "select.epoll", "select.kqueue", "select.poll", "socket.AF_UNIX", "time.tzset",
}  # fmt: skip
_BRANCHES = (
    "win32", "os.name", "_ON_WINDOWS", "hasattr(os", "hasattr(signal", "getattr(signal", "is None",
)  # fmt: skip


def branches(node: ast.AST) -> bool:
    """Tell whether code asks which system it runs on, or lets an import fail."""
    return isinstance(node, ast.Try) or any(text in ast.unparse(node) for text in _BRANCHES)


def posix_only(path: Path) -> list[str]:
    """Return what only POSIX has, and is used where the code around it does not ask for that."""
    found = []
    for block in ast.parse(path.read_text(encoding="utf-8")).body:
        for node in ast.walk(block):
            names = {alias.name for alias in node.names} if isinstance(node, ast.Import) else set()
            if isinstance(node, ast.ImportFrom):
                names = {node.module or ""} | {f"{node.module}.{a.name}" for a in node.names}
            if isinstance(node, ast.Attribute):
                names = {ast.unparse(node)} & _CALLS
            found += [name for name in names & (_MODULES | _CALLS) if not branches(block)]
    return found


def test_what_only_posix_has_is_used_in_a_branch() -> None:
    sources = [*PACKAGE.rglob("*.py"), *(ROOT / "qgis").rglob("*.py")]
    assert {path: found for path in sources if (found := posix_only(path))} == {}
