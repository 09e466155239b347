"""Invoices and credit notes by the API: the operator issues them, their account reads them, nobody else does."""

from __future__ import annotations

import asyncio
import base64
import csv
import io
import os
import subprocess
from pathlib import Path
from typing import Any

import pypdf
import pytest

from chappe import ids
from chappe.billing import closing, rating
from chappe.billing.closing import Month
from chappe.billing.ledger.store import ADD_ENTRIES, ADD_USAGE, MOVE
from chappe.clock import FakeClock
from chappe.settings import Seller
from chappe.storage import sql
from tests.api.conftest import Client, World
from tests.support.processes import CHAPPE

EUR = 1_000_000
PDF = base64.b64encode(b"%PDF-1.7 letter").decode()
BALANCED = sql(
    "select (select wallet from balances where account_id = :id) - (select sum(wallet) from ledger_entries "
    "where account_id = :id)"
)


def before(month: Month) -> Month:
    return closing.month_of(month.starts - 1)


class Books:
    """An account (`acme`) pays for messages of last month but one: 10 EUR and 20% VAT."""

    def __init__(self, world: World, who: str = "acme") -> None:
        self.world = world
        self.who = who
        self.acme = world.account_ids[who]
        self.month = before(before(closing.month_of(world.rt.clock.now())))

    async def open(self) -> Books:
        rt = self.world.rt
        rt.settings.billing.seller = Seller(
            name="Chappe Télécom SAS", address="12 rue de la Paix\n75002 Paris", country="FR", vat_id="FR12345678901"
        )
        clock, rt.clock = rt.clock, FakeClock(self.month.starts)
        listed = await rating.create_list(rt, "test", name=f"prices-{self.who}", kind="customer", currency="EUR")
        particulars = rating.Particulars(legal_name="Acme SARL", address=("1 rue de Rivoli",), country="FR")
        await rating.create_terms(
            rt,
            "test",
            self.acme,
            currency="EUR",
            price_list_id=listed.id,
            credit_limit=100 * EUR,
            particulars=particulars,
        )
        rt.clock = clock
        key = (self.month.days.start, self.acme, "", "FR", "20801", 1, 1, "Acme", "otp", "EUR", "")
        entry = (rt.ids.next(), self.acme, "EUR", "settle", 100, -10 * EUR, 0, 10 * EUR, 0, 0, 0, 0, None)
        await rt.store.write(
            ADD_USAGE([(*key, 100, 100, 100, 0, 10 * EUR, 0)]),
            ADD_ENTRIES([entry]),
            MOVE([(self.acme, -10 * EUR, 0)], expect=1),
        )
        return self

    def close(self, **changes: Any) -> dict[str, Any]:
        return {"account_id": ids.public("acc", self.acme), "month": str(self.month)} | changes

    async def invoice(self) -> dict[str, Any]:
        reply = await self.world.operator.post("/v1/invoices/close", self.close())
        assert reply.status == 200, reply.body
        whole: dict[str, Any] = reply.json
        return whole

    async def balanced(self) -> bool:
        return (await self.world.rt.store.scan(BALANCED({"id": self.acme})))[0][0] == 0


@pytest.fixture
async def books(world: World) -> Books:
    return await Books(world).open()


async def test_a_month_is_closed_by_hand_and_read_by_its_account(both: World) -> None:
    books = await Books(both).open()
    world = books.world
    preview = await world.operator.post("/v1/invoices/close", books.close(preview=True))
    assert (preview.json["id"], preview.json["number"], preview.json["gross"]) == (None, None, "12.00")
    assert (await world.acme.get("/v1/invoices")).json["data"] == []
    made = await books.invoice()
    assert (made["number"][4:], made["month"], made["net"], made["vat"], made["gross"]) == (
        "-000001",
        str(books.month),
        "10.00",
        "2.00",
        "12.00",
    )
    assert made["tax"] == {"rate": "20", "treatment": "domestic", "mention": None}
    assert made["lines"][0] == {
        "kind": "usage",
        "text": "Messages to France, Orange (20801), otp",
        "country": "FR",
        "operator": "20801",
        "purpose": "otp",
        "quantity": 100,
        "unit": "part",
        "unit_price": "0.10",
        "amount": "10.00",
        "exact_amount": "10.00",
    }
    assert (made["charged"], made["rounding"], made["credited"]) == ("10.00", "0.00", "0.00")
    assert made["customer"]["address"] == ["1 rue de Rivoli", "France"]
    assert await books.invoice() == made
    [listed] = (await world.acme.get(f"/v1/invoices?month={books.month}")).json["data"]
    assert listed == {name: made[name] for name in listed}
    assert (await world.acme.get(f"/v1/invoices/{made['id']}")).json == made
    assert (await world.operator.get(f"/v1/invoices/{made['id']}")).json == made
    everything = (await world.operator.get("/v1/invoices?everything=true")).json["data"]
    assert everything == [listed] and await books.balanced()


async def test_an_invoice_comes_as_pdf_and_as_csv(books: Books) -> None:
    made = await books.invoice()
    path = f"/v1/invoices/{made['id']}"
    pdf = await books.world.acme.get(f"{path}/pdf")
    assert (pdf.status, pdf.headers["content-type"]) == (200, "application/pdf")
    assert pdf.headers["content-disposition"] == f"attachment; filename={made['number']}.pdf"
    text = pypdf.PdfReader(io.BytesIO(pdf.body)).pages[0].extract_text()
    assert made["number"] in text and "Acme SARL" in text and "12.00" in text
    assert (await books.world.acme.get(f"{path}/pdf")).body == pdf.body
    table = await books.world.acme.get(f"{path}/csv")
    assert table.headers["content-type"].startswith("text/csv")
    rows = list(csv.DictReader(io.StringIO(table.body.decode())))
    assert [(row["kind"], row["amount"]) for row in rows] == [
        ("usage", "10.00"),
        ("net", "10.00"),
        ("vat", "2.00"),
        ("total", "12.00"),
    ]


async def test_a_credit_note_is_the_operators_and_goes_to_the_balance(books: Books) -> None:
    world, made = books.world, await books.invoice()
    body = {"invoice_id": made["id"], "reason": "Wrong price.", "lines": [{"line": 0, "amount": "4.00"}]}
    assert (await world.acme.post("/v1/credit_notes", body)).code == "scope_missing"
    note = await world.operator.post("/v1/credit_notes", body)
    assert note.status == 201, note.body
    assert (note.json["net"], note.json["vat"], note.json["gross"]) == ("4.00", "0.80", "4.80")
    assert note.json["number"].startswith("CN-") and note.json["invoice_number"] == made["number"]
    assert (await world.acme.get(f"/v1/invoices/{made['id']}")).json["credited"] == "4.80"
    assert (await world.acme.get("/v1/credit_notes")).json["data"] == [note.json]
    path = f"/v1/credit_notes/{note.json['id']}"
    assert (await world.acme.get(path)).json == note.json
    assert (await world.acme.get(f"{path}/pdf")).body.startswith(b"%PDF-")
    assert b"credit_note" in (await world.acme.get(f"{path}/csv")).body
    rest = await world.operator.post("/v1/credit_notes", {"invoice_id": made["id"], "reason": "All of it."})
    assert (rest.json["net"], rest.json["gross"]) == ("6.00", "7.20")
    again = await world.operator.post("/v1/credit_notes", {"invoice_id": made["id"], "reason": "Again."})
    assert (again.status, again.code) == (409, "credit_too_high")
    assert await books.balanced()


async def test_nobody_sees_the_invoices_of_others(books: Books) -> None:
    world, made = books.world, await books.invoice()
    note = (
        await world.operator.post("/v1/credit_notes", {"invoice_id": made["id"], "reason": "x", "lines": None})
    ).json
    rival, reader = world.client("rival"), await world.key(["messages:read"])
    for kind, number in (("invoices", made["id"]), ("credit_notes", note["id"])):
        for path in (number, f"{number}/pdf", f"{number}/csv"):
            reply = await rival.get(f"/v1/{kind}/{path}")
            assert (reply.status, reply.code) == (404, "not_found"), path
            assert (await reader.get(f"/v1/{kind}/{path}")).code == "scope_missing"
        for query in ("", "?issued=true"):
            assert (await rival.get(f"/v1/{kind}{query}")).json["data"] == []
        assert (await rival.get(f"/v1/{kind}?everything=true")).code == "scope_missing"
        whose = ids.public("acc", books.acme)
        assert (await rival.get(f"/v1/{kind}?account_id={whose}")).code == "scope_missing"
        assert len((await world.operator.get(f"/v1/{kind}?account_id={whose}")).json["data"]) == 1
    for client in (rival, world.acme, reader):
        assert (await client.post("/v1/invoices/close", books.close())).code == "scope_missing"


async def test_what_cannot_be_closed_says_why(books: Books, subtests: pytest.Subtests) -> None:
    world = books.world
    running = closing.month_of(world.rt.clock.now())
    early, rival = before(books.month), ids.public("acc", world.account_ids["rival"])
    for changes, status, code, param in (
        ({"month": str(running)}, 409, "month_not_over", "month"),
        ({"month": str(running.next), "preview": True}, 409, "month_not_over", "month"),
        ({"month": str(early)}, 409, "account_not_billed", "month"),
        ({"month": str(before(running))}, 409, "nothing_to_invoice", "month"),
        ({"month": "2026-13"}, 422, "invalid_value", "month"),
        ({"month": "1969-01"}, 422, "invalid_value", "month"),
        ({"month": 202610}, 422, "invalid_type", "month"),
        ({"account_id": rival}, 409, "account_not_billed", "account_id"),
        ({"account_id": "acc_x"}, 422, "invalid_value", "account_id"),
        ({"mont": "2026-10"}, 422, "unknown_field", "mont"),
    ):
        with subtests.test(code, param=param, changes=changes):
            reply = await world.operator.post("/v1/invoices/close", books.close(**changes))
            assert (reply.status, reply.code, reply.param) == (status, code, param)
    test = await world.key(["rates"], account="house", mode="test")
    assert (await test.post("/v1/invoices/close", books.close())).code == "scope_missing"
    assert (await test.post("/v1/invoices/close", books.close(preview=True))).status == 200


async def test_what_cannot_be_credited_says_why(books: Books, subtests: pytest.Subtests) -> None:
    made = await books.invoice()
    good = {"invoice_id": made["id"], "reason": "Wrong price."}
    for changes, status, code, param in (
        ({"invoice_id": "inv_0000000000007"}, 404, "not_found", "id"),
        ({"invoice_id": "x"}, 404, "not_found", "invoice_id"),
        ({"reason": ""}, 422, "invalid_value", "reason"),
        ({"lines": []}, 409, "credit_too_high", "lines"),
        ({"lines": [{"line": 1, "amount": "1"}]}, 422, "invalid_value", "lines[0].line"),
        ({"lines": [{"line": 0, "amount": "10.01"}]}, 409, "credit_too_high", "lines[0].amount"),
        ({"lines": [{"line": 0, "amount": "-1"}]}, 409, "credit_too_high", "lines[0].amount"),
        ({"lines": [{"line": 0, "amount": "0.001"}]}, 422, "invalid_value", "lines[0].amount"),
        ({"lines": [{"line": 0, "amount": "1"}, {"line": 0, "amount": "1"}]}, 422, "invalid_value", "lines[1].line"),
    ):
        with subtests.test(code, param=param, changes=changes):
            reply = await books.world.operator.post("/v1/credit_notes", good | changes)
            assert (reply.status, reply.code, reply.param) == (status, code, param)
    assert (await books.world.acme.get("/v1/credit_notes")).json["data"] == []
    assert (await books.world.acme.get(f"/v1/invoices/{made['id']}")).json["credited"] == "0.00"


async def test_the_same_request_again_credits_once(books: Books) -> None:
    made = await books.invoice()
    body = {"invoice_id": made["id"], "reason": "Once.", "lines": [{"line": 0, "amount": "1.00"}]}
    once = {"Idempotency-Key": "credit-1"}
    operator: Client = books.world.operator
    first = await operator.post("/v1/credit_notes", body, headers=once)
    again = await operator.post("/v1/credit_notes", body, headers=once)
    assert again.json == first.json and again.headers["idempotent-replay"] == "true"
    named = body | {"reference": "ticket 7"}
    second = await operator.post("/v1/credit_notes", named)
    assert second.json["id"] != first.json["id"] and second.json["reference"] == "ticket 7"
    assert (await operator.post("/v1/credit_notes", named)).json == second.json
    assert (await operator.post("/v1/credit_notes", named | {"reason": "y"})).code == "reference_reused"
    assert len((await books.world.acme.get("/v1/credit_notes")).json["data"]) == 2


async def test_registered_sender_names_are_billed_as_they_were_agreed_or_by_the_terms(books: Books) -> None:
    world = books.world
    running = str(closing.month_of(world.rt.clock.now()))
    terms = rating.book(world.rt).terms(books.acme)
    assert terms is not None
    fee = rating.Fee(kind="sender_name", amount=3 * EUR, country="FR")
    await rating.update_terms(world.rt, "test", terms.id, conditions=rating.Conditions(fees=(fee,)))
    reviews = {}
    for country, fees in (("ES", {"set_up": "25", "monthly": "7.125", "currency": "EUR"}), ("FR", None)):
        made = await world.acme.post("/v1/sender_registrations", {"sender": "Acme", "country": country})
        paper = {"name": "letter.pdf", "media_type": "application/pdf", "content": PDF}
        assert (await world.acme.post(f"/v1/sender_registrations/{made.json['id']}/documents", paper)).status == 201
        assert (await world.acme.post(f"/v1/sender_registrations/{made.json['id']}/submit")).status == 200
        reviews[country] = f"/v1/sender_reviews/{made.json['id']}"
        assert (await world.operator.post(f"{reviews[country]}/approve", {"fees": fees} if fees else {})).status == 200

    async def lines() -> list[tuple[str, str, str]]:
        reply = await world.operator.post("/v1/invoices/close", books.close(month=running, preview=True))
        assert reply.status == 200, reply.body
        return [(one["kind"], one["country"], one["exact_amount"]) for one in reply.json["lines"]]

    first = [("sender_fee", "ES", "7.125"), ("set_up_fee", "ES", "25.00"), ("sender_fee", "FR", "3.00")]
    assert await lines() == first
    assert (await world.operator.post(f"{reviews['ES']}/suspend", {"reason": "x"})).status == 200
    assert await lines() == first
    assert (await world.operator.post(f"{reviews['ES']}/resume")).status == 200
    number = reviews["ES"].rpartition("/")[2]
    assert (await world.acme.post(f"/v1/sender_registrations/{number}/withdraw")).status == 200
    assert await lines() == first[2:]


async def test_invoices_are_listed_shown_and_written_from_the_command_line(books: Books, tmp_path: Path) -> None:
    world = books.world

    def run(*arguments: str, key: str = "acme") -> tuple[int, str]:
        environment = {"CHAPPE_API_URL": world.base, "CHAPPE_API_KEY": world.keys[key], "COLUMNS": "200"}
        command = [CHAPPE, "invoices", *arguments]
        done = subprocess.run(command, env=os.environ | environment, capture_output=True, text=True, timeout=60)
        return done.returncode, done.stdout + done.stderr

    month = ("--account", ids.public("acc", books.acme), "--month", str(books.month))
    code, shown = await asyncio.to_thread(run, "close", *month, "--preview", key="operator")
    assert code == 0 and "preview, no invoice" in shown and "12.00" in shown, shown
    code, shown = await asyncio.to_thread(run, "close", *month, key="operator")
    [made] = (await world.acme.get("/v1/invoices")).json["data"]
    assert code == 0 and shown.startswith(f"{made['number']}  {made['id']}  {books.month}"), shown
    code, shown = await asyncio.to_thread(run, "list")
    assert code == 0 and made["id"] in shown and "12.00" in shown
    code, shown = await asyncio.to_thread(run, "show", made["id"])
    assert code == 0 and "Messages to France" in shown and "VAT 20%" in shown
    target = tmp_path / "a.pdf"
    code, shown = await asyncio.to_thread(run, "pdf", made["id"], "--out", str(target))
    assert code == 0 and target.read_bytes() == (await world.acme.get(f"/v1/invoices/{made['id']}/pdf")).body
    code, shown = await asyncio.to_thread(run, "close", *month)
    assert code == 1 and "scope_missing" in shown
