"""An invoice on paper: everything the law asks for, in every alphabet, the same octets each time; and as a table."""

from __future__ import annotations

import asyncio
import csv
import io
from pathlib import Path
from typing import Any

import msgspec
import pypdf

from chappe.billing import closing
from chappe.billing.closing.layout import percent, sheet, shown
from chappe.billing.closing.model import CreditedLine, CreditNote, Invoice, Line, Party
from chappe.billing.closing.vat import Tax

SELLER = Party(
    "Chappe Télécom SAS", ("12 rue de la Paix", "75002 Paris", "France"), "FR", "FR12345678901", "IBAN FR76 1"
)
LODZ = Party("Łódź Wiadomości / ООО «Связь» / Ελλάς", ("ul. Piotrkowska 104", "90-926 Łódź", "Poland"), "PL", "PL725")
REVERSE = Tax("reverse_charge", 0, "Reverse charge: the customer is liable for the VAT.")
EUR = 1_000_000
MORNING = 1_793_869_200_000  # 2026-11-05T09:00:00Z


def invoice(lines: int = 2, **changes: Any) -> Invoice:
    used = tuple(
        Line("usage", f"Messages to France, operator {n}, otp", 1_234, "part", 72_500, 89_465_000, 89_470_000, "FR")
        for n in range(1, lines)
    )
    discount = Line("discount", '=Volume discount: "1" <b>', 10, "message", -500_000, -5 * EUR, -5 * EUR)
    net = sum(one.amount for one in used) - 5 * EUR
    whole: dict[str, Any] = {
        "id": 7,
        "number": "2026-000001",
        "account_id": 1,
        "seller_id": 0,
        "month": 202610,
        "currency": "EUR",
        "issued_at": MORNING,
        "due_at": MORNING + 14 * 86_400_000,
        "seller": SELLER,
        "customer": LODZ,
        "lines": (*used, discount),
        "charged": net,
        "exact": net,
        "net": net,
        "vat": REVERSE,
        "tax": 0,
        "gross": net,
        "by": "test",
    }
    return Invoice(**whole | changes)


def note() -> CreditNote:
    return CreditNote(
        *(9, "CN-2026-000001", 1, 0, 7, "2026-000001", MORNING, 202610, "EUR", MORNING, SELLER, LODZ),
        *((CreditedLine(0, "Messages to France", 12_500_000),), 12_500_000, Tax("domestic", 200_000)),
        *(2_500_000, 15 * EUR, "Wrong price.", "test"),
    )


def read(pdf: bytes) -> list[str]:
    """The text of each page."""
    return [page.extract_text() for page in pypdf.PdfReader(io.BytesIO(pdf)).pages]


async def test_an_invoice_says_all_that_the_law_asks_for_in_every_alphabet() -> None:
    [page] = read(await closing.pdf(invoice()))
    for said in (
        *("Invoice", "2026-000001", "2026-11-05", "2026-10-01 to 2026-10-31", "2026-11-19"),
        *("Chappe Télécom SAS", "12 rue de la Paix", "France", "VAT number FR12345678901"),
        *("Łódź Wiadomości / ООО «Связь» / Ελλάς", "90-926 Łódź", "Poland", "VAT number PL725"),
        *("Messages to France, operator 1, otp", "1,234 parts", "0.0725", "89.47"),
        *('=Volume discount: "1" <b>', "10 messages", "−0.50", "−5.00"),
        *("Total without VAT", "VAT 0% of 84.47", "Total EUR", "Reverse charge: the customer is liable for the VAT."),
        *("Please pay by 2026-11-19: IBAN FR76 1", "Page 1 of 1", "84.47 EUR"),
    ):
        assert said in page, said


async def test_the_same_invoice_is_the_same_octets_from_every_process() -> None:
    one, two = await asyncio.gather(closing.pdf(invoice(60)), closing.pdf(invoice(60)))
    assert one == two and one.startswith(b"%PDF-")
    assert await closing.pdf(invoice(60, number="2026-000002")) != one


async def test_a_long_invoice_goes_over_pages_with_its_head_and_their_number() -> None:
    pages = read(await closing.pdf(invoice(121)))
    assert len(pages) > 3
    for nth, page in enumerate(pages, 1):
        assert f"Page {nth} of {len(pages)}" in page
        assert "Description" in page and "Unit price" in page
    text = "\n".join(pages)
    assert all(f"operator {n}, otp" in text for n in range(1, 121))
    assert "Total EUR" in pages[-1]


async def test_a_prepaid_invoice_says_that_it_was_paid_from_the_balance() -> None:
    vat = Tax("domestic", 81_000)
    [page] = read(await closing.pdf(invoice(due_at=None, vat=vat, tax=6_840_000, gross=91_310_000)))
    assert "paid from the balance" in page and "Due date" not in page and "IBAN" not in page
    assert "VAT 8.1% of 84.47" in page and "6.84" in page and "91.31" in page


async def test_a_credit_note_says_which_invoice_it_amends_and_why() -> None:
    [page] = read(await closing.pdf(note()))
    for said in ("Credit note", "CN-2026-000001", "2026-000001 of 2026-11-05", "Reason: Wrong price.", "15.00"):
        assert said in page, said


def test_a_table_has_the_lines_and_totals_and_no_formula() -> None:
    rows = list(csv.DictReader(io.StringIO(closing.table(invoice()).decode())))
    assert [row["kind"] for row in rows] == ["usage", "discount", "net", "vat", "total"]
    assert (rows[0]["amount"], rows[0]["exact"], rows[0]["unit_price"]) == ("89.47", "89.465", "0.0725")
    assert rows[1]["text"] == '\'=Volume discount: "1" <b>'
    assert (rows[1]["amount"], rows[-1]["amount"], rows[-1]["currency"]) == ("-5.00", "84.47", "EUR")
    [credited, *totals] = csv.DictReader(io.StringIO(closing.table(note()).decode()))
    assert (credited["kind"], credited["line"], credited["amount"]) == ("credit", "0", "12.50")
    assert [row["amount"] for row in totals] == ["12.50", "2.50", "15.00"]


def test_what_is_kept_is_what_was_issued() -> None:
    kept = msgspec.json.encode(invoice())
    assert msgspec.json.decode(kept, type=Invoice) == invoice()
    assert sheet(msgspec.json.decode(kept, type=Invoice)) == sheet(invoice())


def test_amounts_read_well() -> None:
    assert [shown(n, "EUR") for n in (1_234_567_890_000, -10_000, 0)] == ["1,234,567.89", "−0.01", "0.00"]
    assert (shown(1_234 * EUR, "JPY"), percent(81_000), percent(200_000), percent(255_000)) == (
        "1,234",
        "8.1%",
        "20%",
        "25.5%",
    )


def test_the_fonts_go_with_their_licence() -> None:
    fonts = Path(closing.__file__).with_name("fonts")
    assert {path.name for path in fonts.iterdir()} == {"DejaVuSans.ttf", "DejaVuSans-Bold.ttf", "LICENSE.txt"}
    assert "Bitstream" in (fonts / "LICENSE.txt").read_text()
