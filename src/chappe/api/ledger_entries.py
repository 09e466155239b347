"""The ledger of an account, as it was booked."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated

from msgspec import Meta, Struct

from chappe import ids
from chappe.api.house import Call
from chappe.api.lookups import Amount
from chappe.api.operations import Resource
from chappe.api.shapes import Listed, Page, Time, after, listed, maybe_moment, paged, rfc
from chappe.api.tables import CSV, Cells, Format, csv_stream
from chappe.billing import reports
from chappe.billing.ledger import decimal
from chappe.billing.reports import Entry, Kind

resource = Resource(
    "Ledger",
    "Every movement of the account's money, for ever: an entry is never changed, only taken back by another. Its books "
    "come to zero together.",
    scope="billing",
    tenant=True,
)
_OPERATORS = "rates"  # the scope that sees what suppliers are paid

Reason = Annotated[str, Meta(min_length=1, max_length=500, pattern=r"^[^\x00-\x1f\x7f]*$")]


class EntryQuery(Page, forbid_unknown_fields=True, kw_only=True):
    """Which entries. As CSV there are no pages: `limit` is passed over, and all come."""

    kind: Kind | None = None
    since: Annotated[str, Meta(description="RFC 3339; the first moment.")] | None = None
    until: Annotated[str, Meta(description="RFC 3339; the first moment that is left out.")] | None = None
    format: Format = "json"


class EntryOut(Struct, frozen=True, kw_only=True):
    """A transaction. `wallet` is what it did to what may be spent, `held` to what is held for messages on their way,
    `revenue` what was charged, `tax` of it for the state, `bank` what was paid in (below zero) or out. `cost` and
    `payable` are for the operator's eyes."""

    id: Annotated[str, Meta(examples=["led_006h3r8k2w0g4"])]
    account_id: str
    kind: Kind
    currency: str
    messages: Annotated[int, Meta(description="How many it is for.")]
    wallet: Amount
    held: Amount
    revenue: Amount
    tax: Amount
    bank: Amount
    cost: Amount | None
    payable: Amount | None
    reference: str | None
    reason: str | None
    reverses: Annotated[str, Meta(description="The entry that it takes back.")] | None
    created_at: Time


class Reversal(Struct, forbid_unknown_fields=True, kw_only=True):
    """Why it is taken back."""

    reason: Reason


@resource.get("/v1/ledger_entries", errors=("invalid_cursor",), also=(CSV,))
async def list_(call: Call, query: EntryQuery) -> Listed[EntryOut]:
    """List entries, newest first."""
    all_ = call.caller.key.may(_OPERATORS)
    wanted = reports.Wanted(
        account_id=call.account_id,
        kind=query.kind,
        since=maybe_moment(query.since, "since"),
        until=maybe_moment(query.until, "until"),
        costs=all_,
    )
    if query.format == "csv":
        name = f"ledger_{ids.public('acc', call.account_id)}"
        return csv_stream(name, _COLUMNS, _pages(call, wanted, all_))  # type: ignore[return-value]
    found = await reports.entries(call.rt, wanted, before=after(query, "led"), limit=query.limit + 1)
    rows, cursor = paged(found, query, "led", lambda entry: entry.id)
    return listed((entry_out(entry, all_) for entry in rows), cursor)


@resource.post(
    "/v1/ledger_entries/{id:led}/reverse",
    status=201,
    scope=_OPERATORS,
    tenant=False,
    example={"reason": "booked to the wrong account"},
    errors=("entry_not_reversible", "entry_reversed", "balance_too_low", "conflict"),
)
async def reverse(call: Call, id: int, body: Reversal) -> EntryOut:
    """Take back what was booked by hand.

    By an entry of the opposite sign, once only. Top-ups, withdrawals and adjustments can be taken back.
    """
    call.caller.need_live("balances")
    return entry_out(await reports.reverse(call.rt, call.actor, id, reason=body.reason), True)


def entry_out(entry: Entry, all_: bool) -> EntryOut:
    """`all_`: with what suppliers are paid."""
    return EntryOut(
        id=ids.public("led", entry.id),
        account_id=ids.public("acc", entry.account_id),
        kind=entry.kind,
        currency=entry.currency,
        messages=entry.messages,
        wallet=decimal(entry.wallet),
        held=decimal(entry.held),
        revenue=decimal(entry.revenue),
        tax=decimal(entry.tax),
        bank=decimal(entry.bank),
        cost=decimal(entry.cost) if all_ else None,
        payable=decimal(entry.payable) if all_ else None,
        reference=entry.reference,
        reason=entry.reason,
        reverses=None if entry.reverses is None else ids.public("led", entry.reverses),
        created_at=rfc(entry.booked_at),
    )


_COLUMNS = EntryOut.__struct_fields__


async def _pages(call: Call, wanted: reports.Wanted, all_: bool) -> AsyncIterator[Cells]:
    async for page in reports.all_entries(call.rt, wanted):
        shown = [entry_out(entry, all_) for entry in page]
        yield [[getattr(one, column) for column in _COLUMNS] for one in shown]
