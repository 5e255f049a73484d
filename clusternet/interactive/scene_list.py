"""The part of the panel that lists the scenes of a project."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nicegui import ui

if TYPE_CHECKING:
    from clusternet.interactive.page import Page

_LOOK_EVERY = 2.0  # seconds


class SceneList:
    """The scenes of a project with their thumbnails, and the export of all maps."""

    def __init__(self, page: Page) -> None:
        """Build the list into the panel; nothing if there is one scene."""
        self._page = page
        self._counts: list[ui.label] = []
        self._pictures: list[ui.image] = []
        served = page.served
        if served is None or served.project is None:
            return
        with ui.element("div").classes("section"):
            ui.html(f"<h2>{len(served)} scenes</h2>", sanitize=False)
            with ui.element("div").classes("scenes"):
                for number in range(len(served)):
                    self._row(number)
            ui.button("Class maps of all scenes", icon="library_add_check",
                      on_click=self.export_all).props(
                "flat dense no-caps align=left color=grey-4"
            ).classes("wide").mark("export-all")  # fmt: skip
            ui.timer(_LOOK_EVERY, self.refresh)  # features of scenes that no page shows

    def _row(self, number: int) -> None:
        workspace = self._page.workspaces[number]
        chosen = " chosen" * (number == self._page.number)
        with ui.link(target=f"/?scene={number}").classes(f"scene-row{chosen}"):
            self._pictures.append(ui.image().props("no-spinner no-transition"))
            with ui.element("div").classes("scene-text"):
                ui.label(workspace.profile.path.name)
                self._counts.append(ui.label("").classes("facts"))

    def step(self, by: int) -> None:
        """Show the next scene, or the one before."""
        count = len(self._page.workspaces)
        if count == 1:
            self._page.say("There is one scene; name several rasters or a folder at the start.")
            return
        ui.navigate.to(f"/?scene={(self._page.number + by) % count}")

    async def export_all(self) -> None:
        """Write the class maps of all scenes."""
        page, served = self._page, self._page.served
        if served is None or served.project is None:
            return
        with page.cards.working("Writing ...") as task:
            done = await page.attempt(served.project.export_all, task)
        if done:
            page.say(f"{len(served)} class maps written, each into the folder of its scene; "
                     "the panel names it.", "positive")  # fmt: skip

    def refresh(self) -> None:
        """Show how much is drawn on each scene, and its thumbnail once that is there."""
        served = self._page.served
        for number, picture in enumerate(self._pictures):
            # earlier it would hold up the tiles of the map, as browsers open six connections
            if served is not None and served.is_ready(number) and not picture.source:
                picture.set_source(f"/thumbnail/{number}.png")
        for workspace, label in zip(self._page.workspaces, self._counts, strict=False):
            progress = workspace.filling.progress
            count = len(workspace.drawing.strokes)
            text = f"{count} stroke" + "s" * (count != 1)
            if progress.done < progress.total:
                text += f"  ·  features {progress.done / progress.total:.0%}"
            label.text = text
