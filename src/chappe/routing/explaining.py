"""Every route as a message meets it, with the first reason against it in plain words. Pure.

This reads the routes one by one, as they are written, and so tells of any mistake of the compiled table, too.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from chappe.routing.model import DAYS, Ask, Route, Tried, Window
from chappe.routing.table import Table, reason_of, scopes_of


def explain(table: Table, ask: Ask) -> list[Tried]:
    """The routes in the order in which they are tried, those of other accounts left out."""
    tried: list[Tried] = []
    found = False
    for route in _in_turn(table, ask):
        obstacle = obstacle_to(route, table, ask)
        if obstacle is None and found:
            obstacle = "an earlier route was chosen"
        chosen = obstacle is None
        found = found or chosen
        tried.append(Tried(route.id, route.name, chosen, obstacle or reason_of(route)))
    return tried


def obstacle_to(route: Route, table: Table, ask: Ask) -> str | None:
    """The first reason why a route does not take a message; None if it does."""
    return next(_obstacles(route, table, ask), None)


def turn(route: Route, table: Table, ask: Ask) -> tuple[int, int, int, int, int]:
    """What routes are sorted by: whose they are, how much of the number and of its place they name, their position.

    One that does not start the number stands where its longest prefix would.
    """
    match = route.match
    lengths = [len(prefix) for prefix in route.prefixes if ask.digits.startswith(prefix)]
    length = max(lengths or map(len, route.prefixes))
    place = 0 if match.operators else 1 if match.countries else 2
    return _nearness(route, table, ask.account_id), -length, place, route.position, route.id


_OWN, _GROUP, _ALL, _OTHER_GROUP, _OTHER = range(5)


def _in_turn(table: Table, ask: Ask) -> list[Route]:
    turns = [(turn(route, table, ask), route) for route in table.routes]
    return [route for place, route in sorted(turns, key=lambda pair: pair[0]) if place[0] < _OTHER]


def _nearness(route: Route, table: Table, account_id: int | None) -> int:
    scopes = scopes_of(route)
    if scopes == [None]:
        return _ALL
    if account_id is not None and account_id in scopes:
        return _OWN
    if not set(scopes).isdisjoint(table.groups_of(account_id)):
        return _GROUP
    return _OTHER_GROUP if route.match.account_groups else _OTHER


def _obstacles(route: Route, table: Table, ask: Ask) -> Iterator[str]:
    match = route.match
    if route.status != "active":
        yield "the route is stopped"
    if route.test != ask.test:
        yield f"the route carries {'test' if route.test else 'live'} traffic only"
    if _nearness(route, table, ask.account_id) >= _OTHER_GROUP:
        yield f"the account is not in {_listed(match.account_groups)}" if match.account_groups else "of other accounts"
    if not ask.digits.startswith(route.prefixes):
        yield f"the number does not start with {_listed(route.prefixes)}"
    if match.operators and ask.operator not in match.operators:
        yield f"the number is at {_operator(ask)}, not at {_listed(match.operators)}"
    if match.countries and ask.country not in match.countries:
        yield f"the number is of {ask.country or 'no country'}, not of {_listed(match.countries)}"
    if route.purposes and ask.purpose not in route.purposes:
        yield f"the route carries {_listed(route.purposes)}, not {ask.purpose}"
    if route.senders and ask.sender not in route.senders:
        yield f"the route carries the senders {_listed(route.senders)}"
    if match.sender_kinds and ask.sender_kind not in match.sender_kinds:
        kind = ask.sender_kind or "unknown"
        yield f"the route carries senders of the kinds {_listed(match.sender_kinds)}, not {kind}"
    if match.tags and set(match.tags).isdisjoint(ask.tags):
        yield f"the message has none of the tags {_listed(match.tags)}"
    if match.least is not None and ask.segments < match.least:
        yield f"the message has {ask.segments} segments, the route takes {match.least} or more"
    if match.most is not None and ask.segments > match.most:
        yield f"the message has {ask.segments} segments, the route takes {match.most} at most"
    if match.times and not any(window.holds(ask.at) for window in match.times):
        yield f"the route is open {'; '.join(map(spelt, match.times))}"


def spelt(window: Window) -> str:
    """`mon, tue 22:00-06:00 Europe/Paris`"""
    days = "every day" if not window.days else ", ".join(day for day in DAYS if day in window.days)
    return f"{days} {clock(window.start)}-{clock(window.end)} {window.zone}"


def clock(minute: int) -> str:
    """`1320` as `22:00`."""
    return f"{minute // 60:02d}:{minute % 60:02d}"


def minute_of(text: str) -> int | None:
    """`22:00` as 1320, up to `24:00`; None for what is no time of the day."""
    found = _TIME(text)
    if found is None or int(found[2]) > 59:
        return None
    minute = int(found[1]) * 60 + int(found[2])
    return minute if minute <= 1440 else None


_TIME = re.compile(r"(\d\d):(\d\d)", re.ASCII).fullmatch


def _operator(ask: Ask) -> str:
    return f"operator {ask.operator}" if ask.operator else "an unknown operator"


def _listed(words: Iterable[str]) -> str:
    found = list(words)
    return ", ".join(found[:5]) + (f" and {len(found) - 5} more" if len(found) > 5 else "")
