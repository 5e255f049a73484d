"""Inputs that are no files, or none that can be read: every command ends in one short line."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from conftest import ROOT, WriteRaster, load_script

COMMANDS = {
    "patch_generator": "{bad} --output_folder out --patch_shape 8 8",
    "patch_generator of labels": "scene.tif --masks_folder {bad} --output_folder out "
    "--patch_shape 8 8",
    "rasterization": "{bad} scene.tif out.tif",
    "rasterization onto": "shapes.geojson {bad} out.tif",
    "clusters2classes": "{bad} scene.tif --output_folder out",
    "clusters2classes by labels": "scene.tif {bad} --output_folder out",
    "clusters2classes by a legend": "scene.tif --legend {bad} --output_folder out",
    "evaluation": "{bad} scene.tif --output_folder out",
    "evaluation by labels": "scene.tif {bad} --output_folder out",
    "evaluation with classes": "scene.tif scene.tif --classes {bad} --output_folder out",
    "main": "{bad} --output out",
    "make_scene by a file": "out --config {bad}",
}
BAD = ("loop", "pipe", "folder", "empty", "binary", "missing", "file/below", "x" * 300, "\udcff")
SUFFIXES = {
    "rasterization": ".gpkg",
    "clusters2classes by a legend": ".csv",
    "evaluation with classes": ".json",
    "main": "",
    "make_scene by a file": ".yaml",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of bad inputs of every ending."""
    folder = tmp_path_factory.mktemp("hostile")
    for suffix in {".tif", *SUFFIXES.values()}:
        (folder / f"loop{suffix}").symlink_to(f"loop{suffix}")
        os.mkfifo(folder / f"pipe{suffix}")
        (folder / f"folder{suffix}").mkdir()
        (folder / f"empty{suffix}").touch()
        (folder / f"binary{suffix}").write_bytes(bytes(range(256)) * 20)
    (folder / "file").touch()
    (folder / "shapes.geojson").write_text(
        '{"type": "Feature", "properties": {}, "geometry": '
        '{"type": "Polygon", "coordinates": [[[0, 0], [9, 0], [9, 9], [0, 0]]]}}'
    )
    return folder


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("bad", BAD, ids=lambda name: ascii(name[:12]))
def test_a_bad_input_ends_in_one_short_line_and_leaves_nothing(
    folder: Path, command: str, bad: str, write_raster: WriteRaster,
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(folder)
    if not Path("scene.tif").exists():
        write_raster("scene.tif", np.indices((16, 16)).sum(0).astype(np.uint8)).rename("scene.tif")
    before = set(folder.iterdir())
    name = command.split()[0]
    if (bad, name) == ("empty", "make_scene"):
        return  # settings may be empty
    if bad == "pipe" and SUFFIXES.get(command) in (".csv", ".json", ".yaml"):
        return  # texts may come from a pipe, and are waited for
    script = load_script(ROOT / "main.py" if name == "main" else ROOT / "tools" / f"{name}.py")
    words = COMMANDS[command].split()
    with pytest.raises(SystemExit) as end:
        script.main([w.format(bad=f"{bad}{SUFFIXES.get(command, '.tif')}") for w in words])
    printed = capfd.readouterr()
    assert end.value.code == 2 and printed.out == ""
    *warnings, error = printed.err.splitlines()
    assert error.startswith("error: ") and len(error) < 310
    assert [line for line in warnings if not line.startswith(("WARNING: ", "INFO: "))] == []
    assert set(folder.iterdir()) == before
