"""`chappe reviews`: texts that somebody must look at, through the API of a running Chappe."""

from __future__ import annotations

from typing import Annotated, Any
from urllib.parse import quote

import typer
from rich.markup import escape
from rich.table import Column, Table

from chappe.cli.client import URL, KeyOption, UrlOption, talk
from chappe.cli.terminal import out

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)

_PATH = "/v1/content_reviews"
_SHOWN = 60  # characters of a text in a list
IdArgument = Annotated[str, typer.Argument(help="Of the review: crv_...", metavar="ID")]
DaysOption = Annotated[int, typer.Option("--days", min=1, max=365, help="For how long the decision is remembered.")]


@app.command("list")
def list_(
    state: Annotated[str, typer.Option(help="open, approved, rejected, withdrawn, expired, or all.")] = "open",
    account: Annotated[str | None, typer.Option(help="Of this account only: acc_...")] = None,
    limit: Annotated[int, typer.Option(min=1, max=500, help="How many at most.")] = 50,
    url: UrlOption = URL,
    key: KeyOption = None,
) -> None:
    """List reviews, newest first."""
    wanted = None if state == "all" else state
    found = talk(lambda api: api.get(_PATH, state=wanted, account_id=account, limit=limit), url, key)
    if not found["data"]:
        out.print("Nothing waits for a decision." if state == "open" else "There is none.")
        return
    table = Table(
        "id", "state", "account", "from", Column("messages", justify="right"), "found", Column("text", ratio=1)
    )
    table.box = None
    for one in found["data"]:
        why = ", ".join(dict.fromkeys(f["code"] for f in one["findings"] if f["action"] != "allow"))
        text = one["sample"] if len(one["sample"]) <= _SHOWN else one["sample"][: _SHOWN - 1] + "…"
        words = (one["id"], one["state"], one["account_id"], one["from"], f"{one['count']:,}", why, text)
        table.add_row(*map(escape, words))
    out.print(table, soft_wrap=False)
    if found["has_more"]:
        out.print("There are more: give a higher --limit.")


@app.command()
def show(id: IdArgument, url: UrlOption = URL, key: KeyOption = None) -> None:
    """Show a text, what was found in it, and how many messages wait."""
    _print(talk(lambda api: api.get(_address(id)), url, key))


@app.command()
def approve(
    id: IdArgument,
    days: DaysOption = 30,
    note: Annotated[str, typer.Option(help="Why; the account reads it.")] = "",
    url: UrlOption = URL,
    key: KeyOption = None,
) -> None:
    """Let the messages go; such texts of the account and sender pass for a while."""
    body = {"days": days, "note": note}
    _decided(talk(lambda api: api.post(_address(id, "approve"), body), url, key))


@app.command()
def reject(
    id: IdArgument,
    note: Annotated[str, typer.Option(help="Why; the account reads it.")] = "",
    days: DaysOption = 30,
    url: UrlOption = URL,
    key: KeyOption = None,
) -> None:
    """Fail the messages; also takes an approval back, for what has not left yet."""
    body = {"days": days, "note": note}
    _decided(talk(lambda api: api.post(_address(id, "reject"), body), url, key))


def _address(id: str, verb: str = "") -> str:
    return "/".join(filter(None, (_PATH, quote(id, safe=""), verb)))


def _decided(found: dict[str, Any]) -> None:
    out.print(f"{found['id']} is {found['state']} until {found['remembered_until']}.", markup=False, style="green")
    if found["waiting"]:
        out.print(f"{found['waiting']:,} messages still wait; they follow within seconds.", markup=False)


def _print(found: dict[str, Any]) -> None:
    style = {"open": "yellow", "approved": "green"}.get(found["state"], "red")
    out.print(f"{found['id']}: {found['state']}", markup=False, style=style)
    messages = f"{found['count']:,} came, {found['waiting']:,} wait"
    to = f" to {found['country']}" if found["country"] else ""
    out.print(f"Account {found['account_id']}, from {found['from']}{to}, {found['purpose']}: {messages}", markup=False)
    out.print(f"Opened {found['opened_at']}", markup=False)
    if found["decided_by"]:
        note = f": {found['note']}" if found["note"] else ""
        out.print(f"Decided {found['decided_at']} by {found['decided_by']}{note}", markup=False)
    out.print()
    out.print(found["sample"], markup=False)
    out.print()
    for one in found["findings"]:
        out.print(f"{one['action']:>6}  {one['code']}: {one['message']} {one['advice']}".rstrip(), markup=False)
