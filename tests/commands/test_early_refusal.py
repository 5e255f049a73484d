"""What a user mistypes is refused before the libraries that take seconds to load.

One process runs all these calls, and the libraries that are loaded are counted after each.
"""

from __future__ import annotations

import json
import shlex
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import pytest
from example_world import build_world

SLOW = (
    "tensorflow",
    "keras",
    "jax",
    "faiss",
    "sklearn",
    "scipy",
    "pandas",
    "nicegui",
    "fastapi",
    "ray",
)
"""Libraries that take a fifth of a second or more."""

# Each is refused. Paths lie in the folder of example_world.py; nowhere and x are not there.
CALLS = [
    "tile nowhere --output_folder x",
    "tile empty --output_folder x",
    "tile settings.yaml --output_folder x",
    "tile images --output_folder classes",
    "tile images --output_folder x --patch_shape 0 16",
    "tile images --output_folder x --masks_folder nowhere",
    "tile images --output_folder x --classes nowhere.json",
    "tile images --output_folder x --stride 8",
    "tile images --output_folder x --workers -1",
    "tile images --output_folder x --keep_dark_region_ratio 2",
    "tile images --output_folder x --crop_shape 999 999",
    "tile images --output_folder x --nodata black",
    "train nowhere",
    "train nowhere --output x --num_workers 1",
    "train patches --output x --num_workers 1 --pretrained_weights nowhere.keras",
    "train patches --output x --num_workers 1 --backbone nowhere.keras",
    "train empty",
    "train images",
    "train settings.yaml",
    "train patches --output images",
    "train patches --output run",
    "train patches --output x --num_clusters 1",
    "train patches --output x --padding valid",
    "train patches --output x --workers -1",
    "train patches --output x --seed -1",
    "train patches --output x --learn_rate 0",
    "train patches --output x --train_batch_size 0",
    "train patches --output x --nodata 1e9",
    "train patches --output x --current_epoch -1",
    "train patches --output x --config nowhere.yaml",
    "train patches --output x --config mine.qml --padding wide",
    "train patches --output x --test_img_folder nowhere",
    "train patches --output x --test_img_folder empty",
    "train patches --output x --pretrained_weights nowhere.keras",
    "train patches --output x --pretrained_weights weights.keras",
    "train patches --output x --out_weights_file x.h5",
    "train patches --output x --resume --num_epochs many",
    "predict nowhere images --output_folder x",
    "predict empty images --output_folder x",
    "predict images run --output_folder x",
    "predict run nowhere --output_folder x",
    "predict run empty --output_folder x",
    "predict run images --output_folder images",
    "predict run images --output_folder x --window_size 0",
    "predict run settings.yaml --output_folder x",
    "predict run images mine.tif --output_folder x --precision half",
    "classes nowhere vectors.gpkg --output_folder x",
    "classes empty vectors.gpkg --output_folder x",
    "classes maps nowhere.gpkg --output_folder x",
    "classes maps --output_folder x",
    "classes maps vectors.gpkg --output_folder maps",
    "classes maps vectors.gpkg --output_folder x --run nowhere",
    "classes maps vectors.gpkg --output_folder x --gt_fraction 2",
    "classes maps vectors.gpkg --output_folder x --sieve -1",
    "classes maps vectors.gpkg --output_folder x --min_area -1",
    "classes maps vectors.gpkg --output_folder x --simplify -1",
    "classes maps vectors.gpkg --output_folder x --keep_clust_threshold 2",
    "classes maps vectors.gpkg --output_folder x --seed -1",
    "classes maps vectors.gpkg --output_folder x --prefer most",
    "classes maps vectors.gpkg --output_folder x --polygons x.shp",
    "classes maps vectors.gpkg --output_folder x --classes nowhere.json",
    "classes maps --legend nowhere.csv --output_folder x",
    "rasterize nowhere.gpkg mine.tif x.tif",
    "rasterize vectors.gpkg nowhere.tif x.tif",
    "rasterize vectors.gpkg mine.tif mine.tif",
    "rasterize vectors.gpkg mine.tif x.tif --burn_value -1",
    "rasterize vectors.gpkg mine.tif x.tif --background 99999",
    "evaluate nowhere labels --output_folder x",
    "evaluate classes nowhere --output_folder x",
    "evaluate maps labels --output_folder x --labelled_fraction 2",
    "evaluate maps labels --output_folder x --draws 0",
    "evaluate maps labels --output_folder x --seed -1",
    "evaluate classes labels --output_folder x --ignore_label 1.5",
    "evaluate classes labels --output_folder x --classes nowhere.json",
    "evaluate empty labels --output_folder x",
    "evaluate classes labels --output_folder labels",
    "evaluate --history nowhere labels --output_folder x",
    "draw nowhere images/scene.tif",
    "draw run nowhere.tif",
    "draw run images/scene.tif --port many",
    "draw run images/scene.tif --port -1",
    "draw run images/scene.tif --host 192.0.2.1",
    "draw run images/scene.tif --smooth 0",
    "draw run images/scene.tif --output x.tif",
    "draw run images/scene.tif --strokes nowhere.gpkg --output x.tif",
    "draw run images/scene.tif --strokes strokes.gpkg --output x.png",
    "draw nowhere images/scene.tif --strokes strokes.gpkg --output x.tif",
    "draw run nowhere.tif --strokes strokes.gpkg --output x.tif",
    "sample nowhere --output x.gpkg",
    "sample empty --output x.gpkg",
    "sample settings.yaml --output x.gpkg",
    "sample maps --output x.gpkg",
    "sample classes --output x.shp",
    "sample classes --output x.gpkg --per_class 0",
    "sample classes --output x.gpkg --min_distance -1",
    "sample classes --output x.gpkg --seed -1",
    "evaluate nowhere vectors.gpkg --output_folder x --design stratified",
    "evaluate classes nowhere.gpkg --output_folder x --design stratified",
    "scene images",
    "scene x --seed -1",
    "demo --output images",
    "completion fish",
    "tile images --output_folder x --aoi nowhere.gpkg",
    "tile images --output_folder x --mask_values 3",
    "tile images --output_folder x --ray 127.0.0.1:9",
    "tile empty --output_folder x --stack",
    "train patches --output x --backbone nowhere.keras",
    "train patches --output x --backbone mine.weights.h5",
    "train patches --output x --backbone_scale 2",
    "train patches --output x --labels nowhere.gpkg --pretrained_weights run",
    "train patches --output x --labels vectors.gpkg --pretrained_weights nowhere",
    "train patches --output x --labels vectors.gpkg --classes nowhere.json",
    "predict run images --output_folder x --aoi nowhere.gpkg",
    "predict run images --output_folder x --mosaic x.tif",
    "predict run images --output_folder x --assign classes",
    "predict run mine.tif --output_folder x",
    "classes maps vectors.gpkg --output_folder x --aoi nowhere.gpkg",
    "classes maps vectors.gpkg --output_folder x --run run --rasters nowhere",
    "evaluate classes vectors.gpkg --output_folder x --design stratified --area_margin 2",
    *(
        call.format(file)
        for file in ("claims.tif", "claims.png", "claims.vrt")
        for call in (
            "tile {} --output_folder x",
            "predict run {} --output_folder x",
            "classes {} vectors.gpkg --output_folder x",
            "evaluate {} vectors.gpkg --output_folder x",
            "rasterize vectors.gpkg {} x.tif",
            "sample {} --output x.gpkg",
            "draw run {}",
        )
    ),
]

CLAIMED = 60_000
"""Rows and columns that the headers of some small files promise."""


def write_claims(folder: Path) -> None:
    """Write a TIFF, a PNG and a virtual raster of gigapixels in 150 bytes at most."""
    tags = ((256, CLAIMED), (257, CLAIMED), (258, 8), (259, 8), (262, 1), (273, 8), (277, 1),
            (278, CLAIMED), (279, 100))  # fmt: skip
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags)
    head = b"II*\0" + struct.pack("<IH", 8, len(tags))
    (folder / "claims.tif").write_bytes(head + entries + bytes(12))
    parts = ((b"IHDR", struct.pack(">IIBBBBB", CLAIMED, CLAIMED, 8, 0, 0, 0, 0)),
             (b"IDAT", zlib.compress(bytes(100))), (b"IEND", b""))  # fmt: skip
    chunks = [
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in parts
    ]
    (folder / "claims.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(chunks))
    (folder / "claims.vrt").write_text(
        f'<VRTDataset rasterXSize="{CLAIMED}" rasterYSize="{CLAIMED}">'
        '<VRTRasterBand dataType="Byte" band="1"/></VRTDataset>'
    )


_RUN = """
import io, json, shlex, sys
from contextlib import redirect_stderr, redirect_stdout
from clusternet.commands import program

calls, slow = json.load(sys.stdin)
found = {}
for call in calls:
    said, status = io.StringIO(), 0
    with redirect_stderr(said), redirect_stdout(said):
        try:
            program.main(shlex.split(call))
        except SystemExit as end:
            status = end.code
        except Exception as error:
            status = repr(error)
    loaded = [name for name in slow if name in sys.modules]
    found[call] = status, said.getvalue(), loaded
    slow = [name for name in slow if name not in loaded]  # each is blamed on one call
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def ended(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[int, str, list[str]]]:
    """Exit status, printed text and slow libraries of each call, made in one process."""
    world = tmp_path_factory.mktemp("world")
    build_world(world)
    (world / "empty").mkdir()
    (world / "weights.keras").mkdir()
    write_claims(world)
    done = subprocess.run(
        [sys.executable, "-c", _RUN], input=json.dumps([CALLS, SLOW]), cwd=world, text=True,
        capture_output=True, check=True,
    )  # fmt: skip
    return json.loads(done.stdout)


@pytest.mark.parametrize("call", CALLS)
def test_a_mistake_is_refused_before_slow_libraries_load(
    call: str, ended: dict[str, tuple[int, str, list[str]]]
) -> None:
    status, said, loaded = ended[call]
    assert status == 2 and said.count("error: ") == 1, said
    may_load = {"scipy"} if call.split()[0] in ("scene", "demo") else set()  # draws the scenes
    may_load |= {"ray"} if "--ray" in call else set()  # whether a cluster answers, Ray finds out
    assert set(loaded) <= may_load


def test_every_command_is_tried() -> None:
    from clusternet.commands.table import SUMMARIES

    assert {shlex.split(call)[0] for call in CALLS} == SUMMARIES.keys()


@pytest.mark.parametrize("call", [call for call in CALLS if "claims." in call])
def test_headers_that_promise_gigapixels_are_told(
    call: str, ended: dict[str, tuple[int, str, list[str]]]
) -> None:
    said = ended[call][1]
    assert f"claims {CLAIMED} x {CLAIMED} pixels" in said and len(said.splitlines()[-1]) < 300
