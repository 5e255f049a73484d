"""Files of values that cannot be right are refused in one line, before anything is made of them."""

from __future__ import annotations

import io
import json
import os
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import WriteRaster
from small_run import BANDS, RECORDS, SETTINGS, Network, checkpoint, stored

from clusternet.errors import ClusterNetError, LabelError, PatchError, RunError, SettingsError
from clusternet.files.arrays import read_arrays, write_arrays
from clusternet.legend.class_list import read_class_list
from clusternet.legend.legend import read_legend
from clusternet.network.sizes import num_weights
from clusternet.patches.bands import Bands
from clusternet.patches.folder import find_patches, open_patches
from clusternet.patches.manifest import read_manifest
from clusternet.raster import find_rasters, open_raster
from clusternet.settings import TilingSettings, TrainingSettings
from clusternet.training.checkpoint import Checkpoint
from clusternet.training.run import (
    load_run,
    save_description,
    save_result,
    saved_settings,
)
from clusternet.yaml_files import read_yaml


@pytest.fixture
def run(tmp_path: Path) -> Path:
    folder = tmp_path / "run"
    save_description(folder, SETTINGS, BANDS)
    save_result(folder, Network(), stored(), RECORDS)
    checkpoint().save(folder)
    return folder


def refused(read: Callable[[], object], name: str, words: str = ".") -> None:
    """Check that reading fails in one short line that names the file."""
    with pytest.raises(ClusterNetError, match=words) as error:
        read()
    text = str(error.value)
    assert name in text and "\n" not in text and len(text.replace(str(Path.cwd()), "")) < 300 + 120


# --- settings


@pytest.mark.parametrize(
    "text",
    [
        "base_filters: 4.5", "seed: 2024-99-99", "seed: 2024-12-31", "learn_rate: .inf",
        "learn_rate: .nan", "num_epochs: -3", "augment: 1", "img_shape: [32]", "img_shape: 1.5",
        "img_shape: {a: 1}", "padding: [same]", "nodata: [1]", "workers: true", "? [1]\n: 2",
        "base_filters: 999999999", "num_clusters: 1" + "0" * 5000, "nodata: !!binary abc",
        "seed: !!python/object/apply:os.system [true]", "seed: &a [*a]", "precision: 2001-01-01",
        "seed: " + "[" * 3000, "\x00", "seed: \ud800", "seed: !!timestamp 1", "seed: 0x" + "f" * 99,
    ],
)  # fmt: skip
def test_damaged_settings_of_a_run_are_refused(run: Path, text: str) -> None:
    (run / "settings.yaml").write_bytes(text.encode(errors="surrogatepass"))
    refused(lambda: load_run(run), "settings.yaml")
    refused(lambda: saved_settings(run), "settings.yaml")


def test_yaml_that_names_itself_over_and_over_takes_no_room(tmp_path: Path) -> None:
    lines = ["a0: &a0 [x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12)]
    (tmp_path / "s.yaml").write_text("\n".join([*lines, "seed: *a11"]))
    with pytest.raises(SettingsError, match="'a0' is not a setting"):
        TrainingSettings.from_mapping(read_yaml(tmp_path / "s.yaml"))
    with pytest.raises(SettingsError, match="Setting seed: expected a whole number") as error:
        TrainingSettings(seed=read_yaml(tmp_path / "s.yaml")["seed"])
    assert len(str(error.value)) < 200


@pytest.mark.parametrize("values", [{"patch_shape": 5}, {"stride": (1.5, 2)}, {"edge": 1}])
def test_settings_of_tiling_are_checked_too(values: dict[str, Any]) -> None:
    with pytest.raises(SettingsError, match=f"Setting {next(iter(values))}: expected"):
        TilingSettings(**values)


# --- bands


def damage(path: Path, **values: Any) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


@pytest.mark.parametrize(
    "values",
    [
        {"std": [0.0]}, {"std": [-1.0]}, {"std": [float("nan")]}, {"std": [float("inf")]},
        {"mean": [float("nan")]}, {"mean": []}, {"mean": "1"}, {"mean": [None]}, {"mean": [[1]]},
        {"num_bands": 0}, {"num_bands": 2}, {"num_bands": 1.5}, {"num_bands": "1"},
        {"dtype": "object"}, {"dtype": 3}, {"patch_shape": [0, 48]}, {"patch_shape": 64},
        {"patch_shape": [64.5, 48]}, {"std": ["1e999"]}, {"identity": 3}, {"identity": [1]},
        {"nodata": {}}, {"nodata_rule": "some"},
    ],
)  # fmt: skip
def test_damaged_bands_are_refused(run: Path, values: dict[str, Any]) -> None:
    damage(run / "bands.json", **values)
    refused(lambda: load_run(run), "bands.json")


@pytest.mark.parametrize("text", ["", "[]", "3", "null", "[" * 5000, '{"a":' * 5000, "Infinity"])
def test_what_is_no_table_of_values_is_refused(run: Path, tmp_path: Path, text: str) -> None:
    for name in ("bands.json", "patches.json", "classes.json"):
        (run / name).write_text(text)
    refused(lambda: Bands.load(run / "bands.json"), "bands.json")
    refused(lambda: read_manifest(run), "patches.json")
    refused(lambda: read_class_list(run / "classes.json"), "classes.json")


# --- arrays


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("centroids", lambda a: a * np.float32("nan")), ("centroids", lambda a: a[0]),
        ("centroids", lambda a: a[:, :2]), ("centroids", lambda a: a[:0]),
        ("centroids", lambda a: a.astype("U9")), ("centroids", lambda a: a.astype(int)),
        ("offset", lambda a: a[:2]), ("offset", lambda a: a + np.float32("inf")),
        ("projection", lambda a: a[0]), ("projection", lambda a: a[None]),
        ("sizes", lambda a: a[1:]), ("sizes", lambda a: a.astype(float)),
        ("feature_range", lambda a: a.T), ("feature_range", lambda a: a * np.float32("nan")),
        ("component_axes", lambda a: a.T), ("component_axes", lambda a: a[:, :0]),
        ("component_range", lambda a: a * np.float32("nan")), ("component_range", None),
        ("model_sha256", None), ("centroids", None),
    ],
)  # fmt: skip
def test_a_codebook_that_does_not_fit_itself_is_refused(
    run: Path, name: str, change: Callable[[np.ndarray], np.ndarray] | None
) -> None:
    arrays = read_arrays(run / "codebook.npz")
    value = arrays.pop(name)
    if change is not None:
        arrays[name] = np.asarray(change(value))
    write_arrays(run / "codebook.npz", arrays)
    refused(lambda: load_run(run), "codebook.npz", "codebook of a run|different epochs")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("epoch", -3), ("epoch", 7), ("epoch", 2.0), ("epoch", [2]), ("epoch", "2"),
        ("history", "[]]"), ("history", "3"), ("history", "[3]"), ("history", '[{"epoch": 2}]'),
        ("history", "[" * 5000), ("state_weight_0000", [np.nan]), ("centroids", [[np.inf]]),
    ],
)  # fmt: skip
def test_a_checkpoint_that_does_not_fit_itself_is_refused(
    run: Path, name: str, value: object
) -> None:
    path = run / "checkpoint" / "state.npz"
    write_arrays(path, read_arrays(path) | {name: np.array(value)})
    refused(lambda: Checkpoint.load(run), "state.npz")


def test_an_epoch_of_the_history_that_is_text_is_refused(run: Path) -> None:
    path = run / "checkpoint" / "state.npz"
    arrays = read_arrays(path)
    history = json.loads(str(arrays["history"]))
    history[0]["loss"] = "low"
    write_arrays(path, arrays | {"history": np.array(json.dumps(history))})
    refused(lambda: Checkpoint.load(run), "state.npz", "loss: expected a number")


def npy(header: bytes, content: bytes = b"") -> bytes:
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + content


@pytest.mark.parametrize(
    "header",
    [
        b"", b"{", b"{'descr': '<f4', 'fortran_order': False, 'shape': (",
        b"{'descr': '<f4', 'fortran_order': False, 'shape': (-1,), }",
        b"{'descr': '<f4', 'fortran_order': False, 'shape': (9999999999999,), }",
        b"{'descr': '|O', 'fortran_order': False, 'shape': (1,), }",
        b"__import__('os').system('true')", b"{'descr': '\n  <f4'", b"\x00\xff", b"  a\n b",
        b"(" * 2000, b"{'descr': [('a', '<f4', 99999999999)], 'fortran_order': False, 'shape': ()}",
    ],
)  # fmt: skip
def test_damaged_headers_of_arrays_are_refused(tmp_path: Path, header: bytes) -> None:
    path = tmp_path / "codebook.npz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("centroids.npy", npy(header, b"\x00" * 64))
    refused(lambda: read_arrays(path), "codebook.npz")


def test_arrays_that_grow_when_they_are_unpacked_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "codebook.npz"
    np.savez_compressed(path, centroids=np.zeros(1_000_000))
    assert path.stat().st_size < 10_000
    refused(lambda: read_arrays(path), "codebook.npz", "compressed")


def test_a_network_larger_than_its_file_is_never_built(run: Path) -> None:
    assert num_weights(3, 6, 2, 6) == 30_682  # as Keras counts them
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("model.weights.h5", b"\x00" * 4 * num_weights(1, 4, 16, 64))
    save_result(run, Network(buffer.getvalue()), stored(), RECORDS)
    assert load_run(run)
    settings = run / "settings.yaml"
    settings.write_text(settings.read_text().replace("base_filters: 16", "base_filters: 996"))
    refused(lambda: load_run(run), "model.keras", "not of one run")


# --- what may not be read


def test_what_may_not_be_read_is_never_called_damaged(
    run: Path, write_raster: WriteRaster, monkeypatch: pytest.MonkeyPatch
) -> None:
    (run / "patches.json").write_text("{}")
    (run / "legend.csv").write_text("cluster,class\n0,1\n")
    image = write_raster("patches/a/1.png", np.zeros((16, 16, 3), np.uint8))
    raster = write_raster("a.tif", np.zeros((16, 16, 3), np.uint8))
    real = io.open

    def forbid(path: object, *arguments: Any, **options: Any) -> Any:
        if Path(str(path)).is_relative_to(run.parent):
            raise PermissionError(13, "Permission denied", str(path))
        return real(path, *arguments, **options)

    readers: dict[str, Callable[[], object]] = {
        "settings.yaml": lambda: read_yaml(run / "settings.yaml"),
        "bands.json": lambda: Bands.load(run / "bands.json"),
        "codebook.npz": lambda: read_arrays(run / "codebook.npz"),
        "state.npz": lambda: Checkpoint.load(run),
        "patches.json": lambda: read_manifest(run),
        "legend.csv": lambda: read_legend(run / "legend.csv"),
        "1.png": lambda: open_patches(image.parents[1]),
    }
    with monkeypatch.context() as patch:
        patch.setattr("io.open", forbid)
        patch.setattr("builtins.open", forbid)
        for name, read in readers.items():
            refused(read, name, "no permission")
    monkeypatch.setattr(os, "access", lambda *_: False)
    monkeypatch.setattr("clusternet.raster.opening._Reader", lambda *_, **__: real("/none"))
    refused(lambda: open_raster(raster).__enter__(), "a.tif", "no permission")


@pytest.mark.parametrize("locked", ["", "b"])
def test_folders_that_may_not_be_read_are_named(
    write_raster: WriteRaster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture, locked: str,
) -> None:  # fmt: skip
    for name in "ab":
        write_raster(f"all/{name}/1.png", np.zeros((16, 16, 3), np.uint8))
    folder = tmp_path / "all"
    real = Path.iterdir

    def forbid(self: Path) -> Any:
        if self == folder / locked:
            raise PermissionError(13, "Permission denied", str(self))
        return real(self)

    monkeypatch.setattr(Path, "iterdir", forbid)
    for read, kind in ((find_patches, PatchError), (find_rasters, ClusterNetError)):
        caplog.clear()
        if not locked:
            with pytest.raises(kind, match="all: cannot be read \\(no permission\\)"):
                read(folder)
            continue
        assert len(read(folder)) == 1
        assert "1 folder(s) left out, with no permission to read them: b" in caplog.text


def test_a_run_that_may_not_be_written_does_not_take_the_class_maps_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    import clusternet.classes.class_maps as classes

    def refuse(path: Path, *_: object, **__: object) -> None:
        raise classes.OutputError(f"{path}: cannot be written (no permission).")

    monkeypatch.setattr(classes, "write_legend", refuse)
    legend = read_legend(_written(tmp_path / "legend.csv", "cluster,class\n0,1\n"))
    classes.keep_in_run(tmp_path / "run", legend, overwrite=False)
    assert "cannot be written (no permission). The run keeps no copy of the legend" in caplog.text


def _written(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    "text", ["cluster,class,name\n0,1," + "x" * 200_000 + "\n", "cluster,class\n0,\x001\n", "\x00"]
)
def test_damaged_legends_are_refused(tmp_path: Path, text: str) -> None:
    path = _written(tmp_path / "legend.csv", text)
    with pytest.raises((LabelError, RunError), match=r"legend\.csv"):
        read_legend(path)
