"""What is booked by hand: top-ups, withdrawals, adjustments, and the entry that takes one of them back.

Each has a reference of its own in its account, such as the bank's. The same booking again is no second one: whoever
does not know whether it went through simply repeats it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal

import msgspec

from chappe import ids
from chappe.accounts.store import AUDIT
from chappe.billing.ledger import store as ledger
from chappe.billing.ledger.model import decimal
from chappe.billing.rating import amounts
from chappe.billing.reports import store
from chappe.billing.reports.entries import Entry, entry, entry_of
from chappe.errors import Refused
from chappe.storage import Conflict

if TYPE_CHECKING:
    from chappe.runtime import Runtime

ByHand = Literal["top_up", "withdrawal", "adjust"]
BY_HAND: Final = ("top_up", "withdrawal", "adjust")
MOST: Final = 10**15  # micro-units: a thousand million is a slip of the pen
_BOOKS = ledger.BOOKS
_encode = msgspec.json.Encoder(order="sorted").encode


def micros(text: str, param: str = "amount") -> int:
    """ "12.5" is 12,500,000. Raises Refused invalid_value."""
    try:
        amount = amounts.micros(text)
    except ValueError:
        amount = None
    if amount is None or abs(amount) >= MOST:
        words = "Write a decimal number below a thousand million with six places at most, for example 250.00."
        raise Refused("invalid_value", f"{param} is no amount.", param=param, action=words)
    return amount


async def book(
    rt: Runtime,
    actor: str,
    account_id: int,
    *,
    kind: ByHand,
    amount: int,
    currency: str,
    reference: str,
    reason: str | None = None,
) -> Entry:
    """Book micro-units by hand and give the entry; or the one that was booked before, if all is the same.

    A top-up comes from the bank, a withdrawal goes there; an adjustment, which may be negative, is against revenue.
    Raises Refused: invalid_value, account_not_billed, currency_mismatch, reference_reused, balance_too_low.
    """
    if not 0 < abs(amount) <= MOST or (amount < 0 and kind != "adjust"):
        raise Refused("invalid_value", "The amount must be above zero.", param="amount")
    await _check_currency(rt, account_id, currency)
    wallet = -amount if kind == "withdrawal" else amount
    other = "revenue" if kind == "adjust" else "bank"
    books = tuple(wallet if name == "wallet" else -wallet if name == other else 0 for name in _BOOKS)
    return await _write(rt, actor, account_id, currency, kind, books, reference, reason, None)


async def reverse(rt: Runtime, actor: str, entry_id: int, *, reason: str) -> Entry:
    """Take back what was booked by hand, by an entry of the opposite sign; once only.

    Raises Refused: not_found, entry_not_reversible, entry_reversed, balance_too_low.
    """
    before = await entry(rt, entry_id)
    if before.kind not in BY_HAND or before.actor is None or before.reverses is not None:
        raise Refused("entry_not_reversible", param="id")
    if await rt.store.read(store.REVERSED({"entry_id": entry_id})):
        raise Refused("entry_reversed", param="id")
    books = tuple(-amount for amount in before.books)
    reference = f"reversal of {ids.public('led', entry_id)}"
    return await _write(rt, actor, before.account_id, before.currency, before.kind, books, reference, reason, before.id)


async def _check_currency(rt: Runtime, account_id: int, currency: str) -> None:
    rows = await rt.store.read(ledger.BALANCES({"ids": [account_id]}))
    if not rows:
        raise Refused("account_not_billed", param="account_id")
    if rows[0][1] != currency:
        raise Refused("currency_mismatch", f"The account's currency is {rows[0][1]}.", param="currency")


async def _write(
    rt: Runtime,
    actor: str,
    account_id: int,
    currency: str,
    kind: str,
    books: tuple[int, ...],
    reference: str,
    reason: str | None,
    reverses: int | None,
) -> Entry:
    number, wallet = rt.ids.next(), books[0]
    after: dict[str, Any] = {"kind": kind, "amount": decimal(wallet), "currency": currency, "reference": reference}
    after |= {"reason": reason} if reason else {}
    after |= {"reverses": ids.public("led", reverses)} if reverses else {}
    told = _encode(after).decode()
    name = ids.public("led", number)
    try:
        await rt.store.write(
            ledger.ADD_ENTRIES([(number, account_id, currency, kind, 0, *books, reference)], expect=1),
            store.ADD_NOTES([(number, account_id, reference, reason, actor, reverses)], expect=1),
            AUDIT(
                [(rt.ids.next(), account_id, rt.clock.now(), actor, "book", "ledger_entry", name, None, told)],
                expect=1,
            ),
            ledger.MOVE([(account_id, wallet, 0)], expect=1),  # last: others wait for it the least
        )
    except Conflict:
        return await _why(rt, account_id, currency, kind, books, reference, reverses)
    return await entry(rt, number)


async def _why(
    rt: Runtime,
    account_id: int,
    currency: str,
    kind: str,
    books: tuple[int, ...],
    reference: str,
    reverses: int | None,
) -> Entry:
    """Nothing was booked: because it was before, because the reference is another's, or for want of money."""
    rows = await rt.store.read(store.ENTRY_OF_REFERENCE({"account_id": account_id, "reference": reference}))
    if rows:
        if reverses is not None:
            raise Refused("entry_reversed", param="id")
        before = entry_of(rows[0])
        if (before.kind, before.currency, before.books) == (kind, currency, books):
            return before
        raise Refused("reference_reused", param="reference")
    if books[0] < 0:
        raise Refused("balance_too_low", param="amount" if reverses is None else "id")
    raise Refused("conflict")


__all__ = ["BY_HAND", "ByHand", "book", "micros", "reverse"]
