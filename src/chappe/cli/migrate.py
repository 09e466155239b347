"""`chappe migrate`: the schema of the database."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import typer

from chappe.cli.runtime import ConfigOption
from chappe.cli.terminal import fail, out
from chappe.settings import Settings, SettingsError, load
from chappe.storage import StoreError, migrate

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
