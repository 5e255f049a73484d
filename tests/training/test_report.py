"""The report of a run shows what its clusters are, and belongs to the run folder."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from memory_training import SETTINGS, Training, make_training, nearest, random_patches
from PIL import Image

from clusternet.files.outputs import new_folder
from clusternet.training import gallery as gallery_module
from clusternet.training.checkpoint import Checkpoint
from clusternet.training.gallery import PER_CLUSTER, make_gallery
from clusternet.training.loop import embed
from clusternet.training.run import load_run
from clusternet.training.run_files import REPORT, REPORT_TITLE, RUN


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run folder with its report."""
    folder = tmp_path_factory.mktemp("runs") / "my <run>"
    finish(make_training(output=folder))
    return folder


def finish(training: Training, checkpoint: Checkpoint | None = None) -> None:
    training.complete(checkpoint)
    training.observer.write_report()


def cards_of(training: Training) -> list[Any]:
    plan = training.data.plan(training.observer.epochs_done)
    sample = embed(training.learner, training.data, plan, training.observer)
    stored = training.observer.stored
    return make_gallery(
        training.data.loader, plan.sample, sample.features, stored.codebook, stored.sizes
    )


def test_the_gallery_shows_pixels_near_a_centroid_and_between_two(tmp_path: Path) -> None:
    training = make_training(output=tmp_path / "run")
    training.complete()
    codebook, loader = training.observer.stored.codebook, training.data.loader
    cards = cards_of(training)
    assert [card.number for card in cards] == list(range(SETTINGS.num_clusters))
    assert sum(card.share for card in cards) == pytest.approx(1)
    for card in cards:
        assert len(card.typical) == len(card.borderline) == PER_CLUSTER
        near, between = (
            np.array([_distances(training, loader, codebook, crop) for crop in crops])
            for crops in (card.typical, card.borderline)
        )
        assert (near.argmin(axis=1) == card.number).all()
        assert (between.argmin(axis=1) == card.number).all()
        assert _margin(between).mean() < _margin(near).mean() / 2
        second = np.argsort(between, axis=1)[:, 1]
        assert [crop.other for crop in card.borderline] == second.tolist()
        apart = np.linalg.norm(codebook.centroids - codebook.centroids[card.number], axis=1)
        assert card.nearest == tuple(np.argsort(apart)[1:4].tolist())


def _distances(training: Training, loader: Any, codebook: Any, crop: Any) -> np.ndarray:
    pixels, valid = loader.patches.read(crop.patch)
    assert valid[crop.place]
    features = training.learner.features(loader.bands.standardise(pixels, valid)[crop.place])
    return np.linalg.norm(codebook.transform(features[None]) - codebook.centroids, axis=1)


def _margin(distances: np.ndarray) -> np.ndarray:
    first, second = np.sort(distances, axis=1)[:, :2].T
    return (second - first) / (second + first)


def test_the_spectrum_is_the_mean_of_the_pixels_of_a_cluster(tmp_path: Path) -> None:
    training = make_training(output=tmp_path / "run")
    training.complete()
    plan, loader = training.data.plan(3).sample, training.data.loader
    sums = np.zeros((SETTINGS.num_clusters, 3))
    counts = np.zeros(SETTINGS.num_clusters)
    for patch in plan.quotas:
        pixels, valid = loader.patches.read(patch)
        standard = loader.bands.standardise(pixels, valid)
        labels = nearest(training.learner.features(standard), training.observer.stored.codebook)
        chosen = plan.positions(patch, valid)
        np.add.at(sums, labels.ravel()[chosen], pixels.reshape(-1, 3)[chosen])
        counts += np.bincount(labels.ravel()[chosen], minlength=len(counts))
    spectra = np.array([card.spectrum for card in cards_of(training)])
    np.testing.assert_allclose(spectra, sums / counts[:, None], atol=1e-4)


def test_the_largest_clusters_are_pictured_and_all_are_listed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gallery_module, "_MOST_PICTURED", 2)
    training = make_training(output=tmp_path / "run")
    training.complete()
    cards = cards_of(training)
    pictured = [card.number for card in cards if card.typical]
    sizes = training.observer.stored.sizes
    assert set(pictured) == set(np.argsort(-sizes, kind="stable")[:2].tolist())
    training.observer.write_report()
    assert (tmp_path / "run" / REPORT).read_text().count('class="card"') == 5


def test_the_page_holds_everything_in_itself(run: Path) -> None:
    page = (run / REPORT).read_text(encoding="utf-8")
    assert REPORT_TITLE in page
    assert "<h1>my &lt;run&gt;</h1>" in page
    assert re.findall(r"(?:src|href)=\"(?!data:|#)[^\"]*", page) == []
    assert page.count("data:image/jpeg") == 1 + 2 * SETTINGS.num_clusters
    assert page.count("data:image/png") == 4  # the start and three epochs
    assert page.count("<polyline") == 4 + 2 * SETTINGS.num_clusters
    text = re.sub(r"base64,[^\"]*", "", page)
    assert re.findall(r"\bnan\b", text) == []


def test_the_legend_that_it_saves_is_of_the_codebook_as_maps_are(run: Path) -> None:
    identity = load_run(run).stored.identity
    assert f'const identity = "{identity}"' in (run / REPORT).read_text()


def test_the_report_belongs_to_the_run(tmp_path: Path) -> None:
    run = tmp_path / "run"
    finish(make_training(output=run))
    assert RUN.made is not None and RUN.made(run)(REPORT)
    with new_folder(run, kind=RUN, overwrite=True) as hidden:
        for name in ("settings.yaml", "bands.json"):
            (hidden / name).write_bytes((run / name).read_bytes())
    assert not (run / REPORT).exists()


def test_a_page_of_the_user_is_kept(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    training = make_training(output=tmp_path / "run")
    training.complete()
    (tmp_path / "run" / REPORT).write_text("my notes")
    training.observer.write_report()
    assert (tmp_path / "run" / REPORT).read_text() == "my notes"
    assert "kept" in caplog.text
    assert RUN.made is not None and not RUN.made(tmp_path / "run")(REPORT)


def test_a_resumed_run_writes_its_report_anew(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    finish(make_training(output=folder, settings=replace(SETTINGS, num_epochs=1)))
    first = (folder / REPORT).read_text()
    finish(make_training(output=folder), Checkpoint.load(folder))
    second = (folder / REPORT).read_text()
    assert first.count("data:image/png") == 2 and second.count("data:image/png") == 4
    # a run that was finished already has no new sample, but gets the same report
    finish(make_training(output=folder), Checkpoint.load(folder))
    assert (folder / REPORT).read_text() == second


def test_one_band_and_two_clusters_make_a_page(tmp_path: Path) -> None:
    patches = random_patches()
    grey = type(patches)(patches.pixels[..., :1], patches.valid)
    settings = replace(SETTINGS, num_clusters=2)
    finish(make_training(output=tmp_path / "run", settings=settings, patches=grey))
    assert "2 of them used" in (tmp_path / "run" / REPORT).read_text()


def test_the_film_has_a_dozen_frames_at_most(tmp_path: Path) -> None:
    finish(make_training(output=tmp_path / "run", settings=replace(SETTINGS, num_epochs=0)))
    preview = Image.open(tmp_path / "run" / "previews" / "epoch_000.png")
    for epoch in range(1, 30):
        preview.save(tmp_path / "run" / "previews" / f"epoch_{epoch:03d}.png")
    training = make_training(output=tmp_path / "run", settings=replace(SETTINGS, num_epochs=0))
    finish(training, Checkpoint.load(tmp_path / "run"))
    page = (tmp_path / "run" / REPORT).read_text()
    assert page.count("data:image/png") == 12
    assert "start" in page and "epoch 29" in page
