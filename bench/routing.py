"""`python -m bench routing`: how long a decision takes among many rules, and how long they take to compile."""

from __future__ import annotations

import gc
import json
import time
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from itertools import accumulate, count, islice
from pathlib import Path
from random import Random
from typing import Any

from rich.table import Table as Shown

from bench import machine
from bench.speed import console
from chappe import numbers, routing
from chappe.accounts import Purpose
from chappe.routing import AccountGroup, Ask, Group, Match, Member, Route, Strategy, Table, Window

RESULTS = Path(__file__).parent / "results" / "routing.json"
BATCH = 100
MUST_MEDIAN_US = 10.0
MUST_EXPLAIN_S = 1.0
PURPOSES: tuple[Purpose, ...] = ("otp", "transactional", "service", "marketing")
STRATEGIES: tuple[Strategy, ...] = ("order", "weights", "least_cost", "best_quality", "sticky")
ACCOUNTS = 1_000
CONNECTORS = 50
SENDERS = 200


def main(words: list[str]) -> int:
    """0, or 1 when a decision or an explanation takes longer than it must."""
    asked = _options(words)
    chance = Random(1)
    routes, groups = _routes(chance, asked.rules, asked.prefixes)
    began = time.perf_counter()
    table = Table(routes, groups)
    compiled = time.perf_counter() - began
    usual, alone, rare = (
        _measured(Table(routes, groups), islice(made(Random(2), routes), messages), ordered=ordered)
        for made, messages, ordered in (
            (_traffic, asked.messages, True),
            (_traffic, asked.messages, False),
            (_strange, asked.messages // 4, True),
        )
    )
    some = list(islice(_traffic(Random(2), routes), BATCH))
    began = time.perf_counter()
    told = routing.explain(table, some[0])
    explained = time.perf_counter() - began
    found: dict[str, Any] = {
        "rules": len(routes),
        "prefixes": sum(len(route.prefixes) for route in routes),
        "median_us": usual[0],
        "p99_us": usual[1],
        "decision_alone_median_us": alone[0],
        "nothing_alike_median_us": rare[0],
        "nothing_alike_p99_us": rare[1],
        "routed_percent": round(100 * sum(table.decide(ask) is not None for ask in some) / len(some), 1),
        "compile_ms": round(compiled * 1000, 1),
        "explained": len(told),
        "explain_ms": round(explained * 1000, 1),
    }
    found |= {"met": found["median_us"] < MUST_MEDIAN_US and explained < MUST_EXPLAIN_S} | machine.facts()
    console().print(_shown(found))
    asked.output.parent.mkdir(parents=True, exist_ok=True)
    asked.output.write_text(json.dumps([found], indent=1) + "\n")
    return 0 if found["met"] else 1


def _measured(table: Table, asks: Iterator[Ask], *, ordered: bool) -> tuple[float, float]:
    """Microseconds a message in batches of 100, (median, p99), from a table that remembers nothing yet."""
    clock, decide, order = time.perf_counter_ns, table.decide, routing.order
    costs, scores = {n: n * 1000 for n in range(1, CONNECTORS + 1)}, {n: 1 / n for n in range(1, CONNECTORS + 1)}
    taken: list[float] = []
    gc.collect()
    gc.freeze()  # as `chappe serve` does with what it keeps
    while batch := list(islice(asks, BATCH)):
        began = clock()
        for seed, ask in enumerate(batch, start=BATCH * len(taken)):
            decision = decide(ask)
            if ordered and decision is not None:
                order(decision, seed=seed, who=ask.digits, cost=costs.get, quality=scores.__getitem__)
        taken.append((clock() - began) / len(batch) / 1000)
    return _spread(taken)


def _spread(taken: list[float]) -> tuple[float, float]:
    taken.sort()
    return round(taken[len(taken) // 2], 3), round(taken[int(0.99 * len(taken))], 3)


def _routes(chance: Random, rules: int, prefixes: int) -> tuple[list[Route], list[AccountGroup]]:
    """A wholesaler's table: most rules take the ranges of an operator, some a country, an account, a sender, a tag."""
    groups = [AccountGroup(n, f"group{n}", tuple(chance.sample(range(ACCOUNTS), 50)), 0) for n in range(1, 21)]
    countries, operators = [*numbers.countries().values()], [one.mccmnc for one in numbers.operators()]
    routes = []
    for n in range(1, rules + 1):
        country = chance.choice(countries)
        ranges: set[str] = set()
        while len(ranges) < prefixes // rules:
            ranges.add(country.calling_code + str(chance.randrange(10**6))[: chance.randint(0, 5)])
        routes.append(
            Route(
                id=n,
                name=f"r{n}",
                position=n,
                account_id=chance.randrange(ACCOUNTS) if chance.random() < 0.3 else None,
                prefix=country.calling_code,
                purposes=tuple(chance.sample(PURPOSES, 2)) if chance.random() < 0.3 else (),
                senders=(f"Sender{chance.randrange(SENDERS)}",) if chance.random() < 0.2 else (),
                connector_id=1,
                fallback_connector_ids=(),
                status="active",
                test=False,
                created_at=0,
                match=_match(chance, tuple(sorted(ranges)), operators, country.iso),
                groups=tuple(_group(chance) for _ in range(chance.randint(1, 2))),
            )
        )
    return routes, groups


def _match(chance: Random, ranges: tuple[str, ...], operators: list[str], country: str) -> Match:
    return Match(
        prefixes=ranges,
        operators=(chance.choice(operators),) if chance.random() < 0.1 else (),
        countries=(country,) if chance.random() < 0.3 else (),
        account_groups=(f"group{chance.randint(1, 20)}",) if chance.random() < 0.1 else (),
        tags=(f"tag{chance.randrange(50)}",) if chance.random() < 0.1 else (),
        times=(Window("Europe/Paris", (), 480, 1200),) if chance.random() < 0.1 else (),
        least=2 if chance.random() < 0.05 else None,
    )


def _group(chance: Random) -> Group:
    members = [
        Member(one, chance.randint(1, 5)) for one in chance.sample(range(1, CONNECTORS + 1), chance.randint(1, 4))
    ]
    return Group(tuple(members), chance.choice(STRATEGIES))


def _traffic(chance: Random, routes: list[Route]) -> Iterator[Ask]:
    """As customers send: few send much, each from some senders to people of some ranges, all numbers different."""
    customers = []
    for account_id in range(ACCOUNTS):
        senders = [f"Sender{chance.randrange(2 * SENDERS)}" for _ in range(3)]
        ranges = [chance.choice(chance.choice(routes).prefixes) for _ in range(20)]
        customers.append((account_id, senders, ranges))
    shares = list(accumulate(1 / rank for rank in range(1, ACCOUNTS + 1)))
    for at in count():
        [(account_id, senders, ranges)] = chance.choices(customers, cum_weights=shares)
        yield _ask(chance, at, account_id, chance.choice(ranges), chance.choice(senders))


def _strange(chance: Random, routes: list[Route]) -> Iterator[Ask]:
    """No two alike: any account, any range, any sender."""
    for at in count():
        prefix = chance.choice(chance.choice(routes).prefixes)
        yield _ask(chance, at, chance.randrange(ACCOUNTS), prefix, f"Sender{chance.randrange(2 * SENDERS)}")


_COUNTRY_OF = {country.calling_code: country.iso for country in numbers.countries().values()}
_OPERATORS_OF = {iso: [one.mccmnc for one in numbers.operators().in_country(iso)] for iso in _COUNTRY_OF.values()}


def _ask(chance: Random, at: int, account_id: int, prefix: str, sender: str) -> Ask:
    country = next((_COUNTRY_OF[prefix[:n]] for n in (4, 3, 2, 1) if prefix[:n] in _COUNTRY_OF), "")
    operators = _OPERATORS_OF.get(country)
    return Ask(
        account_id=account_id,
        digits=(prefix + f"{chance.randrange(10**8):08}")[:12],
        country=country,
        operator=chance.choice(operators) if operators else None,
        purpose=chance.choices(PURPOSES, (5, 3, 1, 2))[0],
        sender=sender,
        sender_kind="alphanumeric",
        tags=(f"tag{chance.randrange(50)}",) if chance.random() < 0.3 else (),
        segments=chance.choices((1, 2, 3), (8, 2, 1))[0],
        at=1_796_000_000_000 + at,  # a thousand a second
    )


def _options(words: list[str]) -> Namespace:
    parser = ArgumentParser(prog="python -m bench routing", description=__doc__)
    parser.add_argument("--rules", type=int, default=10_000, help="routes in the table")
    parser.add_argument("--prefixes", type=int, default=60_000, help="prefixes that they name together")
    parser.add_argument("--messages", type=int, default=200_000, help="how many are routed")
    parser.add_argument("--output", type=Path, default=RESULTS, metavar="FILE", help="where the results go")
    return parser.parse_args(words)


def _shown(found: dict[str, Any]) -> Shown:
    made = Shown(title=f"{found['rules']:,} rules with {found['prefixes']:,} prefixes, batches of {BATCH}")
    made.add_column("what", no_wrap=True)
    made.add_column("", justify="right", no_wrap=True)
    made.add_column("must", justify="right", no_wrap=True)
    for what, value, must in (
        ("decision and order, median a message", f"{found['median_us']:,.2f} us", f"{MUST_MEDIAN_US:,.0f} us"),
        ("p99", f"{found['p99_us']:,.2f} us", ""),
        ("decision alone, median", f"{found['decision_alone_median_us']:,.2f} us", ""),
        ("no two messages alike, median", f"{found['nothing_alike_median_us']:,.2f} us", ""),
        ("p99", f"{found['nothing_alike_p99_us']:,.2f} us", ""),
        ("compiled after a change", f"{found['compile_ms']:,.0f} ms", ""),
        ("explain, all rules", f"{found['explain_ms']:,.0f} ms", f"{MUST_EXPLAIN_S * 1000:,.0f} ms"),
    ):
        made.add_row(what, value, must)
    return made
