"""The ledger, read back: the entries of an account, newest first."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, get_args

from chappe import ids
from chappe.billing.reports import store
from chappe.errors import Refused
from chappe.storage import Row

if TYPE_CHECKING:
    from chappe.runtime import Runtime

Kind = Literal[
    "top_up",
    "withdrawal",
    "hold",
    "settle",
    "cost",
    "adjust",
    "fee",
    "discount",
    "commitment",
    "credit_note",
    "tax",
]
KINDS: Final[tuple[Kind, ...]] = get_args(Kind)
PAGE: Final = 500
_END: Final = (1 << 63) - 1


@dataclass(frozen=True, slots=True)
class Entry:
    """A transaction: micro-units of `currency` in each book, whose sum is zero. What was booked by hand has an `actor`;
    `reverses` is the entry that it takes back."""

    id: int
    account_id: int
    currency: str
    kind: Kind
    messages: int
    wallet: int
    held: int
    revenue: int
    cost: int
    payable: int
    bank: int
    tax: int
    reference: str | None
    reason: str | None
    actor: str | None
    reverses: int | None

    @property
    def booked_at(self) -> int:
        return ids.millis(self.id)

    @property
    def books(self) -> tuple[int, ...]:
        """In the order of the ledger's columns."""
        return (self.wallet, self.held, self.revenue, self.cost, self.payable, self.bank, self.tax)


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which entries: times are milliseconds, `since` included, `until` not. Without `costs` what suppliers are paid
    stays out: it is none of a customer's business."""

    account_id: int
    kind: Kind | None = None
    since: int | None = None
    until: int | None = None
    costs: bool = False


async def entries(rt: Runtime, wanted: Wanted, *, before: int | None = None, limit: int = PAGE) -> list[Entry]:
    """The newest first; those before the id `before` only."""
    if wanted.kind == "cost" and not wanted.costs:
        return []
    until = _END if wanted.until is None else ids.at(wanted.until)
    params: dict[str, Any] = {
        "account_id": wanted.account_id,
        "since": 0 if wanted.since is None else ids.at(wanted.since),
        "before": until if before is None else min(until, before),
        "limit": limit,
    }
    if wanted.kind is not None:
        params["kind"] = wanted.kind
    rows = await rt.store.scan(store.entries_like(wanted.kind, costs=wanted.costs)(params))
    return [entry_of(row) for row in rows]


async def all_entries(rt: Runtime, wanted: Wanted) -> AsyncIterator[list[Entry]]:
    """Page by page, however many there are."""
    before: int | None = None
    while page := await entries(rt, wanted, before=before):
        yield page
        if len(page) < PAGE:
            return
        before = page[-1].id


async def entry(rt: Runtime, entry_id: int) -> Entry:
    """Raises Refused not_found."""
    rows = await rt.store.read(store.ENTRY({"id": entry_id}))
    if not rows:
        raise Refused("not_found", "There is no such entry.", param="id")
    return entry_of(rows[0])


def entry_of(row: Row) -> Entry:
    return Entry(*row)
