"""`python -m bench`: the speed table. Each case by itself on each store: started, warmed up, run, ended."""

from __future__ import annotations

import json
import tempfile
from argparse import ArgumentParser, Namespace
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from bench import machine, rows
from bench.cases import CASES, Case, Run, Waiting
from bench.databases import STORES, opened
from bench.kit import Failed, Kit
from bench.table import table, where, worse

RESULTS = Path(__file__).parent / "results" / "latest.json"
SPLIT = ("http", "http-batch", "http-accept", "smpp")  # the cases that are also run on several nodes


def main(words: list[str]) -> int:
    """0, or 1 when a row got worse than in --compare beyond the noise."""
    asked = options(words)
    told = console()
    before = known(asked.output)
    compared = known(asked.compare) if asked.compare else []
    Waiting.waiting = asked.waiting
    work = plan(asked)
    found: list[rows.Result] = []
    with progress(told) as bar:
        task = bar.add_task("", total=sum(kind.runs or asked.runs for kind, _, _ in work))
        for kind, store, nodes in work:
            bar.update(task, description=f"{kind.name} on {store}{f' x{nodes}' if nodes > 1 else ''}")
            new = measure(kind, store, nodes, asked, rows.merged(before, found), lambda: bar.advance(task))
            found += new
            for result in new:
                told.print(f"{where(result)}: {result['value']:,.1f} {result['unit']}", highlight=False)
            _write(asked.output, rows.merged(before, found))
    told.print(table(found, compared))
    for kind in dict.fromkeys(kind for kind, _, _ in work):
        told.print(f"  {kind.name}: {kind.words.replace('{waiting}', f'{asked.waiting:,}')}", highlight=False)
    told.print(f"Medians of {asked.runs} runs of {asked.count:,} messages; {', '.join(machine.facts().values())}.")
    regressed = worse(found, compared)
    if regressed:
        told.print(f"[bold red]Worse than before: {', '.join(regressed)}[/]")
    return 1 if regressed else 0


def options(words: list[str]) -> Namespace:
    parser = ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--case", action="append", choices=[case.name for case in CASES], help="default: all")
    parser.add_argument("--store", action="append", choices=STORES, help="default: both")
    parser.add_argument("--nodes", type=int, nargs="+", choices=(1, 2), help="on PostgreSQL; default: 1 2")
    parser.add_argument("--count", type=int, default=20_000, help="messages in a run")
    parser.add_argument("--waiting", type=int, default=1_000_000, help="messages that wait in the case of that name")
    parser.add_argument("--runs", type=int, default=3, help="runs of a case, whose median counts")
    parser.add_argument("--data", "--on", type=Path, metavar="DIR", help="on a history that `history` has made there")
    parser.add_argument("--postgres", metavar="URL", help="a PostgreSQL server that runs already")
    parser.add_argument("--generator", type=Path, metavar="PATH", help="make the load with this binary instead of ours")
    parser.add_argument("--compare", type=Path, metavar="FILE", help="earlier results to show the change against")
    parser.add_argument("--output", type=Path, default=RESULTS, metavar="FILE", help="where the results go")
    asked = parser.parse_args(words)
    asked.case = asked.case or [case.name for case in CASES]
    asked.store = asked.store or list(STORES)
    asked.nodes = asked.nodes or [1, 2]
    return asked


def plan(asked: Namespace) -> list[tuple[type[Case], str, int]]:
    """Case, store and number of nodes, in the order in which they are run."""
    return [
        (kind, store, nodes)
        for store in asked.store
        for nodes in (asked.nodes if store == "postgres" else [1])
        for kind in CASES
        if kind.name in asked.case and (nodes == 1 or kind.name in SPLIT)
    ]


def measure(
    kind: type[Case], store: str, nodes: int, asked: Namespace, before: list[rows.Result], step: Callable[[], None]
) -> list[rows.Result]:
    """The rows of one case on one store. Raises Failed, with the end of Chappe's log."""
    kit = Kit(asked.generator)
    with (
        opened(store, data=asked.data, server=asked.postgres) as database,
        tempfile.TemporaryDirectory(prefix="chappe-bench-") as scratch,
    ):
        case = kind(kit, Path(scratch), database, nodes)
        try:
            case.start()
            runs: list[Run] = []
            for _ in range(kind.runs or asked.runs):
                runs.append(case.run(asked.count))
                step()
        except Failed as error:
            raise Failed(f"{kind.name} on {store}: {error}\n{case.chappe.tail}") from error
        finally:
            case.stop()
    told = machine.facts() | {"generator": kit.name}
    return rows.results(kind.name, store, nodes, database.history, runs, told, before)


def known(path: Path) -> list[rows.Result]:
    """The rows of an earlier run, none if there was none."""
    found: Any = json.loads(path.read_text()) if path.exists() else []
    return found if isinstance(found, list) else []


def console() -> Console:
    told = Console()
    return told if told.is_terminal else Console(width=160)


def progress(told: Console) -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=told,
        transient=True,
    )


def _write(path: Path, results: list[rows.Result]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(results, indent=1) + "\n")
