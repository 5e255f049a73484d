"""Serve the page of one scene until the command is stopped."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from threadpoolctl import threadpool_limits

from clusternet.errors import SettingsError
from clusternet.files.outputs import check_apart
from clusternet.interactive.access import Access, Guard, answering, free_port
from clusternet.interactive.autosave import STROKES
from clusternet.interactive.project import Project
from clusternet.interactive.served import Served
from clusternet.interactive.workspace import Workspace
from clusternet.learning.mapping import DEFAULT_SMOOTH
from clusternet.learning.rules import DEFAULT_RULE
from clusternet.prediction.feature_cache import scene_folder
from clusternet.processes.interrupts import interrupts
from clusternet.raster.backdrop import write_view
from clusternet.raster.finding import find_scenes, is_one_raster
from clusternet.raster.pyramid import build_pyramid
from clusternet.training.run import load_run

if TYPE_CHECKING:
    from clusternet.interactive.tiles import ImageTiles

_GET = "pip install -e '.[interactive]'."
_VIEW = "backdrop.vrt"
_FILES_PER_SCENE = 48  # that stay open: 8 of features, and the raster in each thread that reads it
_OTHER_FILES = 500  # libraries, connections of browsers
_LOOK_EVERY = 0.2  # seconds between two checks whether the command is to stop


@dataclass(frozen=True)
class PageOptions:
    """How a scene is served."""

    strokes: Path | None = None
    """File of strokes to start from; None takes those that were saved with the scene."""
    class_field: str | None = None
    """Field of the strokes that holds the class."""
    layer: str | None = None
    """Layer of the strokes, in a file that holds several."""
    rule: str = DEFAULT_RULE
    """Name of the rule that turns strokes into classes, see `clusternet.learning.rules`."""
    smooth: int = DEFAULT_SMOOTH
    """Side in pixels of the smoothing, see `clusternet.learning.mapping.classify`."""
    cache_folder: Path | None = None
    """Where the scene's features are kept; None means beside the run."""
    host: str = "127.0.0.1"
    """Address to listen at."""
    port: int = 8080
    """Port to listen at, 0 for a free one."""
    browser: bool = True
    """Open the page in the default browser."""
    backdrop: Path | None = None
    """Another raster of the same place, which pages can show behind the classes."""


def serve(
    run: Path,
    rasters: Path | Sequence[Path],
    options: PageOptions,
    *,
    announce: Callable[[str], object] = lambda line: None,
) -> None:
    """Serve the page of one scene, or of several that are learned from together, until Ctrl-C.

    Args:
        run: run folder.
        rasters: the scene, or several of the run.
        options: what to start from, and where to serve it.
        announce: called with the address of the page once the server answers.

    Raises:
        SettingsError: if the extra is not installed, or the port is in use.
        ClusterNetError: if run, rasters and strokes do not belong together, or another server has
            a scene open.
    """
    _check_extra()
    port = free_port(options.host, options.port)
    given = (rasters,) if isinstance(rasters, Path) else rasters
    with interrupts.listening(), ExitStack() as stack:
        workspaces = []
        paths = _find(run, given)
        _allow_files(len(paths))
        for path in paths:
            interrupts.check()
            workspaces.append(_open(run, path, options))
            stack.callback(workspaces[-1].lock.release)
        # Several tiles are computed at the same time, each in a thread. If BLAS also split each
        # small matrix product into threads, there would be more threads than cores.
        limits = threadpool_limits(1)
        stack.callback(limits.restore_original_limits)
        _load_extra()
        served = _served(run, workspaces, options)
        stack.callback(served.stop)  # uvicorn may be cut short by a second Ctrl-C
        for workspace in workspaces:
            workspace.filling.load_network()
        access = Access.at(options.host, port)
        for workspace in workspaces:
            workspace.lock.tell(access.address)  # a second server names it when it refuses
        free_port(access.host, port)  # another program may have taken it meanwhile
        opened = f"{access.address}{access.entrance}".removesuffix("/")
        _run_server(served, access, options.browser, lambda: announce(opened))
        served.stop()
        served.check_saved()
    # All is saved. Python would take seconds to tidy up what TensorFlow has made.
    interrupts.leave(0)


def _find(run: Path, rasters: Sequence[Path]) -> list[Path]:
    """Return the scenes that were named, each as one raster."""
    rule = load_run(run).bands.scene
    paths = [
        path
        for given in rasters
        for path in find_scenes(given, None if is_one_raster(given) else rule)
    ]
    names = [scene_folder(run, path) for path in paths]
    for path, name in zip(paths, names, strict=True):
        if names.count(name) > 1:
            raise SettingsError(f"{path}: named twice; name each raster once.")
    return paths


def _allow_files(num_scenes: int) -> None:
    """Raise the limit of open files, where that is allowed, so that all scenes can be open."""
    if sys.platform == "win32":
        return
    import resource  # which Windows lacks

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = num_scenes * _FILES_PER_SCENE + _OTHER_FILES
    if hard != resource.RLIM_INFINITY:
        wanted = min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with suppress(OSError, ValueError):  # macOS has another limit, which it does not tell
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _open(run: Path, raster: Path, options: PageOptions) -> Workspace:
    return Workspace(
        run, raster, rule=options.rule, smooth=options.smooth, cache_folder=options.cache_folder
    )


def _served(run: Path, workspaces: Sequence[Workspace], options: PageOptions) -> Served:
    """Load the strokes that were asked for, and open what is shown first."""
    from clusternet.interactive.tiles import ImageTiles

    first = workspaces[0]
    project = Project(workspaces, run) if len(workspaces) > 1 else None
    if options.strokes is not None:
        check_apart([w.folder / STROKES for w in workspaces], (options.strokes,))
        first.load(options.strokes, class_field=options.class_field, layer=options.layer)
    choice = first.run.bands.nodata_choice.of_pixels
    images = ImageTiles(build_pyramid(first.raster_path, first.folder), choice)
    if options.backdrop is not None:
        images.backdrop = _backdrop(options.backdrop, first)
    return Served(workspaces, images, project)


def _backdrop(raster: Path, workspace: Workspace) -> ImageTiles:
    """Return the tiles of another raster on the grid of the scene."""
    from clusternet.interactive.tiles import ImageTiles

    check_apart((workspace.folder,), (raster,))
    view = workspace.folder / _VIEW
    write_view(raster, workspace.profile, view)
    tiles = ImageTiles(view)
    tiles.name = raster.name
    return tiles


def _check_extra() -> None:
    """Look whether the packages of the extra are there; loading them takes seconds."""
    for name in ("nicegui", "rio_tiler"):
        if find_spec(name) is None:
            raise SettingsError(f"The page needs a package that is not installed ({name}); {_GET}")


def _load_extra() -> None:
    try:
        import clusternet.interactive.page
        import clusternet.interactive.server
        import clusternet.interactive.tiles  # noqa: F401
    except ImportError as error:
        raise SettingsError(
            f"The page needs a package that is not installed ({error.name}); {_GET}"
        ) from error


def _run_server(
    served: Served, access: Access, browser: bool, announce: Callable[[], object]
) -> None:
    from nicegui import app, ui

    from clusternet.interactive.page import build_page
    from clusternet.interactive.server import add_routes

    async def shut_down_on_request() -> None:
        while not interrupts.requested:  # uvicorn handles SIGINT and SIGTERM, not SIGHUP
            await asyncio.sleep(_LOOK_EVERY)
        # at once: a second Ctrl-C, while open requests are awaited, ends the process
        await asyncio.to_thread(served.save)
        app.shutdown()

    async def announce_when_ready() -> None:
        await answering(access)
        announce()

    add_routes(app, served)
    app.add_middleware(Guard, access=access)
    app.on_startup(served.start)
    app.on_startup(announce_when_ready)
    app.on_startup(shut_down_on_request)
    app.on_shutdown(served.stop)
    name = served.workspaces[0].raster_path.name
    ui.run(
        lambda: build_page(served), host=access.host, port=access.port,
        show=access.entrance if browser else False, reload=False,
        title=f"{name if len(served) == 1 else f'{len(served)} scenes'} - ClusterNet",
        favicon="🛰️", show_welcome_message=False, dark=True,
    )  # fmt: skip
