"""What happened in a year: message number `i` is a pure function of `i`, so whoever looks it up later need not ask.

Rows are those that the pipeline leaves behind (`messages/accept.py`, `recorder.py`, `receipts.py`); frames are
encoded once by Chappe's own codec and filled in. 60% have receipts, one in twenty has two parts, and all texts and
frames are there.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from chappe import ids
from chappe.messages.model import Lane, PartState, State, encode_json
from chappe.smpp import Pdu, commands, encode, receipt
from chappe.smpp.receipt import MessageState, Style

DAY_MS = 86_400_000
RECIPIENTS = 2_000_000
PARTS_FOR_MS = 4 * DAY_MS  # validity and the time that supplier ids are remembered after it
TAGS = 500
_NODE = 255  # ids of a node that will hardly ever run
_MIX = 0x9E3779B97F4A7C15
_ALL = (1 << 64) - 1
# placeholders of the same width as what takes their place
_NUMBER, _PROVIDER, _CODE = "77777777777", "8888888888", "666666"
_TEXTS = (
    "Your order 666666 has left our warehouse and will be with you tomorrow.",
    "666666 is your code. It is valid for ten minutes; never tell it to anybody.",
    "Reminder: your appointment no. 666666 is tomorrow at 10:30. Reply STOP to opt out.",
    "Your parcel 666666 waits for you at the shop around the corner until Friday evening.",
    "Payment 666666 of 49.90 EUR was received. Thank you for travelling with us!",
)
_LONG = (
    "Dear customer, your contract 666666 will be renewed on the first of next month at the conditions that you know. "
    "If you would rather change or end it, you can do so until the 20th in your account or by telephone."
)
_PART = 153  # characters of a part beside its concatenation header


@dataclass(frozen=True)
class Cast:
    """Who takes part: ids as they are in the store."""

    accounts: tuple[int, ...]
    logins: tuple[int, ...]
    """One of each account."""
    connector: int
    route: int
    count: int
    began: int
    ended: int
    """Milliseconds; the messages lie evenly between the two."""
    first: int = 0
    """The first that is not forgotten yet."""


@dataclass(frozen=True)
class Told:
    """What somebody who looks for a message knows of it."""

    id: int
    account: int
    at: int
    recipient: str
    state: State
    correlation_id: str | None
    tag: str | None


@dataclass(frozen=True)
class Chapter:
    """Rows of many messages, in the order of their tables' columns."""

    messages: list[tuple[Any, ...]]
    history: list[tuple[Any, ...]]
    tags: list[tuple[Any, ...]]
    parts: list[tuple[Any, ...]]
    text_octets: int


class Story:
    def __init__(self, cast: Cast) -> None:
        self._cast = cast
        self._accepted = [self._accepted_data(segments) for segments in (1, 2)]

    def told(self, i: int) -> Told:
        cast, luck = self._cast, _luck(i)
        at = cast.began + i * (cast.ended - cast.began) // cast.count
        return Told(
            id=_id(at, i),
            account=self._account(luck),
            at=at,
            recipient=f"+{33_610_000_000 + (luck >> 40) % RECIPIENTS * 37}",
            state=_state((luck >> 20) % 100),
            correlation_id=f"order-{i:010d}" if (luck >> 8) % 5 == 0 else None,
            tag=f"campaign-{(luck >> 30) % TAGS}" if (luck >> 12) % 10 == 0 else None,
        )

    def chapter(self, first: int, last: int) -> Chapter:
        """Messages `first` to `last` - 1."""
        made = Chapter([], [], [], [], 0)
        octets = 0
        for i in range(first, last):
            octets += self._tell(made, i)
        return Chapter(made.messages, made.history, made.tags, made.parts, octets)

    def _account(self, luck: int) -> int:
        return _SHARES[luck & 127] % len(self._cast.accounts)

    def _tell(self, made: Chapter, i: int) -> int:
        cast, luck = self._cast, _luck(i)
        one = self.told(i)
        at, state = one.at, one.state
        by_smpp = luck & 3 == 0
        frames = _LONG_ONE if (luck >> 16) % 20 == 0 else _SHORT[(luck >> 4) % len(_SHORT)]
        code = f"{i % 1_000_000:06d}"
        answered, final = at + 40 + luck % 100, at + 1500 + (luck >> 5) % 8000
        account, error = cast.accounts[one.account], _ERROR.get(state)
        text = frames.text.replace(_CODE, code)
        segments = len(frames.submits)
        made.messages.append(
            (
                *(one.id, account, 0, int(state), 2, "transactional", int(Lane.TRANSACTIONAL), one.recipient, "Bench"),
                *(text, "gsm7", segments, None, one.correlation_id),
                *(None if one.tag is None else f'["{one.tag}"]', None, None, "smpp" if by_smpp else "api"),
                *(cast.logins[one.account] if by_smpp else None, int(by_smpp), None, at + DAY_MS, cast.connector, 1),
                *(error, None if state is State.FAILED else answered, None if state is State.SENT else final, "FR"),
                *("20801", cast.route, None, None, None, None, 0),
            )
        )
        if one.tag is not None:
            made.tags.append((account, one.tag, one.id))
        data = self._accepted[segments - 1]
        steps = made.history
        steps.append((one.id, _id(at, 0), at, "accepted", 1, 0, data, None, None))
        values = {b"n": one.recipient[1:].encode(), b"c": code.encode()}
        for part in range(1, segments + 1):
            provider = f"{i * 2 + part:010d}"
            values[b"p"] = provider.encode()
            said = _ANSWERED % provider if state is not State.FAILED else _REFUSED
            submit = frames.submits[part - 1] % values
            steps.append((one.id, _id(answered, part), answered, "answered", 1, part, said, submit, _RESPONSE % values))
            if (word := _RECEIPT.get(state)) is not None:
                said = f'{{"connector":"history","state":"{word}","provider_id":"{provider}","done_at":{final}}}'
                raw = _REPORTS[word] % values
                steps.append((one.id, _id(final, 2 + part), final, "receipt", 1, part, said, raw, None))
            if at > cast.ended - PARTS_FOR_MS and state is not State.FAILED:
                made.parts.append(
                    (
                        *(one.id, 1, part, segments, cast.connector, provider, provider.lstrip("0")),
                        *(int(_PART_STATE.get(state, PartState.UNTRACKED)), error, answered, at + DAY_MS + 60_000),
                        None if state is State.SENT else final,
                    )
                )
        if state is State.FAILED:
            steps.append((one.id, _id(final, 6), final, "failed", 1, 0, error, None, None))
        elif state is State.UNCONFIRMED:
            steps.append((one.id, _id(final, 6), final, "unconfirmed", 0, 0, None, None, None))
        return len(text)

    def _accepted_data(self, segments: int) -> str:
        told = {
            "route": self._cast.route,
            "reason": "route history, any account, any number",
            "connector": "history",
            "encoding": "gsm7",
            "segments": segments,
        }
        return encode_json(told).decode()


class Frames:
    """A text and its submit_sm, with gaps for number and code."""

    def __init__(self, text: str) -> None:
        self.text = text

    @cached_property
    def submits(self) -> list[bytes]:
        if len(self.text) <= 160:
            return [_submit(self.text.encode(), 0)]
        texts = [self.text[n : n + _PART] for n in range(0, len(self.text), _PART)]
        header = b"\x05\x00\x03\x2a%c%c"  # concatenation with an 8-bit reference (3GPP TS 23.040, 9.2.3.24.1)
        return [_submit(header % (len(texts), n) + text.encode(), 0x40) for n, text in enumerate(texts, 1)]


def _luck(i: int) -> int:
    """64 bits that look random and are always the same."""
    x = (i + 1) * _MIX & _ALL
    x = (x ^ x >> 29) * 0xBF58476D1CE4E5B9 & _ALL
    return x ^ x >> 32


def _id(at: int, n: int) -> int:
    return ids.at(at) | _NODE << 13 | n & 8191


def _state(percent: int) -> State:
    for bound, state in _STATES:
        if percent < bound:
            return state
    raise ValueError(percent)


def _submit(short_message: bytes, esm_class: int) -> bytes:
    fields = {
        "source_addr_ton": 5,
        "source_addr": "Bench",
        "dest_addr_ton": 1,
        "dest_addr_npi": 1,
        "destination_addr": _NUMBER,
        "esm_class": esm_class,
        "validity_period": "261123013908000+",
        "registered_delivery": 1,
        "short_message": short_message,
    }
    return _gaps(encode(Pdu(commands.SUBMIT_SM, sequence_number=4711, fields=fields)))


def _report(state: MessageState) -> bytes:
    text = receipt.format_text(_PROVIDER, state, 1_795_000_000_000, 1_795_000_000_000, "000", "", Style())
    fields = {
        "source_addr_ton": 1,
        "source_addr_npi": 1,
        "source_addr": _NUMBER,
        "dest_addr_ton": 5,
        "destination_addr": "Bench",
        "esm_class": 4,
        "short_message": text,
    }
    tlvs = receipt.receipt_tlvs(_PROVIDER, state)
    return _gaps(encode(Pdu(commands.DELIVER_SM, sequence_number=4711, fields=fields, tlvs=tlvs)))


def _gaps(frame: bytes) -> bytes:
    frame = frame.replace(b"%", b"%%")
    for placeholder, gap in ((_NUMBER, b"%(n)b"), (_PROVIDER, b"%(p)b"), (_CODE, b"%(c)b")):
        frame = frame.replace(placeholder.encode(), gap)
    return frame


_SHARES = [0] * 64 + [1] * 32 + [2] * 16 + [3] * 8 + [4] * 8  # half of all is the first account's
_STATES = (
    (55, State.DELIVERED),
    (59, State.UNDELIVERED),
    (60, State.EXPIRED),
    (61, State.FAILED),
    (63, State.UNCONFIRMED),
    (100, State.SENT),  # to a supplier that gives no receipts
)
_RECEIPT = {State.DELIVERED: "delivered", State.UNDELIVERED: "undelivered", State.EXPIRED: "expired"}
_REPORTS = {
    "delivered": _report(MessageState.DELIVERED),
    "undelivered": _report(MessageState.UNDELIVERABLE),
    "expired": _report(MessageState.EXPIRED),
}
_PART_STATE = {
    State.DELIVERED: PartState.DELIVERED,
    State.UNDELIVERED: PartState.FAILED,
    State.EXPIRED: PartState.FAILED,
    State.UNCONFIRMED: PartState.UNCONFIRMED,
}
_ERROR = {
    State.UNDELIVERED: '{"code":"undelivered","permanent":true,"supplier":"UNDELIV 001"}',
    State.EXPIRED: '{"code":"expired","permanent":true,"supplier":"EXPIRED"}',
    State.FAILED: '{"code":"supplier_rejected","permanent":true,"supplier":"ESME_RSUBMITFAIL"}',
}
_ANSWERED = '{"connector":"history","provider_id":"%s","ms":12}'
_REFUSED = f'{{"connector":"history","error":{_ERROR[State.FAILED]},"ms":12}}'
_RESPONSE = _gaps(
    encode(Pdu(commands.SUBMIT_SM | commands.RESPONSE, sequence_number=4711, fields={"message_id": _PROVIDER}))
)
_SHORT = [Frames(text) for text in _TEXTS]
_LONG_ONE = Frames(_LONG)
