"""`python -m bench history`: a store with the messages of a year, as if Chappe had carried them.

`story` tells what happened, `into_sqlite` and `into_postgres` write it down quickly. What is short-lived by nature (the
log of webhooks, events, idempotency keys) is left out.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import sqlite3
import tempfile
import time
from argparse import ArgumentParser, Namespace
from contextlib import closing
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import asyncpg
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from bench.databases import HISTORY, STORES, Database, opened
from bench.history import into_postgres, into_sqlite
from bench.history.story import DAY_MS, Cast, Story
from bench.installation import SECRETS, Installation
from bench.kit import Failed
from bench.speed import console

ACCOUNTS = 5
DAYS = 365
OCTETS = 1_350  # of a message on disk, text and indexes included: for the check of the free disk only
HEADROOM = 1.25  # sorting for indexes, write-ahead logs
MUST_OCTETS = 1024
CONFIG = """\
[[connectors]]
name = "history"
status = "stopped"
credentials = { system_id = "chappe", password = { env = "BENCH_PASSWORD" } }
[connectors.settings]
host = "127.0.0.1"

[[routes]]
name = "history"
connector = "history"
"""
ACCOUNT = """
[[accounts]]
slug = "history%d"
name = "History %d"
default_sender = "Bench"
[[accounts.keys]]
name = "all"
scopes = ["messages:read"]
secret = { env = "HISTORY_KEY_%d" }
[[accounts.smpp_logins]]
system_id = "history%d"
password = { env = "BENCH_PASSWORD" }
"""


def main(words: list[str]) -> int:
    asked = _options(words)
    told = console()
    asked.data.mkdir(parents=True, exist_ok=True)
    need, free = int(asked.count * OCTETS * HEADROOM), shutil.disk_usage(asked.data).free
    told.print(f"{asked.count:,} messages need about {need / 2**30:.1f} GiB; {free / 2**30:.1f} GiB are free.")
    if need > free:
        raise Failed("The disk is too small.")
    with opened(asked.store, data=asked.data, server=asked.postgres) as database:
        found = fill(database, asked.count, asked.workers)
    told.print(
        f"{asked.count:,} messages in {found['seconds']:,.0f} s ({asked.count / found['seconds']:,.0f}/s), "
        f"{found['octets'] / 2**30:.2f} GiB: {found['octets_a_message']:,.0f} octets a message, of them "
        f"{found['text_octets_a_message']:,.0f} text; {found['beyond_text']:,.0f} beyond it (must: {MUST_OCTETS:,})."
    )
    return 0 if found["beyond_text"] <= MUST_OCTETS else 1


def _options(words: list[str]) -> Namespace:
    parser = ArgumentParser(prog="python -m bench history", description=__doc__)
    parser.add_argument("--store", choices=STORES, required=True)
    parser.add_argument("--count", type=int, default=10_000_000)
    parser.add_argument("--data", type=Path, required=True, metavar="DIR", help="where it stays")
    parser.add_argument("--postgres", metavar="URL", help="a PostgreSQL server that runs already")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 2, help="processes that make rows")
    return parser.parse_args(words)


def fill(database: Database, count: int, workers: int = 2) -> dict[str, Any]:
    """Configure and fill an empty store, and leave a note beside it. Raises Failed when it has messages."""
    if database.history:
        raise Failed(f"{database.folder} has a history of {database.history:,} messages already: remove it first.")
    with tempfile.TemporaryDirectory(prefix="chappe-bench-") as scratch:
        config = CONFIG + "".join(ACCOUNT % (n, n, n, n) for n in range(ACCOUNTS))
        keys = {f"HISTORY_KEY_{n}": key(n) for n in range(ACCOUNTS)}
        Installation(database, Path(scratch)).apply(config, SECRETS | keys)
    cast = _cast(database, count)
    before, began = database.size(), time.monotonic()
    into = into_sqlite.fill if database.store == "sqlite" else into_postgres.fill
    bar = Progress(
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), console=console()
    )
    with bar:
        task = bar.add_task(f"history in {database.store}", total=count)
        text = into(database, cast, workers, lambda messages: bar.advance(task, messages))
        bar.update(task, description="indexes are built")
    octets = database.size() - before
    found = {
        "messages": count,
        "seconds": round(time.monotonic() - began, 1),
        "octets": octets,
        "octets_a_message": octets / count,
        "text_octets_a_message": text / count,
        "beyond_text": (octets - text) / count,
        "cast": asdict(cast),
    }
    (database.folder / HISTORY).write_text(json.dumps(found, indent=1) + "\n")
    return found


def remembered(database: Database) -> Story:
    """The story of a filled store. Raises Failed when there is none."""
    file = database.folder / HISTORY
    if not file.exists():
        raise Failed(f"There is no history in {database.folder}: `python -m bench history` makes one.")
    return Story(cast_of(database))


def cast_of(database: Database) -> Cast:
    told = json.loads((database.folder / HISTORY).read_text())["cast"]
    return Cast(**told | {"accounts": tuple(told["accounts"]), "logins": tuple(told["logins"])})


def forgot(database: Database, cast: Cast, before: int) -> None:
    """Messages of before a moment (milliseconds) are gone: correct the note."""
    file = database.folder / HISTORY
    first = min(cast.count, max(cast.first, -(-(before - cast.began) * cast.count // (cast.ended - cast.began))))
    noted = json.loads(file.read_text()) | {"messages": cast.count - first, "cast": asdict(replace(cast, first=first))}
    file.write_text(json.dumps(noted, indent=1) + "\n")


def key(account: int) -> str:
    """The API key of the nth account."""
    return f"ck_live_{'h' * 42}{account}"


def _cast(database: Database, count: int) -> Cast:
    found = rows(database, "select id from accounts where slug like 'history%' order by slug")
    logins = rows(database, "select id from smpp_logins where system_id like 'history%' order by system_id")
    [(connector,)] = rows(database, "select id from connectors where name = 'history'")
    [(route,)] = rows(database, "select id from routes where name = 'history'")
    if rows(database, "select id from messages limit 1"):
        raise Failed(f"There are messages in {database.folder} already: remove it first.")
    ended = round(time.time() * 1000) - 60_000
    return Cast(
        accounts=tuple(one for (one,) in found),
        logins=tuple(one for (one,) in logins),
        connector=connector,
        route=route,
        count=count,
        began=ended - DAYS * DAY_MS,
        ended=ended,
    )


def rows(database: Database, statement: str) -> list[tuple[Any, ...]]:
    """What a statement finds, on a connection of our own."""
    if database.store == "sqlite":
        with closing(sqlite3.connect(database.url.removeprefix("sqlite:///"), timeout=30)) as db:
            return db.execute(statement).fetchall()
    return asyncio.run(_fetch(database.url, statement))


async def _fetch(url: str, statement: str) -> list[tuple[Any, ...]]:
    connection = await asyncpg.connect(url)
    try:
        return [tuple(row) for row in await connection.fetch(statement)]
    finally:
        await connection.close()
