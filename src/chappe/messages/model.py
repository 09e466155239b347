"""The nouns of the pipeline and the rules of their states. Pure.

A *message* is the intent to reach one recipient. It has *attempts*, one for each connector tried, and an attempt has
*parts*, which are what goes on the wire. Only the message's rank never falls.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Final, Literal

import msgspec

from chappe import ids
from chappe.accounts import Purpose

REPLY: Final = "reply"
"""The origin of our own answers to what a person wrote: they go although the person refused, and at any hour."""

PURPOSES: tuple[Purpose, ...] = ("otp", "transactional", "service", "marketing")


class Lane(IntEnum):
    """Quality of service: a lower lane leaves first on every connector."""

    OTP = 0
    TRANSACTIONAL = 1
    BULK = 2


LANE_OF: dict[str, Lane] = {
    "otp": Lane.OTP,
    "transactional": Lane.TRANSACTIONAL,
    "service": Lane.TRANSACTIONAL,
    "marketing": Lane.BULK,
}


class State(IntEnum):
    """A message's state as stored. The order of the numbers means nothing: `RANK` does."""

    ACCEPTED = 0
    SCHEDULED = 1
    QUEUED = 2
    SENDING = 3
    SENT = 4
    EXPIRED = 5
    UNCONFIRMED = 6
    UNDELIVERED = 7
    FAILED = 8
    CANCELED = 9
    DELIVERED = 10
    READ = 11

    @property
    def word(self) -> str:
        return _WORDS[self]


_WORDS = {state: state.name.lower() for state in State}
STATE_OF = {word: state for state, word in _WORDS.items()}

RANK: dict[State, int] = {
    State.ACCEPTED: 0,
    State.SCHEDULED: 1,
    State.QUEUED: 2,
    State.SENDING: 3,
    State.SENT: 4,
    State.UNCONFIRMED: 5,
    State.EXPIRED: 6,
    State.UNDELIVERED: 6,
    State.FAILED: 6,
    State.CANCELED: 6,
    State.DELIVERED: 7,
    State.READ: 8,
}
_SETTLED = (State.FAILED, State.CANCELED)  # refused before any phone: no receipt can lift these
UNSENT = (State.ACCEPTED, State.SCHEDULED, State.QUEUED, State.SENDING)  # no supplier has taken it, as far as we know
FINAL = tuple(state for state in State if RANK[state] >= RANK[State.UNCONFIRMED])


def may_become(old: State, new: State) -> bool:
    """Whether news of `new` changes a message in `old`: ranks rise, and a late delivery lifts what time has closed."""
    return RANK[new] > RANK[old] and not (old in _SETTLED and new in (State.DELIVERED, State.READ))


class Queued(IntEnum):
    """A queue row: waiting for room on its connector, waiting for its time, or possibly on the wire."""

    WAITING = 0
    SCHEDULED = 1
    SENDING = 2


class PartState(IntEnum):
    SENT = 0  # accepted by the supplier, no final receipt yet
    DELIVERED = 1
    FAILED = 2
    DOUBT = 3  # it may have been sent: no answer came
    UNCONFIRMED = 4  # time is over without a receipt
    UNTRACKED = 5  # sent to a supplier that gives no receipts


def state_of_parts(parts: Iterable[PartState], total: int) -> State | None:
    """What the parts of one attempt say of the message: delivered when all are, undelivered when one failed."""
    states = list(parts)
    if any(state is PartState.FAILED for state in states):
        return State.UNDELIVERED
    if len(states) >= total and all(state is PartState.DELIVERED for state in states):
        return State.DELIVERED
    return None


class Wire(msgspec.Struct, omit_defaults=True, frozen=True):
    """What a customer said about the wire itself; kept as JSON in `messages.options`."""

    encoding: str = "auto"
    smart: bool = False
    message_class: int | None = None
    data: bytes | None = None  # binary or already encoded user data, without UDH
    udh: bytes = b""
    data_coding: int | None = None
    esm_class: int = 0
    protocol_id: int = 0
    priority: int = 0
    service_type: str = ""
    sar: tuple[int, int, int] | None = None
    tlvs: tuple[tuple[int, bytes], ...] = ()
    connector: str | None = None  # asked for by name
    zone: str | None = None  # where the recipient lives (IANA), if it is known better than by the number


PLAIN = Wire()


@dataclass(slots=True, frozen=True)
class Submission:
    """One message as a door hands it in. `to` and `sender` are as the customer wrote them; times are milliseconds."""

    account_id: int
    to: str
    sender: str | None = None
    text: str | None = None
    purpose: Purpose = "transactional"
    wire: Wire = PLAIN
    send_at: int | None = None
    validity_s: int | None = None
    callback_url: str | None = None
    correlation_id: str | None = None
    tags: tuple[str, ...] = ()
    metadata: dict[str, Any] | None = None
    test: bool = False
    dry_run: bool = False
    origin: str = "api"  # no door lets a customer say REPLY
    login_id: int | None = None
    receipts: int = 0  # registered_delivery of an SMPP customer (SMPP 3.4, 5.2.17)
    quiet_hours: Literal["wait", "refuse"] = "wait"  # what becomes of it when it may not go yet
    template: str | None = None  # which template it was made from: name@version/locale


@dataclass(slots=True, frozen=True)
class Refusal:
    """Why a submission was not taken: a code of the catalogue, the offending field, and words for people. `final`: no
    other connector would take it either; `retry_after`: in so many seconds it may go through."""

    code: str
    message: str
    param: str | None = None
    final: bool = False
    retry_after: float | None = None


@dataclass(slots=True, eq=False)
class Accepted:
    """What became of a submission. With `dry_run` there is no row behind `id`."""

    id: int
    state: State
    to: str
    sender: str
    connector_id: int
    encoding: str
    segments: int
    chars: int
    text: str | None
    changes: tuple[Any, ...]
    forced: tuple[str, ...]
    send_at: int | None
    expires_at: int
    country: str
    created_at: int
    price: int | None = None  # micro-units; None: not billed
    currency: str | None = None
    held_by: str | None = None  # the rule of law for which it waits until `send_at`


Result = Accepted | Refusal


@dataclass(slots=True, frozen=True)
class IdempotencyKey:
    """A customer's key for one call, with a digest of what the call said."""

    account_id: int
    key: str
    digest: str


class Replay(Exception):
    """The call was made before: `results` is what it was told then."""

    def __init__(self, results: list[Any]) -> None:
        super().__init__("replayed")
        self.results = results


class KeyReused(Exception):
    """The idempotency key was used for a call that said something else."""


@dataclass(slots=True)
class Message:
    """A row of `messages`."""

    id: int
    account_id: int
    test: int
    state: State
    version: int
    purpose: str
    lane: int
    recipient: str
    sender: str
    text: str | None
    encoding: str
    segments: int
    options: str | None
    correlation_id: str | None
    tags: str | None
    metadata: str | None
    callback_url: str | None
    origin: str
    login_id: int | None
    receipts: int
    send_at: int | None
    expires_at: int
    connector_id: int
    attempt: int
    error: str | None
    sent_at: int | None
    final_at: int | None
    country: str
    operator: str | None = None  # MCC and MNC, after portability
    route_id: int | None = None
    price: int | None = None  # micro-units of its account's currency; None: not billed
    upstream: int | None = None  # what its reseller pays
    cost: int | None = None
    cost_currency: str | None = None
    money: int = 0  # billing.ledger.model

    @property
    def created_at(self) -> int:
        return ids.millis(self.id)

    @property
    def wire(self) -> Wire:
        return PLAIN if self.options is None else decode_wire(self.options)


encode_json = msgspec.json.Encoder().encode
decode_wire = msgspec.json.Decoder(Wire).decode
decode_json = msgspec.json.Decoder().decode


def reference(message_id: int) -> int:
    """The concatenation reference of a message: 16 bits that look random and are the same at every retry.

    Ids of a quiet second differ in their middle bits only, so they are mixed (Fibonacci hashing).
    """
    return (message_id * 0x9E3779B97F4A7C15 & 0xFFFFFFFFFFFFFFFF) >> 48
