"""Commands, settings files and flag tables that readers copy are right."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import ROOT, load_script

from clusternet.command_line.options import training_settings
from clusternet.commands import train
from clusternet.commands.table import SUMMARIES, command_module
from clusternet.errors import OutputError
from clusternet.settings import TilingSettings, TrainingSettings

flag_table = load_script(ROOT / "tools" / "flag_table.py")
README = ROOT / "README.md"
CLI = ROOT / "docs" / "cli.md"
TEXTS = [README, ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
SCRIPTS = [*flag_table.scripts().values(), ROOT / "tools" / "flag_table.py"]
CONFIGS = sorted((ROOT / "configs").glob("*.yaml"))


def bash_blocks(text: str) -> Iterator[str]:
    """Yield the code blocks marked as bash."""
    yield from re.findall(r"^ *```bash\n(.*?)^ *```", text, re.DOTALL | re.MULTILINE)


def script_calls(text: str) -> Iterator[list[str]]:
    """Yield the words of each call of a script or command: ``[script, argument, ...]``."""
    for line in text.replace("\\\n", " ").splitlines():
        lexer = shlex.shlex(line.strip().removeprefix("$ "), posix=True, punctuation_chars="&|;<>")
        lexer.whitespace_split = True
        words: list[str] = []
        for word in [*lexer, ";"]:
            if set(word) <= set("&|;<>"):
                while words and re.fullmatch(r"\w+=.*", words[0]):  # KERAS_BACKEND=jax python ...
                    words.pop(0)
                if re.fullmatch(r"(\S*/)?python3? \S+\.py", " ".join(words[:2])):
                    yield words[1:]
                elif words[:1] == ["clusternet"]:
                    yield words
                words = []
            else:
                words.append(word)


DOCUMENTED = [
    pytest.param(words, id=f"{path.relative_to(ROOT)}: {' '.join(words)}")
    for path in TEXTS
    for block in bash_blocks(path.read_text(encoding="utf-8"))
    for words in script_calls(block)
]
IN_DOCSTRINGS = [
    pytest.param(words, id=f"{path.name}: {' '.join(words)}")
    for path in SCRIPTS
    for words in script_calls(load_script(path).__doc__ or "")
] + [
    pytest.param(words, id=" ".join(words))
    for name in SUMMARIES
    for words in script_calls(command_module(name).__doc__ or "")
]


def parse(words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)  # where --config paths start
    if words[0] == "clusternet":
        while words[1].startswith("-"):  # -v, which all commands know
            words = [words[0], *words[2:], words[1]]
        command_module(words[1]).build_parser().parse_args(words[2:])
    else:
        load_script(ROOT / words[0]).build_parser().parse_args(words[1:])


@pytest.mark.parametrize("words", DOCUMENTED)
def test_a_documented_command_parses(words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    parse(words, monkeypatch)


@pytest.mark.parametrize("words", IN_DOCSTRINGS)
def test_an_example_of_a_script_parses(words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    parse(words, monkeypatch)


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_a_script_shows_how_it_is_called(script: Path) -> None:
    calls = [words[0] for words in script_calls(load_script(script).__doc__ or "")]
    assert calls and set(calls) == {script.relative_to(ROOT).as_posix()}


@pytest.mark.parametrize("name", SUMMARIES)
def test_a_command_shows_how_it_is_called(name: str) -> None:
    calls = [words[:2] for words in script_calls(command_module(name).__doc__ or "")]
    assert calls and all(call == ["clusternet", name] for call in calls)


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: path.name)
def test_a_named_module_exists(path: Path) -> None:
    named = re.findall(r"`((?:[a-z_]+/)+[a-z_]*(?:\.py)?)`", path.read_text(encoding="utf-8"))
    roots = (ROOT, ROOT / "clusternet")
    folders = {each.name for root in roots for each in root.iterdir() if each.is_dir()}
    ours = [name for name in named if name.split("/")[0] in folders]
    assert [name for name in ours if not any((root / name).exists() for root in roots)] == []


def test_the_readme_shows_every_command() -> None:
    text = README.read_text(encoding="utf-8")
    assert [name for name in SUMMARIES if f"clusternet {name}" not in text] == []


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.name)
def test_a_settings_file_loads(path: Path) -> None:
    args = train.build_parser().parse_args(["PATCHES", "--config", str(path)])
    assert training_settings(args) != TrainingSettings()


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.name)
def test_a_settings_file_says_why(path: Path) -> None:
    assert path.read_text(encoding="utf-8").startswith("# ")


def test_the_documented_flags_are_those_of_the_parsers() -> None:
    text = CLI.read_text(encoding="utf-8")
    assert flag_table.with_tables(text) == text, "run: python tools/flag_table.py"


# --- the tables themselves


def test_every_flag_stands_in_the_tables_with_its_default() -> None:
    rows = flag_table.flag_tables().splitlines()
    defaults = TilingSettings()
    assert (
        f"| `--patch_shape ROWS COLS` | {' '.join(map(str, defaults.patch_shape))} "
        "| size of a patch in pixels |"
    ) in rows
    assert any(row.startswith("| `--padding {same,valid}` | same |") for row in rows)
    assert any(row.startswith("| `--[no-]skip_bad_files` | no |") for row in rows)
    assert any(row.startswith("| `PATCHES` | required |") for row in rows)
    for name in SUMMARIES:
        for action in command_module(name).build_parser().actions:
            flag = (action.option_strings or [""])[0].removeprefix("--")
            is_shown = action.dest not in ("help", "verbosity")
            assert not is_shown or any(flag in row for row in rows), flag


def test_every_row_has_three_cells() -> None:
    rows = [row for row in flag_table.flag_tables().splitlines() if row.startswith("|")]
    assert {len(re.findall(r"(?<!\\)\|", row)) for row in rows} == {4}


@pytest.fixture
def text(tmp_path: Path) -> Path:
    path = tmp_path / "README.md"
    path.write_text(f"# Before\n\n{flag_table.START}\nstale\n{flag_table.END}\n\n# After\n")
    return path


def test_the_tables_are_written_in_place(text: Path, capsys: pytest.CaptureFixture[str]) -> None:
    flag_table.main([str(text)])
    written = text.read_text()
    assert written.startswith("# Before\n") and written.endswith("\n# After\n")
    assert "stale" not in written and "--num_clusters" in written
    assert capsys.readouterr().out == f"{text}: flags written\n"
    flag_table.main([str(text), "--check"])
    assert text.read_text() == written
    assert [path.name for path in text.parent.iterdir()] == ["README.md"]


def test_check_writes_nothing(text: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = text.read_text()
    with pytest.raises(SystemExit) as end:
        flag_table.main([str(text), "--check"])
    assert end.value.code == 2 and text.read_text() == before
    assert "out of date; run tools/flag_table.py" in capsys.readouterr().err


@pytest.mark.parametrize("body", ["", "{0}", "{1}\n{0}", "{0}\n{0}\n{1}"])
def test_a_text_without_its_markers_is_refused(body: str) -> None:
    with pytest.raises(OutputError, match="once each"):
        flag_table.with_tables(body.format(flag_table.START, flag_table.END))


def test_a_missing_text_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        flag_table.main([str(tmp_path / "none.md")])
    assert end.value.code == 2
    assert capsys.readouterr().err.startswith(f"error: {tmp_path / 'none.md'}: expected a text")


# --- how commands are found


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("python main.py PATCHES", [["main.py", "PATCHES"]]),
        ("$ python main.py PATCHES  # trains", [["main.py", "PATCHES"]]),
        ("python main.py \\\n    PATCHES", [["main.py", "PATCHES"]]),
        ("KERAS_BACKEND=jax .venv/bin/python main.py P", [["main.py", "P"]]),
        ("python tools/a.py A && python tools/b.py B; make demo",
         [["tools/a.py", "A"], ["tools/b.py", "B"]]),
        ("python main.py P > log.txt", [["main.py", "P"]]),
        ("clusternet train P && clusternet -v predict", [["clusternet", "train", "P"],
                                                         ["clusternet", "-v", "predict"]]),
        ("pip install -r requirements.txt\npython -m pytest\nmake test", []),
    ],
)  # fmt: skip
def test_commands_are_found_in_a_block(text: str, expected: list[list[str]]) -> None:
    assert list(script_calls(text)) == expected
    assert list(bash_blocks(f"Text\n```bash\n{text}\n```\n```python\nmain\n```\n")) == [f"{text}\n"]


# --- links


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: path.name)
def test_a_link_leads_to_a_file(path: Path) -> None:
    links = re.findall(r"\]\(([^)#\s]+)[^)]*\)", path.read_text(encoding="utf-8"))
    files = [link for link in links if "://" not in link]
    assert [link for link in files if not (path.parent / link).exists()] == []


def test_the_index_lists_every_page() -> None:
    text = (ROOT / "docs" / "README.md").read_text(encoding="utf-8")
    pages = [path.name for path in sorted((ROOT / "docs").glob("*.md")) if path.name != "README.md"]
    assert [name for name in pages if f"({name})" not in text] == []


def test_the_readme_is_short() -> None:
    assert len(README.read_text(encoding="utf-8").splitlines()) < 150
