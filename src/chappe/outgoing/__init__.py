"""HTTP requests to addresses that customers chose: never into our own network, never further than asked.

A name is resolved here, every address is judged, and the connection goes to a judged address: what the name resolves
to a moment later does not matter (DNS rebinding). No redirect is followed, no proxy asked, no more than `MAX_BODY` of
the answer is read, and the time is limited as a whole.

`addresses` judges, `connection` speaks HTTP/1.1, `origin` keeps the connections to one server, `client` is the door.
"""

from __future__ import annotations

from chappe.outgoing.addresses import INVALID, MAX_URL, PRIVATE, check_url, is_public
from chappe.outgoing.client import Outgoing, Target
from chappe.outgoing.connection import MAX_BODY, Done, Response, Unreachable

__all__ = [
    "INVALID",
    "MAX_BODY",
    "MAX_URL",
    "PRIVATE",
    "Done",
    "Outgoing",
    "Response",
    "Target",
    "Unreachable",
    "check_url",
    "is_public",
]
