"""The database: does it answer, is its schema ours, does a commit survive a power cut, does its clock agree."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, Final

import asyncpg

from chappe import connectors, declared, routing
from chappe.accounts import directory
from chappe.api.alarms import age, alarms
from chappe.api.facts import Facts
from chappe.cli.doctor import cluster
from chappe.cli.doctor.finding import Finding, fail, ok, warn
from chappe.cli.doctor.machine import disk
from chappe.runtime import Runtime, open_runtime
from chappe.settings import Settings
from chappe.storage import StoreError, migrate, sqlite_path
from chappe.storage.writer import connect

CONNECT_S: Final = 5.0
SKEW_WARN_S: Final = 1.0
SKEW_FAIL_S: Final = 30.0  # leases are shorter than a minute
_FULL: Final = 2  # https://www.sqlite.org/pragma.html#pragma_synchronous


async def look(settings: Settings) -> AsyncIterator[Finding]:
    """Everything about the database; what is configured only if its schema is today's."""
    path = sqlite_path(settings.database)
    if path is not None and not path.exists():
        yield disk(path.parent)
        yield ok("database", f"{path} will be made at the first start")
        return
    try:
        found = list(_sqlite(path)) if path is not None else await _postgres(settings.database)
        for finding in found:
            yield finding
        waiting = await asyncio.to_thread(migrate.pending, settings.database)
        revision = await asyncio.to_thread(migrate.current, settings.database)
    except (StoreError, OSError, TimeoutError, sqlite3.Error, asyncpg.PostgresError) as error:
        yield fail("database", str(error) or type(error).__name__, "Check `database` in the settings, and the server.")
        return
    if waiting:
        yield warn("schema", f"{len(waiting)} migrations are pending", "chappe migrate; `chappe serve` does it too.")
        return
    if migrate.is_newer(revision):
        yield warn("schema", f"at {revision}, of a newer version", "It serves this one too. Upgrade this node as well.")
    else:
        yield ok("schema", f"at {migrate.head()}")
    async for finding in _configured(settings):
        yield finding


def _sqlite(path: Path) -> Iterator[Finding]:
    yield disk(path.parent)
    if not os.access(path, os.W_OK):
        yield fail("database", f"{path} cannot be written", "Give it to the user who runs Chappe.")
        return
    db = connect(path, read_only=True)
    try:
        journal, synchronous = (db.execute(f"pragma {name}").fetchone()[0] for name in ("journal_mode", "synchronous"))
    finally:
        db.close()
    yield ok("database", f"{path}, SQLite {sqlite3.sqlite_version}, {path.stat().st_size / 1024 / 1024:.1f} MB")
    if (journal, synchronous) == ("wal", _FULL):
        yield ok("durability", "journal_mode wal, synchronous full: a commit survives a power cut")
    else:
        words = f"journal_mode {journal}, synchronous {synchronous}"
        yield fail("durability", words, "The file system may not carry a write-ahead log: use a local disk.")


async def _postgres(dsn: str) -> list[Finding]:
    db = await asyncpg.connect(dsn, timeout=CONNECT_S)
    try:
        names = ("server_version", "fsync", "full_page_writes", "max_connections")
        version, fsync, pages, most = [await db.fetchval(f"show {name}") for name in names]
        before = time.time()
        theirs = float(await db.fetchval("select extract(epoch from clock_timestamp())"))
        ours = (before + time.time()) / 2
    finally:
        await db.close()
    found = [ok("database", f"PostgreSQL {version}, at most {most} connections")]
    if (fsync, pages) == ("on", "on"):
        found.append(ok("durability", "fsync on; Chappe asks for synchronous_commit itself"))
    else:
        words = f"fsync {fsync}, full_page_writes {pages}: a power cut can lose what was accepted"
        found.append(fail("durability", words, "Set both to on in postgresql.conf and restart the server."))
    return [*found, skew(ours - theirs)]


def skew(seconds: float) -> Finding:
    """How far our clock is from the database's, by which work is leased."""
    words = f"ours is {abs(seconds):.3f} s {'ahead of' if seconds > 0 else 'behind'} the database's"
    if abs(seconds) >= SKEW_FAIL_S:
        return fail("clock skew", words, "Keep both machines with NTP: leases rest on it.")
    if abs(seconds) >= SKEW_WARN_S:
        return warn("clock skew", words, "Keep both machines with NTP.")
    return ok("clock skew", words)


async def _configured(settings: Settings) -> AsyncIterator[Finding]:
    """Whether anybody could send anything, and whether the secret key opens the credentials."""
    rt = await open_runtime(settings)
    try:
        await declared.start(rt)
        for finding in _configuration(rt):
            yield finding
        if rt.node.fenced:
            async for finding in cluster.look(rt):
                yield finding
        async for finding in _upkeep(rt):
            yield finding
    finally:
        await rt.close()


async def _upkeep(rt: Runtime) -> AsyncIterator[Finding]:
    """Whether the database can tidy up, and whether anything waits too long."""
    facts = Facts(rt)
    found = await facts.health()
    if found.engine == "sqlite":
        words = f"{found.wal_waiting_bytes / 1e6:.1f} MB of the write-ahead log wait for a checkpoint"
    else:
        words = f"{sum(table.dead for table in found.tables):,} rows of the queues wait to be removed"
        if found.oldest_snapshot is not None:
            words += f", the oldest transaction is open for {age(found.oldest_snapshot.age_s)}"
    told = [alarm for alarm in await alarms(facts, rt.settings.alarms) if alarm.kind in ("snapshot", "wal", "waiting")]
    for alarm in told:
        yield warn("queue" if alarm.kind == "waiting" else "upkeep", alarm.words, alarm.action)
    if not any(alarm.kind != "waiting" for alarm in told):
        yield ok("upkeep", words)
    if not found.sees_all:
        hidden = "the database hides other users' sessions: an alarm on long transactions sees ours alone"
        yield warn("upkeep", hidden, "grant pg_read_all_stats to the role that Chappe connects as.")


def _configuration(rt: Runtime) -> Iterator[Finding]:
    book, routes = connectors.book(rt), routing.table(rt).routes
    counts: dict[str, Any] = {
        "accounts": len(directory(rt).accounts),
        "connectors": len(book.stored),
        "routes": len(routes),
    }
    words = ", ".join(f"{count} {name if count != 1 else name[:-1]}" for name, count in counts.items())
    missing = [name for name, count in counts.items() if not count]
    if missing:
        yield warn("configuration", words, f"No {missing[0]}: nothing can be sent. See docs/how-to and `chappe apply`.")
    else:
        yield ok("configuration", words)
    if book.sealed:
        names = ", ".join(book.sealed)
        yield fail("credentials", f"of {names} do not open", "Put back the secret key that they were encrypted with.")
