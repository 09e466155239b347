"""`chappe invoices`: what months have come to, through the API of a running Chappe."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Column, Table

from chappe.cli.client import URL, Api, KeyOption, UrlOption, talk
from chappe.cli.terminal import err, out

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)

MonthOption = Annotated[str | None, typer.Option("--month", help="Of this month only: 2026-10.")]
IdArgument = Annotated[str, typer.Argument(help="The invoice: inv_...")]


@app.command(name="list")
def list_invoices(
    month: MonthOption = None,
    everything: Annotated[bool, typer.Option("--all", help="Of all accounts; for the operator.")] = False,
    limit: Annotated[int, typer.Option(min=1, max=500, help="How many at most.")] = 50,
    url: UrlOption = URL,
    key: KeyOption = None,
) -> None:
    """List invoices, the newest first."""
    wanted = {"month": month, "limit": limit, "everything": "true" if everything else None}
    found = talk(lambda api: api.get("/v1/invoices", **wanted), url, key)
    table = Table("id", "number", "month", "account", *map(_right, ("net", "vat", "total", "credited")), "", box=None)
    for one in found["data"]:
        amounts = (one[name] for name in ("net", "vat", "gross", "credited"))
        table.add_row(one["id"], one["number"], one["month"], one["account_id"], *amounts, one["currency"])
    out.print(table, soft_wrap=False)
    if found["has_more"]:
        err.print(f"There are more than {limit}: give --month, or a higher --limit.")


@app.command()
def close(
    account: Annotated[str, typer.Option("--account", help="The account: acc_...")],
    month: Annotated[str, typer.Option("--month", help="The month to close: 2026-10.")],
    preview: Annotated[bool, typer.Option("--preview", help="Show what the invoice would be, and do nothing.")] = False,
    url: UrlOption = URL,
    key: KeyOption = None,
) -> None:
    """Close a month of an account, and show its invoice; a closed one stays as it is."""
    body = {"account_id": account, "month": month, "preview": preview}
    _show(talk(lambda api: api.post("/v1/invoices/close", body), url, key))


@app.command()
def show(id: IdArgument, url: UrlOption = URL, key: KeyOption = None) -> None:
    """Show an invoice with its lines."""
    _show(talk(lambda api: api.get(f"/v1/invoices/{id}"), url, key))


@app.command()
def pdf(
    id: IdArgument,
    to: Annotated[Path | None, typer.Option("--out", help="Where to write it; by default its number.")] = None,
    url: UrlOption = URL,
    key: KeyOption = None,
) -> None:
    """Write an invoice to a PDF file."""

    async def work(api: Api) -> Path:
        invoice = await api.get(f"/v1/invoices/{id}")
        target = to or Path(f"{invoice['number']}.pdf")
        draft = target.with_name(target.name + ".part")
        with draft.open("wb") as file:
            await api.download(f"/v1/invoices/{id}/pdf", file.write)
        draft.replace(target)  # it appears when it is whole
        return target

    out.print(f"written to {talk(work, url, key)}", markup=False)


def _show(invoice: dict[str, Any]) -> None:
    name = invoice["number"] or "preview, no invoice"
    out.print(f"{name}  {invoice['id'] or ''}  {invoice['month']}", markup=False)
    out.print(f"from {invoice['seller']['name']} to {invoice['customer']['name']}", markup=False)
    table = Table(
        "what", _right("quantity"), "", _right("unit price"), _right(f"amount {invoice['currency']}"), box=None
    )
    for line in invoice["lines"]:
        unit = "" if line["unit"] == "once" else line["unit"]
        table.add_row(escape(line["text"]), f"{line['quantity']:,}", unit, line["unit_price"] or "", line["amount"])
    table.add_row("without VAT", "", "", "", invoice["net"])
    table.add_row(f"VAT {invoice['tax']['rate']}%", "", "", "", invoice["vat"])
    table.add_row("total", "", "", "", invoice["gross"], style="bold")
    out.print(table, soft_wrap=False)
    for note in filter(None, (invoice["tax"]["mention"], _paid(invoice))):
        out.print(note, markup=False)


def _paid(invoice: dict[str, Any]) -> str:
    due = invoice["due_at"]
    return f"due {due[:10]}" if due else "paid from the balance"


def _right(name: str) -> Column:
    return Column(name, justify="right")
