"""`chappe keys`: API keys from the command line."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.table import Column, Table

from chappe import accounts, ids
from chappe.accounts import DEFAULT_SCOPES, KEYS, Account, directory
from chappe.cli.runtime import ConfigOption, actor, run
from chappe.cli.terminal import out
from chappe.clock import rfc3339
from chappe.errors import Refused
from chappe.runtime import Runtime

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)

AccountOption = Annotated[str, typer.Option("--account", help="The account's slug.")]


@app.command()
def create(
    account: AccountOption,
    name: Annotated[str, typer.Option("--name", help="What the key is for.")],
    test: Annotated[bool, typer.Option("--test", help="A test key: it never reaches a real supplier.")] = False,
    scope: Annotated[list[str] | None, typer.Option("--scope", help="What it may do; may be repeated.")] = None,
    config: ConfigOption = None,
) -> None:
    """Make a key and show it once, on a line of its own."""

    async def work(rt: Runtime) -> str:
        holder = _account(rt, account)
        mode: accounts.Mode = "test" if test else "live"
        scopes = scope or DEFAULT_SCOPES
        _, secret = await accounts.create_key(rt, actor(), holder.id, name=name, mode=mode, scopes=scopes)
        return secret

    typer.echo(run(work, config))
    typer.echo("Keep it: it is not stored and cannot be shown again.", err=True)


@app.command(name="list")
def list_keys(
    account: Annotated[str | None, typer.Option("--account", help="Only this account's, by its slug.")] = None,
    config: ConfigOption = None,
) -> None:
    """List the keys, without their secrets."""

    async def work(rt: Runtime) -> Table:
        table = Table(
            Column("id", no_wrap=True), "account", "name", "mode", "scopes", "ends in", "created", "revoked", box=None
        )
        holders = [_account(rt, account)] if account else directory(rt).accounts.values()
        for holder in holders:
            for key in directory(rt).keys(holder.id):
                made, revoked = rfc3339(key.created_at) or "", rfc3339(key.revoked_at) or ""
                scopes = " ".join(key.scopes)
                last4 = key.last4 or ""
                table.add_row(KEYS.public(key.id), holder.slug, key.name, key.mode, scopes, last4, made, revoked)
        return table

    out.print(run(work, config))


@app.command()
def revoke(
    key: Annotated[str, typer.Argument(help="The key's id, key_...")],
    config: ConfigOption = None,
) -> None:
    """Revoke a key for good."""

    async def work(rt: Runtime) -> None:
        number = ids.parse(KEYS.prefix, key)
        holders = directory(rt).accounts.values()
        found = [holder for holder in holders if number is not None and directory(rt).key(holder.id, number)]
        if number is None or not found:
            raise Refused("not_found", f"There is no key {key}.", action="See `chappe keys list`.")
        await accounts.revoke_key(rt, actor(), found[0].id, number)

    run(work, config)
    out.print(f"Revoked {key}.")


def _account(rt: Runtime, slug: str) -> Account:
    account = directory(rt).by_slug(slug)
    if account is None:
        known = ", ".join(sorted(a.slug for a in directory(rt).accounts.values())) or "none yet"
        message = f"There is no account {slug}."
        raise Refused("not_found", message, action=f"Accounts: {known}. Write it in a file and run `chappe apply`.")
    return account
