"""Who may open the page: this machine by its own names, others only with the token."""

from __future__ import annotations

import asyncio
import secrets
import socket
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from clusternet.errors import SettingsError
from clusternet.interactive.access import MOST_BYTES, Access, Guard, answering, free_port

INSIDE = "inside"


def ask(
    access: Access, path: str = "/", kind: str = "http", method: str = "GET", **headers: str
) -> tuple[Any, dict[str, str]]:
    """Return what an application behind the guard answers: status or INSIDE, and headers."""
    answers: list[dict[str, Any]] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": INSIDE})

    async def send(message: dict[str, Any]) -> None:
        answers.append(message)

    async def receive() -> dict[str, Any]:
        raise AssertionError("nothing is read of what is refused")

    parts = urlsplit(path)
    named = {"host": f"127.0.0.1:{access.port}"} | headers
    scope = {
        "type": kind, "method": method, "path": parts.path, "query_string": parts.query.encode(),
        "headers": [(k.replace("_", "-").encode(), v.encode()) for k, v in named.items()],
    }  # fmt: skip
    asyncio.run(Guard(app, access)(scope, receive, send))
    first = answers[0]
    said = {name.decode(): value.decode() for name, value in first.get("headers", [])}
    return (first["type"] if first["type"] == INSIDE else first.get("status", first["type"])), said


@pytest.fixture
def local() -> Access:
    return Access.at("127.0.0.1", 8080)


@pytest.fixture
def shared() -> Access:
    return Access.at("0.0.0.0", 8080)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1", "127.0.0.5"])
def test_this_machine_alone_needs_no_token(host: str) -> None:
    access = Access.at(host, 8080)
    assert access.token is None and access.entrance == "/"
    assert ask(access)[0] == INSIDE


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.7.5", "gpu01.example.org"])
def test_an_address_that_others_reach_asks_for_a_token(host: str) -> None:
    access = Access.at(host, 8080)
    assert access.token is not None and len(access.token) >= 32
    assert parse_qs(urlsplit(access.entrance).query) == {"token": [access.token]}
    assert access.token not in access.address and access.token not in repr(access)
    assert Access.at(host, 8080).token != access.token
    assert ask(access)[0] == 403


def test_the_token_in_the_address_becomes_a_cookie_that_opens_the_page(shared: Access) -> None:
    status, headers = ask(shared, f"/?a=1&token={shared.token}")
    assert status == 303 and headers["location"] == "/?a=1"
    cookie, *flags = headers["set-cookie"].split("; ")
    assert cookie == f"clusternet_8080={shared.token}" and {"HttpOnly", "SameSite=Lax"} <= {*flags}
    assert ask(shared, "/image/1/2/3.png", cookie=cookie)[0] == INSIDE
    assert ask(shared, "/_nicegui_ws/socket.io", kind="websocket", cookie=cookie)[0] == INSIDE


@pytest.mark.parametrize("kind", ["http", "websocket"])
@pytest.mark.parametrize(
    "cookie",
    ["", "clusternet_8080=", "clusternet_8080=wrong", 'a=b;;="', "clusternet_80={token}",
     "clusternet_8080={token}x"],
)  # fmt: skip
def test_without_the_right_cookie_nothing_opens(shared: Access, kind: str, cookie: str) -> None:
    given = cookie.format(token=shared.token)
    assert ask(shared, kind=kind, cookie=given)[0] in (403, "websocket.close")


@pytest.mark.parametrize("path", ["/?token=wrong", "/?token=", "/?token=é", "/?toke={token}"])
def test_a_wrong_token_in_the_address_opens_nothing(shared: Access, path: str) -> None:
    status, headers = ask(shared, path.format(token=shared.token))
    assert status == 403 and "set-cookie" not in headers


def test_a_token_in_the_address_of_a_websocket_opens_nothing(shared: Access) -> None:
    assert ask(shared, f"/?token={shared.token}", kind="websocket")[0] == "websocket.close"


def test_tokens_are_compared_in_a_time_that_says_nothing(
    shared: Access, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    monkeypatch.setattr(secrets, "compare_digest", lambda a, b: bool(asked.append((a, b))))
    assert not shared.accepts(str(shared.token)) and len(asked) == 1


@pytest.mark.parametrize("path", ["//evil.example/", "/\\evil.example", "/%0d%0aset-cookie: a=b",
                                  "///evil.example//"])  # fmt: skip
def test_the_token_leads_to_no_other_machine(shared: Access, path: str) -> None:
    from urllib.parse import unquote

    scope_path = unquote(path)

    async def run() -> dict[str, str]:
        answers: list[dict[str, Any]] = []

        async def send(message: dict[str, Any]) -> None:
            answers.append(message)

        scope = {"type": "http", "method": "GET", "path": scope_path,
                 "query_string": f"token={shared.token}".encode(),
                 "headers": [(b"host", b"127.0.0.1:8080")]}  # fmt: skip
        await Guard(None, shared)(scope, None, send)  # type: ignore[arg-type]
        return {name.decode(): value.decode() for name, value in answers[0]["headers"]}

    place = asyncio.run(run())["location"]
    assert place.startswith("/") and not place.startswith(("//", "/\\")) and "\n" not in place


@pytest.mark.parametrize("host", ["elsewhere.example", "elsewhere.example:8080", "", "[::1", "a@b"])
@pytest.mark.parametrize("kind", ["http", "websocket"])
def test_another_name_of_this_machine_is_not_answered(local: Access, host: str, kind: str) -> None:
    assert ask(local, kind=kind, host=host)[0] in (403, "websocket.close")


@pytest.mark.parametrize("origin", ["http://elsewhere.example", "null", "http://10.0.0.1:8080"])
def test_a_page_of_another_origin_is_not_answered(local: Access, origin: str) -> None:
    assert ask(local, kind="websocket", origin=origin)[0] == "websocket.close"


def test_the_name_of_the_host_is_checked_beyond_this_machine_too(shared: Access) -> None:
    """Any address will do: a foreign page can only point a name of its own here."""
    cookie = f"clusternet_8080={shared.token}"
    for host in ("192.168.7.5:8080", "[fe80::1]:8080", "localhost:8080", socket.gethostname()):
        assert ask(shared, host=host, cookie=cookie)[0] == INSIDE
    for host in ("elsewhere.example:8080", ""):
        assert ask(shared, host=host, cookie=cookie)[0] == 403
        assert ask(shared, f"/?token={shared.token}", host=host)[0] == 403


@pytest.mark.parametrize(
    ("length", "expected"),
    [("1000", INSIDE), (str(MOST_BYTES + 1), 413), ("", 411), ("-1", 411), ("many", 411)],
)
def test_what_a_browser_sends_is_bounded(local: Access, length: str, expected: object) -> None:
    assert ask(local, method="POST", content_length=length)[0] == expected


@pytest.mark.parametrize("length", ["9" * 5000, str(MOST_BYTES + 1), "0" * 5000 + "9" * 16])
def test_length_of_any_size_is_refused(local: Access, length: str) -> None:
    assert ask(local, method="POST", content_length=length)[0] == 413


@pytest.mark.parametrize("host", ["x" * 70, "a..b", "", "no such host", "a\nb"])
def test_what_is_no_host_is_refused_in_one_line(host: str) -> None:
    with pytest.raises(SettingsError, match="is no address of this machine") as refused:
        free_port(host, 0)
    assert "\n" not in str(refused.value) and len(str(refused.value)) < 300


def test_a_server_is_told_of_once_it_answers(shared: Access) -> None:
    access = Access(shared.host, free_port("127.0.0.1", 0), None)
    told: list[str] = []

    async def start_late() -> None:
        async def tell() -> None:
            await answering(access)
            told.append("ready")

        telling = asyncio.create_task(tell())
        await asyncio.sleep(0.1)
        assert not told
        async with await asyncio.start_server(
            lambda _, writer: writer.close(), "127.0.0.1", access.port
        ):
            await asyncio.wait_for(telling, 20)

    asyncio.run(start_late())
    assert told == ["ready"]
