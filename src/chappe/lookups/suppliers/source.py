"""Questions to a supplier over HTTP, by the guarded client.

Nothing is asked twice here: a look-up is charged by request, and the next source is asked anyway. Suppliers that answer
later, by a callback, have no adapter.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

import msgspec

from chappe.lookups.model import Told
from chappe.lookups.suppliers.contract import Request, Supplier
from chappe.lookups.suppliers.crowd import crowd
from chappe.lookups.suppliers.verdict import Failure, hidden, not_covered, plain, unavailable
from chappe.outgoing import MAX_BODY, Outgoing, Response, Unreachable

RAW_MAX = 4_096  # bytes of an answer that are kept for each number

_OF_STATUS: dict[int, Failure] = {
    401: "misconfigured",
    402: "misconfigured",
    403: "misconfigured",
    404: "misconfigured",  # where a supplier says `no such number` by it, its adapter knows
    405: "misconfigured",
    408: "failed",
    425: "failed",
    429: "throttled",
}
_OF_TROUBLE: dict[str, Failure] = {"refused_address": "misconfigured", "timeout": "timeout"}


class HttpSource:
    """A supplier that is asked over HTTP: in batches where it takes them, else `in_flight` numbers at a time."""

    def __init__(self, http: Outgoing, supplier: Supplier, *, timeout_s: float = 5.0, in_flight: int = 10) -> None:
        """`timeout_s` is for one request in all, `in_flight` the requests of all callers together."""
        self._http = http
        self._supplier = supplier
        self._prefix = urlsplit(supplier.base_url).path.rstrip("/")
        self._timeout_s = timeout_s
        self._in_flight = in_flight
        self._room = asyncio.Semaphore(in_flight)

    @property
    def request_size(self) -> int:
        """How many numbers go into one request."""
        return self._supplier.request_size

    async def ask(self, digits: Sequence[str]) -> list[Told]:
        """Told once for each number (E.164 without +), in their order. Never raises, except to be cancelled."""
        size = self.request_size
        batches = [digits[start : start + size] for start in range(0, len(digits), size)]
        return [told for answered in await crowd(batches, self._ask, self._in_flight) for told in answered]

    async def _ask(self, batch: Sequence[str]) -> list[Told]:
        try:
            async with self._room:
                response = await self._exchange(self._supplier.request(batch))
        except Unreachable as trouble:
            told = unavailable(_OF_TROUBLE.get(trouble.code, "failed"), self._plain(trouble.message))
            return [told] * len(batch)
        return self._told(batch, response)

    async def _exchange(self, request: Request) -> Response:
        """Raises Unreachable."""
        server = self._http.target(self._supplier.base_url)
        asked = server.asking(request.method, f"{self._prefix}{request.path}", "application/json")
        answer: asyncio.Future[Response | Unreachable] = asyncio.get_running_loop().create_future()

        def done(told: Response | Unreachable) -> None:
            if not answer.done():  # whoever asked may have gone
                answer.set_result(told)

        self._http.send(asked, request.headers, request.body, self._timeout_s, done)
        told = await answer
        if isinstance(told, Unreachable):
            raise told
        return told

    def _told(self, batch: Sequence[str], response: Response) -> list[Told]:
        understood, answer = _decoded(response.body)
        if 200 <= response.status < 300:
            if not understood:
                cut = len(response.body) >= MAX_BODY
                return [unavailable("failed", "the answer is too long" if cut else "the answer is no JSON")] * len(
                    batch
                )
            return [self._redacted(told) for told in self._supplier.read(batch, answer)]
        words = self._plain(f"HTTP {response.status} {self._supplier.words(answer)}")
        if response.status in self._supplier.uncovered:
            return [not_covered(words)] * len(batch)
        return [unavailable(_failure_of(response.status), words)] * len(batch)

    def _redacted(self, told: Told) -> Told:
        found = told.findings
        if found is not None:
            found = msgspec.structs.replace(found, raw=hidden(found.raw, self._supplier.secrets)[:RAW_MAX])
        return Told(told.outcome, found, self._plain(told.reason))

    def _plain(self, words: str) -> str:
        return plain(words, self._supplier.secrets)


def _failure_of(status: int) -> Failure:
    if status >= 500:
        return "failed"
    if 300 <= status < 400:  # no redirect is followed: the address in the settings is wrong
        return "misconfigured"
    return _OF_STATUS.get(status, "rejected")


def _decoded(body: bytes) -> tuple[bool, Any]:
    """Whether it is JSON, and what it holds."""
    try:
        return True, msgspec.json.decode(body)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return False, None
