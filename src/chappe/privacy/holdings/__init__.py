"""What we hold of persons: every kind, in the order in which it is erased.

News goes last: what is changed before causes some. A new kind is a file and a line in `HOLDINGS`. A column that looks
personal and is in none of them stands in `privacy.elsewhere` with the reason.
"""

from __future__ import annotations

from chappe.privacy.holdings.consents import Consents, Entries, Refusals, Replies
from chappe.privacy.holdings.contract import Holding, Record, Slice
from chappe.privacy.holdings.inbound import FromPhones
from chappe.privacy.holdings.lookups import Batches, Cached
from chappe.privacy.holdings.messages import Messages
from chappe.privacy.holdings.strays import Strays
from chappe.privacy.holdings.told import Outbox, Sessions, Webhooks

HOLDINGS: tuple[Holding, ...] = (
    Messages(),
    FromPhones(),
    Entries(),
    Consents(),
    Refusals(),
    Replies(),
    Batches(),
    Cached(),
    Strays(),
    Outbox(),
    Sessions(),
    Webhooks(),
)

__all__ = ["HOLDINGS", "Holding", "Record", "Slice"]
