"""The report beside class maps: areas, the clusters of each class, and where to doubt the map."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import WriteRaster

from clusternet.classes import doubts as doubts_module
from clusternet.classes.assign import assign_classes
from clusternet.classes.doubts import count_maps
from clusternet.classes.map_page import TITLE
from clusternet.errors import OutputError
from clusternet.legend.legend import read_legend
from clusternet.prediction.cluster_maps import read_cluster_map
from clusternet.raster import MapForm, create_map, open_raster
from clusternet.windows import Window

SIDE = 256
LEGEND = """cluster,class,name,colour,votes,purity,run
0,0,water,,90,1.0,
1,1,<b>forest</b>,,80,0.95,
2,1,<b>forest</b>,,40,0.55,
3,0,water,,0,,
"""


@pytest.fixture
def world(write_raster: WriteRaster, tmp_path: Path) -> Path:
    """A cluster map of four quarters and a legend; cluster 3 has no votes, 2 is impure."""
    clusters = np.zeros((SIDE, SIDE), np.uint8)
    clusters[:, 128:] = 1
    clusters[128:, :128] = 2
    clusters[192:, 192:] = 3
    clusters[:10] = 255
    with open_raster(write_raster("grid.tif", clusters)) as raster:
        grid = raster.profile
    tags = {"CLUSTERNET_KIND": "clusters", "CLUSTERNET_CLUSTERS": "4"}
    form = MapForm(nodata=255, tags=tags)
    with create_map(tmp_path / "maps" / "a_clusters.tif", grid, form) as writer:
        writer.write(Window(0, 0, SIDE, SIDE), clusters)
    (tmp_path / "legend.csv").write_text(LEGEND)
    return tmp_path


def classify(world: Path, **options: Any) -> Path:
    assign_classes(world / "maps", None, world / "classes", legend=world / "legend.csv", **options)
    return world / "classes" / "report.html"


def test_the_page_tells_areas_clusters_and_doubtful_places(world: Path) -> None:
    page = classify(world).read_text(encoding="utf-8")
    assert TITLE in page
    assert "&lt;b&gt;forest" in page and "<b>forest" not in page
    assert re.findall(r"(?:src|href)=\"(?!data:|#)[^\"]*", page) == []
    # forest: quarters 2 and 1, without cluster 3 and the rows of nodata; pixels of 0.25 m2
    forest = (128 * 128 + 128 * 128 + 118 * 128 - 64 * 64) * 0.25 / 1e4
    assert f"{forest:.4f}"[:5] in page
    assert "no label told its class; taken as water" in page
    assert "only 55% of it is &lt;b&gt;forest" in page


def test_counts_do_not_depend_on_windows_and_places_are_the_doubtful_ones(
    world: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    classify(world)
    legend = read_legend(world / "legend.csv")
    maps = [read_cluster_map(world / "maps" / "a_clusters.tif")]
    targets = [world / "classes" / "a_classes.tif"]
    counts = count_maps(maps, targets, legend, legend.classes)
    assert counts.pixels.sum() + counts.nodata == SIDE * SIDE
    assert counts.pixels[3, 0] == 64 * 64 and counts.pixels[3, 1] == 0
    assert counts.unit == "ha"
    assert counts.areas.sum() == pytest.approx(counts.pixels.sum() * 0.25 / 1e4)
    first = counts.places[0]
    assert (first.cluster, first.doubt) == (3, 1)
    assert first.window == Window(192, 192, 64, 64)
    x, y = first.centre
    assert maps[0].profile.transform @ (224, 224) == (x, y)
    assert counts.places[1].cluster == 2 and counts.places[1].doubt == pytest.approx(0.45)
    assert first.classes is not None and first.classes.shape == (128, 128, 3)
    monkeypatch.setattr("clusternet.prediction.cluster_maps.WINDOW", (64, 128))
    again = count_maps(maps, targets, legend, legend.classes)
    assert (again.pixels == counts.pixels).all()
    assert [p.window for p in again.places] == [p.window for p in counts.places]


def test_confidence_beside_a_map_adds_to_the_doubt(world: Path, write_raster: WriteRaster) -> None:
    trust = np.full((SIDE, SIDE), 254, np.uint8)
    trust[20:84, 10:74] = 30
    with open_raster(world / "maps" / "a_clusters.tif", codes=True) as raster:
        form = MapForm(nodata=255, tags={"CLUSTERNET_KIND": "confidence"})
        with create_map(world / "maps" / "a_confidence.tif", raster.profile, form) as writer:
            writer.write(Window(0, 0, SIDE, SIDE), trust)
    assert "another cluster is about as near" in classify(world).read_text()


def test_a_legend_without_evidence_gives_no_doubt(world: Path) -> None:
    (world / "legend.csv").write_text("cluster,class\n0,1\n1,2\n2,1\n3,1\n")
    assert "None stands out" in classify(world).read_text()


def test_only_a_few_places_are_kept(world: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doubts_module, "_CANDIDATES", 3)
    assert "taken as water" in classify(world).read_text()


def test_a_page_of_ours_is_replaced_and_one_of_the_user_kept(
    world: Path, caplog: pytest.LogCaptureFixture
) -> None:
    page = classify(world)
    with pytest.raises(OutputError, match="exists already"):
        classify(world)
    classify(world, overwrite=True)
    page.write_text("my notes")
    classify(world, overwrite=True)
    assert page.read_text() == "my notes" and "report.html: kept" in caplog.text
