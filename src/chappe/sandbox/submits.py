"""The log of what was submitted: the last ones in full, and how often each message came."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import islice
from typing import Any, Final

from chappe import text
from chappe.smpp import Pdu, commands, decode, status, tlv
from chappe.text import Concat

Address = tuple[int, int, str]
"""TON, NPI, address."""

_UDHI: Final = 0x40  # esm_class bit 6 (SMPP 3.4, 5.2.12)


class Submit:
    """One message to one destination, as it came. `at` is milliseconds since the epoch, `number` counts from 1."""

    __slots__ = (
        "answer",
        "at",
        "behaviour",
        "canceled",
        "concat",
        "data",
        "data_coding",
        "destination",
        "esm_class",
        "message_id",
        "not_before",
        "number",
        "payload",
        "raw",
        "registered_delivery",
        "source",
        "state",
        "status",
        "system_id",
        "tlvs",
        "until",
    )

    def __init__(self, number: int, at: int, system_id: str, pdu: Pdu, raw: bytes, destination: Address) -> None:
        fields = pdu.fields
        self.number = number
        self.at = at
        self.system_id = system_id
        self.raw = raw
        self.tlvs = tuple(pdu.tlvs)
        self.source: Address = (fields["source_addr_ton"], fields["source_addr_npi"], fields["source_addr"])
        self.destination = destination
        self.esm_class: int = fields["esm_class"]
        self.data_coding: int = fields["data_coding"]
        self.registered_delivery: int = fields["registered_delivery"]
        # A message_payload stands for an empty short_message (SMPP 3.4, 5.3.2.32); data_sm knows no other way.
        self.data: bytes = fields.get("short_message") or pdu.tlv(tlv.MESSAGE_PAYLOAD) or b""
        self.concat: Concat | None = None
        self.payload = self.data
        if self.esm_class & _UDHI:
            header, self.payload = text.parse_udh(self.data)
            self.concat = text.concat_info(header)
        elif pdu.tlvs:
            self.concat = _sar(pdu)
        self.behaviour = ""
        self.status = status.ESME_ROK
        self.answer = "sent"
        self.message_id = ""
        self.state = ""
        self.canceled = False
        self.not_before: int | None = None  # schedule and end of validity, milliseconds since the epoch
        self.until: int | None = None

    @property
    def to(self) -> str:
        return self.destination[2]

    @property
    def sender(self) -> str:
        return self.source[2]

    @property
    def udhi(self) -> bool:
        return bool(self.esm_class & _UDHI)

    @property
    def text(self) -> str | None:
        """What this part says by itself."""
        return text.decode(self.data, self.data_coding, self.udhi).text

    @property
    def reference(self) -> int | bytes:
        """What is the same when a message is submitted again: its user_message_reference, else its content."""
        for tag, value in self.tlvs:
            if tag == tlv.USER_MESSAGE_REFERENCE:
                return int.from_bytes(value, "big")
        return self.payload


def _sar(pdu: Pdu) -> Concat | None:
    reference = pdu.tlv(tlv.SAR_MSG_REF_NUM)
    total, sequence = pdu.tlv(tlv.SAR_TOTAL_SEGMENTS), pdu.tlv(tlv.SAR_SEGMENT_SEQNUM)
    if reference is None or total is None or sequence is None:
        return None
    numbers = (int.from_bytes(reference, "big"), int.from_bytes(total, "big"), int.from_bytes(sequence, "big"))
    return text.concat_info(text.Udh(), numbers)


class Tally:
    """How often one message came, and how often it was taken for delivery."""

    __slots__ = ("faults", "submit", "submits", "taken")

    def __init__(self, submit: Submit) -> None:
        self.submit = submit  # the first of them
        self.submits = 0
        self.taken = 0
        self.faults = 0  # met since it last passed


class Log:
    """The last `keep` submits by number and by message_id, and tallies of the last `keep` messages."""

    def __init__(self, keep: int) -> None:
        self.keep = keep
        self.count = 0
        self._submits: deque[Submit] = deque()
        self._by_id: dict[str, Submit] = {}
        self._tallies: dict[tuple[str, int | bytes, int], Tally] = {}

    def add(self, submit: Submit) -> Tally:
        self.count += 1
        self._submits.append(submit)
        if len(self._submits) > self.keep:
            oldest = self._submits.popleft()
            self._by_id.pop(oldest.message_id, None)
        key = (submit.to, submit.reference, submit.concat.sequence if submit.concat else 0)
        tally = self._tallies.get(key)
        if tally is None:
            tally = self._tallies[key] = Tally(submit)
            if len(self._tallies) > self.keep:
                del self._tallies[next(iter(self._tallies))]
        tally.submits += 1
        return tally

    def named(self, submit: Submit) -> None:
        """Makes a submit findable by the message_id it was given."""
        if submit.message_id:
            self._by_id[submit.message_id] = submit

    def find(self, message_id: str) -> Submit | None:
        return self._by_id.get(message_id)

    def after(self, number: int) -> Iterator[Submit]:
        """The submits kept with a higher number, oldest first."""
        first = self._submits[0].number if self._submits else 0
        return islice(self._submits, max(0, number + 1 - first), None)

    def tallies(self) -> Iterator[Tally]:
        return iter(self._tallies.values())


def instant(at: int) -> str:
    """Milliseconds since the epoch in RFC 3339."""
    return datetime.fromtimestamp(at / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def describe_submit(submit: Submit) -> dict[str, Any]:
    """A submit for people and scripts: what was asked, what was answered, what became of it."""
    pdu = decode(submit.raw)
    return {
        "number": submit.number,
        "at": instant(submit.at),
        "system_id": submit.system_id,
        "command": commands.name(pdu.command_id),
        "sequence_number": pdu.sequence_number,
        "from": submit.sender,
        "to": submit.to,
        "text": submit.text,
        "part": part(submit.concat),
        "behaviour": submit.behaviour,
        "answer": submit.answer,
        "status": status.name(submit.status),
        "message_id": submit.message_id,
        "state": submit.state,
        "fields": {name: _plain(value) for name, value in pdu.fields.items()},
        "tlvs": {tlv.name(tag): _plain(tlv.unpack(tag, value)) for tag, value in pdu.tlvs},
        "raw": submit.raw.hex(),
    }


def describe_tally(tally: Tally) -> dict[str, Any]:
    submit = tally.submit
    reference = submit.reference
    return {
        "to": submit.to,
        "reference": reference if isinstance(reference, int) else None,
        "text": submit.text,
        "part": part(submit.concat),
        "submits": tally.submits,
        "taken": tally.taken,
        "first": submit.number,
    }


def part(concat: Concat | None) -> dict[str, int] | None:
    """Where a part stands."""
    if concat is None:
        return None
    return {"reference": concat.reference, "total": concat.total, "sequence": concat.sequence}


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value
