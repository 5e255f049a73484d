"""Ray, or one line if it is not installed. `cluster.py` sets the variables that it reads."""

from __future__ import annotations

from clusternet.errors import SettingsError

try:
    import ray
except ImportError as error:
    raise SettingsError(
        "--ray and --num_workers need Ray, which is not installed (or cannot be loaded: "
        f'{error}); install it with pip install "clusternet[distributed]".'
    ) from error

__all__ = ["ray"]
