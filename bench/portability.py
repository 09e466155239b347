"""`python -m bench portability`: a national file of ported numbers imported, and numbers looked up in it."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import time
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import psutil
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from bench import machine
from bench.kit import ROOT, Failed
from bench.speed import console
from chappe.lookups.portability import Columns, Files, Origin

RESULTS = Path(__file__).parent / "results" / "portability.json"
OPERATORS = {f"RN{at:03d}": f"208{at:02d}" for at in range(40)}
FIRST = 33_600_000_000  # the mobiles of France, +33 6 and +33 7
SPACE = 200_000_000
STEP = 123_456_791  # has no divisor in common with SPACE: all numbers differ, in no order
COLUMNS = Columns(number="number", operator="routing number", date="porting date")
DAY = datetime(2026, 11, 1, tzinfo=UTC)
ASKED = 200_000
MUST_MEMORY_MIB = 50.0
MUST_MEDIAN_US = 5.0


def main(words: list[str]) -> int:
    """0, or 1 when memory or look-ups miss what they must be."""
    asked = _options(words)
    if asked.work is not None:
        print(json.dumps(work(Path(asked.work), asked.rows)))
        return 0
    with tempfile.TemporaryDirectory(prefix="chappe-bench-", dir=asked.data) as scratch:
        folder = Path(scratch)
        _write(folder / "ported.csv", asked.rows, asked.sorted)
        command = [sys.executable, "-m", "bench", "portability", "--rows", str(asked.rows), "--work", str(folder)]
        ended = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        if ended.returncode:
            raise Failed("the import failed")
    found = json.loads(ended.stdout.splitlines()[-1]) | {"sorted": asked.sorted} | machine.facts()
    console().print(_table(found))
    asked.output.parent.mkdir(parents=True, exist_ok=True)
    asked.output.write_text(json.dumps([found], indent=1) + "\n")
    return 0 if found["met"] else 1


def work(folder: Path, rows: int) -> dict[str, Any]:
    """Import and look up, in a process that has done nothing else: its memory is the work's."""
    files = Files(folder / "indexes")
    source = folder / "ported.csv"
    before = _peak_mib()
    columns = TextColumn("import"), BarColumn(), DownloadColumn(), TimeElapsedColumn()
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=source.stat().st_size)
        began, cpu = time.monotonic(), time.process_time()
        built = files.replace(
            "FR",
            source,
            columns=COLUMNS,
            operators_map=OPERATORS,
            origin=Origin(source="made", date=DAY.date(), complete=True),
            progress=lambda _, octets: bar.update(task, completed=octets),
        )
        took, cpu = time.monotonic() - began, time.process_time() - cpu
    if built.meta.numbers != rows:
        raise Failed(f"{built.meta.numbers:,} numbers of {rows:,} are in the index")
    memory = _peak_mib() - before
    index = files.index("FR")
    assert index is not None
    found: dict[str, Any] = {
        "rows": rows,
        "import_s": round(took, 2),
        "import_cpu_s": round(cpu, 2),
        "import_mib": round(memory, 1),
        "csv_mib": round(source.stat().st_size / machine.MIB, 1),
        "index_mib": round(index.path.stat().st_size / machine.MIB, 1),
        **_changes(files, folder / "changes.csv", rows),
        **_look_ups(files, rows),
        **_reopened(folder / "indexes"),
    }
    return found | {"met": memory <= MUST_MEMORY_MIB and found["get_median_us"] <= MUST_MEDIAN_US}


def _changes(files: Files, path: Path, rows: int) -> dict[str, float]:
    """The seconds in which a file of changes to one number of a hundred, which leaves all as it was, is applied."""
    _write(path, max(1, rows // 100), False)
    began = time.monotonic()
    built = files.amend(
        "FR", path, columns=COLUMNS, operators_map=OPERATORS, name="changes", day=DAY.date() + timedelta(days=1)
    )
    took = time.monotonic() - began
    if built.meta.numbers != rows:
        raise Failed(f"{built.meta.numbers:,} numbers of {rows:,} are left after the changes")
    return {"changes_s": round(took, 2)}


def _look_ups(files: Files, rows: int) -> dict[str, float]:
    """Microseconds of a look-up, each timed by itself, half of the numbers listed; and of one among many at once."""
    chance = Random(1)
    listed = [str(_number(chance.randrange(rows))) for _ in range(ASKED // 2)]
    others = [str(FIRST + chance.randrange(SPACE)) for _ in range(ASKED // 2)]
    wrong = [one for one in listed if files.get(one, "FR") not in OPERATORS.values()]
    if wrong:
        raise Failed(f"{len(wrong)} numbers of the file are not found")
    numbers = listed + others
    chance.shuffle(numbers)
    clock, get = time.perf_counter_ns, files.get
    taken = []
    for one in numbers:
        began = clock()
        get(one, "FR")
        taken.append(clock() - began)
    taken.sort()
    index = files.index("FR")
    assert index is not None
    began = clock()
    index.get_many(numbers)
    many = clock() - began
    return {
        "get_median_us": round(taken[len(taken) // 2] / 1000, 3),
        "get_p99_us": round(taken[int(0.99 * len(taken))] / 1000, 3),
        "get_many_us": round(many / len(numbers) / 1000, 3),
    }


def _reopened(folder: Path) -> dict[str, float]:
    """Opening as a node does at its start, and the memory of its own that this takes: the file's pages are shared."""
    before = psutil.Process().memory_info()
    began = time.monotonic()
    files = Files(folder)
    took = time.monotonic() - began
    after = psutil.Process().memory_info()
    assert files.countries
    own = (after.rss - after.shared) - (before.rss - before.shared) if hasattr(after, "shared") else 0
    return {"open_ms": round(1000 * took, 1), "open_mib": round(own / machine.MIB, 2)}


def _write(path: Path, rows: int, ascending: bool) -> None:
    """A file of that many numbers, all different, with operators and dates."""
    dates = [f"{DAY - timedelta(days=at):%Y-%m-%d}" for at in range(3650)]
    places = sorted(at * STEP % SPACE for at in range(rows)) if ascending else (at * STEP % SPACE for at in range(rows))
    with path.open("w") as file:
        file.write("number;routing number;porting date\n")
        file.writelines(_lines(places, dates))


def _lines(places: Iterator[int] | list[int], dates: list[str]) -> Iterator[str]:
    for place in places:
        yield f"{FIRST + place};RN{place % 40:03d};{dates[place % 3650]}\n"


def _number(at: int) -> int:
    return FIRST + at * STEP % SPACE


def _peak_mib() -> float:
    """The most memory that this process ever held."""
    status = Path("/proc/self/status")
    if status.exists():  # getrusage would count what the process was before it became this program
        for line in status.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / machine.MIB  # macOS counts octets


def _options(words: list[str]) -> Namespace:
    parser = ArgumentParser(prog="python -m bench portability", description=__doc__)
    parser.add_argument("--rows", type=int, default=10_000_000, help="numbers in the file")
    parser.add_argument("--sorted", action="store_true", help="in ascending order; default: in none")
    parser.add_argument("--data", type=Path, metavar="DIR", help="where the files lie meanwhile; 80 octets a row")
    parser.add_argument("--work", metavar="DIR", help="for its own use: the part that is measured")
    parser.add_argument("--output", type=Path, default=RESULTS, metavar="FILE", help="where the results go")
    asked = parser.parse_args(words)
    if not 0 < asked.rows <= SPACE:
        raise Failed(f"--rows: there are {SPACE:,} numbers")
    return asked


def _table(found: dict[str, Any]) -> Table:
    made = Table(title=f"{found['rows']:,} ported numbers, {'sorted' if found['sorted'] else 'in no order'}")
    made.add_column("what", no_wrap=True)
    made.add_column("", justify="right", no_wrap=True)
    made.add_column("must", justify="right", no_wrap=True)
    for what, value, must in (
        ("import", f"{found['import_s']:,.1f} s", ""),
        ("its CPU", f"{found['import_cpu_s']:,.1f} s", ""),
        ("its memory beyond the process", f"{found['import_mib']:,.1f} MiB", f"{MUST_MEMORY_MIB:,.0f} MiB"),
        ("CSV", f"{found['csv_mib']:,.1f} MiB", ""),
        ("index", f"{found['index_mib']:,.1f} MiB", ""),
        ("1% of changes merged into a new version", f"{found['changes_s']:,.1f} s", ""),
        ("look-up, median", f"{found['get_median_us']:,.2f} us", f"{MUST_MEDIAN_US:,.0f} us"),
        ("look-up, p99", f"{found['get_p99_us']:,.2f} us", ""),
        ("look-up among many at once", f"{found['get_many_us']:,.2f} us", ""),
        ("open at the start, all of it read", f"{found['open_ms']:,.1f} ms", ""),
        ("memory of its own when open", f"{found['open_mib']:,.2f} MiB", ""),
    ):
        made.add_row(what, value, must)
    return made
