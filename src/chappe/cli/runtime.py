"""How a command comes to a runtime: settings, database, configuration; and how it tells what went wrong."""

from __future__ import annotations

import asyncio
import getpass
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, TypeVar

import typer

from chappe import declared
from chappe.cli.terminal import fail
from chappe.errors import Refused
from chappe.runtime import Runtime, open_runtime
from chappe.settings import Settings, SettingsError, load
from chappe.storage import Unavailable
from chappe.storage.errors import Invalid

T = TypeVar("T")

ConfigOption = Annotated[
    Path | None, typer.Option("--config", envvar="CHAPPE_CONFIG", help="Settings file (TOML).", dir_okay=False)
]


def actor() -> str:
    """Whom the audit log names."""
    try:
        return f"cli:{getpass.getuser()}"
    except (KeyError, OSError):  # no name for this uid
        return f"cli:{os.getuid()}"


def run(work: Callable[[Runtime], Awaitable[T]], config: Path | None) -> T:
    """Run `work` with the configuration loaded. What is refused or away ends the process with a message and 1."""
    try:
        settings = load(config, os.environ)
        try:
            return asyncio.run(_run(work, settings))
        except _Outdated:
            _migrate(settings)
            return asyncio.run(_run(work, settings))
    except SettingsError as error:
        fail("\n".join(error.problems))
    except Refused as error:
        fail(f"{error} {error.action}")
    except (Unavailable, OSError) as error:
        fail(f"The database does not answer: {error}")


class _Outdated(Exception):
    """The database lacks tables or columns of this version."""


async def _run(work: Callable[[Runtime], Awaitable[T]], settings: Settings) -> T:
    try:
        rt = await open_runtime(settings)
    except Invalid as error:
        raise _Outdated from error
    try:
        try:
            await declared.start(rt)
        except Invalid as error:
            raise _Outdated from error
        return await work(rt)
    finally:
        await rt.close()


def _migrate(settings: Settings) -> None:
    """A new database gets its tables; an old one waits for the operator's `chappe migrate`."""
    from chappe.storage import migrate  # half a second of imports that only a new database needs

    if migrate.current(settings.database) is not None:
        fail("The database has the tables of another version. Run `chappe migrate` first.")
    migrate.upgrade(settings.database)
