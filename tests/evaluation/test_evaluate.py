"""Maps are scored against labels over files, and the scores are written as a report."""

from __future__ import annotations

import csv
import json
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import geopandas
import numpy as np
import pytest
import shapely
from conftest import ROOT
from PIL import Image
from rasterio.transform import from_origin
from sklearn import metrics as sklearn_metrics

from clusternet.errors import (
    GridMismatchError,
    LabelError,
    OutputError,
    RasterError,
    RunError,
    SettingsError,
)
from clusternet.evaluation import contingency
from clusternet.evaluation.draws import draw_blocks
from clusternet.evaluation.epoch_scores import evaluate_epochs
from clusternet.evaluation.evaluate import evaluate
from clusternet.evaluation.report import evaluate_to_folder
from clusternet.legend.class_list import make_class_list, read_class_list

SHAPE = (300, 200)  # six blocks, cut off at the right and the bottom


def random_labels(seed: int, classes: int = 4) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, classes, SHAPE, np.uint8)


def clusters_of(truth: np.ndarray, seed: int = 9) -> np.ndarray:
    """Split every class into three clusters, with a tenth of the pixels wrong."""
    rng = np.random.default_rng(seed)
    wrong = rng.random(truth.shape) < 0.1
    noisy = np.where(wrong, rng.integers(0, 4, truth.shape), truth)
    return (noisy * 3 + rng.integers(0, 3, truth.shape)).astype(np.uint8)


@pytest.fixture
def cluster_maps(write_raster, tmp_path):
    """Two cluster maps with nodata and their labels; returns the folders."""
    for number in (1, 2):
        truth = random_labels(number)
        clusters = clusters_of(truth, seed=10 + number)
        truth[:10], clusters[-20:] = 255, 255
        path = write_raster(f"maps/s{number}_clusters.tif", clusters, nodata=255)
        set_kind(path, "clusters")
        write_raster(f"labels/s{number}.png", truth)
    return tmp_path / "maps", tmp_path / "labels"


@pytest.fixture
def class_maps(write_raster, tmp_path):
    for number in (1, 2):
        truth = random_labels(number)
        predicted = np.where(random_labels(number + 5) == 0, 0, truth)
        truth[:10], predicted[-20:] = 255, 255
        write_raster(f"maps/s{number}_classes.tif", predicted, nodata=255)
        write_raster(f"labels/s{number}.png", truth)
    return tmp_path / "maps", tmp_path / "labels"


def set_kind(path: Path, kind: str) -> None:
    import rasterio

    with rasterio.open(path, "r+") as dataset:
        dataset.update_tags(CLUSTERNET_KIND=kind)


def read_all(folder: Path) -> np.ndarray:
    import rasterio

    from clusternet.raster.quiet import quiet_georeferencing

    with quiet_georeferencing():
        arrays = []
        for path in sorted(folder.iterdir()):
            with rasterio.open(path) as dataset:
                arrays.append(dataset.read(1).ravel())
    return np.concatenate(arrays)


def both(maps: Path, labels: Path) -> tuple[np.ndarray, np.ndarray]:
    """Return predicted and true values of all pixels that have both."""
    predicted, truth = read_all(maps), read_all(labels)
    used = (predicted != 255) & (truth != 255)
    return predicted[used], truth[used]


def test_scores_of_class_maps_agree_with_scikit_learn(class_maps):
    report = evaluate(*class_maps)
    predicted, truth = both(*class_maps)
    scores = report.pooled.scores
    assert report.kind == "classes"
    assert scores.pixels == len(truth)
    assert report.accuracy == pytest.approx(sklearn_metrics.accuracy_score(truth, predicted))
    assert report.mean_iou == pytest.approx(
        sklearn_metrics.jaccard_score(truth, predicted, average="macro")
    )
    assert scores.kappa == pytest.approx(sklearn_metrics.cohen_kappa_score(truth, predicted))


def test_scores_of_clusters_agree_with_scikit_learn(cluster_maps):
    report = evaluate(*cluster_maps)
    clusters, truth = both(*cluster_maps)
    assert report.kind == "clusters"
    assert report.pooled.nmi == pytest.approx(
        sklearn_metrics.normalized_mutual_info_score(truth, clusters)
    )
    assert report.pooled.ari == pytest.approx(sklearn_metrics.adjusted_rand_score(truth, clusters))
    assert report.pooled.scores.accuracy == pytest.approx(np.mean(clusters // 3 == truth))


def test_clusters_named_by_a_tenth_of_the_blocks_score_well(cluster_maps):
    report = evaluate(*cluster_maps, labelled_fraction=0.1, draws=4)
    assert len(report.draws) == 4
    assert report.draws.accuracy == pytest.approx(0.925, abs=0.02)
    assert report.accuracy == pytest.approx(report.draws.accuracy.mean())


def test_one_to_one_matching_leaves_surplus_clusters_wrong(cluster_maps):
    report = evaluate(*cluster_maps)
    assert report.one_to_one.accuracy == pytest.approx(report.pooled.scores.accuracy / 3, abs=0.02)


def test_draws_depend_on_the_seed_only(cluster_maps):
    first, again, other = (evaluate(*cluster_maps, seed=seed) for seed in (3, 3, 4))
    assert (first.draws.accuracy == again.draws.accuracy).all()
    assert (first.draws.accuracy != other.draws.accuracy).any()


def test_draw_blocks_takes_the_same_share_and_leaves_some():
    assert draw_blocks(40, 0.1, 3, seed=1).sum(axis=1).tolist() == [4, 4, 4]
    assert draw_blocks(2, 0.01, 1, seed=1).sum() == 1
    assert draw_blocks(2, 0.99, 1, seed=1).sum() == 1
    assert (draw_blocks(40, 0.1, 3, 1)[:2] == draw_blocks(40, 0.1, 2, 1)).all()


def test_labelled_blocks_are_not_scored(write_raster, tmp_path):
    # Every block has its own cluster, so nothing learnt from one block helps with another.
    clusters = np.kron(np.arange(4).reshape(2, 2), np.ones((128, 128))).astype(np.uint8)
    truth = np.array([[0, 1], [1, 1]], np.uint8).repeat(128, 0).repeat(128, 1)
    maps = write_raster("maps/a.tif", clusters)
    labels = write_raster("labels/a.png", truth)
    report = evaluate(maps, labels, clusters=True, labelled_fraction=0.25, draws=20)
    # labelling the block of class 0 names all others 0 (wrong), any other names all of them 1
    assert set(report.draws.accuracy.round(6)) == {0.0, round(2 / 3, 6)}


def test_the_result_does_not_depend_on_the_window(cluster_maps, monkeypatch):
    whole = evaluate(*cluster_maps)
    monkeypatch.setattr(contingency, "_WINDOW", 128)
    parts = evaluate(*cluster_maps)
    assert (whole.pooled.confusion == parts.pooled.confusion).all()
    assert (whole.draws.accuracy == parts.draws.accuracy).all()
    for one, other in zip(whole.files, parts.files, strict=True):
        assert (one.picture.predicted == other.picture.predicted).all()
        assert (one.picture.truth == other.picture.truth).all()


def test_files_are_scored_one_by_one_and_pooled(class_maps):
    report = evaluate(*class_maps)
    assert [file.map_path.name for file in report.files] == ["s1_classes.tif", "s2_classes.tif"]
    confusions = [file.agreement.confusion for file in report.files]
    assert (sum(confusions) == report.pooled.confusion).all()


def test_nodata_and_unlabelled_pixels_are_left_out_and_reported(class_maps):
    report = evaluate(*class_maps)
    assert report.pooled.nodata_share == pytest.approx(20 / 300)
    assert report.pooled.unlabelled_share == pytest.approx(10 / 280)


def test_an_ignored_label_is_left_out(class_maps):
    report = evaluate(*class_maps, ignore_label=3)
    assert report.pooled.confusion[3].sum() == 0


def test_a_map_without_tag_or_nodata_takes_255_as_nodata(write_raster, tmp_path):
    maps = write_raster("m.png", np.array([[0, 255], [1, 1]], np.uint8))
    labels = write_raster("l.png", np.array([[0, 1], [1, 0]], np.uint8))
    report = evaluate(maps, labels)
    assert (report.kind, report.pooled.scores.pixels) == ("classes", 3)


def test_sixteen_bit_clusters_are_not_cut_off(write_raster):
    clusters = np.array([[300, 301], [44, 65535]], np.uint16)
    labels = write_raster("l.tif", np.array([[0, 1], [1, 1]], np.uint8))
    report = evaluate(write_raster("m.tif", clusters, nodata=65535), labels, clusters=True)
    assert report.pooled.scores.pixels == 3
    assert report.pooled.scores.accuracy == 1


def test_labels_on_another_grid_are_resampled(write_raster):
    truth = random_labels(1)
    maps = write_raster("m.tif", truth)
    fine = from_origin(448_000, 5_412_000, 0.25, 0.25)
    labels = write_raster("l.tif", truth.repeat(2, 0).repeat(2, 1), transform=fine)
    assert evaluate(maps, labels).accuracy == 1


def test_drawn_labels_are_burnt(write_raster, tmp_path):
    maps = write_raster("m.tif", np.full(SHAPE, 1, np.uint8))
    shapes = [shapely.box(448_000, 5_411_990, 448_010, 5_412_000),
              shapely.box(448_020, 5_411_990, 448_025, 5_412_000)]  # fmt: skip
    frame = geopandas.GeoDataFrame({"kind": ["water", "field"]}, geometry=shapes, crs=32631)
    frame.to_file(tmp_path / "drawn.gpkg", engine="pyogrio")
    classes = make_class_list({0: "field", 1: "water"})
    report = evaluate(maps, tmp_path / "drawn.gpkg", class_field="kind", classes=classes)
    assert report.class_names == ("field", "water")
    assert report.accuracy == pytest.approx(2 / 3)


def test_one_label_file_serves_the_maps_it_overlaps(write_raster, caplog):
    truth = random_labels(1)
    maps = write_raster("maps/near.tif", truth)
    write_raster("maps/far.tif", truth, transform=from_origin(600_000, 5_000_000, 0.5, 0.5))
    report = evaluate(maps.parent, write_raster("labels.tif", truth))
    assert [file.map_path.name for file in report.files] == ["near.tif"]
    assert "1 of 2 maps have no labelled pixel and are left out: far.tif" in caplog.text


def test_unknown_in_a_class_map_counts_as_wrong_but_is_no_class(write_raster):
    maps = write_raster("m.tif", np.array([[0, 1], [2, 1]], np.uint8))
    labels = write_raster("l.tif", np.array([[0, 1], [0, 1]], np.uint8))
    report = evaluate(maps, labels, classes=make_class_list({0: "a", 1: "b", 2: "unknown"}))
    assert report.accuracy == 0.75
    assert report.mean_iou == pytest.approx((0.5 + 1) / 2)
    assert report.pooled.confusion.tolist() == [[1, 0, 1], [0, 2, 0]]


def test_cluster_numbers_taken_for_classes_are_noticed(cluster_maps, caplog):
    evaluate(*cluster_maps, clusters=False)
    assert "add --clusters if they are cluster maps" in caplog.text


# wrong input


def test_labels_that_lie_elsewhere_are_refused(write_raster):
    maps = write_raster("m.tif", random_labels(1))
    far = from_origin(600_000, 5_000_000, 0.5, 0.5)
    labels = write_raster("l.tif", random_labels(1), transform=far)
    with pytest.raises(LabelError, match=r"l\.tif: gives no pixel of .*m\.tif a label"):
        evaluate(maps, labels)


def test_nothing_but_ignored_labels_is_refused(write_raster):
    labels = write_raster("l.png", np.full(SHAPE, 255, np.uint8))
    with pytest.raises(LabelError, match=r"nothing but nodata and 60,000 pixels of value 255"):
        evaluate(write_raster("m.tif", random_labels(1)), labels)


def test_another_grid_without_a_place_is_refused(write_raster):
    labels = write_raster("l.png", random_labels(1)[:-1])
    with pytest.raises(GridMismatchError, match=r"l\.png"):
        evaluate(write_raster("m.tif", random_labels(1)), labels)


def test_a_label_outside_the_class_list_is_refused(class_maps):
    with pytest.raises(LabelError, match=r"s1\.png: holds the label 3, which is not in the class"):
        evaluate(*class_maps, classes=make_class_list({0: "a", 1: "b", 2: "c"}))


def test_a_label_that_can_be_no_class_is_refused(write_raster):
    labels = write_raster("l.tif", np.full(SHAPE, 5000, np.uint16))
    with pytest.raises(LabelError, match=r"holds the label 5000; .* --ignore_label"):
        evaluate(write_raster("m.tif", random_labels(1)), labels)


def test_class_maps_among_cluster_maps_are_refused(cluster_maps, write_raster):
    write_raster("maps/s3.tif", random_labels(3))
    write_raster("labels/s3.png", random_labels(3))
    with pytest.raises(LabelError, match="is a cluster map, but others beside it are not"):
        evaluate(*cluster_maps)


def test_an_image_is_no_map(write_raster):
    image = write_raster("m.tif", np.zeros((8, 8, 3), np.uint8))
    with pytest.raises(LabelError, match="expected a map with one band of whole numbers"):
        evaluate(image, write_raster("l.tif", np.zeros((8, 8), np.uint8)))


@pytest.mark.parametrize(
    "wrong",
    [dict(labelled_fraction=0.0), dict(labelled_fraction=1.0), dict(draws=0), dict(seed=-1)],
)
def test_draws_that_cannot_be_made_are_refused(cluster_maps, wrong):
    with pytest.raises(SettingsError, match=next(iter(wrong))):
        evaluate(*cluster_maps, **wrong)


def test_a_missing_folder_is_refused(class_maps, tmp_path):
    with pytest.raises(RasterError, match="nowhere: no such file or folder"):
        evaluate(tmp_path / "nowhere", class_maps[1])
    with pytest.raises(LabelError, match="nowhere: no such file or folder"):
        evaluate(class_maps[0], tmp_path / "nowhere")


# class lists


def test_class_names_come_from_json_or_a_legend(tmp_path):
    (tmp_path / "classes.json").write_text('{"0": "building", "1": "road", "255": "unlabeled"}')
    (tmp_path / "legend.csv").write_text(
        "cluster,class,name,colour\n0,0,building,#ff0000\n1,1,road,#00ff00\n2,0,building,#ff0000\n"
    )
    from_json = read_class_list(tmp_path / "classes.json")
    legend = read_class_list(tmp_path / "legend.csv")
    assert from_json.names == legend.names == {0: "building", 1: "road"}
    assert from_json.no_classes == {255: "unlabeled"}
    assert legend.colours == {0: (255, 0, 0), 1: (0, 255, 0)}


def test_a_class_list_that_is_none_is_refused(tmp_path):
    (tmp_path / "classes.json").write_text("[]")
    with pytest.raises(LabelError, match=r"classes\.json"):
        read_class_list(tmp_path / "classes.json")
    with pytest.raises(LabelError, match=r"no\.json: cannot be read"):
        read_class_list(tmp_path / "no.json")


# epochs


@pytest.fixture
def run_with_maps(tmp_path):
    """A run folder with the test maps of two epochs, the second one better; and labels."""
    rng = np.random.default_rng(0)
    for place in ("a/0_0", "b/0_0"):
        truth = rng.integers(0, 2, (20, 20))
        save_png(tmp_path / f"labels/{place}.png", truth)
        for epoch, wrong in ((1, 0.4), (2, 0.05)):
            clusters = np.where(rng.random((20, 20)) < wrong, 1 - truth, truth) + 6
            clusters[0] = 255
            # valid padding: the map is smaller than the patch
            save_png(
                tmp_path / f"run/test_maps/epoch_{epoch:03d}/{place}.png", clusters[2:-2, 2:-2]
            )
    return tmp_path / "run", tmp_path / "labels"


def save_png(path: Path, values: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(values.astype(np.uint8))
    image.putpalette(np.arange(768, dtype=np.uint8).tobytes())
    image.save(path)


def test_each_epoch_is_scored(run_with_maps):
    first, second = evaluate_epochs(*run_with_maps)
    assert (first.epoch, second.epoch) == (1, 2)
    assert first.pixels == 2 * 16 * 16
    assert first.accuracy < 0.75 < 0.9 < second.accuracy
    assert first.nmi < second.nmi


def test_a_run_without_maps_of_epochs_is_refused(tmp_path, run_with_maps):
    (tmp_path / "bare").mkdir()
    with pytest.raises(RunError, match="train with --test_img_folder"):
        evaluate_epochs(tmp_path / "bare", run_with_maps[1])
    with pytest.raises(RunError, match="no such run folder"):
        evaluate_epochs(tmp_path / "nowhere", run_with_maps[1])


def test_labels_smaller_than_the_maps_of_epochs_are_refused(run_with_maps):
    run, labels = run_with_maps
    save_png(labels / "b/0_0.png", np.zeros((8, 8)))
    with pytest.raises(LabelError, match="expected labels of 16 x 16 pixels"):
        evaluate_epochs(run, labels)


def test_labels_of_another_size_than_resized_patches_are_refused(run_with_maps):
    run, labels = run_with_maps
    (run / "settings.yaml").write_text("img_shape: [16, 16]\n")
    with pytest.raises(LabelError, match="expected labels of 16 x 16 pixels"):
        evaluate_epochs(run, labels)


# the report


def test_the_report_holds_what_was_found(cluster_maps, tmp_path):
    written = evaluate_to_folder(*cluster_maps)
    folder = tmp_path / "maps_evaluation"
    assert written.folder == folder
    assert sorted(path.name for path in folder.iterdir()) == [
        "confusion.csv", "confusion.png", "report.html", "scores.csv", "scores.json",
    ]  # fmt: skip
    values = json.loads((folder / "scores.json").read_text())
    assert values["mean_iou"] == pytest.approx(written.report.mean_iou, abs=1e-6)
    assert values["labelled_fraction"]["accuracy"]["draws"] == pytest.approx(
        written.report.draws.accuracy.tolist(), abs=1e-6
    )
    with (folder / "scores.csv").open() as text:
        rows = list(csv.DictReader(text))
    assert [Path(row["file"]).name for row in rows] == [
        "all files", "s1_clusters.tif", "s2_clusters.tif",
    ]  # fmt: skip
    assert float(rows[0]["iou class 2"]) == pytest.approx(
        written.report.pooled.scores.iou[2], abs=1e-6
    )


def test_the_confusion_table_can_be_read_back(class_maps, tmp_path):
    written = evaluate_to_folder(*class_maps, tmp_path / "out")
    with (tmp_path / "out" / "confusion.csv").open() as text:
        rows = list(csv.reader(text))
    assert rows[0][1:] == [*written.report.class_names, "no class"]
    counts = np.array([row[1:] for row in rows[1:]], int)
    assert (counts == written.report.pooled.confusion).all()


class _Sources(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag, attrs):
        self.found += [value for key, value in attrs if key in ("src", "href")]


def test_the_page_needs_no_other_file(class_maps, tmp_path):
    evaluate_to_folder(*class_maps, tmp_path / "out")
    page = (tmp_path / "out" / "report.html").read_text()
    sources = _Sources()
    sources.feed(page)
    assert len(sources.found) == 1 + 2 * 2  # the confusion matrix, and two pictures a file
    assert all(source.startswith("data:image/png;base64,") for source in sources.found)


def test_the_page_shows_the_scores_of_classes_and_files(cluster_maps, tmp_path):
    written = evaluate_to_folder(*cluster_maps, tmp_path / "out")
    page = (tmp_path / "out" / "report.html").read_text()
    rows = [re.sub("<[^>]+>", " ", row).split() for row in page.split("</tr>")]
    scores = written.report.pooled.scores
    for value in np.flatnonzero(~np.isnan(scores.iou)):
        shown = [f"{column[value]:.3f}" for column in (scores.iou, scores.dice)]
        assert any(row[-4:-2] == shown for row in rows)
    for file in written.report.files:
        ends = [row[-3] for row in rows if file.map_path.name in row[-7:]]
        assert ends == [f"{file.agreement.scores.accuracy:.3f}"]
    assert written.report.draws is not None
    assert f"<b>{written.report.draws.accuracy.mean():.3f}</b>" in page


def test_names_from_outside_are_escaped_in_the_page(class_maps, tmp_path):
    (tmp_path / "classes.json").write_text(
        json.dumps({"0": "<script>", "1": "b", "2": "c", "3": "d"})
    )
    evaluate_to_folder(*class_maps, tmp_path / "out", classes=tmp_path / "classes.json")
    page = (tmp_path / "out" / "report.html").read_text()
    assert "<script>" not in page
    assert "&lt;script&gt;" in page


def test_scores_of_epochs_are_written_and_plotted(run_with_maps, tmp_path):
    run, labels = run_with_maps
    written = evaluate_to_folder(None, labels, history=run)
    folder = tmp_path / "run_evaluation"
    assert "best of 2 epoch(s) is 2" in str(written)
    assert sorted(path.name for path in folder.iterdir()) == [
        "history.csv", "history.png", "report.html",
    ]  # fmt: skip
    with (folder / "history.csv").open() as text:
        assert [row["epoch"] for row in csv.DictReader(text)] == ["1", "2"]


def test_an_existing_report_is_kept_unless_overwritten(class_maps, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (out / "mine.txt").write_text("keep")
    for overwrite in (False, True):
        with pytest.raises(
            OutputError, match=r"no report that .* wrote \(a folder with mine.txt\)"
        ):
            evaluate_to_folder(*class_maps, out, overwrite=overwrite)
    assert [path.name for path in out.iterdir()] == ["mine.txt"]
    (out / "mine.txt").rename(tmp_path / "mine.txt")
    evaluate_to_folder(*class_maps, out)
    (tmp_path / "mine.txt").rename(out / "mine.txt")
    (out / "scores.json").unlink()
    with pytest.raises(OutputError, match=r"exists already.*--overwrite replaces it"):
        evaluate_to_folder(*class_maps, out)
    evaluate_to_folder(*class_maps, out, overwrite=True)
    assert (out / "scores.json").is_file() and (out / "mine.txt").read_text() == "keep"


# the script


def run_script(*args: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, ROOT / "tools" / "evaluation.py", *map(str, args)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip


def test_the_script_prints_one_line(cluster_maps, tmp_path):
    done = run_script("--draws", 2, *cluster_maps, "--output_folder", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("accuracy 0.9")
    assert done.stdout.rstrip().endswith(str(tmp_path / "out" / "report.html"))
    assert len(done.stdout.splitlines()) == 1


def test_the_script_reports_a_mistake_in_one_line_and_leaves_nothing(class_maps, tmp_path):
    maps, labels = class_maps
    (tmp_path / "classes.json").write_text('{"0": "a", "1": "b"}')
    done = run_script(maps, labels, "--classes", tmp_path / "classes.json")
    assert done.returncode == 2
    assert done.stderr.startswith("error: ")
    assert "which is not in the class list (0 a, 1 b)" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert sorted(p.name for p in tmp_path.iterdir()) == ["classes.json", "labels", "maps"]


def test_the_script_asks_for_maps_or_a_run(tmp_path):
    done = run_script(tmp_path)
    assert done.returncode == 2
    assert "expected MAPS and LABELS, or --history RUN and LABELS" in done.stderr
