"""A backup made under traffic and restored elsewhere has all that was accepted before it began, and goes on with it."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from random import Random

import asyncpg
import pytest

from chappe.messages import State
from chappe.messages.model import FINAL
from chappe.storage import sqlite_path
from tests.acceptance.conftest import MakeWorld
from tests.acceptance.traffic import Traffic, number_of
from tests.acceptance.world import World
from tests.support import processes
from tests.support.postgres import WHEEL, Postgres, start_postgres

SCENARIO = """\
response_delay_s = [0.0, 0.05]
receipt_delay_s = { mean = 0.8, least = 0.1 }
resend_after_s = 0.5
"""


@pytest.fixture
def elsewhere(store_url: str, tmp_path: Path) -> Iterator[str]:
    """Where the backup is restored: another folder, or an empty database of another server."""
    if sqlite_path(store_url) is not None:
        yield f"sqlite:///{tmp_path}/restored/chappe.db"
        return
    server: Postgres = start_postgres()
    with server.database() as dsn:
        yield dsn
    if "CHAPPE_TEST_POSTGRES" not in os.environ:
        server.stop()


async def test_a_backup_under_traffic_restores_and_goes_on(
    store_url: str, elsewhere: str, make_world: MakeWorld, tmp_path: Path
) -> None:
    world = await make_world(store_url, scenario=SCENARIO)
    if sqlite_path(store_url) is None:
        await grow_old(store_url)
    traffic = Traffic(world, Random(4))
    traffic.begin()
    await asyncio.sleep(1.0)

    async def busy() -> bool:
        return len(traffic.promises.by_http) > 20 and len(traffic.promises.by_smpp) > 10

    await world.until(busy, 30)
    promised = traffic.promises.by_http | traffic.promises.by_smpp
    backup = await asyncio.to_thread(back_up, world, tmp_path / "backup")
    assert len(traffic.promises.by_http) + len(traffic.promises.by_smpp) > len(promised), "nobody sent meanwhile"
    await traffic.end()
    await traffic.leave()
    world.serve.kill()
    world.hooks.heard.clear()
    await asyncio.to_thread(restore, backup, elsewhere)
    world.database = world.env["CHAPPE_DATABASE"] = elsewhere
    stored = {row[0] for row in await world.rows("select id from messages")}
    assert [public for public in promised if number_of(public) not in stored] == []
    await world.expire_leases()  # a backup is older than they last
    world.serve = processes.serve(world.folder, world.env)
    world.nodes = [world.serve]
    await world.serve.start()

    async def all_done() -> bool:
        """What waited has been sent. Receipts that came after the backup went to the old store: `sent` has to do."""
        waiting = await world.value("select count(*) from queue")
        untold = await world.value("select count(*) from webhook_deliveries where state = 0")
        return not waiting and not untold

    await world.until(all_done, 30, "all that waited when the backup was made is sent, and told")
    states = dict(await world.rows("select id, state from messages"))
    assert {states[number_of(public)] for public in promised} <= {
        State.SENDING,
        State.SENT,
        *FINAL,
    }  # in doubt is `sending`
    fresh = await world.send(to="+33699999999", text="After the restore")
    await world.becomes(fresh["id"], "delivered")

    async def told() -> bool:
        return "message.delivered" in world.hooks.heard.get(fresh["id"], ())

    await world.until(told, what="webhooks go on")
    sys.stderr.write(f"{len(promised)} promised, {len(stored)} restored\n")


async def grow_old(dsn: str) -> None:
    """Let the server hand out so many transaction numbers that those of a new one are lower."""
    pg = await asyncpg.connect(dsn)
    for _ in range(4_000):
        await pg.execute("select pg_current_xact_id()")
    await pg.close()


def back_up(world: World, to: Path) -> Path:
    if sqlite_path(world.database) is not None:
        done = processes.run(world.env, "backup", str(to))
        assert done.returncode == 0, done.stderr
    else:
        program("pg_dump", "--format=custom", f"--file={to}", world.database)
    return to


def restore(backup: Path, into: str) -> None:
    path = sqlite_path(into)
    if path is not None:
        path.parent.mkdir()
        backup.rename(path)
    else:
        program("pg_restore", "--exit-on-error", "--no-owner", f"--dbname={into}", str(backup))


def program(name: str, *arguments: str) -> None:
    command = [str(WHEEL / "pginstall" / "bin" / name), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL)
    assert done.returncode == 0, done.stderr
