"""Who may open the page: requests that name this machine, and from others only with the token."""

from __future__ import annotations

import secrets
import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import cache
from http.cookies import CookieError, SimpleCookie
from ipaddress import ip_address
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Message, Receive, Send], Awaitable[None]]

MOST_BYTES = 64 * 2**20
"""Of what a browser may send at once, such as a file of strokes."""
_TOKEN = "token"  # noqa: S105 - the name of it in the address
_ANYWHERE = ("0.0.0.0", "::")  # noqa: S104
_OWN_NAMES = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True)
class Access:
    """Where the page is served, and what opens it."""

    host: str
    """The address that the server listens at."""
    port: int
    token: str | None = field(repr=False)
    """Asked for once by each browser; None if only this machine can reach the server."""

    @classmethod
    def at(cls, host: str, port: int) -> Access:
        """Ask for a new token if ``host`` lets other machines in."""
        return cls(host, port, None if _is_loopback(host) else secrets.token_urlsafe(24))

    @property
    def address(self) -> str:
        """The address of the page on this machine, without the token."""
        shown = "127.0.0.1" if self.host in _ANYWHERE else self.host
        return f"http://[{shown}]:{self.port}" if ":" in shown else f"http://{shown}:{self.port}"

    @property
    def entrance(self) -> str:
        """The path, behind the address, that a browser is to open first."""
        return "/" if self.token is None else f"/?{urlencode({_TOKEN: self.token})}"

    @property
    def cookie(self) -> str:
        """The name of the cookie that a browser keeps the token in; ports share their cookies."""
        return f"clusternet_{self.port}"

    def knows(self, name: str) -> bool:
        """Tell whether a request to this name is meant for this server.

        A foreign page open in the same browser could otherwise reach it under a name of its own
        that points here (DNS rebinding); no one can do so with an address.
        """
        if name in _OWN_NAMES or name == self.host:
            return True
        if self.token is None:
            return False
        return _is_address(name) or name in _machine_names()

    def opens(self, token: str) -> bool:
        """Tell whether a token is the right one, in a time that says nothing of it."""
        return self.token is None or secrets.compare_digest(token.encode(), self.token.encode())


@cache
def _machine_names() -> tuple[str, ...]:
    return socket.gethostname().lower(), socket.getfqdn().lower()


def _is_loopback(host: str) -> bool:
    return host == "localhost" or (_is_address(host) and ip_address(host).is_loopback)


def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True


class Guard:
    """Answers only requests that may be answered; see `Access`."""

    def __init__(self, app: Application, access: Access) -> None:
        """Stand before an ASGI application."""
        self._app, self._access = app, access

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        headers = {
            name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]
        }
        access = self._access
        names = [_host_name(f"//{headers.get('host', '')}")]
        if "origin" in headers:
            names.append(_host_name(headers["origin"]))
        if not all(map(access.knows, names)):
            await _refuse(scope, send, 403, "not here")
        elif access.token is not None and not access.opens(_cookie(headers, access.cookie)):
            await self._ask_for_token(scope, send)
        elif scope["type"] == "http" and (refusal := _size_refusal(scope["method"], headers)):
            await _refuse(scope, send, *refusal)
        else:
            await self._app(scope, receive, send)

    async def _ask_for_token(self, scope: Message, send: Send) -> None:
        """Take the token from the address into a cookie, or refuse."""
        query = parse_qsl(scope["query_string"].decode("latin-1"))
        given = dict(query).get(_TOKEN)
        if scope["type"] != "http" or given is None or not self._access.opens(given):
            await _refuse(scope, send, 403, "Open the address with the token that was printed.")
            return
        rest = urlencode([(name, value) for name, value in query if name != _TOKEN])
        # a path that begins with two slashes would lead to another machine
        place = f"/{quote(scope['path'].lstrip('/'))}" + (f"?{rest}" if rest else "")
        cookie = f"{self._access.cookie}={given}; Path=/; HttpOnly; SameSite=Lax"
        await _answer(send, 303, "", [("location", place), ("set-cookie", cookie),
                                      ("cache-control", "no-store")])  # fmt: skip


def _size_refusal(method: str, headers: dict[str, str]) -> tuple[int, str] | None:
    """Return status and reason if a request sends more than may be, or does not say how much."""
    if method in ("GET", "HEAD", "OPTIONS"):
        return None
    length = headers.get("content-length", "")
    if not length.isdecimal():
        return 411, "say how long it is"
    return (413, "too large") if int(length) > MOST_BYTES else None


def _host_name(address: str) -> str:
    try:
        return (urlsplit(address).hostname or "").lower()
    except ValueError:
        return ""


def _cookie(headers: dict[str, str], name: str) -> str:
    try:
        found = SimpleCookie(headers.get("cookie", "")).get(name)
    except CookieError:
        return ""
    return "" if found is None else found.value


async def _refuse(scope: Message, send: Send, status: int, reason: str) -> None:
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1008})
    else:
        await _answer(send, status, reason, [("content-type", "text/plain; charset=utf-8")])


async def _answer(send: Send, status: int, text: str, headers: list[tuple[str, str]]) -> None:
    encoded = [(name.encode(), value.encode("latin-1", "replace")) for name, value in headers]
    await send({"type": "http.response.start", "status": status, "headers": encoded})
    await send({"type": "http.response.body", "body": text.encode()})
