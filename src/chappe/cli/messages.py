"""`chappe messages`: look at messages through the API of a running Chappe."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from typing import Annotated, Any

import typer
from rich.console import Group
from rich.markup import escape
from rich.padding import Padding
from rich.table import Column, Table
from rich.text import Text

from chappe.cli.client import URL, Api, KeyOption, UrlOption, talk
from chappe.cli.terminal import out
from chappe.cli.timeline import COLOURS, Line, encoding_words, error_words, line_of, lines, tone_of
from chappe.clock import parse_rfc3339

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)

IdArgument = Annotated[str, typer.Argument(metavar="ID", help="The message's id, msg_..., or inb_... of a phone's.")]
_TAIL_EVERY_S = 0.5
_EMPTY: tuple[Any, ...] = (None, "", 0, "0", "0x00000000", [], {})
_BLANKED = re.compile(r"\.{2,}")
_REMEMBERED = 2_000  # messages whose last state `tail` knows
_TOLD = (
    *("id", "status", "error", "from", "to", "text", "purpose", "channel", "connector", "country", "encoding"),
    *("segments", "parts", "missing_parts", "correlation_id", "tags", "metadata", "callback_url", "test"),
    *("created_at", "send_at", "sent_at", "final_at", "expires_at", "received_at"),
)


@app.command(name="list")
def list_messages(
    limit: Annotated[int, typer.Option(min=1, max=500, help="How many at most.")] = 20,
    status: Annotated[list[str] | None, typer.Option(help="Only in this state; may be repeated.")] = None,
    to: Annotated[str | None, typer.Option(help="Only to this number.")] = None,
    tag: Annotated[str | None, typer.Option(help="Only with this tag.")] = None,
    inbound: Annotated[bool, typer.Option("--inbound", help="What phones sent instead.")] = False,
    url: UrlOption = URL,
    key: KeyOption = None,
) -> None:
    """List messages, newest first."""

    async def work(api: Api) -> Any:
        if inbound:
            return await api.get("/v1/inbound", limit=limit, to=to)
        return await api.get("/v1/messages", limit=limit, status=status, to=to, tag=tag)

    found = talk(work, url, key)
    table = Table(
        Column("id", no_wrap=True),
        Column("when", no_wrap=True),
        "status",
        Column("from", no_wrap=True),
        Column("to", no_wrap=True),
        Column("parts", justify="right"),
        Column("text", no_wrap=True, overflow="ellipsis", max_width=40),
        box=None,
    )
    for message in found["data"]:
        table.add_row(*_row(message))
    out.print(table, soft_wrap=False)
    if found["has_more"]:
        out.print(f"These are the last {limit}; --limit shows up to 500.")


def _row(message: dict[str, Any]) -> list[str]:
    when = message.get("created_at") or message["received_at"]
    status = message["status"]
    return [
        message["id"],
        when[:19].replace("T", " "),
        f"[{COLOURS[tone_of(status)]}]{status}[/]",
        escape(message["from"]),
        escape(message["to"]),
        str(message.get("segments") or message.get("parts") or ""),
        escape(_one_line(message["text"])),
    ]


@app.command()
def show(id: IdArgument, url: UrlOption = URL, key: KeyOption = None) -> None:
    """Show a message."""
    message = talk(lambda api: api.get(_path(id)), url, key)
    table = Table(Column(style="dim", no_wrap=True), Column(overflow="fold"), box=None, show_header=False)
    for name in _TOLD:
        value = message.get(name)
        if value not in (None, [], {}, False):
            table.add_row(name, escape(_plain(name, value)))
    out.print(table, soft_wrap=False)


@app.command()
def tail(
    url: UrlOption = URL,
    key: KeyOption = None,
    for_s: Annotated[float | None, typer.Option("--for", help="Stop after so many seconds.")] = None,
) -> None:
    """Follow what happens: a line for every change of state of a recent message, and for what phones send."""

    async def work(api: Api) -> None:
        known: dict[str, str] = {}
        loop = asyncio.get_running_loop()
        end = None if for_s is None else loop.time() + for_s
        first = True
        while end is None or loop.time() < end:
            pages = [await api.get("/v1/messages", limit=200), await api.get("/v1/inbound", limit=50)]
            for message in sorted((m for page in pages for m in page["data"]), key=_moment):
                if known.get(message["id"]) != message["status"]:
                    known.pop(message["id"], None)
                    known[message["id"]] = message["status"]
                    if not first:
                        out.print(_news(message))
            while len(known) > _REMEMBERED:
                del known[next(iter(known))]
            first = False
            await asyncio.sleep(_TAIL_EVERY_S)

    talk(work, url, key)


def _moment(message: dict[str, Any]) -> str:
    times = [message.get(name) for name in ("final_at", "sent_at", "created_at", "received_at")]
    return next(str(at) for at in times if at)


def _news(message: dict[str, Any]) -> Text:
    status = message["status"]
    line = Text(f"{_moment(message)[11:23]}  {message['id']}  ")
    line.append(f"{status:<12}", COLOURS[tone_of(status)])
    line.append(f"{message['from']} → {message['to']}  ")
    line.append(_one_line(message["text"])[:60], "dim")
    if message.get("error"):
        line.append(f"  {error_words(message['error'])}", "red")
    return line


@app.command()
def explain(id: IdArgument, url: UrlOption = URL, key: KeyOption = None) -> None:
    """Tell the whole life of a message: every decision, attempt, part, PDU and receipt."""
    told = talk(lambda api: api.get(_path(id) + "/explain"), url, key)
    for block in story(told):
        out.print(block, soft_wrap=False)


def story(told: dict[str, Any]) -> Iterator[Any]:
    """What `explain` prints: the message in a few lines, then each step with its PDUs."""
    message = told["message"]
    start, status = started_at(told), message["status"]
    yield Text.assemble((message["id"], "bold"), "  ", (status, COLOURS[tone_of(status)]))
    yield Text(f"{message['from']} → {message['to']}: {_one_line(message['text'])}")
    yield Text(
        ", ".join(
            filter(
                None,
                (
                    encoding_words(message.get("encoding") or ""),
                    _count(message.get("segments") or message.get("parts") or 0),
                    message.get("country"),
                    message.get("purpose"),
                    f"at {message.get('created_at') or message['received_at']}",
                ),
            )
        ),
        "dim",
    )
    yield from _money(message.get("price"), told.get("money"))
    for step in told["history"]:
        yield Group("", timed(line_of([step], message), start))
        for frame, way in ((step["request"], "→"), (step["response"], "←")):
            if frame:
                yield Padding(_frame(frame, way if step["kind"] not in ("receipt", "received") else "←"), (0, 0, 0, 11))
    if "attempts" in told and lines(told):
        yield Group("", timed(lines(told)[-1], start))


def _money(price: dict[str, Any] | None, money: dict[str, Any] | None) -> Iterator[Text]:
    """What it costs its account; for the operator, what it costs him too, and how both come about."""
    if price is not None:
        yield Text(f"{price['amount']} {price['currency']}, {price['state'].replace('_', ' ')}", "dim")
    if money is not None:
        if money["cost"] is not None:
            owed = "booked" if money["cost_booked"] else "not owed yet"
            yield Text(f"cost {money['cost']} {money['cost_currency']}, {owed}", "dim")
        for line in money["how"]:
            yield Text(f"  {line}", "dim")


def started_at(told: dict[str, Any]) -> int:
    """When the first step was, in milliseconds since the epoch."""
    at = told["history"][0]["at"] if told["history"] else told["message"]["created_at"]
    return parse_rfc3339(at)


def timed(line: Line, start: int) -> Text:
    """A line of a timeline: seconds since `start`, what, and about it."""
    made = Text.assemble((f"{(line.at - start) / 1000:8.3f} s  ", "dim"))
    made.append(f"{line.what:<11} ", f"bold {COLOURS[line.tone]}" if line.tone != "plain" else "bold")
    made.append(line.about)
    made.rstrip()
    return made


def _frame(frame: dict[str, Any], way: str) -> Group:
    """A PDU: its name, the fields that say something, its octets."""
    pdu = frame["pdu"]
    head = " ".join(map(str, (way, pdu.get("command", "PDU"), pdu.get("sequence_number", ""))))
    table = Table(
        Column(style="dim", no_wrap=True), Column(overflow="fold"), box=None, show_header=False, padding=(0, 1)
    )
    for name, value in _fields(pdu):
        table.add_row(name, escape(value))
    octets = Text(_BLANKED.sub(lambda run: f"[{len(run[0]) // 2} octets]", frame["hex"]), "dim")
    octets.overflow = "fold"
    return Group(Text(head, "cyan"), Padding(table, (0, 0, 0, 2)), Padding(octets, (0, 0, 0, 3)))


def _fields(pdu: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """The status of a response, then name and value of the fields that are not empty, then the TLVs."""
    told = {"command_status": pdu.get("command_status"), **pdu.get("fields", {})}
    if "undecodable" in pdu:
        told["undecodable"] = pdu["undecodable"]
    yield from ((name, _spelt(value)) for name, value in told.items() if value not in _EMPTY)
    yield from ((f"{tlv['tag']} {tlv['name']}", _spelt(tlv["value"])) for tlv in pdu.get("tlvs", ()))


def _spelt(value: Any) -> str:
    if isinstance(value, dict):  # octets: their number, and as text or in hex what may be seen
        return value.get("text") or value.get("hex") or f"{value.get('octets', '?')} octets"
    return ", ".join(map(_spelt, value)) if isinstance(value, list) else str(value)


def _path(id: str) -> str:
    return f"/v1/inbound/{id}" if id.startswith("inb_") else f"/v1/messages/{id}"


def _plain(name: str, value: Any) -> str:
    if name == "error":
        return f"{error_words(value)}: {value['message']}"
    if isinstance(value, dict):
        return ", ".join(f"{key}={below}" for key, below in value.items())
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _count(parts: int) -> str:
    return f"{parts} part" if parts == 1 else f"{parts} parts"


def _one_line(text: str | None) -> str:
    return "(binary)" if text is None else " ".join(text.split())
