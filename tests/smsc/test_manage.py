"""query_sm, cancel_sm and replace_sm: about one's own messages only."""

from __future__ import annotations

import asyncio
from typing import Any

from chappe.messages import State, get
from chappe.smpp import MessageState, Pdu, SmeAddress, commands, status, times, tlv
from tests.smsc.house import PHONE, Client, House, submit_fields, until

LATER = "000000010000000R"


async def query(client: Client, message_id: str) -> Pdu:
    return await client.ask(commands.QUERY_SM, message_id=message_id, source_addr_ton=5, source_addr="Acme")


async def cancel(client: Client, message_id: str = "", **fields: Any) -> int:
    return (await client.ask(commands.CANCEL_SM, message_id=message_id, **fields)).command_status


async def test_query_tells_the_state_the_time_and_the_reason(house: House) -> None:
    login = await house.login()
    client, young = await house.client(login), await house.client(login, version=0x50)
    scheduled = (await client.submit(schedule_delivery_time=LATER)).fields["message_id"]
    answer = await query(client, scheduled)
    assert (answer.fields["message_id"], answer.fields["message_state"]) == (scheduled, MessageState.ENROUTE)
    assert (answer.fields["final_date"], answer.fields["error_code"]) == ("", 0)
    assert (await query(young, scheduled)).fields["message_state"] == MessageState.SCHEDULED

    delivered = (await client.submit(b"two")).fields["message_id"]
    await until(lambda: len(client.receipts) + len(young.receipts) == 1)
    house.operator.fate, house.operator.err = MessageState.UNDELIVERABLE, "001"
    failed = (await client.submit(b"three")).fields["message_id"]
    await until(lambda: len(client.receipts) + len(young.receipts) == 2)
    answer = await query(client, delivered.upper())
    assert answer.fields["message_state"] == MessageState.DELIVERED
    told = times.parse(answer.fields["final_date"], 0)
    assert told is not None and abs(told - house.rt.clock.now()) < 60_000
    answer = await query(client, failed)
    assert (answer.fields["message_state"], answer.fields["error_code"]) == (MessageState.UNDELIVERABLE, 1)


async def test_ids_that_are_not_ones_own_are_unknown(house: House) -> None:
    client = await house.client(await house.login())
    other = await house.tenant("other", any_sender=True)
    stranger = await house.client(await house.login(account_id=other.id))
    theirs = await stranger.submit(schedule_delivery_time=LATER, source_addr="Theirs")
    assert theirs.command_status == 0
    message_id = theirs.fields["message_id"]
    for wrong in (message_id, "nonsense", "", "0" * 64, "msg", "é"):
        assert (await query(client, wrong)).command_status == status.ESME_RINVMSGID, wrong
    assert await cancel(client, message_id) == status.ESME_RINVMSGID
    replaced = await client.ask(commands.REPLACE_SM, message_id=message_id, short_message=b"mine")
    assert replaced.command_status == status.ESME_RINVMSGID
    addresses: dict[str, Any] = {"source_addr": "Theirs", "dest_addr_ton": 1, "destination_addr": PHONE}
    assert await cancel(client, **addresses) == status.ESME_RCANCELFAIL
    assert (await house.message(theirs)).state is State.SCHEDULED


async def test_a_waiting_message_can_be_canceled_once_and_its_receipt_says_deleted(house: House) -> None:
    client = await house.client(await house.login())
    answer = await client.submit(schedule_delivery_time=LATER)
    message_id = answer.fields["message_id"]
    assert await cancel(client, message_id) == 0
    assert (await house.message(answer)).state is State.CANCELED
    await until(lambda: client.receipts)
    assert (client.receipts[0].stat, client.receipts[0].err) == ("DELETED", "216")
    assert await cancel(client, message_id) == status.ESME_RCANCELFAIL
    sent = (await client.submit(b"sent")).fields["message_id"]
    await until(lambda: len(client.receipts) == 2)
    assert await cancel(client, sent) == status.ESME_RCANCELFAIL


async def test_messages_are_canceled_by_their_addresses_and_service_type(house: House) -> None:
    client = await house.client(await house.login())
    neighbour = await house.client(await house.login())
    mine = [await client.submit(b"%d" % n, schedule_delivery_time=LATER, service_type="CMT") for n in range(2)]
    kept = [
        await client.submit(b"x", schedule_delivery_time=LATER, service_type="OTHER"),
        await client.submit(b"y", schedule_delivery_time=LATER, service_type="CMT", destination_addr="33612345679"),
        await neighbour.submit(b"z", schedule_delivery_time=LATER, service_type="CMT"),
    ]
    addresses: dict[str, Any] = {"source_addr": "Acme", "dest_addr_ton": 1, "destination_addr": PHONE}
    assert await cancel(client, **addresses, service_type="CMT") == 0
    assert [(await house.message(answer)).state for answer in mine] == [State.CANCELED] * 2
    assert [(await house.message(answer)).state for answer in kept] == [State.SCHEDULED] * 3
    assert await cancel(client, **addresses, service_type="CMT") == status.ESME_RCANCELFAIL
    assert await cancel(client, destination_addr=PHONE) == status.ESME_RCANCELFAIL


async def test_of_a_submit_multi_one_or_all_are_canceled(house: House) -> None:
    client = await house.client(await house.login())
    numbers = ["33612345601", "33612345602", "33612345603"]
    fields = submit_fields(schedule_delivery_time=LATER)
    for name in ("dest_addr_ton", "dest_addr_npi", "destination_addr"):
        del fields[name]
    to = [SmeAddress(1, 1, number) for number in numbers]
    message_id = (await client.ask(commands.SUBMIT_MULTI, **fields, dest_address=to)).fields["message_id"]
    assert await cancel(client, message_id, dest_addr_ton=1, destination_addr=numbers[1]) == 0
    await until(lambda: client.receipts)
    assert [one.handset for one in client.receipts] == [numbers[1]]
    assert (await query(client, message_id)).fields["message_state"] == MessageState.ENROUTE
    assert await cancel(client, message_id) == 0
    await until(lambda: len(client.receipts) == 3)
    assert (await query(client, message_id)).fields["message_state"] == MessageState.DELETED


async def test_a_waiting_text_can_be_replaced(house: House) -> None:
    client = await house.client(await house.login())
    plain = await client.submit(b"before", schedule_delivery_time=LATER)
    ucs2 = await client.submit("до".encode("utf-16-be"), data_coding=8, schedule_delivery_time=LATER)
    binary = await client.submit(b"\x01\x02", data_coding=4, schedule_delivery_time=LATER)
    cases = ((plain, b"after \x1b\x65"), (ucs2, "после".encode("utf-16-be")), (binary, b"\x03\x04\x05"))
    for answer, octets in cases:
        fields = {"message_id": answer.fields["message_id"], "source_addr": "Acme", "short_message": octets}
        assert (await client.ask(commands.REPLACE_SM, **fields)).command_status == 0
    assert (await house.message(plain)).text == "after €"
    assert (await house.message(ucs2)).text == "после"
    assert (await house.message(binary)).wire.data == b"\x03\x04\x05"
    payload = [(tlv.MESSAGE_PAYLOAD, b"by payload")]
    fields = {"message_id": plain.fields["message_id"], "source_addr": "Acme"}
    assert (await client.ask(commands.REPLACE_SM, payload, **fields)).command_status == 0
    assert (await house.message(plain)).text == "by payload"


async def test_what_cannot_be_replaced_reads_so(house: House) -> None:
    client = await house.client(await house.login())
    waiting = (await client.submit(schedule_delivery_time=LATER)).fields["message_id"]
    sent = (await client.submit(b"sent")).fields["message_id"]
    await until(lambda: client.receipts)
    cases = [
        ({"message_id": sent, "short_message": b"x"}, status.ESME_RREPLACEFAIL),
        ({"message_id": waiting, "short_message": b"x", "validity_period": LATER}, status.ESME_RREPLACEFAIL),
        ({"message_id": waiting, "short_message": b""}, status.ESME_RINVMSGLEN),
        ({"message_id": waiting, "short_message": b"\xff"}, status.ESME_RSUBMITFAIL),
        ({"message_id": waiting, "sm_default_msg_id": 1}, status.ESME_RINVDFTMSGID),
    ]
    for fields, expected in cases:
        assert (await client.ask(commands.REPLACE_SM, **fields)).command_status == expected, fields


async def test_a_transmitter_may_ask_and_many_questions_at_once_are_all_answered(house: House) -> None:
    client = await house.client(await house.login(window_size=200), "transmitter")
    message_id = (await client.submit(registered_delivery=0)).fields["message_id"]
    asked = [client.send(Pdu(commands.QUERY_SM, fields={"message_id": message_id})) for _ in range(100)]
    assert {answer.command_status for answer in await asyncio.gather(*asked)} == {0}
    message = await house.message(await client.submit(b"other"))
    assert (await get(house.rt, house.account.id, message.id)).origin == "smpp"
