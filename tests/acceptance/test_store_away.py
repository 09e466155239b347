"""The store is held, full or away: nothing is promised that is not on disk, nothing promised is lost, and when it is
back the service goes on by itself."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

import pytest

from tests.acceptance.audit import Audit
from tests.acceptance.conftest import MakeWorld
from tests.acceptance.customer import Customer
from tests.acceptance.traffic import Traffic
from tests.acceptance.world import World
from tests.support.mortal import Mortal
from tests.support.postgres import Postgres, start_postgres

pytestmark = pytest.mark.usefixtures("syncing_postgres")

HELD_S = 2.5  # less than the patience of either engine
own_server = pytest.mark.skipif("CHAPPE_TEST_POSTGRES" in os.environ, reason="needs a server of our own")


@contextlib.asynccontextmanager
async def held(world: World, server: Callable[[], Postgres]) -> AsyncIterator[None]:
    """No commit can happen: another connection has SQLite's write lock, or PostgreSQL is stopped."""
    if not world.database.startswith("sqlite"):
        server().pause()
        try:
            yield
        finally:
            server().resume()
        return
    with closing(sqlite3.connect(path_of(world), timeout=10, isolation_level=None)) as db:
        db.execute("begin immediate")
        yield
        db.execute("rollback")


def path_of(world: World) -> Path:
    return Path(world.database.removeprefix("sqlite:///"))


async def test_nothing_is_answered_before_its_commit(
    store_url: str, make_world: MakeWorld, request: pytest.FixtureRequest
) -> None:
    world = await make_world(store_url, scenario="receipt_delay_s = 1.0")
    customer = await Customer.bind(world)
    before = await world.send(to="+33612000001")
    await world.becomes(before["id"], "sent")
    async with held(world, lambda: request.getfixturevalue("postgres_server")):
        posted = asyncio.create_task(world.post("/v1/messages", {"to": "+33612000002", "text": "Hello"}))
        customer.submit("+33612000003")
        await world.phone("+33612000009", "is anybody there?")
        await asyncio.sleep(HELD_S)
        assert not posted.done(), "202 left before the commit"
        assert not customer.responses, "submit_sm_resp left before the commit"
        waiting = await deliveries(world)
        assert waiting["unacknowledged"] == 2, "the receipt and the reply"
        assert waiting["acknowledged"] == 0, "deliver_sm_resp left before the commit"
    status, body = await posted
    assert status == 202
    await world.becomes(body["id"], "delivered")
    await world.becomes(before["id"], "delivered")
    await world.until(lambda: _has(customer.responses), 5, "submit_sm_resp")
    [(answer, message_id)] = customer.responses
    assert answer == "ESME_ROK"
    await world.becomes(message_id, "delivered")
    await world.until(lambda: _has(customer.messages), 5, "the reply")
    assert (await deliveries(world))["acknowledged"] == 4


@pytest.mark.soak
async def test_a_store_that_is_held_too_long_refuses_and_comes_back(
    store_url: str, make_world: MakeWorld, request: pytest.FixtureRequest
) -> None:
    world = await make_world(store_url)
    customer = await Customer.bind(world)
    async with held(world, lambda: request.getfixturevalue("postgres_server")):
        customer.submit("+33612000003")
        status, body = await world.post("/v1/messages", {"to": "+33612000002", "text": "Hello"})
        assert (status, body["error"]["code"]) == (503, "storage_unavailable")
        await world.until(lambda: _has(customer.responses), 20, "submit_sm_resp")
        assert customer.responses == [("ESME_RSYSERR", "")]
    await comes_back(world)


# -- no room on the disk --------------------------------------------------------------------------------------------


@contextlib.contextmanager
def small_disk(folder: Path) -> Iterator[Path]:
    """A file system of 16 MB."""
    place = folder / "disk"
    place.mkdir()
    mounted = sys.platform == "linux" and subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", str(place)], capture_output=True
    )
    if not mounted or mounted.returncode:
        pytest.skip("nobody may mount a file system here")
    try:
        yield place
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)


async def test_a_full_disk_refuses_new_messages_and_keeps_the_old(tmp_path: Path, make_world: MakeWorld) -> None:
    with small_disk(tmp_path) as disk:
        world = await make_world(f"sqlite:///{disk}/chappe.db")
        ballast = disk / "ballast"

        def leave(octets: int) -> None:
            free = os.statvfs(disk)
            with ballast.open("ab") as file:
                file.write(bytes(max(0, free.f_bavail * free.f_frsize - octets)))

        await refuses_and_recovers(world, leave, ballast.unlink)


@pytest.mark.skipif(sys.platform != "linux", reason="prlimit(2) is Linux's")
async def test_a_file_that_may_not_grow_is_a_full_disk(tmp_path: Path, make_world: MakeWorld) -> None:
    world = await make_world(f"sqlite:///{tmp_path}/chappe.db")

    def leave(octets: int) -> None:
        longest = max(file.stat().st_size for file in tmp_path.glob("chappe.db*"))
        world.serve.limit_files(longest + octets)

    await refuses_and_recovers(world, leave, lambda: world.serve.limit_files(None))


async def refuses_and_recovers(world: World, leave: Callable[[int], None], clear: Callable[[], None]) -> None:
    """Accept until the disk is full, be refused by both doors, make room, and find everything that was accepted.

    `leave(octets)` takes all room but that.
    """
    customer = await Customer.bind(world)
    accepted: list[str] = []
    leave(300_000)
    for n in range(2000):
        status, body = await world.post("/v1/messages", {"to": f"+3361{n:07d}", "text": "full " * 250})
        if status != 202:
            break
        accepted.append(body["id"])
    assert (status, body["error"]["code"]) == (503, "storage_unavailable")
    assert accepted, "the disk was full from the start"
    for n in range(500):  # small units may still fit into what the write-ahead log has already
        leave(0)
        customer.responses.clear()
        customer.submit(f"+3362{n:07d}")
        await world.until(lambda: _has(customer.responses), 10, "submit_sm_resp")
        [(answer, message_id)] = customer.responses
        if answer != "ESME_ROK":
            break
        accepted.append(message_id)
    assert (answer, message_id) == ("ESME_RSYSERR", "")
    assert (await world.get("/healthz"))[0] == 200
    await world.until(lambda: _ready(world, 503), 20, "/readyz")
    clear()
    await comes_back(world)
    for message_id in accepted:
        await world.becomes(message_id, "delivered", 30)
    assert await world.value("pragma integrity_check") == "ok"


async def comes_back(world: World) -> None:
    """New messages are taken again, without a hand laid on."""
    deadline = time.monotonic() + 20
    while True:
        status, body = await world.post("/v1/messages", {"to": "+33612999999", "text": "again"})
        if status == 202:
            break
        assert status == 503 and time.monotonic() < deadline, body
        await asyncio.sleep(0.1)
    await world.becomes(body["id"], "delivered", 20)
    await world.until(lambda: _ready(world, 200), 10, "/readyz")


# -- the database server ends ---------------------------------------------------------------------------------------


@contextlib.contextmanager
def killed(server: Postgres, folder: Path) -> Iterator[Callable[[], None]]:
    """Ends the server at once, without a checkpoint; call what is given to start it again."""
    mortal = Mortal(server, folder)
    mortal.kill()
    try:
        yield mortal.start
    finally:
        mortal.end()


@contextlib.asynccontextmanager
async def own_world(make_world: MakeWorld) -> AsyncIterator[tuple[World, Postgres]]:
    """A world on a server that nobody else uses."""
    server = start_postgres()
    try:
        world = await make_world(await server.create_database())
        yield world, server
        await world.stop()
    finally:
        server.stop()


@own_server
async def test_a_database_server_that_ends_and_comes_back(tmp_path: Path, make_world: MakeWorld) -> None:
    async with own_world(make_world) as (world, server):
        customer = await Customer.bind(world)
        scheduled = (datetime.now(UTC) + timedelta(seconds=3)).isoformat()
        kept = [await world.send(to=f"+3361100000{n}", send_at=scheduled) for n in range(5)]
        with killed(server, tmp_path) as start:
            status, body = await world.post("/v1/messages", {"to": "+33612000002", "text": "Hello"})
            assert (status, body["error"]["code"]) == (503, "storage_unavailable")
            customer.submit("+33612000003")
            await world.until(lambda: _has(customer.responses), 15, "submit_sm_resp")
            assert customer.responses == [("ESME_RSYSERR", "")]
            start()
            await comes_back(world)
            for message in kept:
                await world.becomes(message["id"], "delivered")
            await world.stop()


@pytest.mark.soak
@own_server
async def test_a_database_server_that_ends_under_traffic(tmp_path: Path, make_world: MakeWorld) -> None:
    async with own_world(make_world) as (world, server):
        traffic = Traffic(world, Random(7))
        audit = Audit(world, traffic.promises)
        traffic.begin()
        await asyncio.sleep(1.0)
        with killed(server, tmp_path) as start:
            await asyncio.sleep(2.0)
            start()
            await comes_back(world)
            await traffic.end()
            await audit.settle(within_s=120)  # what a broken commit may have leased is free after a minute
            await traffic.leave()
            assert not await audit.faults()
            await world.stop()


async def deliveries(world: World) -> dict[str, int]:
    """What the operator got rid of, and what it has not."""
    state = await world.ask("/state")
    told: dict[str, int] = state["customers"]["chappe"]["deliveries"]
    return told


async def _ready(world: World, status: int) -> bool:
    return (await world.get("/readyz"))[0] == status


async def _has(items: Sequence[object]) -> bool:
    return bool(items)
