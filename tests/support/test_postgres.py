from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import asyncpg
import psutil
import pytest

from chappe.storage import migrate
from tests.support.furnished import Furnished
from tests.support.postgres import Postgres

ROOT = Path(__file__).parent.parent.parent
own_server = pytest.mark.skipif("CHAPPE_TEST_POSTGRES" in os.environ, reason="needs a server of our own")


async def test_a_test_gets_an_empty_database_of_its_own(postgres_dsn: str) -> None:
    connection = await asyncpg.connect(postgres_dsn)
    assert await connection.fetchval("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'") == 0
    assert await connection.fetchval("SHOW synchronous_commit") == "on"
    await connection.execute("CREATE TABLE left_behind (id int)")
    await connection.close()


async def test_databases_do_not_see_each_other_and_go_even_when_in_use(postgres_server: Postgres) -> None:
    one, other = await postgres_server.create_database(), await postgres_server.create_database()
    assert one != other
    held = await asyncpg.connect(one)
    await held.execute("CREATE TABLE mine (id int)")
    beside = await asyncpg.connect(other)
    assert await beside.fetchval("SELECT to_regclass('mine')") is None
    await beside.close()
    await postgres_server.drop_database(one)
    await postgres_server.drop_database(other)
    with pytest.raises(asyncpg.InvalidCatalogNameError):
        await asyncpg.connect(one)
    held.terminate()


@own_server
async def test_the_server_waits_for_the_disk_when_a_test_is_about_durability(
    postgres_dsn: str, request: pytest.FixtureRequest
) -> None:
    async def syncs() -> str:
        connection = await asyncpg.connect(postgres_dsn)
        value: str = await connection.fetchval("SHOW fsync")
        await connection.close()
        return value

    assert await syncs() == "off"
    request.getfixturevalue("syncing_postgres")
    assert await syncs() == "on"


@own_server
async def test_a_commit_waits_while_the_server_is_paused(postgres_server: Postgres, postgres_dsn: str) -> None:
    connection = await asyncpg.connect(postgres_dsn)
    await connection.execute("CREATE TABLE rows (id int)")
    postgres_server.pause()
    try:
        insert = asyncio.ensure_future(connection.execute("INSERT INTO rows VALUES (1)"))
        done, _ = await asyncio.wait([insert], timeout=0.3)
        assert not done
    finally:
        postgres_server.resume()
    await asyncio.wait_for(insert, 5)
    assert await connection.fetchval("SELECT count(*) FROM rows") == 1
    await connection.close()


@own_server
@pytest.mark.parametrize("paused", [False, True], ids=["running", "paused"])
def test_the_server_ends_when_its_test_run_is_killed(paused: bool, tmp_path: Path) -> None:
    program = "import sys, time; from tests.support.postgres import start_postgres; s = start_postgres()\n"
    program += "if sys.argv[1] == 'True': s.pause()\n"
    program += "print(s.pid, flush=True); time.sleep(60)"
    command = [sys.executable, "-c", program, str(paused)]
    environ = {**os.environ, "TMPDIR": str(tmp_path)}
    for folder in (tmp_path, *tmp_path.parents):
        if folder.stat().st_mode & 0o005 == 0:  # pytest keeps it to itself, and the server may run as another user
            folder.chmod(0o755)
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT, env=environ, text=True) as run:
        assert run.stdout is not None
        server = psutil.Process(int(run.stdout.readline()))
        family = [server, *server.children()]
        assert len(family) > 1
        run.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline and (any(map(lives, family)) or list(tmp_path.iterdir())):
        time.sleep(0.05)
    assert not any(map(lives, family))
    assert not list(tmp_path.iterdir())


def lives(process: psutil.Process) -> bool:
    """A dead process whose parent is gone may stay in the process table: that is dead enough."""
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def test_empty_store_url_names_a_store_of_each_engine_without_tables(empty_store_url: str) -> None:
    assert empty_store_url.startswith(("sqlite:///", "postgresql://"))
    if empty_store_url.startswith("sqlite"):
        assert not Path(empty_store_url.removeprefix("sqlite:///")).exists()


def test_store_url_names_a_store_of_each_engine_that_needs_no_migration(store_url: str, tmp_path: Path) -> None:
    assert migrate.pending(store_url) == []
    if store_url.startswith("sqlite"):
        assert store_url == f"sqlite:///{tmp_path}/chappe.db"


async def test_a_furnished_database_is_used_again_without_what_was_in_it(furnished: Furnished) -> None:
    adding = "insert into events (kind, account_id, created_at, payload) values ('x', 1, 0, '{}')"
    with furnished.database() as first:
        left = await asyncpg.connect(first)
        await left.execute("insert into config_versions values ('x', 1)")
        await left.execute(adding)
        await left.execute("begin; lock table config_versions")
    with furnished.database() as again:
        assert again == first
        connection = await asyncpg.connect(again)
        assert await connection.fetchval("select count(*) from config_versions") == 0
        assert await connection.fetchval(f"{adding} returning position") == 1
        await connection.execute("drop table config_versions")
    with furnished.database() as another:
        assert another != first
        connection = await asyncpg.connect(another)
        assert await connection.fetchval("select count(*) from config_versions") == 0
        await connection.close()
    left.terminate()
