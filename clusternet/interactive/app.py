"""Serve the page: a person draws strokes in the browser, and the class map follows."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from threadpoolctl import threadpool_limits

from clusternet.errors import SettingsError
from clusternet.files import check_apart
from clusternet.interactive.autosave import STROKES
from clusternet.interactive.mapping import DEFAULT_SMOOTH
from clusternet.interactive.rules import DEFAULT_RULE
from clusternet.interactive.workspace import Workspace
from clusternet.interrupts import interrupts
from clusternet.raster.pyramid import build_pyramid

if TYPE_CHECKING:
    from clusternet.interactive.tiles import ImageTiles

_Message = dict[str, Any]
_Receive = Callable[[], Awaitable[_Message]]
_Send = Callable[[_Message], Awaitable[None]]
_Application = Callable[[_Message, _Receive, _Send], Awaitable[None]]

_LOOK_EVERY = 0.2  # seconds


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
        rule: see `clusternet.interactive.rules`.
        smooth: see `clusternet.interactive.mapping.classify`.
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
            address = f"http://{_shown(host)}:{port}"
            workspace.lock.tell(address)
            _run_server(workspace, images, host, port, browser, lambda: announce(address))
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
    host: str,
    port: int,
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
    app.add_middleware(_OnlyThisAddress, host=host)
    app.on_startup(workspace.start)
    app.on_startup(announce)
    app.on_startup(end_when_asked)
    app.on_shutdown(workspace.stop)
    ui.run(
        lambda: build_page(workspace, images), host=host, port=port, show=browser, reload=False,
        title=f"{workspace.raster_path.name} - ClusterNet", favicon="🛰️",
        show_welcome_message=False, dark=True,
    )  # fmt: skip


def _shown(host: str) -> str:
    if host in ("0.0.0.0", "::"):  # noqa: S104
        return "127.0.0.1"
    return f"[{host}]" if ":" in host else host


class _OnlyThisAddress:
    """Answers only requests that name this server.

    A foreign page open in the same browser could otherwise reach it under a name of its own
    that points here (DNS rebinding).
    """

    def __init__(self, app: _Application, host: str) -> None:
        self._app = app
        local = host in ("127.0.0.1", "localhost", "::1")
        self._allowed = {"127.0.0.1", "localhost", "[::1]", host} if local else None

    async def __call__(self, scope: _Message, receive: _Receive, send: _Send) -> None:
        if self._allowed is not None and scope["type"] in ("http", "websocket"):
            headers = dict(scope["headers"])
            host = headers.get(b"host", b"").decode("latin-1").rsplit(":", 1)[0]
            origin = headers.get(b"origin", b"").decode("latin-1")
            name = origin.split("://", 1)[-1].rsplit(":", 1)[0] if origin else host
            if host not in self._allowed or name not in self._allowed:
                if scope["type"] == "http":
                    await send({"type": "http.response.start", "status": 403, "headers": []})
                    await send({"type": "http.response.body", "body": b"not here"})
                else:
                    await send({"type": "websocket.close", "code": 1008})
                return
        await self._app(scope, receive, send)
