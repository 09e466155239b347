"""rusmppyc (Rust, SMPP 5.0) as a client of our server."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import rusmppyc
from rusmppyc.exceptions import RusmppycException

from chappe.smpp import Pdu, SessionSettings, commands, receipt, tlv
from tests.smpp.aio.peers import Pair, until

V50 = SessionSettings(interface_version=0x50)


async def bound(pair: Pair, kind: str, password: str = "secret", ping_ms: int | None = None) -> tuple[Any, Any, Any]:
    server = pair.server or await pair.serve(V50)
    client, events = await rusmppyc.Client.connect(f"smpp://127.0.0.1:{server.port}", enquire_link_interval=ping_ms)
    bind = getattr(client, f"bind_{kind}")
    answer = await bind(system_id="acme", password=password, interface_version=rusmppyc.InterfaceVersion.Smpp5_0())
    return client, events, answer


async def left(client: Any) -> None:
    async with asyncio.timeout(20):
        await client.unbind()
        await client.closed()


@pytest.mark.parametrize("kind", ["transmitter", "receiver", "transceiver"])
async def test_it_binds_in_every_mode_and_leaves(pair: Pair, kind: str) -> None:
    client, _, answer = await bound(pair, kind)
    assert "Smpp5_0" in str(answer.sc_interface_version)
    await until(lambda: pair.customers["acme"].bound)
    assert (pair.customers["acme"].bind_type, pair.customers["acme"].interface_version) == (kind, 0x50)
    await left(client)
    await until(lambda: pair.ears["acme"].lost)
    assert pair.ears["acme"].lost == [("unbound by peer", [])]


async def test_it_understands_a_refused_bind(pair: Pair) -> None:
    with pytest.raises(RusmppycException) as caught:
        await bound(pair, "transceiver", password="wrong")
    assert "EsmeRinvpaswd" in str(caught.value)


async def test_its_messages_arrive_as_it_sent_them(pair: Pair) -> None:
    client, _, _ = await bound(pair, "transceiver")
    value = rusmppyc.MessageSubmissionRequestTlvValue
    answer = await client.submit_sm(
        source_addr_ton=rusmppyc.Ton.Alphanumeric(),
        source_addr="Chappe",
        dest_addr_ton=rusmppyc.Ton.International(),
        dest_addr_npi=rusmppyc.Npi.Isdn(),
        destination_addr="48600100200",
        data_coding=rusmppyc.DataCoding.Ucs2(),
        registered_delivery=rusmppyc.RegisteredDelivery.request_all(),
        short_message="zażółć".encode("utf-16-be"),
        tlvs=[value.UserMessageReference(rusmppyc.UserMessageReference(513))],
    )
    payload = await client.submit_sm(
        destination_addr="48600100200", tlvs=[value.MessagePayload(rusmppyc.MessagePayload(b"x" * 300))]
    )
    first, second = pair.ears["acme"].requests
    assert (first.fields["source_addr_ton"], first.fields["source_addr"]) == (5, "Chappe")
    assert (first.fields["dest_addr_ton"], first.fields["dest_addr_npi"]) == (1, 1)
    assert first.fields["short_message"].decode("utf-16-be") == "zażółć"
    assert (first.fields["data_coding"], first.fields["registered_delivery"] & 3) == (8, 1)
    assert first.tlv(tlv.USER_MESSAGE_REFERENCE) == b"\x02\x01"
    assert second.tlv(tlv.MESSAGE_PAYLOAD) == b"x" * 300
    assert bytes(answer.message_id).strip(b"\0") == str(first.sequence_number).encode()
    assert bytes(payload.message_id).strip(b"\0") == str(second.sequence_number).encode()
    await left(client)


async def test_it_reads_our_receipts(pair: Pair) -> None:
    client, events, _ = await bound(pair, "transceiver")
    await until(lambda: pair.customers["acme"].bound)
    text = receipt.format_text("77", receipt.MessageState.DELIVERED, 1_700_000_000_000, 1_700_000_060_000)
    fields = {"source_addr": "48600100200", "destination_addr": "Chappe", "esm_class": 4, "short_message": text}
    tlvs = receipt.receipt_tlvs("77", receipt.MessageState.DELIVERED, (3, 0))
    pair.customers["acme"].request(Pdu(commands.DELIVER_SM, fields=fields, tlvs=tlvs), "receipt")
    async with asyncio.timeout(20):
        event = await anext(aiter(events))
    assert isinstance(event, rusmppyc.Event.Incoming)
    pdu: Any = event._0.pdu
    deliver = pdu._0
    assert bytes(deliver.short_message) == text
    assert "MCDeliveryReceipt" in repr(deliver.esm_class) or "Receipt" in repr(deliver.esm_class)
    assert bytes(deliver.source_addr).strip(b"\0") == b"48600100200"
    await client.deliver_sm_resp(event._0.sequence_number, "")
    await until(lambda: pair.ears["acme"].responses)
    assert pair.ears["acme"].responses[0][0] == "receipt"
    await left(client)


async def test_its_enquire_link_and_ours_are_answered(pair: Pair) -> None:
    await pair.serve(SessionSettings(interface_version=0x50, enquire_link_s=0.05, enquire_link_timeout_s=0.5))
    client, _, _ = await bound(pair, "transceiver", ping_ms=40)
    await asyncio.sleep(0.6)
    assert pair.customers["acme"].bound
    await client.submit_sm(destination_addr="48600100200", short_message=b"still here")
    await left(client)
