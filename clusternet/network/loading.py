"""Load Keras and its backend late: it takes seconds, and inputs are looked at before that."""

from __future__ import annotations

from functools import cache

from clusternet.process_setup import quiet_stderr


@cache
def load_network_library() -> None:
    """Load Keras and its backend without the messages that they print while loading."""
    with quiet_stderr():
        from clusternet.network.backend import start_runtime

        start_runtime()
