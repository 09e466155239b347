"""`python -m bench kannel`: the same work with Kannel, from the same generator, on the same machine.

Kannel (bearerbox and smsbox, its store a file, its receipts in memory) is configured in a temporary folder; where it is
missing and we are root on Debian it is installed. opensmppbox, which no distribution carries, is measured if it is on
the PATH. With strace on the PATH one more run counts the fsyncs.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from statistics import median
from typing import Any, ClassVar

from rich.table import Table

from bench import leash, machine
from bench.cases import DOUBLES_S, FIRST, PATIENCE_S, TEXT, WARM_UP, Run, until
from bench.kit import Failed, Figures, Kit, Sink, free_port, listens, together
from bench.rows import FIGURES, Result
from bench.speed import console

RESULTS = Path(__file__).parent / "results" / "kannel.json"
PROGRAMS = ("bearerbox", "smsbox")
CORE = """\
group = core
admin-port = {admin}
admin-password = bench
smsbox-port = {boxes}
box-allow-ip = "127.0.0.1"
log-file = {folder}/bearerbox.core.log
log-level = 2
store-type = file
store-location = {folder}/kannel.store
dlr-storage = internal

group = smsc
smsc = smpp
smsc-id = sink
host = 127.0.0.1
port = {operator}
transceiver-mode = true
smsc-username = bench
smsc-password = secret
system-type = ""
max-pending-submits = 100
msg-id-type = 0x00

group = smsbox
bearerbox-host = 127.0.0.1
sendsms-port = {http}
log-file = {folder}/smsbox.core.log
log-level = 2

group = sendsms-user
username = bench
password = secret

group = sms-service
keyword = default
text = none
"""
SMPP_DOOR = """\
group = core
dlr-storage = internal

group = opensmppbox
bearerbox-host = 127.0.0.1
bearerbox-port = {boxes}
opensmppbox-id = bench
opensmppbox-port = {smpp}
smpp-logins = {folder}/logins
log-file = {folder}/opensmppbox.core.log
log-level = 2
use-systemid-as-smsboxid = true
"""
ROOM_S = 20.0
TRACED = 2_000  # messages of the run whose fsyncs are counted: being traced is slow


class Kannel:
    """bearerbox and smsbox (and opensmppbox), connected to an operator; `pids` are theirs."""

    def __init__(self, folder: Path, operator: int, smpp: bool) -> None:
        self.http, self.smpp = free_port(), free_port()
        self._boxes = free_port()
        self._folder = folder
        self._started: list[subprocess.Popen[bytes]] = []
        told = {"folder": folder, "operator": operator, "http": self.http, "boxes": self._boxes, "smpp": self.smpp}
        (folder / "kannel.conf").write_text(CORE.format(admin=free_port(), **told))
        (folder / "smpp.conf").write_text(SMPP_DOOR.format(**told))
        (folder / "logins").write_text("bench secret VMA *.*.*.*\n")
        self._start("bearerbox", "kannel.conf", self._boxes)
        self._start("smsbox", "kannel.conf", self.http)
        if smpp:
            self._start("opensmppbox", "smpp.conf", self.smpp)

    def _start(self, program: str, config: str, port: int) -> None:
        command = leash.on(signal.SIGKILL, _path(program) or program, str(self._folder / config))
        with (self._folder / f"{program}.log").open("wb") as log:
            process = subprocess.Popen(command, stdout=log, stderr=log, cwd=self._folder)
        self._started.append(process)
        deadline = time.monotonic() + ROOM_S
        while not listens(port):
            if process.poll() is not None or time.monotonic() > deadline:
                raise Failed(f"{program} did not start:\n{(self._folder / f'{program}.log').read_text()[-2000:]}")
            time.sleep(0.05)

    @property
    def pids(self) -> list[int]:
        return [process.pid for process in self._started]

    def stop(self) -> None:
        for process in reversed(self._started):
            process.kill()
            process.wait()


class Accept:
    """HTTP, no receipt. A message has gone all the way when the operator has it."""

    name: ClassVar[str] = "http-accept"
    receipts: ClassVar[bool] = False
    smpp: ClassVar[bool] = False

    def __init__(self, kit: Kit, folder: Path) -> None:
        self.kit = kit
        self.operator = Sink(kit, "sink", folder, dlr_max_ms=50)
        self.hooks = Sink(kit, "httpsink", folder, uniq="id")
        self.kannel = Kannel(folder, self.operator.port, self.smpp)
        self._next = FIRST

    def stop(self) -> None:
        self.kannel.stop()
        for sink in (self.operator, self.hooks):
            sink.stop()

    def run(self, count: int) -> Run:
        base, self._next = self._next, self._next + count
        before = machine.cpu_s(self.kannel.pids), self._sinks_cpu_s()
        wanted = self.operator.count("submits") + count
        reports = self.hooks.count("uniq") + count
        figures = self.load(base, count)
        ended = self.ended(figures, wanted, reports)
        time.sleep(DOUBLES_S)
        if (got := self.operator.count("submits")) != wanted:
            raise Failed(f"{got - wanted:+} submits at the operator")
        began = figures["t_start"]
        accepted = figures.get("t_last_resp", figures.get("t_last", began))
        return Run(
            count=count,
            accept_rate=count / (accepted - began),
            rate=count / (ended - began),
            cpu_us=(machine.cpu_s(self.kannel.pids) - before[0]) / count * 1e6,
            store_cpu_us=0.0,
            load_cpu_us=(self._sinks_cpu_s() - before[1] + figures["cpu_s"]) / count * 1e6,
            p50_ms=figures["latency"]["p50"],
            p90_ms=figures["latency"]["p90"],
            p99_ms=figures["latency"]["p99"],
            rss_mib=machine.rss_mib(self.kannel.pids),
        )

    def load(self, base: int, count: int) -> Figures:
        receipts = f"&dlr-mask=1&dlr-url=http%3A%2F%2F127.0.0.1%3A{self.hooks.port}%2F%3Fid%3D{{n}}"
        path = "/cgi-bin/sendsms?username=bench&password=secret&from=Bench&to=%2B{n}&text=Hello%2C+this+is+message+{n}."
        options: dict[str, Any] = {"port": self.kannel.http, "path": path + (receipts if self.receipts else "")}
        options |= {"method": "GET", "header": "X-Bench: 1", "conns": 32, "count": count, "base": base}
        return together(self.kit.run(("httpload", options), within_s=60 + count / 20), "lat_ms")

    def ended(self, figures: Figures, submits: int, reports: int) -> float:
        """The moment at which the last message had gone all the way."""
        return until(self.operator, "submits", submits, "t_last")

    def _sinks_cpu_s(self) -> float:
        return sum(float(sink.figures().get("cpu_s", 0.0)) for sink in (self.operator, self.hooks))


class Receipts(Accept):
    """HTTP, and a callback for each receipt."""

    name = "http"
    receipts = True

    def ended(self, figures: Figures, submits: int, reports: int) -> float:
        return until(self.hooks, "uniq", reports, "t_last_match")


class Smpp(Accept):
    """SMPP through opensmppbox; one session, since each of its sessions waits for the others."""

    name = "smpp"
    smpp = True

    def load(self, base: int, count: int) -> Figures:
        options: dict[str, Any] = {"port": self.kannel.smpp, "user": "bench", "pass": "secret", "sessions": 1}
        options |= {"window": 100, "dlr": 1, "src": "Bench", "text": TEXT, "count": count, "dst_base": base}
        return together(self.kit.run(("load", options), within_s=60 + count / 20), "resp_ms")

    def ended(self, figures: Figures, submits: int, reports: int) -> float:
        return float(figures["t_last_dlr"])


def main(words: list[str]) -> int:
    asked = _options(words)
    told = console()
    if not all(map(_path, PROGRAMS)):
        _install()
    found = []
    for kind in (Accept, Receipts, Smpp):
        if kind.smpp and not _path("opensmppbox"):
            told.print("opensmppbox is not on the PATH: no SMPP case.")
            continue
        with told.status(f"{kind.name} with Kannel"):
            found.append(measure(kind, Kit(asked.generator), asked.count, asked.runs))
    told.print(_table(found))
    asked.output.parent.mkdir(parents=True, exist_ok=True)
    asked.output.write_text(json.dumps(found, indent=1) + "\n")
    return 0


def _options(words: list[str]) -> Namespace:
    parser = ArgumentParser(prog="python -m bench kannel", description=__doc__)
    parser.add_argument("--count", type=int, default=20_000, help="messages in a run")
    parser.add_argument("--runs", type=int, default=3, help="runs of a case, whose median counts")
    parser.add_argument("--generator", type=Path, metavar="PATH", help="make the load with this binary instead of ours")
    parser.add_argument("--output", type=Path, default=RESULTS, metavar="FILE", help="where the results go")
    return parser.parse_args(words)


def measure(kind: type[Accept], kit: Kit, count: int, runs: int) -> Result:
    """A row as the speed table has them, with the fsyncs of one more, shorter run (None without strace)."""
    with tempfile.TemporaryDirectory(prefix="chappe-bench-kannel-") as name:
        case = kind(kit, Path(name))
        try:
            case.run(min(WARM_UP, count))
            made = [case.run(count) for _ in range(runs)]
            fsyncs: int | None = None
            if shutil.which("strace"):
                with _traced(case.kannel.pids, Path(name) / "strace") as counted:
                    case.run(min(TRACED, count))
                fsyncs = sum(counted)
        finally:
            case.stop()
    figures = {figure: round(median(getattr(run, figure) for run in made), 3) for figure in FIGURES}
    told = {"case": kind.name, "store": "kannel", "value": figures["rate"], "unit": "messages/s", "fsyncs": fsyncs}
    return told | figures | {"count": count, **machine.facts(), "runs": [asdict(run) for run in made]}


@contextmanager
def _traced(pids: list[int], file: Path) -> Iterator[list[int]]:
    """Counts the fsyncs of processes and their threads; the list is filled when the block ends."""
    counted: list[int] = []
    command = [shutil.which("strace") or "strace", "-f", "-qq", "-e", "trace=fsync,fdatasync", "-o", str(file)]
    tracer = subprocess.Popen(
        leash.on(signal.SIGINT, *command, *(word for pid in pids for word in ("-p", str(pid)))),
        stderr=subprocess.DEVNULL,
    )
    time.sleep(1)  # until it has attached to all threads
    try:
        yield counted
    finally:
        tracer.send_signal(signal.SIGINT)
        tracer.wait(PATIENCE_S)
        counted.append(len(re.findall(r"\b(?:fsync|fdatasync)\(", file.read_text()) if file.exists() else []))


def _path(program: str) -> str | None:
    return shutil.which(program, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")


def _install() -> None:
    """Raises Failed where that is not ours to do."""
    command = ["apt-get", "install", "--yes", "--no-install-recommends", "kannel"]
    if os.geteuid() != 0 or not Path("/etc/debian_version").exists() or not shutil.which("apt-get"):
        raise Failed(f"Kannel is not installed. On Debian: sudo {' '.join(command)}")
    console().print("Kannel is installed from Debian.")
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    for words in (["apt-get", "update"], command):
        done = subprocess.run(words, env=environment, capture_output=True, text=True, timeout=600)
        if done.returncode:
            raise Failed(done.stderr[-2000:])


def _table(found: list[Result]) -> Table:
    made = Table(title="Kannel, nothing durable before the answer unless it says fsyncs")
    made.add_column("case", no_wrap=True)
    titles = ("messages", "whole/s", "accepted/s", "CPU us", "load us", "p50 ms", "p99 ms", "RSS MiB")
    for title in (*titles, f"fsyncs in {TRACED:,}"):
        made.add_column(title, justify="right", no_wrap=True)
    for one in found:
        figures = [f"{one[name]:,.0f}" for name in ("count", "rate", "accept_rate", "cpu_us", "load_cpu_us")]
        figures += [f"{one['p50_ms']:,.1f}", f"{one['p99_ms']:,.1f}", f"{one['rss_mib']:,.0f}"]
        made.add_row(one["case"], *figures, "?" if one["fsyncs"] is None else f"{one['fsyncs']:,}")
    return made
