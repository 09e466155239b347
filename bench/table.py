"""The results as people read them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich.table import Table

from bench.rows import ROWS, Key, Result, key

NOISE_PCT = 5.0  # what two quiet runs of the same code differ by
_ROW = {row.name: row for row in ROWS}
_COLUMNS = (
    ("accepted/s", "accept_rate", "{:,.0f}"),
    ("CPU us", "cpu_us", "{:,.0f}"),
    ("DB us", "store_cpu_us", "{:,.0f}"),
    ("load us", "load_cpu_us", "{:,.0f}"),
    ("p50 ms", "p50_ms", "{:,.1f}"),
    ("p90 ms", "p90_ms", "{:,.1f}"),
    ("p99 ms", "p99_ms", "{:,.1f}"),
    ("RSS MiB", "rss_mib", "{:,.0f}"),
)


def table(results: Sequence[Result], before: Sequence[Result] = ()) -> Table:
    """Must, aim and got of each row, then its other figures; with `before` also the change."""
    known = {key(result): result for result in before}
    made = Table(caption="CPU of Chappe, of the database and of what makes the load: for one message, all the way")
    made.add_column("case", no_wrap=True)
    for title in ("must", "aim", "got", "", *(["change"] if before else []), *(title for title, _, _ in _COLUMNS)):
        made.add_column(title, justify="right", no_wrap=True)
    for result in results:
        got = f"{_short(result['value'])} {result['unit']}"
        cells = [where(result), _short(result["must"]), _short(result["aim"]), got, _mark(result)]
        if before:
            cells.append(change(result, known))
        made.add_row(*cells, *(form.format(result[name]) for _, name, form in _COLUMNS))
    return made


def where(result: Result) -> str:
    nodes = f" x{result['nodes']}" if result["nodes"] > 1 else ""
    history = f" on {result['history']:,}" if result["history"] else ""
    return f"{result['case']} {result['store']}{nodes}{history}"


def change(result: Result, known: Mapping[Key, Result]) -> str:
    """In percent; coloured when it is more than the runs of either side differ among themselves."""
    old = known.get(key(result))
    if old is None or not old["value"]:
        return "-"
    percent = 100 * (result["value"] / old["value"] - 1)
    noise = max(NOISE_PCT, result["spread_pct"], old["spread_pct"])
    better = (percent > 0) == _ROW[result["case"]].rises
    words = f"{percent:+.1f}%"
    if abs(percent) <= noise:
        return words
    return f"[green]{words} better[/]" if better else f"[bold red]{words} WORSE[/]"


def worse(results: Sequence[Result], before: Sequence[Result]) -> list[str]:
    """The rows that got worse beyond the noise."""
    known = {key(result): result for result in before}
    return [where(result) for result in results if "WORSE" in change(result, known)]


def _mark(result: Result) -> str:
    if result["met"] is None:
        return ""
    if not result["met"]:
        return "[bold red]misses[/]"
    row = _ROW[result["case"]]
    return "[bold green]aim[/]" if row.met(result["value"], result["aim"]) else "[green]ok[/]"


def _short(value: float | None) -> str:
    return "" if value is None else f"{value:,.0f}" if value >= 100 else f"{value:,.1f}"
