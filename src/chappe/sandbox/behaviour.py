"""What the operator and a phone do with one message: a vocabulary, and the numbers that ask for it.

A `Behaviour` is data. It says what the submit response is, which receipts follow in which form, and what the phone says
back. `TABLE` names the usual ones; a destination that ends in 5550NN asks for the row with that NN. Scenario files use
the same names and may change single fields.
"""

from __future__ import annotations

import math
import random
from functools import lru_cache
from typing import Annotated, Final, Literal, NamedTuple

from msgspec import Meta, Struct

from chappe.smpp import status

Seconds = Annotated[float, Meta(ge=0, le=1e9)]


class Spread(Struct, frozen=True, forbid_unknown_fields=True):
    """Waiting times as a busy network has them, in seconds: `least`, and then exponential up to `mean`."""

    mean: float
    least: float = 0.0


# No constraints here: msgspec 0.22 corrupts memory on a union of a constrained number and a tuple of fixed length.
Delay = float | tuple[float, float] | Spread
"""Seconds: always the same, anywhere between two, or spread. `delay_problem` says what is wrong with one."""


def delay_problem(delay: Delay) -> str | None:
    """Why a delay makes no sense, for the one who wrote it."""
    if isinstance(delay, Spread):
        least, most = delay.least, delay.mean
    else:
        least, most = delay if isinstance(delay, tuple) else (delay, delay)
    if not 0 <= least <= most < math.inf:
        return "a delay is seconds, not negative, and goes from the shorter to the longer"
    return None


def seconds(delay: Delay, chance: random.Random) -> float:
    """One waiting time."""
    if isinstance(delay, (int, float)):
        return delay
    if isinstance(delay, tuple):
        return chance.uniform(*delay)
    return delay.least + (chance.expovariate(1 / (delay.mean - delay.least)) if delay.mean > delay.least else 0.0)


Stat = Literal["DELIVRD", "EXPIRED", "DELETED", "UNDELIV", "ACCEPTD", "UNKNOWN", "REJECTD", "ENROUTE"]
"""message_state as receipts spell it (SMPP 3.4, appendix B)."""

FINAL: Final = frozenset({"DELIVRD", "EXPIRED", "DELETED", "UNDELIV", "REJECTD"})


class Behaviour(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How one message fares. A plain `Behaviour()` is delivered."""

    # The answer to the submit. `status`, `answer` and `taken` describe a fault: `times` submits to a destination meet
    # it and the next one passes; 0 means that all of them meet it.
    status: str = "ESME_ROK"
    answer: Literal["sent", "lost", "drop"] = "sent"  # drop: the connection is cut instead of an answer
    taken: bool = True  # whether a message whose answer is lost or cut off is delivered all the same
    times: Annotated[int, Meta(ge=0)] = 0
    answer_after_s: Delay | None = None
    message_id: Literal["decimal", "hex", "empty"] = "decimal"

    # The states the message goes through; each has its receipt. None at all: delivered, but nobody is told.
    states: tuple[Stat, ...] = ("DELIVRD",)
    err: Annotated[str, Meta(pattern="^[0-9A-Za-z]{1,8}$")] = "000"  # of the states that are failures
    when: Literal["normal", "late", "before_response", "validity"] = "normal"
    receipt_after_s: Delay | None = None
    copies: Annotated[int, Meta(ge=1, le=100)] = 1
    form: Literal["both", "text", "tlvs", "payload", "reordered", "broken", "garbage", "as_mo"] = "both"
    receipt_id: Literal["same", "decimal", "hex", "padded", "upper"] = "same"
    addresses: Literal["phone_first", "as_submitted"] = "phone_first"

    # What the phone says once it has the message; {text} is the text it received.
    reply: str = ""
    reply_form: Literal["plain", "latin1", "shuffled", "gap"] = "plain"

    @property
    def reaches_phone(self) -> bool:
        return not self.states or "DELIVRD" in self.states


@lru_cache
def status_code(name: str) -> int | None:
    """`ESME_RTHROTTLED`, `RTHROTTLED` or `0x58` as a number; None when it is no status."""
    wanted = name.upper()
    for code, row in status.TABLE.items():
        if wanted in (row.name, row.name.removeprefix("ESME_")):
            return code
    try:
        code = int(name, 0)
    except ValueError:
        return None
    return code if 0 <= code <= 0xFFFFFFFF else None


class Row(NamedTuple):
    """A line of the table of magic numbers."""

    number: int
    name: str
    meaning: str
    behaviour: Behaviour


def _failed(stat: Stat, err: str) -> Behaviour:
    return Behaviour(states=(stat,), err=err)


_LONG_REPLY: Final = (
    "Thank you for the message. I read it on the tram this morning, and again at my desk, since it was worth it. "
    "The parcel can come on Thursday between nine and eleven; the code of the front door is {A7} [left side]. "
    "Please ring twice: the bell is old. If nobody opens, leave it with the neighbour on the second floor, "
    "who is at home all day and likes a chat. The fee of 4 € is ready in an envelope. See you then!"
)

TABLE: Final = (
    # -- how it ends; the err codes are those of GSM networks
    Row(1, "delivered", "delivered, as any other number", Behaviour()),
    Row(2, "absent", "undelivered: the phone is off or out of reach (err 060)", _failed("UNDELIV", "060")),
    Row(3, "unknown_subscriber", "undelivered: nobody has this number (err 001)", _failed("UNDELIV", "001")),
    Row(4, "barred", "undelivered: the subscriber bars messages (err 013)", _failed("UNDELIV", "013")),
    Row(5, "memory_full", "undelivered: the phone's memory is full (err 040)", _failed("UNDELIV", "040")),
    Row(6, "busy", "undelivered: the phone was busy (err 031)", _failed("UNDELIV", "031")),
    Row(
        7,
        "expired",
        "expired: the receipt comes when the validity is over, or after max_validity_s if that is sooner",
        Behaviour(states=("EXPIRED",), err="060", when="validity"),
    ),
    Row(8, "deleted", "deleted by the operator", _failed("DELETED", "000")),
    Row(9, "rejected", "accepted at first, then rejected by receipt (err 069)", _failed("REJECTD", "069")),
    # -- states in sequence
    Row(10, "accepted_then_delivered", "ACCEPTD, then DELIVRD", Behaviour(states=("ACCEPTD", "DELIVRD"))),
    Row(
        11,
        "enroute_then_delivered",
        "ENROUTE as an intermediate notification, then DELIVRD",
        Behaviour(states=("ENROUTE", "DELIVRD")),
    ),
    Row(
        12,
        "expired_then_delivered",
        "EXPIRED, then DELIVRD all the same",
        Behaviour(states=("EXPIRED", "DELIVRD"), err="060"),
    ),
    Row(
        13,
        "undelivered_then_delivered",
        "UNDELIV (err 060), then DELIVRD",
        Behaviour(states=("UNDELIV", "DELIVRD"), err="060"),
    ),
    Row(14, "accepted_only", "ACCEPTD and nothing more", Behaviour(states=("ACCEPTD",))),
    Row(15, "unknown_state", "UNKNOWN and nothing more", Behaviour(states=("UNKNOWN",))),
    Row(16, "no_receipt", "delivered, but no receipt ever comes", Behaviour(states=())),
    Row(17, "late_receipt", "delivered after late_receipt_s", Behaviour(when="late")),
    Row(18, "duplicate_receipts", "delivered, and the receipt comes three times", Behaviour(copies=3)),
    Row(
        19,
        "receipt_before_response",
        "the receipt comes before the submit response",
        Behaviour(when="before_response"),
    ),
    # -- receipts in the forms that operators send
    Row(
        20, "receipt_hex", "the id is decimal in the response, hexadecimal in the receipt", Behaviour(receipt_id="hex")
    ),
    Row(
        21,
        "receipt_decimal",
        "the id is hexadecimal in the response, decimal in the receipt",
        Behaviour(message_id="hex", receipt_id="decimal"),
    ),
    Row(22, "receipt_padded", "the id has zeros in front in the receipt", Behaviour(receipt_id="padded")),
    Row(
        23,
        "receipt_upper",
        "the id is hexadecimal, in small letters in the response and in capitals in the receipt",
        Behaviour(message_id="hex", receipt_id="upper"),
    ),
    Row(24, "receipt_text", "no TLVs, only text", Behaviour(form="text")),
    Row(25, "receipt_tlvs", "TLVs only, the text is empty", Behaviour(form="tlvs")),
    Row(26, "receipt_payload", "no TLVs but message_payload, which holds the text", Behaviour(form="payload")),
    Row(
        27,
        "receipt_reordered",
        "no TLVs; capital labels in another order, no sub and dlvrd, dates with seconds",
        Behaviour(form="reordered"),
    ),
    Row(28, "receipt_broken", "the text breaks off in the middle; the TLVs are right", Behaviour(form="broken")),
    Row(29, "receipt_garbage", "marked as a receipt, but nothing in it can be read", Behaviour(form="garbage")),
    Row(
        30,
        "receipt_as_mo",
        "a phone forges the receipt: the right text in an ordinary message (esm_class 0)",
        Behaviour(form="as_mo"),
    ),
    Row(
        31,
        "receipt_as_submitted",
        "sender and recipient stand in the receipt as they stood in the submit",
        Behaviour(addresses="as_submitted"),
    ),
    # -- refused at the submit
    Row(40, "invalid_destination", "refused: ESME_RINVDSTADR", Behaviour(status="ESME_RINVDSTADR")),
    Row(41, "invalid_sender", "refused: ESME_RINVSRCADR", Behaviour(status="ESME_RINVSRCADR")),
    Row(
        42,
        "throttled",
        "ESME_RTHROTTLED three times, then accepted",
        Behaviour(status="ESME_RTHROTTLED", times=3),
    ),
    Row(43, "queue_full", "ESME_RMSGQFUL twice, then accepted", Behaviour(status="ESME_RMSGQFUL", times=2)),
    Row(44, "system_error", "ESME_RSYSERR twice, then accepted", Behaviour(status="ESME_RSYSERR", times=2)),
    Row(45, "system_error_always", "ESME_RSYSERR every time", Behaviour(status="ESME_RSYSERR")),
    Row(46, "throttled_always", "ESME_RTHROTTLED every time", Behaviour(status="ESME_RTHROTTLED")),
    Row(47, "submit_failed", "ESME_RSUBMITFAIL every time", Behaviour(status="ESME_RSUBMITFAIL")),
    Row(48, "vendor_error", "a status of no specification, 0x00000401, every time", Behaviour(status="0x00000401")),
    Row(49, "prohibited", "refused: ESME_RPROHIBITED (SMPP 5.0)", Behaviour(status="ESME_RPROHIBITED")),
    # -- faults of the line
    Row(
        60,
        "no_response",
        "no submit response the first time, though the message is delivered and its receipt comes",
        Behaviour(answer="lost", times=1),
    ),
    Row(
        61,
        "no_response_lost",
        "no submit response the first time, and the message is gone",
        Behaviour(answer="lost", taken=False, times=1),
    ),
    Row(
        62,
        "drop_before",
        "the first submit cuts the connection, and the message is gone",
        Behaviour(answer="drop", taken=False, times=1),
    ),
    Row(
        63,
        "drop_after",
        "the first submit cuts the connection, though the message is delivered and its receipt comes",
        Behaviour(answer="drop", times=1),
    ),
    Row(64, "slow_response", "the submit response comes after 2 s", Behaviour(answer_after_s=2.0)),
    Row(
        65,
        "empty_id",
        "accepted with an empty message_id; no receipt can come",
        Behaviour(message_id="empty", states=()),
    ),
    # -- phones that answer
    Row(70, "echo", "the phone sends the text back", Behaviour(reply="{text}")),
    Row(71, "stop", "the phone answers STOP", Behaviour(reply="STOP")),
    Row(
        72,
        "long_reply",
        "the phone answers in three parts, which come in mixed order, one of them twice",
        Behaviour(reply=_LONG_REPLY, reply_form="shuffled"),
    ),
    Row(
        73,
        "long_reply_with_gap",
        "the same, but the last part never comes",
        Behaviour(reply=_LONG_REPLY, reply_form="gap"),
    ),
    Row(74, "emoji_reply", "the phone answers with emoji in UCS-2", Behaviour(reply="Merci 👍🏽 à bientôt 👨‍👩‍👧")),
    Row(
        75,
        "latin1_reply",
        "the phone's answer is Latin-1, though its data_coding is 0",
        Behaviour(reply="Été à Noël: ça va, très bien", reply_form="latin1"),
    ),
)

BEHAVIOURS: Final = {row.name: row.behaviour for row in TABLE}
MAGIC_PREFIX: Final = "5550"
MAGIC: Final = {f"{MAGIC_PREFIX}{row.number:02}": row.name for row in TABLE}
"""The last six digits of a destination -> the name of its behaviour."""
