"""A link holds some of its connector's binds, takes more and lets some go, while the others go on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from chappe.channels import Verdict
from chappe.channels.smpp import SmppLink, open
from chappe.clock import Clock
from chappe.smpp import Pdu
from chappe.smpp.aio import Connection
from tests.channels.runner import Recorder, part, until
from tests.channels.supplier import Supplier, accept, moments, silence

RECEIPT = b"id:77 sub:001 dlvrd:001 submit date:2701150755 done date:2701150800 stat:DELIVRD err:000 text:hello"
Hold = Callable[..., Awaitable[SmppLink]]


@pytest.fixture
async def hold(supplier: Supplier, sink: Recorder) -> AsyncIterator[Hold]:
    """Opens a link with these slots and waits until they are up."""
    links: list[SmppLink] = []

    async def open_and_wait(*slots: int, **settings: object) -> SmppLink:
        link = open(supplier.connector(**settings), sink, Clock(), slots)
        links.append(link)
        await until(lambda: link.status().binds_up == link.status().binds_wanted)
        return link

    yield open_and_wait
    for link in links:
        await link.stop(0.05)


def slots(link: SmppLink) -> list[tuple[object, object]]:
    return [(bind["slot"], bind["up"]) for bind in link.status().binds]


async def test_it_opens_its_slots_and_no_others(hold: Hold, supplier: Supplier) -> None:
    link = await hold(1, 3, binds=4)
    await moments()
    assert slots(link) == [(1, True), (3, True)]
    assert len(supplier.connections) == 2
    assert link.room() == 20


async def test_a_slot_of_a_pair_is_two_sessions(hold: Hold, supplier: Supplier) -> None:
    link = await hold(1, binds=2, bind_type="pair")
    assert sorted(bind.name for bind in supplier.binds) == ["bind_receiver", "bind_transmitter"]
    await link.let_go(1)
    await until(lambda: not supplier.connections)


async def test_one_more_does_not_touch_the_others(hold: Hold, supplier: Supplier, sink: Recorder) -> None:
    link = await hold(0, binds=3)
    [first] = supplier.connections
    link.hold(2)
    link.hold(2)
    await until(lambda: slots(link) == [(0, True), (2, True)])
    assert supplier.connections[0] is first and len(supplier.binds) == 2
    assert link.room() == 20


async def test_one_less_finishes_its_answers_while_the_others_go_on(
    hold: Hold, supplier: Supplier, sink: Recorder
) -> None:
    supplier.answer = silence
    link = await hold(0, 1, binds=2)
    assert link.send([part(message_id=n) for n in range(4)]) == 4
    await until(lambda: len(supplier.submits) == 4)
    going = asyncio.create_task(link.let_go(1))
    await moments()
    assert slots(link) == [(0, True)]
    supplier.answer = accept
    assert link.send([part(message_id=n) for n in range(10, 40)]) == 8, "the window of the one that stays, without two"
    for conn, pdu in supplier.submits[:4]:
        accept(conn, pdu)
    await going
    await until(lambda: len(sink.outcomes) == 12)
    assert [outcome.error for outcome in sink.outcomes] == [None] * 12
    assert len(supplier.connections) == 1 and link.status().binds_up == 1
    assert {id(conn) for conn, _ in supplier.submits[4:]} == {id(supplier.connections[0])}
    assert sink.state == "up"


async def test_one_less_waits_until_what_it_heard_is_stored(hold: Hold, supplier: Supplier, sink: Recorder) -> None:
    sink.acknowledge = None
    link = await hold(0, binds=2)
    supplier.deliver(RECEIPT, esm_class=0x04)
    await until(lambda: sink.dones)
    going = asyncio.create_task(link.let_go(0, 2.0))
    await asyncio.sleep(0.1)
    assert not going.done()
    sink.dones[0](True)
    await asyncio.wait_for(going, 1.0)
    assert supplier.answered == [0]
    assert not supplier.connections


async def test_an_answer_that_does_not_come_in_time_is_in_doubt(hold: Hold, supplier: Supplier, sink: Recorder) -> None:
    supplier.answer = silence
    link = await hold(0, binds=2)
    link.send([part()])
    await until(lambda: supplier.submits)
    await link.let_go(0, 0.2)
    assert [outcome.error and outcome.error.verdict for outcome in sink.outcomes] == [Verdict.UNKNOWN]


async def test_dropped_it_says_nothing_more_and_can_begin_again(hold: Hold, supplier: Supplier, sink: Recorder) -> None:
    supplier.answer = silence
    link = await hold(0, 1, binds=2)
    link.send([part(message_id=n) for n in range(4)])
    await until(lambda: len(supplier.submits) == 4)
    link.drop()
    assert link.room() == 0 and link.send([part()]) == 0
    await until(lambda: not supplier.connections)
    await until(lambda: len(sink.outcomes) == 4)
    assert {outcome.error.verdict for outcome in sink.outcomes if outcome.error} == {Verdict.UNKNOWN}
    await asyncio.sleep(0.2)
    assert len(supplier.binds) == 2, "it stays away"
    supplier.answer = accept
    link.hold(1)
    await until(lambda: slots(link) == [(1, True)])
    await until(lambda: link.room() > 0)
    link.send([part()])
    await until(lambda: len(sink.outcomes) == 5)
    assert sink.outcomes[4].error is None


async def test_dropped_while_it_connects_it_binds_no_more(hold: Hold, supplier: Supplier, sink: Recorder) -> None:
    link = open(supplier.connector(binds=2), sink, Clock(), [0, 1])
    await asyncio.sleep(0)
    link.drop()
    await moments(60)
    assert supplier.connections == [] and link.status().binds_up == 0
    await link.stop(0.05)


async def test_the_rate_is_that_of_the_slots_held(hold: Hold, supplier: Supplier, sink: Recorder) -> None:
    link = await hold(0, binds=4, rate_per_s=100.0, burst=40, window=1000)
    assert link.status().counters["rate_limit"] == 25
    assert link.room() == pytest.approx(0, abs=4), "what others may just have spent is not saved up"
    link.hold(2)
    assert link.status().counters["rate_limit"] == 50
    await link.let_go(0)
    assert link.status().counters["rate_limit"] == 25


async def test_two_links_together_keep_to_the_rate(supplier: Supplier) -> None:
    """As on two nodes, for a second and a half, from a standing start."""
    sinks = [Recorder(), Recorder()]
    connector = supplier.connector(binds=2, rate_per_s=60.0, burst=4, window=500)
    links = [open(connector, sink, Clock(), [slot]) for slot, sink in enumerate(sinks)]
    times: list[float] = []

    def count(conn: Connection, pdu: Pdu) -> None:
        times.append(asyncio.get_running_loop().time())
        accept(conn, pdu)

    supplier.answer = count
    for link, sink in zip(links, sinks, strict=True):
        sink.on_room = lambda link=link: link.send([part() for _ in range(100)])  # type: ignore[misc]
    await until(lambda: all(sink.state == "up" for sink in sinks))
    for link in links:
        link.send([part() for _ in range(100)])
    await asyncio.sleep(1.5)
    for link in links:
        await link.stop(0.2)
    assert len(times) > 30
    most = max(sum(1 for t in times if start <= t < start + 1) for start in times)
    assert most <= 60 + 4 + 2
