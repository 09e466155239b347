"""`python -m bench soak`: half an hour at 70% of what the machine can, and whether anything grows meanwhile.

First the `http` case is run in a closed loop, for its highest rate; then it goes on as an open loop at 70% of it, every
message with receipt and signed webhook. Memory, queue and write-ahead log are looked at every ten seconds, latencies
are those of the same windows.
"""

from __future__ import annotations

import json
import tempfile
import threading
import time
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from bench import machine
from bench.cases import Http, Run
from bench.databases import STORES, Database, opened
from bench.kit import Failed, Figures, Kit
from bench.speed import console

RESULTS = Path(__file__).parent / "results" / "soak.json"
SHARE = 0.7
EVERY_S = 10.0
WARM_UP = 0.2  # of the time, in which caches fill: not judged


@dataclass(frozen=True)
class Limit:
    """How much more the last third may show than the first: by this factor, and this much besides."""

    factor: float
    slack: float


LIMITS = {
    "rss_mib": Limit(1.05, 5.0),
    "p99_ms": Limit(1.5, 5.0),
    "waiting": Limit(1.5, 200.0),
    "wal_mib": Limit(1.5, 32.0),
}


def main(words: list[str]) -> int:
    asked = _options(words)
    told = console()
    found = []
    for store in asked.store:
        with opened(store, data=asked.data, server=asked.postgres) as database:
            found.append(run(database, asked.minutes, asked.rate, asked.count))
    asked.output.parent.mkdir(parents=True, exist_ok=True)
    asked.output.write_text(json.dumps(found, indent=1) + "\n")
    for one in found:
        told.print(_summary(one))
        for complaint in one["complaints"]:
            told.print(f"[bold red]{complaint}[/]")
    return 1 if any(one["complaints"] for one in found) else 0


def _options(words: list[str]) -> Namespace:
    parser = ArgumentParser(prog="python -m bench soak", description=__doc__)
    parser.add_argument("--store", action="append", choices=STORES, help="default: sqlite")
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--rate", type=float, default=0.0, help="messages a second; default: 70%% of what is measured")
    parser.add_argument("--count", type=int, default=20_000, help="messages to measure the highest rate with")
    parser.add_argument("--data", "--on", type=Path, metavar="DIR", help="on a history that `history` has made there")
    parser.add_argument("--postgres", metavar="URL", help="a PostgreSQL server that runs already")
    parser.add_argument("--output", type=Path, default=RESULTS, metavar="FILE", help="where the results go")
    asked = parser.parse_args(words)
    asked.store = asked.store or ["sqlite"]
    return asked


class Soak(Http):
    """The `http` case with latencies by windows of time, looked at from the side meanwhile."""

    conns = 128

    def __init__(self, kit: Kit, scratch: Path, database: Database) -> None:
        super().__init__(kit, scratch, database)
        self.samples: list[dict[str, float]] = []
        self.windows: list[dict[str, float]] = []

    def load(self, base: int, count: int, **more: object) -> Figures:
        figures = super().load(base, count, windows=EVERY_S)
        self.windows = figures["windows"]
        return figures

    def look(self, at: float) -> None:
        self.samples.append(
            {
                "t": round(at, 1),
                "rss_mib": round(self.chappe.rss_mib(), 1),
                "waiting": self.chappe.waiting(),
                "wal_mib": round(self.database.wal_size() / machine.MIB, 1),
            }
        )


def run(database: Database, minutes: float, rate: float = 0.0, count: int = 20_000) -> dict[str, Any]:
    """Measure, load and look; every message must arrive once. Raises Failed with the end of Chappe's log."""
    with tempfile.TemporaryDirectory(prefix="chappe-bench-") as scratch:
        soak = Soak(Kit(), Path(scratch), database)
        try:
            soak.start()
            highest = 0.0 if rate else soak.run(count).rate
            soak.rate = rate or SHARE * highest
            result = _watched(soak, minutes)
        except Failed as error:
            raise Failed(f"{error}\n{soak.chappe.tail}") from error
        finally:
            soak.stop()
    windows = [{"t": window["t"], "p50_ms": window["p50"], "p99_ms": window["p99"]} for window in soak.windows]
    found = {name: thirds(windows if name == "p99_ms" else soak.samples, name, minutes * 60) for name in LIMITS}
    return {
        "case": "soak",
        "store": database.store,
        "history": database.history,
        "minutes": minutes,
        "highest_per_s": round(highest, 1),
        "offered_per_s": round(soak.rate, 1),
        "rate": round(result.rate, 1),
        "count": result.count,
        "cpu_us": round(result.cpu_us, 1),
        "load_cpu_us": round(result.load_cpu_us, 1),
        "p50_ms": result.p50_ms,
        "p99_ms": result.p99_ms,
        "rss_mib": round(result.rss_mib, 1),
        "trends": found,
        "complaints": trends(found),
        **machine.facts(),
        "samples": soak.samples,
        "windows": windows,
    }


def _watched(soak: Soak, minutes: float) -> Run:
    """The run, with a look from the side every ten seconds and a bar that shows the time."""
    ending = threading.Event()
    bar = Progress(
        TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn(), console=console(), transient=True
    )
    with bar:
        task = bar.add_task(f"{soak.rate:,.0f} messages/s on {soak.database.store}", total=minutes * 60)

        def watch() -> None:
            began = time.monotonic()
            while not ending.wait(EVERY_S):
                try:
                    soak.look(time.monotonic() - began)
                except OSError:
                    return  # it is down: the run will say so
                bar.update(task, completed=time.monotonic() - began)

        watcher = threading.Thread(target=watch, name="watch")
        watcher.start()
        try:
            return soak.run(round(soak.rate * minutes * 60))
        finally:
            ending.set()
            watcher.join()


def thirds(samples: Sequence[dict[str, float]], name: str, seconds: float) -> tuple[float, float]:
    """The medians of the first and of the last third, without the warm-up. Raises Failed when there are too few."""
    values = [sample[name] for sample in samples if WARM_UP * seconds <= sample["t"] <= seconds]
    third = len(values) // 3
    if not third:
        raise Failed(f"too few samples of {name}: {len(values)}")
    return median(values[:third]), median(values[-third:])


def trends(figures: dict[str, tuple[float, float]]) -> list[str]:
    """What grew more than its limit allows, in words."""
    complaints = []
    for name, (early, late) in figures.items():
        limit = LIMITS[name]
        if late > early * limit.factor + limit.slack:
            complaints.append(f"{name} grew from {early:,.1f} to {late:,.1f}")
    return complaints


def _summary(one: dict[str, Any]) -> Table:
    title = (
        f"{one['minutes']:g} minutes on {one['store']}: {one['count']:,} messages at {one['offered_per_s']:,.0f}/s, "
        f"all whole, none doubled; p99 {one['p99_ms']:,.1f} ms, {one['cpu_us']:,.0f} us of CPU each"
    )
    made = Table(title=title)
    for name in ("", "first third", "last third"):
        made.add_column(name, justify="right")
    for name, (early, late) in one["trends"].items():
        made.add_row(name, f"{early:,.1f}", f"{late:,.1f}")
    return made
