"""Invoices: one for each account and month, as it was issued; closing a month by hand is the operator's."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

from chappe import accounts, billing, ids, messages
from chappe.api.answers import Answer
from chappe.api.house import Call
from chappe.api.operations import Resource
from chappe.api.shapes import Listed, Page, Time, after, listed, maybe_rfc, paged, rfc
from chappe.billing import closing
from chappe.billing.closing import Invoice, Line, Month, Party
from chappe.errors import Refused

resource = Resource(
    "Invoices",
    "What a month has come to, with discounts, fees and VAT. An invoice never changes; credit notes amend it.",
    scope="billing",
    tenant=True,
)
staff = Resource("Invoicing", "Closing months and crediting invoices. For the operator.", scope="rates")

MonthText = Annotated[str, Meta(pattern=r"^[0-9]{4}-(0[1-9]|1[0-2])$", examples=["2026-10"])]
Amount = Annotated[str, Meta(description="A decimal number.", examples=["1234.50"])]


class NewInvoice(Struct, forbid_unknown_fields=True, kw_only=True):
    """Which month to close. `preview` shows what the invoice would be, and does nothing."""

    account_id: str
    month: MonthText
    preview: bool = False


class InvoiceParty(Struct, frozen=True, kw_only=True):
    """Who sells or buys."""

    name: str
    address: list[str]
    country: Annotated[str, Meta(description="ISO 3166-1 alpha-2.", examples=["FR"])]
    vat_id: str | None


class InvoiceVat(Struct, frozen=True, kw_only=True):
    """The tax: its rate in per cent, why it is so, and what the invoice says of it."""

    rate: Annotated[str, Meta(examples=["20"])]
    treatment: Literal["domestic", "reverse_charge", "outside", "abroad", "of_customer", "no_number"]
    mention: str | None


class NationalVat(Struct, frozen=True, kw_only=True):
    """The VAT in the currency of the seller's country, where the invoice has another."""

    amount: Amount
    currency: str


class InvoiceLine(Struct, frozen=True, kw_only=True):
    """What is sold. `amount` is rounded to what can be paid, `exact_amount` is not; both are without tax."""

    kind: Literal[
        "usage", "sub_accounts", "allowance", "discount", "commitment", "monthly_fee", "set_up_fee", "sender_fee"
    ]
    text: str
    country: str | None
    operator: str | None
    purpose: str | None
    quantity: int
    unit: Literal["part", "message", "month", "once"]
    unit_price: Amount | None
    amount: Amount
    exact_amount: Amount


class InvoiceSummary(Struct, frozen=True, kw_only=True):
    """An invoice without its lines. `seller_account_id` null: the operator sells. `credited` is with tax."""

    id: Annotated[str, Meta(description="null in a preview.", examples=["inv_006h3r8k2w0g4"])] | None
    number: Annotated[str, Meta(examples=["2026-000001"])] | None
    account_id: str
    seller_account_id: str | None
    month: MonthText
    currency: Annotated[str, Meta(description="ISO 4217.", examples=["EUR"])]
    issued_at: Time
    due_at: Annotated[Time, Meta(description="null where it was paid from the balance.")] | None
    net: Amount
    vat: Amount
    gross: Amount
    credited: Amount


class InvoiceOut(InvoiceSummary, frozen=True, kw_only=True):
    """An invoice. `charged` is what its messages had taken from the balance before; `rounding` is what the rounding of
    its lines adds up to."""

    seller: InvoiceParty
    customer: InvoiceParty
    lines: list[InvoiceLine]
    tax: InvoiceVat
    national_vat: NationalVat | None
    charged: Amount
    rounding: Amount


class InvoicePage(Page, forbid_unknown_fields=True, kw_only=True):
    """Invoices of the account; `issued`: those that it has issued as a reseller; `everything`: all there are."""

    month: MonthText | None = None
    issued: bool = False
    everything: Annotated[bool, Meta(description="Of all accounts; needs the scope rates.")] = False


@resource.get("/v1/invoices", errors=("invalid_cursor",))
async def list_(call: Call, query: InvoicePage) -> Listed[InvoiceSummary]:
    """List invoices, newest first."""
    bought, sold = sides(call, query.issued, query.everything)
    month = None if query.month is None else month_of(query.month).code
    before = after(query, "inv")
    found = await closing.invoices_of(
        call.rt, bought, seller_id=sold, month=month, before=before, limit=query.limit + 1
    )
    rows, cursor = paged(found, query, "inv", lambda row: row[0].id)
    return listed((InvoiceSummary(**_summary(invoice, credited)) for invoice, credited in rows), cursor)


@resource.get("/v1/invoices/{id:inv}")
async def get(call: Call, id: int) -> InvoiceOut:
    """Show an invoice."""
    return _out(*await closing.invoice_of(call.rt, id, whose(call)))


@resource.get("/v1/invoices/{id:inv}/pdf", media=("application/pdf",), errors=("queue_full",))
async def pdf(call: Call, id: int) -> Answer:
    """Download an invoice as PDF. The same octets each time."""
    invoice, _ = await closing.invoice_of(call.rt, id, whose(call))
    return document(await closing.pdf(invoice), b"application/pdf", f"{invoice.number}.pdf")


@resource.get("/v1/invoices/{id:inv}/csv", media=("text/csv",))
async def csv(call: Call, id: int) -> Answer:
    """Download an invoice as CSV: its lines, then its totals."""
    invoice, _ = await closing.invoice_of(call.rt, id, whose(call))
    return document(closing.table(invoice), b"text/csv", f"{invoice.number}.csv")


@staff.post(
    "/v1/invoices/close",
    example={"account_id": "acc_006h3r8k2w0g4", "month": "2026-10", "preview": True},
    errors=(
        *("account_not_billed", "month_not_over", "usage_pending", "nothing_to_invoice", "conflict"),
        *("seller_incomplete", "customer_incomplete", "vat_rate_unknown", "fx_rate_missing"),
    ),
)
async def close(call: Call, body: NewInvoice) -> InvoiceOut:
    """Close a month of an account by hand.

    It is done by itself some days after the month's end. A month that is closed gives the same invoice again.
    """
    account_id = ids.parse("acc", body.account_id)
    if account_id is None or accounts.directory(call.rt).account(account_id) is None:
        raise Refused("invalid_value", "There is no such account.", param="account_id")
    month, names = month_of(body.month), messages.registered_names(call.rt)
    if body.preview:
        invoice = await closing.preview(call.rt, account_id, month, names, by=call.actor)
    else:
        call.caller.need_live("invoices")
        invoice = await closing.close(call.rt, account_id, month, names, by=call.actor)
    credited = (await closing.invoice_of(call.rt, invoice.id))[1] if invoice.id else 0
    return _out(invoice, credited)


# -- shared with credit notes --------------------------------------------------------------------------------------


def sides(call: Call, issued: bool, everything: bool) -> tuple[int | None, int | None]:
    """The buyer and the seller that a list is about, None for any."""
    if everything:
        call.caller.need("rates")
        return None, None
    return (None, call.account_id) if issued else (call.account_id, None)


def whose(call: Call) -> int | None:
    """The account that must have bought or sold what is asked for; the operator sees all."""
    return None if call.caller.key.may("rates") else call.account_id


def month_of(text: str) -> Month:
    month = closing.parse(text)
    if month is None:
        raise Refused("invalid_value", f"{text} is no month from 1970 to 2099.", param="month")
    return month


def document(content: bytes, media_type: bytes, name: str) -> Answer:
    disposition = f"attachment; filename={name}".encode()
    return Answer(200, content, ((b"content-type", media_type), (b"content-disposition", disposition)))


def party_out(party: Party) -> InvoiceParty:
    return InvoiceParty(name=party.name, address=list(party.address), country=party.country, vat_id=party.vat_id)


# -- shapes --------------------------------------------------------------------------------------------------------


def _summary(invoice: Invoice, credited: int) -> dict[str, Any]:
    seller = invoice.seller_id
    amounts = {"net": invoice.net, "vat": invoice.tax, "gross": invoice.gross, "credited": credited}
    return {
        "id": ids.public("inv", invoice.id) if invoice.id else None,
        "number": invoice.number or None,
        "account_id": ids.public("acc", invoice.account_id),
        "seller_account_id": None if seller == closing.OPERATOR else ids.public("acc", seller),
        "month": str(closing.of_code(invoice.month)),
        "currency": invoice.currency,
        "issued_at": rfc(invoice.issued_at),
        "due_at": maybe_rfc(invoice.due_at),
        **{name: closing.spelt(amount, invoice.currency) for name, amount in amounts.items()},
    }


def _out(invoice: Invoice, credited: int) -> InvoiceOut:
    vat, own = invoice.vat, invoice.national
    return InvoiceOut(
        **_summary(invoice, credited),
        seller=party_out(invoice.seller),
        customer=party_out(invoice.customer),
        lines=[_line(one, invoice.currency) for one in invoice.lines],
        tax=InvoiceVat(
            rate=closing.percent(vat.rate_ppm).removesuffix("%"), treatment=vat.treatment, mention=vat.mention
        ),
        national_vat=None
        if own is None
        else NationalVat(amount=closing.spelt(own.amount, own.currency), currency=own.currency),
        charged=billing.decimal(invoice.charged),
        rounding=billing.decimal(invoice.net - invoice.exact),
    )


def _line(one: Line, currency: str) -> InvoiceLine:
    return InvoiceLine(
        kind=one.kind,
        text=one.text,
        country=one.country or None,
        operator=one.operator or None,
        purpose=one.purpose or None,
        quantity=one.quantity,
        unit=one.unit,
        unit_price=None if one.price is None else billing.decimal(one.price),
        amount=closing.spelt(one.amount, currency),
        exact_amount=billing.decimal(one.exact),
    )
