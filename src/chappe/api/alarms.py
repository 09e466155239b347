"""Alarms: what somebody should look at now. One function decides for the overview, the metrics, the log and doctor."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, get_args

from chappe import fraud, ids
from chappe.api.facts import Facts, LaneCount, OpenReviews
from chappe.events.outbox import Lag
from chappe.nodes import NodeInfo
from chappe.settings import Alarms
from chappe.storage.health import StoreHealth

if TYPE_CHECKING:
    from chappe.runtime import Runtime

EVERY_S: Final = 10.0
Kind = Literal[
    "snapshot", "waiting", "lag", "role", "wal", "disk", "clock", "usage", "consent", "review", "growth", "route"
]
KINDS: Final[tuple[Kind, ...]] = get_args(Kind)
_NEEDED: Final = ("dispatch", "jobs")
_MB: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Alarm:
    """`about` names what it is about and stays the same while the alarm lasts; `words` and `action` are for people."""

    kind: Kind
    about: str
    words: str
    action: str


async def alarms(facts: Facts, limits: Alarms) -> list[Alarm]:
    """All there are, the most urgent first. Raises Unavailable."""
    return [
        *_roles(await facts.nodes()),
        *_waiting(await facts.lanes(), limits),
        *_lags(await facts.lags(), limits),
        *_late("usage", "billing", await facts.usage_late()),
        *_late("consent", "ledger", await facts.consents_late()),
        *_reviews(await facts.reviews()),
        *_growths(await facts.growths()),
        *_store(await facts.health(), limits),
        *(Alarm("route", one.about, one.words, one.action) for one in facts.demoted()),
    ]


def _roles(nodes: Sequence[NodeInfo]) -> Iterator[Alarm]:
    alive = {role for node in nodes if not node.late for role in node.roles}
    for role in _NEEDED if nodes else ():
        if role not in alive:
            yield Alarm("role", role, f"no node with the role {role} is alive", f"chappe serve --roles {role}")


def _waiting(lanes: Sequence[LaneCount], limits: Alarms) -> Iterator[Alarm]:
    for lane in lanes:
        word = lane.lane.name.lower()
        if lane.oldest_s > getattr(limits, f"{word}_s"):
            words = f"{lane.waiting:,} {word} messages wait for {lane.connector}, the oldest for {age(lane.oldest_s)}"
            action = "Look whether its binds are up and its rate is enough: GET /v1/connectors."
            yield Alarm("waiting", f"{lane.connector} {word}", words, action)


def _lags(lags: Mapping[str, Lag], limits: Alarms) -> Iterator[Alarm]:
    for name, lag in lags.items():
        if lag.age_ms > limits.lag_s * 1000:
            words = f"{name} has {lag.waiting:,} events to hear, the oldest is {age(lag.age_ms / 1000)} old"
            yield Alarm("lag", name, words, "Look at the log of the nodes with the role jobs.")


def _reviews(found: OpenReviews) -> Iterator[Alarm]:
    if found.oldest_s is not None:
        words = f"{found.number:,} texts wait for a review, the oldest for {age(found.oldest_s)}"
        yield Alarm("review", "content", words, "chappe reviews list")


def _growths(found: Sequence[fraud.Growth]) -> Iterator[Alarm]:
    for one in found:
        account = ids.public("acc", one.account_id)
        words = (
            f"{account} sent {one.today:,} messages today, at most {one.most_before:,} on any day of the month before"
        )
        yield Alarm("growth", account, words, f"Look at what it sends: GET /v1/messages?account_id={account}")


def _late(kind: Kind, about: str, late: str | None) -> Iterator[Alarm]:
    if late is not None:
        yield Alarm(kind, about, late, "Look at the log of the nodes with the role jobs.")


def _store(found: StoreHealth, limits: Alarms) -> Iterator[Alarm]:
    if (open_one := found.oldest_snapshot) is not None and open_one.age_s > limits.snapshot_s:
        doing = ", ".join(filter(None, (open_one.application, open_one.state)))
        who = f"{open_one.user or 'somebody'} ({doing})" if doing else f"{open_one.user or 'somebody'}"
        held = "the database keeps rows that are gone"
        if open_one.writes:
            held += ", and reactions wait for its writes"
        words = f"a transaction of {who} is open for {age(open_one.age_s)}: {held}"
        end = f"select pg_terminate_backend({open_one.pid})" if open_one.pid else "rollback prepared"
        yield Alarm("snapshot", f"pid {open_one.pid}" if open_one.pid else who, words, f"End it: {end}")
    if found.wal_waiting_bytes > limits.wal_mb * _MB:
        words = f"{found.wal_waiting_bytes / _MB:,.0f} MB of the write-ahead log wait: a reader keeps an old state"
        yield Alarm("wal", "SQLite", words, "End what reads the file for so long: a back-up, a shell, another program.")
    if found.disk_free_bytes * 100 < limits.disk_percent * found.disk_total_bytes:
        part = 100 * found.disk_free_bytes / found.disk_total_bytes
        words = f"{found.disk_free_bytes / 1000 / _MB:,.1f} GB ({part:.1f} %) of the disk are free"
        yield Alarm("disk", "data_dir", words, "Make room, or shorten the retention settings.")
    if abs(found.clock_ahead_s) * 1000 > limits.clock_ms:
        side = "ahead of" if found.clock_ahead_s > 0 else "behind"
        words = f"our clock is {abs(found.clock_ahead_s):.1f} s {side} the database's"
        yield Alarm("clock", "node", words, "Keep both machines with NTP.")


def age(seconds: float) -> str:
    """`45 s`, `12 min`, `3.5 h`, `4 days`"""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 90 * 60:
        return f"{seconds / 60:.0f} min"
    if seconds < 48 * 3600:
        return f"{seconds / 3600:.1f} h"
    return f"{seconds / 86_400:.0f} days"


class Watchman:
    """A line of log when an alarm begins, and one when it is over. On one node, that keeps the schedule."""

    def __init__(self, rt: Runtime) -> None:
        self._facts = Facts(rt)
        self._known: dict[tuple[Kind, str], Alarm] = {}

    async def look(self, rt: Runtime) -> None:
        """Raises Unavailable."""
        now = {(alarm.kind, alarm.about): alarm for alarm in await alarms(self._facts, rt.settings.alarms)}
        for key, alarm in now.items():
            if key not in self._known:
                rt.log.error("alarm", kind=alarm.kind, about=alarm.about, words=alarm.words, action=alarm.action)
        for key, alarm in self._known.items():
            if key not in now:
                rt.log.info("alarm is over", kind=alarm.kind, about=alarm.about)
        self._known = now
