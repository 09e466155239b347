"""Money that comes and goes outside of messages: top-ups, withdrawals, adjustments."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from chappe import accounts, ids
from chappe.api.house import Call
from chappe.api.ledger_entries import EntryOut, Reason, entry_out
from chappe.api.operations import Resource
from chappe.billing import reports
from chappe.billing.reports import ByHand
from chappe.errors import Refused

resource = Resource(
    "Top-ups",
    "What is booked by hand. Each booking has a reference of its own in its account: the same one again is not booked "
    "twice. For the operator.",
    scope="rates",
)

Reference = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=200,
        pattern=r"^[^\x00-\x1f\x7f]*$",
        description="Yours or the bank's; once only in an account.",
        examples=["bank 2027-01-31 4711"],
    ),
]
Positive = Annotated[str, Meta(pattern=r"^[0-9]{1,9}(\.[0-9]{1,6})?$", examples=["250.00"])]
Signed = Annotated[str, Meta(pattern=r"^-?[0-9]{1,9}(\.[0-9]{1,6})?$", examples=["-2.50"])]
Currency = Annotated[str, Meta(pattern=r"^[A-Z]{3}$", description="The account's.", examples=["EUR"])]
_ERRORS = ("not_found", "account_not_billed", "currency_mismatch", "reference_reused", "conflict")


class NewBooking(Struct, forbid_unknown_fields=True, kw_only=True):
    """Money that has come from an account's owner, or has gone there."""

    account_id: str
    amount: Positive
    currency: Currency
    reference: Reference
    reason: Reason | None = None


class NewAdjustment(Struct, forbid_unknown_fields=True, kw_only=True):
    """What is given to an account, or taken from it below zero, against revenue."""

    account_id: str
    amount: Signed
    currency: Currency
    reference: Reference
    reason: Reason


_EXAMPLE = {
    "account_id": "acc_006h3r8k2w0g4",
    "amount": "250.00",
    "currency": "EUR",
    "reference": "bank 2027-01-31 4711",
}


@resource.post("/v1/top_ups", status=201, example=_EXAMPLE, errors=_ERRORS)
async def top_up(call: Call, body: NewBooking) -> EntryOut:
    """Book a payment that has come."""
    return await _book(call, "top_up", body)


@resource.post("/v1/withdrawals", status=201, example=_EXAMPLE, errors=(*_ERRORS, "balance_too_low"))
async def withdraw(call: Call, body: NewBooking) -> EntryOut:
    """Book a payment back."""
    return await _book(call, "withdrawal", body)


@resource.post(
    "/v1/adjustments",
    status=201,
    example=_EXAMPLE | {"amount": "-2.50", "reason": "charged for a test"},
    errors=(*_ERRORS, "balance_too_low"),
)
async def adjust(call: Call, body: NewAdjustment) -> EntryOut:
    """Give or take money with a reason."""
    return await _book(call, "adjust", body)


async def _book(call: Call, kind: ByHand, body: NewBooking | NewAdjustment) -> EntryOut:
    call.caller.need_live("balances")
    number = ids.parse("acc", body.account_id)
    if number is None or accounts.directory(call.rt).account(number) is None:
        raise Refused("not_found", "There is no such account.", param="account_id")
    entry = await reports.book(
        call.rt,
        call.actor,
        number,
        kind=kind,
        amount=reports.micros(body.amount),
        currency=body.currency,
        reference=body.reference,
        reason=body.reason,
    )
    return entry_out(entry, True)
