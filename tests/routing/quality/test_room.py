"""Route quality at work on both stores: news is learnt once, nodes share it, a route is demoted on every node."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from chappe.events import MessageUpdated
from chappe.routing import quality
from chappe.routing.quality import Conversion, Quality, jobs, learn, store
from chappe.routing.quality.judge import judge
from chappe.routing.quality.model import DELIVERED, LIVE, SENT, WEEK, Verdict
from chappe.runtime import Runtime
from chappe.storage import sql
from tests.accounts.runtime import start
from tests.support.eventually import eventually

PLACE = "20801"
OUTBOX = sql("select count(*) from events")
ROWS = sql("select count(*) from route_quality")


@pytest.fixture
async def live(rt: Runtime) -> AsyncIterator[Quality]:
    made = await opened(rt)
    yield made
    await made.close()


@pytest.fixture
async def second(rt: Runtime, store_url: str, tmp_path: Path) -> AsyncIterator[Runtime]:
    """Another process on the same store; SQLite's file has one server, but commands read beside it."""
    other = await start(store_url, tmp_path)
    made = await opened(other)
    yield other
    await made.close()
    await other.close()


async def opened(rt: Runtime) -> Quality:
    try:
        return quality.of(rt)
    except KeyError:
        made = await quality.start(rt)
        await rt.events.register(rt)
        return made


def news(
    rt: Runtime, state: str, message_id: int, *, ago_ms: int = 0, after_ms: int = 2_000, **more: Any
) -> MessageUpdated:
    """News of a message sent that long ago, whose receipt came so much later."""
    sent_at = rt.clock.now() - ago_ms
    fields: dict[str, Any] = {
        "to": "+33612345678",
        "connector_id": 7,
        "country": "FR",
        "operator": PLACE,
        "sent_at": sent_at,
        "final_at": sent_at + after_ms,
    }
    fields |= more
    return MessageUpdated(
        account_id=1, occurred_at=sent_at, message_id=message_id, state=state, sequence=4, created_at=sent_at, **fields
    )


def sample(live: Quality, connector: int = 7) -> float:
    return live.estimate(connector, PLACE).delivery.sample


async def test_news_is_learnt_with_its_commit_and_leaves_no_row_behind(rt: Runtime, live: Quality) -> None:
    events = [
        news(rt, state, n, ago_ms=60_000)
        for n in range(20)
        for state in ("sent", "delivered")
        if n < 18 or state == "sent"
    ]
    await rt.events.write(tell=events)
    live.refresh()
    found = live.estimate(7, PLACE)
    assert found.level == "operator" and found.delivered == pytest.approx(18, abs=0.5)
    assert found.p50_ms == pytest.approx(2_000, rel=0.25) and found.delivery.sample > 17
    assert await rt.store.scan(OUTBOX()) == [(0,)]


async def test_what_a_failed_unit_told_is_not_learnt(rt: Runtime, live: Quality) -> None:
    broken = store.ALIVE([(123_456,)], expect=1)
    with pytest.raises(Exception, match="rows"):
        await rt.events.write(broken, tell=[news(rt, "sent", 1)])
    assert live.evidence.fresh == {}


async def test_only_what_a_connector_is_to_blame_for_counts_against_it(rt: Runtime, live: Quality) -> None:
    await rt.events.write(
        tell=[
            news(rt, "failed", 1, sent_at=None, error={"code": "supplier_rejected"}),
            news(rt, "failed", 2, sent_at=None, error={"code": "sender_rejected"}),
            news(rt, "expired", 3, sent_at=None, error={"code": "validity_expired"}),
            news(rt, "sent", 4, connector_id=0),
            news(rt, "queued", 5),
        ]
    )
    live.refused(7, "FR", PLACE, rt.clock.now())
    live.refresh()
    assert live.estimate(7, PLACE).refused == pytest.approx(2, abs=0.01)
    assert live.evidence.measured() == [(7, PLACE)]


async def test_a_supplier_without_receipts_is_not_blamed_for_their_lack(rt: Runtime, live: Quality) -> None:
    live.tracked = lambda connector_id: connector_id != 7
    await rt.events.write(tell=[news(rt, "sent", n, ago_ms=900_000, connector_id=c) for n in range(9) for c in (7, 8)])
    await rt.events.write(tell=[news(rt, "failed", 99, sent_at=None, error={"code": "supplier_rejected"})])
    live.refused(7, "FR", PLACE, rt.clock.now())
    live.refresh()
    assert sample(live, 7) == 0 and sample(live, 8) > 8


async def test_what_comes_by_the_outbox_twice_is_counted_once(rt: Runtime, live: Quality) -> None:
    heard: dict[tuple[int, str], None] = {}
    events = [news(rt, "sent", 1, ago_ms=900_000), news(rt, "delivered", 1, ago_ms=900_000)]
    for _ in range(3):
        await learn.hear(live, heard, rt, events)
    live.refresh()
    assert live.estimate(7, PLACE).delivered == pytest.approx(1, abs=0.1)
    assert sample(live) == pytest.approx(1, abs=0.1)


async def test_nodes_tell_each_other_and_a_restart_forgets_nothing(
    rt: Runtime, live: Quality, second: Runtime, store_url: str, tmp_path: Path
) -> None:
    other = quality.of(second)
    await rt.events.write(
        tell=[news(rt, state, n, ago_ms=60_000) for n in range(30) for state in ("sent", "delivered")]
    )
    await second.events.write(tell=[news(second, "sent", 100 + n, ago_ms=600_000) for n in range(10)])
    for one in (live, other):
        one.refresh()
        await one.exchange()
    await live.exchange()
    live.refresh()
    for one in (live, other):
        found = one.estimate(7, PLACE)
        assert found.delivered == pytest.approx(30, abs=1) and found.delivery.sample == pytest.approx(39, abs=1.5)
    for _ in range(3):  # absolute figures: written and read again they stay what they are
        live.evidence.count(7, PLACE, "FR", rt.clock.now(), SENT, 0)
        live.refresh()
        await live.exchange()
        await other.exchange()
    assert sample(other) == pytest.approx(39, abs=1.5)
    third = await start(store_url, tmp_path)
    reborn = await opened(third)
    reborn.refresh()
    assert sample(reborn) == pytest.approx(39, abs=1.5)
    await reborn.close()
    await third.close()


async def test_what_a_dead_node_counted_is_taken_over_once(rt: Runtime, live: Quality, second: Runtime) -> None:
    other = quality.of(second)
    await second.events.write(
        tell=[news(second, state, n, ago_ms=60_000) for n in range(40) for state in ("sent", "delivered")]
    )
    other.refresh()
    await other.exchange()
    silent = sql("update route_quality_nodes set seen_at = seen_at - 3600000 where node = :node")
    await rt.store.write(silent({"node": other._node}))
    await jobs.tidy(rt)
    await live.exchange()
    live.refresh()
    assert live.estimate(7, PLACE).delivered == pytest.approx(40, abs=1)
    assert await rt.store.scan(ROWS()) == [(1,)]
    before = other._node
    await second.events.write(tell=[news(second, "sent", 99)])  # it was only away, and comes back
    other.refresh()
    await other.exchange()
    assert other._node != before
    await other.exchange()
    other.refresh()
    assert other.estimate(7, PLACE).delivered == pytest.approx(40, abs=1)
    await live.exchange()
    live.refresh()
    assert live.estimate(7, PLACE).delivered == pytest.approx(40, abs=1)


def fail(rt: Runtime, live: Quality) -> None:
    """An hour ago all was well; now nothing arrives."""
    now = rt.clock.now()
    for _ in range(400):
        live.evidence.count(7, PLACE, "FR", now - 3_600_000, SENT)
        live.evidence.count(7, PLACE, "FR", now - 3_600_000, DELIVERED, 1, 2_000)
    for _ in range(80):
        live.evidence.count(7, PLACE, "FR", now - 40_000, SENT)


async def test_a_route_that_fails_is_demoted_on_every_node_with_a_reason_and_comes_back(
    rt: Runtime, live: Quality, second: Runtime
) -> None:
    other = quality.of(second)
    fail(rt, live)
    live.refresh()
    await live.exchange()
    await other.exchange()
    await jobs.judge_routes(second)  # a node that has not seen one of these messages
    await eventually(lambda: live.demoted(7, PLACE) is not None)
    demotion = live.demoted(7, PLACE)
    assert demotion is not None and "are usual of it" in demotion.reason and demotion.times == 1
    assert other.demoted(7, PLACE) == demotion
    assert other.demoted(7, "20810") is None and live.demoted(8, PLACE) is None
    assert all(not 0 <= other.score(7, PLACE, seed) < 2 for seed in range(0, 10**9, 10_000_019))
    [alarm] = quality.alarms(rt, lambda connector_id: f"supplier-{connector_id}")
    assert alarm.about == "supplier-7 20801" and demotion.reason in alarm.words
    await jobs.judge_routes(rt)
    again = Verdict(demotion)
    assert not await jobs._carry_out(second, again), "another judge was faster"
    now = rt.clock.now() + 90_000  # the exploring messages arrive
    for _ in range(40):
        live.evidence.count(7, PLACE, "FR", now - 20_000, SENT)
        live.evidence.count(7, PLACE, "FR", now - 20_000, DELIVERED, 1, 2_000)
    live.evidence.fold(now)
    [[verdict]] = judge(live.evidence, live.demotions, live.times, now)
    assert verdict.restored is not None and await jobs._carry_out(rt, verdict)
    assert live.demotions == {} and live.times == {(7, PLACE): 1}
    assert [line.kind for line in await quality.log(rt, before=None, limit=9)] == ["restored", "demoted"]
    await eventually(lambda: other.demotions == {})


async def test_a_demotion_begins_the_measurement_anew(rt: Runtime, live: Quality) -> None:
    fail(rt, live)
    await jobs.judge_routes(rt)
    leaf = live.evidence.leaf((7, PLACE))
    assert leaf is not None
    assert leaf.window(LIVE, live.evidence.halves).trials == 0 < leaf.window(WEEK, live.evidence.halves).trials
    live.refresh()
    await live.exchange()
    await quality.lift(rt, "key_1", 7, PLACE)
    assert live.demotions == {}
    with pytest.raises(Exception, match="not demoted"):
        await quality.lift(rt, "key_1", 7, PLACE)
    [line, _] = await quality.log(rt, before=None, limit=9)
    assert (line.kind, line.words, line.actor) == ("restored", "ended by hand", "key_1")


async def test_a_conversion_counts_once_and_the_last_word_is_what_counts(rt: Runtime, live: Quality) -> None:
    sent_at = rt.clock.now() - 1_000

    def told(message_id: int, converted: bool) -> Conversion:
        return Conversion(message_id, 1, 7, "FR", PLACE, sent_at, converted)

    assert await quality.converted(rt, [told(n, n % 2 == 0) for n in range(10)]) == 10
    assert await quality.converted(rt, [told(n, n % 2 == 0) for n in range(10)]) == 0
    assert await quality.converted(rt, [told(1, True), told(3, True), told(0, False), told(2, True)]) == 3
    live.refresh()
    found = live.estimate(7, PLACE).conversion
    assert found is not None and found.sample == pytest.approx(10, abs=0.01)
    assert found.mean == pytest.approx((6 + 1) / 12, abs=0.01)


async def test_a_delivery_to_a_canary_is_kept_with_its_commit_and_not_counted(rt: Runtime, live: Quality) -> None:
    canary = await quality.add_canary(rt, "cli:root", "+33 7 00 00 00 01", "never given out")
    assert live.canaries == {"+33700000001": canary}
    await rt.events.write(
        tell=[news(rt, state, 5, to="+33700000001") for state in ("sent", "delivered")] + [news(rt, "sent", 6)]
    )
    live.refresh()
    await live.weigh()
    assert live.hits[7, PLACE].receipts == 1 and live.truth(7).score == 5
    assert live.chooser.trust[7, PLACE] == 0.05
    assert live.estimate(7, PLACE).delivered == 0
    found = await quality.suspects(rt, 7, since=0, before=1 << 62, limit=9)
    assert [(one.message_id, one.why) for one in found] == [(5, "canary")]
    await quality.remove_canary(rt, "cli:root", canary.id)
    assert live.canaries == {}


async def test_receipts_that_come_too_soon_are_kept_so_many_an_hour(rt: Runtime, live: Quality) -> None:
    await rt.events.write(tell=[news(rt, "delivered", n, after_ms=40) for n in range(150)])
    live.refresh()
    await live.exchange()
    found = await quality.suspects(rt, 7, since=0, before=1 << 62, limit=500)
    assert 100 <= len(found) <= 150  # the hour may turn in between
    assert {one.why for one in found} == {"too_fast"}


async def test_what_is_old_is_forgotten(rt: Runtime, live: Quality) -> None:
    fail(rt, live)
    await jobs.judge_routes(rt)
    await quality.lift(rt, "key_1", 7, PLACE)
    old = rt.clock.now() - 100 * 86_400_000
    await rt.store.write(
        store.ADD_SUSPECTS([(7, n, PLACE, "too_fast", 5, old) for n in range(1, 1_200)]),
        store.ADD_CONVERSIONS([(n, 1, 7, PLACE, old, 0, old) for n in range(1, 700)]),
        store.ADD_LOG([(1, 7, PLACE, "demoted", "long ago", "{}", None)]),
        sql("update route_demotions set since = :old::bigint")({"old": old}),
    )
    await jobs.tidy(rt)
    assert await quality.suspects(rt, 7, since=0, before=1 << 62, limit=9) == []
    assert await quality.unconverted(rt, 7, since=0, before=1 << 62, limit=9) == []
    assert len(await quality.log(rt, before=None, limit=9)) == 2
    assert await rt.store.scan(store.DEMOTIONS()) == []
