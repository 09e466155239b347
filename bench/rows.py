"""The rows of the speed table: which figure of which case, what it must be and what we aim for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

from bench.cases import Run
from bench.databases import Database

POSTGRES_SHARE = 0.6  # of what the same case reaches on the embedded store
HISTORY_SHARE = 0.9  # of what it reaches without a history
Result = dict[str, Any]
Key = tuple[str, str, int, bool]


@dataclass(frozen=True)
class Row:
    """`figure` is a field of Run. `rises`: more is better."""

    name: str
    case: str
    figure: str
    unit: str
    must: float
    aim: float
    rises: bool = False

    def met(self, value: float, target: float | None) -> bool | None:
        if target is None:
            return None
        return value >= target if self.rises else value <= target


ROWS = (
    Row("http", "http", "rate", "messages/s", 3000, 6000, rises=True),
    Row("http-batch", "http-batch", "rate", "messages/s", 4000, 8000, rises=True),
    Row("http-accept", "http-accept", "rate", "messages/s", 6000, 12000, rises=True),
    Row("smpp", "smpp", "rate", "messages/s", 4500, 10000, rises=True),
    Row("smpp-cpu", "smpp", "cpu_us", "us a message", 200, 120),
    Row("http-half", "http-half", "p99_ms", "ms p99", 25, 10),
    Row("smpp-half", "smpp-half", "p99_ms", "ms p99", 25, 10),
    Row("idle", "idle", "p50_ms", "ms p50", 5, 2),
    Row("waiting", "waiting", "rss_mib", "MiB", 300, 200),
)
FIGURES = (
    *("rate", "accept_rate", "cpu_us", "store_cpu_us", "load_cpu_us"),
    *("p50_ms", "p90_ms", "p99_ms", "rss_mib", "load_per_s"),
)


def results(
    case: str, store: str, nodes: int, history: int, runs: Sequence[Run], told: Mapping[str, Any], before: list[Result]
) -> list[Result]:
    """The rows of one case: the median of each figure. `before` are the rows known so far, for targets."""
    figures = {name: round(median(getattr(run, name) for run in runs), 3) for name in FIGURES}
    made = []
    for row in ROWS:
        if row.case != case:
            continue
        value = figures[row.figure]
        must, aim = targets(row, store, nodes, history, before)
        made.append(
            {
                "case": row.name,
                "store": store,
                "nodes": nodes,
                "history": history,
                "value": value,
                "unit": row.unit,
                "must": must,
                "aim": aim,
                "met": row.met(value, must),
                "spread_pct": _spread_pct([getattr(run, row.figure) for run in runs]),
                **figures,
                "count": runs[0].count,
                **told,
                "runs": [asdict(run) for run in runs],
            }
        )
    return made


def targets(
    row: Row, store: str, nodes: int, history: int, before: Sequence[Result]
) -> tuple[float | None, float | None]:
    """Must and aim. A rate on PostgreSQL or on a history must reach its share of what is known without."""
    known = {key(result): result["value"] for result in before}
    if history:
        plain = known.get((row.name, store, nodes, False))
        if row.rises:
            return (None if plain is None else round(HISTORY_SHARE * plain, 3)), None
        return (row.must, row.aim) if store == "sqlite" else (None, None)
    if store == "sqlite":
        return row.must, row.aim
    if not row.rises or nodes > 1:
        return None, None
    plain = known.get((row.name, "sqlite", 1, False))
    return (None if plain is None else round(POSTGRES_SHARE * plain, 3)), None


def merged(before: Sequence[Result], new: Sequence[Result]) -> list[Result]:
    """New rows replace those of the same case, store, nodes, with or without a history."""
    fresh = {key(result) for result in new}
    return [result for result in before if key(result) not in fresh] + list(new)


def key(result: Mapping[str, Any]) -> Key:
    return result["case"], result["store"], result["nodes"], bool(result["history"])


def spread(database: Database, name: str, values: Sequence[float], unit: str, must: float | None = None) -> Result:
    """A line about one kind of work, done some times; `must` is for the 95th percentile."""
    ordered = sorted(values)
    p95 = ordered[min(len(ordered) - 1, int(0.95 * len(ordered)))]
    return {
        "case": name,
        "store": database.store,
        "history": database.history,
        "unit": unit,
        "p50": round(ordered[len(ordered) // 2], 3),
        "p95": round(p95, 3),
        "max": round(ordered[-1], 3),
        "count": len(ordered),
        "must": must,
        "met": must is None or p95 < must,
    }


def _spread_pct(values: Sequence[float]) -> float:
    """How far apart the runs are: highest minus lowest, in percent of the median."""
    middle = median(values)
    return round(100 * (max(values) - min(values)) / middle, 1) if middle else 0.0
