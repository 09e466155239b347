"""What a channel is told and what it tells: values only. It has never heard of messages, accounts or the store.

A channel opens a `Link` for a connector. The link is asked for `room()` and given parts with `send`; everything that
comes back goes to the `Sink` it was opened with. Calls on both sides are plain functions on the event loop: the hot
path makes no task and no future per message.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Literal, Protocol

Done = Callable[[bool], None]
"""Called after the commit with True: acknowledge; with False: ask the supplier to send it again."""


class Verdict(Enum):
    """What a failed hand-over means for the message."""

    RETRY = "retry"  # the same connector, later
    THROTTLE = "throttle"  # the same connector, once it accepts again; does not count as a try
    NEXT = "next"  # not here: the next connector of the route
    PERMANENT = "permanent"  # no connector will do better
    UNKNOWN = "unknown"  # it may have been sent: the policy of its purpose decides


@dataclass(frozen=True, slots=True)
class SendError:
    """Why a part was not accepted. `code` is of Chappe's catalogue, `supplier` is what the supplier said, verbatim."""

    code: str
    verdict: Verdict
    supplier: str = ""
    detail: str = ""
    tries: int | None = None  # how often this very error may be retried; None: the default
    retry_after_s: float | None = None


@dataclass(slots=True, eq=False)
class Outgoing:
    """One part as it goes on the wire. `destination` is in E.164 digits, `deadline` in milliseconds since the epoch."""

    message_id: int
    attempt: int
    part: int
    parts: int
    sender: str
    destination: str
    payload: bytes
    udh: bytes = b""
    sar: tuple[int, int, int] | None = None
    data_coding: int = 0
    esm_class: int = 0
    protocol_id: int = 0
    priority: int = 0
    deadline: int | None = None
    receipt: bool = True
    in_payload_tlv: bool = False
    service_type: str = ""
    tlvs: tuple[tuple[int, bytes], ...] = ()
    context: object = None  # the dispatcher's own; a link hands it back untouched


@dataclass(slots=True, eq=False)
class Outcome:
    """The answer to one part: accepted with the supplier's id, or an error. The frames are kept for explain."""

    part: Outgoing
    connector_id: int
    provider_id: str = ""
    provider_key: str = ""  # normalised, as receipts will be looked up
    error: SendError | None = None
    sent_at: int = 0
    answered_at: int = 0
    request: bytes = b""
    response: bytes = b""


ReceiptState = Literal["enroute", "accepted", "delivered", "expired", "undelivered", "rejected", "deleted", "unknown"]


@dataclass(slots=True, eq=False)
class Receipt:
    """News of one part. `final` is False for ENROUTE, ACCEPTD and UNKNOWN: a time-out ends those."""

    connector_id: int
    provider_id: str
    provider_key: str
    state: ReceiptState
    final: bool
    destination: str  # digits of the handset as the supplier wrote it, normalised; "" if it did not say
    received_at: int
    done_at: int | None = None
    error: SendError | None = None  # for failures: code, permanence and the raw err
    raw: bytes = b""


@dataclass(slots=True, eq=False)
class Inbound:
    """One part of a message from a handset, decoded as far as it goes; `raw` is the frame."""

    connector_id: int
    source: str
    destination: str
    received_at: int
    text: str | None
    payload: bytes
    udh: bytes = b""
    data_coding: int = 0
    concat: tuple[int, int, int] | None = None  # (reference, total, sequence)
    tlvs: tuple[tuple[int, bytes], ...] = ()
    raw: bytes = b""


@dataclass(slots=True)
class LinkStatus:
    """A link as `GET /v1/connectors` and `chappe doctor` show it."""

    state: Literal["starting", "up", "degraded", "down", "stopped", "refused"] = "starting"
    binds_up: int = 0
    binds_wanted: int = 0
    in_flight: int = 0
    circuit_open: bool = False
    last_error: str = ""
    since: int = 0
    binds: list[dict[str, object]] = field(default_factory=list)
    counters: dict[str, float] = field(default_factory=dict)  # since the link was opened


class Link(Protocol):
    connector_id: int

    def room(self, held: int = 0) -> int:
        """How many parts may be sent now: open windows without the `held` ones, rate and circuit taken together."""

    def send(self, parts: Sequence[Outgoing]) -> int:
        """Write the first n of `parts`, answer n. The others were never on the wire."""

    def status(self) -> LinkStatus: ...

    def hold(self, slot: int) -> None:
        """Open one more of the connector's binds; nothing if it is open."""

    async def let_go(self, slot: int, grace_s: float = 5.0) -> None:
        """Close one of the connector's binds after the answers owed; returns when its sessions have ended."""

    def drop(self) -> None:
        """End all sessions at once; what is unanswered is UNKNOWN. `hold` opens them again."""

    async def stop(self, grace_s: float = 5.0) -> None:
        """Unbind after the answers owed, or when the grace is over; what is unanswered then is UNKNOWN."""


class Sink(Protocol):
    def outcome(self, outcome: Outcome) -> None: ...

    def receipt(self, receipt: Receipt, done: Done) -> None: ...

    def inbound(self, inbound: Inbound, done: Done) -> None: ...

    def room(self, connector_id: int) -> None:
        """The link can send again."""

    def status(self, connector_id: int, status: LinkStatus) -> None: ...
