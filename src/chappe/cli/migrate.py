"""`chappe migrate`: the schema of the database."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, TypeVar

import typer
from rich.table import Table

from chappe.cli.progress import Bars
from chappe.cli.runtime import ConfigOption
from chappe.cli.terminal import fail, out
from chappe.settings import Settings, SettingsError, load
from chappe.storage import StoreError, migrate
from chappe.storage.copy import Report, Step, copy
from chappe.storage.exclusive import AlreadyServed

T = TypeVar("T")

app = typer.Typer(rich_markup_mode=None)


@app.callback(invoke_without_command=True)
def migrate_(context: typer.Context, config: ConfigOption = None) -> None:
    """Bring the database to this version's schema; `chappe serve` does the same when it starts.

    Migrations only add: the version before still runs on the new schema.
    """
    if context.invoked_subcommand is None:
        up(config)


@app.command()
def up(config: ConfigOption = None) -> None:
    """Apply the migrations that are pending, in one transaction."""
    settings = _settings(config)
    url = settings.database
    _told(lambda: settings.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True))
    waiting = _told(lambda: migrate.pending(url))
    _told(lambda: migrate.upgrade(url))
    if waiting:
        out.print(f"Applied {', '.join(waiting)}.")
    else:
        out.print(f"Nothing to do: the database is at {migrate.head()}.")


@app.command()
def status(config: ConfigOption = None) -> None:
    """Show the revision of the database, and what is pending; the exit status is 1 while something is."""
    url = _settings(config).database
    now, waiting = _told(lambda: migrate.current(url)), _told(lambda: migrate.pending(url))
    out.print(f"database: {now or 'empty'}\nprogram:  {migrate.head()}")
    if waiting:
        out.print(f"pending:  {', '.join(waiting)}; `chappe migrate` applies them.")
        raise typer.Exit(1)
    out.print("pending:  none")


@app.command("copy")
def copy_(
    to: Annotated[str, typer.Option(help="The new database, postgresql://...; it must be empty.")],
    from_: Annotated[
        str | None, typer.Option("--from", help="The embedded store, sqlite:///FILE; default: that of the settings.")
    ] = None,
    config: ConfigOption = None,
) -> None:
    """Copy the embedded store to PostgreSQL, and verify it by counts and checksums.

    Stop `chappe serve` first. A copy that broke off goes on where it stopped when the command is repeated.
    """
    source = from_ or _settings(config).database
    try:
        with Bars() as bars:
            report = asyncio.run(copy(source, to, lambda step: _show(bars, step)))
    except AlreadyServed as error:
        fail(f"{error}. Stop it first: a copy must not miss what comes meanwhile.")
    except (StoreError, OSError) as error:
        fail(f"Not copied: {error}.")
    _tell(report)


def _show(bars: Bars, step: Step) -> None:
    what = {"count": "counting", "copy": "copying", "verify": "verifying"}[step.phase]
    bars.show(f"{what} {step.table}", step.done, step.total)


def _tell(report: Report) -> None:
    finished = datetime.fromtimestamp(report.finished_at / 1000, UTC)
    if not report.tables:
        out.print(f"Nothing to do: this copy was finished at {finished:%Y-%m-%d %H:%M:%S} UTC.")
        return
    table = Table("table", "rows", "checksum, the same on both sides", box=None)
    table.columns[1].justify = "right"
    for copied in report.tables:
        table.add_row(copied.table, f"{copied.rows:,}", copied.checksum)
    out.print(table)
    rows = sum(copied.rows for copied in report.tables)
    out.print(
        f"Copied and verified: {rows:,} rows in {len(report.tables)} tables. "
        "Set `database` to the new address, keep the secret key, and start `chappe serve`. "
        "Never serve the old store again: it would send once more what the new one sends."
    )


def _settings(config: Path | None) -> Settings:
    try:
        return load(config, os.environ)
    except SettingsError as error:
        fail("\n".join(error.problems))


def _told(work: Callable[[], T]) -> T:
    try:
        return work()
    except (StoreError, OSError) as error:
        fail(f"The database cannot be migrated: {error}")
