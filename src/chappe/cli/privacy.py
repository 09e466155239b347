"""`chappe privacy`: everything that is held of a person, exported or erased; and who looked."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TextIO

import typer
from rich.markup import escape
from rich.table import Column, Table

from chappe.cli.progress import Bars
from chappe.cli.runtime import ConfigOption, actor, run
from chappe.cli.terminal import err, fail, out

if TYPE_CHECKING:
    from chappe.privacy import Access, Erasure
    from chappe.runtime import Runtime

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)

_LOOK_EVERY_S = 0.5
_PATIENCE_S = 15.0  # with a server that does not move

PersonArgument = Annotated[str, typer.Argument(help="+33612345678, mail:name@example.com, alias:NAME ...")]
AccountOption = Annotated[str | None, typer.Option("--account", help="The account: its id, acc_..., or its slug.")]
EverywhereOption = Annotated[bool, typer.Option("--everywhere", help="Of all accounts.")]
TestOption = Annotated[bool, typer.Option("--test", help="Only what test keys brought in.")]


@app.command()
def export(
    person: PersonArgument,
    to: Annotated[Path, typer.Option("--out", help="The file to write: a JSON object a line.", dir_okay=False)],
    account: AccountOption = None,
    everywhere: EverywhereOption = False,
    test: TestOption = False,
    config: ConfigOption = None,
) -> None:
    """Write everything that is held of a person to a file that only you can read."""

    async def work(rt: Runtime) -> int:
        from chappe import privacy

        owner = await _open(rt, account, everywhere)
        whom = privacy.named(person)
        entry = await privacy.looked(rt, owner or 0, actor(), "export", whom, test=test, count=None)
        count, draft = 0, to.with_name(to.name + ".part")
        with Bars("records") as bars, _private(draft) as file:
            async for record in privacy.export(rt, owner, test, whom):
                file.write(json.dumps(record, ensure_ascii=False) + "\n")
                if record["kind"] not in ("export", "end"):
                    count += 1
                    bars.show("exporting", count, 0)
        await privacy.counted(rt, entry, count)
        draft.replace(to)  # it appears when it is whole
        return count

    out.print(f"{run(work, config):,} records written to {to}", markup=False)


@app.command()
def erase(
    person: PersonArgument,
    reason: Annotated[str, typer.Option("--reason", help="Why. It is kept: do not name the person.")],
    account: AccountOption = None,
    everywhere: EverywhereOption = False,
    test: TestOption = False,
    suppress: Annotated[bool, typer.Option(help="Never write to them again: a keyed hash of them stays.")] = True,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only count what is held.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    wait: Annotated[bool, typer.Option(help="Wait until the first pass is over.")] = True,
    config: ConfigOption = None,
) -> None:
    """Erase everything that is held of a person. A serving Chappe does the work."""
    held = run(lambda rt: _count(rt, person, account, everywhere, test), config)
    _tell_counts(held, "held")
    if dry_run:
        return
    if not yes:
        typer.confirm("Erase it? There is no way back.", abort=True)

    async def work(rt: Runtime) -> Erasure:
        from chappe import privacy

        owner = await _open(rt, account, everywhere)
        made = await privacy.erase(
            rt, owner, privacy.named(person), reason=reason, actor=actor(), test=test, suppress=suppress
        )
        return await _follow(rt, made, sum(held.values())) if wait else made

    made = run(work, config)
    _tell_counts(made.counts, "erased")
    out.print(f"{_id(made)}  {made.status}", markup=False)
    if made.status == "waiting":
        out.print("It is looked through again within a minute; what is on its way is erased when it is final.")
    elif made.status == "running":
        err.print("It is not done yet. `chappe serve` does it; `chappe privacy erasures` shows how far it is.")


@app.command()
def erasures(
    account: AccountOption = None,
    everywhere: EverywhereOption = False,
    limit: Annotated[int, typer.Option(min=1, max=500, help="How many at most.")] = 20,
    config: ConfigOption = None,
) -> None:
    """List who was erased when: by a hash, not by name."""

    async def work(rt: Runtime) -> list[Erasure]:
        from chappe import privacy

        owner = await _open(rt, account, everywhere)
        return await privacy.erasures(rt, owner or 0, limit=limit)

    table = Table("id", "asked", "status", "who", "by", "reason", Column("erased", justify="right"), box=None)
    for one in run(work, config):
        table.add_row(
            _id(one),
            _time(one.created_at),
            one.status,
            _hash(one.person_key),
            one.actor,
            escape(one.reason),
            f"{sum(one.counts.values()):,}",
        )
    out.print(table, soft_wrap=False)


@app.command()
def log(
    account: AccountOption = None,
    person: Annotated[str | None, typer.Option("--person", help="Looks at this person's data.")] = None,
    action: Annotated[
        str | None, typer.Option("--action", help="export, erase, proof, person, search or page.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=500, help="How many at most.")] = 20,
    config: ConfigOption = None,
) -> None:
    """List who looked at the data of persons; without --account in all accounts."""

    async def work(rt: Runtime) -> list[Access]:
        from chappe import privacy

        owner = await _open(rt, account, account is None)
        if action is not None and action not in privacy.ACTIONS:
            fail(f"There is no action {action}: {', '.join(privacy.ACTIONS)}.")
        whom = None if person is None else privacy.named(person)
        return await privacy.entries(rt, owner, person=whom, action=action, limit=limit)

    table = Table("when", "account", "who looked", "action", "at whom", Column("records", justify="right"), box=None)
    for one in run(work, config):
        whose = _public("acc", one.account_id) if one.account_id else "all"
        count = "" if one.count is None else f"{one.count:,}"
        table.add_row(_time(one.at), whose, escape(one.actor), one.action, _hash(one.person_key), count)
    out.print(table, soft_wrap=False)


async def _open(rt: Runtime, account: str | None, everywhere: bool) -> int | None:
    """The rooms that a command needs; whose data is meant, None: everybody's."""
    from chappe import accounts, consent, privacy

    owner = _account(rt, account, everywhere)
    for name, start in ((consent.ROOM, consent.start), (privacy.ROOM, privacy.open_log)):
        try:
            accounts.snapshot(rt, name)
        except KeyError:
            await start(rt)
    return owner


def _private(path: Path) -> TextIO:
    """A file for nobody else's eyes."""
    return open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8")


async def _count(rt: Runtime, person: str, account: str | None, everywhere: bool, test: bool) -> dict[str, int]:
    from chappe import privacy

    owner = await _open(rt, account, everywhere)
    whom = privacy.named(person)
    with Bars("records") as bars:
        bars.show("counting", 0, 0)
        held: dict[str, int] = await privacy.count(rt, owner, test, whom)
    await privacy.looked(rt, owner or 0, actor(), "person", whom, test=test, count=sum(held.values()))
    return held


async def _follow(rt: Runtime, made: Erasure, total: int) -> Erasure:
    """Until the first pass is over; not for ever where nobody serves."""
    from chappe import privacy

    moved, until = made.moved_at, rt.clock.monotonic() + _PATIENCE_S
    with Bars("records") as bars:
        while made.passes == 0 and made.status != "finished" and rt.clock.monotonic() < until:
            bars.show("erasing", sum(made.counts.values()), total)
            await asyncio.sleep(_LOOK_EVERY_S)
            made = await privacy.erasure(rt, None, made.id)
            if made.moved_at != moved:
                moved, until = made.moved_at, rt.clock.monotonic() + _PATIENCE_S
    return made


def _account(rt: Runtime, account: str | None, everywhere: bool) -> int | None:
    """None: all of them."""
    from chappe import accounts, ids

    if everywhere == (account is not None):
        fail("Say whose data: --account acc_... or a slug, or --everywhere.")
    if account is None:
        return None
    known, number = accounts.directory(rt), ids.parse("acc", account)
    found = known.account(number) if number is not None else known.by_slug(account)
    if found is None:
        fail(f"There is no account {account}.")
    return found.id


def _tell_counts(counts: Mapping[str, int], what: str) -> None:
    if not counts:
        out.print(f"Nothing is {what}.")
        return
    table = Table(what, Column("records", justify="right"), box=None)
    for kind, count in sorted(counts.items()):
        table.add_row(kind.replace("_", " "), f"{count:,}")
    out.print(table, soft_wrap=False)


def _id(one: Erasure) -> str:
    return _public("ers", one.id)


def _public(kind: str, number: int) -> str:
    from chappe import ids

    return ids.public(kind, number)


def _hash(key: int | None) -> str:
    from chappe.privacy import hex_of

    return "" if key is None else hex_of(key)


def _time(millis: int) -> str:
    from chappe.clock import rfc3339

    return (rfc3339(millis) or "")[:19]
