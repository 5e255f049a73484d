"""The panel to the right of the map: classes and their areas, layers, bands, files."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nicegui import events, ui

from clusternet.classes.export import Export
from clusternet.colours import as_hex, from_hex
from clusternet.interactive.access import MOST_BYTES
from clusternet.interactive.session import Session
from clusternet.labels.stroke_files import STROKE_SUFFIXES
from clusternet.legend.land_classes import LandClass

if TYPE_CHECKING:
    from clusternet.interactive.page import Page

_PERCENTILES = {(0.0, 100.0): "as it is", (0.5, 99.5): "0.5 to 99.5 %", (2.0, 98.0): "2 to 98 %",
                (5.0, 95.0): "5 to 95 %"}  # fmt: skip


# Left in the list, the focus would take all keys from the shortcuts.
_LEAVE_LIST = """() => setTimeout(() => {
  if (document.activeElement?.closest(".q-select")) document.activeElement.blur();
})"""


def _drop_down(options: dict[Any, str], **more: Any) -> ui.select:
    """Return a list to choose from that gives the keys back once it is closed."""
    chosen = ui.select(options, **more).props("dense options-dense")
    return chosen.on("popup-hide", js_handler=_LEAVE_LIST)


def _smoothing(side: int) -> dict[int, str]:
    """Return the choices of smoothing (side in pixels: text), including the one in use."""
    return {1: "none"} | {s: f"{s} px" for s in sorted({5, 9, 17, 33, side} - {1})}


class Panel:
    """The panel of one page."""

    def __init__(self, page: Page) -> None:
        """Build the panel of a page."""
        self._page, self._workspace = page, page.workspace
        self._shown: object = None
        self._sizes: dict[int, ui.html] = {}
        self._chosen: dict[int, ui.element] = {}
        with ui.element("div").classes("panel"):
            self._header()
            with ui.element("div").classes("section"):
                ui.html("<h2>Classes</h2>", sanitize=False)
                self._rows = ui.element("div")
                ui.button("New class", icon="add", on_click=self.add_class).props(
                    "flat dense no-caps color=grey-5"
                ).classes("q-mt-xs").mark("new-class")
                self._shares = ui.element("div").classes("share-bar")
                self._note = ui.label("").classes("facts q-mt-xs")
            self._layers()
            self._image()
            self._files()

    def _header(self) -> None:
        profile = self._workspace.profile
        rows, cols = profile.shape
        crs = "pixel coordinates" if profile.crs is None else profile.crs.to_string()
        crs = crs if len(crs) < 30 else "local CRS"
        with ui.element("div").classes("section"):
            ui.html("<h2>ClusterNet</h2>", sanitize=False)
            ui.label(profile.path.name).classes("scene-name")
            ui.label(f"{cols:,} x {rows:,} px  ·  {profile.num_bands} bands  ·  {crs}").classes(
                "facts"
            )
            self._trouble = ui.label("").classes("trouble").mark("trouble")
            with ui.element("div").classes("q-mt-sm") as self._progress:
                self._progress_text = ui.label("").classes("facts").mark("progress")
                self._progress_bar = ui.linear_progress(show_value=False).props("rounded size=6px")

    def _layers(self) -> None:
        page = self._page
        with ui.element("div").classes("section"):
            ui.html("<h2>Layers</h2>", sanitize=False)
            with ui.element("div").classes("labelled"):
                self.classes_switch = ui.switch("Classes", value=page.show_classes).props("dense")
                slider = ui.slider(min=0.05, max=1, step=0.05, value=page.opacity).mark("opacity")
            with ui.element("div").classes("labelled"):
                self.doubt_switch = ui.switch("Uncertain places", value=page.show_doubt)
                self.doubt_switch.props("dense").style("width: auto; white-space: nowrap")
                strokes = ui.switch("Strokes", value=page.show_strokes).props("dense")
            with ui.element("div").classes("labelled"):
                ui.label("Smoothing")
                side = self._workspace.smooth
                self._smooth = _drop_down(_smoothing(side), value=side)
                self._smooth.mark("smooth")
        self._smooth.on_value_change(lambda e: self._set_smooth(int(e.value)))
        slider.on_value_change(lambda e: self._set_opacity(float(e.value)))
        self.classes_switch.on_value_change(lambda e: self._set_layer("show_classes", e.value))
        self.doubt_switch.on_value_change(lambda e: self._set_layer("show_doubt", e.value))
        strokes.on_value_change(lambda e: self._set_layer("show_strokes", e.value))

    def _image(self) -> None:
        page, images = self._page, self._page.images
        if images.has_palette:
            return
        with ui.element("div").classes("section"):
            ui.html("<h2>Image</h2>", sanitize=False)
            names = dict(enumerate(images.band_names, 1))
            with ui.element("div").classes("bands"):
                for channel, label in enumerate(("Red", "Green", "Blue")):
                    _drop_down(
                        names, value=page.look.bands[channel], label=label,
                        on_change=lambda e, c=channel: self._set_band(c, int(e.value)),
                    ).mark(f"band-{channel}")  # fmt: skip
            stretches = dict(_PERCENTILES)
            if not images.is_byte:
                stretches[(0.0, 100.0)] = "lowest to highest"
            _drop_down(
                {f"{a} {b}": text for (a, b), text in stretches.items()},
                value=" ".join(map(str, page.look.percentiles)), label="Stretch",
                on_change=lambda e: self._set_stretch(str(e.value)),
            ).classes("w-full").mark("stretch")  # fmt: skip

    def _files(self) -> None:
        with ui.element("div").classes("section"):
            ui.html("<h2>Files</h2>", sanitize=False)
            for text, icon, what in (
                ("Class map (GeoTIFF)", "layers", "map"),
                ("Polygons (GeoPackage)", "pentagon", "polygons"),
                ("Legend (cluster to class)", "list", "legend"),
                ("Strokes (GeoPackage)", "gesture", "strokes"),
            ):
                ui.button(text, icon=icon, on_click=lambda w=what: self._export(w)).props(
                    "flat dense no-caps align=left color=grey-4"
                ).classes("wide").mark(f"export-{what}")
            upload = ui.upload(
                on_upload=self._load, auto_upload=True, max_files=1, max_file_size=MOST_BYTES,
                on_rejected=self._refuse_upload,
            ).props(f'accept="{",".join(STROKE_SUFFIXES)}"')  # fmt: skip
            upload.classes("hidden")  # NiceGUI ignores events of elements that set_visibility hides
            ui.button(
                "Load strokes", icon="upload", on_click=lambda: upload.run_method("pickFiles")
            ).props("flat dense no-caps align=left color=grey-4").classes("wide").mark("load")
            ui.label(f"Kept in {self._workspace.folder}").classes("facts q-mt-sm").style(
                "overflow-wrap: anywhere"
            )

    # --- actions of the user -----------------------------------------------------------------
    async def add_class(self) -> None:
        """Add a class and choose it."""
        if await self._page.change(Session.add_class):
            self._page.choose(self._workspace.drawing.classes[-1].number)

    def _set_opacity(self, opacity: float) -> None:
        self._page.opacity = opacity
        self._page.map.run_method("setOpacity", "classes", opacity)

    def _set_smooth(self, side: int) -> None:
        self._workspace.set_smooth(side)
        self._page.refresh()

    def _set_layer(self, name: str, on: bool) -> None:
        setattr(self._page, name, on)
        self._page.show_layers()
        self._page.use()

    def _set_band(self, channel: int, number: int) -> None:
        bands = list(self._page.look.bands)
        bands[channel] = number
        self._page.look = replace(self._page.look, bands=(bands[0], bands[1], bands[2]))
        self._page.show_layers()

    def _set_stretch(self, text: str) -> None:
        low, high = map(float, text.split())
        self._page.look = replace(self._page.look, percentiles=(low, high))
        self._page.show_layers()

    async def _export(self, what: str) -> None:
        workspace, stem = self._workspace, self._workspace.raster_path.stem
        folder = workspace.folder / "exports"
        path = {"map": folder / f"{stem}_classes.tif", "polygons": folder / f"{stem}_polygons.gpkg",
                "legend": folder / f"{stem}_legend.csv", "strokes": folder / f"{stem}_strokes.gpkg",
                }[what]  # fmt: skip
        export = Export(
            folder / f"{stem}_classes.tif", overwrite=True,
            polygons=path if what == "polygons" else None,
        )  # fmt: skip
        with self._waiting("Writing ..."):
            if what == "strokes":
                done = await self._page.attempt(workspace.save, path, overwrite=True)
            elif what == "legend":
                done = await self._page.attempt(workspace.export_legend, path, overwrite=True)
            else:
                done = await self._page.attempt(workspace.export, export)
        with self._page.on_page() as is_open:
            if done and is_open:
                self._page.say(f"Written: {path.name}", "positive")
                ui.download.file(path)

    @contextmanager
    def _waiting(self, text: str) -> Iterator[None]:
        """Show that work is being done."""
        with self._page.on_page():
            waiting = ui.notification(text, spinner=True, timeout=None)
        try:
            yield
        finally:
            if not self._page.client.is_deleted:
                waiting.dismiss()

    async def _load(self, event: events.UploadEventArguments) -> None:
        if Path(event.file.name).suffix.lower() not in STROKE_SUFFIXES:
            self._refuse_upload()
            return
        with tempfile.TemporaryDirectory() as folder:
            # The browser chooses the name. Only its suffix is used, as it may hold a path.
            path = Path(folder) / f"strokes{Path(event.file.name).suffix.lower()}"
            await event.file.save(path)
            with self._waiting(f"Reading {event.file.name} ..."):
                done = await self._page.attempt(self._workspace.load, path, called=event.file.name)
        if self._page.client.is_deleted:
            return
        event.sender.reset()
        if done:
            number = len(self._workspace.drawing.strokes)
            self._page.say(f"{number} strokes loaded; Undo brings the old ones back.")
            self._page.refresh()

    def _refuse_upload(self) -> None:
        most = f"{MOST_BYTES // 2**20} MiB"
        self._page.say(f"Choose one .gpkg or .geojson file of at most {most}.", "warning")

    # --- what is shown -----------------------------------------------------------------------
    def refresh(self) -> None:
        """Show the classes, areas and progress of the workspace."""
        classes = self._workspace.drawing.classes
        shown = (classes, self._workspace.hidden)
        if shown != self._shown:
            self._shown = shown
            self._rows.clear()
            self._sizes, self._chosen = {}, {}
            with self._rows:
                for key, land_class in enumerate(classes, 1):
                    self._row(key, land_class)
        for number, row in self._chosen.items():
            # The rows are not built again: the user may be typing a name in one of them.
            chosen = number == self._page.chosen
            row.classes(add="chosen") if chosen else row.classes(remove="chosen")
        self._show_areas()
        side = self._workspace.smooth
        if self._smooth.value != side:  # another page has changed it
            self._smooth.set_options(_smoothing(side), value=side)
        self._trouble.text = self._workspace.trouble
        progress = self._workspace.progress
        self._progress.set_visibility(progress.done < progress.total)
        self._progress_bar.value = progress.done / max(progress.total, 1)
        self._progress_text.text = progress.message or (
            f"Computing features, once: {progress.done} of {progress.total} windows. "
            "You can draw where they are ready."
        )

    def _row(self, key: int, land_class: LandClass) -> None:
        number, hidden = land_class.number, land_class.number in self._workspace.hidden
        classes = "class-row" + " hidden-class" * hidden
        row = ui.element("div").classes(classes).mark(f"class-{number}")
        row.on("click", lambda: self._page.choose(number))
        self._chosen[number] = row
        with row:
            ui.label(str(key) if key < 10 else "").classes("key")
            with (
                ui.element("div").classes("swatch").style(f"background:{as_hex(land_class.colour)}")
            ):
                ui.color_picker(on_pick=lambda e: self._recolour(number, e.color))
            field = ui.input(value=land_class.name).props("dense borderless")
            # "change" comes once when typing ends; on_change would come with each letter
            field.on("change", lambda e, f=field: self._rename(number, str(f.value)))
            field.on("keydown.enter", js_handler="(e) => e.target.blur()")
            self._sizes[number] = ui.html("", sanitize=False).classes("class-size")
            self._icon("visibility_off" if hidden else "visibility", "Show on the map",
                       lambda: self._hide(number, not hidden))  # fmt: skip
            self._icon("close", "Remove this class and its strokes",
                       lambda: self._page.change(lambda s: s.remove_class(number)))  # fmt: skip

    def _icon(self, icon: str, text: str, action: Any) -> None:
        button = ui.button(icon=icon, color=None).props("flat dense round size=sm").tooltip(text)
        button.on("click.stop", action)  # .stop: the row below would be chosen as well

    async def _rename(self, number: int, name: str) -> None:
        if not await self._page.change(lambda s: s.change_class(number, name=name)):
            self._shown = None
            self.refresh()

    async def _recolour(self, number: int, text: str) -> None:
        colour = from_hex(text[:7])  # the picker may append the opacity
        if colour is not None:
            await self._page.change(lambda s: s.change_class(number, colour=colour))

    def _hide(self, number: int, hidden: bool) -> None:
        self._workspace.hide(number, hidden)
        self._page.refresh()

    def _show_areas(self) -> None:
        areas, pixel = self._workspace.areas, self._workspace.profile.pixel_area_ha
        total = sum(areas.counts.values())
        bars = []
        for land_class in self._workspace.drawing.classes:
            share = areas.counts.get(land_class.number, 0) / max(total, 1)
            size = self._sizes.get(land_class.number)
            if size is not None:
                text = f"{share:.1%}" if total else ""
                if total and pixel is not None:
                    hectares = areas.counts.get(land_class.number, 0) * pixel
                    text = f"{hectares:,.2f} ha<br><small>{share:.1%}</small>"
                size.content = text
            bars.append((as_hex(land_class.colour), share))
        self._shares.clear()
        with self._shares:
            for colour, share in bars:
                ui.element("div").style(f"width:{share:.2%};background:{colour}")
        self._note.text = "" if areas.is_exact else "Areas are estimates; exact ones follow."
