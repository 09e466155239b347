"""Receipts and messages of phones: queued for their customer, sent until they are acknowledged."""

from __future__ import annotations

import asyncio
from typing import Any

from chappe.smpp import Pdu, commands, status


async def state(operator: Any, customer: Any) -> dict[str, Any]:
    return (await operator.get("/state"))["customers"][customer.system_id]["deliveries"]


async def test_a_refused_receipt_comes_again_until_it_is_acknowledged(operator: Any, customer: Any):
    answers = iter([status.ESME_RX_T_APPN, status.ESME_RX_P_APPN, status.ESME_RSYSERR, 0])
    customer.acknowledge = lambda pdu: next(answers)
    await customer.send("33612000001")
    await customer.until(lambda: len(customer.deliveries) == 4)
    await asyncio.sleep(0.25)
    assert len(customer.deliveries) == 4 and len({receipt.id for receipt in customer.receipts}) == 1
    counts = await state(operator, customer)
    assert (counts["sent"], counts["refused"], counts["acknowledged"], counts["waiting"]) == (4, 3, 1, 0)


async def test_receipts_wait_for_a_bind_and_come_to_any_receiver_of_the_customer(operator: Any, stranger: Any):
    await stranger.bind("transmitter")
    for n in range(10):
        await stranger.send(f"3361200000{n}")
    await asyncio.sleep(0.2)
    assert stranger.deliveries == []
    assert (await state(operator, stranger))["waiting"] == 10
    await stranger.bind("receiver")
    await stranger.until(lambda: len(stranger.receipts) == 10)
    await asyncio.sleep(0.05)
    assert (await state(operator, stranger))["acknowledged"] == 10


async def test_what_a_lost_bind_had_not_acknowledged_comes_again_first(operator: Any, customer: Any):
    customer.acknowledge = lambda pdu: None
    for n in range(5):
        await customer.send(f"3361200000{n}")
    await customer.until(lambda: len(customer.receipts) == 5)
    before = [receipt.id for receipt in customer.receipts]
    customer.binds.pop().abort()
    await customer.until(lambda: customer.lost)
    customer.deliveries.clear()
    customer.acknowledge = lambda pdu: 0
    await customer.bind()
    await customer.until(lambda: len(customer.receipts) == 5)
    assert [receipt.id for receipt in customer.receipts] == before
    await asyncio.sleep(0.05)
    counts = await state(operator, customer)
    assert (counts["cut_off"], counts["acknowledged"], counts["unacknowledged"]) == (5, 5, 0)


async def test_no_more_than_the_window_is_unacknowledged(operator: Any, customer: Any):
    await operator.post("/scenario", "receipt_delay_s = 0\ndeliver_window = 3")
    customer.acknowledge = lambda pdu: None
    for n in range(8):
        await customer.send(f"3361200000{n}")
    await asyncio.sleep(0.1)
    assert len(customer.deliveries) == 3
    counts = await state(operator, customer)
    assert (counts["unacknowledged"], counts["waiting"]) == (3, 5)
    customer.acknowledge = lambda pdu: 0
    for pdu in list(customer.deliveries):
        customer.binds[0].respond(pdu)
    await customer.until(lambda: len(customer.deliveries) == 8)


async def test_deliveries_go_to_the_receiving_binds_in_turn(operator: Any, stranger: Any):
    await operator.post("/scenario", "receipt_delay_s = 0.05")
    heard: list[Any] = []
    hear = stranger.on_request
    stranger.on_request = lambda conn, pdu, raw: (heard.append(conn), hear(conn, pdu, raw))
    await stranger.bind("transmitter")
    await stranger.bind("receiver")
    await stranger.bind("transceiver")
    await asyncio.gather(*(stranger.send(f"3361200000{n}") for n in range(8)))
    await stranger.until(lambda: len(stranger.receipts) == 8)
    assert [heard.count(conn) for conn in stranger.binds] == [0, 4, 4]


async def test_a_delivery_that_is_too_old_is_given_up(operator: Any, stranger: Any):
    await operator.post("/scenario", "receipt_delay_s = 0\ndeliver_for_s = 0.1")
    await stranger.bind("transmitter")
    await stranger.send("33612000001")
    await asyncio.sleep(0.2)
    await stranger.bind("receiver")
    await asyncio.sleep(0.1)
    assert stranger.deliveries == []
    assert (await state(operator, stranger))["given_up"] == 1


async def test_a_message_can_be_asked_for_canceled_and_replaced(operator: Any, customer: Any):
    await operator.post("/scenario", "receipt_delay_s = 0.3")
    first, second = await customer.send("33612000001"), await customer.send("33612000002", b"old")

    def about(command: int, answer: Pdu, **fields: Any) -> asyncio.Future[Pdu | None]:
        return customer.request(Pdu(command, fields={"message_id": answer.fields["message_id"]} | fields))

    assert (await about(commands.QUERY_SM, first)).fields["message_state"] == 1
    assert (await about(commands.CANCEL_SM, first)).command_status == 0
    assert (await about(commands.CANCEL_SM, first)).command_status == status.ESME_RCANCELFAIL
    assert (await about(commands.QUERY_SM, first)).fields["message_state"] == 4
    assert (await about(commands.REPLACE_SM, second, short_message=b"new")).command_status == 0
    await customer.until(lambda: len(customer.receipts) == 2)
    assert {receipt.state.name for receipt in customer.receipts} == {"DELETED", "DELIVERED"}
    assert (await about(commands.REPLACE_SM, second, short_message=b"newer")).command_status == status.ESME_RREPLACEFAIL
    assert [m["text"] for m in (await operator.get("/messages?to=33612000002"))["data"]][-1:] == ["new"]
    unknown = Pdu(0, fields={"message_id": "1"})
    assert (await about(commands.QUERY_SM, unknown)).command_status == status.ESME_RQUERYFAIL


async def test_one_customer_cannot_ask_for_anothers_message(operator: Any, customer: Any):
    answer = await customer.send("33612000001")
    other = type(customer)(operator)
    await other.bind()
    query = {"message_id": answer.fields["message_id"]}
    assert (await customer.request(Pdu(commands.QUERY_SM, fields=query))).command_status == 0
    assert (await other.request(Pdu(commands.QUERY_SM, fields=query))).command_status == status.ESME_RQUERYFAIL
    await other.leave()


async def test_submit_multi_is_a_message_to_each_destination(operator: Any, customer: Any):
    destinations = [
        commands.SmeAddress(1, 1, "33612000001"),
        commands.SmeAddress(1, 1, "33612555002"),
        commands.SmeAddress(1, 1, "33612555040"),
        commands.DistributionList("friends"),
    ]
    fields = {"source_addr": "Acme", "dest_address": destinations, "registered_delivery": 1, "short_message": b"All"}
    answer = await customer.request(Pdu(commands.SUBMIT_MULTI, fields=fields))
    assert [failure.status for failure in answer.fields["unsuccess_sme"]] == [
        status.ESME_RINVDSTADR,
        status.ESME_RINVDLNAME,
    ]
    await customer.until(lambda: len(customer.receipts) == 2)
    assert {receipt.id for receipt in customer.receipts} == {answer.fields["message_id"]}
    assert {receipt.state.name for receipt in customer.receipts} == {"DELIVERED", "UNDELIVERABLE"}


async def test_data_sm_carries_its_text_in_message_payload(operator: Any, customer: Any):
    fields = {"source_addr": "Acme", "destination_addr": "33612000088", "registered_delivery": 1}
    answer = await customer.request(Pdu(commands.DATA_SM, fields=fields, tlvs=[(0x0424, b"A payload" * 60)]))
    assert answer.command_status == 0
    await customer.until(lambda: customer.receipts)
    received = (await operator.get("/messages?to=33612000088"))["data"][-1]
    assert received["text"] == "A payload" * 60


async def test_times_that_are_none_are_refused(operator: Any, customer: Any):
    assert (await customer.send("33612000001", validity_period="tomorrow")).command_status == status.ESME_RINVEXPIRY
    answer = await customer.send("33612000001", schedule_delivery_time="991399000000000+")
    assert answer.command_status == status.ESME_RINVSCHED


async def test_a_scheduled_message_waits(operator: Any, customer: Any):
    started = asyncio.get_running_loop().time()
    await customer.send("33612000001", schedule_delivery_time="000000000001000R")
    await customer.until(lambda: customer.receipts)
    assert asyncio.get_running_loop().time() - started > 0.9


async def test_an_unknown_command_is_refused_politely(operator: Any, customer: Any):
    answer = await customer.request(Pdu(commands.BROADCAST_SM, fields={"source_addr": "Acme"}))
    assert answer.command_status == status.ESME_RINVCMDID
