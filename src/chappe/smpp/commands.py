"""The SMPP commands and their mandatory fields, as a table (SMPP 3.4 chapter 4, SMPP 5.0 chapter 4).

A PDU is a row of `LAYOUTS`: its fields in the order of the wire. Four things can stand in a row: a C-octet string
with its greatest size (the closing NUL included, as the specification counts), an octet, and three shapes that carry
their own count: the short message, the destinations of submit_multi and the failures of submit_multi_resp. The count
octets (sm_length, number_of_dests, no_unsuccess) are not fields of their own: they follow from the value.
"""

from __future__ import annotations

from enum import Enum
from typing import Final, NamedTuple

RESPONSE: Final = 0x80000000

BIND_RECEIVER: Final = 0x00000001
BIND_TRANSMITTER: Final = 0x00000002
QUERY_SM: Final = 0x00000003
SUBMIT_SM: Final = 0x00000004
DELIVER_SM: Final = 0x00000005
UNBIND: Final = 0x00000006
REPLACE_SM: Final = 0x00000007
CANCEL_SM: Final = 0x00000008
BIND_TRANSCEIVER: Final = 0x00000009
OUTBIND: Final = 0x0000000B
ENQUIRE_LINK: Final = 0x00000015
SUBMIT_MULTI: Final = 0x00000021
ALERT_NOTIFICATION: Final = 0x00000102
DATA_SM: Final = 0x00000103
BROADCAST_SM: Final = 0x00000111
QUERY_BROADCAST_SM: Final = 0x00000112
CANCEL_BROADCAST_SM: Final = 0x00000113
GENERIC_NACK: Final = 0x80000000

BINDS: Final = frozenset({BIND_RECEIVER, BIND_TRANSMITTER, BIND_TRANSCEIVER})
UNANSWERED: Final = frozenset({OUTBIND, ALERT_NOTIFICATION})
"""Requests that have no response in the protocol."""


class Shape(Enum):
    """What a field looks like on the wire."""

    STRING = "c-octet string"
    OCTET = "octet"
    SHORT_MESSAGE = "sm_length, then octets"
    DESTINATIONS = "number_of_dests, then destinations"
    FAILURES = "no_unsuccess, then failures"


class Field(NamedTuple):
    """One mandatory field: its name in the specification, its shape, its greatest size in octets (NUL included)."""

    name: str
    shape: Shape
    size: int = 1


class SmeAddress(NamedTuple):
    """A destination of submit_multi with dest_flag 1."""

    ton: int
    npi: int
    address: str


class DistributionList(NamedTuple):
    """A destination of submit_multi with dest_flag 2."""

    name: str


class Failure(NamedTuple):
    """One unsuccess_sme of submit_multi_resp."""

    ton: int
    npi: int
    address: str
    status: int


def _c(name: str, size: int) -> Field:
    return Field(name, Shape.STRING, size)


def _octets(*names: str) -> tuple[Field, ...]:
    return tuple(Field(name, Shape.OCTET) for name in names)


def _address(side: str, size: int = 21) -> tuple[Field, ...]:
    """A type of number, a numbering plan and an address; only the destination spells its address in full."""
    address = "destination_addr" if side == "dest" else f"{side}_addr"
    return (*_octets(f"{side}_addr_ton", f"{side}_addr_npi"), _c(address, size))


_SHORT_MESSAGE = Field("short_message", Shape.SHORT_MESSAGE, 255)  # SMPP 3.4 says 254, SMPP 5.0 says 255
_TIMES = (_c("schedule_delivery_time", 17), _c("validity_period", 17))
_MESSAGE_ID = _c("message_id", 65)

_BIND = (
    _c("system_id", 16),
    _c("password", 9),
    _c("system_type", 13),
    *_octets("interface_version", "addr_ton", "addr_npi"),
    _c("address_range", 41),
)
_BIND_RESP = (_c("system_id", 16),)
_HANDLING = (  # how to treat a message, from esm_class on: the same in submit_sm, deliver_sm and submit_multi
    *_octets("esm_class", "protocol_id", "priority_flag"),
    *_TIMES,
    *_octets("registered_delivery", "replace_if_present_flag", "data_coding", "sm_default_msg_id"),
    _SHORT_MESSAGE,
)
_SM = (_c("service_type", 6), *_address("source"), *_address("dest"), *_HANDLING)

LAYOUTS: Final[dict[int, tuple[Field, ...]]] = {
    BIND_RECEIVER: _BIND,
    BIND_TRANSMITTER: _BIND,
    BIND_TRANSCEIVER: _BIND,
    BIND_RECEIVER | RESPONSE: _BIND_RESP,
    BIND_TRANSMITTER | RESPONSE: _BIND_RESP,
    BIND_TRANSCEIVER | RESPONSE: _BIND_RESP,
    OUTBIND: (_c("system_id", 16), _c("password", 9)),
    UNBIND: (),
    UNBIND | RESPONSE: (),
    ENQUIRE_LINK: (),
    ENQUIRE_LINK | RESPONSE: (),
    GENERIC_NACK: (),
    SUBMIT_SM: _SM,
    SUBMIT_SM | RESPONSE: (_MESSAGE_ID,),
    DELIVER_SM: _SM,
    DELIVER_SM | RESPONSE: (_MESSAGE_ID,),  # unused: sent empty (SMPP 3.4, 4.6.2)
    SUBMIT_MULTI: (
        _c("service_type", 6),
        *_address("source"),
        Field("dest_address", Shape.DESTINATIONS, 255),
        *_HANDLING,
    ),
    SUBMIT_MULTI | RESPONSE: (_MESSAGE_ID, Field("unsuccess_sme", Shape.FAILURES, 255)),
    DATA_SM: (
        _c("service_type", 6),
        *_address("source", 65),
        *_address("dest", 65),
        *_octets("esm_class", "registered_delivery", "data_coding"),
    ),
    DATA_SM | RESPONSE: (_MESSAGE_ID,),
    QUERY_SM: (_MESSAGE_ID, *_address("source")),
    QUERY_SM | RESPONSE: (_MESSAGE_ID, _c("final_date", 17), *_octets("message_state", "error_code")),
    CANCEL_SM: (_c("service_type", 6), _MESSAGE_ID, *_address("source"), *_address("dest")),
    CANCEL_SM | RESPONSE: (),
    REPLACE_SM: (
        _MESSAGE_ID,
        *_address("source"),
        *_TIMES,
        *_octets("registered_delivery", "sm_default_msg_id"),
        _SHORT_MESSAGE,
    ),
    REPLACE_SM | RESPONSE: (),
    ALERT_NOTIFICATION: (*_address("source", 65), *_address("esme", 65)),
    BROADCAST_SM: (  # no registered_delivery among the mandatory fields here (SMPP 5.0, 4.4.1)
        _c("service_type", 6),
        *_address("source"),
        _MESSAGE_ID,
        *_octets("priority_flag"),
        *_TIMES,
        *_octets("replace_if_present_flag", "data_coding", "sm_default_msg_id"),
    ),
    BROADCAST_SM | RESPONSE: (_MESSAGE_ID,),
    QUERY_BROADCAST_SM: (_MESSAGE_ID, *_address("source")),
    QUERY_BROADCAST_SM | RESPONSE: (_MESSAGE_ID,),
    CANCEL_BROADCAST_SM: (_c("service_type", 6), _MESSAGE_ID, *_address("source")),
    CANCEL_BROADCAST_SM | RESPONSE: (),
}

_NAMES: Final[dict[int, str]] = {
    BIND_RECEIVER: "bind_receiver",
    BIND_TRANSMITTER: "bind_transmitter",
    QUERY_SM: "query_sm",
    SUBMIT_SM: "submit_sm",
    DELIVER_SM: "deliver_sm",
    UNBIND: "unbind",
    REPLACE_SM: "replace_sm",
    CANCEL_SM: "cancel_sm",
    BIND_TRANSCEIVER: "bind_transceiver",
    OUTBIND: "outbind",
    ENQUIRE_LINK: "enquire_link",
    SUBMIT_MULTI: "submit_multi",
    ALERT_NOTIFICATION: "alert_notification",
    DATA_SM: "data_sm",
    BROADCAST_SM: "broadcast_sm",
    QUERY_BROADCAST_SM: "query_broadcast_sm",
    CANCEL_BROADCAST_SM: "cancel_broadcast_sm",
    0x01000001: "auth_acc",  # Huawei SMPP+: known by name only, so answered with generic_nack
    0x01000002: "sm_result_notify",
}


def name(command_id: int) -> str:
    """The command's name in the specification: `submit_sm`, `submit_sm_resp`, `generic_nack`, `unknown_0x00000099`."""
    if command_id == GENERIC_NACK:
        return "generic_nack"
    base = _NAMES.get(command_id & ~RESPONSE)
    if base is None:
        return f"unknown_0x{command_id:08X}"
    return f"{base}_resp" if command_id & RESPONSE else base
