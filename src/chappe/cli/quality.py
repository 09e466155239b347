"""`chappe quality`: how routes do, who is demoted, and whose receipts lie, through the API of a running Chappe."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

import typer
from rich.markup import escape
from rich.table import Column, Table

from chappe.cli.client import URL, Api, KeyOption, UrlOption, talk
from chappe.cli.terminal import fail, out

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)

_PAGE = 500
_SURE = {"proof": "bold red", "strong": "red", "moderate": "yellow", "weak": "dim"}

ConnectorOption = Annotated[str | None, typer.Option("--connector", help="One connector only.")]
LimitOption = Annotated[int, typer.Option(min=1, max=_PAGE, help="How many at most.")]


@app.command()
def show(
    connector: ConnectorOption = None,
    place: Annotated[str | None, typer.Option(help="An operator (20801) or a country (FR).")] = None,
    demoted: Annotated[bool, typer.Option("--demoted", help="Only what is demoted.")] = False,
    url: UrlOption = URL,
    key: KeyOption = None,
) -> None:
    """Show what each connector delivers at each place, how fast, and what is demoted."""
    asked = {"connector": connector, "place": place, "demoted": "true" if demoted else None}

    async def work(api: Api) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = []
        cursor: str | None = None
        while True:
            page = await api.get("/v1/route_quality", **asked, cursor=cursor, limit=_PAGE)
            rows += page["data"]
            cursor = page["next_cursor"]
            if cursor is None:
                return rows

    rows = talk(work, url, key)
    if not rows:
        out.print("Nothing is demoted." if demoted else "Nothing was measured yet.")
        return
    right = {"justify": "right"}
    columns = (Column("delivered", **right), Column("90 %", style="dim"), Column("messages", **right))  # type: ignore[arg-type]
    times = (Column("p50", **right), Column("p95", **right), Column("converted", **right))  # type: ignore[arg-type]
    table = Table("connector", "place", *columns, *times, "state", box=None)
    for row in rows:
        table.add_row(*_row(row))
    out.print(table, soft_wrap=False)


def _row(row: dict[str, Any]) -> list[str]:
    share, conversion, demotion = row["delivery"], row["conversion"], row["demotion"]
    return [
        escape(row["connector"]),
        row["place"],
        _percent(share["mean"]),
        f"{_percent(share['low'])} - {_percent(share['high'])}",
        f"{share['sample']:,.0f}",
        _seconds(row["p50_seconds"]),
        _seconds(row["p95_seconds"]),
        "" if conversion is None else _percent(conversion["mean"]),
        "" if demotion is None else f"[red]demoted[/red] {escape(demotion['reason'])}",
    ]


@app.command()
def demotions(url: UrlOption = URL, key: KeyOption = None) -> None:
    """List what is demoted now, since when and why."""
    found = talk(lambda api: api.get("/v1/route_demotions"), url, key)["data"]
    if not found:
        out.print("Nothing is demoted.")
    for one in found:
        out.print(f"{one['connector']} {one['place']} since {one['since']}", markup=False)
        out.print(f"  {one['reason']}", markup=False, style="yellow")


@app.command()
def log(limit: LimitOption = 50, url: UrlOption = URL, key: KeyOption = None) -> None:
    """Show what was demoted and restored lately."""
    found = talk(lambda api: api.get("/v1/route_quality_log", limit=limit), url, key)["data"]
    if not found:
        out.print("Nothing was demoted in the last 90 days.")
    for line in found:
        style = "yellow" if line["kind"] == "demoted" else "green"
        who = f" by {line['actor']}" if line["actor"] else ""
        words = f"{line['at']}  {line['connector']} {line['place']} {line['kind']}{who}: {line['words']}"
        out.print(words, markup=False, style=style)


@app.command()
def lift(
    connector: Annotated[str, typer.Argument(help="The name of the connector.")],
    place: Annotated[str, typer.Argument(help="As the list of demotions writes it: 20801, FR or *.")],
    url: UrlOption = URL,
    key: KeyOption = None,
) -> None:
    """End a demotion by hand."""

    async def work(api: Api) -> None:
        found = (await api.get("/v1/route_demotions"))["data"]
        mine = (one["connector_id"] for one in found if (one["connector"], one["place"]) == (connector, place))
        id = next(mine, None)
        if id is None:
            fail(f"{connector} is not demoted for {place}.")
        await api.delete(f"/v1/route_demotions/{id}?place={quote(place)}")

    talk(work, url, key)
    out.print(f"{connector} is used for {place} again.", markup=False)


@app.command()
def truth(connector: ConnectorOption = None, url: UrlOption = URL, key: KeyOption = None) -> None:
    """Show how far the receipts of each connector can be believed, with the evidence."""
    found = talk(lambda api: api.get("/v1/route_truth"), url, key)["data"]
    for one in found:
        if connector in (None, one["connector"]):
            receipts = f"{one['receipts']:,.0f} recent receipts"
            out.print(f"{one['connector']}: {one['score']} of 100, by {receipts}", markup=False)
            for item in one["evidence"]:
                out.print(
                    f"  {item['place']} ({item['sure']}) {item['words']}", markup=False, style=_SURE[item["sure"]]
                )


@app.command()
def dispute(
    connector: Annotated[str, typer.Argument(help="The name of the connector.")],
    to: Annotated[Path, typer.Option("--out", help="Where to write the messages; .csv or .jsonl.")],
    since: Annotated[str | None, typer.Option(help="From when on: 2027-01-31T00:00:00Z.")] = None,
    until: Annotated[str | None, typer.Option(help="Until when.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="How many at most, the newest first.")] = 1_000,
    url: UrlOption = URL,
    key: KeyOption = None,
) -> None:
    """Write the messages whose receipts cannot be true, or hardly, to show them to the supplier."""
    if to.suffix not in (".csv", ".jsonl"):
        fail("Say where the messages go: --out FILE.csv or --out FILE.jsonl.")
    bounds = {name: value for name, value in (("since", since), ("until", until)) if value is not None}

    async def work(api: Api) -> None:
        known = (await api.get("/v1/route_truth"))["data"]
        id = next((one["connector_id"] for one in known if one["connector"] == connector), None)
        if id is None:
            fail(f"There is no connector {connector}.")
        draft = to.with_name(to.name + ".part")  # the file appears when it is whole
        with draft.open("wb") as target:
            path = f"/v1/route_truth/{id}/dispute"
            await api.download(path, target.write, format=to.suffix[1:], limit=str(limit), **bounds)
        draft.replace(to)

    talk(work, url, key)
    out.print(f"written to {to}", markup=False)


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _seconds(value: float | None) -> str:
    return "" if value is None else f"{value:.1f} s"
