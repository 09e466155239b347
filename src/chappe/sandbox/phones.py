"""What phones received: long messages put together, the last ones kept."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from itertools import islice
from typing import Any, Final

from chappe import text
from chappe.sandbox.submits import Submit, instant, part
from chappe.text import Decoded, Key, StoredPart

_INCOMPLETE: Final = 10_000  # long messages that may wait for parts


class Received:
    """A whole message on a phone; `parts` are in the order of the text."""

    __slots__ = ("at", "number", "parts")

    def __init__(self, number: int, at: int, parts: tuple[Submit, ...]) -> None:
        self.number = number
        self.at = at
        self.parts = parts

    @property
    def to(self) -> str:
        return self.parts[0].to

    def read(self) -> Decoded:
        """The text, over all parts."""
        if len(self.parts) == 1:
            return text.decode(self.parts[0].data, self.parts[0].data_coding, self.parts[0].udhi)
        joined = text.join(_stored(submit) for submit in self.parts)
        assert joined is not None  # there are parts
        return joined


class Phones:
    """All phones of the operator's country."""

    def __init__(self, keep: int) -> None:
        self.keep = keep
        self.count = 0
        self._received: deque[Received] = deque()
        self._by_number: dict[str, list[Received]] = {}
        self._incomplete: dict[Key, dict[int, Submit]] = {}

    @property
    def incomplete(self) -> int:
        """Long messages that wait for parts."""
        return len(self._incomplete)

    def receive(self, submit: Submit, at: int) -> Received | None:
        """A part reaches its phone; returns the message once it is whole."""
        if submit.concat is None:
            return self._keep((submit,), at)
        key = text.reassembly_key(submit.system_id, submit.sender, submit.to, submit.concat)
        parts = self._incomplete.get(key, {})
        if not text.belongs(_stored(submit), map(_stored, parts.values())):
            parts = {}  # the reference is used again: the older message stays in pieces for ever
        parts[submit.concat.sequence] = submit
        if len(parts) == submit.concat.total:
            self._incomplete.pop(key, None)
            return self._keep(tuple(whole for _, whole in sorted(parts.items())), at)
        self._incomplete[key] = parts
        if len(self._incomplete) > _INCOMPLETE:
            del self._incomplete[next(iter(self._incomplete))]
        return None

    def _keep(self, parts: tuple[Submit, ...], at: int) -> Received:
        self.count += 1
        received = Received(self.count, at, parts)
        self._received.append(received)
        self._by_number.setdefault(received.to, []).append(received)
        if len(self._received) > self.keep:
            oldest = self._received.popleft()
            of_phone = self._by_number[oldest.to]
            del of_phone[0]  # both are in order of arrival
            if not of_phone:
                del self._by_number[oldest.to]
        return received

    def after(self, number: int, to: str | None) -> Iterable[Received]:
        """The messages kept with a higher number, oldest first; of one phone or of all."""
        if to is None:
            first = self.count - len(self._received) + 1
            return islice(self._received, max(0, number + 1 - first), None)
        return (received for received in self._by_number.get(to, ()) if received.number > number)


def _stored(submit: Submit) -> StoredPart:
    where = submit.concat
    sequence, total = (where.sequence, where.total) if where else (1, 1)
    return StoredPart(sequence, total, submit.data, submit.data_coding, submit.udhi)


def describe_received(received: Received) -> dict[str, Any]:
    """A message as its phone shows it, and the parts it came in."""
    decoded = received.read()
    first = received.parts[0]
    return {
        "number": received.number,
        "received_at": instant(received.at),
        "system_id": first.system_id,
        "from": first.sender,
        "to": first.to,
        "text": decoded.text,
        "payload": decoded.payload.hex() if decoded.text is None else None,
        "encoding": decoded.encoding,
        "message_class": decoded.message_class,
        "segments": len(received.parts),
        "parts": [_describe_part(submit) for submit in received.parts],
    }


def _describe_part(submit: Submit) -> dict[str, Any]:
    header = text.parse_udh(submit.data)[0].raw if submit.udhi else b""
    return {
        "submit": submit.number,
        "message_id": submit.message_id,
        "from_ton": submit.source[0],
        "from_npi": submit.source[1],
        "to_ton": submit.destination[0],
        "to_npi": submit.destination[1],
        "esm_class": submit.esm_class,
        "data_coding": submit.data_coding,
        "udh": header.hex(),
        "payload": submit.payload.hex(),
        "part": part(submit.concat),
    }
