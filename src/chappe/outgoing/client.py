"""The door: requests in, answers by callback, connections kept and counted, time kept by one clock for all."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Coroutine
from functools import cache, lru_cache
from typing import Any
from urllib.parse import quote, urlsplit

import idna
from msgspec import Struct

from chappe import __version__
from chappe.outgoing.addresses import PRIVATE, check_url
from chappe.outgoing.connection import Done, Exchange, Response, Unreachable
from chappe.outgoing.origin import Key, Origin, judged

MAX_CONNECTIONS = 512
SWEEP_S = 0.25  # how exact timeouts are
_RESOLVE_S = 5.0
_IN_A_PATH = "/%:@!$&'()*+,;=-._~?"  # RFC 3986, 3.3 and 3.4; what is escaped already stays so


class Target(Struct, frozen=True):
    """A URL made ready: which server, and the head of a request without what is special to one."""

    key: Key
    head: bytes

    def asking(self, method: str, path: str, accept: str = "*/*") -> Target:
        """The same server, asked for something else: `path` with its query, already escaped. It is not remembered, so
        that no number and no key in it stays in memory."""
        rest = self.head.partition(b"\r\n")[2].replace(b"Accept: */*\r\n", f"Accept: {accept}\r\n".encode("ascii"))
        return Target(self.key, f"{method} {path} HTTP/1.1\r\n".encode("ascii") + rest)


class Outgoing:
    """A client for customers' URLs. Make it inside a running loop, close it at the end."""

    def __init__(self, *, allow_private: bool = False, tls: ssl.SSLContext | None = None) -> None:
        """`tls` says which certificates are trusted; by default those that the system trusts."""
        self.allow_private = allow_private
        self.tls = tls or _system_tls()
        self._loop = asyncio.get_running_loop()
        self._origins: dict[Key, Origin] = {}
        self._connections = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._sweeper: asyncio.TimerHandle | None = None
        self._closed = False

    def target(self, url: str) -> Target:
        """Where requests to this URL go. Raises Unreachable for one that must not be called."""
        return _target(url, self.allow_private)

    def send(self, target: Target, headers: bytes, body: bytes, timeout: float, done: Done) -> None:
        """POST, answered within `timeout` seconds in all; `done` is called once, later, with what came of it.

        `headers` are lines as they are sent, each with its CRLF: nothing of a customer's may get into them unescaped.
        """
        data = b"%b%bContent-Length: %d\r\n\r\n%b" % (target.head, headers, len(body), body)
        now = self._loop.time()
        exchange = Exchange(data, now, now + timeout, done)
        if self._closed:
            self._loop.call_soon(done, _closed())
            return
        origin = self._origins.get(target.key)
        if origin is None:
            origin = self._origins[target.key] = Origin(self, target.key, self._loop)
            if self._sweeper is None:
                self._sweeper = self._loop.call_later(SWEEP_S, self._sweep)
        origin.ask(exchange)

    async def post(self, url: str, headers: bytes, body: bytes, timeout: float) -> Response:  # noqa: ASYNC109
        """`send`, waited for: the answer, whatever its status. Raises Unreachable."""
        answer: asyncio.Future[Response | Unreachable] = self._loop.create_future()

        def done(told: Response | Unreachable) -> None:
            if not answer.done():  # the caller may have gone
                answer.set_result(told)

        self.send(self.target(url), headers, body, timeout, done)
        told = await answer
        if isinstance(told, Unreachable):
            raise told
        return told

    async def check_url(self, url: str) -> str | None:
        """The error code of a URL that is invalid or private now, also by what its name resolves to; else None.

        A name that does not resolve (yet) is no error.
        """
        if problem := check_url(url, allow_private=self.allow_private):
            return problem
        try:
            key = self.target(url).key
            async with asyncio.timeout(_RESOLVE_S):
                await judged(key.host, key.port, allow_private=self.allow_private)
        except Unreachable as error:
            return PRIVATE if error.code == "refused_address" else None
        except TimeoutError:
            return None
        return None

    async def close(self) -> None:
        """Who still waits is told that nothing came."""
        self._closed = True
        if self._sweeper is not None:
            self._sweeper.cancel()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for origin in self._origins.values():
            origin.end(_closed())
        self._origins.clear()
        await asyncio.sleep(0)  # transports say their last word in the next round of the loop

    # -- for origins -----------------------------------------------------------------------------------------------

    def take_room(self) -> bool:
        """Whether one connection more may be opened; an idle one of whoever goes for it."""
        if self._closed:
            return False
        if self._connections >= MAX_CONNECTIONS:
            rich = next((origin for origin in self._origins.values() if origin.idle), None)
            if rich is None:
                return False
            rich.idle[0].close()
        self._connections += 1
        return True

    def give_room(self) -> None:
        self._connections -= 1

    def run(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def _sweep(self) -> None:
        now = self._loop.time()
        for key, origin in list(self._origins.items()):
            if not origin.sweep(now):
                del self._origins[key]
        self._sweeper = self._loop.call_later(SWEEP_S, self._sweep) if self._origins else None


def _closed() -> Unreachable:
    return Unreachable("connection", "the client is closed")


@cache
def _system_tls() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.set_alpn_protocols(["http/1.1"])
    return context


@lru_cache(maxsize=4_096)
def _target(url: str, allow_private: bool) -> Target:
    if problem := check_url(url, allow_private=allow_private):
        raise Unreachable("refused_address", "private address" if problem == PRIVATE else "invalid URL")
    parts = urlsplit(url)
    tls = parts.scheme == "https"
    usual = 443 if tls else 80
    try:
        host = (parts.hostname or "").encode("ascii").decode()
    except UnicodeEncodeError:
        try:
            host = idna.encode(parts.hostname or "", uts46=True).decode()
        except idna.IDNAError as error:
            raise Unreachable("protocol", str(error)) from None
    port = parts.port or usual
    place = f"[{host}]" if ":" in host else host
    path = quote(parts.path or "/", _IN_A_PATH) + (f"?{quote(parts.query, _IN_A_PATH)}" if parts.query else "")
    head = (
        f"POST {path} HTTP/1.1\r\nHost: {place if port == usual else f'{place}:{port}'}\r\n"
        f"User-Agent: Chappe/{__version__}\r\nAccept: */*\r\nAccept-Encoding: identity\r\n"
    )
    return Target(Key(tls, host, port), head.encode("ascii"))
