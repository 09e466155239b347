"""`chappe top`: the whole installation on one screen, through the API of any of its nodes."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import termios
import tty
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Annotated, Any, Final

import typer
from rich.console import Console, ConsoleOptions, Group, RenderResult
from rich.live import Live
from rich.table import Column, Table
from rich.text import Text

from chappe.cli.client import URL, Api, ApiError, KeyOption, NotThere, UrlOption, talk
from chappe.cli.terminal import out

REMEMBERED_S: Final = 60.0  # of the rates, for the sparklines
_BARS: Final = "▁▂▃▄▅▆▇█"
_NARROW: Final = 90  # columns below which what can be done without is left out
_RATES: Final = (("accepted", "accepted_per_s"), ("sent", "sent_per_s"), ("receipts", "receipts_per_s"))
_LAG_LATE_MS: Final = 250  # of a node's event loop
_STATES: Final = {"up": "green", "degraded": "yellow", "starting": "yellow", "stopped": "dim"}
_LATE_S: Final = {"otp": 5.0, "transactional": 60.0, "bulk": 900.0}  # from when on a lane's age is coloured

Told = Mapping[str, Any]
Rates = deque[tuple[float, tuple[float, ...]]]
"""(when, on the loop's clock; the value of each of _RATES)."""


def command(
    every: Annotated[float, typer.Option(min=0.2, max=60, help="Seconds between two looks.")] = 1.0,
    once: Annotated[bool, typer.Option("--once", help="Print one look and end.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print what the API says, a line a look.")] = False,
    url: UrlOption = URL,
    key: KeyOption = None,
) -> None:
    """Watch nodes, lanes, rates, connectors, lags and alarms. Needs an operator's key; q ends it."""
    live = sys.stdout.isatty() and not once and not as_json
    talk(lambda api: _live(api, every) if live else _print(api, as_json, None if once else every), url, key)


async def _print(api: Api, as_json: bool, every: float | None) -> None:
    """Without a terminal one look, unless it is JSON for another program."""
    while True:
        told = await api.get("/v1/overview")
        if not as_json:
            out.print(Screen(told, ()), soft_wrap=False)
            return
        sys.stdout.write(json.dumps(told, separators=(",", ":")) + "\n")
        sys.stdout.flush()
        if every is None:
            return
        await asyncio.sleep(every)


async def _live(api: Api, every: float) -> None:
    told = await api.get("/v1/overview")  # what is wrong with key or address is told before the screen is taken
    loop = asyncio.get_running_loop()
    rates: Rates = deque()
    ended = asyncio.Event()
    with _keys(ended), Live(console=Console(highlight=False), screen=True, auto_refresh=False) as screen:
        problem = ""
        while not ended.is_set():
            if not problem:
                rates.append((loop.time(), tuple(told["rates"][name] for _, name in _RATES)))
            while rates and rates[0][0] < loop.time() - REMEMBERED_S:
                rates.popleft()
            screen.update(Screen(told, rates, problem), refresh=True)
            try:
                async with asyncio.timeout(every):
                    await ended.wait()
            except TimeoutError:
                pass
            try:
                told, problem = await api.get("/v1/overview"), ""
            except (ApiError, NotThere) as error:
                problem = f"{api.url} does not answer: {error}"


@contextmanager
def _keys(ended: asyncio.Event) -> Iterator[None]:
    """Without line and echo, so that q ends it at once."""
    if not sys.stdin.isatty():
        yield
        return
    terminal = sys.stdin.fileno()
    before = termios.tcgetattr(terminal)
    loop = asyncio.get_running_loop()

    def pressed() -> None:
        if b"q" in os.read(terminal, 64).lower():
            ended.set()

    tty.setcbreak(terminal)
    loop.add_reader(terminal, pressed)
    try:
        yield
    finally:
        loop.remove_reader(terminal)
        termios.tcsetattr(terminal, termios.TCSADRAIN, before)


class Screen:
    """An overview as rows of text, for the width there is; on a screen cut where it ends."""

    def __init__(self, told: Told, rates: Sequence[tuple[float, tuple[float, ...]]], problem: str = "") -> None:
        self._told = told
        self._rates = rates
        self._problem = problem

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        told, wide = self._told, options.max_width >= _NARROW
        yield from self._head()
        yield _rates(told, self._rates, max(10, min(60, options.max_width - 32)))
        yield _section("nodes", _nodes(told, wide))
        yield _section("lanes", _lanes(told, wide))
        yield _section("connectors", _connectors(told, wide))
        yield _section("to be told", _backlogs(told))
        yield _section("store", _store(told["store"]))

    def _head(self) -> Iterator[Text]:
        told = self._told
        count = len(told["alarms"])
        yield Text.assemble(
            ("Chappe ", "bold cyan"),
            (f"{told['at'][:10]} {told['at'][11:19]}  ", "dim"),
            (_some(count, "alarm") if count else "no alarms", "bold red" if count else "green"),
        )
        if self._problem:
            yield Text(f"! {self._problem}", "bold yellow")
        for alarm in told["alarms"]:
            yield Text.assemble((f"! {alarm['message']}", "bold red"), ("  " + alarm["action"], "red"))


def _rates(told: Told, seen: Sequence[tuple[float, tuple[float, ...]]], width: int) -> Table:
    """Each rate with the minute before it, all three on one scale."""
    table = _table(Column("", width=12), Column("per second", justify="right", width=11), Column("the last minute"))
    top = max((value for _, values in seen for value in values), default=0.0)
    for number, (word, name) in enumerate(_RATES):
        value = told["rates"][name]
        line = sparkline([values[number] for _, values in seen], top, width)
        table.add_row(Text(word), Text(f"{value:,.0f}", "bold" if value else "dim"), Text(line, "cyan"))
    return table


def sparkline(values: Sequence[float], top: float, width: int) -> str:
    """The newest values as bars, `top` the highest; values that do not fit the width are averaged together."""
    if len(values) > width:
        per = len(values) / width
        slices = [values[int(n * per) : max(int(n * per) + 1, int((n + 1) * per))] for n in range(width)]
        values = [sum(some) / len(some) for some in slices]
    scale = (len(_BARS) - 1) / top if top > 0 else 0.0
    return "".join(_BARS[min(len(_BARS) - 1, round(value * scale))] for value in values)


def _nodes(told: Told, wide: bool) -> Table:
    heads = ["node", "roles", "CPU s", "MiB", "loop ms", "binds", "accepted/s", "sent/s", "receipts/s"]
    kept = heads if wide else [head for head in heads if head not in ("CPU s", "accepted/s", "receipts/s")]
    table = _table(*(Column(head, justify="left" if head in ("node", "roles") else "right") for head in kept))
    for node in told["nodes"]:
        stats, late = node["stats"], node["lease_left_ms"] <= 0
        lag = float(stats.get("loop_lag_ms", 0))
        cells = {
            "node": Text(node["name"], "red" if late else ""),
            "roles": Text("its lease is over", "red") if late else Text(_roles(node["roles"]), "dim"),
            "CPU s": Text(f"{stats.get('cpu_s', 0):,.0f}"),
            "MiB": Text(f"{stats.get('rss_mib', 0):,.0f}"),
            "loop ms": Text(f"{lag:,.0f}", "yellow" if lag >= _LAG_LATE_MS else ""),
            "binds": Text(f"{stats.get('binds_up', 0)}/{stats.get('binds', 0)}"),
            **{f"{word}/s": Text(f"{stats.get(name, 0):,.0f}") for word, name in _RATES},
        }
        table.add_row(*(cells[head] for head in kept))
    return table


def _roles(roles: Sequence[str]) -> str:
    return "all" if len(roles) == 4 else ",".join(roles)


def _lanes(told: Told, wide: bool) -> Table | Text:
    if not told["lanes"]:
        return Text("nothing waits", "dim")
    heads = ("waiting", "oldest", "sending", "scheduled") if wide else ("waiting", "oldest", "sending")
    table = _table("connector", "lane", *(Column(head, justify="right") for head in heads))
    for lane in told["lanes"]:
        late = bool(lane["waiting"]) and lane["oldest_s"] > _LATE_S[lane["lane"]]
        cells = [
            Text(f"{lane['waiting']:,}", "bold" if lane["waiting"] else "dim"),
            Text(_age(lane["oldest_s"]) if lane["waiting"] else "", "yellow" if late else ""),
            Text(f"{lane['sending']:,}"),
            Text(f"{lane['scheduled']:,}"),
        ]
        table.add_row(lane["connector"], lane["lane"], *cells[: len(heads)])
    return table


def _connectors(told: Told, wide: bool) -> Table | Text:
    if not told["connectors"]:
        return Text("none is active", "yellow")
    table = _table(
        "connector",
        "state",
        Column("binds", justify="right"),
        Column("in flight", justify="right"),
        Column("last error", overflow="ellipsis", ratio=1),
        expand=True,
    )
    for link in told["connectors"]:
        state = "circuit open" if link["circuit_open"] else link["state"]
        error = link["last_error"] if link["state"] != "up" or wide else ""
        table.add_row(
            link["name"] + (" (test)" if link["test"] and wide else ""),
            Text(state, _STATES.get(state, "bold red")),
            f"{link['binds_up']}/{link['binds_wanted']}",
            f"{link['in_flight']:,}",
            Text(error or "", "dim"),
        )
    return table


def _backlogs(told: Told) -> Table | Text:
    """What waits for customers, and what for the operator."""
    lines = [("webhooks", told["webhooks"]), ("receipts for SMPP customers", told["customers"])]
    lines += [(reaction["name"], reaction) for reaction in told["reactions"]]
    kept = (
        ("in doubt", "in_doubt"),
        ("receipts without a message", "parked_receipts"),
        ("events aside", "events_aside"),
    )
    held = [(name, told[field]) for name, field in kept if told[field]]
    waiting = [(name, line) for name, line in lines if line["waiting"]]
    if not waiting and not held:
        return Text("everybody knows everything", "dim")
    table = _table("", Column("waiting", justify="right"), Column("oldest", justify="right"))
    for name, line in waiting:
        table.add_row(name, f"{line['waiting']:,}", _age(line["oldest_s"]))
    for name, count in held:
        table.add_row(Text(name, "yellow"), Text(f"{count:,}", "yellow"), "")
    return table


def _store(store: Told) -> Group:
    engine = "SQLite" if store["engine"] == "sqlite" else "PostgreSQL"
    free = f"{_bytes(store['disk_free_bytes'])} of {_bytes(store['disk_total_bytes'])} disk free"
    lines = [Text(f"{engine}, {_bytes(store['size_bytes'])}; {free}")]
    if store["engine"] == "sqlite":
        waiting = store["wal_waiting_bytes"]
        lines.append(Text(f"write-ahead log {_bytes(store['wal_bytes'])}, {_bytes(waiting)} wait for a checkpoint"))
        return Group(*lines)
    opened = store["oldest_snapshot"]
    if opened is not None:
        who = f"{opened['user'] or ''} {opened['application'] or ''}".strip()
        lines.append(Text(f"oldest transaction {_age(opened['age_s'])}: {who}, pid {opened['pid']}, {opened['state']}"))
    dead = sorted((t for t in store["tables"] if t["dead"]), key=lambda t: -int(t["dead"]))
    if dead:
        lines.append(Text("rows to be removed: " + ", ".join(f"{t['name']} {t['dead']:,}" for t in dead[:4])))
    return Group(*lines)


def _section(title: str, body: Table | Text | Group) -> Group:
    return Group(Text(), Text(title, "bold"), body)


def _table(*columns: Column | str, expand: bool = False) -> Table:
    plain = [Column(column) if isinstance(column, str) else column for column in columns]
    for column in plain:
        column.no_wrap = True
    return Table(*plain, box=None, header_style="dim", pad_edge=False, padding=(0, 2, 0, 0), expand=expand)


def _some(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def _age(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.1f} s"
    if seconds < 6_000:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3_600:,.1f} h"


def _bytes(count: float) -> str:
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"
