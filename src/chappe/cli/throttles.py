"""`chappe throttles`: how many messages may go through, from the command line."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from rich.table import Column, Table

from chappe import connectors
from chappe.accounts import directory
from chappe.cli.runtime import ConfigOption, actor, run
from chappe.cli.terminal import fail, out
from chappe.errors import Refused
from chappe.routing import throttles
from chappe.routing.throttles import Throttle
from chappe.runtime import Runtime

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)

_SCOPES = "account, sender, sender_kind, connector, country or account+country"
NameArgument = Annotated[str, typer.Argument(help="The throttle's name.")]
LimitOption = Annotated[
    str | None, typer.Option("--limit", help="So many parts of messages: 100/second, 5000/day; 0 lets none through.")
]
BurstOption = Annotated[
    int | None, typer.Option("--burst", help="So many at once; with hours and days: spread the others over that time.")
]
OverOption = Annotated[str | None, typer.Option("--over", help="What becomes of the others: wait, or refuse.")]
ZoneOption = Annotated[str | None, typer.Option("--zone", help="Where hours and days end: Europe/Paris.")]


@app.command(name="list")
def list_(config: ConfigOption = None) -> None:
    """List the throttles."""

    async def work(rt: Runtime) -> Table:
        table = Table("name", "scope", "of", "account", Column("limit", justify="right"), "burst", "over", "zone")
        table.box = None
        for one in throttles.gate(rt).throttles.values():
            burst = "" if one.burst is None else f"{one.burst:,}"
            limit = f"{one.most:,}/{one.per}" if one.most else "blocked"
            table.add_row(one.name, one.scope, _subject(rt, one), _slug(rt, one), limit, burst, one.over, one.zone)
        return table

    out.print(run(work, config))


@app.command()
def add(
    name: NameArgument,
    scope: Annotated[str, typer.Option("--scope", help=f"What is counted together: {_SCOPES}.")],
    limit: LimitOption = None,
    burst: BurstOption = None,
    over: OverOption = None,
    zone: ZoneOption = None,
    account: Annotated[str | None, typer.Option("--account", help="Only what this account sends, by its slug.")] = None,
    sender: Annotated[str | None, typer.Option("--sender", help="Only this sender.")] = None,
    kind: Annotated[str | None, typer.Option("--kind", help="Only this kind of sender, such as ten_dlc.")] = None,
    connector: Annotated[str | None, typer.Option("--connector", help="Only this connector, by its name.")] = None,
    country: Annotated[str | None, typer.Option("--country", help="Only to this country: FR.")] = None,
    config: ConfigOption = None,
) -> None:
    """Make a throttle. Without the option of its scope it counts each account, sender, ... by itself."""
    if limit is None:
        fail("Say how many: --limit 100/second.")
    fields = _figures(limit, burst, over, zone) | {"name": name, "scope": scope, "sender": sender, "sender_kind": kind}

    async def work(rt: Runtime) -> Throttle:
        fields["account_id"] = None if account is None else _account(rt, account)
        fields["connector_id"] = None if connector is None else _connector(rt, connector)
        fields["country"] = None if country is None else country.upper()
        return await throttles.create_throttle(rt, actor(), **fields)

    out.print(f"{run(work, config).name} is in force.")


@app.command()
def change(
    name: NameArgument,
    limit: LimitOption = None,
    burst: BurstOption = None,
    over: OverOption = None,
    zone: ZoneOption = None,
    config: ConfigOption = None,
) -> None:
    """Change the figures of a throttle; it goes on from what it has counted."""
    fields = _figures(limit, burst, over, zone)
    if not fields:
        fail("Nothing to change: give --limit, --burst, --over or --zone.")

    async def work(rt: Runtime) -> Throttle:
        return await throttles.update_throttle(rt, actor(), _named(rt, name).id, **fields)

    out.print(f"{run(work, config).name} is changed.")


@app.command()
def remove(name: NameArgument, config: ConfigOption = None) -> None:
    """Remove a throttle: there is no such limit any more."""

    async def work(rt: Runtime) -> None:
        await throttles.delete_throttle(rt, actor(), _named(rt, name).id)

    run(work, config)
    out.print(f"{name} is removed.")


def _figures(limit: str | None, burst: int | None, over: str | None, zone: str | None) -> dict[str, Any]:
    """What was given of them, as the room calls it."""
    fields: dict[str, Any] = {"burst": burst, "over": over, "zone": zone}
    if limit is not None:
        most, _, per = limit.partition("/")
        if not most.isdecimal() or (not per and int(most)):
            fail(f"--limit {limit}: write it like 100/second, or 0.")
        fields["most"] = int(most)
        fields["per"] = per or None
    return {name: value for name, value in fields.items() if value is not None}


def _named(rt: Runtime, name: str) -> Throttle:
    found = throttles.named(rt, name)
    if found is None:
        known = ", ".join(one.name for one in throttles.gate(rt).throttles.values()) or "none"
        raise Refused("not_found", f"There is no throttle {name}.", action=f"There are: {known}.")
    return found


def _account(rt: Runtime, slug: str) -> int:
    account = directory(rt).by_slug(slug)
    if account is None:
        raise Refused("not_found", f"There is no account {slug}.")
    return account.id


def _connector(rt: Runtime, name: str) -> int:
    connector = connectors.book(rt).by_name(name)
    if connector is None:
        raise Refused("connector_unknown", f"There is no connector {name}.")
    return connector.id


def _slug(rt: Runtime, one: Throttle) -> str:
    account = directory(rt).account(one.account_id or 0)
    return account.slug if account is not None else "each" if one.scope.startswith("account") else ""


def _subject(rt: Runtime, one: Throttle) -> str:
    if one.scope == "account":
        return ""
    if one.connector_id is not None:
        connector = connectors.book(rt).stored.get(one.connector_id)
        return connector.name if connector is not None else ""
    return one.sender or one.sender_kind or one.country or "each"
