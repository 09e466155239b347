"""Chappe's processes as tests start, kill and look at them: `chappe serve`, the sandbox operator, short commands.

On Linux a process started here is killed by the kernel when the test run ends, however that ends.
"""

from __future__ import annotations

import asyncio
import json
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import psutil

CHAPPE = str(Path(sys.executable).with_name("chappe"))
PATIENCE_S = 30.0
_TAIL = 6_000  # characters of a log that a failure shows

# PR_SET_PDEATHSIG (prctl(2)) outlives exec; fork hooks in the test process itself would not be safe with its threads
_LEASHED = """\
import ctypes, os, signal, sys
if sys.platform == "linux":
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)
os.execv(sys.argv[1], sys.argv[1:])
"""


class Process:
    """A program with a ready file and a log in `folder`; may be started again after its end."""

    def __init__(self, name: str, command: Sequence[str], folder: Path, env: Mapping[str, str] | None = None) -> None:
        self.name = name
        self.ready: dict[str, Any] = {}
        """What the program wrote into its ready file."""
        self._command = command
        self._env = clean_environment() | dict(env or {})
        self._log = folder / f"{name}.log"
        self._ready_file = folder / f"{name}.json"
        self._child: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        assert self._child is not None
        return self._child.pid

    @property
    def running(self) -> bool:
        return self._child is not None and self._child.poll() is None

    @property
    def log(self) -> str:
        return self._log.read_text(errors="replace") if self._log.exists() else ""

    @property
    def tail(self) -> str:
        """The end of its log, as a failed test shows it."""
        return f"---- log of {self.name} ----\n{self.log[-_TAIL:]}\n"

    @property
    def rss(self) -> int:
        """Octets of memory in use, by the process and those below it."""
        process = psutil.Process(self.pid)
        return sum(one.memory_info().rss for one in (process, *process.children(recursive=True)))

    async def start(self) -> None:
        """Start and wait until it is ready. Fails with its log."""
        self.launch()
        await self.until_ready()

    def launch(self) -> None:
        """Start and do not wait."""
        assert not self.running
        self._ready_file.unlink(missing_ok=True)
        command = [sys.executable, "-SEc", _LEASHED, *self._command, "--ready-file", str(self._ready_file)]
        with self._log.open("ab") as log:
            self._child = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=self._env, start_new_session=True
            )

    async def until_ready(self) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while not self._ready_file.exists():
            if not self.running or time.monotonic() > deadline:
                raise AssertionError(f"{self.name} did not come up\n{self.tail}")
            await asyncio.sleep(0.01)
        self.ready = json.loads(self._ready_file.read_text())

    def kill(self) -> None:
        """SIGKILL: nothing is stopped in order."""
        if self._child is not None:
            self._child.kill()
            self._child.wait()

    async def stop(self, patience_s: float = 20.0) -> int:
        """SIGTERM; gives the exit status. Fails when it does not end in time."""
        assert self._child is not None
        self._child.terminate()
        try:
            return await asyncio.to_thread(self._child.wait, patience_s)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"{self.name} did not end within {patience_s:g} s\n{self.tail}") from None

    def pause(self) -> None:
        os.kill(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        os.kill(self.pid, signal.SIGCONT)

    def limit_files(self, octets: int | None) -> None:
        """No file of the process or those below it may grow beyond that (RLIMIT_FSIZE); None lifts the limit. Linux
        only."""
        soft = resource.RLIM_INFINITY if octets is None else octets
        for one in (process := psutil.Process(self.pid), *process.children(recursive=True)):
            resource.prlimit(one.pid, resource.RLIMIT_FSIZE, (soft, resource.RLIM_INFINITY))


def serve(folder: Path, env: Mapping[str, str]) -> Process:
    """`chappe serve` on free ports; `ready` has `http` and `smpp`."""
    ports = {"CHAPPE_HTTP__PORT": "0", "CHAPPE_SMPP__PORT": "0", "CHAPPE_LOG__FORMAT": "json"}
    return Process("serve", [CHAPPE, "serve"], folder, ports | dict(env))


def operator(folder: Path, scenario: str = "", *, seed: int = 1) -> Process:
    """The sandbox operator on free ports; `ready` has `host`, `port` and `control`."""
    file = folder / "scenario.toml"
    file.write_text(scenario)
    options = ["--port", "0", "--control-port", "0", "--scenario", str(file), "--seed", str(seed)]
    return Process("operator", [sys.executable, "-m", "chappe.sandbox", *options], folder)


def run(env: Mapping[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    """A `chappe` command that ends by itself."""
    return subprocess.run(
        [CHAPPE, *arguments],
        env=clean_environment() | dict(env),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
    )


def clean_environment() -> dict[str, str]:
    """Ours without any setting of Chappe's, and free to keep what it compiles: it starts three times as fast then."""
    ours = ("CHAPPE_", "PYTHONDONTWRITEBYTECODE")
    return {name: value for name, value in os.environ.items() if not name.startswith(ours)}
