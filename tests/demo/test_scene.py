"""Synthetic scenes: complete, repeatable, and what they are used for."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from clusternet.demo.scene import CLASS_COLOURS, CLASS_NAMES, Scene, make_scene, write_scenes
from clusternet.demo.scene.making import FIELD, FOREST, ROAD, WATER
from clusternet.demo.scene.shapes import Curve, distance_to_curve, scattered, smooth_noise, within
from clusternet.errors import OutputError, SettingsError
from clusternet.raster import open_raster
from clusternet.windows import Window


@pytest.fixture(scope="module")
def scene() -> Scene:
    return make_scene(1, (512, 512))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("scene") / "scenes"
    write_scenes(path, seed=3, shape=(160, 200))
    return path


def read(path: Path) -> tuple[np.ndarray, np.ndarray]:
    with open_raster(path) as raster:
        return raster.read(Window(0, 0, *raster.profile.shape))


def test_pixels_and_truth_share_the_asked_shape():
    scene = make_scene(5, (140, 201))
    assert scene.pixels.shape == (140, 201, 3) and scene.truth.shape == (140, 201)
    assert scene.pixels.dtype == scene.truth.dtype == np.uint8


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_every_class_is_there_and_none_rules(seed):
    truth = make_scene(seed, (512, 512)).truth
    shares = np.bincount(truth.ravel(), minlength=len(CLASS_NAMES)) / truth.size
    assert len(shares) == len(CLASS_NAMES)
    assert shares.min() > 0.01 and shares.max() < 0.7


def test_same_seed_gives_the_same_scene():
    first, second = (make_scene(4, (128, 160)) for _ in range(2))
    assert np.array_equal(first.pixels, second.pixels)
    assert np.array_equal(first.truth, second.truth)


def test_other_seed_gives_another_layout():
    assert (make_scene(1, (128, 160)).truth != make_scene(2, (128, 160)).truth).mean() > 0.1


def test_no_pixel_looks_like_nodata(scene):
    assert scene.pixels.min() > 0


def test_forest_and_fields_overlap_in_colour_but_not_in_texture(scene):
    green = scene.pixels[..., 1].astype(float)
    mean = ndimage.gaussian_filter(green, 4)
    rough = np.sqrt(np.maximum(ndimage.gaussian_filter(green**2, 4) - mean**2, 0))
    forest, field = scene.truth == FOREST, scene.truth == FIELD
    assert np.percentile(green[forest], 60) > np.percentile(green[field], 15)
    assert np.median(rough[forest]) > 2 * np.median(rough[field])


def test_water_is_dark_and_roads_are_grey(scene):
    water = scene.pixels[scene.truth == WATER].astype(float)
    road = np.median(scene.pixels[scene.truth == ROAD], axis=0)
    assert water.mean() < 80
    assert np.ptp(road) < 25


def test_too_small_a_scene_is_refused():
    with pytest.raises(SettingsError, match=r"at least 128 x 128 pixels, received \(100, 300\)"):
        make_scene(1, (100, 300))


def test_written_folder_holds_images_masks_and_classes(folder):
    files = {str(p.relative_to(folder)) for p in folder.rglob("*") if p.suffix in (".tif", ".json")}
    assert files == {
        "images/train.tif", "images/unseen.tif", "masks/train.tif", "masks/unseen.tif",
        "classes.json",
    }  # fmt: skip
    assert json.loads((folder / "classes.json").read_text()) == {
        "0": "field", "1": "forest", "2": "road", "3": "roof", "4": "water",
    }  # fmt: skip


@pytest.mark.parametrize("name", ["train", "unseen"])
def test_written_image_has_a_place_on_earth_and_a_nodata_corner(folder, name):
    with open_raster(folder / "images" / f"{name}.tif") as raster:
        profile = raster.profile
    _, valid = read(folder / "images" / f"{name}.tif")
    assert profile.crs.to_epsg() == 32631 and profile.transform.a == 0.5
    assert (profile.num_bands, profile.nodata) == (3, 0)
    assert 0.01 < (~valid).mean() < 0.1
    assert not valid[-1, -1] if name == "train" else not valid[0, 0]


@pytest.mark.parametrize("name", ["train", "unseen"])
def test_written_truth_is_nodata_where_the_image_is(folder, name):
    _, valid = read(folder / "images" / f"{name}.tif")
    with open_raster(folder / "masks" / f"{name}.tif", codes=True) as raster:
        assert raster.profile.nodata == 255
        truth, known = raster.read(Window(0, 0, *raster.profile.shape))
    assert np.array_equal(known, valid)
    assert truth[valid].max() < len(CLASS_NAMES)


def test_written_truth_carries_names_and_colours(folder):
    names = (folder / "masks" / "train.tif.aux.xml").read_text()
    assert all(f"<Category>{name}</Category>" in names for name in CLASS_NAMES)
    assert _palette(folder / "masks" / "train.tif")[:5] == CLASS_COLOURS.tolist()


def test_scenes_do_not_overlap_on_the_map(folder):
    first, second = (_profile(folder / "images" / f"{n}.tif") for n in ("train", "unseen"))
    assert second.transform.c > first.transform.c + first.shape[1] * 0.5


def test_existing_folder_is_refused_and_kept(tmp_path):
    (tmp_path / "note.txt").write_text("mine")
    with pytest.raises(OutputError, match="exists already"):
        write_scenes(tmp_path, shape=(128, 128))
    assert [path.name for path in tmp_path.iterdir()] == ["note.txt"]


def test_overwrite_replaces_the_folder(tmp_path):
    target = tmp_path / "scenes"
    target.mkdir()
    (target / "mine.txt").write_text("mine")
    with pytest.raises(OutputError, match=r"no folder of synthetic scenes .*with mine\.txt"):
        write_scenes(target, shape=(128, 128), overwrite=True)
    (target / "mine.txt").unlink()
    images = write_scenes(target, shape=(128, 128))
    before = images[0].read_bytes()
    (target / "images" / "mine.txt").write_text("mine")
    write_scenes(target, shape=(128, 128), seed=2, overwrite=True)
    assert images[0].read_bytes() != before
    assert (target / "images" / "mine.txt").read_text() == "mine"


def test_refused_shape_leaves_nothing_behind(tmp_path):
    with pytest.raises(SettingsError):
        write_scenes(tmp_path / "scenes", shape=(64, 64))
    assert list(tmp_path.iterdir()) == []


def test_output_below_a_file_is_refused_in_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot be written") as error:
        write_scenes(tmp_path / "file" / "scenes", shape=(128, 128))
    assert "\n" not in str(error.value)


def test_distance_to_a_straight_curve_is_the_way_to_it():
    line = Curve(np.stack([np.full(61, 10.0), np.arange(-10.0, 51.0)], axis=1), 2.0)
    distance, index = distance_to_curve(line, (30, 40), reach=6)
    assert distance[10, 5] == 0 and distance[14, 5] == 4 and np.isinf(distance[20, 5])
    assert index[12, 7] == 17


def test_noise_is_centred_and_smooth():
    noise = smooth_noise(np.random.default_rng(0), (300, 300), 10)
    assert abs(noise.mean()) < 0.1 and 0.4 < noise.std() < 1.2
    assert np.abs(np.diff(noise, axis=0)).max() < 0.8


def test_scattered_points_lie_on_their_area():
    area = np.zeros((60, 60), bool)
    area[20:40] = True
    points = scattered(np.random.default_rng(0), area, 6)
    assert len(points) > 10 and area[tuple(np.round(points).astype(int).T)].all()


def test_growing_an_empty_area_leaves_it_empty():
    assert not within(np.zeros((5, 5), bool), 3).any()


def _profile(path: Path):
    with open_raster(path) as raster:
        return raster.profile


def _palette(path: Path) -> list[list[int]]:
    with Image.open(path) as image:
        return np.reshape(image.getpalette(), (-1, 3)).tolist()
