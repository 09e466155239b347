"""`python -m bench`: run the cases on the stores, print a table, write bench/results/latest.json."""

from __future__ import annotations

import asyncio
import contextlib
import json
import tempfile
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from statistics import median
from typing import Any

from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from bench.cases import CASES, Case, Run
from bench.installation import Kit, machine, server_cpu_s
from tests.support.postgres import start_postgres

RESULTS = Path(__file__).parent / "results" / "latest.json"
WARM_UP = 500
COLUMNS: tuple[tuple[str, str, str], ...] = (
    ("whole/s", "whole_per_s", "{:,.0f}"),
    ("accepted/s", "accept_per_s", "{:,.0f}"),
    ("CPU us", "cpu_us", "{:,.0f}"),
    ("DB CPU us", "store_cpu_us", "{:,.0f}"),
    ("p50 ms", "p50_ms", "{:.1f}"),
    ("p99 ms", "p99_ms", "{:.1f}"),
    ("RSS MB", "rss_mb", "{:,.0f}"),
)


def main() -> None:
    asked = _options()
    told = Console()
    if not told.is_terminal:
        told = Console(width=120)
    before = json.loads(asked.compare.read_text())["results"] if asked.compare else {}
    found: dict[str, dict[str, Any]] = {}
    with Progress(console=told, transient=True) as progress:
        work = [(case, store) for store in asked.store for case in CASES if case.name in asked.case]
        task = progress.add_task("", total=len(work) * asked.runs)
        for case, store in work:
            progress.update(task, description=f"{case.name} on {store}")
            runs = asyncio.run(_measure(case, store, asked, lambda: progress.advance(task)))
            found[f"{case.name} {store}"] = _result(runs)
    told.print(_table(found, before))
    told.print(f"Medians of {asked.runs} runs of {asked.count} messages. {json.dumps(machine())}")
    figures = {"machine": machine(), "count": asked.count, "runs": asked.runs, "results": found}
    asked.output.parent.mkdir(exist_ok=True)
    asked.output.write_text(json.dumps(figures, indent=1) + "\n")


def _options() -> Namespace:
    parser = ArgumentParser(prog="python -m bench", description="Messages a second and CPU a message, end to end.")
    parser.add_argument("--case", action="append", choices=[case.name for case in CASES], help="default: all")
    parser.add_argument("--store", action="append", choices=["sqlite", "postgres"], help="default: both")
    parser.add_argument("--count", type=int, default=5000, help="messages in a run")
    parser.add_argument("--runs", type=int, default=3, help="runs of a case, whose median counts")
    parser.add_argument("--compare", type=Path, metavar="FILE", help="earlier results to show beside")
    parser.add_argument("--output", type=Path, default=RESULTS, metavar="FILE", help="where the results go")
    parser.add_argument("--generator", type=Path, metavar="PATH", help="make the load with this binary instead of ours")
    asked = parser.parse_args()
    asked.case = asked.case or [case.name for case in CASES]
    asked.store = asked.store or ["sqlite", "postgres"]
    return asked


async def _measure(kind: type[Case], store: str, asked: Namespace, step: Callable[[], None]) -> list[Run]:
    with tempfile.TemporaryDirectory(prefix="chappe-bench-") as name, _database(store, Path(name)) as (url, cpu):
        case = kind(Kit(asked.generator), Path(name), url, cpu)
        try:
            await case.start()
            await asyncio.sleep(1)  # until the binds are up
            await case.run(min(WARM_UP, asked.count))
            runs = []
            for _ in range(asked.runs):
                runs.append(await case.run(asked.count))
                step()
            return runs
        except RuntimeError as error:
            raise RuntimeError(f"{error}\n{case.chappe.serve.tail}") from error
        finally:
            case.stop()


@contextlib.contextmanager
def _database(store: str, folder: Path) -> Iterator[tuple[str, Callable[[], float]]]:
    """A store's URL, and the CPU seconds that its server has used."""
    if store == "sqlite":
        yield f"sqlite:///{folder}/chappe.db", lambda: 0.0
        return
    server = start_postgres()
    try:
        with server.database() as dsn:
            pid = server.pid
            yield dsn, lambda: server_cpu_s([pid]) if pid is not None else 0.0
    finally:
        server.stop()


def _result(runs: list[Run]) -> dict[str, Any]:
    medians = {name: median(getattr(run, name) for run in runs) for _, name, _ in COLUMNS}
    return medians | {"each": [asdict(run) for run in runs]}


def _table(found: dict[str, dict[str, Any]], before: dict[str, dict[str, Any]]) -> Table:
    """`whole/s` are messages that went all the way; CPU is that of one message."""
    table = Table(caption="\n".join(f"{case.name}: {case.words}" for case in CASES), caption_justify="left")
    table.add_column("case", no_wrap=True)
    for title, _, _ in COLUMNS:
        table.add_column(title, justify="right", no_wrap=True)
    for name, result in found.items():
        cells = [form.format(result[key]) for _, key, form in COLUMNS]
        if name in before:
            cells = [
                f"{cell} ({100 * (result[key] / before[name][key] - 1):+.0f}%)" if before[name].get(key) else cell
                for cell, (_, key, _) in zip(cells, COLUMNS, strict=True)
            ]
        table.add_row(name, *cells)
    return table


if __name__ == "__main__":
    main()
