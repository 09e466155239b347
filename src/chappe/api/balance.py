"""The balance of an account, and the messages that hold money of it."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct, field

from chappe import ids
from chappe.api.house import Call
from chappe.api.lookups import Amount
from chappe.api.operations import Resource
from chappe.api.shapes import Listed, Page, Status, after, listed
from chappe.billing import reports
from chappe.billing.ledger import decimal
from chappe.messages.model import State

resource = Resource(
    "Balance",
    "What the account may still spend. A message holds its price when it is accepted, and is charged or gets it back "
    "when it is sent or delivered, as agreed.",
    scope="billing",
    tenant=True,
)


class SpentOut(Struct, frozen=True, kw_only=True):
    """What messages were charged, days and months of UTC."""

    today: Amount
    this_month: Amount


class BalanceOut(Struct, frozen=True, kw_only=True):
    """Amounts are decimals of the account's one currency. `available` is the wallet and the credit; what is held is in
    neither. A `credit_limit` of null has no end, nor has `available` then. An account that is not billed has no
    currency, and pays nothing."""

    account_id: str
    billed: bool
    currency: Annotated[str, Meta(description="ISO 4217.", examples=["EUR"])] | None
    available: Amount | None
    wallet: Amount
    held: Amount
    credit_limit: Amount | None
    spent: SpentOut


class HoldOut(Struct, frozen=True, kw_only=True):
    """A message whose price is held until it is settled."""

    message_id: Annotated[str, Meta(examples=["msg_006h3r8k2w0g4"])]
    status: Status
    to: str
    from_: str = field(name="from")
    country: str | None
    segments: int
    amount: Amount


@resource.get("/v1/balance")
async def get(call: Call) -> BalanceOut:
    """Show the balance."""
    found = await reports.balance(call.rt, call.account_id)
    if found is None:
        return BalanceOut(
            account_id=ids.public("acc", call.account_id),
            billed=False,
            currency=None,
            available=None,
            wallet=decimal(0),
            held=decimal(0),
            credit_limit=None,
            spent=SpentOut(today=decimal(0), this_month=decimal(0)),
        )
    return BalanceOut(
        account_id=ids.public("acc", found.account_id),
        billed=True,
        currency=found.currency,
        available=None if found.available is None else decimal(found.available),
        wallet=decimal(found.wallet),
        held=decimal(found.held),
        credit_limit=None if found.credit_limit is None else decimal(found.credit_limit),
        spent=SpentOut(today=decimal(found.spent_today), this_month=decimal(found.spent_this_month)),
    )


@resource.get("/v1/balance/holds", errors=("invalid_cursor",))
async def holds(call: Call, query: Page) -> Listed[HoldOut]:
    """List messages that hold money, newest first.

    A page looks through some ten thousand messages at most: while `has_more` is true, go on, also after an empty one.
    """
    found, cursor = await reports.holds(call.rt, call.account_id, before=after(query, "msg"), limit=query.limit)
    return listed(map(_shown, found), None if cursor is None else ids.public("msg", cursor))


def _shown(hold: reports.Hold) -> HoldOut:
    return HoldOut(
        message_id=ids.public("msg", hold.message_id),
        status=State(hold.state).word,  # type: ignore[arg-type]
        to=hold.to,
        from_=hold.sender,
        country=hold.country or None,
        segments=hold.segments,
        amount=decimal(hold.amount),
    )
