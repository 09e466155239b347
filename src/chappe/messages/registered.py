"""Which sender names an account has had in a country's register: fees are asked for them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from chappe import senders
from chappe.billing import closing, rating
from chappe.billing.closing import Month, Registered
from chappe.senders import Registration

if TYPE_CHECKING:
    from chappe.runtime import Runtime


def registered_names(rt: Runtime) -> closing.Names:
    """Tells which sender names an account had in a register in a month, as billing asks for them."""

    async def names(account_id: int, month: Month) -> Sequence[Registered]:
        book, currency = senders.book(rt), rating.book(rt).currency_of(account_id)
        held = [one for one in book.registrations.values() if one.account_id == account_id and _counts(one, month)]
        found = []
        for one in held:
            sender = book.get(account_id, one.sender_id)
            if sender is not None and one.approved_at is not None:
                fees = one.fees if one.fees is not None and one.fees.currency == currency else None
                agreed = (None, None) if fees is None else (fees.set_up, fees.monthly)
                found.append(Registered(sender.address, one.country, one.operator, one.approved_at, *agreed))
        return found

    return names


def _counts(one: Registration, month: Month) -> bool:
    """Whether it was in the register at some time of the month; a suspended one still is."""
    if one.approved_at is None or one.state not in ("approved", "suspended", "expired"):
        return False
    return one.approved_at < month.ends and (one.valid_until is None or one.valid_until > month.starts)
