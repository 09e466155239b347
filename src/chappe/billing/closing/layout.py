"""An invoice or a credit note as people read it: plain texts in their places, for paper and for a table. Pure.

What has to stand on it: Directive 2006/112/EC, article 226; on a credit note what it amends, too (article 219).
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence

from msgspec import Struct

from chappe.billing.closing.amounts import spelt
from chappe.billing.closing.model import CreditNote, Invoice, Line, Party
from chappe.billing.closing.months import day_of, of_code
from chappe.billing.closing.vat import PPM
from chappe.billing.ledger.model import decimal

_MINUS = "\N{MINUS SIGN}"
_UNITS = {"part": "parts", "message": "messages", "month": "month", "once": ""}


class Column(Struct, frozen=True):
    """A column of the table; `width` is its share of the line, `number` stands on the right."""

    title: str
    width: float
    number: bool = False


class Sheet(Struct, frozen=True):
    """Everything that stands on the paper."""

    title: str
    number: str
    seller: tuple[str, ...]
    customer: tuple[str, ...]
    facts: tuple[tuple[str, str], ...]
    columns: tuple[Column, ...]
    rows: tuple[tuple[str, ...], ...]
    totals: tuple[tuple[str, str], ...]
    notes: tuple[str, ...]
    foot: str


def sheet(paper: Invoice | CreditNote) -> Sheet:
    """The paper of an invoice or of a credit note."""
    return _of_invoice(paper) if isinstance(paper, Invoice) else _of_credit_note(paper)


def table(paper: Invoice | CreditNote) -> bytes:
    """The same as CSV (RFC 4180): a line of headers, the lines of the paper, then its totals."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(_HEADERS)
    rows = _invoice_rows(paper) if isinstance(paper, Invoice) else _credit_rows(paper)
    writer.writerows([_cell(value) for value in row] for row in rows)
    return text.getvalue().encode()


# -- on paper -------------------------------------------------------------------------------------------------------


def _of_invoice(invoice: Invoice) -> Sheet:
    money = f"Amount {invoice.currency}"
    month = of_code(invoice.month)
    facts = [
        ("Invoice number", invoice.number),
        ("Date of issue", str(day_of(invoice.issued_at))),
        ("Period of service", f"{month.first} to {month.last}"),
    ]
    if invoice.due_at is None:
        facts.append(("Payment", "paid from the balance"))
    else:
        facts.append(("Due date", str(day_of(invoice.due_at))))
        facts.append(("Amount due", f"{shown(invoice.gross, invoice.currency)} {invoice.currency}"))
    notes = [invoice.vat.mention] if invoice.vat.mention else []
    if invoice.due_at is not None and invoice.seller.payment:
        notes.append(f"Please pay by {day_of(invoice.due_at)}: {invoice.seller.payment}")
    if any(one.kind == "usage" for one in invoice.lines):
        notes.append("Unit prices are without VAT; where prices differed within the period, their average.")
    return Sheet(
        title="Invoice",
        number=invoice.number,
        seller=_lines_of(invoice.seller),
        customer=_lines_of(invoice.customer),
        facts=tuple(facts),
        columns=(
            Column("Description", 0.52),
            Column("Quantity", 0.18, number=True),
            Column("Unit price", 0.14, number=True),
            Column(money, 0.16, number=True),
        ),
        rows=tuple(_row(one, invoice.currency) for one in invoice.lines),
        totals=_totals(invoice),
        notes=tuple(notes),
        foot=_foot(invoice),
    )


def _of_credit_note(note: CreditNote) -> Sheet:
    month = of_code(note.month)
    return Sheet(
        title="Credit note",
        number=note.number,
        seller=_lines_of(note.seller),
        customer=_lines_of(note.customer),
        facts=(
            ("Credit note number", note.number),
            ("Date of issue", str(day_of(note.issued_at))),
            ("Amends invoice", f"{note.invoice_number} of {day_of(note.invoiced_at)}"),
            ("Period of service", f"{month.first} to {month.last}"),
            ("Payment", "credited to the balance"),
        ),
        columns=(Column("Credited", 0.8), Column(f"Amount {note.currency}", 0.2, number=True)),
        rows=tuple((one.text, shown(one.amount, note.currency)) for one in note.lines),
        totals=_totals(note),
        notes=tuple(filter(None, (f"Reason: {note.reason}" if note.reason else "", note.vat.mention))),
        foot=_foot(note),
    )


def _row(one: Line, currency: str) -> tuple[str, ...]:
    price = "" if one.price is None else decimal(one.price).replace("-", _MINUS)
    return one.text, f"{one.quantity:,} {_UNITS[one.unit]}".strip(), price, shown(one.amount, currency)


def _totals(paper: Invoice | CreditNote) -> tuple[tuple[str, str], ...]:
    currency, own = paper.currency, paper.national
    rows = [
        ("Total without VAT", shown(paper.net, currency)),
        (f"VAT {percent(paper.vat.rate_ppm)} of {shown(paper.net, currency)}", shown(paper.tax, currency)),
    ]
    if own is not None:
        rows.append((f"VAT in {own.currency}", shown(own.amount, own.currency)))
    return (*rows, (f"Total {currency}", shown(paper.gross, currency)))


def _lines_of(party: Party) -> tuple[str, ...]:
    number = (f"VAT number {party.vat_id}",) if party.vat_id else ()
    return (party.name, *party.address, *number)


def _foot(paper: Invoice | CreditNote) -> str:
    return " · ".join(filter(None, (paper.seller.name, paper.seller.vat_id, paper.number)))


def shown(micros: int, currency: str) -> str:
    """`−1,234.50`"""
    whole, point, part = spelt(abs(micros), currency).partition(".")
    return f"{_MINUS if micros < 0 else ''}{int(whole):,}{point}{part}"


def percent(ppm: int) -> str:
    """`8.1%` of 81000."""
    whole, part = divmod(ppm * 100, PPM)
    return f"{whole}.{part:06d}".rstrip("0").rstrip(".") + "%"


# -- as a table -----------------------------------------------------------------------------------------------------

_HEADERS = (
    *("document", "number", "issued", "month", "line", "kind", "text", "country", "operator", "purpose"),
    *("quantity", "unit", "unit_price", "amount", "exact", "currency"),
)


def _invoice_rows(invoice: Invoice) -> Iterable[Sequence[str]]:
    head = _head("invoice", invoice)
    for place, one in enumerate(invoice.lines):
        what = (str(place), one.kind, one.text, one.country, one.operator, one.purpose)
        price = "" if one.price is None else decimal(one.price)
        much = (str(one.quantity), one.unit, price, spelt(one.amount, invoice.currency), decimal(one.exact))
        yield *head, *what, *much, invoice.currency
    yield from _total_rows(head, invoice)


def _credit_rows(note: CreditNote) -> Iterable[Sequence[str]]:
    head = _head("credit_note", note)
    for one in note.lines:
        much = ("", "", "", spelt(one.amount, note.currency), decimal(one.amount))
        yield *head, str(one.line), "credit", one.text, "", "", "", *much, note.currency
    yield from _total_rows(head, note)


def _head(document: str, paper: Invoice | CreditNote) -> tuple[str, ...]:
    return document, paper.number, str(day_of(paper.issued_at)), str(of_code(paper.month))


def _total_rows(head: tuple[str, ...], paper: Invoice | CreditNote) -> Iterable[Sequence[str]]:
    rate = percent(paper.vat.rate_ppm)
    for kind, text, amount in (("net", "", paper.net), ("vat", rate, paper.tax), ("total", "", paper.gross)):
        spelled = spelt(amount, paper.currency)
        yield *head, "", kind, text, "", "", "", "", "", "", spelled, decimal(amount), paper.currency


def _cell(text: str) -> str:
    """A cell that no spreadsheet takes for a formula; amounts stay numbers."""
    dangerous = text[:1] in tuple("=+@\t\r") or (text[:1] == "-" and not text[1:].replace(".", "", 1).isdigit())
    return "'" + text if dangerous else text


__all__ = ["Column", "Sheet", "percent", "sheet", "shown", "table"]
