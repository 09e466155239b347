"""Webhook endpoints, what becomes of a delivery, and when it is tried again. Pure."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from enum import IntEnum
from typing import Annotated, Literal, get_args
from urllib.parse import urlsplit

from msgspec import Meta, Struct

EventType = Literal[
    "message.sent",
    "message.delivered",
    "message.undelivered",
    "message.failed",
    "message.expired",
    "message.unconfirmed",
    "message.canceled",
    "message.read",
    "message.received",
    "webhook_endpoint.paused",
    "balance.low",
    "opt_out.created",
]
EVENT_TYPES: tuple[EventType, ...] = get_args(EventType)
RECEIVED: EventType = "message.received"
ENDPOINT_PAUSED: EventType = "webhook_endpoint.paused"
BALANCE_LOW: EventType = "balance.low"
OPT_OUT: EventType = "opt_out.created"
# the states of a message that are told: those that a customer could not know from the answer to the request
TYPE_OF_STATE: dict[str, EventType] = {
    name.removeprefix("message."): name for name in EVENT_TYPES if name.startswith("message.") and name != RECEIVED
}

Mode = Literal["live", "test", "both"]
PauseReason = Literal["manual", "failing", "gone"]

# the kinds of the room's jobs
PAUSE = "webhooks.pause"
REQUEUE = "webhooks.requeue"
REPLAY = "webhooks.replay"

KEEP_MS = 3 * 86_400_000  # a delivery is given up three days after its event
DELAYS_S = (5, 30, 120, 600, 3_600, 3 * 3_600, 6 * 3_600)  # the last one repeats
JITTER = 0.2  # of the delay, so that what failed together does not come back together
LONGEST_RETRY_AFTER_S = float(DELAYS_S[-1])

# an endpoint is dead when it has not taken anything for a day, and was asked often enough to say so
DEAD_AFTER_MS = 86_400_000
DEAD_FAILURES = 10

EXCERPT = 1_024  # bytes of an answer that are kept


class Endpoint(Struct, frozen=True):
    """Where an account wants its events sent. No `events` means all types; secrets are sealed by the vault."""

    id: int
    account_id: int
    url: Annotated[str, Meta(min_length=1, max_length=2_048)]
    events: tuple[EventType, ...]
    mode: Mode
    status: Literal["active", "paused"]
    paused_reason: PauseReason | None
    paused_at: int | None
    description: Annotated[str, Meta(max_length=200)] | None
    secret: str
    previous_secret: str | None
    previous_until: int | None
    created_at: int

    def wants(self, kind: EventType, test: bool) -> bool:
        return (not self.events or kind in self.events) and self.mode in ("both", "test" if test else "live")


class CallbackSecret(Struct, frozen=True):
    """What signs the deliveries to the `callback_url` of an account's messages. `id` is the account's."""

    id: int
    secret: str
    previous_secret: str | None
    previous_until: int | None
    created_at: int

    @property
    def account_id(self) -> int:
        return self.id


class State(IntEnum):
    """A delivery's state as stored."""

    PENDING = 0
    DELIVERED = 1
    FAILED = 2
    DROPPED = 3  # its endpoint was deleted first

    @property
    def word(self) -> str:
        return self.name.lower()


class Origin(IntEnum):
    """Why a delivery was made."""

    EVENT = 0
    REPLAY = 1
    TEST = 2

    @property
    def word(self) -> str:
        return self.name.lower()


class Delivery(Struct, frozen=True):
    """One event for one address, as the log shows it. `endpoint_id` 0: to the message's `callback_url`, in `url`."""

    id: int
    account_id: int
    endpoint_id: int
    event_id: int
    type: str
    origin: Origin
    url: str | None
    body: str
    created_at: int
    state: State
    due_at: int
    tries: int
    last_status: int | None
    last_error: str | None
    finished_at: int | None


class Attempt(Struct, frozen=True):
    """One POST. `status` None: no answer came, `error` says why; `response` is the beginning of its body."""

    delivery_id: int
    number: int
    at: int
    status: int | None
    error: str | None
    duration_ms: int
    response: str | None


class Health(Struct, frozen=True):
    """How an endpoint has been doing: `failures` since its last success, the first of them at `failing_since`."""

    endpoint_id: int
    failures: int
    failing_since: int | None
    last_success_at: int | None
    last_failure_at: int | None
    last_error: str | None

    def dead(self, now: int) -> bool:
        since = self.failing_since
        return self.failures >= DEAD_FAILURES and since is not None and since <= now - DEAD_AFTER_MS


@dataclass(frozen=True, slots=True)
class Verdict:
    state: State
    due_at: int


def judge(
    status: int | None, *, tries: int, created_at: int, now: int, chance: float, retry_after_s: float | None = None
) -> Verdict:
    """What becomes of a delivery after its attempt number `tries`; `chance` in [0, 1) spreads the next one."""
    if status is not None and 200 <= status < 300:
        return Verdict(State.DELIVERED, now)
    delay = DELAYS_S[min(tries, len(DELAYS_S)) - 1] * (1 + JITTER * (2 * chance - 1))
    if retry_after_s is not None:
        delay = max(delay, min(retry_after_s, LONGEST_RETRY_AFTER_S))
    due_at = now + round(delay * 1000)
    return Verdict(State.FAILED if due_at > created_at + KEEP_MS else State.PENDING, due_at)


def retry_after(value: str | None, now: int) -> float | None:
    """The seconds that a Retry-After header asks for (RFC 9110, 10.2.3), None where it says nothing usable."""
    if value is None:
        return None
    text = value.strip()
    if text.isascii() and text.isdigit():
        return float(text[:9])
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - now / 1000)
    except ValueError:
        return None


def callback_target(account_id: int, url: str) -> int:
    """The queue of the callbacks of one account to one host: a negative number, so that it is no endpoint's."""
    parts = urlsplit(url)
    name = f"{account_id} {parts.scheme}://{parts.netloc}".encode()
    return -1 - (int.from_bytes(hashlib.sha256(name).digest()[:8]) >> 1)


def excerpt(body: bytes) -> str:
    """The beginning of an answer as text that every store can hold."""
    return body[:EXCERPT].decode("utf-8", "replace").replace("\0", "\ufffd")


class Pending(Struct, eq=False, gc=False):
    """A delivery that is to be posted. `url` is set for a callback only; `held_at`: leased by us, monotonic seconds."""

    id: int
    account_id: int
    endpoint_id: int
    target: int
    event_id: int
    type: str
    url: str | None
    body: str
    created_at: int
    tries: int = 0
    held_at: float = 0.0
