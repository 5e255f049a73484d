"""A cluster that cannot be started or reached is told in one line, whatever Ray raises."""

from __future__ import annotations

from importlib.util import find_spec
from types import SimpleNamespace
from typing import Any

import pytest

from clusternet.distributed.cluster import ray_executor
from clusternet.errors import ClusterNetError

pytestmark = pytest.mark.skipif(find_spec("ray") is None, reason="Ray is not installed")


@pytest.mark.parametrize(
    ("address", "told"),
    [
        (None, r"^--num_workers: no Ray cluster could be started on this machine \(The node timed"),
        ("auto", r"^--ray auto: no Ray cluster answers there \(The node timed"),
    ],
)
def test_a_start_that_fails_is_told_in_one_line(
    address: str | None, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from clusternet.distributed import session

    def refuse(**options: Any) -> None:
        raise Exception("The node timed out.\nThis could happen because GCS is overloaded.")

    monkeypatch.setattr(session, "ray", SimpleNamespace(init=refuse, shutdown=lambda: None))
    with (
        pytest.raises(ClusterNetError, match=told) as refused,
        ray_executor(address, 1),
    ):
        pass
    assert len(str(refused.value)) < 300 and "\n" not in str(refused.value)


def test_a_wrong_token_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    from clusternet.distributed import session

    def refuse(**options: Any) -> None:
        raise ConnectionError("failed") from RuntimeError("AuthenticationError: InvalidAuthToken")

    monkeypatch.setattr(session, "ray", SimpleNamespace(init=refuse, shutdown=lambda: None))
    with (
        pytest.raises(ClusterNetError, match=r"^--ray auto: the cluster refuses .*RAY_AUTH_MODE"),
        ray_executor("auto", 1),
    ):
        pass
