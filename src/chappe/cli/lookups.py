"""`chappe lookups`: what is known of numbers, through the API of a running Chappe."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import quote

import typer
from rich.markup import escape
from rich.table import Column, Table

from chappe.cli.client import URL, Api, KeyOption, UrlOption, talk
from chappe.cli.progress import Bars
from chappe.cli.terminal import err, fail, out

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)

_LOOK_EVERY_S = 0.5
_ENDED = ("finished", "canceled", "failed")
_FIELDS = "validity, line_type, operator, reachability, roaming; several with commas. Default: the first three."

FieldsOption = Annotated[str | None, typer.Option("--fields", help=_FIELDS)]
MaxAgeOption = Annotated[int | None, typer.Option(min=0, help="Oldest answer to use again, in seconds; 0 asks anew.")]
CountryOption = Annotated[str | None, typer.Option(help="Read national numbers as dialled there: FR.")]


@app.command()
def show(
    number: Annotated[str, typer.Argument(help="The number: +33612345678, or as dialled in --country.")],
    fields: FieldsOption = None,
    max_age: MaxAgeOption = None,
    country: CountryOption = None,
    url: UrlOption = URL,
    key: KeyOption = None,
) -> None:
    """Look a number up: what is known, who said it, and what asking cost."""
    digits = "".join(c for c in number if c in "+0123456789")
    path = f"/v1/lookups/{quote(digits or number, safe='+')}"
    found = talk(lambda api: api.get(path, fields=fields, max_age=max_age, country=country), url, key)
    table = Table(
        "what", "value", Column("said by", style="dim"), Column("age", justify="right", style="dim"), box=None
    )
    for name in ("number", "country", "time_zones", "valid", "invalid_reason", "line_type", "original_operator"):
        _row(table, found, name)
    for name in ("current_operator", "ported", "reachable", "absent", "roaming", "roaming_country"):
        _row(table, found, name)
    out.print(table, soft_wrap=False)
    for asked in found["asked"]:
        if asked["outcome"] != "answer":
            err.print(f"{asked['source']}: {asked['outcome']} {asked['reason'] or ''}", markup=False, style="yellow")
    if found["cost"]:
        out.print(f"cost: {_money(found['cost'])}")


@app.command()
def run(
    file: Annotated[Path, typer.Argument(help="CSV, or a number a line.", dir_okay=False, exists=True)],
    to: Annotated[Path | None, typer.Option("--out", help="Where to write the results; .csv or .jsonl.")] = None,
    fields: FieldsOption = None,
    column: Annotated[
        str | None, typer.Option(help="The column of the numbers: its header, or its place from 1.")
    ] = None,
    country: CountryOption = None,
    max_age: MaxAgeOption = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Tell what it would cost, and ask nobody.")] = False,
    url: UrlOption = URL,
    key: KeyOption = None,
) -> None:
    """Look up to 100,000 numbers up, and write what is known of them."""
    if not dry_run and (to is None or to.suffix not in (".csv", ".jsonl")):
        fail("Say where the results go: --out FILE.csv or --out FILE.jsonl.")
    data = file.read_bytes()
    options: dict[str, Any] = {"fields": fields, "column": column, "country": country, "max_age": max_age}

    async def work(api: Api) -> dict[str, Any]:
        job = await api.upload("/v1/lookups", data, "text/csv", **options, dry_run="true" if dry_run else None)
        if dry_run:
            return dict(job)
        with Bars("numbers") as bars:
            while job["status"] not in _ENDED:
                bars.show("looking up", job["done"], job["total"])
                await asyncio.sleep(_LOOK_EVERY_S)
                job = await api.get(f"/v1/lookups/jobs/{job['id']}")
            bars.show("looking up", job["done"], job["total"])
        assert to is not None
        await _save(api, job["id"], to)
        return dict(job)

    job = talk(work, url, key)
    if dry_run:
        _tell_estimate(job)
        return
    out.print(f"{job['id']}  {job['status']}: {job['done']:,} of {job['total']:,} numbers, {job['invalid']:,} invalid")
    out.print(f"cost: {_money(job['cost'])}; written to {to}")
    if job["status"] != "finished":
        raise typer.Exit(1)


async def _save(api: Api, id: str, to: Path) -> None:
    """The file appears when it is whole."""
    draft = to.with_name(to.name + ".part")
    form: Literal["csv", "jsonl"] = "csv" if to.suffix == ".csv" else "jsonl"
    with draft.open("wb") as target:
        await api.download(f"/v1/lookups/jobs/{id}/results", target.write, format=form)
    draft.replace(to)


def _tell_estimate(job: dict[str, Any]) -> None:
    estimate = job["estimate"]
    out.print(f"{job['total']:,} numbers: {estimate['invalid']:,} invalid, {estimate['known']:,} known already")
    out.print(f"cost: at least {_money(estimate['least'])}, at most {_money(estimate['most'])}")


def _row(table: Table, found: dict[str, Any], name: str) -> None:
    value = found[name]
    if value in (None, []):
        return
    told = found["evidence"].get(name)
    age = "" if told is None else f"{told['age_seconds']} s"
    table.add_row(name, escape(_plain(value)), "" if told is None else escape(told["source"]), age)


def _plain(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, dict):
        return " ".join(str(item) for item in value.values() if item is not None)
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _money(amounts: list[dict[str, str]]) -> str:
    return " + ".join(f"{one['amount']} {one['currency']}" for one in amounts) or "nothing"
