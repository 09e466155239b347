"""`python -m bench lookups`: how long lists, searches and explanations take by HTTP on a history, and the start-up."""

from __future__ import annotations

import http.client
import json
import tempfile
import time
from argparse import ArgumentParser, Namespace
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any
from urllib.parse import urlencode

from rich.table import Table

from bench import history, machine, retention
from bench.databases import STORES, Database, opened
from bench.history.story import DAY_MS, Cast, Story, Told
from bench.installation import Installation
from bench.kit import Failed, Kit, free_port
from bench.rows import Result, spread
from bench.speed import console, progress
from chappe import ids
from chappe.messages.model import State

RESULTS = Path(__file__).parent / "results" / "lookups.json"
MUST_P95_MS = 50.0
MUST_START_S = 5.0
PATIENCE_S = 60


class Questions:
    """What people ask, about messages picked at random. Each gives the account, a path, and what must come back."""

    def __init__(self, story: Story, cast: Cast, seed: int = 1) -> None:
        self._story = story
        self._cast = cast
        self._random = Random(seed)

    def pick(self, wanted: Callable[[Told], object] = lambda told: True) -> Told:
        """A message of the history that is as wanted."""
        while True:
            told = self._story.told(self._random.randrange(self._cast.first, self._cast.count))
            if wanted(told):
                return told

    def all(self) -> dict[str, Callable[[], tuple[Told, str]]]:
        return {
            "newest": lambda: self._list(self.pick()),
            "a page in the middle": self._page,
            "by recipient": lambda: self._list(one := self.pick(), to=one.recipient),
            "by correlation_id": self._correlated,
            "by tag": self._tagged,
            "by tag and time": lambda: self._tagged(window_ms=7 * DAY_MS),
            "failed": lambda: self._in(State.FAILED),
            "undelivered or expired": lambda: self._in(State.UNDELIVERED, State.EXPIRED),
            "delivered": lambda: self._in(State.DELIVERED),
            "an hour": lambda: self._between(3_600_000),
            "a month, failed": lambda: self._between(30 * DAY_MS, State.FAILED),
            "a month, delivered": lambda: self._between(30 * DAY_MS, State.DELIVERED),
            "recipient and state": lambda: self._list(one := self.pick(), to=one.recipient, status=one.state.word),
            "nobody's number": lambda: self._list(self.pick(), to="+33699999999"),
            "one": lambda: self._one(""),
            "explain": lambda: self._one("/explain"),
        }

    def _list(self, one: Told, **filters: Any) -> tuple[Told, str]:
        return one, f"/v1/messages?{urlencode(filters, doseq=True)}"

    def _page(self) -> tuple[Told, str]:
        one = self.pick()
        _, path = self._list(one, limit=100, created_before=_rfc(one.at + 1000))
        return one, path

    def _correlated(self) -> tuple[Told, str]:
        one = self.pick(lambda told: told.correlation_id)
        return self._list(one, correlation_id=one.correlation_id)

    def _tagged(self, window_ms: int = 0) -> tuple[Told, str]:
        one = self.pick(lambda told: told.tag)
        if not window_ms:
            return self._list(one, tag=one.tag)
        after, before = _rfc(one.at - window_ms), _rfc(one.at + window_ms)
        return self._list(one, tag=one.tag, created_after=after, created_before=before)

    def _in(self, *states: State) -> tuple[Told, str]:
        return self._list(self.pick(lambda told: told.state in states), status=[state.word for state in states])

    def _between(self, window_ms: int, *states: State) -> tuple[Told, str]:
        one = self.pick(lambda told: not states or told.state in states)
        filters = {"status": [state.word for state in states]} if states else {}
        return self._list(one, created_after=_rfc(one.at), created_before=_rfc(one.at + window_ms), **filters)

    def _one(self, what: str) -> tuple[Told, str]:
        one = self.pick()
        return one, f"/v1/messages/{ids.public('msg', one.id)}{what}"


def main(words: list[str]) -> int:
    asked = _options(words)
    told = console()
    found: list[Result] = []
    for store in asked.store:
        with (
            opened(store, data=asked.data, server=asked.postgres) as database,
            tempfile.TemporaryDirectory(prefix="chappe-bench-") as scratch,
        ):
            for work in _works(asked):
                folder = Path(scratch) / work.__name__
                folder.mkdir()
                rows = work(database, folder)
                told.print(_table(rows))
                found += rows
    asked.output.parent.mkdir(parents=True, exist_ok=True)
    asked.output.write_text(json.dumps([one | machine.facts() for one in found], indent=1) + "\n")
    return 0 if all(one["met"] for one in found) else 1


def _works(asked: Namespace) -> list[Callable[[Database, Path], list[Result]]]:
    def look_up(database: Database, scratch: Path) -> list[Result]:
        return measure(database, scratch, asked.count)

    def forget(database: Database, scratch: Path) -> list[Result]:
        return retention.measure(Kit(asked.generator), database, scratch, asked.forget_days, asked.rate)

    return [look_up, forget] if asked.forget_days else [look_up]


def measure(database: Database, scratch: Path, count: int) -> list[Result]:
    """A row for the start-up and for each question. Raises Failed when an answer is not what the history says."""
    questions = Questions(history.remembered(database), history.cast_of(database))
    chappe = Installation(database, scratch)
    try:
        took = chappe.start(free_port())
        rows = [spread(database, "start-up", [took], "s", MUST_START_S)]
        with progress(console()) as bar:
            kinds = questions.all()
            task = bar.add_task(f"lookups on {database.store}", total=len(kinds))
            for name, question in kinds.items():
                taken = [_ask(chappe.port("http"), *question(), name) for _ in range(count)]
                rows.append(spread(database, name, taken, "ms", MUST_P95_MS))
                bar.advance(task)
        return rows
    except Failed as error:
        raise Failed(f"{error}\n{chappe.tail}") from error
    finally:
        chappe.stop_in_order()


def _options(words: list[str]) -> Namespace:
    parser = ArgumentParser(prog="python -m bench lookups", description=__doc__)
    parser.add_argument("--data", "--on", type=Path, required=True, metavar="DIR", help="where `history` put it")
    parser.add_argument("--store", action="append", choices=STORES, help="default: those that have a history there")
    parser.add_argument("--postgres", metavar="URL", help="a PostgreSQL server that runs already")
    parser.add_argument("--count", type=int, default=200, help="questions of each kind")
    parser.add_argument("--forget-days", type=int, default=0, metavar="N", help="then forget what is older")
    parser.add_argument("--rate", type=float, default=500.0, help="messages a second meanwhile")
    parser.add_argument("--generator", type=Path, metavar="PATH", help="make the load with this binary instead of ours")
    parser.add_argument("--output", type=Path, default=RESULTS, metavar="FILE", help="where the results go")
    asked = parser.parse_args(words)
    asked.store = asked.store or [store for store in STORES if (asked.data / store / "history.json").exists()]
    if not asked.store:
        raise Failed(f"There is no history in {asked.data}: `python -m bench history` makes one.")
    return asked


def _ask(port: int, one: Told, path: str, name: str) -> float:
    """Milliseconds that the answer took, on a connection of its own that is open before."""
    link = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_S)
    link.connect()
    try:
        began = time.monotonic()
        link.request("GET", path, headers={"Authorization": f"Bearer {history.key(one.account)}"})
        answer = link.getresponse()
        text = answer.read()
        took = 1000 * (time.monotonic() - began)
    finally:
        link.close()
    if answer.status != 200:
        raise Failed(f"{name}: {path} gave {answer.status} {text[:300]!r}")
    _check(json.loads(text), one, path, name)
    return took


def _check(told: Any, one: Told, path: str, name: str) -> None:
    """Raises Failed unless the answer holds the message that was asked for, where it must."""
    id = ids.public("msg", one.id)
    if name == "one":
        right = told["id"] == id and told["status"] == one.state.word
    elif name == "explain":
        steps = [step["kind"] for step in told["history"]]
        right = told["message"]["id"] == id and steps[0] == "accepted"
        right = right and (one.state is not State.DELIVERED or "receipt" in steps)
    elif name == "nobody's number":
        right = told["data"] == []
    else:
        right = told["has_more"] or id in [message["id"] for message in told["data"]]
    if not right:
        raise Failed(f"{name}: {path} does not tell of {id}: {json.dumps(told)[:500]}")


def _rfc(millis: int) -> str:
    moment = datetime.fromtimestamp(millis / 1000, UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{millis % 1000:03d}Z"


def _table(found: list[Result]) -> Table:
    made = Table(title="by HTTP, one after the other")
    made.add_column("what", no_wrap=True)
    for title in ("store", "messages", "p50", "p95", "max", "must (p95)", ""):
        made.add_column(title, justify="right", no_wrap=True)
    for one in found:
        cells = [f"{one[name]:,.1f} {one['unit']}" for name in ("p50", "p95", "max")]
        must = "" if one["must"] is None else f"{one['must']:,.0f} {one['unit']}"
        mark = "" if one["must"] is None else "[green]ok[/]" if one["met"] else "[bold red]misses[/]"
        made.add_row(one["case"], one["store"], f"{one['history']:,}", *cells, must, mark)
    return made
