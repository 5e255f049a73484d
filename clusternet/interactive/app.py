"""Serve the page of one scene until the command is stopped."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from threadpoolctl import threadpool_limits

from clusternet.errors import SettingsError
from clusternet.files.outputs import check_apart
from clusternet.interactive.access import Access, Guard
from clusternet.interactive.autosave import STROKES
from clusternet.interactive.workspace import Workspace
from clusternet.learning.mapping import DEFAULT_SMOOTH
from clusternet.learning.rules import DEFAULT_RULE
from clusternet.processes.interrupts import interrupts
from clusternet.raster.backdrop import write_view
from clusternet.raster.pyramid import build_pyramid

if TYPE_CHECKING:
    from clusternet.interactive.tiles import ImageTiles

_VIEW = "backdrop.vrt"
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
    raster: Path,
    options: PageOptions,
    *,
    announce: Callable[[str], object] = lambda line: None,
) -> None:
    """Serve the page of one scene until Ctrl-C.

    Args:
        run: run folder.
        raster: the scene.
        options: what to start from, and where to serve it.
        announce: called with the address of the page once the server answers.

    Raises:
        SettingsError: if the extra is not installed, or the port is in use.
        ClusterNetError: if run, raster and strokes do not belong together, or another server has
            the scene open.
    """
    _load_extra()
    from clusternet.interactive.server import free_port
    from clusternet.interactive.tiles import ImageTiles

    with interrupts.listening():
        workspace = Workspace(
            run,
            raster,
            rule=options.rule,
            smooth=options.smooth,
            cache_folder=options.cache_folder,
        )
        # Several tiles are computed at the same time, each in a thread. If BLAS also split each
        # small matrix product into threads, there would be more threads than cores.
        limits = threadpool_limits(1)
        try:
            port = free_port(options.host, options.port)
            if options.strokes is not None:
                check_apart((workspace.folder / STROKES,), (options.strokes,))
                workspace.load(
                    options.strokes, class_field=options.class_field, layer=options.layer
                )
            choice = workspace.run.bands.nodata_choice.of_pixels
            images = ImageTiles(build_pyramid(workspace.raster_path, workspace.folder), choice)
            if options.backdrop is not None:
                images.backdrop = _backdrop(options.backdrop, workspace)
            workspace.filling.load_network()
            access = Access.at(options.host, port)
            workspace.lock.tell(access.address)  # a second server names it when it refuses
            opened = f"{access.address}{access.entrance}".removesuffix("/")
            _run_server(workspace, images, access, options.browser, lambda: announce(opened))
        finally:
            limits.restore_original_limits()
            workspace.lock.release()
    # All is saved. Python would take seconds to tidy up what TensorFlow has made.
    interrupts.leave(0)


def _backdrop(raster: Path, workspace: Workspace) -> ImageTiles:
    """Return the tiles of another raster on the grid of the scene."""
    from clusternet.interactive.tiles import ImageTiles

    check_apart((workspace.folder,), (raster,))
    view = workspace.folder / _VIEW
    write_view(raster, workspace.profile, view)
    tiles = ImageTiles(view)
    tiles.name = raster.name
    return tiles


def _load_extra() -> None:
    try:
        import clusternet.interactive.page
        import clusternet.interactive.server
        import clusternet.interactive.tiles  # noqa: F401
    except ImportError as error:
        raise SettingsError(
            f"The page needs a package that is not installed ({error.name}); "
            "pip install -e '.[interactive]'."
        ) from error


def _run_server(
    workspace: Workspace,
    images: ImageTiles,
    access: Access,
    browser: bool,
    announce: Callable[[], object],
) -> None:
    from nicegui import app, ui

    from clusternet.interactive.page import build_page
    from clusternet.interactive.server import add_routes

    async def shut_down_on_request() -> None:
        while not interrupts.requested:  # uvicorn handles SIGINT and SIGTERM, not SIGHUP
            await asyncio.sleep(_LOOK_EVERY)
        app.shutdown()

    add_routes(app, workspace, images)
    app.add_middleware(Guard, access=access)
    app.on_startup(workspace.start)
    app.on_startup(announce)
    app.on_startup(shut_down_on_request)
    app.on_shutdown(workspace.stop)
    ui.run(
        lambda: build_page(workspace, images), host=access.host, port=access.port,
        show=access.entrance if browser else False, reload=False,
        title=f"{workspace.raster_path.name} - ClusterNet", favicon="🛰️",
        show_welcome_message=False, dark=True,
    )  # fmt: skip
