"""The part of the panel that says how the map looks: pixels, theme, colours, backdrop."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nicegui import ui

from clusternet.errors import LabelError
from clusternet.interactive.backdrops import check_service, service_lattice
from clusternet.interactive.drop_downs import drop_down
from clusternet.interactive.session import Session

if TYPE_CHECKING:
    from clusternet.interactive.page import Page

_NONE, _RASTER, _SERVICE = "none", "raster", "service"


class ViewControls:
    """Switches of the view of one page."""

    def __init__(self, page: Page) -> None:
        """Build them into the panel."""
        self._page = page
        with ui.element("div").classes("section"):
            ui.html("<h2>View</h2>", sanitize=False)
            with ui.element("div").classes("labelled pair"):
                self.sharp = ui.switch("Sharp pixels", value=page.view.sharp).props("dense")
                self.light = ui.switch("Light", value=page.view.light).props("dense")
            ui.button(
                "Colours for colour-blind people", icon="palette", on_click=self._use_colours
            ).props("flat dense no-caps align=left color=grey-5").classes("wide").tooltip(
                "Those of Okabe and Ito (2008), extended; Undo brings the old ones back"
            ).mark("colour-blind")
            self._last = _NONE
            self._backdrop()
        self.sharp.on_value_change(lambda e: page.view.set_sharp(bool(e.value)))
        self.light.on_value_change(lambda e: page.view.set_light(bool(e.value)))

    def _backdrop(self) -> None:
        page = self._page
        self._lattice = service_lattice(page.workspace.profile)
        options = {_NONE: "none"}
        if page.images.backdrop is not None:
            options[_RASTER] = page.images.backdrop.name
        if self._lattice is not None:
            options[_SERVICE] = "map service (XYZ)"
        if len(options) == 1:
            return
        with ui.element("div").classes("labelled"):
            ui.label("Backdrop")
            self._choice = drop_down(options, value=_NONE).mark("backdrop")
        self._address = ui.input(placeholder="https://server/{z}/{x}/{y}.png")
        self._address.props("dense").classes("w-full").mark("service")
        self._address.on("change", self._show_backdrop)
        self._address.set_visibility(False)
        self._choice.on_value_change(lambda e: self._show_backdrop())

    async def _use_colours(self) -> None:
        if await self._page.change(Session.use_palette):
            self._page.say("Colours of Okabe and Ito; Undo brings the old ones back.")

    def toggle_backdrop(self) -> None:
        """Hide the backdrop, or show it again."""
        if not hasattr(self, "_choice"):
            self._page.say("There is no backdrop: name a raster with --backdrop at the start.")
            return
        now, options = self._choice.value, list(self._choice.options)
        self._choice.value = _NONE if now != _NONE else self._last
        if now == _NONE and self._last == _NONE:
            self._choice.value = options[1]

    def _show_backdrop(self) -> None:
        page, choice = self._page, self._choice.value
        self._last = choice if choice != _NONE else self._last
        self._address.set_visibility(choice == _SERVICE)
        tiles = page.images.backdrop
        url = (
            f"/backdrop/{{z}}/{{x}}/{{y}}.png?scene={page.number}&of={tiles.key}"
            if tiles is not None
            else None
        )
        page.map.run_method("show", "backdrop", url if choice == _RASTER else None, 1)
        address = str(self._address.value or "")
        if choice != _SERVICE or not address:
            page.map.run_method("setService", None)
            return
        try:
            # The browser asks this address for tiles, and nobody else.
            page.map.run_method("setService", check_service(address), self._lattice, 1)
        except LabelError as error:
            page.say(str(error), "warning")
