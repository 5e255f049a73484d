"""Random words of a cluster that is started on this machine."""

from __future__ import annotations

import os
import secrets
import sys
from dataclasses import dataclass, field
from functools import cache

from clusternet.distributed.guard import MARK


@cache
def _random_token() -> str:
    return secrets.token_hex(32)


def _token() -> str:
    """Return the user's token, or one for all clusters of this process: Ray reads it once only."""
    return os.environ.get("RAY_AUTH_TOKEN") or _random_token()


@dataclass(frozen=True)
class LocalSecrets:
    """Random words of a cluster that is started on this machine."""

    mark: str = field(default_factory=lambda: secrets.token_hex(16))
    """Is in the environment of all its processes, by which they are found."""
    token: str = field(default_factory=_token, repr=False)
    """The servers of the cluster refuse all calls without it: other users of this machine call."""

    def environment(self) -> dict[str, str]:
        """Return the environment variables of the cluster."""
        # Without a token given, Ray would make one and keep it in the user's home.
        variables = {MARK: self.mark, "RAY_AUTH_TOKEN": self.token}
        if "ray" not in sys.modules:  # else it has settled how it guards: by tokens, unless told
            variables["RAY_AUTH_MODE"] = "token"
        return variables
