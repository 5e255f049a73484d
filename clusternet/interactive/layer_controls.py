"""The part of the panel that says what the map shows: layers, smoothing, bands and stretch."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from nicegui import ui

from clusternet.interactive.drop_downs import drop_down

if TYPE_CHECKING:
    from clusternet.interactive.page import Page

_PERCENTILES = {(0.0, 100.0): "as it is", (0.5, 99.5): "0.5 to 99.5 %", (2.0, 98.0): "2 to 98 %",
                (5.0, 95.0): "5 to 95 %"}  # fmt: skip


def _smoothing(side: int) -> dict[int, str]:
    """Return the choices of smoothing (side in pixels: text), including the one in use."""
    return {1: "none"} | {s: f"{s} px" for s in sorted({5, 9, 17, 33, side} - {1})}


class LayerControls:
    """Switches of the layers, and how the image is shown, of one page."""

    def __init__(self, page: Page) -> None:
        """Build them into the panel."""
        self._page, self._workspace = page, page.workspace
        self._layers()
        self._image()

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
                self._smooth = drop_down(_smoothing(side), value=side)
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
                    drop_down(
                        names, value=page.look.bands[channel], label=label,
                        on_change=lambda e, c=channel: self._set_band(c, int(e.value)),
                    ).mark(f"band-{channel}")  # fmt: skip
            stretches = dict(_PERCENTILES)
            if not images.is_byte:
                stretches[(0.0, 100.0)] = "lowest to highest"
            drop_down(
                {f"{a} {b}": text for (a, b), text in stretches.items()},
                value=" ".join(map(str, page.look.percentiles)), label="Stretch",
                on_change=lambda e: self._set_stretch(str(e.value)),
            ).classes("w-full").mark("stretch")  # fmt: skip

    def refresh(self) -> None:
        """Show the smoothing that another page has chosen."""
        side = self._workspace.smooth
        if self._smooth.value != side:
            self._smooth.set_options(_smoothing(side), value=side)

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
