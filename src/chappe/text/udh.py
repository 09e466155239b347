"""User data headers (3GPP TS 23.040, 9.2.3.24): a length octet, then elements of identifier, length and data."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from msgspec import Struct

from chappe.text.errors import TextError

CONCAT_8 = 0x00
SPECIAL_INDICATION = 0x01
PORTS_8 = 0x04
PORTS_16 = 0x05
CONCAT_16 = 0x08
SINGLE_SHIFT = 0x24
LOCKING_SHIFT = 0x25


class Element(NamedTuple):
    """One information element."""

    id: int
    data: bytes


class Concat(NamedTuple):
    """Where a part stands: reference, total, sequence from 1, and 8 or 16 bits of reference."""

    reference: int
    total: int
    sequence: int
    bits: int


class Udh(Struct, frozen=True):
    """A header read from user data. `raw` has the length octet; `malformed` says what is wrong, or is None."""

    elements: tuple[Element, ...] = ()
    raw: bytes = b""
    malformed: str | None = None

    def data(self, id: int, length: int) -> bytes | None:
        """The data of the last element `id` that has the right length: the last one counts (9.2.3.24)."""
        if not self.elements:
            return None
        return next((e.data for e in reversed(self.elements) if e.id == id and len(e.data) == length), None)

    @property
    def concat(self) -> Concat | None:
        for element in reversed(self.elements):
            if element.id == CONCAT_8 and len(element.data) == 3:
                found = Concat(element.data[0], element.data[1], element.data[2], 8)
            elif element.id == CONCAT_16 and len(element.data) == 4:
                found = Concat(int.from_bytes(element.data[:2]), element.data[2], element.data[3], 16)
            else:
                continue
            # A sequence of 0 or beyond the total makes the receiver ignore the element (9.2.3.24.1).
            return found if 1 <= found.sequence <= found.total else None
        return None

    @property
    def ports(self) -> tuple[int, int] | None:
        """(destination, source) application ports."""
        if data := self.data(PORTS_16, 4):
            return int.from_bytes(data[:2]), int.from_bytes(data[2:])
        if data := self.data(PORTS_8, 2):
            return data[0], data[1]
        return None

    @property
    def locking(self) -> int:
        return (self.data(LOCKING_SHIFT, 1) or b"\0")[0]

    @property
    def single(self) -> int:
        return (self.data(SINGLE_SHIFT, 1) or b"\0")[0]


NO_UDH = Udh()


def parse_udh(user_data: bytes) -> tuple[Udh, bytes]:
    """The header at the start of `user_data` and what follows it. Never raises: see `Udh.malformed`.

    A header longer than the user data leaves all octets in the payload, so nothing a peer sent is lost.
    """
    if not user_data:
        return Udh(malformed="no header length"), b""
    end = 1 + user_data[0]
    if end > len(user_data):
        return Udh(malformed=f"header of {end} octets in {len(user_data)}"), user_data
    raw, payload = user_data[:end], user_data[end:]
    elements: list[Element] = []
    at = 1
    while at < end:
        if at + 2 > end or at + 2 + raw[at + 1] > end:
            return Udh(tuple(elements), raw, f"element at octet {at} runs over the header"), payload
        stop = at + 2 + raw[at + 1]
        elements.append(Element(raw[at], raw[at + 2 : stop]))
        at = stop
    return Udh(tuple(elements), raw), payload


def header_length(elements: Iterable[Element]) -> int:
    """Octets of the header that carries `elements`, its length octet included; 0 without elements."""
    length = sum(2 + len(element.data) for element in elements)
    return length + 1 if length else 0


def build_udh(elements: Iterable[Element]) -> bytes:
    """The header that carries `elements`, in order; empty without elements."""
    body = b"".join(bytes((element.id, len(element.data))) + element.data for element in elements)
    if len(body) > 139:
        raise TextError("invalid_udh", f"The header takes {len(body) + 1} of the 140 octets of a message.", "udh")
    return bytes((len(body),)) + body if body else b""


def read_whole_udh(udh: bytes) -> tuple[Element, ...]:
    """The elements of a header a customer gave; TextError `invalid_udh` unless it is exactly one sound header."""
    if not udh:
        return ()
    header, rest = parse_udh(udh)
    if header.malformed or rest:
        reason = header.malformed or f"{len(rest)} octets after the header"
        raise TextError("invalid_udh", f"The user data header is malformed: {reason}.", "udh")
    return header.elements


def concat_element(reference: int, total: int, sequence: int, bits: int) -> Element:
    """The element that numbers a part; the reference is cut to `bits`."""
    if bits == 8:
        return Element(CONCAT_8, bytes((reference & 0xFF, total, sequence)))
    return Element(CONCAT_16, (reference & 0xFFFF).to_bytes(2) + bytes((total, sequence)))


def shift_elements(locking: int, single: int) -> tuple[Element, ...]:
    """The elements that announce national tables (9.2.3.24.15 and 16)."""
    shifts = ((LOCKING_SHIFT, locking), (SINGLE_SHIFT, single))
    return tuple(Element(id, bytes((language,))) for id, language in shifts if language)


def port_udh(destination: int, source: int = 0) -> bytes:
    """A header that addresses an application port, 16 bits each."""
    if not (0 <= destination <= 0xFFFF and 0 <= source <= 0xFFFF):
        raise TextError("invalid_udh", "An application port is between 0 and 65535.", "udh")
    return build_udh([Element(PORTS_16, destination.to_bytes(2) + source.to_bytes(2))])


def concat_info(udh: Udh, sar: tuple[int, int, int] | None = None) -> Concat | None:
    """Where a part stands by its header, else by its sar_* parameters (reference, total, sequence); None if alone."""
    if found := udh.concat:
        return found
    if sar and 1 <= sar[2] <= sar[1] <= 255:
        return Concat(sar[0] & 0xFFFF, sar[1], sar[2], 16)
    return None
