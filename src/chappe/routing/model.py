"""Routes and the decision they come to. Pure, and on the hot path: a decision is a few dict look-ups.

A route of the account comes before a route for all, then the longest prefix, then the lowest position. Test traffic
sees test routes only, live traffic live ones.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Annotated, Literal, NamedTuple

from msgspec import Meta, Struct

Purpose = Literal["otp", "transactional", "service", "marketing"]


class Route(Struct, frozen=True):
    """Where numbers that start with `prefix` go: to the connector, or to the fallbacks in order.

    `account_id` None is for all accounts; no `purposes` or `senders` means any; `prefix` "" is every number.
    """

    id: int
    name: Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$")]
    position: Annotated[int, Meta(ge=0, le=1_000_000_000)]
    account_id: int | None
    prefix: Annotated[str, Meta(pattern=r"^[0-9]{0,15}$")]
    purposes: tuple[Purpose, ...]
    senders: tuple[Annotated[str, Meta(min_length=1, max_length=20)], ...]
    connector_id: int
    fallback_connector_ids: Annotated[tuple[int, ...], Meta(max_length=8)]
    status: Literal["active", "stopped"]
    test: bool
    created_at: int

    @property
    def connectors(self) -> tuple[int, ...]:
        """The connectors in the order they are tried, each once."""
        return tuple(dict.fromkeys((self.connector_id, *self.fallback_connector_ids)))


class Decision(NamedTuple):
    """The connectors to try, in order, and the route that says so."""

    connectors: tuple[int, ...]
    route_id: int
    reason: str


class Tried(NamedTuple):
    """A route as `explain` looked at it."""

    route_id: int
    name: str
    chosen: bool
    reason: str


class _Candidate(NamedTuple):
    decision: Decision
    purposes: frozenset[str]
    senders: frozenset[str]


_Level = tuple[tuple[int, ...], dict[str, tuple[_Candidate, ...]]]
"""The lengths of the prefixes present, longest first, and the candidates of each prefix in order of position."""


class Table:
    """All routes, compiled."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self.routes = sorted(routes, key=lambda route: (route.position, route.id))
        self._levels: dict[tuple[int | None, bool], _Level] = {}
        groups: defaultdict[tuple[int | None, bool], list[Route]] = defaultdict(list)
        for route in self.routes:
            if route.status == "active":
                groups[route.account_id, route.test].append(route)
        for scope, group in groups.items():
            self._levels[scope] = _compiled(group)

    def get(self, route_id: int) -> Route | None:
        return next((route for route in self.routes if route.id == route_id), None)

    def by_name(self, name: str) -> Route | None:
        return next((route for route in self.routes if route.name == name), None)

    def using(self, connector_id: int) -> list[str]:
        """The names of the routes that lead to a connector."""
        return [route.name for route in self.routes if connector_id in route.connectors]

    def decide(
        self, account_id: int | None, digits: str, purpose: str, test: bool = False, sender: str = ""
    ) -> Decision | None:
        levels = self._levels
        for scope in ((account_id, test), (None, test)):
            level = levels.get(scope)
            if level is None:
                continue
            lengths, prefixes = level
            for length in lengths:
                candidates = prefixes.get(digits[:length])
                if candidates is None:
                    continue
                for decision, purposes, senders in candidates:
                    if (not purposes or purpose in purposes) and (not senders or sender in senders):
                        return decision
        return None


def decide(
    table: Table, account_id: int | None, digits: str, purpose: str, test: bool = False, sender: str = ""
) -> Decision | None:
    """Where a message goes: `digits` are the E.164 number without its +. None if no route leads there."""
    return table.decide(account_id, digits, purpose, test, sender)


def explain(
    table: Table, account_id: int | None, digits: str, purpose: str, test: bool = False, sender: str = ""
) -> list[Tried]:
    """Every route of the account and for all, in the order of precedence, with why it was taken or not."""
    tried: list[Tried] = []
    found = False
    for route in _in_order(table, account_id):
        obstacle = _obstacle(route, digits, purpose, test, sender)
        if obstacle is None and found:
            obstacle = "an earlier route was chosen"
        chosen = obstacle is None
        found = found or chosen
        tried.append(Tried(route.id, route.name, chosen, obstacle or _reason(route)))
    return tried


def _in_order(table: Table, account_id: int | None) -> Iterator[Route]:
    for scope in dict.fromkeys((account_id, None)):
        yield from sorted(
            (route for route in table.routes if route.account_id == scope),
            key=lambda route: (-len(route.prefix), route.position, route.id),
        )


def _obstacle(route: Route, digits: str, purpose: str, test: bool, sender: str) -> str | None:
    if route.status != "active":
        return "the route is stopped"
    if route.test != test:
        return f"the route carries {'test' if route.test else 'live'} traffic only"
    if not digits.startswith(route.prefix):
        return f"the number does not start with {route.prefix}"
    if route.purposes and purpose not in route.purposes:
        return f"the route carries {', '.join(route.purposes)}, not {purpose}"
    if route.senders and sender not in route.senders:
        return f"the route carries the senders {', '.join(route.senders)}"
    return None


def _compiled(routes: Iterable[Route]) -> _Level:
    prefixes: defaultdict[str, list[_Candidate]] = defaultdict(list)
    for route in routes:
        decision = Decision(route.connectors, route.id, _reason(route))
        prefixes[route.prefix].append(_Candidate(decision, frozenset(route.purposes), frozenset(route.senders)))
    lengths = tuple(sorted({len(prefix) for prefix in prefixes}, reverse=True))
    return lengths, {prefix: tuple(candidates) for prefix, candidates in prefixes.items()}


def _reason(route: Route) -> str:
    whose = "for all accounts" if route.account_id is None else "of the account"
    where = f"prefix {route.prefix}" if route.prefix else "any number"
    return f"route {route.name}, {whose}, {where}"
