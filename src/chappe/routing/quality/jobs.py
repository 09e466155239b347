"""Chores that one node does for all: judging, taking over what nodes left that are gone, forgetting."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

import msgspec

from chappe import ids
from chappe.accounts import snapshot
from chappe.errors import Refused
from chappe.routing.quality import rows, store
from chappe.routing.quality.judge import judge
from chappe.routing.quality.live import of
from chappe.routing.quality.model import EVERYWHERE, LIVE, Demotion, Key, RouteAlarm, Verdict
from chappe.routing.quality.tally import Tally, merged
from chappe.snapshots import TOPIC, bump
from chappe.storage import Conflict, Op

if TYPE_CHECKING:
    from chappe.runtime import Runtime

JUDGE_S: Final = 2.0
TIDY_S: Final = 600.0
SILENT_MS: Final = 600_000  # a node that has not been heard of for so long is gone
INHERIT_SLICE: Final = 200
_DAY_MS: Final = 86_400_000
QUALITY_DAYS: Final = 28  # by then less than a half per cent of the week's weight is left
LOG_DAYS: Final = 90
SUSPECT_DAYS: Final = 30
CONVERSION_DAYS: Final = 8  # by the time of the message
SLICE: Final = 500

_encode = msgspec.json.Encoder().encode


def register(rt: Runtime) -> None:
    """Before `rt.jobs.start`."""
    rt.jobs.every("routing.judge", JUDGE_S, judge_routes)
    rt.jobs.every("routing.quality_tidy", TIDY_S, tidy)


# -- judging --------------------------------------------------------------------------------------------------------


async def judge_routes(rt: Runtime) -> None:
    """Demote what has failed, take back what works again. Raises Unavailable."""
    live = of(rt)
    live.refresh()
    for number, key in enumerate(live.evidence.measured()):  # worked out once for all comparisons
        if (leaf := live.evidence.leaf(key)) is not None:
            leaf.window(LIVE, live.evidence.halves)
        if number % 50 == 49:
            await asyncio.sleep(0)  # the messages go first
    for verdicts in judge(live.evidence, live.demotions, live.times, rt.clock.now()):
        for verdict in verdicts:
            await _carry_out(rt, verdict)
        await asyncio.sleep(0)


async def lift(rt: Runtime, actor: str, connector_id: int, place: str) -> None:
    """End a demotion by hand. Raises Refused not_found."""
    found = of(rt).demotions.get((connector_id, place))
    if found is None or not await _carry_out(rt, Verdict(found, "ended by hand"), actor):
        raise Refused("not_found", "This connector is not demoted there.", param="place")


async def _carry_out(rt: Runtime, verdict: Verdict, actor: str | None = None) -> bool:
    """Write it with its line of the log, and tell every node; False when another node was faster."""
    said = verdict.demotion
    now = rt.clock.now()
    key = {"connector_id": said.connector_id, "place": said.place}
    if verdict.restored is None:
        kind, words = "demoted", said.reason
        op = store.DEMOTE(
            {
                **key,
                "since": said.since,
                "reason": said.reason,
                "evidence": _encode(said.evidence).decode(),
                "against_ppm": round(said.against * 1e6),
                "times": said.times,
                "hold_until": said.hold_until,
            },
            expect=1,
        )
        rt.log.warning("route demoted", connector_id=said.connector_id, place=said.place, reason=words)
    else:
        kind, words = "restored", verdict.restored
        op = store.RESTORE({**key, "now": now, "since": said.since}, expect=1)
        rt.log.info("route restored", connector_id=said.connector_id, place=said.place, reason=words)
    evidence = _encode(said.evidence).decode()
    line = store.ADD_LOG([(rt.ids.next(), said.connector_id, said.place, kind, words, evidence, actor)])
    try:
        await rt.store.write(bump(store.ROOM), op, line, wake=(TOPIC,))
    except Conflict:
        return False
    await snapshot(rt, store.ROOM).refresh(rt.store)
    return True


def alarms(rt: Runtime, name: Callable[[int], str]) -> list[RouteAlarm]:
    """Who is demoted; `name` tells a connector's."""
    found = sorted(of(rt).demotions.values(), key=lambda one: one.since)
    return [_alarm(one, name(one.connector_id)) for one in found]


def _alarm(one: Demotion, name: str) -> RouteAlarm:
    where = "everywhere" if one.place == EVERYWHERE else one.place
    action = "Look at GET /v1/route_quality, and ask the supplier. It comes back by itself when messages arrive again."
    return RouteAlarm(f"{name} {where}", f"{name} is demoted for {where}: {one.reason}", action)


# -- tidying --------------------------------------------------------------------------------------------------------


async def tidy(rt: Runtime) -> None:
    """Take over what nodes left, then forget what is old. Raises Unavailable."""
    for (node,) in await rt.store.scan(store.DEAD({"silent": SILENT_MS})):
        await inherit(rt, node)
    now = rt.clock.now()
    await rt.store.write(store.BURY_EMPTY({"silent": SILENT_MS}))
    await rt.store.write(store.SLICE_OF_QUALITY({"age": QUALITY_DAYS * _DAY_MS}))
    await rt.store.write(store.FORGET_RESTORED({"before": now - _DAY_MS}))
    await rt.store.write(store.FORGET_LOG({"before": ids.at(now - LOG_DAYS * _DAY_MS)}))
    for op in (
        store.SLICE_OF_SUSPECTS({"before": now - SUSPECT_DAYS * _DAY_MS, "limit": SLICE}),
        store.SLICE_OF_CONVERSIONS({"before": ids.at(now - CONVERSION_DAYS * _DAY_MS), "limit": SLICE}),
    ):
        while (await rt.store.write(op))[0]:
            pass


async def inherit(rt: Runtime, node: int) -> None:
    """Add what a node counted that is gone to the common rows, slice by slice. Who comes back after all finds that it
    was buried, and starts anew. Raises Unavailable."""
    halves = of(rt).evidence.halves
    await rt.store.write(store.BURY({"node": node, "silent": SILENT_MS}))
    common: dict[Key, Tally] = {}
    for connector_id, place, country, text in await rt.store.scan(store.OF_NODE({"node": store.COMMON})):
        common[connector_id, place] = rows.read(country, text)
    while found := await rt.store.scan(store.LEFT_BY({"node": node, "limit": INHERIT_SLICE})):
        added: list[tuple[Any, ...]] = []
        for connector_id, place, country, text in found:
            both = [rows.read(country, text)]
            if (known := common.get((connector_id, place))) is not None:
                both.append(known)
            whole = merged(both, max(one.at for one in both), halves)
            assert whole is not None
            common[connector_id, place] = whole
            added.append((store.COMMON, connector_id, place, country, rows.written(whole)))
        try:
            await rt.store.write(*_inherited(node, added))
        except Conflict:
            return  # another node does the same


def _inherited(node: int, added: list[tuple[Any, ...]]) -> list[Op]:
    return [
        store.DROP([(node, row[1], row[2]) for row in added], expect=len(added)),
        store.ADD(added),
        store.SET([(*row[:3], row[4]) for row in added], expect=len(added)),
    ]
