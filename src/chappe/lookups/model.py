"""What is known of a number, by whom, and how sure it is. Pure."""

from __future__ import annotations

from typing import Literal, NamedTuple

from msgspec import Struct

from chappe.numbers import LineType

Reachable = Literal["yes", "no", "absent", "unknown"]
"""`no`: nobody has the number; `absent`: the phone is off or out of reach now."""

Outcome = Literal["answer", "not_covered", "unavailable"]


class Absent(NamedTuple):
    """Why a phone is absent: the diagnostic of 3GPP TS 29.002 where the supplier tells it, and its words."""

    diagnostic: int | None
    reason: str


class Findings(Struct, frozen=True, kw_only=True):
    """What one source says of one number; None is unknown, never `no`.

    `original` and `current` are MCC and MNC as text ("20801"); `imsi` is what the source gave: it is hashed before it
    is kept. `raw` is the source's answer, for the operator of the installation.
    """

    valid: bool | None = None
    line_type: LineType | None = None
    original: str | None = None
    current: str | None = None
    ported: bool | None = None
    roaming: bool | None = None
    roaming_country: str | None = None
    reachable: Reachable | None = None
    absent: Absent | None = None
    carrier: str | None = None
    imsi: str | None = None
    cost_micros: int | None = None
    currency: str | None = None
    raw: bytes = b""


class Told(Struct, frozen=True):
    """The answer of a source to one question: findings, or why there are none. A source that fails never fails the
    message: the next one is asked."""

    outcome: Outcome
    findings: Findings | None = None
    reason: str = ""


NOT_COVERED = Told("not_covered")
