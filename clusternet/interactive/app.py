"""Serve the page: a person draws strokes in the browser, and the class map follows."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
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


def serve(
    run: Path,
    raster: Path,
    *,
    strokes: Path | None = None,
    class_field: str | None = None,
    layer: str | None = None,
    rule: str = DEFAULT_RULE,
    smooth: int = DEFAULT_SMOOTH,
    cache_folder: Path | None = None,
    host: str = "127.0.0.1",
    port: int = 8080,
    browser: bool = True,
    announce: Callable[[str], object] = lambda line: None,
) -> None:
    """Serve the page of one scene until Ctrl-C.

    Args:
        run: run folder.
        raster: the scene.
        strokes: strokes to start from, instead of those of the last sitting.
        class_field: field of the strokes that holds the class.
        layer: of the strokes.
        rule: see `clusternet.learning.rules`.
        smooth: see `clusternet.learning.mapping.classify`.
        cache_folder: where the scene's features are kept; None means beside the run.
        host: address to listen at.
        port: port to listen at, 0 for a free one.
        browser: open the page in the default browser.
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
        workspace = Workspace(run, raster, rule=rule, smooth=smooth, cache_folder=cache_folder)
        # Tiles are computed side by side; products of their small matrices in threads of their own
        # would only get into each other's way.
        limits = threadpool_limits(1)
        try:
            port = free_port(host, port)
            if strokes is not None:
                check_apart((workspace.folder / STROKES,), (strokes,))
                workspace.load(strokes, class_field=class_field, layer=layer)
            choice = workspace.run.bands.nodata_choice
            images = ImageTiles(build_pyramid(raster, workspace.folder), choice)
            workspace.load_network()
            access = Access.at(host, port)
            workspace.lock.tell(access.address)  # which others may read
            opened = f"{access.address}{access.entrance}".removesuffix("/")
            _run_server(workspace, images, access, browser, lambda: announce(opened))
        finally:
            limits.restore_original_limits()
            workspace.lock.release()


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
