"""Clusters are named in the report of a run, in a browser, and the names become class maps."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from browser_page import needs_browser
from conftest import WriteRaster
from memory_training import SETTINGS, make_training

from clusternet.classes.assign import assign_classes
from clusternet.files.outputs import KIND_TAG
from clusternet.legend.legend import read_legend
from clusternet.prediction.map_states import COUNT_TAG, RUN_TAG
from clusternet.training.run import load_run
from clusternet.training.run_files import REPORT

NAMES = {0: "water", 2: '=HYPERLINK("x"), "odd"', 3: "water", 4: "unknown"}


@needs_browser
def test_names_typed_in_the_report_are_a_legend_that_maps_take(
    browser: Any, write_raster: WriteRaster, tmp_path: Path
) -> None:
    run, downloads = tmp_path / "run", tmp_path / "downloads"
    training = make_training(output=run)
    training.complete()
    training.observer.write_report()
    downloads.mkdir()
    browser.execute_cdp_cmd(
        "Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(downloads)}
    )
    browser.get((run / REPORT).as_uri())
    for number, name in NAMES.items():
        field = browser.find_element("css selector", f'.card[data-number="{number}"] input')
        field.send_keys(name)
    assert "4 of 5 clusters named" in browser.find_element("id", "state").text
    browser.find_element("id", "save").click()
    saved = _awaited(downloads / "legend.csv")
    browser.get("about:blank")

    legend, identity = read_legend(saved), load_run(run).stored.identity
    assert legend.run == identity
    named = {row.cluster: row.land_class.name for row in legend.rows}
    assert named == {**NAMES, 1: "unknown"} and len(named) == SETTINGS.num_clusters
    clusters = np.arange(25, dtype=np.uint8).reshape(5, 5) % 5
    made = write_raster("maps/a_clusters.tif", clusters, nodata=255)
    with rasterio.open(made, "r+") as raster:
        raster.update_tags(**{KIND_TAG: "clusters", RUN_TAG: identity, COUNT_TAG: "5"})
    assign_classes(made, None, tmp_path / "classes", legend=saved)
    with rasterio.open(tmp_path / "classes" / "a_classes.tif") as raster:
        classes = raster.read(1)
    assert len(np.unique(classes)) == 3
    assert (classes[clusters == 0] == classes[clusters == 3]).all()


def _awaited(path: Path) -> Path:
    end = time.monotonic() + 20
    while not path.exists():
        assert time.monotonic() < end, "nothing was downloaded"
        time.sleep(0.05)
    return path
