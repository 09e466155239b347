"""SMPP 3.4 and 5.0 without sockets: PDUs as tables, sessions that take octets and the time, receipts in all their
dialects.

This room carries octets: what a short message says is the business of `chappe.text`. Sockets are in `chappe.smpp.aio`.
"""

from chappe.smpp import commands, receipt, status, times, tlv
from chappe.smpp.commands import DistributionList, Failure, SmeAddress
from chappe.smpp.dump import dump, redacted_hex
from chappe.smpp.pdu import Pdu, PduError, decode, encode
from chappe.smpp.rate import Bucket
from chappe.smpp.receipt import Dialect, MessageState, Receipt
from chappe.smpp.session import (
    NotBound,
    PeerTooOld,
    Role,
    Session,
    SessionSettings,
    State,
    WindowFull,
)
from chappe.smpp.status import Status, Verdict

__all__ = [
    "Bucket",
    "Dialect",
    "DistributionList",
    "Failure",
    "MessageState",
    "NotBound",
    "Pdu",
    "PduError",
    "PeerTooOld",
    "Receipt",
    "Role",
    "Session",
    "SessionSettings",
    "SmeAddress",
    "State",
    "Status",
    "Verdict",
    "WindowFull",
    "commands",
    "decode",
    "dump",
    "encode",
    "receipt",
    "redacted_hex",
    "status",
    "times",
    "tlv",
]
