"""Votes of labelled pixels: counted by hand, pooled over files, settled by rules."""

from __future__ import annotations

import logging
from pathlib import Path

import geopandas
import numpy as np
import pytest
import rasterio
import shapely
from conftest import WriteRaster
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from rasterio.transform import from_origin

from clusternet.classes.voting import Pair, Votes, count_votes, draw_labels
from clusternet.errors import GridMismatchError, LabelError, SettingsError
from clusternet.labels.files import settle_labels
from clusternet.labels.rules import LabelOptions
from clusternet.legend.class_list import make_class_list
from clusternet.prediction.cluster_maps import read_cluster_map

CLUSTERS = np.array([[0, 0, 1, 1], [2, 2, 3, 255]], np.uint8)


@pytest.fixture
def votes() -> Votes:
    """Classes 2 and 7 on clusters 0 to 3; nothing on cluster 4."""
    votes = Votes(5)
    votes.add(np.array([0, 0, 0, 1, 3]), np.array([7, 7, 2, 2, 7]))
    votes.add(np.array([1, 2, 2, 3]), np.array([7, 7, 2, 7]))
    return votes


def test_votes_are_pooled_by_cluster_and_class(votes: Votes) -> None:
    assert votes.numbers == [2, 7] and votes.total == 9
    assert votes.table.tolist() == [[1, 2], [1, 1], [1, 1], [0, 2], [0, 0]]
    assert votes.labelled().tolist() == [3, 2, 2, 2, 0]


def test_a_cluster_is_of_its_most_frequent_class_and_a_tie_of_the_lower(votes: Votes) -> None:
    assert votes.majority().tolist() == [7, 2, 2, 7, 7]  # the last, without votes: most in all
    assert votes.majority().dtype == np.int32


def test_purity_is_the_share_of_the_cluster_s_class(votes: Votes) -> None:
    purity = votes.purity(np.array([7, 7, 2, 2, 2]))
    np.testing.assert_allclose(purity, [2 / 3, 1 / 2, 1 / 2, 0, np.nan])
    one = Votes(1)
    one.add(np.array([0]), np.array([7]))
    assert one.purity(np.array([7])).tolist() == [1]


def test_one_class_counts_from_a_share_of_its_pixels() -> None:
    votes = Votes(5)
    votes.add(np.array([0, 0, 0, 0, 1, 1, 2, 3]), np.array([1, 1, 0, 0, 1, 0, 0, 1]))
    assert votes.binary(0.5).tolist() == [1, 1, 0, 1, 0]
    assert votes.binary(0.6).tolist() == [0, 0, 0, 1, 0]
    assert votes.binary(0).tolist() == [1, 1, 1, 1, 0]  # no label, no class
    assert votes.binary(0.5).dtype == np.int32


def test_the_binary_rule_knows_two_classes(votes: Votes) -> None:
    with pytest.raises(LabelError, match="expected labels 0 and 1, found 2"):
        votes.binary(0.5)
    none = Votes(3)
    none.add(np.array([1]), np.array([0]))
    assert none.binary(0.5).tolist() == [0, 0, 0]


@given(arrays(np.int32, (2, 40), elements=st.integers(0, 4)), st.integers(0, 40))
def test_parts_add_up_to_the_whole(pixels: np.ndarray, cut: int) -> None:
    whole, parts = Votes(5), Votes(5)
    whole.add(*pixels)
    for part in (pixels[:, :cut], pixels[:, cut:]):
        parts.add(*part)
    assert whole.table.tolist() == parts.table.tolist() and parts.total == 40


# --- label files


def pairs_of(count: int, files: int) -> list[Pair]:
    return [(f"map {i}", Path(f"labels/{i % files}.tif")) for i in range(count)]


@pytest.mark.parametrize(
    ("fraction", "files", "kept"),
    [(1, 6, 6), (0.5, 6, 3), (0.1, 6, 1), (0.45, 10, 4), (0.01, 3, 1)],
)
def test_a_share_of_the_label_files_is_drawn(fraction: float, files: int, kept: int) -> None:
    pairs = pairs_of(2 * files, files)
    drawn = draw_labels(pairs, fraction, 1)
    assert len({path for _, path in drawn}) == kept
    assert drawn == [pair for pair in pairs if pair in drawn] and len(drawn) == 2 * kept


def test_the_seed_draws_the_files_whatever_their_order() -> None:
    pairs = pairs_of(20, 20)
    draws = [{path for _, path in draw_labels(pairs, 0.5, seed)} for seed in range(5)]
    assert draws[1] == {path for _, path in draw_labels(pairs[::-1], 0.5, 1)}
    assert len(set(map(frozenset, draws))) > 3


@pytest.mark.parametrize("fraction", [0, -0.1, 1.001, float("nan")])
def test_a_share_that_is_none_is_refused(fraction: float) -> None:
    with pytest.raises(SettingsError, match="--gt_fraction: expected a number above 0"):
        draw_labels(pairs_of(3, 3), fraction, 1)


@pytest.mark.parametrize(("fraction", "said"), [(0.5, "2 of 4 files drawn"), (1, "")])
def test_a_draw_is_told(caplog: pytest.LogCaptureFixture, fraction: float, said: str) -> None:
    caplog.set_level(logging.INFO)
    draw_labels(pairs_of(4, 4), fraction, 1)
    assert said in caplog.text and bool(said) == bool(caplog.text)


class Files:
    """Maps and labels of two rows of four pixels."""

    def __init__(self, write: WriteRaster) -> None:
        self._write = write
        self.pairs: list[Pair] = []

    def add(self, labels: list[list[int]], **options: object) -> None:
        number = len(self.pairs)
        path = self._write(f"map{number}.tif", CLUSTERS, nodata=255)
        label = self._write(f"label{number}.tif", np.array(labels, np.uint8), **options)
        self.pairs.append((read_cluster_map(path), label))

    def count(self, left_out: str | None = None, **options: object) -> Votes:
        files = {path for _, path in self.pairs}
        rules = settle_labels(files, LabelOptions(**options), advice="")
        reason = {} if left_out is None else {"left_out": left_out}
        return count_votes(self.pairs, 4, rules, **reason)


@pytest.fixture
def files(write_raster: WriteRaster) -> Files:
    return Files(write_raster)


def test_labelled_pixels_of_all_files_vote(files: Files) -> None:
    files.add([[5, 5, 5, 6], [255, 6, 6, 6]])  # 255 is no label, the map's last pixel no cluster
    files.add([[6, 6, 6, 6], [255, 255, 255, 5]])
    votes = files.count()
    assert votes.num_clusters == 4 and votes.numbers == [5, 6]
    assert votes.table.tolist() == [[2, 2], [1, 3], [0, 1], [0, 1]]


def test_windows_of_a_map_vote_once_each(
    files: Files, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    monkeypatch.setattr("clusternet.prediction.cluster_maps.WINDOW", (1, 3))
    files.add([[5, 5, 5, 6], [255, 6, 6, 6]])
    assert files.count().table.tolist() == [[2, 0], [1, 1], [0, 1], [0, 1]]
    assert "labels on 6 of the 8 pixels" in caplog.text


def test_names_and_colours_of_the_user_come_first(files: Files) -> None:
    files.add([[0, 0, 1, 1], [1, 1, 1, 1]])
    classes = make_class_list({0: "wood", 1: "field"}, {0: (1, 2, 3), 1: (4, 5, 6)})
    votes = files.count(classes=classes)
    assert votes.names == {0: "wood", 1: "field"}
    assert votes.colours == {0: (1, 2, 3), 1: (4, 5, 6)}


def write_colours(path: Path, colours: dict[int, tuple[int, int, int]], names: str = "") -> None:
    """Give a label raster a table of colours, and names divided by spaces."""
    with rasterio.open(path, "r+") as dataset:
        dataset.write_colormap(1, {value: (*rgb, 255) for value, rgb in colours.items()})
    if names:
        listed = "".join(f"<Category>{name}</Category>" for name in names.split())
        path.with_name(f"{path.name}.aux.xml").write_text(
            f'<PAMDataset><PAMRasterBand band="1"><CategoryNames>{listed}</CategoryNames>'
            "</PAMRasterBand></PAMDataset>"
        )


def test_the_first_file_that_states_a_colour_decides(files: Files) -> None:
    files.add([[0, 0, 0, 0], [0, 0, 0, 0]])  # its table has black for the values it lacks
    files.add([[0, 0, 1, 1], [1, 1, 1, 1]])
    write_colours(files.pairs[0][1], {0: (9, 9, 9)})
    write_colours(files.pairs[1][1], {0: (1, 1, 1), 1: (2, 2, 2)})
    colours = files.count().colours
    assert colours == {0: (9, 9, 9), 1: (2, 2, 2)}


def test_colours_follow_names_to_their_common_numbers(files: Files) -> None:
    for _ in range(2):
        files.add([[0, 0, 1, 1], [1, 1, 1, 1]])
    write_colours(files.pairs[0][1], {0: (10, 0, 0), 1: (20, 0, 0)}, "wood field")
    write_colours(files.pairs[1][1], {0: (30, 0, 0), 1: (40, 0, 0)}, "field sea")
    votes = files.count()
    by_name = {name: votes.colours[number] for number, name in votes.names.items()}
    assert by_name == {"wood": (10, 0, 0), "field": (20, 0, 0), "sea": (40, 0, 0)}
    # wood: 2 pixels on cluster 0; field: 1, 2 and 3 of the first file, 0 of the second
    table = {votes.names[n]: votes.by_class[n].tolist() for n in votes.numbers}
    assert table == {"wood": [2, 0, 0, 0], "field": [2, 2, 2, 1], "sea": [0, 2, 2, 1]}


def test_a_colour_of_a_number_that_a_file_does_not_name_is_not_taken(files: Files) -> None:
    files.add([[0, 1, 2, 2], [0, 1, 2, 2]])
    files.add([[0, 0, 0, 0], [0, 0, 0, 0]])
    write_colours(files.pairs[0][1], {}, "wood field sea")
    write_colours(files.pairs[1][1], {0: (30, 0, 0), 2: (40, 0, 0)}, "field")  # its 2 is no sea
    votes = files.count()
    assert votes.names == {0: "wood", 1: "field", 2: "sea"}
    assert votes.colours == {1: (30, 0, 0)}


@pytest.mark.parametrize(("left_out", "end"), [(None, "."), ("1 of 2 files", " (1 of 2 files).")])
def test_a_class_that_has_no_label_is_told_with_the_reason(
    files: Files, caplog: pytest.LogCaptureFixture, left_out: str | None, end: str
) -> None:
    files.add([[0, 0, 0, 0], [0, 0, 0, 0]])
    write_colours(files.pairs[0][1], {}, "wood sea")
    files.count(left_out)
    assert f"classes without any label: 'sea'{end}\n" in caplog.text


def test_what_is_read_and_used_is_told(files: Files, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    files.add([[5, 5, 5, 6], [255, 6, 6, 7]])  # the 7 lies on no cluster
    files.count(left_out="one is left out")
    assert "labels on 6 of the 8 pixels" in caplog.text and "(75.00 %)" in caplog.text
    assert any("class 7" in r.message for r in caplog.records if r.levelname == "WARNING")


def test_labels_beside_their_map_do_not_vote(
    files: Files, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    away = from_origin(0, 0, 0.5, 0.5)
    files.add([[5, 5, 5, 6], [6, 6, 6, 6]], transform=away)
    with pytest.raises(GridMismatchError, match=r"label0\.tif: does not overlap .*map0\.tif; is"):
        files.count()
    files.add([[5, 5, 5, 6], [6, 6, 6, 6]], transform=away)
    with pytest.raises(GridMismatchError, match="nor does any other of 2 pairs"):
        files.count()
    files.add([[5, 5, 5, 5], [255, 255, 255, 255]])
    for pairs in (files.pairs, files.pairs[::-1]):  # the first or the last map alone has labels
        files.pairs = pairs
        assert files.count().table.tolist() == [[2], [2], [0], [0]]
    assert "label0.tif does not reach" in caplog.text


def test_labels_on_no_cluster_are_refused(files: Files) -> None:
    files.add([[255, 255, 255, 255], [255, 255, 255, 5]])
    refusal = r"label0\.tif: no pixel of the maps has a label: none of 1 labelled pixels counts"
    with pytest.raises(LabelError, match=refusal):
        files.count()


@pytest.mark.parametrize(
    ("num_files", "said"), [(1, ""), (2, "classes matched by number: no file states names")]
)
def test_what_made_the_classes_of_several_files_meet_is_kept(
    files: Files, num_files: int, said: str
) -> None:
    for _ in range(num_files):
        files.add([[5, 5, 5, 6], [6, 6, 6, 6]])
    assert files.count().basis == said


def test_a_colour_that_the_user_did_not_list_is_not_taken_from_a_file(files: Files) -> None:
    files.add([[0, 0, 1, 1], [1, 1, 1, 1]])
    write_colours(files.pairs[0][1], {0: (9, 9, 9), 1: (8, 8, 8)})
    classes = make_class_list({0: "wood", 1: "field"}, {0: (1, 2, 3)})
    assert files.count(classes=classes).colours == {0: (1, 2, 3)}


def test_a_map_with_a_table_of_colours_votes_by_its_numbers(files: Files) -> None:
    files.add([[5, 5, 5, 6], [6, 6, 6, 6]])
    write_colours(files.pairs[0][0].path, {0: (7, 7, 7), 1: (7, 7, 7), 2: (9, 0, 0)})
    assert files.count().table.tolist() == [[2, 0], [1, 1], [0, 2], [0, 1]]


def test_drawn_labels_vote_and_those_too_small_are_told(
    files: Files, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    files.add([[255] * 4, [255] * 4])
    left, top, pixel = 448_000, 5_412_000, 0.5  # of rasters by the write_raster fixture
    boxes = {"wood": (0, 0, 2, 1), "well": (2.6, 0.6, 2.8, 0.8)}  # in pixels: x, y, x, y
    corners = {
        name: shapely.box(left + x * pixel, top - y * pixel, left + x2 * pixel, top - y2 * pixel)
        for name, (x, y, x2, y2) in boxes.items()
    }
    drawn = tmp_path / "drawn.gpkg"
    frame = geopandas.GeoDataFrame({"class": [*corners]}, geometry=[*corners.values()], crs=32631)
    frame.to_file(drawn)
    files.pairs = [(files.pairs[0][0], drawn)]
    votes = files.count()
    assert {votes.names[number] for number in votes.numbers} == {"wood"} and votes.colours == {}
    assert votes.table.tolist() == [[2], [0], [0], [0]]
    assert "1 covering no pixel centre; draw them at least a pixel wide." in caplog.text
