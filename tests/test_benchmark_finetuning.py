"""The benchmark of fine-tuning labels what it says, and nothing else."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import numpy as np
from conftest import ROOT, WriteRaster, load_script

sys.path.insert(0, str(ROOT / "benchmarks"))
finetuning = load_script(ROOT / "benchmarks" / "finetuning.py")


def test_the_labels_of_a_draw_are_those_of_its_blocks(write_raster: WriteRaster) -> None:
    truth = np.random.default_rng(0).integers(-1, 2, (150, 300))
    image = write_raster("scenes/a.tif", np.ones((150, 300, 3), np.uint8))
    names = {3: "a", 8: "b"}
    rules = SimpleNamespace(options=SimpleNamespace(classes=SimpleNamespace(names=names)))
    scene = SimpleNamespace(name="a", image=image, rules=rules, truth=lambda count: truth)
    numbers = np.arange(6).reshape(2, 3).repeat(16, axis=0).repeat(16, axis=1)[:19, :38]
    labels = SimpleNamespace(blocks=[numbers], step=8)
    bench = SimpleNamespace(scenes=[scene], labels=labels, classes=["a", "b"])
    known = np.array([False, True, False, True, False, False])
    folder = finetuning.write_labels(bench, known, image.parents[1] / "labels")
    import rasterio

    with rasterio.open(folder / "a.tif") as found:
        values = found.read(1)
    expected = np.full(truth.shape, 255)
    for part in ((slice(0, 128), slice(128, 256)), (slice(128, None), slice(0, 128))):
        expected[part] = np.where(truth[part] < 0, 255, np.array([3, 8])[truth[part]])
    np.testing.assert_array_equal(values, expected)


def test_scores_of_shares_go_into_one_row() -> None:
    rows: list[dict[str, object]] = []
    for share in (0.01, 0.5):
        finetuning.add_scores(rows, "run", 2, share, {"all": {"mean_iou": share}})
    finetuning.add_scores(rows, "run", 3, 0.5, {"all": {"mean_iou": 0.7}})
    assert [row["seed"] for row in rows] == [2, 3]
    assert (rows[0]["1% mean_iou"], rows[0]["50% mean_iou"]) == (0.01, 0.5)
