"""`python -m bench templates`: what it costs to make a text of a template, and to hold a text against the wording that
a country asks for. No two messages have the same values."""

from __future__ import annotations

import gc
import json
import time
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random
from statistics import median
from typing import NamedTuple

from rich.table import Table as Shown

from bench import machine
from bench.speed import console
from chappe import templates
from chappe.messages import wording
from chappe.templates import Content, Variable
from chappe.templates.language import Compiled

RESULTS = Path(__file__).parent / "results" / "templates.json"
BATCH = 100
MUST_CHECK_US = 10.0  # wording of a text that was never seen
AT_H = 1_800_000_000_000 // wording.HOUR_MS
NAMES = ("Ada", "Anneliese", "Zoé", "Jean-Baptiste", "Siân", "Bogusława", "Marie", "O'Neill", "Łukasz", "Nguyễn")

VARIABLES = {
    "name": Variable(example="Ada", max_length=20),
    "order": Variable(type="code", example="A-1042"),
    "day": Variable(type="date", example="2027-01-31"),
    "price": Variable(type="money", example="12.50 EUR", optional=True),
    "link": Variable(type="url", example="https://example.com/t/A-1042"),
}
PLAIN = "Hi {{ name }}, your order {{ order }} is on its way. Follow it: {{ link }}"
FILTERED = (
    "{{ name | truncate: 12 }}, {{ order }} comes on {{ day | date: '%d/%m' }}"
    "{% if price %} for {{ price }}{% endif %}.{% unless name == 'Ada' %} Thank you!{% endunless %}"
)
LARGEST = "{{ name | upcase }} {{ order }} " * 150  # as many outputs as a body may have
MARKETING = "{{ name }}, everything is 30% off until {{ day | date: '%d/%m' }} at {{ link }} STOP au 36111"


class Case(NamedTuple):
    """What is measured, and what a message of it may take."""

    name: str
    words: str
    work: Callable[[int], object]
    must: float | None = None


def main(words: list[str]) -> int:
    """0, or 1 when one takes longer than it must."""
    asked = _options(words)
    values = _values(Random(1), asked.messages)
    results = []
    told = Shown("microseconds a message", "median", "of the runs", "must", title="Templates")
    for case in _cases(values):
        messages = asked.messages // 10 if case.name in ("largest", "compiled") else asked.messages
        runs = sorted(_run(case, messages) for _ in range(asked.runs))
        us = round(median(runs), 2)
        results.append(
            {"case": case.name, "median_us": us, "least_us": round(runs[0], 2), "most_us": round(runs[-1], 2)}
            | {"must_us": case.must, "met": case.must is None or us < case.must}
            | machine.facts()
        )
        told.add_row(
            case.words,
            f"{us:,.2f}",
            f"{runs[0]:,.2f} to {runs[-1]:,.2f}",
            "" if case.must is None else f"{case.must:,.0f}",
        )
    console().print(told)
    asked.output.parent.mkdir(parents=True, exist_ok=True)
    asked.output.write_text(json.dumps(results, indent=1) + "\n")
    return 0 if all(result["met"] for result in results) else 1


def _options(words: list[str]) -> Namespace:
    parser = ArgumentParser(prog="python -m bench templates", description=__doc__)
    parser.add_argument("--messages", type=int, default=10_000, help="in a run")
    parser.add_argument("--runs", type=int, default=5, help="whose median counts")
    parser.add_argument("--output", type=Path, default=RESULTS, metavar="FILE", help="where the results go")
    return parser.parse_args(words)


def _cases(values: Sequence[dict[str, object]]) -> list[Case]:
    asked = wording.demands("FR", "marketing", AT_H)
    texts = [templates.render(_content(MARKETING), one).text for one in values]
    known = texts[:BATCH]
    return [
        Case("plain", "three variables, no filters", _rendering(PLAIN, values)),
        Case("filtered", "filters, a date, two conditions", _rendering(FILTERED, values)),
        Case("largest", "300 outputs, as many as may be", _rendering(LARGEST, values)),
        Case("compiled", "a body that is not in memory", lambda n: Compiled(f"{FILTERED}{n}")),
        Case("wording", "wording of a new text", lambda n: wording.judged(texts[n], asked), MUST_CHECK_US),
        Case("wording known", "wording of a text of lately", lambda n: wording.missing(known[n % BATCH], asked), 1.0),
    ]


def _content(body: str) -> Content:
    return Content(bodies={"default": body}, variables=VARIABLES)


def _rendering(body: str, values: Sequence[dict[str, object]]) -> Callable[[int], object]:
    content = _content(body)
    return lambda n: templates.render(content, values[n], "fr-CA")


def _values(chance: Random, count: int) -> list[dict[str, object]]:
    return [
        {
            "name": chance.choice(NAMES),
            "order": f"A-{n}",
            "day": f"2027-{chance.randint(1, 12):02}-{chance.randint(1, 28):02}",
            "price": f"{chance.randint(1, 900)}.50 EUR" if chance.random() < 0.5 else None,
            "link": f"https://example.com/t/{n}",
        }
        for n in range(count)
    ]


def _run(case: Case, messages: int) -> float:
    """Microseconds a message: the median of batches of 100."""
    clock, work, taken = time.perf_counter_ns, case.work, []
    work(0)
    gc.collect()
    gc.freeze()  # as `chappe serve` does with what it keeps
    for start in range(0, messages - BATCH + 1, BATCH):
        began = clock()
        for n in range(start, start + BATCH):
            work(n)
        taken.append((clock() - began) / BATCH / 1000)
    return median(taken)
