"""The page: the map with its toolbar, kept up to date with the workspace."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from nicegui import run, ui
from nicegui.events import GenericEventArguments

from clusternet.colours import as_hex
from clusternet.foreign_errors import mistake
from clusternet.interactive.accuracy import AccuracyCard
from clusternet.interactive.class_dialog import ClassDialog
from clusternet.interactive.drawing_tools import DrawingTools
from clusternet.interactive.export_dialog import ExportDialog
from clusternet.interactive.load_dialog import LoadDialog
from clusternet.interactive.panel import Panel
from clusternet.interactive.scene_map import SceneMap, shown_parts
from clusternet.interactive.served import Served
from clusternet.interactive.session import Session
from clusternet.interactive.shortcuts import Shortcuts
from clusternet.interactive.task_cards import TaskCards
from clusternet.interactive.tiles import ImageTiles
from clusternet.interactive.toolbar import Toolbar
from clusternet.interactive.view import View
from clusternet.interactive.workspace import Workspace
from clusternet.legend.land_classes import LandClass
from clusternet.messages import MOST, printable, short, without_flags
from clusternet.raster.world import pixel_metres

NotifyType = Literal["positive", "warning", "info"]
_OUR_FAULT = (
    "That failed by a fault of ClusterNet; your strokes are kept. Please report what the terminal "
    "says."
)
_STYLE = Path(__file__).with_name("page.css")


async def build_page(served: Served) -> None:
    """Build the page for one browser tab; the address says which scene it shows."""
    client = ui.context.client
    request = client.request
    number = served.number(request.query_params.get("scene") if request is not None else None)
    if served.is_ready(number):
        Page(served.workspaces[number], served.images(number), served, number).build()
        return
    told = ui.label("Preparing this scene for the screen, once ...").classes("q-ma-lg")
    await client.connected()
    try:
        await run.io_bound(served.images, number)
    except Exception as error:
        line = mistake(error)
        if line is None:
            raise
        told.text = without_flags(line)
        return
    ui.navigate.reload()


class Page:
    """The page in one browser tab, with its own tool, pen, chosen class and layers shown."""

    def __init__(
        self,
        workspace: Workspace,
        images: ImageTiles,
        served: Served | None = None,
        number: int = 0,
    ) -> None:
        """Start with the first class, the pen, and all layers but the uncertain places."""
        self.workspace, self.images, self.served, self.number = workspace, images, served, number
        self.workspaces = served.workspaces if served is not None else (workspace,)
        self.look = images.first_look()
        self.chosen = workspace.drawing.classes[0].number if workspace.drawing.classes else 0
        self.tool, self.brush, self.draws_checks = "draw", 12, False
        self.opacity = 0.55
        self.show_classes, self.show_doubt, self.show_strokes = True, False, True
        self._seen = -1
        self._seen_strokes: object = None

    def build(self) -> None:
        """Lay out the page."""
        self.client = ui.context.client
        self.workspace.show_to(True)
        self.client.on_delete(lambda: self.workspace.show_to(False))
        ui.add_css(_STYLE.read_text(encoding="utf-8"))
        with ui.element("div").classes("workbench"):
            with ui.element("div").classes("stage"):
                self.map = SceneMap(self._scene())
                self.tools = DrawingTools(self)
                self.view = View(self)
                self.toolbar = Toolbar(self)
                with ui.element("div").classes("status"):
                    ui.html('<span id="position">&nbsp;</span>', sanitize=False)
                    ui.html('<span id="values"></span>', sanitize=False)
                    self.timing = ui.label("").mark("timing")
                self.hint = ui.label("").classes("hint")
                self.accuracy = AccuracyCard(self)
                self.cards = TaskCards(self)
            self.export_dialog, self.load_dialog = ExportDialog(self), LoadDialog(self)
            self.class_dialog = ClassDialog(self)
            self.panel = Panel(self)
        self.shortcuts = Shortcuts(self)
        self.map.on("ready", self._ready)
        self.map.on("key", self.shortcuts.press)
        self.map.on("updated", self._updated)
        ui.timer(0.1, self.refresh)  # seconds; changes come from other pages and threads too

    def _scene(self) -> dict[str, Any]:
        profile = self.workspace.profile
        t = profile.transform
        return {
            "rows": profile.shape[0], "cols": profile.shape[1], "max_zoom": self.images.max_zoom,
            "transform": [t.a, t.b, t.c, t.d, t.e, t.f],
            "georeferenced": profile.is_georeferenced,
            "degrees": profile.crs is not None and profile.crs.is_geographic,
            "pixel_metres": pixel_metres(profile), "number": self.number,
        }  # fmt: skip

    @property
    def chosen_class(self) -> LandClass | None:
        """The class that the pen draws, None if there is no class."""
        classes = self.workspace.drawing.classes
        return next((c for c in classes if c.number == self.chosen), None)

    @property
    def pen_colour(self) -> str:
        """The colour of the chosen class, as #rrggbb."""
        land_class = self.chosen_class
        return as_hex(land_class.colour) if land_class else "#888888"

    # --- actions of the user -----------------------------------------------------------------
    def use(self, *, tool: str | None = None, brush: int | None = None) -> None:
        """Select a tool or a pen width in screen pixels."""
        self.tool = tool or self.tool
        if self.tool != "pick":
            self.tools.let_go()
        if brush is not None:
            self.brush = min(max(brush, 3), 60)
        self._show_tool()

    async def choose(self, number: int) -> None:
        """Select the class to draw, by its number; a stroke that is picked gets this class."""
        if all(c.number != number for c in self.workspace.drawing.classes):
            return  # another page has just removed it
        self.chosen = number
        await self.tools.give_class(number)
        self._use_drawing_tool()
        self.panel.refresh()

    def _use_drawing_tool(self) -> None:
        """Select the pen if the tool in use draws nothing."""
        self.use(tool="draw" if self.tool in ("erase", "pan") else None)

    async def change(self, step: Any) -> bool:
        """Change the drawing by ``step(session)`` and show the new map; False if it failed."""
        if not await self.attempt(self.workspace.change, step, self.owner):
            return False
        self.refresh()
        return True

    async def undo(self, step: Callable[[Session], object] = Session.undo) -> None:
        """Take back the last step that was made on this page, or bring it back."""
        session = self.workspace.session
        history, before = session.history, session.whole
        can = history.can_undo if step is Session.undo else history.can_redo
        if can(self.owner) and await self.change(step) and session.whole == before:
            self.say("Another page has changed that since, so it stays.")

    @property
    def owner(self) -> str:
        """The name of the browser tab, also after a reload; it can take back its own steps."""
        return str(self.client.tab_id or self.client.id)

    async def attempt(
        self, work: Callable[..., object], *given: object, called: str = "", **more: object
    ) -> bool:
        """Call a function in another thread, and show a mistake of the user on the page.

        Args:
            work: the function.
            given: its positional arguments.
            called: name for the first argument in the message, if that is a temporary file.
            more: its keyword arguments.

        Returns:
            False if the function failed by a mistake of the user.
        """
        done = False
        with self.telling({str(given[0]): called} if called else {}):
            await run.io_bound(work, *given, **more)
            done = True
        return done

    @contextmanager
    def telling(self, names: Mapping[str, str] | None = None) -> Iterator[None]:
        """Show on the page why the block failed; only mistakes of the user end here.

        Args:
            names: what paths are called on the page, such as those of temporary files.
        """
        try:
            yield
        except Exception as error:
            line = mistake(error)
            if line is None:
                self.warn(_OUR_FAULT)
                raise
            for path, name in (names or {}).items():
                line = line.replace(path, name)
            self.warn(line)

    def warn(self, line: str) -> None:
        """Say what went wrong; flags of the command line are of no use here."""
        raster = self.workspace.raster_path
        line = without_flags(line.replace(str(raster), raster.name))
        self.say(short(printable(line), MOST), "warning")

    def say(self, text: str, kind: NotifyType = "info") -> None:
        """Say something on the page, unless it was closed meanwhile."""
        with self.on_page() as is_open:
            if is_open:
                ui.notify(text, type=kind)

    @contextmanager
    def on_page(self) -> Iterator[bool]:
        """Put what is made within on the page itself: the row that asked for it may be gone.

        Yields:
            False if the page was closed meanwhile; then nothing must be made.
        """
        if self.client.is_deleted:
            yield False
            return
        with self.client:
            yield True

    def toggle_checks(self) -> None:
        """Draw strokes that are held back as a check, or those that are learned."""
        self.draws_checks = not self.draws_checks
        self._use_drawing_tool()
        self.accuracy.refresh()

    async def draw_weakest(self) -> None:
        """Go to where more strokes of the class would help that is found worst."""
        weakest = self.accuracy.weakest()
        if weakest is None:
            self.say("Draw strokes of two classes first; then press J again.")
            return
        await self.draw_more(weakest.number)

    async def draw_more(self, number: int) -> None:
        """Choose a class, and move the map to where it is least certain."""
        await self.choose(number)
        await self.suggest(number)

    async def suggest(self, land_class: int | None = None) -> None:
        """Move the map to the window where the classes, or one of them, are least certain."""
        window = await run.io_bound(self.workspace.suggest, land_class)
        if window is None:
            mapped = self.workspace.classifier is not None
            self.say(
                "That was every region without a stroke; S starts over."
                if mapped else "Draw strokes of two classes first; then press S again.",
            )  # fmt: skip
            return
        self.map.run_method("goTo", window.row, window.col, window.height, window.width)

    def _updated(self, event: GenericEventArguments) -> None:
        self.timing.text = f"updated in {event.args['ms']} ms"

    def _ready(self, event: GenericEventArguments) -> None:
        self._seen, self._seen_strokes = -1, None
        self.view.begin(event.args["theme"])
        self.refresh()

    # --- what is shown -----------------------------------------------------------------------
    def refresh(self) -> None:
        """Show what has changed since the last call, on this page or another one."""
        workspace = self.workspace
        if self._seen == workspace.revision or self.client.is_deleted:
            return
        self._seen = workspace.revision
        drawing = workspace.drawing
        if drawing.classes and all(c.number != self.chosen for c in drawing.classes):
            self.chosen = drawing.classes[0].number
        self.show_layers()
        if self._seen_strokes is not drawing:
            self._seen_strokes = drawing
            self.show_strokes_again()
        self._show_tool()
        touched = {s.land_class for s in drawing.strokes}
        self.hint.set_visibility(len(touched) < 2)
        self.hint.text = (
            "Choose a class on the right and draw a stroke on it, then the next"
            if not touched else "Now choose another class, and draw a stroke on that"
        )  # fmt: skip
        self.panel.refresh()
        self.accuracy.refresh()

    def show_layers(self) -> None:
        """Show, hide and reload the tile layers as this page has them switched."""
        low, high = self.look.percentiles
        bands = ",".join(map(str, self.look.bands))
        # Browsers cache image tiles by their address, so it names the scene, bands and stretch.
        look = f"scene={self.number}&of={self.images.key}&bands={bands}&low={low}&high={high}"
        image = f"/image/{{z}}/{{x}}/{{y}}.png?{look}"
        self.map.run_method("show", "image", image, 1)
        mapped = self.workspace.is_mapped
        version = self.workspace.map_revision  # a new address makes Leaflet load the tiles anew
        which = f"scene={self.number}&v={version}"
        classes = f"/classes/{{z}}/{{x}}/{{y}}.png?{which}" if mapped else None
        doubt = f"/doubt/{{z}}/{{x}}/{{y}}.png?{which}" if mapped else None
        self.map.run_method("show", "classes", classes if self.show_classes else None, self.opacity)
        self.map.run_method("show", "doubt", doubt if self.show_doubt else None, 0.9)

    def _show_tool(self) -> None:
        self.toolbar.refresh()
        settings = {"tool": self.tool, "brush": self.brush, "colour": self.pen_colour,
                    "strokesVisible": self.show_strokes}  # fmt: skip
        self.map.run_method("setTool", settings)

    def show_strokes_again(self) -> None:
        """Show the strokes, and which of them is picked."""
        drawing = self.workspace.drawing
        colours = {c.number: as_hex(c.colour) for c in drawing.classes}
        keys, picked = self.tools.show(drawing.strokes)
        shown = [
            {"key": key, "parts": shown_parts(stroke.geometry), "width": stroke.width,
             "area": stroke.geometry.geom_type.endswith("Polygon"),
             "colour": colours[stroke.land_class], "check": stroke.is_check}
            for key, stroke in zip(keys, drawing.strokes, strict=True)
        ]  # fmt: skip
        self.map.run_method("setStrokes", shown, picked)
