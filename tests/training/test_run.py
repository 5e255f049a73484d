"""A run folder gives back what was kept, and refuses what does not belong together."""

from __future__ import annotations

import csv
import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_run import BANDS, RECORDS, SETTINGS, Network, checkpoint, stored

from clusternet.errors import OutputError, RunError
from clusternet.files.arrays import read_arrays, write_arrays
from clusternet.settings import TrainingSettings
from clusternet.training.checkpoint import Checkpoint
from clusternet.training.run import (
    EpochRecord,
    library_versions,
    load_run,
    save_description,
    save_result,
    saved_settings,
)
from clusternet.training.stored_codebook import StoredCodebook, read_codebook, write_codebook
from clusternet.yaml_files import read_yaml


@pytest.fixture
def run(tmp_path: Path) -> Path:
    folder = tmp_path / "run"
    save_description(folder, SETTINGS, BANDS)
    save_result(folder, Network(), stored(), RECORDS)
    return folder


def assert_same(one: StoredCodebook, other: StoredCodebook) -> None:
    first, second = one.to_arrays(), other.to_arrays()
    assert first.keys() == second.keys()
    for name, values in first.items():
        np.testing.assert_array_equal(values, second[name])
        assert values.dtype == second[name].dtype


def test_a_run_gives_back_what_was_saved(run: Path) -> None:
    loaded = load_run(run)
    assert (loaded.settings, loaded.bands) == (SETTINGS, BANDS)
    assert loaded.model_path.read_bytes() == b"network"
    assert_same(loaded.stored, stored())


def test_a_run_may_be_moved(run: Path, tmp_path: Path) -> None:
    run.rename(tmp_path / "elsewhere")
    assert load_run(tmp_path / "elsewhere").settings == SETTINGS


def test_the_history_is_a_table_of_the_epochs(run: Path) -> None:
    with (run / "history.csv").open(newline="") as text:
        rows = list(csv.DictReader(text))
    assert [row["epoch"] for row in rows] == ["1", "2"]
    assert list(rows[0]) == [*(field.name for field in dataclasses.fields(EpochRecord)), "run"]


def test_nothing_but_the_files_of_a_run_is_left(run: Path) -> None:
    assert {path.name for path in run.iterdir()} == {
        "settings.yaml", "bands.json", "model.keras", "codebook.npz", "history.csv"
    }  # fmt: skip


def test_codebooks_have_a_name_of_their_own() -> None:
    assert stored(0).identity == stored(0).identity != stored(1).identity


def test_versions_of_the_libraries_are_known() -> None:
    assert {"keras", "numpy", "faiss-cpu", "rasterio"} <= library_versions().keys()


# --- what does not belong together


def test_a_folder_that_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="expected a run folder"):
        load_run(tmp_path / "none")
    with pytest.raises(RunError, match=r"settings\.yaml: missing; is .* a run folder\?"):
        load_run(tmp_path)


@pytest.mark.parametrize("name", ["settings.yaml", "bands.json", "model.keras", "codebook.npz"])
def test_a_missing_file_is_named(run: Path, name: str) -> None:
    (run / name).unlink()
    with pytest.raises(RunError, match=f"{name}: missing"):
        load_run(run)


def test_a_network_of_another_epoch_is_refused(run: Path) -> None:
    (run / "model.keras").write_bytes(b"another")
    with pytest.raises(RunError, match=r"different epochs or runs.*--resume mends it"):
        load_run(run)


def test_a_codebook_of_another_size_is_refused(run: Path) -> None:
    save_result(run, Network(), stored(clusters=5), RECORDS)
    with pytest.raises(RunError, match=r"expected 4 clusters as in settings\.yaml, found 5"):
        load_run(run)


@pytest.mark.parametrize(
    "text",
    ["num_clusters: ten\n", "clusters: 4\n", "- 4\n", "num_clusters: [\n", "num_clusters: 0\n",
     "img_shape: 3\n", "img_shape: [a, b]\n", "3: 4\n", "padding: wide\n"],
)  # fmt: skip
def test_damaged_settings_are_named(run: Path, text: str) -> None:
    (run / "settings.yaml").write_text(text)
    with pytest.raises(RunError, match=r"settings\.yaml: ") as error:
        load_run(run)
    assert "\n" not in str(error.value)


# --- arrays


def test_nothing_pickled_is_ever_read(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> Any:
            return Path.touch, (tmp_path / "sprung",)

    trap = np.array([Trap()], dtype=object)
    with (tmp_path / "codebook.npz").open("wb") as stream:
        np.savez(stream, centroids=trap)
    with pytest.raises(RunError, match=r"codebook\.npz: is no file of arrays.*pickle"):
        read_arrays(tmp_path / "codebook.npz")
    assert not (tmp_path / "sprung").exists()


def test_nothing_is_ever_pickled(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="Object arrays cannot be saved"):
        write_arrays(tmp_path / "a.npz", {"a": np.array([{}], dtype=object)})


@pytest.fixture(scope="module")
def codebook_bytes(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("codebook") / "codebook.npz"
    write_codebook(path, stored(), "digest")
    return path.read_bytes()


@given(share=st.floats(0, 1, exclude_max=True))
def test_a_codebook_cut_off_anywhere_is_refused(
    codebook_bytes: bytes, tmp_path_factory: pytest.TempPathFactory, share: float
) -> None:
    path = tmp_path_factory.getbasetemp() / "cut.npz"
    path.write_bytes(codebook_bytes[: int(share * len(codebook_bytes))])
    with pytest.raises(RunError, match=r"cut\.npz"):
        read_codebook(path)


@given(share=st.floats(0, 1, exclude_max=True), value=st.integers(0, 255))
def test_a_damaged_codebook_is_refused_or_whole(
    codebook_bytes: bytes, tmp_path_factory: pytest.TempPathFactory, share: float, value: int
) -> None:
    damaged = bytearray(codebook_bytes)
    damaged[int(share * len(damaged))] = value
    path = tmp_path_factory.getbasetemp() / "damaged.npz"
    path.write_bytes(damaged)
    try:
        found, _ = read_codebook(path)
    except RunError:
        return
    assert_same(found, stored())


def test_a_single_array_is_no_codebook(tmp_path: Path) -> None:
    with (tmp_path / "codebook.npz").open("wb") as stream:
        np.save(stream, np.zeros(3))
    with pytest.raises(RunError, match=r"codebook\.npz: is no file of arrays"):
        read_codebook(tmp_path / "codebook.npz")


def test_arrays_of_something_else_are_no_codebook(tmp_path: Path) -> None:
    write_arrays(tmp_path / "other.npz", {"a": np.zeros(3)})
    with pytest.raises(RunError, match=r"other\.npz: is not the codebook of a run"):
        read_codebook(tmp_path / "other.npz")


# --- checkpoints


def test_a_checkpoint_gives_back_what_was_saved(tmp_path: Path) -> None:
    checkpoint().save(tmp_path)
    loaded = Checkpoint.load(tmp_path)
    assert (loaded.epoch, loaded.history) == (2, tuple(RECORDS))
    assert loaded.arrays.keys() == checkpoint().arrays.keys()
    for name, values in checkpoint().arrays.items():
        np.testing.assert_array_equal(values, loaded.arrays[name])
    assert_same(loaded.stored, stored())


def test_a_checkpoint_that_cannot_be_written_leaves_the_last_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoint(1).save(tmp_path)

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch, pytest.raises(OutputError, match="No space left"):
        patch.setattr("clusternet.files.arrays.np.savez", full)
        checkpoint(2).save(tmp_path)
    assert Checkpoint.load(tmp_path).epoch == 1
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["state.npz"]


def test_a_foreign_checkpoint_is_refused(tmp_path: Path) -> None:
    (tmp_path / "checkpoint").mkdir()
    write_arrays(tmp_path / "checkpoint" / "state.npz", stored().to_arrays())
    with pytest.raises(RunError, match="is not the checkpoint of a run"):
        Checkpoint.load(tmp_path)


def test_settings_of_a_run_are_taken_up_only_where_it_can_go_on(run: Path) -> None:
    assert saved_settings(run) == {}
    checkpoint().save(run)
    assert saved_settings(run) == read_yaml(run / "settings.yaml")
    assert TrainingSettings.from_mapping(saved_settings(run)) == SETTINGS
