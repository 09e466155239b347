"""The gate: whether a message may go now, later, or not at all, by every limit that fits it.

What fits is looked up once for each combination of account, sender, connector and country, and remembered. All limits
are asked before any counts: a message that one of them refuses has taken nothing of the others.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from chappe.errors import ERRORS
from chappe.routing.throttles.counts import Counts, Nodes, serving
from chappe.routing.throttles.meter import Meter, moved
from chappe.routing.throttles.model import PACED, SUBJECT, Limit, Throttle
from chappe.routing.throttles.quota import Quota
from chappe.routing.throttles.rule import ALONE, Pace, Rule, Share, rule_of

if TYPE_CHECKING:
    from chappe.runtime import Runtime

KINDS, SPEND, ACCOUNTS = 0, 1, 2  # the numbers of limits that are no throttles, whose ids are never so small
_REMEMBERED: Final = 50_000
_WEEK_MS: Final = 7 * 86_400_000
_JITTER_MS: Final = 1_000  # a clock that goes back by more was set; by less, batches overtook each other
_MS: Final = 1_000_000
_WHAT: Final = {
    "account": "of this account",
    "sender": "from this sender",
    "sender_kind": "from senders of this kind",
    "connector": "by this way",
    "country": "to this country",
    "account+country": "of this account to this country",
}

Facts = tuple[int, str, str, int, str]
"""Account, sender, kind of the sender, connector, country."""
_FACT: Final = {"account_id": 0, "sender": 1, "sender_kind": 2, "connector_id": 3, "country": 4}
KindLimits = Callable[[str, int], Sequence[Limit]]
SpendCaps = Callable[[int, str], Sequence[Limit]]
AccountLimits = Callable[[int], Sequence[Limit]]
Counted = Mapping[tuple[int, str], Mapping[int, int]]
"""By number of the rule and subject: how much, by end of the period."""


class Passed(NamedTuple):
    """The message may go: at once, or when it is `due` (milliseconds since the epoch). `taken` is for `give_back`."""

    due: int | None = None
    taken: Any = None


class Denied(NamedTuple):
    """The message may not go. `code` is of the catalogue; `throttle` and `scope` say which limit it was."""

    code: str
    message: str
    action: str
    retry_after: int | None
    throttle: str
    scope: str


class Fitting(NamedTuple):
    """The limits of some facts; `block` is one that lets nothing through."""

    block: Rule | None
    quotas: tuple[Quota, ...]
    meters: tuple[Meter, ...]


_FREE: Final = Passed()
_NONE: Final = Fitting(None, (), ())


class Gate:
    """One for each process: `open` before the first message, then `keep`, `close` at the end. `pass_` does no I/O."""

    most_buckets = 200_000
    """About 100 MB; who comes then shares one bucket for each limit."""

    def __init__(self) -> None:
        self.throttles: dict[int, Throttle] = {}
        self.counters = {"shaped": 0, "denied": 0}
        """How many were given a later moment, and how many refused. They only grow."""
        self._kind_limits: KindLimits | None = None
        self._spend_caps: SpendCaps | None = None
        self._account_limits: AccountLimits | None = None
        self._rules: dict[int, Rule] = {}
        self._limits: dict[tuple[int, str], Rule] = {}
        self._index: dict[tuple[str, int | None, Any], list[Rule]] = {}
        self._scopes: tuple[str, ...] = ()
        self._known: dict[Facts, Fitting] = {}
        self._meters: dict[tuple[int, str], Meter] = {}
        self._quotas: dict[tuple[int, str], Quota] = {}
        self._dirty: set[tuple[Quota, int]] = set()
        self._idle = True
        self._share = ALONE
        self._others: Counted = {}
        self._last = 0
        self._shift = 0
        self._counts: Counts | None = None

    # -- life -------------------------------------------------------------------------------------------------------

    async def open(self, rt: Runtime, nodes: Nodes | None = None) -> None:
        """Go on from what earlier runs have counted. `nodes` tells who shares the limits, by default all that serve the
        store. Raises StoreError."""
        self._counts = Counts(self, rt.ids.next(), nodes or partial(serving, rt))
        await self._counts.look(rt)

    async def keep(self, rt: Runtime) -> None:
        """For ever: each second write what was counted, and see who else is there."""
        assert self._counts is not None, "the gate is not open"
        await self._counts.keep(rt)

    async def close(self, rt: Runtime) -> None:
        """Write what is left. Raises StoreError."""
        if self._counts is not None:
            await self._counts.write(rt)

    # -- what others tell it ----------------------------------------------------------------------------------------

    @property
    def kind_limits(self) -> KindLimits | None:
        """`kind_limits(sender, account_id)`: limits of senders that are no throttles. Messages wait for them."""
        return self._kind_limits

    @kind_limits.setter
    def kind_limits(self, ask: KindLimits | None) -> None:
        self._kind_limits = ask
        self.forget()

    @property
    def spend_caps(self) -> SpendCaps | None:
        """`spend_caps(account_id, country)`: what may be spent in an hour or a day, in micro-units of the account's
        money. What is over is refused."""
        return self._spend_caps

    @spend_caps.setter
    def spend_caps(self, ask: SpendCaps | None) -> None:
        self._spend_caps = ask
        self.forget()

    @property
    def account_limits(self) -> AccountLimits | None:
        """`account_limits(account_id)`: limits of accounts that are no throttles, asked again every half minute. What
        is over is refused."""
        return self._account_limits

    @account_limits.setter
    def account_limits(self, ask: AccountLimits | None) -> None:
        self._account_limits = ask
        self.forget()

    def forget(self) -> None:
        """What was asked may have changed."""
        self._known.clear()
        asks = (self._kind_limits, self._spend_caps, self._account_limits)
        self._idle = not self._rules and all(ask is None for ask in asks)

    def follow(self, throttles: Iterable[Throttle]) -> None:
        """The throttles are these now. One with other figures goes on with what it has counted."""
        before, self.throttles = self.throttles, {throttle.id: throttle for throttle in throttles}
        paces: dict[int, Pace] = {}
        for number, throttle in self.throttles.items():
            known = before.get(number)
            if known is None or known.counts_as != throttle.counts_as:
                self._drop(number)
                self._rules[number] = self._made(rule_of(throttle))
            elif known != throttle:
                paces[number] = self._rules[number].change(throttle)
        for number in before.keys() - self.throttles.keys():
            self._drop(number)
            del self._rules[number]
        clock = self._clock(self._last)
        for meter in self._meters.values():
            if meter.rule.number in paces:
                meter.move(paces[meter.rule.number], clock)
        for quota in self._quotas.values():
            if quota.rule.number in paces:
                quota.reckon()
        self._compile()

    def divide(self, share: Share, others: Counted, now: int) -> None:
        """Our share of every limit, and what others have counted until now."""
        clock = self._clock(now)
        self._share, self._others = share, others
        paces: dict[Rule, Pace] = {}
        for rule in (*self._rules.values(), *self._limits.values()):
            paces[rule] = rule.divide(share)
            rule.fresh = moved(rule.fresh, paces[rule], rule.pace, clock)
        for meter in self._meters.values():
            meter.move(paces[meter.rule], clock)
        for key, quota in self._quotas.items():
            quota.divide(others.get(key, {}))

    def tidy(self, now: int) -> None:
        """Let go of the buckets that are full again, and of periods that are over."""
        self._known.clear()
        clock = self._clock(now)
        self._meters = {key: meter for key, meter in self._meters.items() if not meter.idle(clock)}
        self._quotas = {key: quota for key, quota in self._quotas.items() if not quota.forget(now)}
        kept = self._meters.keys() | self._quotas.keys()
        self._limits = {key: rule for key, rule in self._limits.items() if key in kept}

    def changed(self) -> list[tuple[int, str, int, int]]:
        """What was counted since the last call: (number of the rule, subject, end of the period, all in all)."""
        dirty, self._dirty = self._dirty, set()
        return [(quota.rule.number, quota.subject, end, quota.counts.get(end, 0)) for quota, end in dirty]

    # -- what messages ask ------------------------------------------------------------------------------------------

    def pass_(
        self,
        account_id: int,
        sender: str,
        sender_kind: str,
        connector_id: int,
        country: str,
        now: int,
        weight: int = 1,
        until: int | None = None,
        price: int = 0,
        dry_run: bool = False,
    ) -> Passed | Denied:
        """Whether a message may go.

        `weight` is its parts, `price` what it costs the account (micro-units), `until` when it is of no use any more;
        None is a week away. Times are milliseconds since the epoch. A dry run gets the same answer and counts nothing.
        """
        if self._idle:
            return _FREE
        facts = (account_id, sender, sender_kind, connector_id, country)
        fitting = self._known.get(facts)
        if fitting is None:
            fitting = self._fitting(facts, now)
        if fitting is _NONE:
            return _FREE
        answer = self._weigh(fitting, now, weight, now + _WEEK_MS if until is None else until, price, dry_run)
        if not dry_run:
            if answer.__class__ is Denied:
                self.counters["denied"] += 1
            elif answer[0] is not None:
                self.counters["shaped"] += 1
        return answer

    def give_back(self, passed: Passed) -> None:
        """The message does not go after all."""
        if passed.taken is None:
            return
        quotas, meters, at, begin, weight, price = passed.taken
        clock = self._clock(self._last)
        for quota in quotas:
            self._dirty.add((quota, quota.count(at, -(price if quota.rule.money else weight))))
        for meter in meters:
            meter.take(begin, -weight, clock)

    # -- inside -----------------------------------------------------------------------------------------------------

    def _weigh(self, fitting: Fitting, now: int, weight: int, until: int, price: int, dry_run: bool) -> Passed | Denied:
        block, quotas, meters = fitting
        if block is not None:
            return _blocked(block)
        at, asked = now, 0
        while asked < len(quotas):  # until all agree on a moment
            quota = quotas[asked]
            first = quota.first(at, price if quota.rule.money else weight, until, now)
            if first == at:
                asked += 1
            elif first > until or quota.rule.over == "refuse":
                return _full(quota.rule, first, now, until)
            else:
                at, asked = first, 0
        clock = self._clock(now)
        due = begin = clock if at == now else (at + self._shift) * _MS
        slowest: Rule | None = None
        for meter in meters:
            conforms = meter.due(begin, weight, clock)
            if conforms > due:
                due, slowest = conforms, meter.rule
            if conforms > begin and meter.rule.over == "refuse":
                return _full(meter.rule, self._wall(conforms), now, until)
        when = None if due <= clock else self._wall(due)
        if when is not None and when > until and slowest is not None:
            return _full(slowest, when, now, until)
        if dry_run:
            return Passed(when)
        for quota in quotas:
            self._dirty.add((quota, quota.count(at, price if quota.rule.money else weight)))
        for meter in meters:
            meter.take(begin, weight, clock)
        return Passed(when, (quotas, meters, at, begin, weight, price))

    def _clock(self, now: int) -> int:
        """The clock of the buckets: it goes on where the wall clock was set back."""
        if now < self._last:
            if self._last - now <= _JITTER_MS:
                now = self._last
            else:
                self._shift += self._last - now
        self._last = now
        return (now + self._shift) * _MS

    def _wall(self, clock: int) -> int:
        return -(-clock // _MS) - self._shift

    def _fitting(self, facts: Facts, now: int) -> Fitting:
        if len(self._known) >= _REMEMBERED:
            self.tidy(now)
        found = [*self._throttles_for(facts), *self._limits_for(facts)]
        block = next((rule for rule, _ in found if not rule.limit and not rule.money), None)
        quotas = [self._quota(rule, subject) for rule, subject in found if rule.quota]
        meters = [self._meter(rule, subject) for rule, subject in found if rule.paced]
        fitting = Fitting(block, tuple(quotas), tuple(meters)) if found else _NONE
        self._known[facts] = fitting
        return fitting

    def _throttles_for(self, facts: Facts) -> Iterable[tuple[Rule, str]]:
        account_id = facts[0]
        for scope in self._scopes:
            value = facts[_FACT[SUBJECT[scope]]]
            subject = f"{account_id} {value}" if scope == "account+country" else str(value)
            for whose in (account_id, None):
                for which in (value, None):
                    for rule in self._index.get((scope, whose, which), ()):
                        yield rule, subject

    def _limits_for(self, facts: Facts) -> Iterable[tuple[Rule, str]]:
        account_id, sender, _, _, country = facts
        if self._kind_limits is not None:
            for limit in self._kind_limits(sender, account_id):
                subject = f"{limit.key} {limit.per}"
                yield self._limit(KINDS, subject, limit), subject
        if self._spend_caps is not None:
            for limit in self._spend_caps(account_id, country):
                assert limit.per not in PACED, "money is counted by the calendar"
                subject = f"{account_id} {limit.key} {limit.per}"
                yield self._limit(SPEND, subject, limit), subject
        if self._account_limits is not None:
            for limit in self._account_limits(account_id):
                subject = f"{account_id} {limit.key} {limit.per}"
                yield self._limit(ACCOUNTS, subject, limit), subject

    def _limit(self, number: int, subject: str, limit: Limit) -> Rule:
        rule = self._limits.get((number, subject))
        if rule is None or rule.zone != limit.zone:
            self._meters.pop((number, subject), None)
            self._quotas.pop((number, subject), None)
            scope, over = ("sender", "wait") if number == KINDS else ("account", "refuse")
            rule = self._made(Rule(number, limit, scope, over))  # type: ignore[arg-type]
            rule.money = number == SPEND
            self._limits[number, subject] = rule
        elif rule.limit != limit.limit:
            rule.limit = limit.limit
            before = rule.divide(self._share)
            if (meter := self._meters.get((number, subject))) is not None:
                meter.move(before, self._clock(self._last))
            if (quota := self._quotas.get((number, subject))) is not None:
                quota.reckon()
        return rule

    def _made(self, rule: Rule) -> Rule:
        rule.divide(self._share)
        return rule

    def _meter(self, rule: Rule, subject: str) -> Meter:
        meter = self._meters.get((rule.number, subject))
        if meter is None and len(self._meters) >= self.most_buckets:
            subject = ""
            meter = self._meters.get((rule.number, subject))
        if meter is None:
            meter = self._meters[rule.number, subject] = Meter(rule, subject)
        return meter

    def _quota(self, rule: Rule, subject: str) -> Quota:
        quota = self._quotas.get((rule.number, subject))
        if quota is None and len(self._quotas) >= self.most_buckets:
            subject = ""
            quota = self._quotas.get((rule.number, subject))
        if quota is None:
            others = self._others.get((rule.number, subject), {})
            quota = self._quotas[rule.number, subject] = Quota(rule, subject, others)
        return quota

    def _drop(self, number: int) -> None:
        """Forget all buckets of a throttle."""
        self._meters = {key: meter for key, meter in self._meters.items() if key[0] != number}
        self._quotas = {key: quota for key, quota in self._quotas.items() if key[0] != number}
        self._dirty = {(quota, end) for quota, end in self._dirty if quota.rule.number != number}

    def _compile(self) -> None:
        index: defaultdict[tuple[str, int | None, Any], list[Rule]] = defaultdict(list)
        for number, throttle in sorted(self.throttles.items()):
            subject = None if throttle.scope == "account" else getattr(throttle, SUBJECT[throttle.scope])
            index[throttle.scope, throttle.account_id, subject].append(self._rules[number])
        self._index = dict(index)
        self._scopes = tuple(scope for scope in SUBJECT if any(key[0] == scope for key in index))
        self.forget()


def _blocked(rule: Rule) -> Denied:
    message = f"The limit {rule.name} lets no message {_WHAT[rule.scope]} through."
    action = f"Ask the operator of this installation about the limit {rule.name}."
    return Denied("blocked_by_limit", message, action, None, rule.name, rule.scope)


def _full(rule: Rule, first: int, now: int, until: int) -> Denied:
    """Asked again after `retry_after`, the message would pass: at once, or before its validity ends."""
    wait = first - now if rule.over == "refuse" else first - until
    retry_after = max(1, -(-wait // 1000))
    if rule.money:
        message = f"What this account may spend in a {rule.per} ({rule.name}: {_decimal(rule.limit)}) is spent."
        code = "spend_cap_reached"
    else:
        late = "" if rule.over == "refuse" else " The message would have to wait longer than it is valid."
        message = f"The limit {rule.name} of {rule.limit:,} a {rule.per} {_WHAT[rule.scope]} is reached.{late}"
        code = "throttled"
    return Denied(code, message, ERRORS[code].action, retry_after, rule.name, rule.scope)


def _decimal(micros: int) -> str:
    whole, part = divmod(micros, 1_000_000)
    return f"{whole}.{f'{part:06}'.rstrip('0'):0<2}"
