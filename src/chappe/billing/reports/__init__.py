"""The reading side of money: balances, entries, usage, margins; what is booked by hand; balances that run low."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chappe.billing.reports import low, usage
from chappe.billing.reports.balance import Balance, Hold, balance, holds
from chappe.billing.reports.entries import KINDS, Entry, Kind, Wanted, all_entries, entries, entry
from chappe.billing.reports.low import Threshold
from chappe.billing.reports.margin import Convert, Margin, margins
from chappe.billing.reports.topup import ByHand, book, micros, reverse
from chappe.billing.reports.usage import Dimension, Used, lag_s, late, roll_up, used

if TYPE_CHECKING:
    from chappe.runtime import Runtime


def start(rt: Runtime, low_balance: Threshold) -> None:
    """Have one node add up usage and look for low balances; before `rt.jobs.start`.

    `low_balance(account_id)` says below how many micro-units of available balance an account wants to be told, None:
    never.
    """

    async def add_up(rt: Runtime) -> None:
        await usage.roll_up(rt)

    async def look(rt: Runtime) -> None:
        await low.look(rt, low_balance)

    rt.jobs.every("billing.usage", usage.EVERY_S, add_up)
    rt.jobs.every("billing.low", low.EVERY_S, look)


__all__ = [
    "KINDS",
    "Balance",
    "ByHand",
    "Convert",
    "Dimension",
    "Entry",
    "Hold",
    "Kind",
    "Margin",
    "Threshold",
    "Used",
    "Wanted",
    "all_entries",
    "balance",
    "book",
    "entries",
    "entry",
    "holds",
    "lag_s",
    "late",
    "margins",
    "micros",
    "reverse",
    "roll_up",
    "start",
    "used",
]
