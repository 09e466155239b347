"""What an account has, what of it is held for messages on their way, and what it has spent."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from chappe.billing.ledger import store as ledger
from chappe.billing.reports import store
from chappe.billing.reports.usage import DAY_MS

if TYPE_CHECKING:
    from chappe.runtime import Runtime

SPAN: Final = 10_000  # messages that one look goes through
MOST_LOOKS: Final = 5  # for one page: then the caller may ask on
END: Final = (1 << 63) - 1


@dataclass(frozen=True, slots=True)
class Balance:
    """Micro-units of `currency`. `wallet` is what may be spent without credit, and does not contain what is held;
    `credit_limit` None: there is none, and `available` has no end either."""

    account_id: int
    currency: str
    wallet: int
    held: int
    credit_limit: int | None
    spent_today: int
    spent_this_month: int

    @property
    def available(self) -> int | None:
        return None if self.credit_limit is None else self.wallet + self.credit_limit


@dataclass(frozen=True, slots=True)
class Hold:
    """A message whose money is held: `state` as stored, `amount` in micro-units."""

    message_id: int
    state: int
    to: str
    sender: str
    country: str
    segments: int
    amount: int


async def balance(rt: Runtime, account_id: int) -> Balance | None:
    """None for an account that is not billed. Days and months are of UTC."""
    rows = await rt.store.read(ledger.BALANCES({"ids": [account_id]}))
    if not rows:
        return None
    _, currency, wallet, held, limit = rows[0]
    now = rt.clock.now()
    today = now // DAY_MS
    first = today - datetime.fromtimestamp(now / 1000, UTC).day + 1
    params = {"today": today, "days": store.days(first, today), "account_id": account_id}
    [(spent_today, spent_this_month)] = await rt.store.scan(store.SPENT(params))
    credit = None if limit >= ledger.NO_LIMIT else limit
    return Balance(account_id, currency, wallet, held, credit, spent_today, spent_this_month)


async def holds(rt: Runtime, account_id: int, *, before: int | None, limit: int) -> tuple[list[Hold], int | None]:
    """Messages that hold money, the newest first, and where to go on if there may be more: even an empty page may have
    a next one, for a page goes through some ten thousand messages at most."""
    found: list[Hold] = []
    cursor = END if before is None else before
    for _ in range(MOST_LOOKS):
        params = {"account_id": account_id, "before": cursor, "span": SPAN}
        rows = await rt.store.scan(store.HOLDS(params))
        [(oldest, looked)] = [(row[0], row[5]) for row in rows if row[1] < 0]
        found += sorted((Hold(*row) for row in rows if row[1] >= 0), key=lambda hold: -hold.message_id)
        if len(found) > limit:
            return found[:limit], found[limit - 1].message_id
        if looked < SPAN:
            return found, None
        cursor = oldest
        if len(found) == limit:
            break
    return found, cursor
