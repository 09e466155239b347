"""A link against a real server on loopback."""

from __future__ import annotations

import asyncio
from itertools import count
from typing import Any

import pytest

from chappe.channels import Outcome, Verdict
from chappe.channels.settings import Breaker, StatusRule
from chappe.channels.smpp.line import MOST_UNANSWERED
from chappe.smpp import Pdu, commands, decode, status, tlv
from chappe.smpp.aio import Connection
from tests.channels.conftest import Dial
from tests.channels.runner import Recorder, part, until
from tests.channels.supplier import Supplier, accept, moments, refuse, silence


def errors(sink: Recorder) -> list[str]:
    return [outcome.error.code if outcome.error else "" for outcome in sink.outcomes]


def ids(outcomes: list[Outcome]) -> list[int]:
    return [outcome.part.message_id for outcome in outcomes]


# -- sending -------------------------------------------------------------------------------------------------------


async def test_an_accepted_part_comes_back_with_the_suppliers_id(
    dial: Dial, supplier: Supplier, sink: Recorder
) -> None:
    supplier.answer = lambda conn, pdu: conn.respond(pdu, fields={"message_id": "00FFa"})
    link = await dial()
    sent = part(message_id=42, context=(mark := object()))
    assert link.send([sent]) == 1
    await until(lambda: sink.outcomes)
    (outcome,) = sink.outcomes
    assert outcome.part is sent and outcome.part.context is mark
    assert (outcome.provider_id, outcome.provider_key, outcome.error) == ("00FFa", "ffa", None)
    assert outcome.connector_id == link.connector_id
    assert outcome.sent_at <= outcome.answered_at
    assert decode(outcome.request).fields["short_message"] == b"hello"
    assert decode(outcome.response).fields["message_id"] == "00FFa"


async def test_an_accepted_part_without_an_id_is_accepted_all_the_same(
    dial: Dial, supplier: Supplier, sink: Recorder
) -> None:
    supplier.answer = lambda conn, pdu: conn.respond(pdu)
    link = await dial()
    link.send([part()])
    await until(lambda: sink.outcomes)
    assert (sink.outcomes[0].provider_key, sink.outcomes[0].error) == ("", None)
    assert link.status().counters["accepted_without_id"] == 1


async def test_answers_out_of_order_find_their_parts(dial: Dial, supplier: Supplier, sink: Recorder) -> None:
    supplier.answer = silence
    link = await dial()
    assert link.send([part(message_id=n, payload=b"%d" % n) for n in range(10)]) == 10
    await until(lambda: len(supplier.submits) == 10)
    for conn, pdu in reversed(supplier.submits):
        conn.respond(pdu, fields={"message_id": "for" + pdu.fields["short_message"].decode()})
    await until(lambda: len(sink.outcomes) == 10)
    assert ids(sink.outcomes) == list(reversed(range(10)))
    assert all(outcome.provider_id == f"for{outcome.part.message_id}" for outcome in sink.outcomes)


async def test_no_more_than_the_window_is_unanswered(dial: Dial, supplier: Supplier, sink: Recorder) -> None:
    supplier.answer = silence
    link = await dial(window=4)
    assert link.room() == 4
    assert link.send([part(message_id=n) for n in range(9)]) == 4
    assert link.room() == 0
    assert link.send([part()]) == 0
    await until(lambda: len(supplier.submits) == 4)
    assert sink.rooms == 0
    for conn, pdu in supplier.submits[:2]:
        accept(conn, pdu)
    await until(lambda: sink.rooms)
    assert link.room() == 2


async def test_everything_leaves_when_the_sender_follows_the_room(
    dial: Dial, supplier: Supplier, sink: Recorder
) -> None:
    link = await dial(window=3, binds=2)
    waiting = [part(message_id=n) for n in range(500)]

    def flush() -> None:
        del waiting[: link.send(waiting)]

    sink.on_room = flush
    flush()
    await until(lambda: len(sink.outcomes) == 500)
    assert sorted(ids(sink.outcomes)) == list(range(500))
    assert not any(errors(sink))
    assert [pdu.command_id for _, pdu in supplier.submits] == [commands.SUBMIT_SM] * 500


async def test_messages_take_the_sessions_in_turn_and_parts_stay_together(
    dial: Dial, supplier: Supplier, sink: Recorder
) -> None:
    link = await dial(binds=3, window=12)
    await until(lambda: sink.statuses[-1].binds_up == 3)
    link.send([part(message_id=n, payload=b"single") for n in range(9)])
    link.send([part(k, 3, message_id=n, payload=b"part of %d" % n) for n in range(20, 25) for k in (1, 2, 3)])
    await until(lambda: len(sink.outcomes) == 24)
    singles = [conn for conn, pdu in supplier.submits if pdu.fields["short_message"] == b"single"]
    assert [singles.count(conn) for conn in supplier.connections] == [3, 3, 3]
    for n in range(20, 25):
        carriers = {conn for conn, pdu in supplier.submits if pdu.fields["short_message"] == b"part of %d" % n}
        assert len(carriers) == 1


async def test_the_parts_of_a_message_wait_for_their_session(dial: Dial, supplier: Supplier, sink: Recorder) -> None:
    supplier.answer = silence
    link = await dial(binds=2, window=2)
    await until(lambda: sink.statuses[-1].binds_up == 2)
    waiting = [part(k, 3) for k in (1, 2, 3)]
    assert link.send(waiting) == 2
    assert link.send(waiting[2:]) == 0
    await until(lambda: len(supplier.submits) == 2)
    accept(*supplier.submits[0])
    await until(lambda: sink.outcomes)
    assert link.send(waiting[2:]) == 1
    await until(lambda: len(supplier.submits) == 3)
    assert len({conn for conn, _ in supplier.submits}) == 1


async def test_the_rest_of_a_message_finds_another_session_when_its_own_is_gone(
    dial: Dial, supplier: Supplier, sink: Recorder
) -> None:
    link = await dial(binds=2, reconnect_min_s=5.0, reconnect_max_s=5.0)
    await until(lambda: sink.statuses[-1].binds_up == 2)
    link.send([part(1, 2)])
    await until(lambda: len(sink.outcomes) == 1)
    supplier.submits[0][0].abort()
    await until(lambda: sink.state == "degraded")
    assert link.send([part(2, 2)]) == 1
    await until(lambda: len(sink.outcomes) == 2)
    assert errors(sink) == ["", ""]


async def test_messages_that_are_never_finished_take_no_memory(
    dial: Dial, supplier: Supplier, sink: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chappe.channels.smpp.link._MOST_UNFINISHED", 20)
    link = await dial(window=100)
    assert link.send([part(1, 2, message_id=n) for n in range(100)]) == 100
    assert len(link._unfinished) == 20


async def test_who_uses_up_the_rate_hears_when_there_is_more(dial: Dial, sink: Recorder) -> None:
    link = await dial(rate_per_s=20, burst=2)
    assert link.send([part(message_id=n) for n in range(2)]) == 2
    await until(lambda: sink.rooms)
    assert link.room() >= 1


async def test_a_part_that_cannot_be_written_goes_elsewhere(dial: Dial, supplier: Supplier, sink: Recorder) -> None:
    link = await dial()
    assert link.send([part(destination="3" * 30), part(message_id=2)]) == 2
    await until(lambda: len(sink.outcomes) == 2)
    bad, good = sorted(sink.outcomes, key=lambda outcome: outcome.part.message_id)
    assert bad.error is not None and bad.error.verdict is Verdict.NEXT
    assert good.error is None
    assert len(supplier.submits) == 1


async def test_the_rate_is_kept_across_sessions(dial: Dial, supplier: Supplier, sink: Recorder) -> None:
    link = await dial(rate_per_s=100, burst=10, binds=2, window=1000)
    await until(lambda: sink.statuses[-1].binds_up == 2)
    serial = count()

    def flush() -> None:
        link.send([part(message_id=next(serial)) for _ in range(link.room())])
        link.room()

    sink.on_room = flush
    began = asyncio.get_running_loop().time()
    flush()
    await asyncio.sleep(1.0)
    allowed = 10 + 100 * (asyncio.get_running_loop().time() - began)
    assert allowed * 0.7 <= len(supplier.submits) <= allowed + 1


# -- refusals ------------------------------------------------------------------------------------------------------


async def test_a_throttled_connector_pauses_and_recovers(dial: Dial, supplier: Supplier, sink: Recorder) -> None:
    supplier.answer = refuse(status.ESME_RTHROTTLED)
    link = await dial()
    link.send([part(message_id=n) for n in range(5)])
    await until(lambda: len(sink.outcomes) == 5)
    assert {o.error.verdict for o in sink.outcomes if o.error} == {Verdict.THROTTLE}
    assert sink.outcomes[0].error is not None
    assert sink.outcomes[0].error.supplier == "0x00000058 ESME_RTHROTTLED"
    assert link.room() == 0
    supplier.answer = accept
    began = asyncio.get_running_loop().time()
    await until(lambda: sink.rooms)
    assert 0.3 < asyncio.get_running_loop().time() - began < 1.5
    assert link.send([part(message_id=9)]) == 1
    await until(lambda: len(sink.outcomes) == 6)
    assert sink.outcomes[-1].error is None


async def test_a_full_queue_is_left_alone_for_longer(dial: Dial, supplier: Supplier, sink: Recorder) -> None:
    supplier.answer = refuse(status.ESME_RMSGQFUL)
    link = await dial()
    link.send([part()])
    await until(lambda: sink.outcomes)
    assert errors(sink) == ["queue_full_supplier"]
    await asyncio.sleep(0.7)
    assert link.room() == 0
    assert sink.rooms == 0


async def test_congestion_slows_the_connector_down(dial: Dial, supplier: Supplier, sink: Recorder) -> None:
    congested = [(tlv.CONGESTION_STATE, b"\x5f")]
    supplier.answer = lambda conn, pdu: conn.respond(pdu, fields={"message_id": "1"}, tlvs=congested)
    link = await dial()
    assert link.status().counters["rate_limit"] == 0
    await asyncio.sleep(1.01)
    link.send([part()])
    await until(lambda: sink.outcomes)
    assert link.status().counters["rate_limit"] > 0
    assert sink.outcomes[0].error is None


async def test_a_vendors_code_means_what_the_connector_says(dial: Dial, supplier: Supplier, sink: Recorder) -> None:
    supplier.answer = refuse(0x401)
    rules = {"0x401": StatusRule(verdict="permanent", code="content_rejected")}
    link = await dial(status_map=rules)
    link.send([part()])
    await until(lambda: sink.outcomes)
    error = sink.outcomes[0].error
    assert error is not None
    assert (error.code, error.verdict, error.supplier) == ("content_rejected", Verdict.PERMANENT, "0x00000401")


async def test_a_generic_nack_is_a_refusal(dial: Dial, supplier: Supplier, sink: Recorder) -> None:
    def nack(conn: Connection, pdu: Pdu) -> None:
        conn.session._nack(status.ESME_RINVCMDLEN, pdu.sequence_number)
        conn._flush_soon()

    supplier.answer = nack
    link = await dial()
    link.send([part()])
    await until(lambda: sink.outcomes)
    assert sink.outcomes[0].error is not None
    assert sink.outcomes[0].error.supplier == "0x00000002 ESME_RINVCMDLEN"


# -- doubt ---------------------------------------------------------------------------------------------------------


async def test_a_dropped_connection_leaves_exactly_the_unanswered_in_doubt(
    dial: Dial, supplier: Supplier, sink: Recorder
) -> None:
    answered = {0, 2, 3, 7}

    def some(conn: Connection, pdu: Pdu) -> None:
        if int(pdu.fields["short_message"]) in answered:
            accept(conn, pdu)

    supplier.answer = some
    link = await dial()
    link.send([part(message_id=n, payload=b"%d" % n) for n in range(10)])
    await until(lambda: len(supplier.submits) == 10 and len(sink.outcomes) == 4)
    supplier.drop()
    await until(lambda: len(sink.outcomes) == 10)
    await moments()
    assert sorted(ids(sink.outcomes)) == list(range(10))
    doubtful = {o.part.message_id: o.error for o in sink.outcomes if o.error is not None}
    assert doubtful.keys() == set(range(10)) - answered
    for error in doubtful.values():
        assert (error.code, error.verdict) == ("in_doubt", Verdict.UNKNOWN)
        assert "without an answer" in error.detail
    assert all(o.request for o in sink.outcomes)
    await until(lambda: sink.state == "up")
    assert link.status().counters["lost"] == 6


async def test_an_answer_that_never_comes_is_in_doubt(dial: Dial, supplier: Supplier, sink: Recorder) -> None:
    supplier.answer = silence
    link = await dial(response_timeout_s=0.2, window=1)
    link.send([part()])
    await until(lambda: sink.outcomes)
    error = sink.outcomes[0].error
    assert error is not None
    assert (error.code, error.verdict) == ("in_doubt", Verdict.UNKNOWN)
    assert "s without an answer" in error.detail
    assert link.room() == 1
    accept(*supplier.submits[0])  # too late: nobody waits for it
    await moments()
    assert len(sink.outcomes) == 1


# -- the circuit ---------------------------------------------------------------------------------------------------


async def test_a_supplier_with_system_errors_is_left_alone_and_then_asked(
    dial: Dial, supplier: Supplier, sink: Recorder
) -> None:
    supplier.answer = refuse(status.ESME_RSYSERR)
    link = await dial(breaker=Breaker(failures=3, open_s=0.3, open_max_s=1.0))
    link.send([part(message_id=n) for n in range(3)])
    await until(lambda: len(sink.outcomes) == 3)
    assert link.room() == 0
    assert sink.statuses[-1].circuit_open
    assert (sink.state, sink.statuses[-1].last_error) == ("degraded", "0x00000008 ESME_RSYSERR")
    supplier.answer = accept
    await until(lambda: sink.rooms)
    assert link.room() == 1
    assert not sink.statuses[-1].circuit_open, "the dispatcher may choose this connector again"
    assert link.send([part(message_id=n) for n in (3, 4)]) == 1
    assert link.room() == 0
    await until(lambda: len(sink.outcomes) == 4)
    assert link.room() == 10
    assert sink.state == "up"


async def test_a_permanent_refusal_says_that_the_supplier_works(dial: Dial, supplier: Supplier, sink: Recorder) -> None:
    link = await dial(breaker=Breaker(failures=2))
    for n in range(6):
        supplier.answer = refuse(status.ESME_RINVDSTADR if n % 2 else status.ESME_RSYSERR)
        sink.outcomes.clear()
        link.send([part(message_id=n)])
        await until(lambda: sink.outcomes)
    assert link.room() == 10


async def test_timeouts_open_the_circuit(dial: Dial, supplier: Supplier, sink: Recorder) -> None:
    supplier.answer = silence
    link = await dial(response_timeout_s=0.1, breaker=Breaker(failures=2, open_s=60.0))
    link.send([part(message_id=n) for n in range(2)])
    await until(lambda: len(sink.outcomes) == 2)
    assert link.room() == 0
    assert link.status().circuit_open


# -- what the supplier sends ---------------------------------------------------------------------------------------


RECEIPT = b"id:77 sub:001 dlvrd:001 submit date:2701150755 done date:2701150800 stat:DELIVRD err:000 text:hello"


async def test_a_receipt_is_acknowledged_only_when_it_is_stored(dial: Dial, supplier: Supplier, sink: Recorder) -> None:
    sink.acknowledge = None
    await dial()
    supplier.deliver(RECEIPT, esm_class=0x04)
    supplier.deliver(RECEIPT, esm_class=0x04)
    await until(lambda: len(sink.receipts) == 2)
    await moments()
    assert supplier.answers == []
    sink.dones[1](True)
    sink.dones[0](False)
    await until(lambda: len(supplier.answers) == 2)
    assert supplier.answered == [status.ESME_ROK, status.ESME_RX_T_APPN]
    assert supplier.answers[0][1].fields["message_id"] == ""
    sink.dones[1](False)
    await moments()
    assert len(supplier.answers) == 2


@pytest.mark.parametrize("data_sm", [False, True])
async def test_replies_come_by_deliver_sm_and_data_sm(
    dial: Dial, supplier: Supplier, sink: Recorder, data_sm: bool
) -> None:
    await dial()
    tlvs = [(tlv.MESSAGE_PAYLOAD, b"STOP")] if data_sm else []
    supplier.deliver(b"STOP", data_sm=data_sm, tlvs=tlvs)
    await until(lambda: supplier.answers)
    assert supplier.answered == [status.ESME_ROK]
    (found,) = sink.inbounds
    assert (found.source, found.destination, found.text) == ("33600000001", "Chappe", "STOP")
    assert decode(found.raw).fields["source_addr"] == "33600000001"


async def test_a_forged_receipt_is_a_reply(dial: Dial, supplier: Supplier, sink: Recorder) -> None:
    await dial()
    supplier.deliver(RECEIPT, esm_class=0)
    await until(lambda: supplier.answers)
    assert sink.receipts == []
    assert sink.inbounds[0].text == RECEIPT.decode()


async def test_what_nobody_understands_is_passed_on_raw(dial: Dial, supplier: Supplier, sink: Recorder) -> None:
    await dial()
    supplier.deliver(b"\xd8\x00\xd8", data_coding=8, esm_class=0x40)
    await until(lambda: supplier.answers)
    assert sink.inbounds[0].text is None
    assert decode(sink.inbounds[0].raw).fields["short_message"] == b"\xd8\x00\xd8"


async def test_a_sink_that_fails_makes_the_supplier_send_again(
    dial: Dial, supplier: Supplier, sink: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: told.append(context))
    link = await dial()

    def fail(*_: object) -> None:
        raise RuntimeError("no disk")

    monkeypatch.setattr(sink, "inbound", fail)
    supplier.deliver(b"hi")
    await until(lambda: supplier.answers)
    assert supplier.answered == [status.ESME_RX_T_APPN]
    assert [str(context["exception"]) for context in told] == ["no disk"]
    await asyncio.wait_for(link.stop(30.0), 10.0)  # nothing is owed any more


async def test_an_alert_is_ignored_and_an_unknown_request_is_not_ours(
    dial: Dial, supplier: Supplier, sink: Recorder
) -> None:
    link = await dial()
    supplier.connections[0].request(Pdu(commands.ALERT_NOTIFICATION, fields={"source_addr": "33600000001"}))
    await until(lambda: link.status().counters["ignored"] == 1)
    assert sink.inbounds == [] and sink.state == "up"


async def test_a_flood_of_receipts_is_throttled_while_the_store_is_away(
    dial: Dial, supplier: Supplier, sink: Recorder
) -> None:
    sink.acknowledge = None
    await dial()
    for _ in range(MOST_UNANSWERED + 5):
        supplier.deliver(RECEIPT, esm_class=0x04)
    await until(lambda: len(supplier.answers) == 5)
    assert supplier.answered == [status.ESME_RTHROTTLED] * 5
    assert len(sink.receipts) == MOST_UNANSWERED
    for done in sink.dones:
        done(True)
    await until(lambda: len(supplier.answers) == MOST_UNANSWERED + 5)


# -- the end -------------------------------------------------------------------------------------------------------


async def test_stopping_waits_for_the_answers_and_unbinds(dial: Dial, supplier: Supplier, sink: Recorder) -> None:
    def late(conn: Connection, pdu: Pdu) -> None:
        asyncio.get_running_loop().call_later(0.1, accept, conn, pdu)

    supplier.answer = late
    link = await dial()
    link.send([part(message_id=n) for n in range(3)])
    await until(lambda: len(supplier.submits) == 3)
    stopping = asyncio.create_task(link.stop(2.0))
    await asyncio.sleep(0)
    assert link.send([part()]) == 0
    assert link.room() == 0
    await stopping
    assert errors(sink) == ["", "", ""]
    assert sink.state == "stopped"
    await until(lambda: not supplier.connections)
    assert len(supplier.binds) == 1, "it stays away"


async def test_stopping_waits_for_what_is_being_stored(dial: Dial, supplier: Supplier, sink: Recorder) -> None:
    sink.acknowledge = None
    link = await dial()
    supplier.deliver(RECEIPT, esm_class=0x04)
    await until(lambda: sink.dones)
    asyncio.get_running_loop().call_later(0.1, sink.dones[0], True)
    await link.stop(2.0)
    assert supplier.answered == [status.ESME_ROK]


async def test_what_is_unanswered_after_the_grace_is_in_doubt(dial: Dial, supplier: Supplier, sink: Recorder) -> None:
    supplier.answer = silence
    link = await dial()
    link.send([part(message_id=n) for n in range(3)])
    await until(lambda: len(supplier.submits) == 3)
    began = asyncio.get_running_loop().time()
    await link.stop(0.5)
    assert asyncio.get_running_loop().time() - began < 2
    assert errors(sink) == ["in_doubt"] * 3
    assert sorted(ids(sink.outcomes)) == [0, 1, 2]
