"""Forgetting the oldest messages of a history while traffic flows: what customers notice of it."""

from __future__ import annotations

import sys
import time
from pathlib import Path

from bench import history
from bench.cases import HttpAccept
from bench.databases import Database
from bench.history.story import DAY_MS
from bench.kit import Failed, Kit
from bench.rows import Result, spread
from chappe import ids

SLICE_S = 5.0
# `chappe serve`, but old messages are looked for each few seconds instead of each hour
SOONER = "from chappe.messages import retention; retention.FORGET_EVERY_S = 2.0; from chappe.cli import main; main()"
CALM_SLICES = 3
PATIENCE_S = 1800.0


class Traffic(HttpAccept):
    """An open loop."""

    conns = 128
    serve = (sys.executable, "-c", SOONER, "serve")


def measure(kit: Kit, database: Database, scratch: Path, days: int, rate: float) -> list[Result]:
    """Serve with `days` of retention until everything older is gone, under `rate` messages a second; then some calm.

    Rows as `lookups` shows them: how long it took, and the p99 of accepts of each five seconds. Raises Failed when a
    message was not accepted, or nothing is forgotten any more.
    """
    cast = history.cast_of(database)
    before = round(time.time() * 1000) - days * DAY_MS
    old = _older(database, before)
    history.forgot(database, cast, before)  # now: also when we are broken off, nobody shall look for them
    case = Traffic(kit, scratch, database, settings={"CHAPPE_RETENTION__MESSAGE_DAYS": str(days)})
    try:
        case.start()
        case.rate = rate
        began = time.monotonic()
        during: list[float] = []
        while not during or history.rows(database, f"select id from messages where id < {ids.at(before)} limit 1"):
            if time.monotonic() - began > PATIENCE_S:
                raise Failed(f"{_older(database, before):,} of {old:,} messages are still there\n{case.chappe.tail}")
            during.append(_slice(case))
        took = time.monotonic() - began
        after = [_slice(case) for _ in range(CALM_SLICES)]
    finally:
        case.stop()
    return [
        spread(database, f"forgetting {old:,} messages", [took], "s"),
        spread(database, f"p99 of accepts at {rate:,.0f}/s meanwhile", during, "ms"),
        spread(database, "p99 of accepts afterwards", after, "ms"),
    ]


def _slice(case: Traffic) -> float:
    count = round(case.rate * SLICE_S)
    return float(case.load(case.numbers(count), count)["latency"]["p99"])


def _older(database: Database, before: int) -> int:
    [(count,)] = history.rows(database, f"select count(*) from messages where id < {ids.at(before)}")
    return int(count)
