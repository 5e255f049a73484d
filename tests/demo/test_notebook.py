"""The notebook of the documentation runs, and its intervals are about right."""

from __future__ import annotations

import json
import sys
from typing import Any

import pytest
from conftest import ROOT, load_script

NOTEBOOK = ROOT / "docs" / "areas.ipynb"
TINY: dict[str, Any] = {
    "SHAPE": (192, 256), "PATCH": 64, "CLUSTERS": 12, "EPOCHS": 1, "BASE_FILTERS": 2, "POINTS": 20,
}  # fmt: skip


@pytest.fixture(scope="module")
def notebook() -> dict[str, Any]:
    content: dict[str, Any] = json.loads(NOTEBOOK.read_text(encoding="utf-8"))
    return content


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_the_cells_run_and_end_with_a_table(
    notebook: dict[str, Any], tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MPLBACKEND", "Agg")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    run_cells = load_script(ROOT / "docs" / "images" / "notebook.py").run_cells
    variables = run_cells(json.loads(json.dumps(notebook)), TINY)
    table = variables["table"]
    assert {"roof", "water"} < set(table.index)
    assert table["estimated (ha)"].sum() == pytest.approx(table["on the map (ha)"].sum())
    assert (variables["run"] / "report.html").is_file()
    off = abs(table["estimated (ha)"] - table["true (ha)"])
    assert (off <= 2.5 * table["± (ha)"] + 0.02 * table["true (ha)"].sum()).mean() > 0.7
    assert "matplotlib.pyplot" in sys.modules


def test_each_cell_has_a_name_of_its_own_as_the_format_wants(notebook: dict[str, Any]) -> None:
    names = [cell.get("id") for cell in notebook["cells"]]
    assert None not in names and len(set(names)) == len(names)


def test_the_notebook_shows_what_it_found(notebook: dict[str, Any]) -> None:
    cells = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    kinds = [output["output_type"] for cell in cells for output in cell["outputs"]]
    assert kinds.count("display_data") >= 4 and kinds.count("stream") >= 3
    assert len(NOTEBOOK.read_bytes()) < 2_000_000
    text = NOTEBOOK.read_text(encoding="utf-8")
    assert "/tmp" not in text and "/home" not in text
