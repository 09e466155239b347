"""`chappe send`: a message from the command line, through the API of a running Chappe."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

import typer

from chappe.cli.client import URL, Api, KeyOption, UrlOption, talk
from chappe.cli.messages import started_at, timed
from chappe.cli.terminal import fail, out
from chappe.cli.timeline import FINAL, Line, encoding_words, lines

_LOOK_EVERY_S = 0.2


def command(
    to: Annotated[str, typer.Argument(help="The number, in international form: +33612345678.")],
    text: Annotated[str | None, typer.Argument(help="The text; none with --template.")] = None,
    sender: Annotated[
        str | None, typer.Option("--from", help="One of the account's senders; else its default one.")
    ] = None,
    purpose: Annotated[
        str | None, typer.Option(help="otp, transactional (the default), service or marketing: who goes first.")
    ] = None,
    template: Annotated[
        str | None, typer.Option("--template", help="The name or id (tpl_...) of an approved template.")
    ] = None,
    var: Annotated[
        list[str] | None, typer.Option("--var", metavar="NAME=VALUE", help="A value of the template. Repeatable.")
    ] = None,
    locale: Annotated[str | None, typer.Option("--locale", help="The language of the template: fr-CA, fr.")] = None,
    smart: Annotated[bool, typer.Option("--smart", help="Replace characters so that the text fits GSM-7.")] = False,
    wait: Annotated[bool, typer.Option("--wait", help="Show what becomes of it; fail unless it is delivered.")] = False,
    url: UrlOption = URL,
    key: KeyOption = None,
) -> None:
    """Send TEXT, or a template, to a phone. Prints the id of the message."""
    body: dict[str, Any] = {"to": to, "text": text, "from": sender, "purpose": purpose, "smart_encoding": smart}
    body["template"] = _template(text, template, var or [], locale)

    async def work(api: Api) -> str:
        sent = await api.post("/v1/messages", {name: value for name, value in body.items() if value is not None})
        parts = f"{sent['segments']} segment{'s' if sent['segments'] != 1 else ''}"
        out.print(f"{sent['id']}  {sent['status']}, {encoding_words(sent['encoding'])}, {parts}")
        return await _follow(api, sent) if wait else ""

    status = talk(work, url, key)
    if wait and status not in ("delivered", "read"):
        raise typer.Exit(1)


def _template(text: str | None, template: str | None, values: list[str], locale: str | None) -> dict[str, Any] | None:
    """As the API takes it; ends the process where the words on the command line do not fit together."""
    if (text is None) == (template is None):
        fail("Give either a TEXT or --template NAME.")
    if template is None:
        if values or locale is not None:
            fail("--var and --locale go with --template.")
        return None
    pairs = [one.partition("=") for one in values]
    wrong = next((one for one, (name, sign, _) in zip(values, pairs, strict=True) if not name or not sign), None)
    if wrong is not None:
        fail(f"{wrong} is no value: write --var name=value.")
    which = "id" if template.startswith("tpl_") else "name"
    told: dict[str, Any] = {which: template, "variables": {name: value for name, _, value in pairs}}
    return told if locale is None else told | {"locale": locale}


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
