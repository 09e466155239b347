"""smpplib (Python, blocking) as a client of our server."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import smpplib.client
import smpplib.consts
import smpplib.exceptions
import smpplib.smpp

from chappe.smpp import Pdu, SessionSettings, commands, receipt, status, tlv
from chappe.smpp.aio import Connection
from tests.smpp.aio.peers import Ear, Pair, until

UDH_TEXT = b"\x05\x00\x03\x2a\x02\x01" + b"first part"


def client(port: int) -> smpplib.client.Client:
    return smpplib.client.Client("127.0.0.1", port, allow_unknown_opt_params=True, timeout=5)


async def bound(pair: Pair, kind: str, password: str = "secret") -> smpplib.client.Client:
    server = pair.server or await pair.serve()
    peer = client(server.port)

    def bind() -> None:
        peer.connect()
        getattr(peer, f"bind_{kind}")(system_id="acme", password=password, interface_version=0x34)

    await asyncio.to_thread(bind)
    return peer


async def left(peer: smpplib.client.Client) -> None:
    await asyncio.to_thread(peer.unbind)
    await asyncio.to_thread(peer.disconnect)


@pytest.mark.parametrize("kind", ["transmitter", "receiver", "transceiver"])
async def test_it_binds_in_every_mode_and_leaves(pair: Pair, kind: str) -> None:
    peer = await bound(pair, kind)
    assert pair.customers["acme"].bind_type == kind
    await left(peer)
    await until(lambda: pair.ears["acme"].lost)
    assert pair.ears["acme"].lost == [("unbound by peer", [])]


async def test_it_understands_a_refused_bind(pair: Pair) -> None:
    with pytest.raises(smpplib.exceptions.PDUError) as caught:
        await bound(pair, "transceiver", password="wrong")
    assert status.ESME_RINVPASWD in caught.value.args


async def test_its_messages_arrive_as_it_sent_them(pair: Pair) -> None:
    peer = await bound(pair, "transceiver")
    sent: list[Any] = []
    peer.set_message_sent_handler(lambda pdu, **_: sent.append(pdu.message_id))

    def send() -> None:
        common = {"source_addr_ton": 5, "source_addr": "Chappe", "dest_addr_ton": 1, "dest_addr_npi": 1}
        common["destination_addr"] = "48600100200"
        peer.send_message(**common, short_message="zażółć".encode("utf-16-be"), data_coding=8, registered_delivery=True)
        peer.read_once()
        peer.send_message(**common, short_message=UDH_TEXT, esm_class=smpplib.consts.SMPP_GSMFEAT_UDHI)
        peer.read_once()
        peer.send_message(**common, message_payload=b"x" * 300, user_message_reference=513)
        peer.read_once()

    await asyncio.to_thread(send)
    ucs2, udh, payload = pair.ears["acme"].requests
    assert ucs2.fields["short_message"].decode("utf-16-be") == "zażółć"
    assert (ucs2.fields["data_coding"], ucs2.fields["registered_delivery"]) == (8, 1)
    assert (ucs2.fields["source_addr"], ucs2.fields["destination_addr"]) == ("Chappe", "48600100200")
    assert (udh.fields["short_message"], udh.fields["esm_class"]) == (UDH_TEXT, 0x40)
    assert payload.tlv(tlv.MESSAGE_PAYLOAD) == b"x" * 300
    assert payload.tlv(tlv.USER_MESSAGE_REFERENCE) == b"\x02\x01"
    assert [message_id.decode() for message_id in sent] == [
        str(pdu.sequence_number) for pdu in pair.ears["acme"].requests
    ]
    await left(peer)


async def test_it_reads_our_receipts(pair: Pair) -> None:
    peer = await bound(pair, "transceiver")
    received: list[Any] = []
    peer.set_message_received_handler(lambda pdu, **_: received.append(pdu))
    text = receipt.format_text("77", receipt.MessageState.DELIVERED, 1_700_000_000_000, 1_700_000_060_000)
    fields = {"source_addr": "48600100200", "destination_addr": "Chappe", "esm_class": 4, "short_message": text}
    tlvs = receipt.receipt_tlvs("77", receipt.MessageState.DELIVERED)
    pair.customers["acme"].request(Pdu(commands.DELIVER_SM, fields=fields, tlvs=tlvs), "receipt")
    await asyncio.to_thread(peer.read_once)
    await until(lambda: pair.ears["acme"].responses)
    [pdu] = received
    assert pdu.short_message == text
    assert (pdu.receipted_message_id, pdu.message_state) == (b"77", 2)
    assert pair.ears["acme"].responses[0][2].command_status == 0
    await left(peer)


async def test_its_query_is_answered(pair: Pair) -> None:
    def answer(conn: Connection, pdu: Pdu) -> None:
        conn.respond(pdu, fields={"message_id": pdu.fields["message_id"], "message_state": 2})

    pair.ears["acme"] = Ear(answer)
    peer = await bound(pair, "transceiver")
    answers: list[Any] = []
    peer.set_query_resp_handler(lambda pdu, **_: answers.append((pdu.message_id, pdu.message_state)))

    def query() -> None:
        peer.query_message(message_id="77", source_addr_ton=5, source_addr_npi=0, source_addr="Chappe")
        peer.read_once()

    await asyncio.to_thread(query)
    assert answers == [(b"77", 2)]
    await left(peer)


async def test_each_end_answers_the_others_enquire_link(pair: Pair) -> None:
    await pair.serve(SessionSettings(enquire_link_s=0.05, enquire_link_timeout_s=3))
    peer = await bound(pair, "transceiver")
    customer = pair.customers["acme"]
    await until(lambda: customer.session._pinged)
    await asyncio.to_thread(peer.read_once)  # answers ours
    await until(lambda: not customer.session._pinged)
    await asyncio.to_thread(lambda: peer.send_pdu(smpplib.smpp.make_pdu("enquire_link", client=peer)))
    answer = await asyncio.to_thread(peer.read_pdu)
    while answer.command == "enquire_link":  # another of ours may come first
        answer = await asyncio.to_thread(peer.read_pdu)
    assert (answer.command, answer.status) == ("enquire_link_resp", 0)
    await asyncio.to_thread(peer.disconnect)
