"""The house's states and delivery errors in the words of SMPP (SMPP 3.4, 5.2.28; SMPP 5.0, 4.7.15). Tables."""

from __future__ import annotations

from typing import Final

from chappe.smpp import MessageState

MESSAGE_STATE: Final[dict[str, MessageState]] = {
    "accepted": MessageState.ENROUTE,
    "scheduled": MessageState.SCHEDULED,  # ENROUTE before 5.0
    "queued": MessageState.ENROUTE,
    "sending": MessageState.ENROUTE,
    "sent": MessageState.ENROUTE,
    "delivered": MessageState.DELIVERED,
    "read": MessageState.DELIVERED,
    "expired": MessageState.EXPIRED,
    "undelivered": MessageState.UNDELIVERABLE,
    "failed": MessageState.REJECTED,
    "canceled": MessageState.DELETED,
    "unconfirmed": MessageState.UNKNOWN,  # its validity is over and no receipt came
}

# The GSM numbers that suppliers use too, then ours from 200 on: three digits in `err:`, an octet in query_sm_resp.
ERROR_NUMBER: Final[dict[str, int]] = {
    "unknown_subscriber": 1,
    "illegal_subscriber": 9,
    "not_provisioned": 11,
    "barred": 13,
    "handset_busy": 31,
    "supplier_error": 34,
    "memory_full": 40,
    "absent_subscriber": 60,
    "sender_rejected": 200,
    "destination_rejected": 201,
    "content_rejected": 202,
    "throttled": 210,
    "queue_full_supplier": 211,
    "supplier_rejected": 212,
    "supplier_unreachable": 213,
    "validity_expired": 214,
    "in_doubt": 215,
    "canceled_by_customer": 216,
    "sender_not_allowed": 217,
    "sender_against_rules": 218,
    "sender_not_registered": 219,
    "sender_lookalike": 220,
    "sender_invalid": 221,
    "opted_out": 222,
    "consent_missing": 223,
    "quiet_hours": 224,
    "frequency_capped": 225,
    "content_suspicious": 226,
    "unknown_error": 255,
}
_GSM: Final = 3  # network types of network_error_code (SMPP 3.4, 5.3.2.31)
_MESSAGE_CENTRE: Final = 8

_DELIVERED: Final = frozenset({"delivered"})
_NOT_DELIVERED: Final = frozenset({"expired", "undelivered", "failed", "canceled", "unconfirmed"})
_ON_THE_WAY: Final = frozenset({"sent"})
_INTERMEDIATE: Final = 0x10
# registered_delivery, bits 1 and 0 (SMPP 3.4, 5.2.17); 3 is of SMPP 5.0
_WANTED: Final = (frozenset[str](), _DELIVERED | _NOT_DELIVERED, _NOT_DELIVERED, _DELIVERED)


def wants(registered_delivery: int, state: str) -> bool:
    """Whether who asked with this registered_delivery is to hear of this state."""
    return state in _WANTED[registered_delivery & 0x03] or bool(
        registered_delivery & _INTERMEDIATE and state in _ON_THE_WAY
    )


def is_intermediate(state: str) -> bool:
    return state in _ON_THE_WAY


def error_number(code: str | None) -> int:
    """The number of a delivery error; 0 for none, 255 for one that has no row."""
    return 0 if code is None else ERROR_NUMBER.get(code, 255)


def network_error(number: int) -> tuple[int, int] | None:
    """(network type, code) for network_error_code; None when nothing went wrong."""
    if not number:
        return None
    return (_GSM if number < 100 else _MESSAGE_CENTRE), number
