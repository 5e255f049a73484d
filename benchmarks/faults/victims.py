"""The kinds of files that are damaged, each with the function that its command reads it by."""

from __future__ import annotations

import hashlib
import random
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import rasterio

from faults.calls import Outcome, call, caught
from faults.damage import BYTES, TEXT, damage_arrays, damage_network, damage_weights


@dataclass(frozen=True)
class Victim:
    """A kind of file."""

    name: str
    source: Path
    """A sound one; with what lies beside it under the same stem."""
    read: Callable[[Path, Path], Outcome]
    """Reads the damaged one; the second path is a folder for outputs."""
    changes: tuple[str, ...] = ("bytes",)
    """``bytes``, ``text``, or a deeper damage by name."""
    folder: Path | None = None
    """What the file lies in, copied around it."""

    def damaged(self, rng: random.Random, trap: bytes) -> tuple[str, bytes]:
        """Return how the file was damaged, and what it holds then."""
        content = self.source.read_bytes()
        change = rng.choice(self.changes)
        if change in _DEEP:
            return change, _DEEP[change](content, rng, trap)
        ways = BYTES if change == "bytes" else TEXT
        way = rng.choice(sorted(ways))
        return way, ways[way](content, rng)

    def place(self, content: bytes, folder: Path) -> Path:
        """Put a damaged file into a new folder, amid what belongs to it."""
        if self.folder is not None:
            shutil.copytree(self.folder, folder, copy_function=_link)
            path = folder / self.source.relative_to(self.folder)
            path.unlink()
        else:
            folder.mkdir()
            for beside in self.source.parent.glob(f"{self.source.stem}.*"):
                if beside != self.source:
                    _link(beside, folder / beside.name)
            path = folder / self.source.name
        path.write_bytes(content)
        return path


def _link(source: Any, target: Any) -> None:
    Path(target).hardlink_to(source)


_DEEP: dict[str, Callable[[bytes, random.Random, bytes], bytes]] = {
    "arrays": damage_arrays, "weights": damage_weights, "network": damage_network,
}  # fmt: skip


def make_victims(given: Path, folder: Path, *, with_network: bool = True) -> list[Victim]:
    """Return one of each kind.

    Args:
        given: the inputs.
        folder: gets sound files of the kinds that the inputs lack.
        with_network: networks, too, and predict with runs that are accepted.
    """
    folder.mkdir()
    victims = [*_rasters(given, folder), *_labels(given, folder)]
    victims += _runs(given, folder, _predict if with_network else _load)
    return victims + list(_networks_of(given, folder)) if with_network else victims


def _rasters(given: Path, folder: Path) -> Iterator[Victim]:
    def tile(path: Path, out: Path) -> Outcome:
        return call("patch_generator", path, "--output_folder", out / "p", "--patch_shape", 32, 32,
                    "--workers", 1)  # fmt: skip

    image = given / "images" / "east.tif"
    with rasterio.open(image) as dataset:
        pixels, profile = dataset.read(), dataset.profile
    forms: dict[str, dict[str, Any]] = {
        "tif": {}, "deflate.tif": {"compress": "deflate", "tiled": True, "blockxsize": 16,
                                   "blockysize": 16},
        "lzw.tif": {"compress": "lzw", "predictor": 2}, "jpg": {"driver": "JPEG"},
        "png": {"driver": "PNG"}, "bmp": {"driver": "BMP"}, "jp2": {"driver": "JP2OpenJPEG"},
        "img": {"driver": "HFA"}, "bil": {"driver": "ENVI"},
    }  # fmt: skip
    for suffix, options in forms.items():
        path = folder / suffix.replace(".", "_") / f"scene.{suffix.split('.')[-1]}"
        path.parent.mkdir()
        kept = profile if options.get("driver", "GTiff") == "GTiff" else {
            key: profile[key] for key in ("width", "height", "count", "dtype", "crs", "transform")
        }  # fmt: skip
        try:
            with rasterio.open(path, "w", **{**kept, **options}) as dataset:
                dataset.write(pixels)
        except rasterio.errors.RasterioError:  # a GDAL without that format
            continue
        yield Victim(f"raster, {suffix}", path, tile)
    text = (
        '<VRTDataset rasterXSize="64" rasterYSize="64"><VRTRasterBand dataType="Byte" band="1">'
        f'<SimpleSource><SourceFilename relativeToVRT="0">{image}</SourceFilename>'
        "<SourceBand>1</SourceBand></SimpleSource></VRTRasterBand></VRTDataset>"
    )
    yield Victim("raster, vrt", _written(folder / "scene.vrt", text), tile, ("bytes", "text"))
    patch = next((given / "few").rglob("*.png"))
    yield Victim("patch", patch, _open_patches, folder=given / "few")
    manifest = given / "patches" / "patches.json"
    yield Victim("patches.json", manifest, _open_patches, ("bytes", "text", "text"),
                 given / "patches")  # fmt: skip


def _written(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def _open_patches(path: Path, _out: Path) -> Outcome:
    from clusternet.patches.folder import open_patches
    from clusternet.patches.survey import survey_patches

    folder = path.parent if path.name == "patches.json" else path.parents[1]

    def read() -> None:
        found = open_patches(folder)
        survey_patches(found, found.shape, workers=1)

    return as_command(read)


def as_command(read: Callable[[], object]) -> Outcome:
    """Call what a command calls, with its treatment of errors."""
    from clusternet.command_line.command import run_command

    def work() -> None:
        read()

    return caught(lambda: run_command(work))


def _labels(given: Path, folder: Path) -> Iterator[Victim]:
    image, labels = given / "images" / "east.tif", given / "labels" / "east.tif"
    cluster_map = given / "maps1" / "east_clusters.tif"

    def burn(path: Path, out: Path) -> Outcome:
        return call("rasterization", path, image, out / "b.tif")

    def to_classes(path: Path, out: Path) -> Outcome:
        return call("clusters2classes", path, labels, "--output_folder", out / "c")

    def by_labels(path: Path, out: Path) -> Outcome:
        return call("clusters2classes", cluster_map, path, "--output_folder", out / "c")

    def by_legend(path: Path, out: Path) -> Outcome:
        return call("clusters2classes", cluster_map, "--legend", path, "--output_folder", out / "c")

    def with_classes(path: Path, out: Path) -> Outcome:
        return call("rasterization", given / "shapes.gpkg", image, out / "b.tif", "--classes", path)

    def score(path: Path, out: Path) -> Outcome:
        return call("evaluation", path, labels, "--output_folder", out / "r")

    import geopandas

    shape = folder / "shapes" / "shapes.shp"
    shape.parent.mkdir()
    geopandas.read_file(given / "shapes.gpkg").to_file(shape)
    classes = _written(folder / "classes.json", '{"0": "building", "1": "tree", "2": "road"}')
    both = ("bytes", "text")
    yield Victim("vectors, gpkg", given / "shapes.gpkg", burn)
    yield Victim("vectors, geojson", given / "shapes.geojson", burn, both)
    for part in ("shp", "dbf", "shx", "prj"):
        yield Victim(f"vectors, {part}", shape.with_suffix(f".{part}"),
                     lambda path, out: burn(path.with_suffix(".shp"), out))  # fmt: skip
    yield Victim("cluster map", cluster_map, to_classes)
    yield Victim("class map", given / "classes1" / "east_classes.tif", score)
    yield Victim("names of a map", cluster_map.with_name(f"{cluster_map.name}.aux.xml"),
                 lambda path, out: to_classes(path.with_suffix("").with_suffix(""), out),
                 both, given / "maps1")  # fmt: skip
    yield Victim("label raster", labels, by_labels)
    yield Victim("legend", given / "classes1" / "legend.csv", by_legend, ("bytes", "text", "text"))
    yield Victim("class list", classes, with_classes, ("bytes", "text", "text"))


def _runs(given: Path, folder: Path, read: Callable[[Path, Path], Outcome]) -> Iterator[Victim]:
    run = given / "run1"

    def settings(path: Path, out: Path) -> Outcome:
        """Read settings as a training does; there are no patches, so it ends there."""
        return call("main", out / "none", "--config", path)

    both, arrays = ("bytes", "text", "text"), ("bytes", "arrays", "arrays")
    text = (run / "settings.yaml").read_text(encoding="utf-8")
    yield Victim("settings", _written(folder / "settings.yaml", text), settings, both)
    yield Victim("run, settings.yaml", run / "settings.yaml", read, both, run)
    yield Victim("run, bands.json", run / "bands.json", read, both, run)
    yield Victim("run, codebook.npz", run / "codebook.npz", read, arrays, run)


def _networks_of(given: Path, folder: Path) -> Iterator[Victim]:
    run, state = given / "run1", given / "run1" / "checkpoint" / "state.npz"
    yield Victim("run, history.csv", run / "history.csv", _predict, ("bytes", "text"), run)
    yield Victim("run, model.keras", run / "model.keras", _predict,
                 ("bytes", "network", "network"), run)  # fmt: skip
    yield Victim("run, state.npz", state, _checkpoint, ("bytes", "arrays", "arrays"), run)
    weights = folder / "net.weights.h5"
    _save_weights(run, weights)
    yield Victim("weights", weights, _load_weights, ("bytes", "weights", "weights"))


def _load(path: Path, _out: Path) -> Outcome:
    from clusternet.training.run import load_run

    return as_command(lambda: load_run(path.parent))


def _predict(path: Path, _out: Path) -> Outcome:
    """Load a run, and predict if it loads: no NaN may come of it."""
    from clusternet.prediction.predictor import Predictor
    from clusternet.training.run import load_run

    if path.name == "model.keras":
        _sign(path)

    def read() -> None:
        run = load_run(path.parent)
        pixels = np.random.default_rng(0).integers(0, 255, (40, 40, run.bands.num_bands))
        pixels = pixels.astype(run.bands.dtype)
        predictor = Predictor(run)
        features, labels = predictor.features(pixels), predictor.predict(pixels)
        is_data = labels >= 0
        if not np.isfinite(features[is_data]).all() or (labels >= predictor.num_clusters).any():
            raise AssertionError("NaN came of an accepted run")

    return as_command(read)


def _sign(model: Path) -> None:
    """Let the codebook name a damaged network, as if it had been written so."""
    from clusternet.files.arrays import read_arrays, write_arrays

    path = model.with_name("codebook.npz")
    arrays = read_arrays(path)
    arrays["model_sha256"] = np.array(hashlib.sha256(model.read_bytes()).hexdigest())
    path.unlink()
    write_arrays(path, arrays)


def _checkpoint(path: Path, _out: Path) -> Outcome:
    from clusternet.training.checkpoint import Checkpoint
    from clusternet.training.run import saved_settings

    run = path.parents[1]
    return as_command(lambda: (saved_settings(run), Checkpoint.load(run)))


_networks: list[Any] = []


def _network(run: Path) -> Any:
    if not _networks:
        from clusternet.prediction.predictor import Predictor
        from clusternet.training.run import load_run

        _networks.append(Predictor(load_run(run))._network)
    return _networks[0]


def _save_weights(run: Path, path: Path) -> None:
    _network(run).save_weights(path)


def _load_weights(path: Path, _out: Path) -> Outcome:
    from clusternet.network.weight_files import load_weights

    def read() -> None:
        load_weights(_networks[0], path)
        if not all(np.isfinite(value).all() for value in _networks[0].get_weights()):
            raise AssertionError("weights that are no numbers were accepted")

    return as_command(read)
