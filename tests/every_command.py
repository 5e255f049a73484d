"""Each command, run on the folder of example_world.py in this process, quickly.

What takes long is replaced: no network is built, nothing is trained or drawn. What is checked
and written goes the way that it always goes.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import ROOT, load_script
from example_world import save_weights

from clusternet.classes.export import Export
from clusternet.clustering.sampling import Sample
from clusternet.command_line.command import run_command
from clusternet.demo.scene import Scene, write_scenes
from clusternet.evaluation.report_page import TITLE
from clusternet.files.outputs import new_file
from clusternet.interactive.workspace import Workspace
from clusternet.labels.strokes import Stroke, make_line
from clusternet.prediction.predictor import Prediction
from clusternet.training.run import load_run
from clusternet.training.run_files import WEIGHTS
from clusternet.windows import Window

sys.path.append(str(ROOT / "benchmarks"))


@dataclass(frozen=True)
class Command:
    """One of the commands."""

    inputs: tuple[str, ...]
    """What it reads, relative to the world."""
    outputs: dict[str, str]
    """Name of each output -> the ending that it must have; ``/`` for a folder."""
    run: Callable[..., Any]
    """Called with the paths of the inputs, those of the outputs by name, and ``overwrite``."""
    replaces: tuple[str, ...] = ()
    """What of the world it may replace."""
    keeps: frozenset[str] = frozenset()
    """Files in inputs that are outputs, too."""


class _Network:
    def save(self, path: Path) -> None:
        path.write_bytes(b"no network")


class _Learner:
    """Stands for the network in training."""

    network = _Network()
    codebook: object = None

    def __init__(self, *_args: object) -> None:
        self.save_weights = partial(_write_weights)

    def freeze(self, codebook: object) -> None:
        self.codebook = codebook

    def load_weights(self, _path: Path) -> None: ...

    def restore(self, _arrays: object) -> None: ...

    def fit(self, *_args: object) -> float:
        return 0.5

    def state(self) -> dict[str, np.ndarray]:
        return {"weight_0000": np.zeros(1)}

    def label(self, batch: Any, _starts: Any = None) -> np.ndarray:
        return np.where(batch.valid, 1, -1).astype(np.int32)

    def embed_sample(self, batch: Any, plan: Any) -> Sample:
        size = sum(plan.quotas[index] for index in batch.indexes.tolist())
        features = np.random.default_rng(0).normal(size=(size, 3)).astype(np.float32)
        return Sample(features, features[:0])


def _write_weights(path: Path, *, overwrite: bool) -> None:
    with new_file(path, kind=WEIGHTS, overwrite=overwrite) as part:
        save_weights(part)


class _Predictor:
    """Stands for a run that is loaded."""

    def __init__(self, run: Path, **_options: object) -> None:
        self.run, self.num_clusters, self.assign = load_run(run), 4, "codebook"
        self.choice = self.run.bands.nodata_choice

    def windows(self, raster: Any, **_options: object) -> Iterator[Prediction]:
        shape = raster.profile.shape
        labels = np.zeros(shape, np.int32)
        yield Prediction(Window(0, 0, *shape), labels, np.ones(shape, bool), None, None)


def _fill(cache: Any, *_args: object, **_options: object) -> None:
    for number, window in enumerate(cache.windows):
        clusters = np.zeros(window.shape, np.int32)
        features = np.zeros((*window.shape, 3), np.float32)
        cache.write(number, features, clusters, np.ones(window.shape, bool))
    cache.flush()


def replace_what_takes_long(patch: pytest.MonkeyPatch) -> dict[str, Command]:
    """Put quick parts in place of slow ones; return all commands by name."""
    names = ("patch_generator", "full_prediction", "clusters2classes", "evaluation",
             "rasterization", "interactive", "demo", "make_scene", "sample")  # fmt: skip
    scripts = {name: load_script(ROOT / "tools" / f"{name}.py") for name in names}
    scripts["main"] = load_script(ROOT / "main.py")
    patch.setattr("clusternet.training.train.load_network_library", lambda: None)
    patch.setattr("clusternet.training.learner.Learner", _Learner)
    patch.setattr("clusternet.training.run.num_weights", lambda *_: 1)
    patch.setattr("tensorboard.summary.Writer", lambda _folder: argparse.Namespace(
        add_scalar=lambda *_: None, flush=lambda: None, close=lambda: None))  # fmt: skip
    patch.setattr("clusternet.prediction.predictor.load", _Predictor)
    patch.setattr("clusternet.classes.batch.fill_cache", _fill)
    patch.setattr("clusternet.interactive.filling.fill_cache", _fill)
    patch.setattr("clusternet.classes.batch.LazyPredictor.get", lambda _self: None)
    patch.setattr("clusternet.evaluation.report.render_page", lambda *_: TITLE)
    patch.setattr("clusternet.evaluation.report.confusion_png", lambda *_: b"no picture")
    pixels = np.ones((128, 128, 3), np.uint8)
    truth = np.repeat(np.arange(128, dtype=np.uint8)[:, None] // 26, 128, axis=1)
    patch.setattr("clusternet.demo.scene.writing.make_scene", lambda *_: Scene(pixels, truth))
    patch.setattr("clusternet.demo.scene.write_scenes", partial(write_scenes, shape=(128, 128)))
    patch.setattr("clusternet.commands.demo.step", lambda *_: None)
    patch.setattr("clusternet.commands.demo.report", lambda *_, **__: None)
    return _commands({name: script.main for name, script in scripts.items()}, patch)


def _commands(
    main: dict[str, Callable[..., None]], patch: pytest.MonkeyPatch
) -> dict[str, Command]:
    def call(name: str, before: list[str], after: list[str], flags: dict[str, str],
             positional: str = "") -> Callable[..., None]:  # fmt: skip
        """Return what calls a script: words, inputs in ``{}``, outputs by their flags."""

        def run(inputs: list[Path], outputs: dict[str, Path], *, overwrite: bool) -> None:
            words = [word.format(*inputs) for word in before]
            words += [str(outputs[positional])] if positional in outputs else []
            words += [word.format(*inputs) for word in after]
            for key, flag in flags.items():
                words += [flag, str(outputs[key])] if key in outputs else []
            main[name](words + ["--overwrite"] * overwrite)

        return run

    train = ["--test_img_folder", "{0}", "--pretrained_weights", "{1}", "--num_clusters", "2",
             "--num_epochs", "1", "--feature_transform", "none", "--samples_per_centroid", "8",
             "--workers", "1", "--config", "{2}"]  # fmt: skip
    folder = {"folder": "--output_folder"}
    return {
        "main": Command(
            ("patches", "net.weights.h5", "settings.yaml"),
            {"run": "/", "maps": "/", "weights": ".weights.h5"},
            call("main", ["{0}"], train, {"run": "--output", "maps": "--out_pred_masks_test",
                                          "weights": "--out_weights_file"}),
            ("run", "epochs", "old.weights.h5"),
        ),
        "patch_generator": Command(
            ("images", "labels"), {"folder": "/"},
            call("patch_generator", ["{0}"], ["--masks_folder", "{1}", "--patch_shape", "16", "16",
                                              "--crop_shape", "8", "8"], folder),
            ("patches",),
        ),
        "full_prediction": Command(
            ("run", "images"), {"folder": "/"},
            call("full_prediction", ["{0}", "{1}"], [], folder),
            ("maps",),
        ),
        "clusters2classes": Command(
            ("maps", "vectors.gpkg", "run"), {"folder": "/", "polygons": ".gpkg"},
            call("clusters2classes", ["{0}", "{1}"], ["--run", "{2}"],
                 folder | {"polygons": "--polygons"}),
            ("classes", "polygons.gpkg", "fresh.gpkg"),
            frozenset({"run/legend.csv"}),
        ),
        "evaluation": Command(
            ("classes", "labels"), {"folder": "/"},
            call("evaluation", ["{0}", "{1}"], [], folder),
            ("report",),
        ),
        "sample": Command(
            ("classes",), {"file": ".gpkg"},
            call("sample", ["{0}"], [], {"file": "--output"}),
            (),
        ),
        "rasterization": Command(
            ("vectors.gpkg", "images/scene.tif"), {"file": ".tif"},
            call("rasterization", ["{0}", "{1}"], [], {}, "file"),
            ("labels.tif", "fresh.tif"),
        ),
        "interactive": Command(
            ("run", "images/scene.tif", "strokes.gpkg"),
            {"file": ".tif", "polygons": ".gpkg", "cache": "/"},
            call("interactive", ["{0}", "{1}"], ["--strokes", "{2}", "--stroke_rule", "centroids"],
                 {"file": "--output", "polygons": "--polygons", "cache": "--cache_folder"}),
            ("classes/scene_classes.tif", "polygons.gpkg", "fresh.tif", "fresh.gpkg"),
        ),
        "page": Command(("run", "images/scene.tif"), {"cache": "/"}, _draw_on_the_page),
        "demo": Command((), {"folder": "/"}, call("demo", [], [], {"folder": "--output"}),
                        ("demo",)),
        "make_scene": Command((), {"folder": "/"}, call("make_scene", [], [], {}, "folder"),
                              ("made", "demo/scene")),
        "quality": Command(("made",), {"folder": "/"}, _benchmark),
        "speed": Command((), {"folder": "/"}, partial(_measure, patch)),
    }  # fmt: skip


def _draw_on_the_page(inputs: list[Path], outputs: dict[str, Path], *, overwrite: bool) -> None:
    cache = Path(outputs["cache"]) if "cache" in outputs else None

    def page() -> None:
        workspace = Workspace(*inputs, rule="centroids", cache_folder=cache)
        try:
            _fill(workspace.cache)
            for number, row in ((1, 4.0), (2, 28.0)):
                stroke = Stroke(make_line([(2.0, row), (30.0, row)]), number, 3.0)
                workspace.change(lambda session, stroke=stroke: session.draw(stroke))
            folder = workspace.folder / "exports"
            workspace.exports.strokes(folder / "scene_strokes.gpkg", overwrite=True)
            workspace.exports.class_map(
                Export(folder / "scene_classes.tif", folder / "scene_classes.gpkg", overwrite=True)
            )
            workspace.exports.legend(folder / "scene_legend.csv", overwrite=True)
        finally:
            workspace.stop()

    run_command(page)


def _benchmark(inputs: list[Path], outputs: dict[str, Path], *, overwrite: bool) -> None:
    from scoring.arguments import make_parser, prepare
    from scoring.report import save_rows

    words = [str(inputs[0]), "--output_folder", str(outputs["folder"])]
    args = make_parser(None, "quality").parse_args(words)

    def command() -> None:
        with prepare(args, "quality.py"):
            save_rows(args.output_folder, [{"method": "m", "seed": 1, "scenes": "all"}], {})

    run_command(command)


def _measure(
    patch: pytest.MonkeyPatch, inputs: list[Path], outputs: dict[str, Path], *, overwrite: bool
) -> None:
    import speed

    patch.setattr(speed, "_measure", lambda *_: {"start": {"main.py": 0.1}})
    speed.main(["--output_folder", str(outputs["folder"]), "--parts", "start"])
