"""The programs that make the load: our own, or those of an installed binary with the same commands and figures."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench import leash

Figures = dict[str, Any]
START_S = 10.0
ROOT = Path(__file__).resolve().parents[1]  # where `bench` is found


class Failed(RuntimeError):
    """A program said no, or not everything came through."""


class Kit:
    def __init__(self, binary: Path | None = None) -> None:
        self.name = str(binary.name) if binary else "own"
        self._start = [str(binary.resolve())] if binary else [sys.executable, "-m", "bench.generator"]

    def command(self, program: str, **options: object) -> list[str]:
        words = [*self._start, program]
        for name, value in options.items():
            words += [f"--{name.replace('_', '-').strip('-')}", str(value)]
        return leash.on(signal.SIGKILL, *words, "--progress", "0")

    def run(self, *programs: tuple[str, dict[str, Any]], within_s: float) -> list[Figures]:
        """The figures of programs that run side by side and end by themselves. Raises Failed with their words."""
        started = [
            subprocess.Popen(
                self.command(name, **options), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT
            )
            for name, options in programs
        ]
        try:
            figures = []
            for (name, _), process in zip(programs, started, strict=True):
                told, complaint = process.communicate(timeout=within_s)
                if process.returncode:
                    raise Failed(f"{name}: {complaint[-2000:]}{told[-2000:]}")
                figures.append(json.loads(told.splitlines()[-1]))
            return figures
        except subprocess.TimeoutExpired as late:
            raise Failed(f"the load did not end within {within_s:g} s") from late
        finally:
            for process in started:
                process.kill()
                process.wait()


class Sink:
    """A program that runs beside and writes its figures to a file, some times a second."""

    def __init__(self, kit: Kit, program: str, folder: Path, port: int | None = None, **options: object) -> None:
        self.port = port or free_port()
        self._stats = folder / f"{program}-{self.port}.stats"
        self._process = subprocess.Popen(
            kit.command(program, port=self.port, stats=self._stats, **options), stdout=subprocess.DEVNULL, cwd=ROOT
        )
        deadline = time.monotonic() + START_S
        while not self._stats.exists() and not listens(self.port):
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise Failed(f"{program} did not start")
            time.sleep(0.02)

    def figures(self) -> Figures:
        if not self._stats.exists():
            return {}
        figures: Figures = json.loads(self._stats.read_text())
        return figures

    def count(self, name: str) -> int:
        return int(self.figures().get(name, 0))

    def stop(self) -> None:
        self._process.kill()
        self._process.wait()


def together(figures: Sequence[Figures], latency: str) -> Figures:
    """Figures of loads that ran side by side as those of one; of latencies the worst."""
    first = figures[0]
    merged = dict(first)
    for name in ("ok", "requests", "dlr", "cpu_s"):
        if name in first:
            merged[name] = sum(one[name] for one in figures)
    merged["t_start"] = min(one["t_start"] for one in figures)
    for name in ("t_last", "t_last_resp", "t_last_dlr"):
        if name in first:
            merged[name] = max(one[name] for one in figures)
    merged["latency"] = {name: max(one[latency][name] for one in figures) for name in first[latency]}
    return merged


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def listens(port: int) -> bool:
    """Whether somebody takes connections there."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
