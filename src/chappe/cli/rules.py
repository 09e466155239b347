"""`chappe rules`: what countries ask of messages, through the API of a running Chappe."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import quote

import typer
from rich.markup import escape
from rich.table import Column, Table

from chappe.cli.client import URL, KeyOption, UrlOption, talk
from chappe.cli.terminal import out

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)

_AT = "When: 2026-12-25T21:45 is local time there, 2026-12-25T21:45Z is UTC. Default: now."


@app.callback()
def _rules() -> None:
    """Keeps `show` a command of its own beside those to come."""


@app.command()
def show(
    country: Annotated[str, typer.Argument(help="ISO 3166 code: FR.")],
    at: Annotated[str | None, typer.Option("--at", help=_AT)] = None,
    purpose: Annotated[str, typer.Option(help="otp, transactional, service or marketing.")] = "marketing",
    zone: Annotated[str | None, typer.Option(help="Where the recipient is: America/New_York. Default: all.")] = None,
    region: Annotated[str | None, typer.Option(help="State, canton, ...: FL. Default: all.")] = None,
    url: UrlOption = URL,
    key: KeyOption = None,
) -> None:
    """Show what applies to a message on a date, by which source, and the next legal minute."""
    path = f"/v1/rules/{quote(country, safe='')}"
    found = talk(lambda api: api.get(path, at=at, purpose=purpose, zone=zone, region=region), url, key)
    hours = found["hours"]
    if found["holiday"]:
        out.print(f"Public holiday: {found['holiday']}", markup=False)
    out.print(hours["message"], markup=False, style="green" if hours["state"] == "now" else "yellow")
    if hours["next_legal_at"]:
        shown = ", ".join(hours["local_times"][:4]) + (", ..." if len(hours["local_times"]) > 4 else "")
        out.print(f"Next legal minute: {hours['next_legal_at']} ({shown})", markup=False)
    for one in hours["warnings"]:
        out.print(f"Warning: {one['message']}", markup=False, style="yellow")
    if not found["rules"]:
        out.print(f"No rule is known for {found['purpose']} messages to {found['country']}.", markup=False)
        return
    table = Table("kind", "value", "by", "since", "sure", Column("what it says", ratio=2), Column("source", ratio=1))
    table.box = None
    for rule in found["rules"]:
        kind = rule["kind"] + (f" ({rule['region']})" if rule["region"] else "")
        by = rule["binding"] if rule["blocks"] else f"{rule['binding']}, warns"
        words = (kind, rule["value"], by, rule["valid_from"] or "", rule["confidence"])
        table.add_row(*map(escape, (*words, rule["explanation"], rule["source"])))
    out.print(table, soft_wrap=False)
    for name in found["waived"]:
        out.print(f"Waived by the operator: {name}", markup=False)
