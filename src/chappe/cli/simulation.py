"""`chappe routes simulate`: what routes would do, before they do it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Column as RichColumn
from rich.table import Table as RichTable

from chappe.cli.client import URL, Api, KeyOption, UrlOption, talk
from chappe.cli.drafts import DraftOption, draft_of
from chappe.cli.terminal import err, fail, out
from chappe.tabular import Column, Table

MOST = 2_000  # messages in one request
_COLUMNS = (
    Column("to", ("number", "msisdn", "phone", "recipient")),
    Column("from", ("sender",), required=False),
    Column("account_id", ("account",), required=False),
    Column("purpose", required=False),
    Column("operator", ("mccmnc",), required=False),
    Column("segments", ("parts",), required=False),
)


def simulate(
    number: Annotated[str | None, typer.Argument(help="One number: +33612345678.")] = None,
    csv: Annotated[
        Path | None,
        typer.Option("--csv", exists=True, dir_okay=False, help="A file with a column `to`, and what else is known."),
    ] = None,
    days: Annotated[int | None, typer.Option(min=1, max=90, help="The live traffic of so many days.")] = None,
    sample: Annotated[int, typer.Option(min=100, max=100_000, help="So many messages of it, spread evenly.")] = 10_000,
    sender: Annotated[str, typer.Option("--from", help="The sender of NUMBER.")] = "",
    account: Annotated[str | None, typer.Option("--account", help="Its account: acc_...")] = None,
    purpose: Annotated[str, typer.Option(help="otp, transactional, service or marketing.")] = "transactional",
    draft: DraftOption = None,
    url: UrlOption = URL,
    key: KeyOption = None,
) -> None:
    """See what a draft would change, or what the routes do now: for one number, a file, or the last days.

    Nothing is sent. Ends with 1 if NUMBER goes nowhere.
    """
    if [number, csv, days].count(None) != 2:
        fail("Give a number, --csv or --days.")

    async def work(api: Api) -> Any:
        asked = {} if draft is None else {"draft_id": (await draft_of(api, draft))["id"]}
        if number is not None:
            message = {"to": number, "from": sender, "account_id": account, "purpose": purpose}
            return await api.post("/v1/routes/simulate", asked | {"message": message})
        if days is not None:
            with err.status("asking the traffic of the last days"):
                return await api.post("/v1/routes/simulate", asked | {"days": days, "sample": sample})
        assert csv is not None
        rows = _spread(list(_rows(csv)))
        with err.status("asking the messages of the file"):
            return await api.post("/v1/routes/simulate", asked | {"messages": rows})

    answer = talk(work, url, key)
    if number is not None:
        _tell_one(answer["explanation"])
    else:
        _tell_many(answer["comparison"], draft is not None)


def _spread(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """So many that one request takes them, from the whole file alike."""
    if not rows:
        fail("The file has no numbers.")
    if len(rows) <= MOST:
        return rows
    err.print(f"{MOST:,} of {len(rows):,} messages are tried, spread evenly.", markup=False)
    return [rows[n * len(rows) // MOST] for n in range(MOST)]


def _rows(file: Path) -> Iterator[dict[str, Any]]:
    with file.open("rb") as source:
        table = Table(source, _COLUMNS)
        rows = [dict(zip((column.name for column in _COLUMNS), values, strict=True)) for _, values in table]
    if table.faults:
        for fault in table.faults:
            err.print(f"line {fault.line}: {fault.message}", style="red", markup=False)
        fail(f"{file} cannot be used.")
    for row in rows:
        given: dict[str, Any] = {name: value for name, value in row.items() if value}
        if given.get("segments", "").isdigit():
            given["segments"] = int(given["segments"])
        yield given


def _tell_one(told: dict[str, Any]) -> None:
    where = f"country {told['country'] or 'unknown'}, operator {told['operator'] or 'unknown'}"
    out.print(f"{told['to']}: {where}", style="dim", markup=False)
    for tried in told["tried"]:
        out.print(("→ " if tried["chosen"] else "  ") + f"{tried['name']}: {tried['reason']}", markup=False)
        if tried["chosen"]:
            break
    for place, one in enumerate(told["connectors"], start=1):
        mark = "left out" if one["left_out"] else f"{place}."
        expected = one["expected_delivery"]
        quality = "" if expected is None else f"; {expected:.1%} delivery expected"
        out.print(f"{mark} {one['connector']}: {one['reason']}{quality}", markup=False)
        for line in one["price"]:
            out.print(f"     {line}", style="dim", markup=False)
    if not any(not one["left_out"] for one in told["connectors"]):
        out.print("no route leads there", style="red")
        raise typer.Exit(1)


def _tell_many(told: dict[str, Any], drafted: bool) -> None:
    before, after = told["before"], told["after"]
    table = RichTable("", *([RichColumn("in force", justify="right")] if drafted else []), box=None)
    table.add_column("draft" if drafted else "in force", justify="right")
    for name, words in (
        ("routed", "{:,}"),
        ("unrouted", "{:,}"),
        ("cost", "{} " + after["currency"]),
        ("priced", "{:,}"),
        ("expected_delivery", "{:.2%}"),
        ("measured", "{:,}"),
    ):
        cells = [words.format(side[name]) if side[name] is not None else "unknown" for side in (before, after)]
        table.add_row(name.replace("_", " "), *(cells if drafted else cells[1:]))
    out.print(f"{told['messages']:,} messages, {told['differing']:,} go another way")
    out.print(table)
    side = after["connectors"] if not drafted else {}
    for connector, count in side.items():
        out.print(f"{count:>10,}  {connector}", markup=False)
    if told["moves"]:
        moves = RichTable(RichColumn("messages", justify="right"), "in force", "draft", box=None)
        for move in told["moves"]:
            moves.add_row(f"{move['messages']:,}", *(escape(move[one] or "nowhere") for one in ("before", "after")))
        out.print(moves)
