"""`python -m bench consent`: what it costs to ask whether messages may go, among many refusals and consents."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import statistics
import time
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from random import Random
from typing import Any

import psutil
from rich.table import Table

from bench import machine
from bench.databases import STORES, Database, opened
from bench.speed import console, progress
from chappe import accounts, consent, law, numbers
from chappe.consent import store as tables
from chappe.messages import allowed, open_rooms
from chappe.runtime import Runtime, open_runtime
from chappe.settings import Settings
from chappe.storage import migrate

RESULTS = Path(__file__).parent / "results" / "consent.json"
BATCH = 100
ROWS = 2_000  # a transaction, while the tables are filled
MUST_US = 20.0
PARTS = ("accept", "send")


def main(words: list[str]) -> int:
    """0, or 1 when asking at accept and again before the wire takes longer than it must."""
    asked = _options(words)
    found = []
    for name in asked.store or STORES:
        with opened(name, server=asked.postgres) as database:
            found.append(asyncio.run(_measured(database, asked)))
    console().print(_shown(found, asked))
    asked.output.parent.mkdir(parents=True, exist_ok=True)
    asked.output.write_text(json.dumps(found, indent=1) + "\n")
    return 0 if all(one["met"] for one in found) else 1


async def _measured(database: Database, asked: Namespace) -> dict[str, Any]:
    await asyncio.to_thread(migrate.upgrade, database.url)
    rt = await _opened(database)
    try:
        account = await accounts.create_account(rt, "bench", slug="bench", name="Bench", default_sender="Bench")
        await law.create_adjustment(rt, "bench", account.id, kind="cap", value="2/7d", purpose="marketing")
        await _fill(rt, account, asked)
    finally:
        await rt.close()
    rt = await _opened(database)  # as after a start: what was filled in is in the file, not in the log
    try:
        before = psutil.Process().memory_info().rss
        gc.collect()
        gc.freeze()  # as `chappe serve` does with what it keeps
        runs = [await _run(rt, account, asked, seed) for seed in range(asked.runs)]
        grown = psutil.Process().memory_info().rss - before
    finally:
        await rt.close()
    told: dict[str, Any] = {"store": database.store, "suppressions": asked.suppressions, "consents": asked.consents}
    for kind in ("wall", "cpu"):
        for part in PARTS:
            told[f"{part}_{kind}_us"] = round(statistics.median(run[f"{part}_{kind}"] for run in runs), 2)
        both = statistics.median(sum(run[f"{part}_{kind}"] for part in PARTS) for run in runs)
        told[f"both_{kind}_us"] = round(both, 2)
    told["may_send_10000_ms"] = round(statistics.median(run["may_send"] for run in runs), 1)
    told["refused_percent"] = round(statistics.median(run["refused"] for run in runs), 1)
    told["rss_grown_mib"] = round(grown / machine.MIB, 1)
    return told | {"runs": asked.runs, "met": told["both_wall_us"] <= MUST_US} | machine.facts()


async def _opened(database: Database) -> Runtime:
    rt = await open_runtime(Settings(database=database.url, data_dir=database.folder, secret_key="bench"))
    await open_rooms(rt)
    return rt


async def _run(rt: Runtime, account: accounts.Account, asked: Namespace, seed: int) -> dict[str, float]:
    """Microseconds a message, in batches, of new and then of stored messages; the batch's store and loop included."""
    random, now, refused = Random(seed), rt.clock.now(), 0
    took = dict.fromkeys((f"{part}_{kind}" for part in PARTS for kind in ("wall", "cpu")), 0.0)
    for _ in range(asked.messages // BATCH):
        people = [numbers.parse(_number(random.randrange(asked.consents * 5 // 4))) for _ in range(BATCH)]
        for part in PARTS:
            wall, cpu = time.perf_counter(), time.process_time()
            asker, new = allowed.Asker(rt), part == "accept"
            batch = [
                asker.about(
                    account,
                    person if new else person.e164,
                    person.country,
                    "marketing",
                    "Bench",
                    False,
                    now,
                    rt.ids.next(),
                )
                for person in people
            ]
            known = await allowed.look(rt, batch)
            judged = [allowed.judge(known, one) for one in batch]
            took[f"{part}_wall"] += time.perf_counter() - wall
            took[f"{part}_cpu"] += time.process_time() - cpu
        refused += sum(isinstance(one, allowed.Refusal) for one in judged)
    some = [_number(random.randrange(asked.consents * 5 // 4)) for _ in range(10_000)]
    began = time.perf_counter()
    await allowed.may_send(rt, account.id, False, some, sender="Bench", at=now)
    many = time.perf_counter() - began
    messages = asked.messages // BATCH * BATCH
    told = {name: seconds * 1e6 / messages for name, seconds in took.items()}
    return told | {"may_send": many * 1000, "refused": 100 * refused / messages}


async def _fill(rt: Runtime, account: accounts.Account, asked: Namespace) -> None:
    """Four of five people have agreed; those who refused are spread among all."""
    told = console()
    with progress(told) as bar:
        await _written(rt, bar, "consents", asked.consents, _consents(rt, account, asked.consents))
        await _written(rt, bar, "suppressions", asked.suppressions, _suppressions(rt, account, asked))


async def _written(rt: Runtime, bar: Any, name: str, total: int, rows: Iterator[tuple[Any, ...]]) -> None:
    task = bar.add_task(name, total=total)
    add = tables.ADD_CONSENTS if name == "consents" else tables.ADD_SUPPRESSIONS
    while some := list(islice(rows, ROWS)):
        await rt.store.write(add(some))
        bar.advance(task, len(some))


def _consents(rt: Runtime, account: accounts.Account, count: int) -> Iterator[tuple[Any, ...]]:
    key, now = consent.persons(rt).key, rt.clock.now()
    for n in range(count):
        person = _number(n)
        said = ("given", "express", "import", now - 1_000_000, None, rt.ids.next())
        yield (key(account.id, False, person), "sms", "marketing", "", account.id, 0, person, *said)


def _suppressions(rt: Runtime, account: accounts.Account, asked: Namespace) -> Iterator[tuple[Any, ...]]:
    key, now = consent.persons(rt).key, rt.clock.now()
    step = max(1, asked.consents * 5 // asked.suppressions)
    for n in range(asked.suppressions):
        person = _number(n * step)  # most are people that nobody asks about, as in life
        owner = consent.EVERYONES if n % 10 == 9 else account.id  # and some are the operator's
        what = ("any", "account", "", "marketing", "list", "import", "old", "")
        yield (rt.ids.next(), key(owner, False, person), owner, 0, person, *what, now, None, None)


def _number(n: int) -> str:
    return f"+316{10_000_000 + n % 89_999_999}"


def _shown(found: list[dict[str, Any]], asked: Namespace) -> Table:
    title = f"{asked.consents:,} consents, {asked.suppressions:,} suppressions, caps, hours; batches of {BATCH}"
    made = Table(title=title)
    made.add_column("microseconds a message", no_wrap=True)
    for one in found:
        made.add_column(one["store"], justify="right", no_wrap=True)
    made.add_column("must", justify="right", no_wrap=True)
    rows = (
        ("at accept", "accept_wall_us", ""),
        ("before the wire", "send_wall_us", ""),
        ("both", "both_wall_us", f"{MUST_US:g}"),
        ("both, CPU of this process", "both_cpu_us", ""),
        ("10,000 answered in one call, ms", "may_send_10000_ms", ""),
        ("refused, %", "refused_percent", ""),
        ("memory grown, MiB", "rss_grown_mib", ""),
    )
    for words, name, must in rows:
        made.add_row(words, *(f"{one[name]:g}" for one in found), must)
    return made


def _options(words: list[str]) -> Namespace:
    parser = ArgumentParser(prog="python -m bench consent", description=__doc__)
    parser.add_argument("--suppressions", type=int, default=1_000_000)
    parser.add_argument("--consents", type=int, default=1_000_000)
    parser.add_argument("--messages", type=int, default=20_000, help="a run")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--store", choices=STORES, action="append", help="one of them; else both")
    parser.add_argument("--postgres", metavar="URL", default=os.environ.get("CHAPPE_BENCH_POSTGRES"))
    parser.add_argument("--output", type=Path, default=RESULTS)
    return parser.parse_args(words)
