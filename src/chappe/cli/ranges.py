"""`chappe ranges`: which operator numbers were first given to, as regulators publish it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Column, Table

from chappe import lookups
from chappe.cli.runtime import ConfigOption, actor, run
from chappe.cli.terminal import err, fail, out
from chappe.clock import rfc3339
from chappe.numbers.importing import read_ranges
from chappe.numbers.operators import operators
from chappe.runtime import Runtime

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)

CountryOption = Annotated[str, typer.Option("--country", help="ISO 3166 code of the country: FR.")]


@app.command(name="import")
def import_(
    file: Annotated[Path, typer.Argument(help="CSV of prefixes, or of numbers from-to.", dir_okay=False, exists=True)],
    country: CountryOption,
    source: Annotated[str | None, typer.Option(help="The document it comes from; default: the file's name.")] = None,
    column: Annotated[
        list[str] | None,
        typer.Option(help="NAME=HEADER or NAME=PLACE, of prefix, code, block, first, last, operator, region."),
    ] = None,
    operator: Annotated[
        list[str] | None, typer.Option(help="NAME=MCCMNC: what the file calls an operator; NAME= leaves it out.")
    ] = None,
    encoding: Annotated[str | None, typer.Option(help="Of the file; default: told from it.")] = None,
    config: ConfigOption = None,
) -> None:
    """Put the ranges of a country in force, in place of those before. A file with any fault changes nothing."""
    with file.open("rb") as table:
        found = read_ranges(
            table,
            operators=operators(),
            country=country.upper(),
            names=pairs(operator, "--operator"),
            mapping={name: int(to) if to.isdecimal() else to for name, to in pairs(column, "--column").items()},
            encoding=encoding,
        )
    if len(found.faults):
        for fault in found.faults:
            err.print(
                f"{file}:{fault.line}: {fault.column + ': ' if fault.column else ''}{fault.message}", markup=False
            )
        fail(f"{len(found.faults):,} faults; the ranges in force stay.")

    async def work(rt: Runtime) -> int:
        named = source or file.name
        return (await lookups.import_ranges(rt, actor(), country.upper(), named, found.ranges)).count

    out.print(f"{run(work, config):,} ranges of {country.upper()} are in force.")


@app.command(name="list")
def list_(config: ConfigOption = None) -> None:
    """List what was imported."""

    async def work(rt: Runtime) -> Table:
        table = Table("country", Column("ranges", justify="right"), "source", "imported", box=None)
        for country, known in sorted(lookups.range_tables(rt).items()):
            table.add_row(country, f"{known.count:,}", known.source, rfc3339(known.imported_at) or "")
        return table

    out.print(run(work, config))


@app.command()
def remove(country: CountryOption, config: ConfigOption = None) -> None:
    """Go back to the ranges that ship with Chappe."""

    async def work(rt: Runtime) -> None:
        await lookups.remove_ranges(rt, actor(), country.upper())

    run(work, config)
    out.print(f"The imported ranges of {country.upper()} are gone.")


def pairs(given: list[str] | None, option: str) -> dict[str, str]:
    """`NAME=VALUE` options; ends the process for others."""
    found = {}
    for text in given or ():
        name, equals, value = text.partition("=")
        if not name or not equals:
            fail(f"{option} {text}: write NAME=VALUE.")
        found[name] = value
    return found
