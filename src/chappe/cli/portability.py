"""`chappe portability`: files of ported numbers, put in force on this machine under load."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Annotated, TypeVar

import typer
from rich.table import Column, Table

from chappe import lookups
from chappe.cli.progress import Bars
from chappe.cli.ranges import CountryOption, pairs
from chappe.cli.runtime import ConfigOption, run
from chappe.cli.terminal import err, fail, out
from chappe.lookups.portability import Columns, Faulty, Files, Index, Origin, PortabilityError
from chappe.runtime import Runtime
from chappe.tabular import Column as Named
from chappe.tabular import Table as Csv

T = TypeVar("T")

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)


@app.command(name="import")
def import_(
    file: Annotated[Path, typer.Argument(help="CSV of ported numbers.", dir_okay=False, exists=True)],
    country: CountryOption,
    number: Annotated[str | None, typer.Option(help="Column of the number: its header, or its place from 1.")] = None,
    operator: Annotated[
        list[str] | None, typer.Option(help="Column of the operator; twice for one of MCC and one of MNC.")
    ] = None,
    date_: Annotated[str | None, typer.Option("--date", help="Column of the date of porting.")] = None,
    action: Annotated[
        str | None, typer.Option(help="Column that says what is added and what taken away: the file has changes only.")
    ] = None,
    means: Annotated[
        list[str] | None, typer.Option("--means", help="CODE=MCCMNC: what the file calls an operator; may be repeated.")
    ] = None,
    operators: Annotated[
        Path | None, typer.Option(help="CSV of two columns, code and mccmnc: the same in a file.", exists=True)
    ] = None,
    day: Annotated[str | None, typer.Option(help="The day that the file tells of, 2027-01-31; default: today.")] = None,
    source: Annotated[str | None, typer.Option(help="Where it comes from; default: the file's name.")] = None,
    complete: Annotated[
        bool, typer.Option("--complete", help="It has all ported mobiles: what is not in it was not ported.")
    ] = False,
    national: Annotated[
        bool, typer.Option("--national", help="Numbers are written as dialled in the country.")
    ] = False,
    max_faults: Annotated[int, typer.Option(min=0, help="Broken lines that are left out, their numbers in doubt.")] = 0,
    config: ConfigOption = None,
) -> None:
    """Put a file of ported numbers in force. Look-ups go on meanwhile; with too many faults nothing changes."""
    columns = Columns(
        number=_place(number), operator=_places(operator), date=_place(date_), action=_place(action), national=national
    )
    told_of, named = _day(day), source or file.name
    codes = _codes(operators) | pairs(means, "--means")

    def change(files: Files, bars: Bars) -> Index:
        size = file.stat().st_size

        def progress(_rows: int, octets: int) -> None:
            bars.show("reading", octets, size)

        if action is not None:
            files.amend(
                country.upper(),
                file,
                columns=columns,
                operators_map=codes,
                name=named,
                day=told_of,
                max_faults=max_faults,
                progress=progress,
            )
        else:
            files.replace(
                country.upper(),
                file,
                columns=columns,
                operators_map=codes,
                origin=Origin(source=named, date=told_of, complete=complete),
                max_faults=max_faults,
                progress=progress,
            )
        return _in_force(files, country)

    index = _change(change, config)
    out.print(f"{index.meta.numbers:,} ported numbers of {country.upper()} are in force, of {index.meta.origin.date}.")


@app.command()
def undo(country: CountryOption, config: ConfigOption = None) -> None:
    """Put the version before in force again."""
    index = _change(lambda files, _bars: files.undo(country.upper()), config)
    out.print(f"{index.meta.numbers:,} ported numbers of {country.upper()} are in force, of {index.meta.origin.date}.")


@app.command()
def remove(country: CountryOption, config: ConfigOption = None) -> None:
    """Forget the ported numbers of a country."""
    _change(lambda files, _bars: files.remove(country.upper()), config)
    out.print(f"The ported numbers of {country.upper()} are gone.")


@app.command(name="list")
def list_(config: ConfigOption = None) -> None:
    """List what is in force on this machine."""

    async def work(rt: Runtime) -> Table:
        files = await asyncio.to_thread(Files, lookups.portability_folder(rt.settings.data_dir))
        table = Table(
            "country",
            Column("numbers", justify="right"),
            "of",
            "source",
            "complete",
            Column("in doubt", justify="right"),
        )
        table.box = None
        for country in files.countries:
            meta = _in_force(files, country).meta
            complete = "yes" if meta.origin.complete else "no"
            day = meta.origin.date.isoformat()
            table.add_row(country, f"{meta.numbers:,}", day, meta.origin.source, complete, f"{meta.in_doubt:,}")
        for country, trouble in files.troubles.items():
            err.print(f"{country}: {trouble.message}", style="red", markup=False)
        return table

    out.print(run(work, config))


def _change(change: Callable[[Files, Bars], T], config: Path | None) -> T:
    """Change the files of this machine, then tell every node to look at its own."""

    async def work(rt: Runtime) -> T:
        files = await asyncio.to_thread(Files, lookups.portability_folder(rt.settings.data_dir))
        with Bars("octets") as bars:
            done = await asyncio.to_thread(change, files, bars)
        await lookups.tell_nodes(rt)
        return done

    try:
        return run(work, config)
    except Faulty as error:
        for fault in error.faults:
            err.print(f"line {fault.line}: {fault.column}: {fault.message}", markup=False)
        fail(error.message)
    except PortabilityError as error:
        fail(error.message)


def _in_force(files: Files, country: str) -> Index:
    index = files.index(country.upper())
    assert index is not None, f"{country} was put in force a moment ago"
    return index


def _place(column: str | None) -> str | int | None:
    return int(column) if column is not None and column.isdecimal() else column


def _places(columns: list[str] | None) -> str | int | tuple[str | int, str | int] | None:
    places = [place for place in map(_place, columns or ()) if place is not None]
    if len(places) > 2:
        fail("--operator is given once, or twice for one column of MCC and one of MNC.")
    return (places[0], places[1]) if len(places) == 2 else places[0] if places else None


def _day(text: str | None) -> date:
    try:
        return date.fromisoformat(text) if text is not None else datetime.now(UTC).date()
    except ValueError:
        fail(f"--day {text}: write it like 2027-01-31.")


def _codes(file: Path | None) -> dict[str, str]:
    """What a portability body calls the operators, from a table of code and mccmnc."""
    if file is None:
        return {}
    with file.open("rb") as source:
        table = Csv(source, (Named("code", ("rn", "spn", "name", "operator")), Named("mccmnc", ("mcc-mnc", "plmn"))))
        found = {code: mccmnc for _line, (code, mccmnc) in table}
        for fault in table.faults:
            err.print(f"{file}:{fault.line}: {fault.message}", markup=False)
    if len(table.faults):
        fail(f"{file} cannot be used; nothing was changed.")
    return found
