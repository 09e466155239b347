"""`python -m bench rating`: what rating, the ledger, throttles and a thousand rules cost the speed of the hot path.

Two installations stand side by side, one that bills and one that does not; each case runs on the one and the other in
turn, and the medians are compared. At the end the books of the one that bills are audited.
"""

from __future__ import annotations

import json
import tempfile
from argparse import ArgumentParser
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from typing import Any

from bench import machine
from bench.cases import CASES, Case, Run
from bench.databases import STORES, Database, opened
from bench.kit import Failed, Kit
from bench.speed import SPLIT, console
from tests.support import processes

RESULTS = Path(__file__).parent / "results" / "rating.json"
MUST = 0.85


def main(words: list[str]) -> int:
    """0, or 1 when a case keeps less than it must."""
    parser = ArgumentParser(prog="python -m bench rating", description=__doc__)
    parser.add_argument("--case", action="append", choices=SPLIT, help="default: all")
    parser.add_argument("--store", choices=STORES, default="sqlite")
    parser.add_argument("--count", type=int, default=20_000, help="messages in a run")
    parser.add_argument("--runs", type=int, default=3, help="runs on each, whose medians count")
    parser.add_argument("--postgres", metavar="URL", help="a PostgreSQL server that runs already")
    parser.add_argument("--generator", type=Path, metavar="PATH", help="make the load with this binary instead of ours")
    parser.add_argument("--output", type=Path, default=RESULTS, metavar="FILE", help="where the results go")
    asked = parser.parse_args(words)
    told, results = console(), []
    for kind in CASES:
        if kind.name in (asked.case or SPLIT):
            result = _compared(kind, asked)
            results.append(result)
            told.print(
                f"{kind.name} on {asked.store}: {result['plain']:,.0f} messages/s, billed {result['billed']:,.0f}: "
                f"{result['share']:.0%} (must {MUST:.0%}); CPU {result['plain_cpu_us']:.0f} and "
                f"{result['billed_cpu_us']:.0f} us a message; {result['audit']}",
                highlight=False,
            )
            asked.output.parent.mkdir(parents=True, exist_ok=True)
            asked.output.write_text(json.dumps(results, indent=1) + "\n")
    return 0 if all(result["met"] for result in results) else 1


def _compared(kind: type[Case], asked: Any) -> dict[str, Any]:
    kit = Kit(asked.generator)
    with ExitStack() as stack:
        cases = []
        for billed in (False, True):
            database = stack.enter_context(opened(asked.store, server=asked.postgres))
            scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="chappe-bench-")))
            case = kind(kit, scratch, database, billed=billed)
            stack.callback(case.stop)
            cases.append((case, database))
            try:
                case.start()
            except Failed as error:
                raise Failed(f"{kind.name}: {error}\n{case.chappe.tail}") from error
        runs: tuple[list[Run], list[Run]] = ([], [])
        for _ in range(asked.runs):
            for (case, _database), mine in zip(cases, runs, strict=True):
                mine.append(case.run(asked.count))
        audit = _audit(*cases[1])
    plain, billed_rate = (median(run.rate for run in mine) for mine in runs)
    return {
        "case": kind.name,
        "store": asked.store,
        "plain": round(plain, 1),
        "billed": round(billed_rate, 1),
        "share": round(billed_rate / plain, 3),
        "must": MUST,
        "met": billed_rate >= MUST * plain,
        "plain_cpu_us": round(median(run.cpu_us for run in runs[0]), 1),
        "billed_cpu_us": round(median(run.cpu_us for run in runs[1]), 1),
        "runs": {"plain": [round(run.rate, 1) for run in runs[0]], "billed": [round(run.rate, 1) for run in runs[1]]},
        "count": asked.count,
        "audit": audit,
        "generator": kit.name,
        **machine.facts(),
    }


def _audit(case: Case, database: Database) -> str:
    """The last line of the audit. Raises Failed when the books do not balance."""
    env = {"CHAPPE_DATA_DIR": str(database.folder), "CHAPPE_DATABASE": database.url}
    done = processes.run(env, "ledger", "audit")
    if done.returncode:
        raise Failed(f"the books do not balance: {done.stdout}{done.stderr}{case.chappe.tail}")
    return done.stdout.strip().splitlines()[-1]
