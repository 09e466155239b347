"""Scenario files: the operator's moods in TOML.

`parse` reads and checks a file, `Chooser` finds the behaviour of a message: rules in order, then magic numbers, then
plain delivery.
"""

from __future__ import annotations

import difflib
import fnmatch
import random
import re
import tomllib
from collections.abc import Callable, Iterator
from typing import Annotated, Any, Literal, Protocol

import msgspec
from msgspec import Meta, Struct, field

from chappe.sandbox.behaviour import BEHAVIOURS, MAGIC, Behaviour, Delay, Seconds, delay_problem, status_code

DELIVERED = Behaviour()
Count = Annotated[int, Meta(ge=0)]


class Rule(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Messages that match all of the first group and are chosen by the second behave as `do` says, with `change`s."""

    to: str | None = None  # a pattern: * is anything, ? is one character
    sender: str | None = field(default=None, name="from")
    text: str | None = None  # a regular expression, found anywhere
    system_id: str | None = None

    share: Annotated[float, Meta(ge=0, le=1)] | None = None  # of those that match, by chance
    every: Annotated[int, Meta(ge=1)] | None = None  # the third, sixth, ninth ... match
    first: Count | None = None  # only so many matches

    do: str = "delivered"
    change: dict[str, Any] = {}  # fields of the behaviour


class Event(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Something that happens by itself: once `after_s` from the start, or again and again `every_s`."""

    do: Literal["drop", "away", "throttle", "refuse_binds"]
    after_s: Seconds | None = None
    every_s: Annotated[float, Meta(gt=0)] | None = None
    seconds: Seconds = 0.0  # how long it lasts; a drop takes no time
    status: str = "ESME_RBINDFAIL"  # of refused binds


class Scenario(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All that can be set while the operator runs. Without a file everything is delivered after a second."""

    seed: int | None = None
    magic_numbers: bool = True

    response_delay_s: Delay = 0.0
    receipt_delay_s: Delay = 1.0
    late_receipt_s: Delay = 10.0
    reply_delay_s: Delay = 0.5
    max_validity_s: Seconds = 10.0

    submits_per_s: Annotated[float, Meta(ge=0)] = 0.0  # more than these: ESME_RTHROTTLED; 0: no limit
    window: Count = 0  # more unanswered submits on one bind than these: ESME_RTHROTTLED; 0: no limit
    congestion_state: Annotated[int, Meta(ge=0, le=100)] | None = None  # told to peers of SMPP 5.0

    deliver_window: Annotated[int, Meta(ge=1, le=10_000)] = 50  # unanswered deliver_sm on one bind
    resend_after_s: Annotated[float, Meta(gt=0)] = 2.0  # a deliver_sm that was not acknowledged
    deliver_for_s: Annotated[float, Meta(gt=0)] = 86_400.0  # what is older is given up

    max_binds: Count = 0  # per system_id, more: ESME_RALYBND; 0: no limit
    refuse_binds: str = ""  # a status; empty: binds are welcome
    logins: dict[str, str] = {}  # system_id -> password; without any everybody may bind

    behaviours: dict[str, Behaviour] = {}
    rules: tuple[Rule, ...] = ()
    events: tuple[Event, ...] = ()


class ScenarioError(ValueError):
    """What is wrong with a scenario: `problems`, each with its place."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


def parse(text: str) -> Scenario:
    """The scenario of a TOML text. Raises ScenarioError."""
    try:
        return build(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise ScenarioError([f"this is no TOML: {error}"]) from None


def build(data: object) -> Scenario:
    """The scenario of plain data, as TOML or JSON hold it. Raises ScenarioError."""
    try:
        scenario = msgspec.convert(data, Scenario, str_keys=True)
    except msgspec.ValidationError as error:
        what, _, place = str(error).partition(" - at `$")
        raise ScenarioError([f"{place.strip('.`') or 'the file'}: {what[:1].lower() + what[1:]}"]) from None
    if problems := list(_problems(scenario)):
        raise ScenarioError(problems)
    return scenario


def _problems(scenario: Scenario) -> Iterator[str]:
    known = BEHAVIOURS | scenario.behaviours
    for name, behaviour in scenario.behaviours.items():
        yield from _behaviour_problems(f"behaviours.{name}", behaviour)
    for index, rule in enumerate(scenario.rules):
        place = f"rules[{index}]"
        if rule.do not in known:
            close = difflib.get_close_matches(rule.do, known, 1)
            hint = f"did you mean {close[0]!r}?" if close else f"known are {', '.join(sorted(known))}"
            yield f"{place}.do: there is no behaviour {rule.do!r}; {hint}"
        else:
            try:
                yield from _behaviour_problems(f"{place}.change", changed(known[rule.do], rule.change))
            except msgspec.ValidationError as error:
                yield f"{place}.change: {error}"
        try:
            re.compile(rule.text or "")
        except re.error as error:
            yield f"{place}.text: {rule.text!r} is no regular expression: {error}"
    for index, event in enumerate(scenario.events):
        place = f"events[{index}]"
        if (event.after_s is None) == (event.every_s is None):
            yield f"{place}: say either after_s or every_s"
        if event.do != "drop" and not event.seconds:
            yield f"{place}.seconds: say how long {event.do!r} lasts"
        if status_code(event.status) is None:
            yield f"{place}.status: {event.status!r} is no status, such as ESME_RBINDFAIL or 0x0D"
    if scenario.refuse_binds and not status_code(scenario.refuse_binds):
        yield f"refuse_binds: {scenario.refuse_binds!r} is no status, such as ESME_RBINDFAIL or 0x0D"
    for key in ("response_delay_s", "receipt_delay_s", "late_receipt_s", "reply_delay_s"):
        yield from _delay_problems(key, getattr(scenario, key))


def _behaviour_problems(place: str, behaviour: Behaviour) -> Iterator[str]:
    if status_code(behaviour.status) is None:
        yield f"{place}.status: {behaviour.status!r} is no status, such as ESME_RTHROTTLED or 0x58"
    yield from _delay_problems(f"{place}.answer_after_s", behaviour.answer_after_s)
    yield from _delay_problems(f"{place}.receipt_after_s", behaviour.receipt_after_s)


def _delay_problems(place: str, delay: Delay | None) -> Iterator[str]:
    if delay is not None and (problem := delay_problem(delay)):
        yield f"{place}: {problem}"


def changed(behaviour: Behaviour, change: dict[str, Any]) -> Behaviour:
    """The behaviour with some fields set anew. Raises msgspec.ValidationError."""
    if not change:
        return behaviour
    return msgspec.convert(msgspec.structs.asdict(behaviour) | change, Behaviour)


class Sent(Protocol):
    """What a rule looks at."""

    @property
    def to(self) -> str: ...
    @property
    def sender(self) -> str: ...
    @property
    def system_id(self) -> str: ...
    @property
    def text(self) -> str | None: ...


_Match = Callable[[Sent], bool]


class _Ready:
    """A rule prepared: its patterns compiled, its matches counted."""

    __slots__ = ("behaviour", "matches", "name", "rule", "seen")

    def __init__(self, rule: Rule, behaviour: Behaviour) -> None:
        self.rule = rule
        self.name = rule.do
        self.behaviour = behaviour
        self.matches = list(_matches(rule))
        self.seen = 0

    def takes(self, sent: Sent, chance: random.Random) -> bool:
        for matches in self.matches:
            if not matches(sent):
                return False
        rule = self.rule
        if rule.share is not None and chance.random() >= rule.share:
            return False
        self.seen += 1
        if rule.every is not None and self.seen % rule.every:
            return False
        return rule.first is None or self.seen <= rule.first * (rule.every or 1)


def _matches(rule: Rule) -> Iterator[_Match]:
    if rule.system_id is not None:
        yield lambda sent: sent.system_id == rule.system_id
    if rule.to is not None:
        to = _pattern(rule.to)
        yield lambda sent: to(sent.to.lstrip("+")) is not None
    if rule.sender is not None:
        sender = _pattern(rule.sender)
        yield lambda sent: sender(sent.sender.lstrip("+")) is not None
    if rule.text is not None:
        text = re.compile(rule.text).search
        yield lambda sent: text(sent.text or "") is not None


def _pattern(glob: str) -> Callable[[str], re.Match[str] | None]:
    return re.compile(fnmatch.translate(glob.lstrip("+"))).match


class Chooser:
    """Finds the behaviour of each message; counts what rules have seen."""

    def __init__(self, scenario: Scenario, chance: random.Random) -> None:
        self._known = BEHAVIOURS | scenario.behaviours
        self._chance = chance
        self._rules = [_Ready(rule, changed(self._known[rule.do], rule.change)) for rule in scenario.rules]
        self._magic = MAGIC if scenario.magic_numbers else {}

    def choose(self, sent: Sent) -> tuple[str, Behaviour]:
        """The name of the behaviour and the behaviour."""
        for rule in self._rules:
            if rule.takes(sent, self._chance):
                return rule.name, rule.behaviour
        name = self._magic.get(sent.to[-6:])
        return (name, self._known[name]) if name else ("delivered", DELIVERED)
