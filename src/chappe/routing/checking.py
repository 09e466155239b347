"""What is wrong with routes: each by itself, and all of them together. Pure.

An error keeps a route from being stored; a warning is told, for it may be meant so.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache
from typing import Literal, NamedTuple, Protocol

from chappe import numbers
from chappe.errors import Refused
from chappe.routing.model import AccountGroup, Route, zone_of
from chappe.routing.table import Scope, scopes_of


class Target(Protocol):
    """What a route must know of a connector."""

    @property
    def name(self) -> str: ...

    @property
    def test(self) -> bool: ...


Find = Callable[[int], Target | None]
"""Looks a connector up by its id; the caller brings it, for neighbours do not know each other."""


class Known(NamedTuple):
    """What there is for routes to name."""

    connector: Find
    account: Callable[[int], bool]
    account_group: Callable[[str], bool]


class Fault(NamedTuple):
    """Something wrong with a route, or with a group of accounts; `param` is the field."""

    level: Literal["error", "warning"]
    code: str
    object_id: int
    name: str
    message: str
    param: str | None = None


def check_route(route: Route, known: Known) -> None:
    """Raises Refused for the first error: connector_unknown, invalid_value, operator_unknown, route_loop,
    route_matches_nothing, route_without_connectors."""
    for fault in _faults(route, known):
        if fault.level == "error":
            raise Refused(fault.code, fault.message, param=fault.param)


def check_targets(route: Route, find: Find) -> None:
    """Every connector exists and carries what the route carries: test traffic never reaches a real supplier."""
    for fault in _target_faults(route, find):
        if fault.level == "error":
            raise Refused(fault.code, fault.message, param=fault.param)


def check_routes(routes: Sequence[Route], account_groups: Sequence[AccountGroup], known: Known) -> list[Fault]:
    """All that is wrong with a whole set, errors first."""
    found = [fault for route in routes for fault in _faults(route, known)]
    for name, count in Counter(route.name for route in routes).items():
        if count > 1:
            twice = [route for route in routes if route.name == name][1]
            words = f"{count} routes are named {name}."
            found.append(Fault("error", "duplicate_name", twice.id, name, words, "name"))
    for group in account_groups:
        found += _group_faults(group, known)
    found += unreachable(routes)
    return sorted(found, key=lambda fault: fault.level)


def unreachable(routes: Iterable[Route]) -> list[Fault]:
    """A warning for each route that gets no message, since one before it takes every message that it would take.

    Only one route taking all of it at a prefix is noticed, not several of which each takes a part.
    """
    shelves: defaultdict[tuple[Scope, bool, str], list[Route]] = defaultdict(list)
    active = [route for route in routes if route.status == "active"]
    for route in active:
        for scope in scopes_of(route):
            for prefix in route.prefixes:
                shelves[scope, route.test, prefix].append(route)
    taken: defaultdict[int, set[str]] = defaultdict(set)
    places: Counter[int] = Counter()
    for shelf in shelves.values():
        for route, earlier in _covered(shelf):
            places[route.id] += 1
            if earlier is not None:
                taken[route.id].add(earlier.name)
                places[route.id] -= 1
    told = []
    for route in active:
        if not places[route.id]:
            names = ", ".join(sorted(taken[route.id])[:3])
            words = f"No message reaches it: {names} takes all of them before."
            told.append(Fault("warning", "route_unreachable", route.id, route.name, words))
    return told


# -- one route -----------------------------------------------------------------------------------------------------


def _faults(route: Route, known: Known) -> Iterator[Fault]:
    yield from _target_faults(route, known.connector)
    yield from _name_faults(route, known)
    yield from _empty_faults(route)


def _error(route: Route, code: str, message: str, param: str) -> Fault:
    return Fault("error", code, route.id, route.name, message, param)


def _target_faults(route: Route, find: Find) -> Iterator[Fault]:
    for at, group in enumerate(route.groups):
        if not group.connectors:
            words = f"The group {at + 1} has no connector."
            yield _error(route, "route_without_connectors", words, f"groups[{at}].connectors")
    seen: set[int] = set()
    for connector_id, param in _targets(route):
        if connector_id == 0:
            yield _error(route, "route_without_connectors", "The route leads to no connector.", "groups")
            continue
        connector = find(connector_id)
        if connector is None:
            yield _error(route, "connector_unknown", "There is no such connector.", param)
        elif connector.test != route.test:
            kinds = ("test", "live") if connector.test else ("live", "test")
            words = f"The connector {connector.name} is a {kinds[0]} one and the route carries {kinds[1]} traffic."
            yield _error(route, "connector_unknown", words, param)
        elif connector_id in seen:
            words = f"The message would come round to {connector.name} again."
            level: Literal["error", "warning"] = "error" if route.groups else "warning"
            yield Fault(level, "route_loop", route.id, route.name, words, param)
        seen.add(connector_id)


def _targets(route: Route) -> Iterator[tuple[int, str]]:
    """Every connector that is named, and where."""
    if not route.groups:
        yield route.connector_id, "connector_id"
        for at, connector_id in enumerate(route.fallback_connector_ids):
            yield connector_id, f"fallback_connector_ids[{at}]"
    for at, group in enumerate(route.groups):
        for place, member in enumerate(group.connectors):
            yield member.connector_id, f"groups[{at}].connectors[{place}].connector_id"


def _name_faults(route: Route, known: Known) -> Iterator[Fault]:
    """What it names and is not there."""
    match = route.match
    if route.account_id is not None and not known.account(route.account_id):
        yield _error(route, "invalid_value", "There is no such account.", "account_id")
    for at, account_id in enumerate(match.account_ids):
        if not known.account(account_id):
            yield _error(route, "invalid_value", "There is no such account.", f"match.account_ids[{at}]")
    for at, name in enumerate(match.account_groups):
        if not known.account_group(name):
            yield _error(route, "invalid_value", f"There is no account group {name}.", f"match.account_groups[{at}]")
    for at, country in enumerate(match.countries):
        if numbers.country(country) is None:
            yield _error(route, "invalid_value", f"There is no country {country}.", f"match.countries[{at}]")
    for at, operator in enumerate(match.operators):
        if _unknown_operator(operator):
            words = f"No operator has the code {operator}."
            yield _error(route, "operator_unknown", words, f"match.operators[{at}]")
    for at, window in enumerate(match.times):
        if zone_of(window.zone) is None:
            words = f"{window.zone} is no IANA time zone."
            yield _error(route, "invalid_value", words, f"match.times[{at}].time_zone")


def _empty_faults(route: Route) -> Iterator[Fault]:
    """Conditions that no message can meet."""
    match = route.match
    if match.least is not None and match.most is not None and match.least > match.most:
        yield _error(route, "route_matches_nothing", "No message has so few and so many segments.", "match.segments")
    for at, window in enumerate(match.times):
        if window.start == window.end:
            yield _error(route, "route_matches_nothing", "The window ends when it starts.", f"match.times[{at}]")
    codes = [found.calling_code for iso in match.countries if (found := numbers.country(iso)) is not None]
    if codes and not any(_meet(prefix, code) for prefix in route.prefixes for code in codes):
        words = "No number of these countries starts with these digits."
        yield _error(route, "route_matches_nothing", words, "match.prefixes" if match.prefixes else "prefix")
    homes = {operator.country for one in match.operators if (operator := numbers.operators().get(one)) is not None}
    if match.countries and homes and homes.isdisjoint(match.countries):
        words = "None of its operators is of one of its countries."
        yield Fault("warning", "route_matches_nothing", route.id, route.name, words, "match.operators")


def _group_faults(group: AccountGroup, known: Known) -> Iterator[Fault]:
    if not group.account_ids:
        words = "It has no accounts: routes for it take no message."
        yield Fault("warning", "route_matches_nothing", group.id, group.name, words, "account_ids")
    for at, account_id in enumerate(group.account_ids):
        if not known.account(account_id):
            words = "There is no such account."
            yield Fault("error", "invalid_value", group.id, group.name, words, f"account_ids[{at}]")


def _unknown_operator(code: str) -> bool:
    """Of the countries whose operators are listed, only listed ones are known; of others any."""
    return code not in numbers.operators() and code[:3] in _listed_countries()


@cache
def _listed_countries() -> frozenset[str]:
    """Mobile country codes (ITU-T E.212) of which at least one operator is listed."""
    return frozenset(operator.mccmnc[:3] for operator in numbers.operators())


def _meet(prefix: str, code: str) -> bool:
    return prefix.startswith(code) or code.startswith(prefix)


# -- all together --------------------------------------------------------------------------------------------------


def _covered(shelf: list[Route]) -> Iterator[tuple[Route, Route | None]]:
    """Each route of a shelf (same accounts, mode and prefix), and one before it that takes all that it would take.

    One route covers another only if it looks at nothing, or at a field where it names all that the other names: so it
    is found under the first word that the other names there.
    """
    earlier: defaultdict[tuple[int, object], list[Route]] = defaultdict(list)
    for route in sorted(shelf, key=lambda r: (_place(r), r.position, r.id)):
        named = _named(route)
        places: list[tuple[int, object]] = [(at, words[0]) for at, words in enumerate(named) if words]
        found = (one for place in [_ANY, *places] for one in earlier[place] if one is not route and _covers(one, route))
        yield route, next(found, None)
        first = next(((at, words) for at, words in enumerate(named) if words), None)
        for place in [_ANY] if first is None else [(first[0], word) for word in first[1]]:
            earlier[place].append(route)


_ANY: tuple[int, object] = (-1, None)


def _place(route: Route) -> int:
    return 0 if route.match.operators else 1 if route.match.countries else 2


def _named(route: Route) -> tuple[Sequence[object], ...]:
    """The words of each condition, those that tell most routes apart first."""
    match = route.match
    return match.tags, route.senders, match.operators, match.countries, match.sender_kinds, route.purposes, match.times


def _covers(one: Route, other: Route) -> bool:
    """Whether `one` takes every message of a prefix that `other` takes."""
    if (one.match.least or 0) > (other.match.least or 0):
        return False
    if one.match.most is not None and (other.match.most is None or one.match.most < other.match.most):
        return False
    for mine, theirs in zip(_named(one), _named(other), strict=True):
        if mine and not (theirs and set(theirs) <= set(mine)):
            return False
    return True
