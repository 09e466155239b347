"""`chappe consent`: prove that the ledger of consents is whole, take it along, bring in what was gathered before."""

from __future__ import annotations

import asyncio
import csv
import io
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, BinaryIO

import typer

from chappe.cli.client import URL, Api, ApiError, KeyOption, NotThere, UrlOption, talk
from chappe.cli.progress import Bars
from chappe.cli.runtime import ConfigOption, run
from chappe.cli.terminal import err, fail, out

if TYPE_CHECKING:
    from chappe.consent import Head, Verdict
    from chappe.consent.importing import Reading
    from chappe.runtime import Runtime
    from chappe.tabular import Faults, Source

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)

_PIECE = 2_000  # rows a request
_PAUSES_S = (1.0, 5.0)

AccountOption = Annotated[str, typer.Option("--account", help="Of this account: its id, acc_..., or its slug.")]
TestOption = Annotated[bool, typer.Option("--test", help="What test keys have said.")]


# -- proving -------------------------------------------------------------------------------------------------------


@app.command()
def verify(
    export: Annotated[
        Path | None,
        typer.Option("--export", help="Verify this export, with nothing but the file.", dir_okay=False, exists=True),
    ] = None,
    account: Annotated[
        str | None, typer.Option("--account", help="Only this account: its id, acc_..., or its slug.")
    ] = None,
    head: Annotated[
        str | None, typer.Option(help="A hash that was kept earlier: the export has to contain it.")
    ] = None,
    unsealed: Annotated[
        float, typer.Option(min=0, help="Seconds after which an entry has to have its place in the chain.")
    ] = 60.0,
    as_json: Annotated[bool, typer.Option("--json", help="Write the verdicts as JSON.")] = False,
    config: ConfigOption = None,
) -> None:
    """Prove that no consent was changed, left out, moved or put in between; also while Chappe serves.

    Ends with 1 and the first broken place if one was.
    """
    if export is not None:
        if account is not None:
            fail("--account is of the database; an export is of one account.")
        verdicts = [_verify_file(export, _hash(head))]
    else:
        if head is not None:
            fail("--head goes with --export.")

        async def work(rt: Runtime) -> list[Verdict]:
            return await _verify(rt, account, unsealed)

        verdicts = run(work, config)
    if as_json:
        typer.echo(json.dumps([_plain(one) for one in verdicts], indent=2))
    else:
        _tell(verdicts)
    if any(one.fault is not None for one in verdicts):
        raise typer.Exit(1)


@app.command(name="export")
def export_(
    account: AccountOption,
    to: Annotated[Path | None, typer.Option("--out", help="Write to this file; default: here.", dir_okay=False)] = None,
    test: TestOption = False,
    config: ConfigOption = None,
) -> None:
    """Write the ledger of an account, with its proofs, as lines of JSON."""

    async def work(rt: Runtime) -> None:
        from chappe import consent

        number = _number(rt, account)
        total = (await consent.head(rt, number, test)).sequence
        with _target(to) as target, Bars("entries") as bars:
            done = -1  # the header
            async for lines in consent.export(rt, number, test):
                target.write(lines)
                done += lines.count(b"\n")
                bars.show("writing", done, max(total, done))

    run(work, config)
    if to is not None:
        err.print(f"written to {to}", markup=False)


@app.command(name="head")
def head_(account: AccountOption, test: TestOption = False, config: ConfigOption = None) -> None:
    """Print the end of an account's chain, its number and hash: whoever keeps the hash can prove the ledger later."""

    async def work(rt: Runtime) -> Head:
        from chappe import consent

        await consent.seal(rt)
        return await consent.head(rt, _number(rt, account), test)

    end = run(work, config)
    out.print(f"{end.sequence} {end.hash.hex()}")


async def _verify(rt: Runtime, account: str | None, unsealed: float) -> list[Verdict]:
    from chappe import consent

    only = None if account is None else [_number(rt, account)]
    try:
        consent.persons(rt)
    except KeyError:
        await consent.start(rt)
    with Bars("entries") as bars:
        return await consent.verify(
            rt, only, unsealed_s=unsealed, tell=lambda done, total: bars.show("verifying", done, total)
        )


def _verify_file(file: Path, head: bytes | None) -> Verdict:
    from chappe.consent.verifying import MOST_LINE, verify_export

    size = file.stat().st_size
    with file.open("rb") as source, Bars("octets") as bars:
        lines: Iterator[bytes] = iter(lambda: source.readline(MOST_LINE + 1), b"")
        return verify_export(lines, head, lambda octets: bars.show("verifying", octets, size))


def _hash(text: str | None) -> bytes | None:
    if text is None:
        return None
    try:
        octets = bytes.fromhex(text.strip())
    except ValueError:
        octets = b""
    if len(octets) != 32:
        fail("--head is a hash of 64 hexadecimal digits, as `chappe consent head` prints it.")
    return octets


def _tell(verdicts: list[Verdict]) -> None:
    if not verdicts:
        out.print("No consent was ever recorded.")
    for one in verdicts:
        which = f"{one.account}{' (test)' if one.test else ''}" or "this file"
        if one.fault is not None:
            held = f"{one.entries:,} entries hold, then " if one.entries else ""
            err.print(f"{which}: {held}{one.fault.words} ({one.fault.code})", style="red", markup=False)
            continue
        erased = f", {one.erased:,} erased with their persons" if one.erased else ""
        out.print(f"{which}: {one.entries:,} entries hold, {one.proofs:,} with their proof{erased}.", markup=False)
        out.print(f"  head {one.head.sequence} {one.head.hash.hex()}")


def _plain(one: Verdict) -> dict[str, Any]:
    return {
        "account": one.account,
        "test": one.test,
        "entries": one.entries,
        "proofs": one.proofs,
        "erased": one.erased,
        "sequence": one.head.sequence,
        "hash": one.head.hash.hex(),
        "fault": None if one.fault is None else one.fault._asdict(),
    }


def _number(rt: Runtime, account: str) -> int:
    from chappe import accounts, ids

    known = accounts.directory(rt)
    number = ids.parse("acc", account)
    found = known.account(number) if number is not None else known.by_slug(account)
    if found is None:
        fail(f"There is no account {account}.")
    return found.id


@contextmanager
def _target(file: Path | None) -> Iterator[BinaryIO]:
    """A file that appears when it is whole, or standard output."""
    if file is None:
        with os.fdopen(os.dup(1), "wb") as stream:
            yield stream
        return
    draft = file.with_name(file.name + ".part")
    with draft.open("wb") as stream:
        yield stream
    draft.replace(file)


# -- importing -----------------------------------------------------------------------------------------------------


@app.command(name="import")
def import_(
    file: Annotated[Path, typer.Argument(help="CSV or Excel (.xlsx) with a header.", dir_okay=False, exists=True)],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check the file, and record nothing.")] = False,
    skip_faulty: Annotated[
        bool, typer.Option("--skip-faulty", help="Record the good rows although others are faulty.")
    ] = False,
    column: Annotated[
        list[str] | None,
        typer.Option("--column", help="person=Phone: where a column is, by header or place from 1; may be repeated."),
    ] = None,
    sheet: Annotated[str | None, typer.Option(help="The sheet of a workbook; default: its first.")] = None,
    country: Annotated[str | None, typer.Option(help="How national numbers are read: FR.")] = None,
    account: Annotated[
        str | None, typer.Option("--account", help="For this account, acc_...; default: the key's.")
    ] = None,
    url: UrlOption = URL,
    key: KeyOption = None,
) -> None:
    """Import consents with their proof, through the API of a running Chappe.

    The whole file is checked first; with a faulty row nothing is recorded. An import that was cut short is run again:
    what the ledger has already is passed over.
    """
    table = _table(file, sheet)
    places = _places(column)
    with Bars("octets") as bars:
        checking = _reading(table, country, places)
        good = _check(checking, lambda octets: bars.show("checking", octets, _size(table)))
    _tell_faults(checking.faults)
    if len(checking.faults) and not skip_faulty:
        fail(f"Nothing was recorded: {len(checking.faults):,} faults in {checking.rows:,} rows.")
    if dry_run:
        out.print(f"{good:,} of {checking.rows:,} rows are good; nothing was recorded.")
        return
    recorded = known = 0

    async def work(api: Api) -> None:
        nonlocal recorded, known
        with Bars("rows") as bars:
            for piece in _pieces(_reading(table, country, places)):
                done = await _upload(api, piece, account)
                recorded += done["recorded"]
                known += done["known"]
                bars.show("recording", recorded + known, good)

    try:
        talk(work, url, key)
    except typer.Exit:
        if recorded:
            err.print(f"{recorded:,} rows are recorded. Run the same import again: they are passed over.")
        raise
    also = f", {known:,} were in the ledger already" if known else ""
    out.print(f"{recorded:,} consents are recorded{also}.")


async def _upload(api: Api, piece: bytes, account: str | None) -> dict[str, Any]:
    """One piece, with another try or two where the answer was lost: a piece may come twice."""
    for pause_s in _PAUSES_S:
        try:
            return await _uploaded(api, piece, account)
        except (NotThere, ApiError) as error:
            if isinstance(error, ApiError) and error.status != 503:
                raise
        await asyncio.sleep(pause_s)
    return await _uploaded(api, piece, account)


async def _uploaded(api: Api, piece: bytes, account: str | None) -> dict[str, Any]:
    return dict(await api.upload("/v1/consents/import", piece, "text/csv", account_id=account))


def _table(file: Path, sheet: str | None) -> bytes | Path:
    """The file itself, or the rows of a workbook."""
    with file.open("rb") as source:
        if not source.read(4).startswith(b"PK\x03\x04"):
            return file
    from chappe.billing.rating import csv_of

    found = asyncio.run(csv_of(file.read_bytes(), sheet))
    if not isinstance(found, bytes):
        fail(found.message)
    return found


def _size(table: bytes | Path) -> int:
    return len(table) if isinstance(table, bytes) else table.stat().st_size


def _places(column: list[str] | None) -> dict[str, str | int]:
    from chappe.consent.importing import places
    from chappe.errors import Refused

    try:
        return places(column or ())
    except Refused as error:
        fail(error.message)


def _reading(table: bytes | Path, country: str | None, places: dict[str, str | int]) -> Reading:
    """As the server will read it; whose it is does not matter here."""
    import time

    from chappe.consent.importing import Reading

    source: Source = table if isinstance(table, bytes) else table.open("rb")
    now = time.time_ns() // 1_000_000
    return Reading(source, account_id=0, test=False, actor="", now=now, country=country, mapping=places)


def _check(reading: Reading, tell: Any) -> int:
    from chappe.consent.importing import check

    return check(reading, tell)


def _tell_faults(faults: Faults) -> None:
    for fault in faults:
        where = f"line {fault.line}: " if fault.line else ""
        err.print(f"{where}{fault.column + ': ' if fault.column else ''}{fault.message}", markup=False)
    more = len(faults) - len(faults.first)
    if more:
        err.print(f"and {more:,} more")


def _pieces(reading: Reading) -> Iterator[bytes]:
    """The good rows as CSV that needs no guessing: our names of the columns, numbers in E.164."""
    from chappe.consent.importing import NAMES

    rows = ((entry.proof.person, *cells[1:]) for _line, cells, entry in reading)
    while some := list(islice(rows, _PIECE)):
        text = io.StringIO()
        csv.writer(text).writerows([NAMES, *some])
        yield text.getvalue().encode()
