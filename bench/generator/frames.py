"""SMPP frames composed once and filled in, and what is read of the peer's without decoding it (SMPP 3.4, chapter 4)."""

from __future__ import annotations

import time
from struct import Struct

HEADER = Struct(">IIII")  # length, command, status, sequence number
RESPONSE = 0x80000000
GENERIC_NACK = 0x80000000
BIND_RECEIVER, BIND_TRANSMITTER, BIND_TRANSCEIVER = 1, 2, 9
SUBMIT_SM, DELIVER_SM, UNBIND, ENQUIRE_LINK = 4, 5, 6, 0x15
BINDS = (BIND_RECEIVER, BIND_TRANSMITTER, BIND_TRANSCEIVER)
NUMBER_WIDTH = 11  # digits: numbers count up and never get longer


def frame(command: int, sequence: int, body: bytes = b"", status: int = 0) -> bytes:
    return HEADER.pack(16 + len(body), command, status, sequence) + body


def bind(user: str, password: str) -> bytes:
    body = b"%s\0%s\0\0\x34\0\0\0" % (user.encode(), password.encode())
    return frame(BIND_TRANSCEIVER, 1, body)


class Submits:
    """submit_sm of one customer: alike but for recipient, sequence number and the `{n}` of the text."""

    def __init__(self, source: str, text: str, receipts: bool) -> None:
        message = text.encode("ascii").replace(b"%", b"%%").replace(b"{n}", b"%(n)b")
        size = len(message % {b"n": b"0" * NUMBER_WIDTH})
        # service_type, source (alphanumeric), destination (international), esm_class ... sm_default_msg_id
        head = b"\0\x05\x00%s\0\x01\x01%%(n)b\0\0\0\0\0\0%s\0\0\0%s" % (
            source.encode("ascii"),
            b"\x01" if receipts else b"\0",
            bytes([size]) if size != 0x25 else b"%%",
        )
        self._body = head + message
        self._length = 16 + len(self._body % {b"n": b"0" * NUMBER_WIDTH})

    def fill(self, sequence: int, number: int) -> bytes:
        return HEADER.pack(self._length, SUBMIT_SM, 0, sequence) + self._body % {b"n": b"%d" % number}


def submitted(data: bytes, start: int) -> tuple[bytes, bytes, int]:
    """Source and destination (with TON and NPI, ending in NUL) and registered_delivery of a submit_sm at `start`."""
    source = data.index(b"\0", start + 16) + 1
    destination = data.index(b"\0", source + 2) + 1
    flags = data.index(b"\0", destination + 2) + 1
    schedule = data.index(b"\0", flags + 3) + 1
    registered = data.index(b"\0", schedule) + 1
    return data[source:destination], data[destination:flags], data[registered]


class Receipts:
    """deliver_sm that say DELIVRD, as operators write them (SMPP 3.4, appendix B), with the id as a TLV as well."""

    def __init__(self) -> None:
        self._minute = -1
        self._text = b""

    def body(self, source: bytes, destination: bytes, message_id: bytes) -> bytes:
        """`source` and `destination` as they came in the submit_sm: they change places."""
        minute = int(time.time() // 60)
        if minute != self._minute:
            stamp = time.strftime("%y%m%d%H%M", time.gmtime()).encode()
            self._text = b"sub:001 dlvrd:001 submit date:%s done date:%s stat:DELIVRD err:000 text:" % (stamp, stamp)
            self._minute = minute
        text = b"id:%s %s" % (message_id, self._text)
        tlvs = b"\x00\x1e%s%s\0\x04\x27\x00\x01\x02" % ((len(message_id) + 1).to_bytes(2, "big"), message_id)
        parts = (b"\0", destination, source, b"\x04\0\0\0\0\0\0\0\0", bytes([len(text)]), text, tlvs)
        return b"".join(parts)
