"""`chappe ledger`: prove that the books balance, and read what was booked."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape
from rich.table import Column, Table

from chappe.cli.client import URL, Api, KeyOption, UrlOption, talk
from chappe.cli.progress import Bars
from chappe.cli.runtime import ConfigOption, run
from chappe.cli.terminal import err, fail, out

if TYPE_CHECKING:
    from chappe.billing.ledger.audit import Report
    from chappe.runtime import Runtime

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)

AccountOption = Annotated[str | None, typer.Option("--account", help="Of this account: its id, acc_..., or its slug.")]


@app.command()
def audit(
    account: AccountOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Write the report as JSON.")] = False,
    config: ConfigOption = None,
) -> None:
    """Prove that every message's money is accounted for and the books balance; also while Chappe serves.

    Ends with 1 and the first differences if they do not.
    """
    from chappe.billing.ledger.audit import plain

    async def work(rt: Runtime) -> Report:
        return await _audit(rt, account)

    report = run(work, config)
    if as_json:
        typer.echo(json.dumps(plain(report), indent=2))
    else:
        _tell(report)
    if not report.balanced:
        raise typer.Exit(1)


async def _audit(rt: Runtime, account: str | None) -> Report:
    from chappe.billing import rating
    from chappe.billing.ledger.audit import audit
    from chappe.messages.model import FINAL

    try:
        book = rating.book(rt)
    except KeyError:
        await rating.start(rt)
        book = rating.book(rt)
    only = None if account is None else [_number(rt, account)]
    with Bars("messages") as bars:
        return await audit(
            rt.store,
            now=rt.clock.now,
            final=[int(state) for state in FINAL],
            reseller_of=book.reseller_of,
            only=only,
            tell=lambda messages: bars.show("auditing", messages, 0),
        )


def _number(rt: Runtime, account: str) -> int:
    from chappe import accounts, ids

    known = accounts.directory(rt)
    number = ids.parse("acc", account)
    found = known.account(number) if number is not None else known.by_slug(account)
    if found is None:
        fail(f"There is no account {account}.")
    return found.id


def _tell(report: Report) -> None:
    from chappe import ids
    from chappe.billing.ledger.model import decimal

    out.print(
        f"{report.accounts:,} accounts, {report.messages:,} messages, {report.entries:,} entries "
        f"in {report.seconds:.1f} s"
    )
    if report.books:
        names = list(next(iter(report.books.values())))
        table = Table("currency", *(Column(name, justify="right") for name in names), box=None)
        for currency, books in sorted(report.books.items()):
            table.add_row(currency or "-", *(decimal(books[name]) for name in names))
        out.print(table, soft_wrap=False)
    if report.balanced:
        out.print("The books balance.")
        return
    for one in report.differences:
        err.print(f"{ids.public('acc', one.account_id)}  {one.code}: {one.words}", style="red", markup=False)
        err.print(f"  {one.action}", markup=False)
    more = report.found - len(report.differences)
    also = f", and {more:,} more that are not shown" if more else ""
    err.print(f"The books do not balance: {len(report.differences):,} differences{also}.", style="red")


@app.command()
def entries(
    account: Annotated[
        str | None, typer.Option("--account", help="Of this account, acc_...; default: the key's.")
    ] = None,
    kind: Annotated[str | None, typer.Option(help="Only of this kind: top_up, hold, settle ...")] = None,
    since: Annotated[str | None, typer.Option(help="From this moment on: 2027-01-31T00:00:00Z.")] = None,
    until: Annotated[str | None, typer.Option(help="Before this moment.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=500, help="How many at most.")] = 20,
    to: Annotated[Path | None, typer.Option("--out", help="Write all of them to this CSV file.")] = None,
    url: UrlOption = URL,
    key: KeyOption = None,
) -> None:
    """List what was booked, newest first."""
    wanted = {"account_id": account, "kind": kind, "since": since, "until": until}

    async def work(api: Api) -> Any:
        if to is None:
            return await api.get("/v1/ledger_entries", **wanted, limit=limit)
        given = {name: value for name, value in wanted.items() if value is not None}
        draft = to.with_name(to.name + ".part")
        with draft.open("wb") as target:
            await api.download("/v1/ledger_entries", target.write, **given, format="csv")
        draft.replace(to)
        return None

    found = talk(work, url, key)
    if found is None:
        out.print(f"written to {to}")
        return
    table = Table(
        Column("id", no_wrap=True),
        Column("when", no_wrap=True),
        "kind",
        *(Column(name, justify="right") for name in ("messages", "wallet", "held", "revenue")),
        "currency",
        "reference",
        box=None,
    )
    for one in found["data"]:
        amounts = [one["wallet"], one["held"], one["revenue"]]
        words = " ".join(filter(None, (one["reference"], one["reason"])))
        row = [one["id"], one["created_at"], one["kind"], f"{one['messages']:,}", *amounts, one["currency"]]
        table.add_row(*row, escape(words))
    out.print(table, soft_wrap=False)
    if found["has_more"]:
        err.print("There are more: --limit, --since, or all of them by --out FILE.csv.")
