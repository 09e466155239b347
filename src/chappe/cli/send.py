"""`chappe send`: a message from the command line, through the API of a running Chappe."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

import typer

from chappe.cli.client import URL, Api, KeyOption, UrlOption, talk
from chappe.cli.messages import started_at, timed
from chappe.cli.terminal import out
from chappe.cli.timeline import FINAL, Line, encoding_words, lines

_LOOK_EVERY_S = 0.2


def command(
    to: Annotated[str, typer.Argument(help="The number, in international form: +33612345678.")],
    text: Annotated[str, typer.Argument(help="The text.")],
    sender: Annotated[
        str | None, typer.Option("--from", help="One of the account's senders; else its default one.")
    ] = None,
    purpose: Annotated[
        str, typer.Option(help="otp, transactional, service or marketing: who goes first.")
    ] = "transactional",
    smart: Annotated[bool, typer.Option("--smart", help="Replace characters so that the text fits GSM-7.")] = False,
    wait: Annotated[bool, typer.Option("--wait", help="Show what becomes of it; fail unless it is delivered.")] = False,
    url: UrlOption = URL,
    key: KeyOption = None,
) -> None:
    """Send TEXT to a phone. Prints the id of the message."""
    body = {"to": to, "text": text, "from": sender, "purpose": purpose, "smart_encoding": smart}

    async def work(api: Api) -> str:
        sent = await api.post("/v1/messages", {name: value for name, value in body.items() if value is not None})
        parts = f"{sent['segments']} segment{'s' if sent['segments'] != 1 else ''}"
        out.print(f"{sent['id']}  {sent['status']}, {encoding_words(sent['encoding'])}, {parts}")
        return await _follow(api, sent) if wait else ""

    status = talk(work, url, key)
    if wait and status not in ("delivered", "read"):
        raise typer.Exit(1)


async def _follow(api: Api, sent: dict[str, Any]) -> str:
    """Print each step once; the final state. A message ends by itself: its validity is over one day."""
    shown: set[Line] = set()
    while True:
        told = await api.get(f"/v1/messages/{sent['id']}/explain")
        status: str = told["message"]["status"]
        for line in lines(told, joined=False):
            if line not in shown:
                out.print(timed(line, started_at(told)))
                shown.add(line)
        if status in FINAL:
            return status
        await asyncio.sleep(_LOOK_EVERY_S)
