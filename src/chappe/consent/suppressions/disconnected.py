"""Numbers that are given up: when networks say on several days that nobody has a number, it is suppressed for a while,
for whoever gets it next has agreed to nothing.

Heard from the outbox, never while sending. A day counts once, however many messages failed on it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Final

from msgspec import Struct, convert, to_builtins

from chappe.consent.recording import announce, suppress
from chappe.consent.room import TOPIC, persons
from chappe.consent.suppressions import store
from chappe.consent.suppressions.adding import Whose, bare_rows, known, place_of, resolved, told_of
from chappe.consent.suppressions.model import Gone, Wanted
from chappe.events import MessageUpdated
from chappe.storage import Op

if TYPE_CHECKING:
    from chappe.runtime import Runtime

REACTION: Final = "consent.disconnected"
SUPPRESS: Final = "consent.suppress_disconnected"  # the kind of the job
CODE: Final = "unknown_subscriber"
FINAL: Final = frozenset(("undelivered", "failed", "expired"))
_DAY_MS: Final = 86_400_000


class _Found(Struct, frozen=True):
    """A number that has been unknown for long enough, at `at`."""

    account_id: int
    test: bool
    person: str
    at: int


def register(rt: Runtime, gone: Gone) -> None:
    """Hear of messages, before `rt.events.start`."""
    rt.jobs.register(SUPPRESS, partial(_suppress, gone))
    if gone.after:
        rt.events.on(MessageUpdated, REACTION, partial(hear, gone), wanted=_counts)


def _counts(event: MessageUpdated) -> bool:
    return (
        event.error is not None
        and event.error.get("code") == CODE
        and event.state in FINAL
        and event.to.startswith("+")  # not one who was forgotten since
    )


async def hear(gone: Gone, rt: Runtime, events: list[MessageUpdated]) -> list[Op]:
    """Count days; who has been unknown on enough of them is suppressed by a job, which can announce it."""
    days: defaultdict[int, set[int]] = defaultdict(set)
    latest: dict[int, _Found] = {}
    for event in events:
        key = persons(rt).key(event.account_id, event.test, event.to)
        days[key].add(event.occurred_at // _DAY_MS)
        latest[key] = _Found(event.account_id, event.test, event.to, event.occurred_at)
    new = [(key, day) for key, found in days.items() for day in sorted(found)]
    since = min(day for _, day in new) - gone.within_days
    for key, day in await rt.store.read(store.DAYS({"keys": list(days), "since": since})):
        days[key].add(day)
    reached = [latest[key] for key, found in days.items() if gone.reached(found)]
    ops = [store.ADD_DAYS(new)]
    if reached:
        ops.append(rt.jobs.enqueue_many(SUPPRESS, [(to_builtins([one]), None) for one in reached]))
    return ops


async def _suppress(gone: Gone, rt: Runtime, payload: Sequence[object]) -> None:
    """The job. Again it only extends what is there."""
    for found in convert(payload, list[_Found]):
        whose = Whose(found.account_id, found.test)
        note = f"Unknown subscriber on {gone.after} days."
        until = found.at + gone.keep_days * _DAY_MS
        one = resolved(Wanted(found.person, note=note, expires_at=until, reason="disconnected"))
        place = place_of(rt, whose, one)
        before = await known(rt, [place[0]])
        rows = bare_rows(rt, whose, [(place, one)], "carrier")
        told = [told_of(store.suppression(row)) for row in rows if place not in before]
        forget = store.FORGET_DAYS({"person_key": place[0]})  # after it is lifted it takes as many days again
        await rt.events.write(*suppress(rows), forget, tell=told, wake=(TOPIC,))
        announce(rt, [place[0]])
