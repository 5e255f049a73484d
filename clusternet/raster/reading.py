"""Read windows of rasters as pixels and a valid mask."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
from rasterio.io import DatasetReader
from rasterio.windows import Window as RasterioWindow

from clusternet.errors import RasterError
from clusternet.locations import SourcePath
from clusternet.nodata import NodataChoice, Number
from clusternet.processes.phases import phases
from clusternet.raster.band_identity import AS_STORED, Arrangement, BandIdentity
from clusternet.raster.band_statements import read_band_identity
from clusternet.raster.control import read_control
from clusternet.raster.gdal_messages import whole_read
from clusternet.raster.pages import count_other_images
from clusternet.raster.palette import Palette, read_palette
from clusternet.raster.profile import RasterProfile, read_transform
from clusternet.raster.remote import remote_settings, why_unread
from clusternet.raster.screens import BandScreen, Screen
from clusternet.raster.stacks import StackedPath
from clusternet.raster.validity import alpha_bands, count_infinite, find_validity, fitting
from clusternet.scene_rule import SceneRule
from clusternet.types import PIXEL_TYPES, AnyArray, BoolArray
from clusternet.windows import Shape, Window

_SHOWN = BandIdentity(colours=("red", "green", "blue"))


class Raster:
    """An open raster. Only one thread may use it: GDAL's datasets are not thread-safe."""

    num_infinite = 0
    """Infinite values read so far that are no nodata value; such pixels are not valid."""

    def __init__(
        self,
        dataset: DatasetReader,
        nodata: NodataChoice | Number | None = None,
        *,
        codes: bool = False,
        path: Path | None = None,
    ) -> None:
        """Wrap an open dataset; see ``open_raster`` for the arguments.

        ``path`` is its name in messages; None takes that of the dataset.
        """
        choice = self.choice = NodataChoice.of(nodata)
        """What the user chose to mark pixels without data."""
        self._dataset = dataset
        self._path = Path(dataset.name) if path is None else path
        self._screens: list[Screen] = []
        hidden = [*alpha_bands(dataset), *self._screen_by_quality(choice.scene)]
        if dataset.driver == "SENTINEL2":  # its other bands describe the air, or are masks
            hidden += [i for i in dataset.indexes if "WAVELENGTH" not in dataset.tags(i)]
        self._indexes = [i for i in dataset.indexes if i not in hidden]
        dtype = self._check_dtype()
        self._palette = None if codes else self._read_palette(dtype, choice)
        shows_palette = self._palette is not None
        self._validity = find_validity(
            dataset, self._indexes, dtype, choice, shows_palette=shows_palette
        )
        hides_pixels = self._palette is not None and self._palette.hides_pixels
        self.profile = RasterProfile(
            path=self._path,
            shape=(dataset.height, dataset.width),
            num_bands=3 if shows_palette else len(self._indexes),
            dtype="uint8" if shows_palette else dtype,
            crs=dataset.crs,
            transform=read_transform(dataset),
            nodata=self._validity.nodata,
            has_mask=self._validity.has_mask or hides_pixels or bool(self._screens),
            band_nodata=self._validity.markers,
            nodata_rule=self._validity.rule,
            control=read_control(dataset),
            num_other_images=count_other_images(dataset),
            bands=_SHOWN if shows_palette else read_band_identity(dataset, self._indexes),
        )
        self._arrangement = AS_STORED

    def screen_by(self, screen: Screen) -> None:
        """Take pixels that a screen hides as nodata from now on."""
        self._screens.append(screen)
        self.profile = replace(self.profile, has_mask=True)

    def _screen_by_quality(self, rule: SceneRule) -> list[int]:
        """Screen by a quality band among the raster's bands; return its number, which is no band.

        The quality band of a scene of separate files is a file of its own.
        """
        if not rule.mask_band or isinstance(self._path, StackedPath):
            return []
        names = [(text or "").casefold() for text in self._dataset.descriptions]
        if rule.mask_band.casefold() not in names:
            described = ", ".join(filter(None, names)) or "none"
            raise RasterError(
                f"{self._path}: has no band called {rule.mask_band}, for --mask_band; its bands "
                f"are called: {described}. For bands in separate files give --stack, too."
            )
        number = names.index(rule.mask_band.casefold()) + 1
        self._screens.append(BandScreen(self._dataset, number, rule.quality, self._path))
        return [number]

    def _shown(self, window: Window) -> BoolArray | None:
        """Return which pixels of a window no screen hides; None if there is no screen."""
        shown = None
        for screen in self._screens:
            if shown is None or shown.any():
                own = screen.shown(window)
                shown = own if shown is None else shown & own
        return shown

    def _check_dtype(self) -> str:
        path = self._path
        if not self._indexes:
            raise RasterError(f"{path}: holds an alpha band only, expected at least one band.")
        kinds = {self._dataset.dtypes[i - 1] for i in self._indexes}
        if len(kinds) > 1 or not kinds <= set(PIXEL_TYPES):
            is_complex = any(kind.startswith("complex") for kind in kinds)
            advice = (
                'take the amplitude: gdal_calc.py --calc "abs(A)"'
                if is_complex
                else "bring all bands to one type: gdal_translate -ot Float32"
            )
            raise RasterError(
                f"{path}: expected one pixel type for all bands, one of {', '.join(PIXEL_TYPES)}; "
                f"found {', '.join(sorted(kinds))}; {advice}."
            )
        return str(kinds.pop())

    def _read_palette(self, dtype: str, choice: NodataChoice) -> Palette | None:
        is_given = choice.value is not None and choice.overrides
        declared = None if is_given else self._dataset.nodatavals[self._indexes[0] - 1]
        return read_palette(self._dataset, self._path, self._indexes, fitting(declared, dtype))

    def arrange(self, arrangement: Arrangement) -> None:
        """Read bands in another order or at another scale from now on; the profile is unchanged."""
        self._arrangement = arrangement

    @property
    def tags(self) -> dict[str, str]:
        """The metadata recorded in the file, such as ``create_map`` writes."""
        return dict(self._dataset.tags())

    @property
    def band_numbers(self) -> tuple[int, ...]:
        """The numbers of the bands that are read, from 1, as in the file."""
        return tuple(self._indexes)

    @phases.during("reading")
    def read(self, window: Window) -> tuple[AnyArray, BoolArray]:
        """Read one window, which may extend beyond the raster.

        Returns:
            pixels (rows, cols, bands) in the file's dtype (float64 if `arrange` changed the
            scale), filled with the nodata value or 0 beyond the raster; and valid (rows, cols),
            False beyond the raster and for pixels without data, see
            `clusternet.raster.validity.Validity`.

        Raises:
            RasterError: if the file is damaged.
        """
        inside = window.inside(self.profile.shape)
        # read only inside the raster: GDAL's boundless reads go through a VRT and are slow
        pixels = self._fill(window.shape)
        valid = np.zeros(window.shape, bool)
        if inside.height and inside.width:
            target = inside.slices((window.row, window.col))
            pixels[target], valid[target] = self._read_inside(inside)
        return self._arrangement.apply(pixels), valid

    def _fill(self, shape: Shape) -> AnyArray:
        """Return pixels (rows, cols, bands) without data."""
        fill = np.array([marker or 0 for marker in self._validity.markers], self.profile.dtype)
        return np.tile(fill, (*shape, 1))

    @phases.during("reading")
    def read_coarse(self, window: Window, step: int) -> tuple[AnyArray, BoolArray]:
        """Read a window at a coarser resolution, from overviews if the file has them.

        Args:
            window: a window inside the raster, not smaller than a step.
            step: pixels along each side that one output pixel stands for. Rows and columns at the
                end of the window that do not fill a step are left out.

        Returns:
            pixels and valid as of `read`, with ``rows = height // step``.

        Raises:
            RasterError: if the file is damaged.
        """
        rows, cols = window.height // step, window.width // step
        whole = Window(window.row, window.col, rows * step, cols * step)
        return self._read_inside(whole, (rows, cols))

    def _read_inside(
        self, window: Window, shape: Shape | None = None
    ) -> tuple[AnyArray, BoolArray]:
        shown = self._shown(window)
        if shown is not None and shape is not None:
            shown = thinned(shown, shape)
        if shown is not None and not shown.any():
            return self._fill(shown.shape), shown
        failed = f"{self._path}: cannot be read at row {window.row}, column {window.col}"
        path = self._path
        explain = None
        if isinstance(path, SourcePath) and path.addresses:
            explain = partial(why_unread, path)
        with remote_settings(self._path), whole_read(failed, self._advice(), explain):
            bands = self._read_bands(window) if shape is None else self._shrunk(window, shape)
            numbers = bands[0]
            if self._palette is not None:
                bands, visible, known = self._palette.colours(numbers)
            valid = self._validity.read(self._dataset, _for_rasterio(window), bands)
        if self._palette is not None:
            valid &= visible
            self._check_known(numbers[valid & ~known])
        if shown is not None:
            valid &= shown
        self.num_infinite += count_infinite(bands, self._validity.markers)
        return np.ascontiguousarray(np.moveaxis(bands, 0, -1)), valid

    def _check_known(self, unknown: AnyArray) -> None:
        """Raise RasterError if valid pixels have numbers that are not in the colour table."""
        if unknown.size:
            raise RasterError(
                f"{self.profile.path}: holds the pixel value {unknown[0]}, for which its colour "
                "table has no entry. Mend the table, or remove it to take the values as they are: "
                "gdal_translate -colorinterp_1 gray."
            )

    def _advice(self) -> str:
        if self._dataset.driver == "VRT":
            return "the files that it names seem to be missing, cut off or damaged."
        return "the file seems to be cut off or damaged."

    def _shrunk(self, window: Window, shape: Shape) -> AnyArray:
        shape_of_all = (len(self._indexes), *shape)
        bands: AnyArray = self._dataset.read(
            self._indexes, window=_for_rasterio(window), out_shape=shape_of_all
        )
        return bands

    def _read_bands(self, window: Window) -> AnyArray:
        windows = [window]
        if self._dataset.driver == "PNG" and window.shape == self.profile.shape:
            # GDAL reads a whole PNG by a shortcut that does not notice a truncated file. So the
            # last row is read on its own.
            top = Window(window.row, window.col, window.height - 1, window.width)
            last = Window(window.row + window.height - 1, window.col, 1, window.width)
            windows = [top, last] if top.height else [last]
        strips = [self._dataset.read(self._indexes, window=_for_rasterio(w)) for w in windows]
        bands: AnyArray = np.concatenate(strips, axis=1)
        return bands


def thinned(shown: BoolArray, shape: Shape) -> BoolArray:
    """Return a mask of fewer pixels: the one in the middle of each step."""
    rows, cols = (
        np.minimum(((np.arange(few) + 0.5) * many / few).astype(int), many - 1)
        for few, many in zip(shape, shown.shape, strict=True)
    )
    return shown[np.ix_(rows, cols)]


def _for_rasterio(window: Window) -> RasterioWindow:
    return RasterioWindow(window.col, window.row, window.width, window.height)
