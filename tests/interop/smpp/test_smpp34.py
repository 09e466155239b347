"""smpp34 (Rust) as a client of our server and as a server of our client."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from typing import Any

import pytest
import smpp34

from chappe.smpp import Pdu, commands, decode, encode, receipt, status, tlv
from chappe.smpp.aio import Bind, BindFailed, Connection, SessionSettings, connect
from tests.smpp.aio.peers import Ear, Pair, until

UDH_TEXT = b"\x05\x00\x03\x2a\x02\x01" + b"first part"


async def bound(pair: Pair, kind: str, password: str = "secret", timeout_ms: int = 3000) -> tuple[Any, Any]:
    server = pair.server or await pair.serve()
    client = smpp34.Client("127.0.0.1", server.port, "acme", password, bind_type=kind, connect_timeout_ms=timeout_ms)
    async with asyncio.timeout(20):
        return client, await client.connect()


# -- it is the client ------------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "name"), [("TX", "transmitter"), ("RX", "receiver"), ("TRX", "transceiver")])
async def test_it_binds_in_every_mode_and_leaves(pair: Pair, kind: str, name: str) -> None:
    client, smsc = await bound(pair, kind)
    await until(lambda: pair.customers["acme"].bound)
    assert pair.customers["acme"].bind_type == name
    async with asyncio.timeout(20):
        await smsc.unbind()
        await client.stop()
    await until(lambda: pair.ears["acme"].lost)
    assert pair.ears["acme"].lost[0][1] == []


async def test_it_understands_a_refused_bind(pair: Pair) -> None:
    with pytest.raises((smpp34.SmppError, OSError, TimeoutError)):
        await bound(pair, "TRX", password="wrong", timeout_ms=500)


async def test_its_messages_arrive_as_it_sent_them(pair: Pair) -> None:
    def answer(conn: Connection, pdu: Pdu) -> None:
        if pdu.fields["destination_addr"] == "1":
            conn.respond(pdu, status.ESME_RINVDSTADR)
        else:
            conn.respond(pdu, fields={"message_id": "id-" + str(pdu.sequence_number)})

    pair.ears["acme"] = Ear(answer)
    client, smsc = await bound(pair, "TRX")
    number = {"source_addr": "Chappe", "source_addr_ton": 5, "dest_addr_ton": 1, "dest_addr_npi": 1}
    tlvs = [smpp34.Tlv(0x1400, b"pe"), smpp34.Tlv(tlv.MESSAGE_PAYLOAD, b"x" * 300)]
    async with asyncio.timeout(20):
        ucs2 = await smsc.submit_sm("48600100200", "zażółć".encode("utf-16-be"), data_coding=8, **number)
        udh = await smsc.submit_sm(
            "48600100200", UDH_TEXT, esm_class=0x40, validity_period="000000001000000R", **number
        )
        payload = await smsc.submit_sm("48600100200", tlvs=tlvs, registered_delivery=1, **number)
        refused = await smsc.submit_sm("1", b"nobody")
    requests = pair.ears["acme"].requests
    assert [answer.message_id for answer in (ucs2, udh, payload)] == [
        f"id-{pdu.sequence_number}" for pdu in requests[:3]
    ]
    assert (refused.is_success, refused.command_status) == (False, status.ESME_RINVDSTADR)
    assert requests[0].fields["short_message"].decode("utf-16-be") == "zażółć"
    assert (requests[0].fields["source_addr_ton"], requests[0].fields["source_addr"]) == (5, "Chappe")
    assert (requests[1].fields["short_message"], requests[1].fields["esm_class"]) == (UDH_TEXT, 0x40)
    assert requests[1].fields["validity_period"] == "000000001000000R"
    assert requests[2].tlvs == [(0x1400, b"pe"), (tlv.MESSAGE_PAYLOAD, b"x" * 300)]
    await client.stop()


async def test_a_hundred_at_once_are_answered(pair: Pair) -> None:
    client, smsc = await bound(pair, "TRX")
    async with asyncio.timeout(20):
        answers = await asyncio.gather(*(smsc.submit_sm("48600100200", str(n).encode()) for n in range(100)))
    assert all(answer.is_success for answer in answers)
    assert len({answer.message_id for answer in answers}) == 100
    await client.stop()


async def test_it_reads_our_receipts(pair: Pair) -> None:
    client, smsc = await bound(pair, "RX")
    await until(lambda: pair.customers["acme"].bound)
    text = receipt.format_text("77", receipt.MessageState.UNDELIVERABLE, 1_700_000_000_000, 1_700_000_060_000, "011")
    fields = {"source_addr": "48600100200", "destination_addr": "Chappe", "esm_class": 4, "short_message": text}
    tlvs = receipt.receipt_tlvs("77", receipt.MessageState.UNDELIVERABLE, (3, 11))
    pair.customers["acme"].request(Pdu(commands.DELIVER_SM, fields=fields, tlvs=tlvs), "receipt")
    async with asyncio.timeout(20):
        event = await smsc.next()
    assert (event.source_addr, event.esm_class, event.short_message) == ("48600100200", 4, text)
    assert [(item.tag, item.value) for item in event.tlvs] == tlvs
    await until(lambda: pair.ears["acme"].responses)
    assert pair.ears["acme"].responses[0][2].command_status == 0
    await client.stop()


# -- it is the server ------------------------------------------------------------------------------


class ForeignServer:
    """An smpp34 server that accepts everything, answers with ids and keeps what it heard."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.sessions: list[Any] = []
        self.submits: list[Any] = []
        self.unbound: list[Any] = []
        self._server = smpp34.Server("127.0.0.1", port, system_id="foreign")

    async def run(self) -> None:
        while True:
            event = await self._server.next()
            if isinstance(event, smpp34.Esme):
                self.sessions.append(event)
            elif isinstance(event, smpp34.SubmitSmEvent):
                self.submits.append(event)
                if event.destination_addr == "1":
                    event.reject(status.ESME_RTHROTTLED)
                else:
                    event.accept(f"id-{len(self.submits)}")
            else:
                self.unbound.append(event)

    async def start(self) -> None:
        await self._server.start()

    async def stop(self) -> None:
        await self._server.stop()


@pytest.fixture
async def foreign() -> AsyncIterator[ForeignServer]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = ForeignServer(port)
    await server.start()
    task = asyncio.get_running_loop().create_task(server.run())
    yield server
    task.cancel()
    await server.stop()


@pytest.mark.parametrize("kind", ["transmitter", "receiver", "transceiver"])
async def test_we_bind_to_it_in_every_mode_and_leave(foreign: ForeignServer, kind: Any) -> None:
    mine = Ear()
    conn = await connect("127.0.0.1", foreign.port, Bind(kind, "acme", "secret"), mine, SessionSettings())
    assert conn.bound and conn.system_id == "foreign"
    await until(lambda: foreign.sessions)
    assert foreign.sessions[0].can_receive is (kind != "transmitter")
    await conn.unbind(3)
    assert mine.lost == [("unbound", [])]
    await until(lambda: foreign.unbound)


async def test_it_reads_our_messages_and_we_its_answers(foreign: ForeignServer) -> None:
    mine = Ear()
    bind = Bind("transceiver", "acme", "secret")
    conn = await connect("127.0.0.1", foreign.port, bind, mine, SessionSettings(window=20))
    common = {
        "source_addr_ton": 5,
        "source_addr": "Chappe",
        "destination_addr": "48600100200",
        "registered_delivery": 1,
    }
    texts = [
        Pdu(commands.SUBMIT_SM, fields={**common, "data_coding": 8, "short_message": "zażółć".encode("utf-16-be")}),
        Pdu(commands.SUBMIT_SM, fields={**common, "esm_class": 0x40, "short_message": UDH_TEXT}),
        Pdu(commands.SUBMIT_SM, fields=common, tlvs=[(tlv.MESSAGE_PAYLOAD, b"x" * 300), (0x1400, b"pe")]),
        Pdu(commands.SUBMIT_SM, fields={**common, "destination_addr": "1"}),
    ]
    for n, pdu in enumerate(texts):
        conn.request(pdu, n)
    await until(lambda: len(mine.responses) == 4)
    answers = {context: response for context, _, response, _, _ in mine.responses}
    assert answers[3].command_status == status.ESME_RTHROTTLED
    # It works on several at once, so the number in its answer says which of its events is which of ours.
    ucs2, udh, payload = (foreign.submits[int(answers[n].fields["message_id"][3:]) - 1] for n in range(3))
    assert (ucs2.source_addr, ucs2.source_addr_ton, ucs2.data_coding) == ("Chappe", 5, 8)
    assert ucs2.short_message.decode("utf-16-be") == "zażółć"
    assert (udh.short_message, udh.esm_class) == (UDH_TEXT, 0x40)
    assert [(item.tag, item.value) for item in payload.tlvs] == texts[2].tlvs
    await conn.unbind(3)


async def test_we_read_its_receipts_and_answer_them(foreign: ForeignServer) -> None:
    mine = Ear()
    conn = await connect("127.0.0.1", foreign.port, Bind("transceiver", "acme", "secret"), mine, SessionSettings())
    await until(lambda: foreign.sessions)
    tlvs = [smpp34.Tlv(tlv.RECEIPTED_MESSAGE_ID, b"id-1\0"), smpp34.Tlv(tlv.MESSAGE_STATE, b"\x02")]
    async with asyncio.timeout(20):
        answer = await foreign.sessions[0].deliver_sm(
            "Chappe", b"id:id-1 stat:DELIVRD err:000", source_addr="48600100200", esm_class=4, tlvs=tlvs
        )
    assert answer.is_success
    found = receipt.from_pdu(mine.requests[0])
    assert found is not None
    assert (found.id, found.state, found.handset) == ("id-1", receipt.MessageState.DELIVERED, "48600100200")
    await conn.unbind(3)


async def test_a_bind_to_nobody_fails_in_time(foreign: ForeignServer) -> None:
    await foreign.stop()
    with pytest.raises((OSError, BindFailed)):
        await connect(
            "127.0.0.1", foreign.port, Bind("transceiver", "acme", "x"), Ear(), SessionSettings(session_init_s=1)
        )


# -- the codecs, octet by octet --------------------------------------------------------------------


def test_both_codecs_write_the_same_octets() -> None:
    fields: dict[str, Any] = {
        "service_type": "CMT",
        "source_addr_ton": 5,
        "source_addr_npi": 8,
        "source_addr": "Chappe",
        "dest_addr_ton": 1,
        "dest_addr_npi": 1,
        "destination_addr": "48600100200",
        "esm_class": 0x40,
        "protocol_id": 64,
        "priority_flag": 2,
        "schedule_delivery_time": "241231235959900+",
        "validity_period": "000001000000000R",
        "registered_delivery": 1,
        "replace_if_present_flag": 1,
        "data_coding": 8,
        "sm_default_msg_id": 3,
        "short_message": UDH_TEXT,
    }
    tlvs = [(tlv.SAR_MSG_REF_NUM, b"\x00\x07"), (0x1400, b"vendor")]
    theirs_tlvs = [smpp34.Tlv(tag, value) for tag, value in tlvs]
    for command_id, kind in ((commands.SUBMIT_SM, smpp34.SubmitSm), (commands.DELIVER_SM, smpp34.DeliverSm)):
        ours = encode(Pdu(command_id, 0, 99, dict(fields), tlvs))
        theirs = kind(**fields, tlvs=theirs_tlvs, sequence_number=99).encode()
        assert ours == theirs
        assert decode(theirs).fields == fields
