"""Where figures were measured, and what processes used."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from collections.abc import Iterable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil

MIB = 2**20


def facts() -> dict[str, Any]:
    """Date, commit, machine: what a figure means nothing without."""
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "commit": _commit(),
        "machine": f"{_processor()}, {os.cpu_count()} cores, {psutil.virtual_memory().total / 2**30:.0f} GiB",
        "system": f"{platform.system()} {platform.release()}",
        "python": sys.version.split()[0],
    }


def _processor() -> str:
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(": ")[2]
    return platform.processor() or platform.machine()


def _commit() -> str:
    """As git names it, with a + when files differ from it; empty outside a clone."""
    command = ["git", "describe", "--always", "--dirty=+", "--abbrev=10", "--exclude=*"]
    try:
        return subprocess.run(command, cwd=Path(__file__).parent, capture_output=True, text=True).stdout.strip()
    except OSError:
        return ""


def cpu_s(pids: Iterable[int]) -> float:
    """CPU seconds of these processes and all below them so far, also of those that have ended."""
    total = 0.0
    for process in _families(pids):
        with suppress(psutil.NoSuchProcess):
            used = process.cpu_times()
            total += used.user + used.system + used.children_user + used.children_system
    return total


def rss_mib(pids: Iterable[int]) -> float:
    """Memory of these processes and all below them; what they share counts for each."""
    total = 0
    for process in _families(pids):
        with suppress(psutil.NoSuchProcess):
            total += process.memory_info().rss
    return total / MIB


def _families(pids: Iterable[int]) -> Iterable[psutil.Process]:
    for pid in pids:
        with suppress(psutil.NoSuchProcess):
            process = psutil.Process(pid)
            yield from (process, *process.children(recursive=True))
