"""How quickly the page of a scene opens whose features are there."""

from __future__ import annotations

import subprocess
import sys

import pytest
from conftest import ROOT


def test_the_page_of_a_scene_with_features_needs_no_network_library():
    """It takes most of the time of a start, and half a gigabyte."""
    pytest.importorskip("nicegui", reason="pip install -e '.[interactive]' for the page")
    script = (
        "import sys; sys.path.insert(0, sys.argv[1]);"
        "import clusternet.interactive.app, clusternet.interactive.page;"
        "import clusternet.interactive.server, clusternet.commands.draw;"
        "sys.exit(bool({'keras', 'tensorflow', 'jax'} & sys.modules.keys()))"
    )
    assert subprocess.run([sys.executable, "-c", script, str(ROOT)], check=False).returncode == 0
