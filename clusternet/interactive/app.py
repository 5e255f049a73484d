"""Serve the page: a person draws strokes in the browser, and the class map follows."""

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
from clusternet.raster.pyramid import build_pyramid

if TYPE_CHECKING:
    from clusternet.interactive.tiles import ImageTiles

_LOOK_EVERY = 0.2  # seconds: how often the server asks whether it is to end


@dataclass(frozen=True)
class PageOptions:
    """How a scene is served."""

    strokes: Path | None = None
    """Strokes to start from, instead of those of the last sitting."""
    class_field: str | None = None
    """Field of the strokes that holds the class."""
    layer: str | None = None
    """Of the strokes."""
    rule: str = DEFAULT_RULE
    """See `clusternet.classes.rules`."""
    smooth: int = DEFAULT_SMOOTH
    """See `clusternet.classes.mapping.classify`."""
    cache_folder: Path | None = None
    """Where the scene's features are kept; None means beside the run."""
    host: str = "127.0.0.1"
    """Address to listen at."""
    port: int = 8080
    """Port to listen at, 0 for a free one."""
    browser: bool = True
    """Open the page in the default browser."""


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
        announce: is told the page's address once it answers there.

    Raises:
        SettingsError: if the extra is not installed, or the port is in use.
        ClusterNetError: if run, raster and strokes do not fit each other, or another server works
            on the scene.
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
        # Tiles are computed side by side; products of their small matrices in threads of their own
        # would only get into each other's way.
        limits = threadpool_limits(1)
        try:
            port = free_port(options.host, options.port)
            if options.strokes is not None:
                check_apart((workspace.folder / STROKES,), (options.strokes,))
                workspace.load(
                    options.strokes, class_field=options.class_field, layer=options.layer
                )
            choice = workspace.run.bands.nodata_choice
            images = ImageTiles(build_pyramid(raster, workspace.folder), choice)
            workspace.load_network()
            access = Access.at(options.host, port)
            workspace.lock.tell(access.address)  # which others may read
            opened = f"{access.address}{access.entrance}".removesuffix("/")
            _run_server(workspace, images, access, options.browser, lambda: announce(opened))
        finally:
            limits.restore_original_limits()
            workspace.lock.release()
    # All is saved. Python would take seconds to tidy up what TensorFlow has made.
    interrupts.leave(0)


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

    async def end_when_asked() -> None:
        while not interrupts.requested:  # the server knows Ctrl-C and SIGTERM, but not SIGHUP
            await asyncio.sleep(_LOOK_EVERY)
        app.shutdown()

    add_routes(app, workspace, images)
    app.add_middleware(Guard, access=access)
    app.on_startup(workspace.start)
    app.on_startup(announce)
    app.on_startup(end_when_asked)
    app.on_shutdown(workspace.stop)
    ui.run(
        lambda: build_page(workspace, images), host=access.host, port=access.port,
        show=access.entrance if browser else False, reload=False,
        title=f"{workspace.raster_path.name} - ClusterNet", favicon="🛰️",
        show_welcome_message=False, dark=True,
    )  # fmt: skip
