"""`chappe opt-outs`: who is not to be written to, through the API of a running Chappe."""

from __future__ import annotations

import asyncio
import csv
import io
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal
from urllib.parse import urlencode

import typer
from rich.markup import escape
from rich.table import Column, Table

from chappe.cli.client import URL, Api, KeyOption, UrlOption, talk
from chappe.cli.progress import Bars
from chappe.cli.terminal import err, fail, out

if TYPE_CHECKING:
    from chappe.consent.suppressions import Defaults, Rows, Wanted

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)

_PART = 10_000  # rows of a file that are handed in at once, or
_PART_SIZE = 200_000  # characters: well below what a server takes (`limits.body_bytes`)
_LOOK_EVERY = 20_000  # rows between two looks at how far a check is
_LISTS = "/v1/suppression_lists"

Channel = Literal["any", "sms", "whatsapp", "viber", "telegram", "rcs", "email", "push", "voice"]
Scope = Literal["account", "brand", "sender", "country"]
Cover = Literal["marketing", "all_but_otp", "all"]
Reason = Literal["opt_out", "complaint", "disconnected", "erased", "list", "operator"]
OperatorReason = Literal["complaint", "disconnected", "operator"]

EveryoneOption = Annotated[bool, typer.Option("--everyone", help="What the operator forbids all accounts.")]
AccountOption = Annotated[str | None, typer.Option("--account", help="For another account, acc_...; operators only.")]
ListOption = Annotated[str | None, typer.Option("--list", help="The list, by name.")]
ChannelOption = Annotated[Channel, typer.Option(help="The channel that they refuse.")]
ScopeOption = Annotated[Scope, typer.Option(help="What of: the whole account, or a --value of this kind.")]
ValueOption = Annotated[str, typer.Option(help="The brand, sender or country.")]
CoversOption = Annotated[Cover | None, typer.Option(help="Which purposes; default: as the reason has it.")]
NoteOption = Annotated[str, typer.Option(help="How you know.")]
ExpiresOption = Annotated[str | None, typer.Option("--expires", help="The last day, or a time with an offset.")]
WhyOption = Annotated[OperatorReason | None, typer.Option("--reason", help="How the operator knows.")]


@app.command(name="list")
def list_(
    person: Annotated[str | None, typer.Option(help="A number, mail:..., push:... or alias:...")] = None,
    reason: Annotated[Reason | None, typer.Option(help="Only for this reason.")] = None,
    name: ListOption = None,
    channel: Annotated[Channel | None, typer.Option(help="Only of this channel.")] = None,
    scope: Annotated[Scope | None, typer.Option(help="Only of this scope.")] = None,
    source: Annotated[str | None, typer.Option(help="Only from there: api, keyword, page, import, ...")] = None,
    limit: Annotated[int, typer.Option(min=1, max=500, help="How many, the newest first.")] = 50,
    everyone: EveryoneOption = False,
    account: AccountOption = None,
    url: UrlOption = URL,
    key: KeyOption = None,
) -> None:
    """List who is not to be written to, and why."""
    query = {"person": person, "reason": reason, "list": name, "channel": channel, "scope": scope, "source": source}
    path = _path("/v1/opt_outs", **query, limit=limit, everyone=everyone, account_id=account)
    found = talk(lambda api: api.get(path), url, key)
    table = Table("id", "person", "channel", "of", "covers", "reason", "source", "list", "since", "until", box=None)
    for one in found["data"]:
        of = f"{one['scope']} {one['value']}".strip()
        cells = (one["person"] or "(forgotten)", one["channel"], of, one["covers"], one["reason"], one["source"])
        table.add_row(
            one["id"], *map(escape, cells), escape(one["list"] or ""), one["created_at"], one["expires_at"] or ""
        )
    out.print(table)
    if found["has_more"]:
        err.print("There are more: narrow it down, or `chappe opt-outs export`.")


@app.command()
def add(
    persons: Annotated[list[str], typer.Argument(help="Numbers, mail:..., push:... or alias:...")],
    channel: ChannelOption = "any",
    scope: ScopeOption = "account",
    value: ValueOption = "",
    covers: CoversOption = None,
    note: NoteOption = "",
    expires: ExpiresOption = None,
    name: ListOption = None,
    reason: WhyOption = None,
    everyone: EveryoneOption = False,
    account: AccountOption = None,
    url: UrlOption = URL,
    key: KeyOption = None,
) -> None:
    """Record that persons are not to be written to."""
    what = {"channel": channel, "scope": scope, "value": value, "note": note}
    what |= {n: v for n, v in {"covers": covers, "expires_at": expires, "list": name}.items() if v is not None}
    body: dict[str, Any] = {"opt_outs": [{"person": person, **what} for person in persons], "everyone": everyone}
    if reason is not None:
        body["reason"] = reason
    done = talk(lambda api: api.post(_path("/v1/opt_outs", account_id=account), body), url, key)
    for item in done["data"]:
        if "error" in item:
            err.print(f"{persons[item['index']]}: {item['error']['message']}", markup=False, style="red")
        else:
            out.print(f"{item['id']}  {persons[item['index']]}  {item['status']}", markup=False)
    if done["refused"]:
        raise typer.Exit(1)


@app.command()
def remove(
    id: Annotated[str | None, typer.Argument(help="One opt-out: opt_...", show_default=False)] = None,
    name: Annotated[str | None, typer.Option("--list", help="Instead: a whole list, by name.")] = None,
    reason: Annotated[str, typer.Option(help="Why; the operator has to say it.")] = "",
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask before a list goes.")] = False,
    everyone: EveryoneOption = False,
    account: AccountOption = None,
    url: UrlOption = URL,
    key: KeyOption = None,
) -> None:
    """Lift an opt-out, or delete a list. What a person said is taken back by a new consent only."""
    if (id is None) == (name is None):
        fail("Give the id of an opt-out, or --list NAME.")
    if id is not None:
        talk(lambda api: api.delete(_path(f"/v1/opt_outs/{id}", reason=reason, account_id=account)), url, key)
        out.print(f"{id} is lifted.", markup=False)
        return
    found = talk(lambda api: _list_named(api, str(name), everyone, account), url, key)
    if found is None:
        fail(f"There is no list {name}.")
    if not yes and not typer.confirm(f"Delete {name} with its {found['size']:,} rows?", err=True):
        raise typer.Exit(1)
    talk(lambda api: api.delete(_path(f"{_LISTS}/{found['id']}", account_id=account)), url, key)
    out.print(f"{name} is being deleted; what persons said themselves stays.", markup=False)


@app.command(name="import")
def import_(
    file: Annotated[Path, typer.Argument(help="CSV, Excel (.xlsx), or a number a line.", dir_okay=False, exists=True)],
    name: Annotated[str | None, typer.Option("--list", help="The list; it is made where it is missing.")] = None,
    channel: ChannelOption = "any",
    scope: ScopeOption = "account",
    value: ValueOption = "",
    covers: CoversOption = None,
    note: NoteOption = "",
    expires: ExpiresOption = None,
    country: Annotated[str | None, typer.Option(help="Read national numbers as dialled there: FR.")] = None,
    column: Annotated[
        list[str] | None,
        typer.Option(help="person=Mobile: where a column is, by header or place from 1; may be repeated."),
    ] = None,
    sheet: Annotated[str | None, typer.Option(help="The sheet of a workbook; default: its first.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check the file, and change nothing.")] = False,
    reason: WhyOption = None,
    everyone: EveryoneOption = False,
    account: AccountOption = None,
    url: UrlOption = URL,
    key: KeyOption = None,
) -> None:
    """Put the persons of a file on a list. A file with any fault changes nothing; the same file again neither.

    The file is checked to its end first, then handed in by parts; what breaks off is begun again."""
    called = name or (reason if everyone and reason else None)
    if called is None:
        fail("Say which list: --list NAME.")
    reading = _Reading(file, sheet, country, column, channel, scope, value, covers, expires, note)
    with Bars("bytes") as bars:
        count = reading.check(bars)
    if dry_run:
        out.print(f"{count:,} rows, no fault. Nothing was changed.")
        return

    async def work(api: Api) -> tuple[int, int]:
        found = await _list_named(api, called, everyone, account)
        if found is None:
            new: dict[str, Any] = {"name": called, "everyone": everyone, "note": f"From {file.name}."[:500]}
            new |= {} if reason is None else {"reason": reason}
            found = await api.post(_path(_LISTS, account_id=account), new)
        done = added = 0
        path = _path(f"{_LISTS}/{found['id']}/import", account_id=account)
        with Bars() as bars:
            for part, rows in _parts(reading.rows()):
                told = await api.upload(path, part, "text/csv")
                done, added = done + rows, added + told["added"]
                bars.show("importing", done, count)
        return done, added

    done, added = talk(work, url, key)
    out.print(f"{called}: {done:,} rows, {added:,} of them new.", markup=False)


@app.command()
def export(
    to: Annotated[Path | None, typer.Option("--out", help="Where to write it; default: here.")] = None,
    name: ListOption = None,
    reason: Annotated[Reason | None, typer.Option(help="Only for this reason.")] = None,
    everyone: EveryoneOption = False,
    account: AccountOption = None,
    url: UrlOption = URL,
    key: KeyOption = None,
) -> None:
    """Write opt-outs as CSV, as an import takes it."""
    path = _path("/v1/opt_outs/export", list=name, reason=reason, everyone=everyone, account_id=account)
    if to is None:
        talk(lambda api: api.download(path, lambda piece: out.file.write(piece.decode())), url, key)
        return
    draft = to.with_name(to.name + ".part")  # the file appears when it is whole
    with draft.open("wb") as target:
        talk(lambda api: api.download(path, target.write), url, key)
    draft.replace(to)


@app.command()
def lists(
    everyone: EveryoneOption = False,
    account: AccountOption = None,
    url: UrlOption = URL,
    key: KeyOption = None,
) -> None:
    """List suppression lists, and how long they are."""
    table = Table(
        "name", Column("rows", justify="right"), "reason", "covers", "until", "made", "imported", "note", box=None
    )
    for one in talk(lambda api: _lists(api, everyone, account), url, key):
        size = f"{one['size']:,}" if one["status"] == "active" else f"{one['size']:,} going"
        times = (one["expires_at"] or "", one["created_at"], one["imported_at"] or "")
        table.add_row(one["name"], size, one["reason"], one["covers"], *times, escape(one["note"]))
    out.print(table)


# -- asking --------------------------------------------------------------------------------------------------------


def _path(path: str, **query: Any) -> str:
    """With a query of what is said."""
    said = {name: "true" if value is True else value for name, value in query.items() if value not in (None, False, "")}
    return f"{path}?{urlencode(said)}" if said else path


async def _lists(api: Api, everyone: bool, account: str | None) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    cursor = None
    while True:
        page = await api.get(_path(_LISTS, limit=500, cursor=cursor, everyone=everyone, account_id=account))
        found += page["data"]
        cursor = page["next_cursor"]
        if cursor is None:
            return found


async def _list_named(api: Api, name: str, everyone: bool, account: str | None) -> dict[str, Any] | None:
    for one in await _lists(api, everyone, account):
        if one["name"] == name:
            return one
    return None


# -- files ---------------------------------------------------------------------------------------------------------


class _Reading:
    """A file and how it is read; `check` goes through it once, `rows` again, in bounded memory."""

    def __init__(
        self,
        file: Path,
        sheet: str | None,
        country: str | None,
        column: list[str] | None,
        channel: Channel,
        scope: Scope,
        value: str,
        covers: Cover | None,
        expires: str | None,
        note: str,
    ) -> None:
        from chappe.consent import suppressions
        from chappe.errors import Refused

        self._file = file
        self._now = time.time_ns() // 1_000_000
        self._mapping = _mapping(column or [], suppressions.NAMES)
        try:
            self._defaults: Defaults = suppressions.Defaults(
                channel,
                scope,
                suppressions.check_scope(scope, value),
                covers,
                None if expires is None else suppressions.expiry(expires, self._now),
                note,
                None if country is None else country.upper(),
            )
        except Refused as refused:
            fail(f"{refused} {refused.action}")
        self._data = _of_workbook(file, sheet)

    def check(self, bars: Bars) -> int:
        """How many rows there are. Ends the process with every fault by its line."""
        with self._open() as source:
            rows, count = self._rows(source), 0
            total = self._file.stat().st_size if self._data is None else len(self._data)
            for count, _ in enumerate(rows, 1):
                if count % _LOOK_EVERY == 0:
                    bars.show("checking", rows.bytes_read, total)
        for fault in rows.faults:
            place = f"{self._file}:{fault.line}: {fault.column}".rstrip(": ")
            err.print(f"{place}: {fault.message}", markup=False)
        if len(rows.faults):
            fail(f"{len(rows.faults):,} faults; nothing was changed.")
        return count

    def rows(self) -> Iterator[Wanted]:
        with self._open() as source:
            yield from self._rows(source)

    def _open(self) -> Any:
        return self._file.open("rb") if self._data is None else io.BytesIO(self._data)

    def _rows(self, source: Any) -> Rows:
        from chappe.consent import suppressions

        return suppressions.Rows(source, self._now, self._defaults, mapping=self._mapping)


def _of_workbook(file: Path, sheet: str | None) -> bytes | None:
    """A workbook's sheet as CSV; None for a file that is text already."""
    with file.open("rb") as source:
        if source.read(4) != b"PK\x03\x04":
            return None
    from chappe.billing.rating import csv_of

    rows = asyncio.run(csv_of(file.read_bytes(), sheet))
    if not isinstance(rows, bytes):
        fail(f"{file}: {rows.message}")
    return rows


def _mapping(columns: list[str], names: tuple[str, ...]) -> dict[str, str | int]:
    found: dict[str, str | int] = {}
    for text in columns:
        name, _, place = text.partition("=")
        if name not in names or not place:
            fail(f"--column {text}: write NAME=HEADER or NAME=PLACE; the names are {', '.join(names)}.")
        found[name] = int(place) if place.isdecimal() and len(place) < 5 else place
    return found


def _parts(rows: Iterable[Wanted]) -> Iterator[tuple[bytes, int]]:
    """Rows as CSV, so many at a time, and how many."""
    from chappe.clock import rfc3339

    text, held = io.StringIO(), 0
    writer = csv.writer(text, lineterminator="\n")
    for one in rows:
        if not held:
            writer.writerow(("person", "channel", "scope", "value", "covers", "expires_at", "note"))
        writer.writerow((*one[:4], one.covers, rfc3339(one.expires_at), one.note))
        held += 1
        if held == _PART or text.tell() > _PART_SIZE:
            yield text.getvalue().encode(), held
            text.seek(0)
            text.truncate()
            held = 0
    if held:
        yield text.getvalue().encode(), held
