"""A database server that may end at once and be started again, as `pg_ctl stop -m immediate` and `start` do."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil

from tests.support import reaper
from tests.support.postgres import Postgres


class Mortal:
    """A server of ours that nobody else uses. `folder` is any that may hold a name. `end` it before `Postgres.stop`."""

    def __init__(self, server: Postgres, folder: Path) -> None:
        assert server.pid is not None, "a server given by CHAPPE_TEST_POSTGRES is not ours to end"
        self._process = psutil.Process(server.pid)
        self._nothing = folder / "nothing"
        self._guard: subprocess.Popen[bytes] | None = None
        ids = self._process.uids().real, self._process.gids().real
        self._popen: dict[str, Any] = {"cwd": self._process.cwd()}
        if os.geteuid() == 0:
            self._popen |= {"user": ids[0], "group": ids[1], "extra_groups": []}
        self._command = self._process.cmdline()

    def kill(self) -> None:
        """End it without a checkpoint: connections break off, and the next start has to recover."""
        self._process.send_signal(signal.SIGQUIT)
        self._process.wait(10)

    def start(self) -> None:
        """On the same port and files; returns before it takes connections."""
        void = subprocess.DEVNULL
        again = subprocess.Popen(
            self._command, stdin=void, stdout=void, stderr=void, start_new_session=True, **self._popen
        )
        self._process = psutil.Process(again.pid)
        self.end()
        guard = [sys.executable, reaper.__file__, str(self._nothing), str(again.pid)]
        self._guard = subprocess.Popen(guard, stdin=subprocess.PIPE, start_new_session=True)

    def end(self) -> None:
        """What was started here."""
        if self._guard is not None:
            self._guard.communicate()  # it ends the server when its input ends
            self._guard = None
