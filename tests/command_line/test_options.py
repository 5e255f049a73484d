"""The command line of main.py: what must work, and what must be refused in one line."""

from __future__ import annotations

import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT, load_script

from clusternet.command_line.command import run_command
from clusternet.command_line.options import OPTIONS, training_defaults, training_settings
from clusternet.errors import SettingsError
from clusternet.settings import TilingSettings, TrainingSettings

main = load_script(ROOT / "main.py")

FILES = {
    "good.yaml": "num_clusters: 12\nlearn_rate: 1e-3\nimg_shape: [64, 48]\n",
    "switch.yaml": "skip_bad_files: yes\n",
    "nodata.yaml": "nodata: -3.4e38\n",
    "comments.yaml": "# nothing set yet\n",
    "default.yaml": "num_clusters:\nimg_shape: null\n",
    "unknown.yaml": "num_cluster: 12\n",
    "number_key.yaml": "3: 4\n",
    "word.yaml": "num_clusters: ten\n",
    "fraction.yaml": "num_clusters: 2.7\n",
    "true.yaml": "num_clusters: true\n",
    "short.yaml": "img_shape: 64\n",
    "long.yaml": "img_shape: [64, 64, 64]\n",
    "many.yaml": "num_clusters: [1, 2]\n",
    "nested.yaml": "num_clusters: {a: 1}\n",
    "choice.yaml": "padding: wide\n",
    "maybe.yaml": "skip_bad_files: maybe\n",
    "list.yaml": "- num_clusters\n- 12\n",
    "output.yaml": "output: runs/mine\n",
    "patches.yaml": "patches: somewhere\n",
    "overwrite.yaml": "overwrite: true\n",
    "broken.yaml": "img_shape: [64,\n",
    "binary.yaml": "\udcff\udcfe",
}


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with settings files, good and bad."""
    for name, text in FILES.items():
        (tmp_path / name).write_bytes(text.encode(errors="surrogateescape"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("PATCHES", {}),
        ("--num_clusters 12 PATCHES", {"num_clusters": 12}),
        ("PATCHES --num_clusters 12", {"num_clusters": 12}),
        ("PATCHES --num_clusters=12", {"num_clusters": 12}),
        ("PATCHES --config good.yaml",
         {"num_clusters": 12, "learn_rate": 1e-3, "img_shape": (64, 48)}),
        ("--config=good.yaml PATCHES",
         {"num_clusters": 12, "learn_rate": 1e-3, "img_shape": (64, 48)}),
        ("PATCHES --config good.yaml --num_clusters 7 --img_shape 32 32",
         {"num_clusters": 7, "learn_rate": 1e-3, "img_shape": (32, 32)}),
        ("PATCHES --config comments.yaml", {}),
        ("PATCHES --config default.yaml", {}),
        ("PATCHES --nodata -9999", {"nodata": -9999.0}),
        ("PATCHES --nodata=-3.4e38", {"nodata": -3.4e38}),
        ("PATCHES --nodata -3.4e38", {"nodata": -3.4e38}),
        ("PATCHES --config nodata.yaml", {"nodata": -3.4e38}),
        ("PATCHES --skip_bad_files", {"skip_bad_files": True}),
        ("PATCHES --config switch.yaml", {"skip_bad_files": True}),
        ("PATCHES --config switch.yaml --no-skip_bad_files", {}),
    ],
)  # fmt: skip
def test_a_good_command_line_works(files: Path, line: str, expected: dict[str, Any]) -> None:
    args = main.build_parser().parse_args(shlex.split(line))
    assert args.patches == Path("PATCHES")
    assert vars(training_settings(args)) == training_defaults() | expected


REFUSED = [
    ("", "PATCHES"),
    ("--num_clusters 12", "PATCHES"),
    ("PATCHES OTHER", "'OTHER'"),
    ("PATCHES --nonsense 4", "--nonsense"),
    ("PATCHES --num_cluster 12", "Did you mean --num_clusters?"),
    ("PATCHES --patch 4", "--patch"),
    ("PATCHES --num 12", "--num"),
    ("PATCHES --num_clusters ten", "--num_clusters: invalid int value: 'ten'"),
    ("PATCHES --num_clusters 2.7", "--num_clusters: invalid int value: '2.7'"),
    ("PATCHES --num_clusters", "--num_clusters: expected one argument"),
    ("PATCHES --num_clusters 0", "num_clusters: expected a number above 0, received 0"),
    ("PATCHES --learn_rate nan", "learn_rate: expected a number above 0, received nan"),
    ("PATCHES --seed -1", "seed: expected a whole number from 0"),
    ("PATCHES --current_epoch -1", "current_epoch: expected 0 or more"),
    ("PATCHES --img_shape 64", "--img_shape: expected 2 arguments"),
    ("PATCHES --img_shape 64 64 64", "'64' after --img_shape 64 64"),
    ("PATCHES --padding wide", "--padding: invalid choice: 'wide'"),
    ("PATCHES --skip_bad_files=maybe", "--skip_bad_files"),
    ("PATCHES --config missing.yaml", "missing.yaml"),
    ("PATCHES --config .", "."),
    ("PATCHES --config unknown.yaml",
     "unknown.yaml: 'num_cluster' is not a setting. Did you mean num_clusters?"),
    ("PATCHES --config number_key.yaml", "number_key.yaml: '3' is not a setting"),
    ("PATCHES --config word.yaml",
     "word.yaml: num_clusters: expected a whole number, received ten"),
    ("PATCHES --config fraction.yaml",
     "fraction.yaml: num_clusters: expected a whole number, received 2.7"),
    ("PATCHES --config true.yaml", "true.yaml: num_clusters: expected a whole number"),
    ("PATCHES --config short.yaml", "short.yaml: img_shape: expected a list of 2 values"),
    ("PATCHES --config long.yaml", "long.yaml: img_shape: expected a list of 2 values"),
    ("PATCHES --config many.yaml", "many.yaml: num_clusters: expected one value"),
    ("PATCHES --config nested.yaml", "nested.yaml: num_clusters: expected one value"),
    ("PATCHES --config choice.yaml", "choice.yaml: padding: expected one of same, valid"),
    ("PATCHES --config maybe.yaml", "maybe.yaml: skip_bad_files: expected yes or no"),
    ("PATCHES --config list.yaml", "list.yaml: expected 'name: value' lines, found a list"),
    ("PATCHES --config output.yaml", "output.yaml: 'output' belongs on the command line"),
    ("PATCHES --config patches.yaml", "patches.yaml: 'patches' belongs on the command line"),
    ("PATCHES --config overwrite.yaml", "overwrite.yaml: 'overwrite' belongs on the command"),
    ("PATCHES --config broken.yaml", "broken.yaml: cannot be read as YAML"),
    ("PATCHES --config binary.yaml", "binary.yaml: is no UTF-8 text"),
]  # fmt: skip


@pytest.mark.parametrize(("line", "named"), REFUSED)
def test_a_bad_command_line_is_refused_in_one_line(
    files: Path, capsys: pytest.CaptureFixture[str], line: str, named: str
) -> None:
    with pytest.raises(SystemExit) as end:
        main.main(shlex.split(line))
    printed = capsys.readouterr()
    assert end.value.code == 2 and printed.out == ""
    assert printed.err.startswith("error: ") and printed.err.count("\n") == 1
    assert named in printed.err
    assert {path.name for path in files.iterdir()} == set(FILES)


def test_the_shell_sees_status_2_and_one_line(tmp_path: Path) -> None:
    found = subprocess.run(
        [sys.executable, ROOT / "main.py", "PATCHES", "--num_clusters", "ten"],
        cwd=tmp_path, text=True, capture_output=True, check=False,
    )  # fmt: skip
    assert (found.returncode, found.stdout) == (2, "")
    assert found.stderr == (
        "error: argument --num_clusters: invalid int value: 'ten' (--help lists the options)\n"
    )
    assert list(tmp_path.iterdir()) == []


def test_a_mistake_found_later_ends_alike(capsys: pytest.CaptureFixture[str]) -> None:
    def command() -> None:
        raise SettingsError("Setting x: expected 1, received 2.")

    with pytest.raises(SystemExit) as end:
        run_command(command)
    assert end.value.code == 2
    assert capsys.readouterr().err == "error: Setting x: expected 1, received 2.\n"


@pytest.mark.parametrize(
    "line",
    ["MAPS LABELS --draws 7", "--draws 7 MAPS LABELS", "MAPS --draws 7 LABELS",
     "MAPS --config draws.yaml LABELS", "--config=draws.yaml MAPS LABELS"],
)  # fmt: skip
def test_paths_of_evaluation_may_stand_on_both_sides_of_flags(files: Path, line: str) -> None:
    parser = load_script(ROOT / "tools" / "evaluation.py").build_parser()
    (files / "draws.yaml").write_text("draws: 7\n")
    args = parser.parse_intermixed_args(shlex.split(line))
    assert (args.maps, args.labels, args.draws) == (Path("MAPS"), Path("LABELS"), 7)


def test_one_path_too_many_is_refused_there_too(
    files: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    parser = load_script(ROOT / "tools" / "evaluation.py").build_parser()
    with pytest.raises(SystemExit):
        parser.parse_intermixed_args(["MAPS", "LABELS", "--draws", "7", "MORE"])
    assert "unexpected 'MORE'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        (lambda: TrainingSettings(padding="wide"), "padding: expected one of same, valid"),
        (lambda: TilingSettings(edge="wrap"), "edge: expected one of shift, pad, drop"),
        (lambda: TilingSettings(nodata_rule="some"), "nodata_rule: expected one of any, all"),
    ],
)
def test_a_call_is_held_to_the_same_choices(settings: Any, expected: str) -> None:
    with pytest.raises(SettingsError, match=f"Setting {expected}.*, received "):
        settings()


def test_every_option_has_help() -> None:
    assert [name for name, option in OPTIONS.items() if not option.get("help")] == []


def test_the_help_shows_the_defaults_in_force() -> None:
    text = " ".join(main.build_parser().format_help().split())
    for name in ("num_clusters", "learn_rate", "seed", "padding"):
        assert f"(default: {training_defaults()[name]})" in text
