"""What one connector did at one place, in counts that age. Pure: observations in, figures out, time is an argument.

Every count is kept four times, ageing at four speeds: one that sees the last minute, one for some minutes, the *live*
one whose half-life is a setting, and one of about a week. Sums that decay exponentially are linear: those of several
nodes are added up.

A message counts from the moment when it was sent, but not as a failure: what has no receipt yet may still get one. It
weighs as much as the share of receipts that usually have come by its age (Vernade, Cappé and Perchet, Stochastic Bandit
Models for Delayed Conversions, UAI 2017); known failures weigh fully at once. So a late delivery needs no correction:
it adds to what was delivered of the messages of its time.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NamedTuple

from chappe.routing.quality import delays
from chappe.routing.quality.model import (
    DELIVERED,
    FAILED,
    KINDS,
    LIVE,
    MEDIUM_MS,
    REFUSED,
    SENT,
    SHORT_MS,
    WEEK,
    WEEK_MS,
)

Scales = tuple[int, int, int, int]
"""The half-lives of the windows in milliseconds."""

SLOT_MS: Final = 2_000
RIPE_MS: Final = 300_000  # older messages weigh fully
# what is expected of receipts before any came: within a minute, most of them
PRIOR_DELAYS: Final = {delays.bucket(ms): 1.0 for ms in (2_000, 6_000, 20_000, 60_000)}
_FAINT: Final = 1e-4
_RIPE: Final = 0.998


def scales(half_life_ms: int) -> Scales:
    return (SHORT_MS, MEDIUM_MS, half_life_ms, WEEK_MS)


class Cell:
    """What was counted of the messages sent within one slot, since the last fold: plain integers."""

    __slots__ = ("counts", "delays")

    def __init__(self) -> None:
        self.counts = [0] * KINDS
        self.delays: dict[int, int] = {}


class Window(NamedTuple):
    """Aged counts. `trials` are the messages whose fate should be known by now."""

    trials: float
    delivered: float
    failed: float
    refused: float
    told: float
    converted: float

    @property
    def rate(self) -> float:
        return self.delivered / self.trials if self.trials > 0.0 else 0.0

    def plus(self, other: Window) -> Window:
        return Window(*(mine + its for mine, its in zip(self, other, strict=True)))

    def less(self, other: Window) -> Window:
        return Window(*(max(0.0, mine - its) for mine, its in zip(self, other, strict=True)))


NOTHING: Final = Window(0.0, 0.0, 0.0, 0.0, 0.0, 0.0)


class Tally:
    """The counts as of `at`. All windows but the week see only messages sent since `epoch`: a route that was demoted,
    or came back, is measured anew."""

    __slots__ = ("_curve", "_windows", "at", "country", "delays", "epoch", "slots", "sums")

    def __init__(self, country: str, at: int, epoch: int = 0) -> None:
        self.country = country
        self.at = at
        self.epoch = epoch
        self.sums = [[0.0] * KINDS for _ in range(4)]
        self.delays: delays.Histogram = {}
        self.slots: dict[int, list[int]] = {}  # slot -> [sent, known to have failed], of the last five minutes
        self._curve: list[float] | None = None
        self._windows: tuple[Window, ...] | None = None

    def advance(self, now: int, halves: Scales) -> None:
        """Age everything; nothing happens if `now` is not later."""
        passed = now - self.at
        if passed <= 0:
            return
        self._windows = None
        for half, sums in zip(halves, self.sums, strict=True):
            factor = 0.5 ** (passed / half)
            sums[:] = [value * factor for value in sums]
        factor = 0.5 ** (passed / halves[LIVE])
        self.delays = {index: v * factor for index, v in self.delays.items() if v * factor > _FAINT}
        ripe = (now - RIPE_MS) // SLOT_MS
        if self.slots and min(self.slots) < ripe:
            self.slots = {slot: counts for slot, counts in self.slots.items() if slot >= ripe}
        self.at = now

    def add(self, slot: int, cell: Cell, halves: Scales) -> None:
        """Count what was seen of messages sent within a slot."""
        self.changed()
        sent_at = slot * SLOT_MS
        if sent_at > self.at:
            self.advance(sent_at, halves)
        age = self.at - sent_at
        fresh = sent_at >= self.epoch
        for scale, (half, sums) in enumerate(zip(halves, self.sums, strict=True)):
            if fresh or scale == WEEK:
                weight = 0.5 ** (age / half)
                for kind, count in enumerate(cell.counts):
                    if count:
                        sums[kind] += weight * count
        weight = 0.5 ** (age / halves[LIVE])
        for index, count in cell.delays.items():
            self.delays[index] = self.delays.get(index, 0.0) + weight * count
        if fresh and age < RIPE_MS and (cell.counts[SENT] or cell.counts[FAILED]):
            known = self.slots.setdefault(slot, [0, 0])
            known[0] += cell.counts[SENT]
            known[1] += cell.counts[FAILED]

    def restart(self, epoch: int) -> None:
        """Forget all but the week."""
        self.changed()
        self.epoch = epoch
        for scale in range(WEEK):
            self.sums[scale] = [0.0] * KINDS
        self.slots = {}

    def changed(self) -> None:
        """What was worked out is worth nothing any more."""
        self._curve = self._windows = None

    def curve(self) -> list[float]:
        """Which share of the receipts comes within a delay, by bucket. That all of them age alike changes nothing."""
        if self._curve is None:
            self._curve = delays.curve(self.delays, PRIOR_DELAYS)
        return self._curve

    def window(self, scale: int, halves: Scales) -> Window:
        """The figures of one window as of `at`."""
        if self._windows is None:
            self._windows = self._look(halves)
        return self._windows[scale]

    def _look(self, halves: Scales) -> tuple[Window, ...]:
        curve = self.curve()
        unripe = [0.0] * len(halves)
        for slot, (sent, known) in self.slots.items():
            age = _age(self.at, slot)
            part = (sent - known) * (1.0 - curve[delays.bucket(age)])
            for scale, half in enumerate(halves):
                unripe[scale] += part * 0.5 ** (age / half)
        return tuple(_window(sums, open_) for sums, open_ in zip(self.sums, unripe, strict=True))

    def trim(self) -> None:
        """Drop the slots whose messages weigh fully by what is known of the delays."""
        curve = self.curve()
        self.slots = {
            slot: counts for slot, counts in self.slots.items() if curve[delays.bucket(_age(self.at, slot))] < _RIPE
        }

    def silent(self) -> bool:
        """Whether all but the week has faded."""
        return self.sums[LIVE][SENT] + self.sums[LIVE][REFUSED] + self.sums[LIVE][DELIVERED] < _FAINT


def _age(now: int, slot: int) -> int:
    """How long ago the messages of a slot were sent, on average; also of the slot that is not over yet."""
    passed = max(0, now - slot * SLOT_MS)
    return passed - min(passed, SLOT_MS) // 2


def _window(sums: list[float], unripe: float) -> Window:
    sent, delivered, failed, refused, told, converted = sums
    known = min(delivered + failed, max(sent, delivered))  # some were reported as failed, then as delivered
    return Window(max(sent - unripe, known, delivered) + refused, delivered, failed, refused, told, converted)


def merged(tallies: Iterable[Tally], now: int, halves: Scales, epoch: int = 0) -> Tally | None:
    """Several nodes' tallies of one place as one, as of `now`; None of none. Of what one counts from before the latest
    epoch only the week is taken."""
    found = list(tallies)
    if not found:
        return None
    for tally in found:
        tally.advance(now, halves)
    latest = max(epoch, *(tally.epoch for tally in found))
    if len(found) == 1 and found[0].epoch == latest:
        return found[0]
    made = Tally(found[0].country, max(now, *(tally.at for tally in found)), latest)
    for tally in found:
        _pour(tally, made, tally.epoch == latest)
    return made


def together(tallies: Iterable[Tally], now: int, halves: Scales) -> Tally | None:
    """Several places' tallies as one: each counts from its own epoch."""
    found = list(tallies)
    if len(found) < 2:
        return merged(found, now, halves)
    made = Tally(found[0].country, now)
    for tally in found:
        tally.advance(now, halves)
        _pour(tally, made, True)
    return made


def _pour(tally: Tally, into: Tally, whole: bool) -> None:
    for scale, sums in enumerate(tally.sums):
        if whole or scale == WEEK:
            target = into.sums[scale]
            for kind, value in enumerate(sums):
                target[kind] += value
    for index, weight in tally.delays.items():
        into.delays[index] = into.delays.get(index, 0.0) + weight
    if whole:
        for slot, (sent, known) in tally.slots.items():
            counts = into.slots.setdefault(slot, [0, 0])
            counts[0] += sent
            counts[1] += known
