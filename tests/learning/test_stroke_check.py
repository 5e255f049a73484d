"""The accuracy of strokes: no pixel is judged by a stroke beside it, checks are never learned."""

from __future__ import annotations

import numpy as np
import pytest
from interactive_scene import SHAPE, fill_cache_with_colours, make_run, make_scene

from clusternet.classes.batch import read_profile
from clusternet.labels.stroke_files import DrawingGrid, read_strokes, write_strokes
from clusternet.labels.strokes import Drawing, Stroke, make_line
from clusternet.learning import stroke_check
from clusternet.learning.mapping import collect_samples, least_certain, sample_scene
from clusternet.learning.rules import fit_rule
from clusternet.learning.stroke_check import check_strokes
from clusternet.legend.land_classes import make_classes
from clusternet.prediction.feature_cache import scene_folder
from clusternet.prediction.filling import prepare_cache
from clusternet.training.run import load_run

CLASSES = make_classes([1, 2, 3], {1: "grass", 2: "sand", 3: "road"})
# (col, row) in the quarters of the scene: 1 and 2 are above, left and right
GRASS = [(10, 20), (70, 20), (110, 60), (20, 90)]
SAND = [(200, 20), (260, 20), (300, 60), (210, 90)]


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    """Return the features of a scene, its grid and an even sample of it."""
    folder = tmp_path_factory.mktemp("check")
    raster, path = make_scene(folder), make_run(folder)
    fill_cache_with_colours(path, raster)
    run = load_run(path)
    cache, _ = prepare_cache(scene_folder(path, raster, None), raster, run)
    return cache, read_profile(raster, run), sample_scene(cache)


def stroke(number: int, col: float, row: float, *, check: bool = False) -> Stroke:
    return Stroke(make_line([(col, row), (col + 8, row + 4)]), number, 4, check)


def strokes(number: int, places: list[tuple[int, int]]) -> list[Stroke]:
    return [stroke(number, *place) for place in places]


def check(scene, drawn, rule: str = "centroids"):
    cache, profile, sample = scene
    return check_strokes(cache, profile, drawn, rule, sample)


def test_strokes_on_what_is_easily_told_apart_score_full_marks(scene):
    found = check(scene, strokes(1, GRASS) + strokes(2, SAND))
    assert found.numbers.tolist() == [1, 2] and found.places.tolist() == [4, 4]
    assert found.scores.accuracy == 1 and (found.scores.recall == 1).all()
    assert "accuracy: 1.00 of the pixels, each stroke held back once (8 places" in found.summary(
        CLASSES
    )


def test_a_stroke_on_the_wrong_place_is_found_by_the_others_and_its_class_is_the_weakest(scene):
    wrong = stroke(1, 280, 90)  # sand that was drawn as grass
    found = check(scene, [*strokes(1, GRASS), wrong, *strokes(2, SAND)])
    rows = dict(zip(found.numbers.tolist(), found.confusion.tolist(), strict=True))
    assert rows[1][1] > 0 and rows[2][0] == 0
    assert found.weakest == 1 and "weakest: 'grass'" in found.summary(CLASSES)


def test_strokes_beside_each_other_are_held_back_together(scene):
    """Or each would be judged by its neighbour, which remembers its pixels."""
    beside = [stroke(1, 20, 20), stroke(1, 22, 22)]
    found = check(scene, [*beside, *strokes(2, SAND)])
    assert found.places.tolist() == [1, 4]
    assert found.judged.tolist() == [False, True]
    assert found.weakest == 1  # one place only
    assert "weakest: 'grass'" in found.summary(CLASSES)
    alone = check(scene, [*beside, stroke(2, 200, 20)])
    assert not alone.confusion.sum() and "not known yet" in alone.summary(CLASSES)


def test_strokes_held_back_as_a_check_are_not_learned(scene):
    cache, _, sample = scene
    kept = strokes(1, GRASS) + strokes(2, SAND)
    drawn = [*kept, stroke(2, 110, 100, check=True)]  # grass that was drawn as sand
    learned, alone = (collect_samples(cache, each) for each in (drawn, kept))
    np.testing.assert_array_equal(learned.features, alone.features)
    found = check(scene, drawn)
    assert found.num_held_back == 1 and found.confusion.tolist()[1][0] > 0
    assert found.confusion.sum() == found.confusion[1, 0]  # the others are not judged
    assert "1 stroke(s) held back as a check" in found.summary(CLASSES)
    assert fit_rule("centroids", learned, sample).numbers.tolist() == [1, 2]


def test_check_beside_a_stroke_that_is_learned_does_not_count(scene):
    drawn = [*strokes(1, GRASS), *strokes(2, SAND), stroke(1, 12, 24, check=True)]
    assert not check(scene, drawn).confusion.sum()


def test_a_class_that_is_only_a_check_is_not_judged(scene):
    drawn = [*strokes(1, GRASS), *strokes(2, SAND), stroke(3, 40, 200, check=True)]
    found = check(scene, drawn)
    assert found.numbers.tolist() == [1, 2, 3] and not found.confusion.sum()


def test_ended_comparison_says_nothing(scene):
    cache, profile, sample = scene
    drawn = strokes(1, GRASS) + strokes(2, SAND)
    answers = iter([False, True])
    found = check_strokes(
        cache, profile, drawn, "centroids", sample, stop=lambda: next(answers, True)
    )
    assert found is None


@pytest.mark.parametrize("drawn", [[], [stroke(1, 20, 20)], [stroke(1, 20, 20, check=True)]])
def test_too_few_strokes_give_no_score(scene, drawn):
    found = check(scene, drawn)
    assert not found.confusion.sum() and found.weakest is None
    assert found.summary(CLASSES).startswith("accuracy: not known yet")


def test_pixels_are_never_judged_by_pixels_of_their_place(scene, monkeypatch):
    seen = []

    def watch(known, unknown, rule, numbers):
        seen.append((set(known.blocks.tolist()), set(unknown.blocks.tolist())))
        return np.zeros((len(numbers), len(numbers)), np.int64)

    monkeypatch.setattr(stroke_check, "_confusion", watch)
    check(scene, strokes(1, GRASS) + strokes(2, SAND))
    assert len(seen) == 5 and all(not known & unknown for known, unknown in seen)
    assert set().union(*(unknown for _, unknown in seen)) == set(range(8))


@pytest.mark.parametrize("suffix", ["gpkg", "geojson"])
def test_checks_are_stored_with_the_strokes(scene, tmp_path, suffix):
    grid = DrawingGrid.of(scene[1])
    drawn = Drawing(tuple(CLASSES.values())[:1], (stroke(1, 20, 20), stroke(1, 60, 60, check=True)))
    write_strokes(tmp_path / f"s.{suffix}", drawn, grid)
    assert [s.is_check for s in read_strokes(tmp_path / f"s.{suffix}", grid).strokes] == [0, 1]


class Unsure:
    """A classifier that mixes up classes 1 and 2 in one quarter, and 2 and 3 in another."""

    numbers = np.array([1, 2, 3], np.int32)

    def probabilities(self, features, clusters):
        shares = np.array([[0.5, 0.5, 0], [1, 0, 0], [0, 0.5, 0.5], [0, 1, 0]], np.float32)
        return shares[clusters]


def test_more_of_a_class_is_wanted_where_it_is_mixed_up_with_others(scene):
    quarters = {}
    for number in (1, 3):
        window = least_certain(scene[0], Unsure(), [stroke(1, 200, 20)], land_class=number)
        quarters[number] = window.row >= SHAPE[0] // 2, window.col >= SHAPE[1] // 2
    assert quarters == {1: (False, False), 3: (True, False)}
