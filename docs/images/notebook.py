"""Run the cells of docs/areas.ipynb, and store what they print and draw in it.

python docs/images/notebook.py
"""

from __future__ import annotations

import base64
import contextlib
import io
import json
import os
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

NOTEBOOK = Path(__file__).resolve().parents[1] / "areas.ipynb"


def run_cells(notebook: dict[str, Any], changes: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Run the cells one after the other, and put their outputs in their places.

    Args:
        notebook: the content of the file; its outputs are replaced.
        changes: values of variables, set after the cell with the tag ``parameters``.

    Returns:
        the variables at the end.
    """
    os.environ.setdefault("MPLBACKEND", "Agg")
    variables: dict[str, Any] = {"__name__": "__main__"}
    count = 0
    for cell in notebook["cells"]:
        if cell["cell_type"] != "code":
            continue
        count += 1
        printed = io.StringIO()
        code = compile("".join(cell["source"]), f"cell {count}", "exec")
        with contextlib.redirect_stdout(printed), warnings.catch_warnings():
            warnings.filterwarnings("ignore", ".*non-interactive", UserWarning)
            exec(code, variables)  # noqa: S102, cells are the code of this repository
        cell["execution_count"] = count
        cell["outputs"] = [*_text(printed.getvalue()), *_figures()]
        if "parameters" in cell["metadata"].get("tags", ()):
            variables.update(changes or {})
    return variables


def _text(printed: str) -> list[dict[str, Any]]:
    if not printed:
        return []
    lines = printed.splitlines(keepends=True)
    return [{"output_type": "stream", "name": "stdout", "text": lines}]


def _figures() -> list[dict[str, Any]]:
    """Return the open figures of matplotlib as outputs, and close them."""
    import matplotlib.pyplot as plt

    outputs = []
    for number in plt.get_fignums():
        buffer = io.BytesIO()
        plt.figure(number).savefig(buffer, format="png", dpi=70, bbox_inches="tight")
        picture = base64.b64encode(buffer.getvalue()).decode()
        outputs.append({"output_type": "display_data", "metadata": {},
                        "data": {"image/png": picture, "text/plain": ["<Figure>"]}})  # fmt: skip
    plt.close("all")
    return outputs


def main() -> None:
    """Run the notebook with the sizes that it states, and write it."""
    notebook = json.loads(NOTEBOOK.read_text(encoding="utf-8"))
    run_cells(notebook)
    text = json.dumps(notebook, indent=1, ensure_ascii=False)
    NOTEBOOK.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
