"""Credit notes: what is given back of an invoice. They are issued by the operator."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from chappe import ids
from chappe.api.answers import Answer
from chappe.api.house import Call
from chappe.api.invoices import Amount, InvoiceParty, MonthText, document, party_out, sides, staff, whose
from chappe.api.operations import Resource
from chappe.api.shapes import Listed, Page, Time, after, listed, paged, rfc
from chappe.billing import closing, rating
from chappe.billing.closing import CreditNote
from chappe.errors import Refused

resource = Resource(
    "Credit notes",
    "What is given back of an invoice, to the balance. Like an invoice, it never changes.",
    scope="billing",
    tenant=True,
)

Signed = Annotated[str, Meta(pattern=r"^-?[0-9]{1,9}(\.[0-9]{1,6})?$", examples=["12.50"])]


Reference = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=100,
        pattern=r"^[^\x00-\x1f\x7f]+$",
        description="Your own name of it within the invoice: asked for again by it, it is issued once.",
    ),
]


class CreditedLineIn(Struct, forbid_unknown_fields=True, kw_only=True):
    """A part of a line of the invoice, before tax; of a line below zero an amount below zero."""

    line: Annotated[int, Meta(ge=0, le=100_000, description="Counted from 0.")]
    amount: Signed


class NewCreditNote(Struct, forbid_unknown_fields=True, kw_only=True):
    """A credit note to be; without `lines` all that is left of the invoice."""

    invoice_id: str
    reason: Annotated[
        str,
        Meta(min_length=1, max_length=closing.MAX_REASON, pattern=r"^[^\x00-\x1f\x7f]+$", examples=["Wrong price."]),
    ]
    lines: Annotated[list[CreditedLineIn], Meta(max_length=1000)] | None = None
    reference: Reference | None = None


class CreditedLineOut(Struct, frozen=True, kw_only=True):
    """A part of a line of the invoice, before tax."""

    line: int
    text: str
    amount: Amount


class CreditNoteOut(Struct, frozen=True, kw_only=True):
    """A credit note."""

    id: Annotated[str, Meta(examples=["crn_006h3r8k2w0g4"])]
    number: Annotated[str, Meta(examples=["CN-2026-000001"])]
    account_id: str
    invoice_id: str
    invoice_number: str
    month: MonthText
    currency: Annotated[str, Meta(description="ISO 4217.", examples=["EUR"])]
    issued_at: Time
    seller: InvoiceParty
    customer: InvoiceParty
    lines: list[CreditedLineOut]
    net: Amount
    vat: Amount
    gross: Amount
    reason: str
    reference: str | None


class CreditNotePage(Page, forbid_unknown_fields=True, kw_only=True):
    """Credit notes of the account; `issued`: those of its own customers; `everything`: all there are."""

    issued: bool = False
    everything: Annotated[bool, Meta(description="Of all accounts; needs the scope rates.")] = False


@resource.get("/v1/credit_notes", errors=("invalid_cursor",))
async def list_(call: Call, query: CreditNotePage) -> Listed[CreditNoteOut]:
    """List credit notes, newest first."""
    bought, sold = sides(call, query.issued, query.everything)
    before = after(query, "crn")
    found = await closing.credit_notes(call.rt, bought, seller_id=sold, before=before, limit=query.limit + 1)
    rows, cursor = paged(found, query, "crn", lambda note: note.id)
    return listed(map(_out, rows), cursor)


@resource.get("/v1/credit_notes/{id:crn}")
async def get(call: Call, id: int) -> CreditNoteOut:
    """Show a credit note."""
    return _out(await closing.credit_note_of(call.rt, id, whose(call)))


@resource.get("/v1/credit_notes/{id:crn}/pdf", media=("application/pdf",), errors=("queue_full",))
async def pdf(call: Call, id: int) -> Answer:
    """Download a credit note as PDF."""
    note = await closing.credit_note_of(call.rt, id, whose(call))
    return document(await closing.pdf(note), b"application/pdf", f"{note.number}.pdf")


@resource.get("/v1/credit_notes/{id:crn}/csv", media=("text/csv",))
async def csv(call: Call, id: int) -> Answer:
    """Download a credit note as CSV."""
    note = await closing.credit_note_of(call.rt, id, whose(call))
    return document(closing.table(note), b"text/csv", f"{note.number}.csv")


@staff.post(
    "/v1/credit_notes",
    status=201,
    example={
        "invoice_id": "inv_006h3r8k2w0g4",
        "reason": "Wrong price.",
        "lines": [{"line": 0, "amount": "12.50"}],
    },
    errors=("not_found", "credit_too_high", "reference_reused", "conflict"),
)
async def create(call: Call, body: NewCreditNote) -> CreditNoteOut:
    """Credit an invoice, as a whole or in part.

    The amount with its tax goes to the balance at once, and never is more credited than was invoiced.
    """
    call.caller.need_live("invoices")
    invoice_id = ids.parse("inv", body.invoice_id)
    if invoice_id is None:
        raise Refused("not_found", "There is no such invoice.", param="invoice_id")
    note = await closing.credit(
        call.rt,
        invoice_id,
        by=call.actor,
        reason=body.reason,
        amounts=_amounts(body),
        reference=body.reference,
    )
    return _out(note)


def _amounts(body: NewCreditNote) -> dict[int, int] | None:
    if body.lines is None:
        return None
    amounts: dict[int, int] = {}
    for nth, one in enumerate(body.lines):
        if one.line in amounts:
            raise Refused("invalid_value", f"Line {one.line} is named twice.", param=f"lines[{nth}].line")
        amounts[one.line] = rating.micros(one.amount)
    return amounts


def _out(note: CreditNote) -> CreditNoteOut:
    def spelt(amount: int) -> str:
        return closing.spelt(amount, note.currency)

    return CreditNoteOut(
        id=ids.public("crn", note.id),
        number=note.number,
        account_id=ids.public("acc", note.account_id),
        invoice_id=ids.public("inv", note.invoice_id),
        invoice_number=note.invoice_number,
        month=str(closing.of_code(note.month)),
        currency=note.currency,
        issued_at=rfc(note.issued_at),
        seller=party_out(note.seller),
        customer=party_out(note.customer),
        lines=[CreditedLineOut(line=one.line, text=one.text, amount=spelt(one.amount)) for one in note.lines],
        net=spelt(note.net),
        vat=spelt(note.tax),
        gross=spelt(note.gross),
        reason=note.reason,
        reference=note.reference,
    )
