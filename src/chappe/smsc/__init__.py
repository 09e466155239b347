"""Our SMPP server: customers bind, what they submit becomes messages, receipts and replies become deliver_sm.

`Smsc` is the server of a process; the other functions look after the queue of what customers have not fetched yet.
"""

from __future__ import annotations

from chappe.smsc.keep import Aside, Waiting, asides, prune, replay, waiting
from chappe.smsc.model import Kind
from chappe.smsc.server import Ports, SessionInfo, Smsc

__all__ = [
    "Aside",
    "Kind",
    "Ports",
    "SessionInfo",
    "Smsc",
    "Waiting",
    "asides",
    "prune",
    "replay",
    "waiting",
]
