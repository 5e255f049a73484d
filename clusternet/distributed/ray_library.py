"""Ray, loaded with settings that suit a command line: no reports, no dashboard."""

from __future__ import annotations

import os

from clusternet.errors import SettingsError

# before the import, which reads them
os.environ["RAY_USAGE_STATS_ENABLED"] = "0"  # it would send statistics to Ray's makers
os.environ.setdefault("RAY_DEDUP_LOGS", "0")
# a task that asks for no GPU must still see those of its node, as a process beside it would
os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")

try:
    import ray
except ImportError as error:
    raise SettingsError(
        "--ray and --num_workers need Ray, which is not installed (or cannot be loaded: "
        f'{error}); install it with pip install "clusternet[distributed]".'
    ) from error

__all__ = ["ray"]
