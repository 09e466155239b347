"""Nobody gets what they refused, nor at an hour that the law forbids: asked at every step, on both stores."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from chappe import accounts, consent, law, messages
from chappe.channels import Connector, Outgoing, SendError, Sink, Verdict
from chappe.clock import Clock
from chappe.consent import Entry, Forbidden, Proof
from chappe.messages import Accepted, Refusal, allowed, store, sweep
from chappe.messages.model import REPLY
from chappe.storage import sql
from tests.messages.conftest import NOW, ScriptedLink, World, make_world

PARIS = ZoneInfo("Europe/Paris")
AMSTERDAM = "+31612345678"  # where no hours are asked for
ALICE, BOB = "+33612345678", "+33687654321"
TEXT = "Acme: all shoes at half price. STOP au 36180"


class Shifted(Clock):
    """Shows another time of the day, and goes on from there."""

    def __init__(self, there: datetime) -> None:
        self.shift = round(there.timestamp() * 1000) - super().now()

    def now(self) -> int:
        return super().now() + self.shift


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=PARIS)


async def said(world: World, person: str = ALICE, event: str = "withdrawn", *forbidden: Forbidden, **more: Any) -> None:
    """Recorded, and acknowledged when it returns."""
    rt = world.rt
    told = {"channel": "sms", "purpose": "marketing", "source": "api", "at": rt.clock.now()} | more
    entry = Entry(world.account_id, False, event, proof=Proof(person), **told)  # type: ignore[arg-type]
    recorded = consent.record(rt, [entry], [forbidden] if forbidden else None)
    await rt.events.write(*recorded.ops, tell=recorded.events, wake=(consent.TOPIC,))
    consent.announce(rt, recorded.stopped)


async def agrees(world: World, *people: str) -> None:
    for person in people or (ALICE,):
        await said(world, person, "given")


async def refused(world: World, **fields: Any) -> Refusal:
    [result] = await world.pipeline.accept([world.submission(**({"purpose": "marketing", "text": TEXT} | fields))])
    assert isinstance(result, Refusal), result
    return result


async def offer(world: World, **fields: Any) -> Accepted:
    return await world.send(**({"purpose": "marketing", "text": TEXT} | fields))


async def error_of(world: World, message_id: int) -> str:
    message = await messages.get(world.rt, None, message_id)
    assert message.error is not None
    return str(message.error)


# -- consent --------------------------------------------------------------------------------------------------------


async def test_marketing_needs_a_consent_unless_the_account_keeps_them_elsewhere(world: World) -> None:
    assert (await refused(world, to=AMSTERDAM)).code == "consent_missing"
    await agrees(world, AMSTERDAM)
    await offer(world, to=AMSTERDAM)
    account = world.pipeline.accounts.account(world.account_id)
    assert account is not None
    elsewhere = accounts.AccountSettings(consent="elsewhere")
    await accounts.update_account(world.rt, "test", account.id, settings=elsewhere)
    await offer(world, to="+31612345679")
    await said(world, "+31612345670")
    assert (await refused(world, to="+31612345670")).code == "opted_out"


async def test_who_refused_gets_nothing_from_that_account(world: World) -> None:
    await said(world, ALICE, "withdrawn", Forbidden("sender", "Acme", "all_but_otp"))
    answer = await refused(world, purpose="service")
    assert (answer.code, answer.param) == ("opted_out", "to")
    await world.send(purpose="otp")
    await world.send(to=BOB)
    [by_batch, other] = await world.pipeline.accept([world.submission(), world.submission(to=BOB)])
    assert isinstance(by_batch, Refusal) and isinstance(other, Accepted)
    [dry] = await world.pipeline.accept([world.submission(dry_run=True)])
    assert isinstance(dry, Refusal)


async def test_our_own_answers_go_to_who_refused(world: World) -> None:
    await said(world, ALICE, "withdrawn", Forbidden("account", "", "all"))
    await world.send(origin=REPLY, purpose="service", text="Acme: you get no more messages.")
    assert len(await world.parts(1)) == 1


async def test_a_scheduled_message_is_asked_about_again_when_its_time_comes(world: World) -> None:
    await agrees(world, AMSTERDAM)
    accepted = await offer(world, to=AMSTERDAM, send_at=NOW() + 1200)
    await said(world, AMSTERDAM)
    await world.becomes(accepted.id, "failed")
    assert "opted_out" in await error_of(world, accepted.id)
    assert not world.link.taken
    assert await world.rt.store.read(store.BACKLOG()) == []


async def test_a_message_that_waits_for_its_connector_is_asked_about_again(world: World) -> None:
    world.link.window = 1
    first = await world.send(to=BOB)
    waiting = await world.send()
    await said(world, ALICE, "withdrawn", Forbidden(covers="all"))
    world.link.answer((await world.parts(1))[0])
    await world.becomes(waiting.id, "failed")
    assert [part.message_id for part in world.link.taken] == [first.id]


async def test_what_the_supplier_throttled_is_not_tried_again_after_a_refusal(world: World) -> None:
    accepted = await world.send()
    [part] = await world.parts(1)
    await said(world, ALICE, "withdrawn", Forbidden(covers="all"))
    world.link.answer(part, error=SendError("throttled", Verdict.THROTTLE, retry_after_s=0.05))
    await world.becomes(accepted.id, "failed")
    assert len(world.link.taken) == 1


async def test_what_was_promised_room_but_not_written_stays_behind(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweep, "UNCLAIMED_AFTER_MS", 100)
    desk = world.pipeline.dispatcher.desks[world.link.connector_id]
    monkeypatch.setattr(world.link, "send", lambda parts: 0)
    accepted = await world.send()
    await world.until(lambda: len(desk._unwritten) == 1)
    await said(world, ALICE, "withdrawn", Forbidden(covers="all"))
    assert not desk._unwritten
    await asyncio.sleep(0.15)
    await sweep.return_unclaimed(world.pipeline)
    await world.becomes(accepted.id, "failed")


async def test_a_refusal_between_the_question_and_the_commit_is_heard(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweep, "UNCLAIMED_AFTER_MS", 100)
    look = allowed.look

    async def slow(*what: Any) -> Any:
        known = await look(*what)
        monkeypatch.setattr(allowed, "look", look)
        await said(world, ALICE, "withdrawn", Forbidden(covers="all"))
        return known

    monkeypatch.setattr(allowed, "look", slow)
    accepted = await world.send()
    await asyncio.sleep(0.15)
    await sweep.return_unclaimed(world.pipeline)
    await world.becomes(accepted.id, "failed")
    assert not world.link.taken


class Watched(ScriptedLink):
    """Writes down, in one list with what people say, when it began to send to whom."""

    log: list[tuple[str, str, int]]

    def send(self, parts: Sequence[Outgoing]) -> int:
        taken = super().send(parts)
        self.log += [("sent", f"+{part.destination}", id(part.context)) for part in parts[:taken]]
        return taken


@pytest.mark.parametrize("seed", range(3))
async def test_no_interleaving_lets_a_message_out_after_its_refusal_was_acknowledged(
    store_url: str, tmp_path: Path, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweep, "UNCLAIMED_AFTER_MS", 300)
    random, log = Random(seed), list[tuple[str, str, int]]()
    world = await make_world(store_url, tmp_path)
    kept: list[object] = []  # so that no flight's id is used twice

    def open_link(connector: Connector, sink: Sink, _slots: object) -> Any:
        world.links[connector.name] = link = Watched(connector, sink)
        link.log, link.window = log, random.choice((1, 3, 30))
        return link

    world.open_link = open_link  # type: ignore[method-assign]
    await world.pipeline.stop()
    await world.start()
    people = [f"+3361234567{n}" for n in range(6)]
    ending = asyncio.Event()

    async def pause() -> None:
        await asyncio.sleep(random.choice((0, 0, 0.001, 0.005)))

    async def sends() -> None:
        while not ending.is_set():
            at = random.choice((None, None, NOW() + random.randrange(50, 600)))
            some = [
                world.submission(
                    to=random.choice(people), text=f"{random.random()} " + "x" * random.choice((5, 400)), send_at=at
                )
                for _ in range(random.randrange(1, 12))
            ]
            await world.pipeline.accept(some)
            await pause()

    async def speaks() -> None:
        while not ending.is_set():
            person = random.choice(people)
            if random.random() < 0.6:
                await said(world, person, "withdrawn", Forbidden(covers="all"))
                log.append(("stopped", person, 0))
            else:
                log.append(("started", person, 0))
                await said(world, person, "given")
            await pause()

    async def answers() -> None:
        while not ending.is_set():
            for link in world.links.values():
                while link.answered < len(link.taken) and random.random() < 0.8:
                    part = link.taken[link.answered]
                    kept.append(part.context)
                    fate = random.random()
                    again = SendError("throttled", Verdict.THROTTLE, retry_after_s=0.02)
                    elsewhere = SendError("supplier_error", Verdict.NEXT)
                    link.answer(part, error=again if fate < 0.2 else elsewhere if fate < 0.3 else None)
            await pause()

    tasks = [asyncio.create_task(work()) for work in (sends, sends, speaks, answers)]
    for _ in range(3):
        await asyncio.sleep(0.4)
        if seed % 2:
            await world.restart()
    ending.set()
    await asyncio.gather(*tasks)
    await world.pipeline.stop()
    await world.rt.close()

    stopped: set[str] = set()
    begun: set[int] = set()
    sent = 0
    for what, person, flight in log:
        if what == "sent":
            assert person not in stopped or flight in begun, f"{person} got a message after the refusal"
            begun.add(flight)
            sent += 1
        else:
            (stopped.add if what == "stopped" else stopped.discard)(person)
    assert sent > 3


# -- law ------------------------------------------------------------------------------------------------------------


@pytest.fixture
async def night(store_url: str, tmp_path: Path) -> Any:
    world = await make_world(store_url, tmp_path, clock=Shifted(at("2026-11-24T23:00")))
    await agrees(world, ALICE, BOB)
    yield world
    await world.pipeline.stop()
    await world.rt.close()


async def test_marketing_waits_for_the_next_legal_minute(night: World) -> None:
    accepted = await offer(night)
    assert accepted.state is messages.State.SCHEDULED
    assert accepted.send_at == round(at("2026-11-25T08:00").timestamp() * 1000)
    assert accepted.held_by is not None and accepted.held_by.startswith("FR.hours.marketing")
    assert accepted.expires_at - accepted.send_at >= 3_600_000
    explained = await messages.explain(night.rt, night.account_id, accepted.id)
    assert explained.steps[0].data["rule"] == accepted.held_by
    await night.send(purpose="transactional", to=BOB)
    assert [part.destination for part in await night.parts(1)] == [BOB[1:]]


async def test_it_is_refused_if_asked_or_if_it_would_expire_before(night: World) -> None:
    answer = await refused(night, quiet_hours="refuse")
    assert (answer.code, answer.param) == ("quiet_hours", "to") and "2026-11-25 07:00 UTC" in answer.message
    answer = await refused(night, validity_s=3600)
    assert (answer.code, answer.param) == ("quiet_hours", "validity_seconds")
    await offer(night, validity_s=12 * 3600)


async def test_the_recipients_own_time_zone_counts_if_it_is_told(night: World) -> None:
    await offer(night, wire=messages.Wire(zone="America/Martinique"))
    assert len(await night.parts(1)) == 1


async def test_what_waits_past_the_legal_hours_goes_on_waiting(night: World) -> None:
    clock = night.rt.clock
    assert isinstance(clock, Shifted)
    clock.shift -= 3 * 3_600_000  # eight in the evening
    night.link.window = 0
    accepted = await offer(night, validity_s=24 * 3600)
    assert accepted.state is messages.State.QUEUED
    clock.shift += 3 * 3_600_000
    night.link.window = 10
    night.pipeline.dispatcher.wake_all()
    due = at("2026-11-25T08:00").timestamp() * 1000

    async def waits() -> bool:
        return await night.rt.store.read(sql("select state, due_at from queue")()) == [(0, round(due))]

    async with asyncio.timeout(10):
        while not await waits():
            await asyncio.sleep(0.02)
    assert not night.link.taken
    held = (await messages.explain(night.rt, night.account_id, accepted.id)).steps[-1]
    assert (held.kind, held.data["held_until"]) == ("held", round(due))
    clock.shift += round(due) - clock.now()
    assert len(await night.parts(1)) == 1


async def test_a_scheduled_message_keeps_to_hours_that_became_stricter(night: World) -> None:
    clock = night.rt.clock
    assert isinstance(clock, Shifted)
    accepted = await offer(night)
    await law.create_adjustment(
        night.rt, "test", night.account_id, kind="hours", value="10:00-18:00", country="FR", purpose="marketing"
    )
    clock.shift += round(at("2026-11-25T08:00").timestamp() * 1000) - clock.now()
    ten = round(at("2026-11-25T10:00").timestamp() * 1000)
    async with asyncio.timeout(10):
        while await night.rt.store.read(sql("select state, due_at from queue")()) != [(1, ten)]:
            await asyncio.sleep(0.02)
    assert not night.link.taken
    steps = (await messages.explain(night.rt, night.account_id, accepted.id)).steps
    assert steps[-1].data["rule"] == "FR.hours.marketing.account"


# -- how many -------------------------------------------------------------------------------------------------------


async def capped(world: World, value: str = "2/7d") -> None:
    await law.create_adjustment(world.rt, "test", world.account_id, kind="cap", value=value, purpose="marketing")
    await agrees(world, AMSTERDAM, "+31612345679")


async def test_a_person_gets_so_many_over_all_campaigns_and_batches(world: World) -> None:
    await capped(world)
    await offer(world, to=AMSTERDAM)
    three = [world.submission(to=to, purpose="marketing", text=TEXT) for to in (AMSTERDAM, AMSTERDAM, "+31612345679")]
    results = await world.pipeline.accept(three)
    assert [getattr(result, "code", "accepted") for result in results] == ["accepted", "frequency_capped", "accepted"]
    answer = await refused(world, to=AMSTERDAM)
    assert answer.code == "frequency_capped" and answer.retry_after is not None and answer.retry_after > 6 * 86_400
    await world.send(to=AMSTERDAM)  # no marketing


async def test_what_was_taken_back_does_not_count(world: World) -> None:
    await capped(world, "1/7d")
    accepted = await offer(world, to=AMSTERDAM, send_at=NOW() + 3_600_000)
    assert (await refused(world, to=AMSTERDAM)).code == "frequency_capped"
    await messages.cancel(world.pipeline, world.account_id, accepted.id, "test")
    await offer(world, to=AMSTERDAM)


async def test_a_cap_that_came_later_stops_what_is_scheduled(world: World) -> None:
    await agrees(world, AMSTERDAM)
    await capped(world, "9/7d")
    first = await offer(world, to=AMSTERDAM)
    later = await offer(world, to=AMSTERDAM, send_at=NOW() + 1500)
    await law.create_adjustment(world.rt, "test", world.account_id, kind="cap", value="1/7d", purpose="marketing")
    await world.becomes(later.id, "failed")
    assert "frequency_capped" in await error_of(world, later.id)
    assert [part.message_id for part in world.link.taken] == [first.id]


async def test_touches_are_forgotten_when_no_cap_can_count_them(world: World) -> None:
    await capped(world)
    await offer(world, to=AMSTERDAM)
    count = sql("select count(*) from message_touches")
    await sweep.prune_touches(world.pipeline)
    assert await world.rt.store.read(count()) == [(1,)]
    await world.rt.store.write(sql("update message_touches set at = 1")())
    await sweep.prune_touches(world.pipeline)
    assert await world.rt.store.read(count()) == [(0,)]


async def test_many_are_answered_at_once(night: World) -> None:
    rt = night.rt
    await said(night, BOB)
    people = [ALICE, BOB, AMSTERDAM, "+33199", "0612"]
    answers = await messages.may_send(rt, night.account_id, False, people)
    assert [answer and answer.code for answer in answers] == [
        "quiet_hours", "opted_out", "consent_missing", "number_too_short", "number_not_e164",
    ]  # fmt: skip
    answers = await messages.may_send(rt, night.account_id, False, people[:3], purpose="transactional")
    assert answers == [None, None, None]
