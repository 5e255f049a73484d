"""Which requests the server answers: those to a name of this machine, from others with a token."""

from __future__ import annotations

import asyncio
import errno
import secrets
import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import cache
from http.cookies import CookieError, SimpleCookie
from ipaddress import ip_address
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

from clusternet.errors import SettingsError
from clusternet.foreign_errors import reason
from clusternet.messages import short_value

Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Message, Receive, Send], Awaitable[None]]

MOST_BYTES = 64 * 2**20
"""The largest body of a request, such as a file of strokes."""
_LOOK_SECONDS = 0.02  # between looks whether the server answers
_MOST_DIGITS = 15  # of a length: Python refuses to read numbers of thousands of digits
_TOKEN = "token"  # noqa: S105 - the name of the parameter, not a secret
_UNKNOWN_HOST = "Use the name or an IP address of the machine that serves the page."
_ANYWHERE = ("0.0.0.0", "::")  # noqa: S104
_OWN_NAMES = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True)
class Access:
    """Where the page is served, and who may open it."""

    host: str
    """The address that the server listens at."""
    port: int
    token: str | None = field(repr=False)
    """The secret in the address; None if only this machine can reach the server."""

    @classmethod
    def at(cls, host: str, port: int) -> Access:
        """Return the access at an address, with a new token if other machines can reach it."""
        return cls(host, port, None if _is_loopback(host) else secrets.token_urlsafe(24))

    @property
    def shown_host(self) -> str:
        """The host by which this machine reaches the server."""
        return "127.0.0.1" if self.host in _ANYWHERE else self.host

    @property
    def address(self) -> str:
        """The address of the page on this machine, without the token."""
        shown = self.shown_host
        return f"http://[{shown}]:{self.port}" if ":" in shown else f"http://{shown}:{self.port}"

    @property
    def entrance(self) -> str:
        """The path, after the address, that a browser opens first; it holds the token."""
        return "/" if self.token is None else f"/?{urlencode({_TOKEN: self.token})}"

    @property
    def cookie(self) -> str:
        """The name of the cookie that holds the token.

        Browsers do not separate cookies by port (RFC 6265, section 8.5), so the name holds it.
        """
        return f"clusternet_{self.port}"

    def is_own_name(self, name: str) -> bool:
        """Return True if a host name or address in a request is one of this server.

        Other names are refused against DNS rebinding: a foreign page open in the same browser
        could let its own name point to this machine. It cannot do so with an IP address.
        """
        if name in _OWN_NAMES or name == self.host:
            return True
        if self.token is None:
            return False
        return _is_address(name) or name in _machine_names()

    def accepts(self, token: str) -> bool:
        """Return True for the right token; the time taken does not depend on the token given."""
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
    """ASGI middleware that refuses the requests that `Access` does not allow."""

    def __init__(self, app: Application, access: Access) -> None:
        """Wrap an ASGI application."""
        self._app, self._access = app, access

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Pass a request on to the application, or refuse it."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        headers = {  # ASGI passes bytes; HTTP/1.1 headers are Latin-1
            name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]
        }
        access = self._access
        names = [_host_name(f"//{headers.get('host', '')}")]
        if "origin" in headers:
            names.append(_host_name(headers["origin"]))
        if not all(map(access.is_own_name, names)):
            await _refuse(scope, send, 403, _UNKNOWN_HOST)
        elif access.token is not None and not access.accepts(_cookie(headers, access.cookie)):
            await self._take_token(scope, send)
        elif scope["type"] == "http" and (refusal := _size_refusal(scope["method"], headers)):
            await _refuse(scope, send, *refusal)
        else:
            await self._app(scope, receive, send)

    async def _take_token(self, scope: Message, send: Send) -> None:
        """Store the token of the address in a cookie and redirect; refuse if it is not right."""
        query = parse_qsl(scope["query_string"].decode("latin-1"))
        given = dict(query).get(_TOKEN)
        if scope["type"] != "http" or given is None or not self._access.accepts(given):
            await _refuse(scope, send, 403, "Open the address with the token that was printed.")
            return
        rest = urlencode([(name, value) for name, value in query if name != _TOKEN])
        # browsers take a location that begins with two slashes as the address of another machine
        location = f"/{quote(scope['path'].lstrip('/'))}" + (f"?{rest}" if rest else "")
        cookie = f"{self._access.cookie}={given}; Path=/; HttpOnly; SameSite=Lax"
        await _answer(send, 303, "", [("location", location), ("set-cookie", cookie),
                                      ("cache-control", "no-store")])  # fmt: skip


def _size_refusal(method: str, headers: dict[str, str]) -> tuple[int, str] | None:
    """Return status and reason if a request is too large or does not state its length."""
    if method in ("GET", "HEAD", "OPTIONS"):
        return None
    length = headers.get("content-length", "")
    if not length.isdecimal():
        return 411, "length required"
    digits = length.lstrip("0")
    is_large = len(digits) > _MOST_DIGITS or int(digits or 0) > MOST_BYTES
    return (413, "too large") if is_large else None


def _host_name(address: str) -> str:
    try:
        return (urlsplit(address).hostname or "").lower()
    except ValueError:
        return ""


def _cookie(headers: dict[str, str], name: str) -> str:
    try:
        morsel = SimpleCookie(headers.get("cookie", "")).get(name)
    except CookieError:
        return ""
    return "" if morsel is None else morsel.value


async def _refuse(scope: Message, send: Send, status: int, reason: str) -> None:
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1008})  # policy violation (RFC 6455)
    else:
        await _answer(send, status, reason, [("content-type", "text/plain; charset=utf-8")])


async def _answer(send: Send, status: int, text: str, headers: list[tuple[str, str]]) -> None:
    encoded = [(name.encode(), value.encode("latin-1", "replace")) for name, value in headers]
    await send({"type": "http.response.start", "status": status, "headers": encoded})
    await send({"type": "http.response.body", "body": text.encode()})


def free_port(host: str, port: int) -> int:
    """Return ``port`` if it can be used, or a free port for 0.

    Raises:
        SettingsError: if the port is in use or the address is not one of this machine.
    """
    if not 0 <= port <= 65535:
        raise SettingsError(f"--port {port}: expected 0 to 65535; 0 takes a free one.")
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            # as asyncio does when it serves: a port that was closed a moment ago can be used
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
            return int(probe.getsockname()[1])
    except (OSError, UnicodeError) as error:  # the latter by a name with an empty or a long part
        if isinstance(error, (socket.gaierror, UnicodeError)) or error.errno == errno.EADDRNOTAVAIL:
            raise SettingsError(
                f"--host {short_value(host)}: is no address of this machine; 127.0.0.1 is for "
                "this machine alone, 0.0.0.0 lets others in."
            ) from error
        raise SettingsError(
            f"--port {port}: cannot be used on {host} ({reason(error)}); --port 0 takes a free one."
        ) from error


async def answering(access: Access) -> None:
    """Return once something answers at an address: servers tell of their start before they do."""
    while True:
        try:
            _, writer = await asyncio.open_connection(access.shown_host, access.port)
        except OSError:
            await asyncio.sleep(_LOOK_SECONDS)
        else:
            writer.close()
            return
