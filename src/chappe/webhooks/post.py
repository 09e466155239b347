"""One POST of one event: signed, bounded, and what it said."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from chappe import ids
from chappe.outgoing import Response, Unreachable
from chappe.webhooks.book import Keys
from chappe.webhooks.model import excerpt, retry_after
from chappe.webhooks.signature import signature

if TYPE_CHECKING:
    from chappe.runtime import Runtime


class Posted(Struct, frozen=True):
    """What came of it. `status` None: no answer came, and `error` says why; any other answer but 2xx is a failure."""

    at: int
    status: int | None
    error: str | None
    duration_ms: int
    response: str | None = None
    retry_after_s: float | None = None

    @property
    def ok(self) -> bool:
        return self.status is not None and 200 <= self.status < 300


def header_lines(keys: Keys, event_id: int, body: bytes, now: int) -> bytes:
    """What a request says of this event at this moment; each line ends with CRLF."""
    name, seconds = ids.public("evt", event_id).encode(), now // 1000
    return b"Content-Type: application/json\r\nwebhook-id: %b\r\nwebhook-timestamp: %d\r\nwebhook-signature: %b\r\n" % (
        name,
        seconds,
        signature(keys.at(now), name, seconds, body),
    )


def posted(at: int, answer: Response | Unreachable, duration_ms: int) -> Posted:
    """What the answer to a POST begun at `at` means."""
    if isinstance(answer, Unreachable):
        return Posted(at, None, f"{answer.code}: {answer.message}".replace("\0", "\ufffd")[:200], duration_ms)
    response = excerpt(answer.body) or None
    if 200 <= answer.status < 300:
        return Posted(at, answer.status, None, duration_ms, response)
    wait_s = retry_after(answer.header("Retry-After"), at)
    return Posted(at, answer.status, f"http_{answer.status}", duration_ms, response, wait_s)


async def post(rt: Runtime, url: str, keys: Keys, event_id: int, body: str) -> Posted:
    """POST and wait for what comes of it. Never raises for what the other side does."""
    at, started, content = rt.clock.now(), rt.clock.monotonic(), body.encode()
    answer: Response | Unreachable
    try:
        lines = header_lines(keys, event_id, content, at)
        answer = await rt.http.post(url, lines, content, rt.settings.webhooks.timeout_s)
    except Unreachable as error:
        answer = error
    return posted(at, answer, round((rt.clock.monotonic() - started) * 1000))
