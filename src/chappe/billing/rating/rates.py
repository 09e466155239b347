"""What a message costs by a card: the rows of a price list or of a supplier's tariff, compiled. Pure.

Of the rows that fit, the most specific one counts: an operator before a country before everywhere; then a kind of
sender, then a purpose; then the day. A row may say that the card does not go there. A row of a customer's list may be
"cost plus": what the supplier asks, and something on it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise, product
from typing import Annotated, Literal, NamedTuple

from msgspec import Meta
from msgspec.structs import replace

from chappe.accounts import Purpose
from chappe.billing.rating.model import FOREVER, MILLION, AnyCountry, AnyOperator, Dated, Micros, Where

Per = Literal["segment", "message"]
SENDER_KINDS = ("alphanumeric", "short_code", "long_code", "toll_free", "ten_dlc")
MOST_PPM = 10 * MILLION  # ten times the cost on top


class Rate(Dated, frozen=True, kw_only=True, omit_defaults=True):
    """A row of a card. "" fits anything: a country (ISO), an operator (MCC and MNC), a kind of sender, a purpose.

    `amount` is for each segment, or for the message. Without one it is the supplier's cost, `plus` so much `per`
    segment or message and `percent_ppm` of the cost; without all three it is not served. `roaming` is added when the
    recipient is known to be abroad.
    """

    country: AnyCountry = ""
    operator: AnyOperator = ""
    channel: Annotated[str, Meta(pattern=r"^[a-z][a-z0-9_]{0,30}$")] = "sms"
    sender_kind: Literal["", "alphanumeric", "short_code", "long_code", "toll_free", "ten_dlc"] = ""
    purpose: Purpose | Literal[""] = ""
    per: Per = "segment"
    amount: Micros | None = None
    plus: Micros | None = None
    percent_ppm: Annotated[int, Meta(ge=0, le=MOST_PPM)] | None = None
    roaming: Micros = 0

    @property
    def served(self) -> bool:
        return self.amount is not None or self.cost_plus

    @property
    def cost_plus(self) -> bool:
        return self.plus is not None or self.percent_ppm is not None


Key = tuple[str, str, str, str, str]


def key_of(rate: Rate) -> Key:
    """What a row is for."""
    return rate.channel, rate.country, rate.operator, rate.sender_kind, rate.purpose


def in_order(rates: Iterable[Rate]) -> list[Rate]:
    """As lists are kept and shown: by what rows are for, then by time."""
    return sorted(rates, key=lambda rate: (*key_of(rate), rate.valid_from))


class Found(NamedTuple):
    """The row that counts at a moment, if any, and the time around it in which the answer stays the same."""

    rate: Rate | None
    since: int
    until: int


class Card:
    """Rows by what they are for, each list in the order of time."""

    def __init__(self, rates: Iterable[Rate]) -> None:
        self._rates: defaultdict[Key, list[Rate]] = defaultdict(list)
        for rate in sorted(rates, key=lambda rate: rate.valid_from):
            self._rates[key_of(rate)].append(rate)

    def find(self, where: Where, at: int) -> Found:
        """The most specific row for a message at that time."""
        chosen, since, until = None, 0, FOREVER
        for rate in self.tried(where):
            if chosen is None and rate.holds(at):
                chosen = rate
            for edge in (rate.valid_from, rate.valid_to):
                if edge <= at:
                    since = max(since, edge)
                else:
                    until = min(until, edge)
        return Found(chosen, since, until)

    def tried(self, where: Where) -> Iterator[Rate]:
        """Every row that could fit at some time, the most specific first."""
        for key in _keys(where):
            yield from self._rates.get(key, ())

    def __iter__(self) -> Iterator[Rate]:
        """As `in_order`."""
        for key in sorted(self._rates):
            yield from self._rates[key]

    def __len__(self) -> int:
        return sum(map(len, self._rates.values()))


def _keys(where: Where) -> Iterator[Key]:
    """From the most specific to the least."""
    places = [(where.country, ""), ("", "")]
    if where.operator:
        places[:0] = [(where.country, where.operator), ("", where.operator)]
    for (country, operator), kind, purpose in product(
        dict.fromkeys(places), dict.fromkeys((where.sender_kind, "")), dict.fromkeys((where.purpose, ""))
    ):
        yield where.channel, country, operator, kind, purpose


def charge(rate: Rate, segments: int, *, cost: int | None = None, roaming: bool | None = None) -> int | None:
    """Micro-units for one message of so many segments; None if it is not served, or needs a `cost` that is unknown.

    `cost` is the supplier's for the whole message, in the card's currency. A share of it is rounded up. Whoever does
    not know whether the recipient roams pays no surcharge.
    """
    units = segments if rate.per == "segment" else 1
    extra = rate.roaming * units if roaming else 0
    if rate.amount is not None:
        return rate.amount * units + extra
    if not rate.cost_plus or cost is None:
        return None
    share = -(-cost * (rate.percent_ppm or 0) // MILLION)
    return cost + share + (rate.plus or 0) * units + extra


class Clash(NamedTuple):
    """Why rows cannot stand together. `row` counts from 0."""

    row: int
    code: str
    message: str
    other: int | None = None


def clashes(rates: Sequence[Rate]) -> list[Clash]:
    """Rows that end before they begin, say two prices at once, or are for the same at the same time as another."""
    found = []
    rows: defaultdict[Key, list[int]] = defaultdict(list)
    for row, rate in enumerate(rates):
        rows[key_of(rate)].append(row)
        if rate.valid_to <= rate.valid_from:
            found.append(Clash(row, "validity_empty", "It ends before it begins."))
        if rate.amount is not None and rate.cost_plus:
            found.append(Clash(row, "price_contradictory", "It has both a price and something on the cost."))
    for same in rows.values():
        if len(same) == 1:
            continue
        last: int | None = None  # of those before, the one that ends last
        for later in sorted(same, key=lambda row: (rates[row].valid_from, row)):
            if last is not None and rates[later].valid_from < rates[last].valid_to:
                words = "The same destination has two prices at the same time."
                found.append(Clash(max(last, later), "rates_overlap", words, min(last, later)))
            if last is None or rates[later].valid_to > rates[last].valid_to:
                last = later
    return sorted(found)


# -- putting rows over others --------------------------------------------------------------------------------------


def overlaid(before: Iterable[Rate], over: Iterable[Rate]) -> list[Rate]:
    """Where and when `over` has a row, that one; else what was there before."""
    taken: defaultdict[Key, list[tuple[int, int]]] = defaultdict(list)
    kept = list(over)
    for rate in kept:
        taken[key_of(rate)].append((rate.valid_from, rate.valid_to))
    for rate in before:
        kept += _without(rate, sorted(taken.get(key_of(rate), ())))
    return in_order(kept)


def replaced(before: Iterable[Rate], after: Iterable[Rate], since: int) -> list[Rate]:
    """`after` alone from a moment on, and what was there before until then."""
    past = [piece for rate in before for piece in _without(rate, [(since, FOREVER)])]
    return in_order([*past, *(piece for rate in after for piece in _without(rate, [(0, since)]))])


def _without(rate: Rate, spans: Iterable[tuple[int, int]]) -> list[Rate]:
    """What is left of a row beside some times, which are in order."""
    left, start = [], rate.valid_from
    for since, until in spans:
        if since > start and start < rate.valid_to:
            left.append(replace(rate, valid_from=start, valid_to=min(since, rate.valid_to)))
        start = max(start, until)
    if start < rate.valid_to:
        left.append(rate if start == rate.valid_from else replace(rate, valid_from=start))
    return left


class Step(NamedTuple):
    """One difference between two lists: what is for `key` from `since` up to `until`."""

    key: Key
    since: int
    until: int
    old: Rate | None
    new: Rate | None

    @property
    def kind(self) -> Literal["added", "changed", "removed"]:
        return "added" if self.old is None else "removed" if self.new is None else "changed"


def differences(before: Iterable[Rate], after: Iterable[Rate]) -> list[Step]:
    """Every stretch of time in which another price counts, or one where none did, or none where one did."""
    old, new = _timelines(before), _timelines(after)
    steps: list[Step] = []
    for key in sorted(old.keys() | new.keys()):
        if old.get(key) != new.get(key):
            steps += _steps(key, old.get(key, []), new.get(key, []))
    return steps


def _timelines(rates: Iterable[Rate]) -> dict[Key, list[Rate]]:
    lines: defaultdict[Key, list[Rate]] = defaultdict(list)
    for rate in in_order(rates):
        lines[key_of(rate)].append(rate)
    return lines


def _steps(key: Key, old: list[Rate], new: list[Rate]) -> Iterator[Step]:
    edges = sorted({edge for rate in (*old, *new) for edge in (rate.valid_from, rate.valid_to)})
    pending: Step | None = None
    for since, until in pairwise(edges):
        was = next((rate for rate in old if rate.holds(since)), None)
        will = next((rate for rate in new if rate.holds(since)), None)
        if same_price(was, will):
            continue
        if pending is not None:
            goes_on = pending.until == since and same_price(pending.old, was) and same_price(pending.new, will)
            if goes_on:
                pending = pending._replace(until=until)
                continue
            yield pending
        pending = Step(key, since, until, was, will)
    if pending is not None:
        yield pending


def same_price(one: Rate | None, other: Rate | None) -> bool:
    """Whether two rows for the same say the same, whenever."""
    if one is None or other is None:
        return one is other
    return (one.per, one.amount, one.plus, one.percent_ppm, one.roaming) == (
        other.per,
        other.amount,
        other.plus,
        other.percent_ppm,
        other.roaming,
    )


def change_percent(old: Rate | None, new: Rate | None) -> str | None:
    """How much more a row asks than another, in per cent with two decimals; None where that says nothing."""
    if old is None or new is None or old.per != new.per or not old.amount or new.amount is None:
        return None
    hundredths = round((new.amount - old.amount) * 10_000 / old.amount)
    return f"{'-' if hundredths < 0 else ''}{abs(hundredths) // 100}.{abs(hundredths) % 100:02d}"
