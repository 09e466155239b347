"""Balances that run low: each account is told once when it falls below its threshold, and again after it has risen."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from chappe.billing.ledger.store import NO_LIMIT
from chappe.billing.reports import store
from chappe.events import BalanceLow
from chappe.storage import Conflict

if TYPE_CHECKING:
    from chappe.runtime import Runtime

EVERY_S: Final = 5.0
SLICE: Final = 500  # accounts in one unit

Threshold = Callable[[int], int | None]
"""Below how many micro-units of available balance an account wants to be told; None: never."""


async def look(rt: Runtime, threshold: Threshold) -> int:
    """Mark the accounts that have fallen below, tell them in the same unit, and forget those that have risen; gives how
    many were told. One small scan, whatever the traffic. Raises Unavailable."""
    now = rt.clock.now()
    fallen: list[tuple[int, int, int]] = []
    events: list[BalanceLow] = []
    risen: list[tuple[int]] = []
    for account_id, currency, wallet, credit, marked in await rt.store.scan(store.STANDINGS()):
        least = threshold(account_id)
        low = least is not None and credit < NO_LIMIT and wallet + credit < least
        if low and marked is None:
            assert least is not None
            fallen.append((account_id, least, now))
            events.append(_event(account_id, now, currency, wallet, credit, least))
        elif marked is not None and not low:
            risen.append((account_id,))
    for start in range(0, len(risen), SLICE):
        await rt.store.write(store.DROP_MARKS(risen[start : start + SLICE]))
    for start in range(0, len(fallen), SLICE):
        some: list[Any] = fallen[start : start + SLICE]
        try:
            await rt.events.write(store.ADD_MARKS(some, expect=len(some)), tell=events[start : start + SLICE])
        except Conflict:  # another node told them a moment ago
            return start
    return len(fallen)


def _event(account_id: int, now: int, currency: str, wallet: int, credit: int, threshold: int) -> BalanceLow:
    return BalanceLow(
        account_id=account_id,
        occurred_at=now,
        currency=currency,
        wallet=wallet,
        credit_limit=credit,
        threshold=threshold,
    )
