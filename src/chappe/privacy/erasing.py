"""A person is forgotten: what waits for them is taken back, what is held of them is erased, what stops messages to them
stays as a keyed hash.

An erasure is a row and a job. It goes over everything in slices, each with its count in one unit, so that a crash loses
nothing; what is gone is not found again. It comes back until nothing of the person is on its way any more: their last
messages are needed until their receipts are there, and what one room is telling another is told by then.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING, Any, Final

import msgspec

from chappe import consent, ids, jobs, messages
from chappe.accounts.store import AUDIT
from chappe.errors import Refused
from chappe.messages import State
from chappe.messages.model import FINAL
from chappe.privacy import store
from chappe.privacy.access import entry, entry_op
from chappe.privacy.exporting import of
from chappe.privacy.holdings import HOLDINGS
from chappe.privacy.holdings import store as held
from chappe.privacy.model import Erasure, Who
from chappe.privacy.persons import known_as
from chappe.storage import Conflict, Op

if TYPE_CHECKING:
    from chappe.messages import Pipeline
    from chappe.runtime import Runtime

ERASE: Final = "privacy.erase"
MAX_TRIES: Final = 200  # the store may be away for days
LONGEST_S: Final = 6 * 3_600.0  # of a pass
AGAIN_MS: Final = 60_000  # between the first two passes, then twice as long each time
RARELY_MS: Final = 3_600_000
PASSES: Final = 2  # at least: the second finds what was told while the first was at work
PATIENCE_MS: Final = 14 * 86_400_000  # with messages that never become final
REST: Final = 1.0  # a pause as long as the slice took: half of the writer's time is the traffic's
SLICE: Final = 200
CANCELED: Final = "canceled"
MAX_REASON: Final = 200

assert State.CANCELED in FINAL
_encode = msgspec.json.Encoder(order="sorted").encode


async def erase(
    rt: Runtime,
    account_id: int | None,
    person: str,
    *,
    reason: str,
    actor: str,
    test: bool = False,
    suppress: bool = True,
) -> Erasure:
    """Have everything that an account, or with None every one, holds of a person erased; with `suppress` nobody of
    theirs may write to them again. When this returns they are refused, and the rest is under way.

    Who asks again meanwhile gets the same erasure. Raises Refused (reason), Unavailable.
    """
    owner = consent.EVERYONES if account_id is None else account_id
    check_reason(reason, person)
    who = known_as(rt, owner, person, test=test)
    now, number = rt.clock.now(), rt.ids.next()
    row = Erasure(
        id=number,
        account_id=owner,
        test=test,
        person_key=who.hashes[0],
        reason=reason,
        actor=actor,
        suppress=suppress,
        status="running",
        passes=0,
        counts={},
        created_at=now,
        moved_at=now,
        finished_at=None,
    )
    told = _encode({"reason": reason, "suppress": suppress}).decode()
    audited = (rt.ids.next(), account_id, now, actor, "create", "erasure", ids.public("ers", number), None, told)
    try:
        await rt.store.write(
            store.ADD([_row(row, person)], expect=1),
            *(_suppressed(rt, who, now) if suppress else ()),
            entry_op(entry(rt, owner, actor, "erase", person, test, None)),
            AUDIT([audited], expect=1),
            rt.jobs.enqueue(ERASE, {"erasure": number}),
            wake=(jobs.TOPIC, consent.TOPIC),
        )
    except Conflict:
        running = await rt.store.read(store.OPEN_OF({"account_id": owner, "person_key": who.hashes[0]}))
        if not running:
            raise
        return store.erasure(running[0])
    if suppress:
        consent.announce(rt, who.hashes)
    return row


def check_reason(reason: str, person: str) -> None:
    """It is kept for good, so it must not name whom it is about. Raises Refused."""
    digits = "".join(c for c in reason if c.isdigit())
    if person in reason or (person[:1] == "+" and person[-8:] in digits):
        raise Refused("invalid_value", "The reason is kept: it must not name the person.", param="reason")


async def erasure(rt: Runtime, account_id: int | None, number: int) -> Erasure:
    """Raises Refused not_found, also for another account's; None is the operator, who sees all. Raises Unavailable."""
    rows = await rt.store.scan(store.ONE({"id": number}))
    if not rows or (account_id is not None and rows[0][1] != account_id):
        raise Refused("not_found", "There is no such erasure.", param="id")
    return store.erasure(rows[0])


async def erasures(rt: Runtime, account_id: int, *, before: int | None = None, limit: int = 50) -> list[Erasure]:
    """The newest first; of account 0 those that the operator had made in all accounts. Raises Unavailable."""
    params = {"account_id": account_id, "before": before or (1 << 63) - 1, "limit": limit}
    return [store.erasure(row) for row in await rt.store.scan(store.LISTED(params))]


# -- at work ---------------------------------------------------------------------------------------------------------


async def run(house: Pipeline, payload: dict[str, Any]) -> list[Op] | None:
    """A pass: the job. Gives the ops that end it, or have it come again."""
    rt = house.rt
    rows = await rt.store.scan(store.ONE({"id": payload["erasure"]}))
    if not rows or rows[0][-1] is None:
        return None
    work = _Pass(house, store.erasure(rows[0]), rows[0][-1])
    left = await work.through()
    now = rt.clock.now()
    done = {"id": work.erasure.id, "passes": work.erasure.passes + 1, "counts": work.counted, "now": now}
    if work.erasure.passes + 1 >= PASSES and not left:
        rt.log.info("person erased", erasure=ids.public("ers", work.erasure.id), counts=dict(work.counts))
        return [store.FINISH(done)]
    pause = min(AGAIN_MS << min(work.erasure.passes, 6), RARELY_MS)
    return [store.SAVE(done | {"status": "waiting"}), rt.jobs.enqueue(ERASE, payload, now + pause)]


class _Pass:
    """Once over all that is held of the person."""

    def __init__(self, house: Pipeline, erasure: Erasure, person: str) -> None:
        self._house = house
        self._rt = house.rt
        self._person = person
        self.erasure = erasure
        self.counts = Counter(erasure.counts)

    @property
    def counted(self) -> str:
        return _encode(dict(self.counts)).decode()

    async def through(self) -> int:
        """How many messages are left that are on their way. Raises Unavailable."""
        erasure, left = self.erasure, 0
        late = self._rt.clock.now() - erasure.created_at > PATIENCE_MS
        account_id = None if erasure.account_id == consent.EVERYONES else erasure.account_id
        everybody = of(self._rt, account_id, self._person, test=erasure.test, upto=erasure.id, under_way=late)
        async for who in everybody:
            if erasure.suppress:
                # another process may have taken the request: what is on its way here is looked at again
                consent.announce(self._rt, who.hashes)
            await self._take_back(who)
            for holding in HOLDINGS:
                async for count, ops in holding.erase(self._rt, who):
                    self.counts[holding.kind] += count
                    await self._write(*ops)
            if not late:
                left += (await self._rt.store.scan(held.UNDER_WAY(_to(who))))[0][0]
        return left

    async def _take_back(self, who: Who) -> None:
        """Cancel what still waits; what is on the wire goes."""
        after = -1
        while rows := await self._rt.store.scan(held.CANCELABLE({**_to(who), "after": after, "limit": SLICE})):
            for (number,) in rows:
                try:
                    await messages.cancel(self._house, who.account_id, number, self.erasure.actor)
                except Refused:
                    continue  # it has just left
                self.counts[CANCELED] += 1
            after = rows[-1][0]
            await self._write()

    async def _write(self, *ops: Op) -> None:
        """A slice with its count, then rest."""
        save = {
            "id": self.erasure.id,
            "status": "running",
            "passes": self.erasure.passes,
            "counts": self.counted,
            "now": self._rt.clock.now(),
        }
        began = self._rt.clock.monotonic()
        await self._rt.store.write(*ops, store.SAVE(save))
        await asyncio.sleep(REST * (self._rt.clock.monotonic() - began))


def _to(who: Who) -> dict[str, Any]:
    return {"account_id": who.account_id, "person": who.person, "tests": list(who.tests), "upto": who.upto}


def _suppressed(rt: Runtime, who: Who, now: int) -> list[Op]:
    """Nothing more to them, and nothing that says who they are."""
    what = ("any", "account", "", "all", "erased", "api", "", "")
    rows = [(rt.ids.next(), who.keys[test], who.account_id, test, None, *what, now, None, None) for test in who.tests]
    return consent.suppress(rows)


def _row(erasure: Erasure, person: str) -> tuple[Any, ...]:
    """A row of `erasures`, in the order of its columns."""
    e = erasure
    return (
        e.id,
        e.account_id,
        int(e.test),
        e.person_key,
        e.reason,
        e.actor,
        int(e.suppress),
        e.status,
        e.passes,
        _encode(e.counts).decode(),
        e.created_at,
        e.moved_at,
        e.finished_at,
        person,
    )
