"""`chappe rates`: price lists and rates of exchange, through the API of a running Chappe."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from rich.markup import escape
from rich.table import Column, Table

from chappe.cli.client import URL, Api, KeyOption, UrlOption, talk
from chappe.cli.terminal import err, fail, out

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)

_CSV = "text/csv"
_XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
_SHOWN = 40  # differences on a terminal; the others are counted

FileArgument = Annotated[Path, typer.Argument(help="CSV or Excel (.xlsx) with a header.", dir_okay=False, exists=True)]
ListOption = Annotated[str, typer.Option("--list", help="The price list, by name or id.")]
ModeOption = Annotated[
    Literal["replace", "merge"],
    typer.Option(help="replace: the list is what the file says; merge: only what the file names changes."),
]
FromOption = Annotated[
    str | None, typer.Option("--valid-from", help="From when on the file counts: 2027-01-31 or a time with an offset.")
]
SheetOption = Annotated[str | None, typer.Option(help="The sheet of a workbook; default: its first.")]
ColumnOption = Annotated[
    list[str] | None,
    typer.Option("--column", help="amount=New rate: where a column is, by header or place from 1; may be repeated."),
]


@app.command(name="list")
def list_(url: UrlOption = URL, key: KeyOption = None) -> None:
    """List price lists."""
    table = Table(
        "name",
        "kind",
        "currency",
        "charged on",
        Column("version", justify="right"),
        Column("rows", justify="right"),
        "id",
    )
    table.box = None
    for one in talk(_lists, url, key):
        cells = (one["name"], one["kind"], one["currency"], one["charge_on"], str(one["version"]), f"{one['rows']:,}")
        table.add_row(*map(escape, cells), one["id"])
    out.print(table)


@app.command()
def preview(
    file: FileArgument,
    to: ListOption,
    mode: ModeOption = "replace",
    valid_from: FromOption = None,
    sheet: SheetOption = None,
    column: ColumnOption = None,
    url: UrlOption = URL,
    key: KeyOption = None,
) -> None:
    """Show what a file would change; nothing changes."""

    data = file.read_bytes()

    async def work(api: Api) -> dict[str, Any]:
        return await _previewed(api, await _found(api, to), data, mode, valid_from, sheet, column)

    _tell(talk(work, url, key))


@app.command(name="import")
def import_(
    file: FileArgument,
    to: ListOption,
    mode: ModeOption = "replace",
    valid_from: FromOption = None,
    sheet: SheetOption = None,
    column: ColumnOption = None,
    note: Annotated[str, typer.Option(help="Why, for the list of versions.")] = "",
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    url: UrlOption = URL,
    key: KeyOption = None,
) -> None:
    """Show what a file changes, then put exactly that in force."""

    data = file.read_bytes()

    async def look(api: Api) -> tuple[dict[str, Any], dict[str, Any]]:
        listed = await _found(api, to)
        return listed, await _previewed(api, listed, data, mode, valid_from, sheet, column)

    listed, seen = talk(look, url, key)
    _tell(seen)
    if not (seen["added"] or seen["changed"] or seen["removed"]):
        return
    if not yes and not typer.confirm("Put this in force?", err=True):
        raise typer.Exit(1)

    async def apply(api: Api) -> dict[str, Any]:
        body = {"preview_digest": seen["preview_digest"], "note": note or file.name}
        return dict(await api.post(f"/v1/price_lists/{listed['id']}/rates/import", body))

    done = talk(apply, url, key)
    out.print(f"{done['name']}: version {done['version']} with {done['rows']:,} rows is in force.", markup=False)


@app.command()
def export(
    name: Annotated[str, typer.Argument(help="The price list, by name or id.")],
    to: Annotated[Path | None, typer.Option("--out", help="Where to write it; default: here.")] = None,
    version: Annotated[int | None, typer.Option(min=1, help="An earlier version.")] = None,
    url: UrlOption = URL,
    key: KeyOption = None,
) -> None:
    """Write a price list as CSV, as an import takes it."""

    async def work(api: Api) -> bytes:
        listed = await _found(api, name)
        pieces: list[bytes] = []
        query = {} if version is None else {"version": str(version)}
        await api.download(f"/v1/price_lists/{listed['id']}/export", pieces.append, **query)
        return b"".join(pieces)

    data = talk(work, url, key)
    if to is None:
        out.print(data.decode(), end="", markup=False)
        return
    draft = to.with_name(to.name + ".part")  # the file appears when it is whole
    draft.write_bytes(data)
    draft.replace(to)


@app.command()
def versions(
    name: Annotated[str, typer.Argument(help="The price list, by name or id.")],
    url: UrlOption = URL,
    key: KeyOption = None,
) -> None:
    """List the versions of a price list."""

    async def work(api: Api) -> list[dict[str, Any]]:
        listed = await _found(api, name)
        return list((await api.get(f"/v1/price_lists/{listed['id']}/versions"))["data"])

    table = Table(Column("version", justify="right"), "since", Column("rows", justify="right"), "by", "note", box=None)
    for one in talk(work, url, key):
        table.add_row(
            str(one["version"]), one["created_at"], f"{one['rows']:,}", *map(escape, (one["actor"], one["note"]))
        )
    out.print(table)


@app.command()
def restore(
    name: Annotated[str, typer.Argument(help="The price list, by name or id.")],
    version: Annotated[int, typer.Argument(min=1, help="The version to put in force again.")],
    url: UrlOption = URL,
    key: KeyOption = None,
) -> None:
    """Put an older version in force again, as a new one."""

    async def work(api: Api) -> dict[str, Any]:
        listed = await _found(api, name)
        return dict(await api.post(f"/v1/price_lists/{listed['id']}/restore", {"version": version}))

    done = talk(work, url, key)
    out.print(f"{done['name']}: version {done['version']} with {done['rows']:,} rows is in force.", markup=False)


@app.command()
def fx(
    file: Annotated[
        Path, typer.Argument(help="CSV: the ECB's reference rates, or day,base,quote,rate,source.", exists=True)
    ],
    base: Annotated[str | None, typer.Option(help="Of a file with a column a currency; default: EUR.")] = None,
    source: Annotated[str | None, typer.Option(help="Who published it; default: the ECB.")] = None,
    url: UrlOption = URL,
    key: KeyOption = None,
) -> None:
    """Add rates of exchange."""
    data = file.read_bytes()
    done = talk(lambda api: api.upload("/v1/fx_rates", data, _CSV, base=base, source=source), url, key)
    out.print(f"{done['rates']:,} rates of {done['first_day']} to {done['last_day']}: {done['source']}", markup=False)


# -- asking --------------------------------------------------------------------------------------------------------


async def _lists(api: Api) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    cursor = None
    while True:
        page = await api.get("/v1/price_lists", limit=500, cursor=cursor)
        found += page["data"]
        if not page["has_more"]:
            return found
        cursor = page["next_cursor"]


async def _found(api: Api, name: str) -> dict[str, Any]:
    """The list of that name or id."""
    lists = await _lists(api)
    for one in lists:
        if name in (one["name"], one["id"]):
            return one
    fail(f"There is no price list {name}; there are: {', '.join(one['name'] for one in lists) or 'none'}.")


async def _previewed(
    api: Api,
    listed: dict[str, Any],
    data: bytes,
    mode: str,
    valid_from: str | None,
    sheet: str | None,
    column: list[str] | None,
) -> dict[str, Any]:
    since = f"{valid_from}T00:00:00Z" if valid_from is not None and len(valid_from) == 10 else valid_from
    kind = _XLSX if data.startswith(b"PK") else _CSV
    path = f"/v1/price_lists/{listed['id']}/rates/preview"
    if column:
        from urllib.parse import urlencode

        path += "?" + urlencode([("column", one) for one in column])
    return dict(await api.upload(path, data, kind, mode=mode, valid_from=since, sheet=sheet))


def _tell(seen: dict[str, Any]) -> None:
    """What a file would do; with faults the process ends with 1."""
    for fault in seen["faults"]:
        place = f"line {fault['line']}" if fault["line"] else "file"
        column = f" {fault['column']}:" if fault["column"] else ""
        err.print(f"{place}:{column} {fault['message']} ({fault['code']})", markup=False)
    if seen["preview_digest"] is None:
        fail(f"{sum(seen['fault_counts'].values()):,} faults: nothing can be imported.")
    table = Table("", "country", "operator", "for", "from", "to", "was", "is", Column("%", justify="right"), box=None)
    for step in seen["changes"][:_SHOWN]:
        whom = " ".join(filter(None, (step["channel"], step["sender_kind"], step["purpose"])))
        times = ((step[name] or "")[:10] for name in ("valid_from", "valid_to"))
        cells = (step["kind"], step["country"] or "any", step["operator"] or "any", whom, *times)
        table.add_row(*cells, step["old"] or "", step["new"] or "", step["percent"] or "")
    if seen["changes"]:
        out.print(table)
    total = seen["added"] + seen["changed"] + seen["removed"]
    if total > _SHOWN:
        out.print(f"... and {total - _SHOWN:,} more")
    counts = f"{seen['added']:,} added, {seen['changed']:,} changed, {seen['removed']:,} removed"
    out.print(f"{counts}; {seen['rows']:,} rows afterwards.")
