"""Targets, comparisons, trends: what the figures are held against."""

from __future__ import annotations

from typing import Any

import pytest

from bench import rows, soak
from bench.cases import CASES, Run
from bench.table import change, table, worse

FACTS = {"date": "2026-11-22", "commit": "abc", "machine": "here", "system": "Linux", "python": "3.11"}


def run(rate: float, cpu_us: float = 150.0) -> Run:
    return Run(20_000, rate * 1.1, rate, cpu_us, 0.0, 20.0, 2.0, 4.0, 9.0, 180.0)


def results(case: str, store: str, *rates: float, nodes: int = 1, history: int = 0, before: Any = ()) -> list[Any]:
    return rows.results(case, store, nodes, history, [run(rate) for rate in rates], FACTS, list(before))


def test_a_row_is_the_median_of_its_runs() -> None:
    [smpp, cpu] = results("smpp", "sqlite", 5000, 4000, 4600)
    assert (smpp["case"], smpp["value"], smpp["must"], smpp["aim"], smpp["met"]) == ("smpp", 4600, 4500, 10000, True)
    assert smpp["spread_pct"] == pytest.approx(21.7)
    assert (cpu["case"], cpu["value"], cpu["met"]) == ("smpp-cpu", 150, True)
    assert {"store", "rate", "cpu_us", "p99_ms", "rss_mib", "date", "commit", "machine", "python"} <= smpp.keys()
    assert len(smpp["runs"]) == 3


def test_every_row_has_a_case_and_a_figure_that_exist() -> None:
    assert {row.case for row in rows.ROWS} == {case.name for case in CASES}
    assert {row.figure for row in rows.ROWS} <= set(rows.FIGURES)


def test_postgresql_and_histories_are_held_against_what_is_known_without() -> None:
    plain = results("http", "sqlite", 4000)
    [postgres] = results("http", "postgres", 2500, before=plain)
    assert (postgres["must"], postgres["met"]) == (2400, True)
    [two] = results("http", "postgres", 2500, nodes=2, before=plain)
    assert (two["must"], two["met"]) == (None, None)
    [late] = results("http", "sqlite", 3500, history=10_000_000, before=plain)
    assert (late["must"], late["met"]) == (3600, False)
    [unknown] = results("http", "postgres", 2500)
    assert unknown["must"] is None


def test_new_rows_take_the_place_of_old_ones_of_the_same_kind() -> None:
    old = results("http", "sqlite", 1000) + results("http", "sqlite", 900, history=5)
    new = results("http", "sqlite", 2000)
    assert [result["value"] for result in rows.merged(old, new)] == [900, 2000]


def test_a_change_counts_when_it_is_more_than_the_runs_differ() -> None:
    before = results("http", "sqlite", 4000, 4100, 3900)
    same = results("http", "sqlite", 3900)
    slower = results("http", "sqlite", 3000)
    known = {rows.key(result): result for result in before}
    assert change(same[0], known) == "-2.5%"
    assert worse(same, before) == []
    assert worse(slower, before) == ["http sqlite"]
    assert "better" in change(results("http", "sqlite", 9000)[0], known)
    assert table(slower, before).row_count == 1


def test_less_is_better_for_cpu_memory_and_latency() -> None:
    [_, before] = results("smpp", "sqlite", 5000)
    heavier = dict(before, value=300.0)
    lighter = dict(before, value=90.0)
    assert worse([heavier], [before]) == ["smpp-cpu sqlite"]
    assert worse([lighter], [before]) == []


def test_what_grows_beyond_its_limit_is_a_trend() -> None:
    samples = [{"t": 10.0 * n, "rss_mib": 100.0 + 2 * n} for n in range(1, 61)]
    early, late = soak.thirds(samples, "rss_mib", 600)
    assert early < late
    assert soak.trends({"rss_mib": (early, late)}) == [f"rss_mib grew from {early:,.1f} to {late:,.1f}"]
    assert soak.trends({"rss_mib": (200.0, 204.0), "p99_ms": (9.0, 13.0), "waiting": (0.0, 150.0)}) == []
