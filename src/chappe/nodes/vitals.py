"""How a process is: the CPU and memory that it takes, how late its event loop is, and what it does in a second."""

from __future__ import annotations

import asyncio
import os
import resource
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final

_SAMPLE_S: Final = 0.25
_STATM: Final = Path("/proc/self/statm")
_MIB: Final = 1024 * 1024


class Vitals:
    """Samples the loop it is made in until `stop`."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._lag = 0.0
        self._counted: dict[str, int] = {}
        self._counted_at = self._loop.time()
        self._due = self._loop.time() + _SAMPLE_S
        self._timer = self._loop.call_at(self._due, self._sample)

    def look(self, counters: Mapping[str, int]) -> dict[str, float]:
        """CPU seconds in all, MiB of memory, the worst lag since the last look in ms, and the counters' rates."""
        now = self._loop.time()
        passed = max(now - self._counted_at, 0.001)
        rates = {
            f"{name}_per_s": round(max(0, count - self._counted.get(name, count)) / passed, 1)
            for name, count in counters.items()
        }
        self._counted, self._counted_at = dict(counters), now
        lag, self._lag = max(self._lag, now - self._due), 0.0
        return {
            "cpu_s": round(time.process_time(), 2),
            "rss_mib": round(memory() / _MIB, 1),
            "loop_lag_ms": round(max(0.0, lag) * 1000, 1),
            **rates,
        }

    def stop(self) -> None:
        self._timer.cancel()

    def _sample(self) -> None:
        now = self._loop.time()
        self._lag = max(self._lag, now - self._due)
        self._due = now + _SAMPLE_S
        self._timer = self._loop.call_at(self._due, self._sample)


def memory() -> int:
    """Resident bytes; where the system does not tell the present ones, the most there have been."""
    try:
        return int(_STATM.read_bytes().split()[1]) * os.sysconf("SC_PAGESIZE")
    except OSError:
        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return most if sys.platform == "darwin" else most * 1024
