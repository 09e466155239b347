"""One POST of one event: signed, bounded, and what it said."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from chappe import __version__, ids
from chappe.outgoing import Unreachable
from chappe.webhooks.book import Keys
from chappe.webhooks.model import excerpt, retry_after
from chappe.webhooks.signature import sign

if TYPE_CHECKING:
    from chappe.runtime import Runtime

_CONSTANT = {"Content-Type": "application/json", "User-Agent": f"Chappe/{__version__}"}


@dataclass(frozen=True, slots=True)
class Posted:
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


async def post(rt: Runtime, url: str, keys: Keys, event_id: int, body: str) -> Posted:
    """Never raises for what the other side does."""
    now = rt.clock.now()
    started = rt.clock.monotonic()
    name, content = ids.public("evt", event_id), body.encode()
    headers = {
        **_CONSTANT,
        "webhook-id": name,
        "webhook-timestamp": str(now // 1000),
        "webhook-signature": sign(keys.at(now), name, now // 1000, content),
    }
    try:
        answer = await rt.http.post(url, content, headers, rt.settings.webhooks.timeout_s)
    except Unreachable as error:
        words = f"{error.code}: {error.message}".replace("\0", "\ufffd")[:200]
        return Posted(now, None, words, round((rt.clock.monotonic() - started) * 1000))
    return Posted(
        now,
        answer.status,
        None if 200 <= answer.status < 300 else f"http_{answer.status}",
        round(answer.elapsed * 1000),
        excerpt(answer.body) or None,
        retry_after(answer.headers.get("Retry-After"), now),
    )
