"""A fresh Chappe for one case: configured by `chappe apply`, served by `chappe serve`, watched from outside."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psutil

from tests.support import processes

KEY = "ck_live_" + "b" * 43
PASSWORD = "secret"
CONFIG = """\
[[accounts]]
slug = "bench"
name = "Bench"
default_sender = "Bench"
[[accounts.keys]]
name = "all"
scopes = ["messages:send", "messages:read", "webhooks"]
secret = { env = "BENCH_KEY" }
[[accounts.smpp_logins]]
system_id = "bench"
password = { env = "BENCH_PASSWORD" }
window_size = 200
[[accounts.senders]]
address = "Bench"

[[connectors]]
name = "sink"
credentials = { system_id = "chappe", password = { env = "BENCH_PASSWORD" } }
settings = { host = "127.0.0.1", port = PORT, binds = 2, window = 100 }

[[routes]]
name = "all"
connector = "sink"
"""


class Kit:
    """The programs that make load: our own, or those of an external binary with the same options and figures."""

    def __init__(self, binary: Path | None) -> None:
        self._binary = binary

    def command(self, program: str, **options: object) -> list[str]:
        words = [str(self._binary), program] if self._binary else [sys.executable, "-m", f"bench.{program}"]
        for name, value in options.items():
            words += [f"--{name.replace('_', '-').strip('-')}", str(value)]
        return [*words, "--progress", "0"]

    def run(self, program: str, **options: object) -> dict[str, Any]:
        """Figures of a program that ends by itself. Raises RuntimeError with its words when it failed."""
        done = subprocess.run(self.command(program, **options), capture_output=True, text=True, timeout=600)
        if done.returncode:
            raise RuntimeError(f"{program}: {done.stderr[-2000:]}{done.stdout[-2000:]}")
        figures: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        return figures


class Sink:
    """A program that runs beside and writes its figures to a file."""

    def __init__(self, kit: Kit, program: str, folder: Path, **options: object) -> None:
        self.port = free_port()
        self._stats = folder / f"{program}.stats"
        command = kit.command(program, port=self.port, stats=self._stats, **options)
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        deadline = time.monotonic() + 10
        while socket.socket().connect_ex(("127.0.0.1", self.port)):
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{program} did not start")
            time.sleep(0.02)

    def figures(self) -> dict[str, Any]:
        if not self._stats.exists():
            return {}
        figures: dict[str, Any] = json.loads(self._stats.read_text())
        return figures

    def stop(self) -> None:
        self._process.kill()
        self._process.wait()


class Installation:
    """`database` is a store's URL; `start` waits until it serves and its supplier's binds are up."""

    def __init__(self, folder: Path, database: str, sink_port: int) -> None:
        self.folder = folder
        self._sink_port = sink_port
        self._env = {
            "CHAPPE_DATA_DIR": str(folder / "data"),
            "CHAPPE_DATABASE": database,
            "CHAPPE_WEBHOOKS__ALLOW_PRIVATE": "true",
            "CHAPPE_LOG__LEVEL": "warning",
        }
        self.serve = processes.serve(folder, self._env)

    async def start(self) -> None:
        file = self.folder / "config.toml"
        file.write_text(CONFIG.replace("PORT", str(self._sink_port)))
        done = processes.run(self._env | {"BENCH_KEY": KEY, "BENCH_PASSWORD": PASSWORD}, "apply", str(file))
        if done.returncode:
            raise RuntimeError(done.stdout + done.stderr)
        await self.serve.start()

    @property
    def cpu_s(self) -> float:
        """CPU seconds of `chappe serve` and its children so far."""
        process = psutil.Process(self.serve.pid)
        times = [one.cpu_times() for one in (process, *process.children(recursive=True))]
        return sum(float(t.user + t.system) for t in times)

    def stop(self) -> None:
        self.serve.kill()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def machine() -> dict[str, Any]:
    """Where these figures were measured."""
    model = ""
    if os.path.exists("/proc/cpuinfo"):
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        model = next((line.partition(": ")[2] for line in lines if line.startswith("model name")), "")
    return {"cpu": model, "cores": os.cpu_count(), "python": sys.version.split()[0], "system": sys.platform}


def server_cpu_s(pids: Sequence[int]) -> float:
    """CPU seconds of a database server: its process and all below it, also those that have ended."""
    total = 0.0
    for pid in pids:
        process = psutil.Process(pid)
        own = process.cpu_times()
        total += own.user + own.system + own.children_user + own.children_system
        for child in process.children(recursive=True):
            t = child.cpu_times()
            total += t.user + t.system
    return total
