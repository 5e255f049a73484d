"""Apply the network of a run to arrays, open datasets and files: clusters and features."""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from clusternet.errors import RunError, SettingsError
from clusternet.locations import location
from clusternet.network.filter_sizes import num_filters
from clusternet.network.loading import load_network_library
from clusternet.prediction.assigning import Assign, assign_of
from clusternet.prediction.grid import PredictionGrid, around, planned_window, read_reflected
from clusternet.processes.prefetch import prefetch
from clusternet.raster import Raster, one_scene, open_array, open_raster, warn_of_orientation
from clusternet.raster.band_fit import report_fit
from clusternet.training.run import Run, load_run
from clusternet.types import AnyArray, BoolArray, FloatArray, IntArray
from clusternet.windows import Window

if TYPE_CHECKING:  # it loads the network library
    from clusternet.backbone.describing import Describer

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Prediction:
    """The clusters of one window, and its confidence and features if they were requested."""

    window: Window
    labels: IntArray
    """(rows, cols) cluster or class numbers, meaningless where not valid."""
    valid: BoolArray
    """(rows, cols), True where the raster has data."""
    confidence: FloatArray | None
    """(rows, cols) from 0 (two clusters are equally likely) to 1."""
    features: FloatArray | None
    """(rows, cols, features)"""


class Predictor:
    """A run with its network loaded: gives clusters and features of arrays, datasets and files."""

    def __init__(
        self,
        run: Run,
        *,
        assign: Assign | None = None,
        precision: str = "auto",
        window_size: int | None = None,
        aoi: Path | None = None,
    ) -> None:
        """Load the network of a run.

        Args:
            run: see `clusternet.load`.
            assign: ``codebook`` for clusters by the nearest centroid, ``head`` for clusters by the
                softmax head, ``classes`` for the classes of a fine-tuned run. None takes classes
                if the run has them, else the codebook.
            precision: arithmetic inside the network, as in training.
            window_size: side in pixels of a window; memory grows with its square. None takes one
                that fits the memory.
            aoi: file of polygons; pixels of rasters outside of these are nodata.

        Raises:
            RunError: if the weights cannot be read or do not fit the settings, or the run has no
                classes to assign.
            SettingsError: if the window has no pixels.
        """
        if window_size is not None and window_size < 1:
            raise SettingsError(f"window_size: expected at least 1 pixel, received {window_size}.")
        self.run, self.assign = run, assign_of(run, assign)
        bands = run.bands.num_bands
        self.window_size = window_size or planned_window(bands, run.settings)
        self._features_window = window_size or planned_window(
            bands, run.settings, keeps_features=True
        )
        self.choice = replace(run.bands.nodata_choice, aoi=aoi)
        """What marks pixels without data."""
        _check_depth(run)
        load_network_library()
        from clusternet.prediction.networks import load_network

        self._network = load_network(run, precision)
        self._backbone: Describer | None = None
        if run.backbone is not None:
            from clusternet.training.backbone import load_backbone

            loaded = load_backbone(run.folder, run.backbone, run.bands, run.stored.reduction)
            self._backbone = loaded.describer
        self._models: dict[tuple[bool, bool], Any] = {}

    @property
    def num_clusters(self) -> int:
        """Number of clusters."""
        return self.run.settings.num_clusters

    @property
    def num_features(self) -> int:
        """Number of features of a pixel, including fixed filters."""
        return len(self.run.stored.codebook.offset)

    def predict(self, source: AnyArray | Any) -> IntArray:
        """Return the cluster or class of every pixel, -1 where there is no data.

        Args:
            source: array (rows, cols, bands) or (rows, cols) in the units of the training
                rasters, an open rasterio dataset, or the path of a raster.

        Returns:
            (rows, cols) int32.
        """
        with self._open(source) as raster, closing(self.windows(raster)) as predictions:
            result = np.full(raster.profile.shape, -1, np.int32)
            for one in predictions:
                result[one.window.slices()] = np.where(one.valid, one.labels, -1)
        return result

    def features(self, source: AnyArray | Any) -> FloatArray:
        """Return the features of every pixel, NaN where there is no data.

        Args:
            source: as for `predict`.

        Returns:
            (rows, cols, features) float32.
        """
        with (
            self._open(source) as raster,
            closing(self.windows(raster, features=True)) as predictions,
        ):
            shape = (*raster.profile.shape, self.num_features)
            result = np.full(shape, np.nan, np.float32)
            for one in predictions:
                if one.features is not None:  # None for a window without data
                    result[one.window.slices()][one.valid] = one.features[one.valid]
        return result

    def windows(
        self,
        raster: Raster,
        *,
        confidence: bool = False,
        features: bool = False,
        only: Callable[[Window], bool] | None = None,
    ) -> Generator[Prediction, None, None]:
        """Predict a raster window by window; the next window is read during the computation.

        A thread reads the raster, so close the generator before the raster.

        Args:
            raster: an open raster.
            confidence: compute the confidence, too.
            features: return the features, too.
            only: returns True for windows to predict; None predicts all.

        Raises:
            RunError: if the raster's bands or pixel type differ from the run's.
            RasterError: if the raster is damaged.
        """
        bands = self.run.bands
        arrangement = self.run.check_fits(raster.profile)
        report_fit(arrangement, bands.identity, raster.profile, f"the run {self.run.folder}")
        raster.arrange(arrangement)
        shape = raster.profile.shape
        size = min(self.window_size, self._features_window) if features else self.window_size
        grid = PredictionGrid.plan(shape, bands.patch_shape, self.run.settings.padding, size)
        model, backbone = self._model(confidence, features), self._backbone
        head = self.run.class_head if self.assign == "classes" else None
        numbers = None if head is None else head.numbers

        def read(pair: tuple[Window, Window]) -> tuple[Window, Window, Window, FloatArray, Any]:
            window, kept = pair
            wide = window
            if backbone is not None:
                wide = around(window, backbone.read_window(grid.described(kept)))
            pixels, valid = read_reflected(raster, wide)
            centre = kept.slices((wide.row, wide.col))
            return window, wide, kept, bands.standardise(pixels, valid), valid[centre]

        # only one reading thread, because a GDAL dataset must not be used by two at a time
        wanted = (pair for pair in grid.windows(shape) if only is None or only(pair[1]))
        for window, wide, kept, pixels, valid in prefetch(read, wanted, workers=1, ahead=1):
            if not valid.any():  # no need to run the network
                yield Prediction(kept, np.zeros(kept.shape, np.int32), valid, None, None)
                continue
            inputs = [pixels[window.slices((wide.row, wide.col))][None]]
            if backbone is not None:
                inputs.append(_described(backbone, pixels, wide, grid.described(kept))[None])
            outputs = dict(model.predict_on_batch(inputs))
            cut = {name: grid.keep(np.asarray(value)[0], kept) for name, value in outputs.items()}
            labels = cut["labels"] if numbers is None else numbers[cut["labels"]]
            yield Prediction(kept, labels, valid, cut.get("confidence"), cut.get("features"))
        if raster.num_infinite:
            logger.warning("%s: infinite values count as no data", raster.profile.path)

    def _model(self, confidence: bool, features: bool) -> Any:
        key = (confidence, features)  # building and compiling a model takes seconds
        if key not in self._models:
            from clusternet.prediction.networks import make_model

            self._models[key] = make_model(
                self._network,
                self.run,
                self.assign,
                confidence=confidence,
                features=features,
                num_beside=self._backbone.num_features if self._backbone else 0,
            )
        return self._models[key]

    @contextmanager
    def _open(self, source: AnyArray | Any) -> Iterator[Raster]:
        nodata = self.choice
        if isinstance(source, (str, Path)):
            path = one_scene(location(source), nodata.scene)
            warn_of_orientation([path])
            with open_raster(path, nodata) as raster:
                yield raster
        elif isinstance(source, np.ndarray):
            with open_array(source, nodata) as raster:
                yield raster
        else:
            yield Raster(source, nodata)


def _described(backbone: Describer, pixels: FloatArray, wide: Window, area: Window) -> FloatArray:
    """Return the backbone's features of an area, from the pixels of a window around it."""
    window = backbone.read_window(area)
    return backbone.describe(pixels[window.slices((wide.row, wide.col))], window, area)


def _check_depth(run: Run) -> None:
    """Raise RunError if a file has another number of features than the settings imply."""
    settings = run.settings
    filters = num_filters(run.bands.num_bands) if settings.fixed_filters else 0
    if run.stored.reduction is not None:
        filters += run.stored.reduction.num_features
    expected, stored = settings.num_features + filters, len(run.stored.codebook.offset)
    if stored != expected:
        raise RunError(
            f"{run.folder}: its codebook is of {stored} features, expected {expected} as of its "
            "settings; these files are not of one run."
        )
    if run.class_head is not None and len(run.class_head.arrays["offset"]) != expected:
        raise RunError(
            f"{run.folder}: its class head is of {len(run.class_head.arrays['offset'])} features, "
            f"expected {expected} as of its settings; these files are not of one run."
        )


def load(folder: Path | str, **options: Any) -> Predictor:
    """Load a run folder for prediction; options as for `Predictor`.

    Raises:
        RunError: if the folder is not a complete run.
    """
    return Predictor(load_run(Path(folder)), **options)
