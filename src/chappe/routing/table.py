"""All routes, compiled once per change: which of them takes a message, in a few dict look-ups. Pure.

The account's own routes come first, then those of its groups, then those for all. Among these the one with the longest
prefix of the number, then one that names the operator before one that names the country before one that names neither,
then the lowest position. Test traffic sees test routes only, live traffic live ones.

What a message shares with many others (account, the longest prefix that any route has of its number, operator, country)
picks a list of candidates, which is remembered; it ends at the first route that has no other conditions. These are
looked at for each message. A list that is long all the same is narrowed by purpose and sender, and remembered as well.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import NamedTuple, TypeAlias

from chappe.routing.model import AccountGroup, Ask, Decision, Route, Window

MOST_REMEMBERED = 65_536  # lists, of 300 octets

Scope: TypeAlias = int | str | None
"""An account's id, a group's name, or None for all accounts."""


class Rule(NamedTuple):
    """A route as the table looks at it."""

    position: int
    route_id: int
    decision: Decision
    purposes: frozenset[str]
    senders: frozenset[str]
    kinds: frozenset[str]
    countries: frozenset[str]
    tags: frozenset[str]
    times: tuple[Window, ...]
    least: int
    most: int
    settled: bool  # it looks at nothing but account, number, operator and country


_Node: TypeAlias = dict[str, list[Rule]]
"""The rules of a prefix in order of position, by operator, by country, or "" for any."""
_Shelf: TypeAlias = dict[str, _Node]
"""The rules of an account, of a group of accounts, or of all, by prefix."""
_Key: TypeAlias = tuple[int | None, bool, str, str | None, str]
_NO_END = 1 << 30


class Table:
    """All routes, compiled. `routes` are in the order of their positions; `version` is the number of the version that
    they are, or one before, where another came while they were read."""

    few = 16  # candidates that may be looked at for each message

    def __init__(self, routes: Iterable[Route], account_groups: Iterable[AccountGroup] = (), version: int = 0) -> None:
        self.routes = sorted(routes, key=lambda route: (route.position, route.id))
        self.account_groups = {group.name: group for group in account_groups}
        self.version = version
        self._by_id = {route.id: route for route in self.routes}
        self._by_name = {route.name: route for route in self.routes}
        active = [route for route in self.routes if route.status == "active"]
        self.asks_segments = any(r.match.least is not None or r.match.most is not None for r in active)
        self._shelves: dict[tuple[Scope, bool], _Shelf] = {}
        for route in active:
            self._put(route)
        self._groups_of: defaultdict[int, list[str]] = defaultdict(list)
        for group in self.account_groups.values():
            for account_id in group.account_ids:
                self._groups_of[account_id].append(group.name)
        self._accounts = {scope for scope, _ in self._shelves if isinstance(scope, int)} | set(self._groups_of)
        self._tiers: dict[tuple[int | None, bool], tuple[tuple[_Shelf, ...], ...]] = {}
        self._prefixes: dict[str, tuple[str, ...]] = {}
        self._stems = {prefix for shelf in self._shelves.values() for prefix in shelf}
        self._lengths = sorted({len(stem) for stem in self._stems}, reverse=True)
        self._operators = {operator for route in active for operator in route.match.operators}
        self._senders = {sender for route in active for sender in route.senders}
        self._remembered: dict[_Key, tuple[Rule, ...]] = {}
        self._narrow: dict[tuple[_Key, str, str | None, str], tuple[Rule, ...]] = {}

    def get(self, route_id: int) -> Route | None:
        return self._by_id.get(route_id)

    def by_name(self, name: str) -> Route | None:
        return self._by_name.get(name)

    def using(self, connector_id: int) -> list[str]:
        """The names of the routes that lead to a connector."""
        return [route.name for route in self.routes if connector_id in route.connectors]

    def naming(self, account_group: str) -> list[str]:
        """The names of the routes for a group of accounts."""
        return [route.name for route in self.routes if account_group in route.match.account_groups]

    def groups_of(self, account_id: int | None) -> list[str]:
        """The names of the groups that an account is in."""
        return [] if account_id is None else self._groups_of.get(account_id, [])

    def group(self, group_id: int) -> AccountGroup | None:
        return next((group for group in self.account_groups.values() if group.id == group_id), None)

    def decide(self, ask: Ask) -> Decision | None:
        """Where a message goes; None if no route leads there."""
        account_id, digits, country, operator, purpose, sender, kind, tags, segments, test, at = ask
        for length in self._lengths:
            if (stem := digits[:length]) in self._stems:
                break
        else:
            stem = ""
        key = (
            account_id if account_id in self._accounts else None,
            test,
            stem,
            operator if operator in self._operators else None,
            country,
        )
        rules = self._remembered.get(key)
        if rules is None:
            rules = self._remember(key)
        if len(rules) > self.few:
            rules = self._narrowed(key, rules, purpose, sender, kind)
        for rule in rules:
            if rule.settled or (
                (not rule.purposes or purpose in rule.purposes)
                and (not rule.senders or sender in rule.senders)
                and (not rule.kinds or kind in rule.kinds)
                and (not rule.tags or not rule.tags.isdisjoint(tags))
                and rule.least <= segments <= rule.most
                and (not rule.times or any(window.holds(at) for window in rule.times))
            ):
                return rule.decision
        return None

    # -- compiling --------------------------------------------------------------------------------------------------

    def _put(self, route: Route) -> None:
        rule = _rule(route)
        match = route.match
        places = match.operators or match.countries or ("",)
        for scope in scopes_of(route):
            shelf = self._shelves.setdefault((scope, route.test), {})
            for prefix in route.prefixes:
                node = shelf.setdefault(prefix, {})
                for place in places:
                    node.setdefault(place, []).append(rule)

    def _remember(self, key: _Key) -> tuple[Rule, ...]:
        """What may take such messages, in order, up to the first that takes them all."""
        if len(self._remembered) >= MOST_REMEMBERED:
            self._remembered.clear()
        rules = self._remembered[key] = tuple(self._candidates(key))
        return rules

    def _candidates(self, key: _Key) -> Iterator[Rule]:
        account_id, test, stem, operator, country = key
        places = (operator, country, "") if operator is not None and country else (operator or country, "")
        prefixes = self._prefixes_of(stem)
        for tier in self._tiers_of(account_id, test):
            for prefix in prefixes:
                node = tier[0].get(prefix) if len(tier) == 1 else _together(tier, prefix)
                if node is None:
                    continue
                for place in places:
                    for rule in node.get(place, ()):
                        if not rule.countries or country in rule.countries:
                            yield rule
                            if rule.settled:
                                return

    def _narrowed(self, key: _Key, rules: tuple[Rule, ...], purpose: str, sender: str, kind: str) -> tuple[Rule, ...]:
        """Those of many rules that take messages of this purpose and sender, remembered too."""
        known = sender if sender in self._senders else None  # all others are alike
        about = (key, purpose, known, kind)
        found = self._narrow.get(about)
        if found is None:
            if len(self._narrow) >= MOST_REMEMBERED:
                self._narrow.clear()
            found = self._narrow[about] = tuple(
                rule
                for rule in rules
                if (not rule.purposes or purpose in rule.purposes)
                and (not rule.senders or known in rule.senders)
                and (not rule.kinds or kind in rule.kinds)
            )
        return found

    def _prefixes_of(self, stem: str) -> tuple[str, ...]:
        """The prefixes of any route with which numbers of this stem start, longest first."""
        prefixes = self._prefixes.get(stem)
        if prefixes is None:
            starts = (stem[:length] for length in self._lengths if length <= len(stem))
            prefixes = self._prefixes[stem] = tuple(start for start in starts if start in self._stems)
        return prefixes

    def _tiers_of(self, account_id: int | None, test: bool) -> tuple[tuple[_Shelf, ...], ...]:
        """The account's own rules, those of its groups side by side, and those for all."""
        tiers = self._tiers.get((account_id, test))
        if tiers is None:
            own: list[Scope] = [] if account_id is None else [account_id]
            made = (
                tuple(shelf for scope in scopes if (shelf := self._shelves.get((scope, test))) is not None)
                for scopes in (own, self.groups_of(account_id), [None])
            )
            tiers = self._tiers[account_id, test] = tuple(filter(None, made))
        return tiers


def _together(tier: tuple[_Shelf, ...], prefix: str) -> _Node | None:
    """The rules of several groups for a prefix, in order of position."""
    nodes = [node for shelf in tier if (node := shelf.get(prefix)) is not None]
    if len(nodes) < 2:
        return nodes[0] if nodes else None
    both: defaultdict[str, list[Rule]] = defaultdict(list)
    for node in nodes:
        for place, rules in node.items():
            both[place] += rules
    return {place: sorted(rules, key=_turn) for place, rules in both.items()}


def scopes_of(route: Route) -> list[Scope]:
    """For whom it is; [None] is everybody."""
    match = route.match
    own = () if route.account_id is None else (route.account_id,)
    named: list[Scope] = [*dict.fromkeys((*own, *match.account_ids, *match.account_groups))]
    return named or [None]


def reason_of(route: Route) -> str:
    """Why it was taken, for people."""
    match = route.match
    if route.account_id is not None or match.account_ids:
        whose = "of the account"
    else:
        whose = f"for {', '.join(match.account_groups)}" if match.account_groups else "for all accounts"
    named = [prefix for prefix in route.prefixes if prefix]
    where = f"prefix {_few(named)}" if named else "any number"
    places = match.operators or match.countries
    if places:
        where += f", {'operator' if match.operators else 'country'} {_few(places)}"
    return f"route {route.name}, {whose}, {where}"


def _few(words: Iterable[str]) -> str:
    """The first five of them."""
    found = list(words)
    return ", ".join(found[:5]) + (f" and {len(found) - 5} more" if len(found) > 5 else "")


def _rule(route: Route) -> Rule:
    match = route.match
    return Rule(
        position=route.position,
        route_id=route.id,
        decision=Decision(
            connectors=route.connectors,
            route_id=route.id,
            reason=reason_of(route),
            groups=route.plan,
            most_attempts=route.most_attempts,
            max_cost=route.max_cost,
            allow_loss=route.allow_loss,
        ),
        purposes=frozenset(route.purposes),
        senders=frozenset(route.senders),
        kinds=frozenset(match.sender_kinds),
        countries=frozenset(match.countries),
        tags=frozenset(match.tags),
        times=match.times,
        least=match.least or 0,
        most=_NO_END if match.most is None else match.most,
        settled=not (route.purposes or route.senders or match.sender_kinds or match.tags or match.times)
        and match.least is None
        and match.most is None,
    )


def _turn(rule: Rule) -> tuple[int, int]:
    return rule.position, rule.route_id
