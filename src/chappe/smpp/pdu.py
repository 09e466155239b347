"""PDUs to octets and back (SMPP 3.4 chapters 3 to 5).

The codec walks the rows of `commands.LAYOUTS`; no command has code of its own. It is strict about structure (a string
too long or without its NUL, counts that reach beyond the PDU, values that do not fit) and lenient about meaning:
unknown TLVs and TLVs of an odd size are kept as they came, and a refusal without a body is a whole PDU.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import groupby
from operator import itemgetter
from struct import Struct
from struct import error as StructError
from typing import Any, Final

from chappe.smpp import commands, status
from chappe.smpp.commands import RESPONSE, DistributionList, Failure, Field, Shape, SmeAddress

HEADER_SIZE: Final = 16
_HEADER: Final = Struct(">IIII")
_TLV: Final = Struct(">HH")


@dataclass(slots=True)
class Pdu:
    """A decoded PDU.

    `fields`: by the specification's names; C-octet strings are str (one character an octet, Latin-1, lossless),
    `short_message` is bytes, `dest_address` a list of SmeAddress and DistributionList, `unsuccess_sme` a list of
    Failure.
    `tlvs`: (tag, value) in the order of the wire, repeated tags kept.
    """

    command_id: int
    command_status: int = 0
    sequence_number: int = 0
    fields: dict[str, Any] = field(default_factory=dict, repr=False)  # passwords and texts do not belong in logs
    tlvs: list[tuple[int, bytes]] = field(default_factory=list, repr=False)

    @property
    def name(self) -> str:
        return commands.name(self.command_id)

    @property
    def is_response(self) -> bool:
        return self.command_id >= RESPONSE

    def tlv(self, tag: int) -> bytes | None:
        """The first value of this tag, None when it is absent."""
        for known, value in self.tlvs:
            if known == tag:
                return value
        return None


class PduError(ValueError):
    """Octets that are no PDU, or a PDU that has no octets.

    `command_status` is what the peer should read in the answer; `fatal` says that the boundaries of the PDUs are
    lost, so that the connection has to end.
    """

    def __init__(
        self, command_status: int, command_id: int, sequence_number: int, reason: str, fatal: bool = False
    ) -> None:
        super().__init__(f"{commands.name(command_id)}: {reason}")
        self.command_status = command_status
        self.command_id = command_id
        self.sequence_number = sequence_number
        self.reason = reason
        self.fatal = fatal


class _Wrong(Exception):
    """A field cannot be read or written: the status for it and the reason."""


# What the peer reads when one of its fields is unreadable; every other field is a matter of the length.
_BLAME: Final = {
    "service_type": status.ESME_RINVSERTYP,
    "source_addr": status.ESME_RINVSRCADR,
    "destination_addr": status.ESME_RINVDSTADR,
    "dest_address": status.ESME_RINVDSTADR,
    "message_id": status.ESME_RINVMSGID,
    "system_id": status.ESME_RINVSYSID,
    "password": status.ESME_RINVPASWD,
    "system_type": status.ESME_RINVSYSTYP,
    "schedule_delivery_time": status.ESME_RINVSCHED,
    "validity_period": status.ESME_RINVEXPIRY,
    "short_message": status.ESME_RINVMSGLEN,
}


def _blame(name: str) -> int:
    return _BLAME.get(name, status.ESME_RINVCMDLEN)


# -- the shapes that carry their own count ---------------------------------------------------------


def _read_string(frame: bytes, at: int, name: str, size: int) -> tuple[str, int]:
    end = frame.find(0, at, at + size)
    if end < 0:
        raise _Wrong(_blame(name), f"{name} has no NUL within {size} octets")
    return frame[at:end].decode("latin-1"), end + 1


def _write_string(name: str, value: str, size: int) -> bytes:
    if len(value) >= size or "\0" in value:
        raise _Wrong(_blame(name), f"{name} holds a NUL or more than {size - 1} characters")
    return value.encode("latin-1") + b"\0"


def _read_short_message(frame: bytes, at: int) -> tuple[bytes, int]:
    end = at + 1 + frame[at]
    if end > len(frame):
        raise _Wrong(status.ESME_RINVMSGLEN, "sm_length reaches beyond the PDU")
    return frame[at + 1 : end], end


def _write_short_message(value: bytes) -> bytes:
    if len(value) > 255:
        raise _Wrong(status.ESME_RINVMSGLEN, f"short_message holds {len(value)} octets, at most 255 fit")
    return bytes((len(value),)) + value


def _read_destinations(frame: bytes, at: int) -> tuple[list[SmeAddress | DistributionList], int]:
    found: list[SmeAddress | DistributionList] = []
    count, at = frame[at], at + 1
    for _ in range(count):
        flag = frame[at]
        if flag == 1:
            address, end = _read_string(frame, at + 3, "dest_address", 21)
            found.append(SmeAddress(frame[at + 1], frame[at + 2], address))
        elif flag == 2:
            name, end = _read_string(frame, at + 1, "dest_address", 21)
            found.append(DistributionList(name))
        else:
            raise _Wrong(status.ESME_RINVDESTFLAG, f"dest_flag {flag} is neither 1 nor 2")
        at = end
    return found, at


def _write_destinations(value: Sequence[SmeAddress | DistributionList]) -> bytes:
    if len(value) > 255:
        raise _Wrong(status.ESME_RINVNUMDESTS, f"{len(value)} destinations, at most 255 fit")
    parts = [bytes((len(value),))]
    for item in value:
        if isinstance(item, DistributionList):
            parts.append(b"\x02" + _write_string("dest_address", item.name, 21))
        else:
            ton, npi, address = item
            parts.append(bytes((1, ton, npi)) + _write_string("dest_address", address, 21))
    return b"".join(parts)


def _read_failures(frame: bytes, at: int) -> tuple[list[Failure], int]:
    found: list[Failure] = []
    count, at = frame[at], at + 1
    for _ in range(count):
        address, end = _read_string(frame, at + 2, "unsuccess_sme", 21)
        if end + 4 > len(frame):
            raise IndexError
        found.append(Failure(frame[at], frame[at + 1], address, int.from_bytes(frame[end : end + 4], "big")))
        at = end + 4
    return found, at


def _write_failures(value: Sequence[Failure]) -> bytes:
    if len(value) > 255:
        raise _Wrong(status.ESME_RINVNUMDESTS, f"{len(value)} failures, at most 255 fit")
    parts = [bytes((len(value),))]
    for ton, npi, address, code in value:
        parts.append(bytes((ton, npi)) + _write_string("unsuccess_sme", address, 21) + code.to_bytes(4, "big"))
    return b"".join(parts)


_Reader = Callable[[bytes, int], tuple[Any, int]]
_Writer = Callable[[Any], bytes]
_COUNTED: Final[dict[Shape, tuple[_Reader, _Writer, Any]]] = {
    Shape.SHORT_MESSAGE: (_read_short_message, _write_short_message, b""),
    Shape.DESTINATIONS: (_read_destinations, _write_destinations, ()),
    Shape.FAILURES: (_read_failures, _write_failures, ()),
}


# -- plans: a layout prepared once -----------------------------------------------------------------

_Values = dict[str, Any]


class _Run:
    """Neighbouring strings and octets of a layout, written by one formatting: a string is `%s` and NUL, an octet
    `%c`."""

    __slots__ = ("limits", "pick", "template")

    def __init__(self, fields: Sequence[Field]) -> None:
        names = [f.name for f in fields]
        self.pick: Callable[[_Values], Any] = itemgetter(
            *names
        )  # of one name: the value itself, which `%` takes as well
        self.template = "".join("%s\0" if f.shape is Shape.STRING else "%c" for f in fields)
        self.limits = [(f.name, f.size) for f in fields if f.shape is Shape.STRING]

    def write(self, values: _Values) -> bytes:
        for name, size in self.limits:
            text = values[name]
            if len(text) >= size or "\0" in text:
                raise _Wrong(_blame(name), f"{name} holds a NUL or more than {size - 1} characters")
        body: str = self.template % self.pick(values)
        return body.encode("latin-1")


def _write_counted(name: str, writer: _Writer, values: _Values) -> bytes:
    return writer(values[name])


class _Plan:
    """A layout prepared for the hot path: what to read in order, how to write, what an absent field stands for."""

    __slots__ = ("defaults", "reads", "writes")

    def __init__(self, layout: Sequence[Field]) -> None:
        self.defaults: _Values = {}
        self.reads: list[tuple[str, int, _Reader | None]] = []  # name, size of a string or 0, reader of a counted shape
        self.writes: list[Callable[[_Values], bytes]] = []
        for counted, group in groupby(layout, key=lambda f: f.shape in _COUNTED):
            fields = list(group)
            if not counted:
                self.writes.append(_Run(fields).write)
            for f in fields:
                if counted:
                    reader, writer, self.defaults[f.name] = _COUNTED[f.shape]
                    self.reads.append((f.name, 0, reader))
                    self.writes.append(partial(_write_counted, f.name, writer))
                else:
                    text = f.shape is Shape.STRING
                    self.defaults[f.name] = "" if text else 0
                    self.reads.append((f.name, f.size if text else 0, None))


def _with_long_passwords(layout: Sequence[Field]) -> list[Field]:
    return [f._replace(size=65) if f.name == "password" else f for f in layout]


_PLANS: Final = {command_id: _Plan(layout) for command_id, layout in commands.LAYOUTS.items()}
_LONG_PLANS: Final = _PLANS | {
    command_id: _Plan(_with_long_passwords(commands.LAYOUTS[command_id]))
    for command_id in (*commands.BINDS, commands.OUTBIND)
}

# The body is due when the status is 0, yet peers leave it out where its string means nothing to them.
_BODY_MAY_LACK: Final = frozenset(
    command_id | RESPONSE for command_id in (*commands.BINDS, commands.SUBMIT_SM, commands.DELIVER_SM, commands.DATA_SM)
)


# -- the doors -------------------------------------------------------------------------------------


def encode(pdu: Pdu, long_passwords: bool = False) -> bytes:
    """The PDU as it goes on the wire; absent fields are sent empty or 0, a refusal with neither fields nor TLVs as a
    header.

    `long_passwords` lets a bind carry 64 characters instead of the specification's 8. Raises PduError when a value does
    not fit its field or when a field is none of this command's.
    """
    command_id, refusal, sequence = pdu.command_id, pdu.command_status, pdu.sequence_number
    try:
        if refusal and not pdu.fields and not pdu.tlvs and command_id >= RESPONSE:
            return _HEADER.pack(HEADER_SIZE, command_id, refusal, sequence)
        plan = (_LONG_PLANS if long_passwords else _PLANS)[command_id]
        values = plan.defaults | pdu.fields
        if len(values) != len(plan.defaults):
            raise _Wrong(status.ESME_RINVCMDLEN, f"no such field: {', '.join(values.keys() - plan.defaults.keys())}")
        body = b"".join([write(values) for write in plan.writes])
        for tag, value in pdu.tlvs:
            body += _TLV.pack(tag, len(value)) + value
        return _HEADER.pack(HEADER_SIZE + len(body), command_id, refusal, sequence) + body
    except _Wrong as wrong:
        raise PduError(wrong.args[0], command_id, sequence, wrong.args[1]) from None
    except KeyError:
        raise PduError(status.ESME_RINVCMDID, command_id, sequence, "no such command") from None
    except (ValueError, OverflowError, StructError) as error:  # a number or a character that its octets cannot hold
        raise PduError(status.ESME_RINVCMDLEN, command_id, sequence, str(error)) from None


def decode(frame: bytes, long_passwords: bool = False) -> Pdu:
    """One whole PDU, header included. Raises PduError; `fatal` when the frame is not what its command_length says.

    A response without a body has no fields when it refuses, and default fields when it accepts. The unreadable body
    of a refusal is dropped: the status is the message.
    """
    if len(frame) < HEADER_SIZE:
        raise PduError(status.ESME_RINVCMDLEN, commands.GENERIC_NACK, 0, "shorter than a header", fatal=True)
    length, command_id, refusal, sequence = _HEADER.unpack_from(frame)
    if length != len(frame):
        reason = f"command_length {length} of {len(frame)} octets"
        raise PduError(status.ESME_RINVCMDLEN, command_id, sequence, reason, fatal=True)
    plan = (_LONG_PLANS if long_passwords else _PLANS).get(command_id)
    if plan is None:
        raise PduError(status.ESME_RINVCMDID, command_id, sequence, "no such command")
    if length == HEADER_SIZE and command_id >= RESPONSE:
        if refusal or not plan.reads:
            return Pdu(command_id, refusal, sequence)
        if command_id in _BODY_MAY_LACK:
            return Pdu(command_id, refusal, sequence, plan.defaults.copy())
    try:
        fields, at = _read_fields(plan, frame)
        return Pdu(command_id, refusal, sequence, fields, _read_tlvs(frame, at) if at < length else [])
    except _Wrong as wrong:
        if refusal and command_id >= RESPONSE:
            return Pdu(command_id, refusal, sequence)
        raise PduError(wrong.args[0], command_id, sequence, wrong.args[1]) from None


def _read_fields(plan: _Plan, frame: bytes) -> tuple[_Values, int]:
    fields: _Values = {}
    at = HEADER_SIZE
    text = frame.decode("latin-1")
    name = ""
    try:
        for name, size, reader in plan.reads:
            if size:
                end = frame.find(0, at, at + size)
                if end < 0:
                    raise _Wrong(_blame(name), f"{name} has no NUL within {size} octets")
                fields[name] = text[at:end]
                at = end + 1
            elif reader is None:
                fields[name] = frame[at]
                at += 1
            else:
                fields[name], at = reader(frame, at)
    except IndexError:
        raise _Wrong(status.ESME_RINVCMDLEN, f"ends before {name}") from None
    return fields, at


def _read_tlvs(frame: bytes, at: int) -> list[tuple[int, bytes]]:
    tlvs: list[tuple[int, bytes]] = []
    length = len(frame)
    while at < length:
        if length - at < 4:
            raise _Wrong(status.ESME_RINVOPTPARSTREAM, f"{length - at} octets after the last TLV")
        tag, size = _TLV.unpack_from(frame, at)
        at += 4 + size
        if at > length:
            raise _Wrong(status.ESME_RINVPARLEN, f"TLV 0x{tag:04X} of {size} octets reaches beyond the PDU")
        tlvs.append((tag, frame[at - size : at]))
    return tlvs
