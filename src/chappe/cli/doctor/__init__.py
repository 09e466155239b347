"""`chappe doctor`: is everything as it must be, and if not, what to do."""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import typer
from rich.text import Text

from chappe.cli.doctor import database, machine, running
from chappe.cli.doctor.finding import Finding, ok
from chappe.cli.doctor.finding import fail as failing
from chappe.cli.runtime import ConfigOption
from chappe.cli.terminal import out
from chappe.settings import Settings, SettingsError, load

_COLOURS = {"ok": "green", "warn": "yellow", "fail": "red"}


def command(config: ConfigOption = None) -> None:
    """Look at settings, files, database, clock, limits, ports and links, and say what to do.

    The exit status is 1 if something fails; warnings leave it 0.
    """
    try:
        settings = load(config, os.environ)
    except SettingsError as error:
        for problem in error.problems:
            _show(failing("settings", problem, "See docs/reference/settings.md."))
        raise typer.Exit(1) from None
    _show(ok("settings", _source(config)))
    raise typer.Exit(asyncio.run(_examine(settings)))


async def _examine(settings: Settings) -> int:
    counts: Counter[str] = Counter()
    async for finding in _findings(settings):
        _show(finding)
        counts[finding.verdict] += 1
    out.print(f"\n{counts['fail']} failed, {counts['warn']} warnings, {counts['ok'] + 1} fine.")
    return 1 if counts["fail"] else 0


async def _findings(settings: Settings) -> AsyncIterator[Finding]:
    for finding in machine.folder(settings):
        yield finding
    yield machine.clock()
    yield machine.files()
    yield machine.interpreter()
    async for finding in database.look(settings):
        yield finding
    async for finding in running.look(settings):
        yield finding


def _source(config: Path | None) -> str:
    names = [name for name in os.environ if name.startswith("CHAPPE_") and name != "CHAPPE_CONFIG"]
    source = f"from {config}" if config else "defaults"
    return source + (f" and {', '.join(sorted(names))}" if names else "")


def _show(finding: Finding) -> None:
    verdict = (f"{finding.verdict:<4}  ", f"bold {_COLOURS[finding.verdict]}")
    out.print(Text.assemble(verdict, (f"{finding.subject:<14} ", "bold"), finding.words))
    if finding.action:
        out.print(Text(f"      {'':<14} {finding.action}", _COLOURS[finding.verdict]))
