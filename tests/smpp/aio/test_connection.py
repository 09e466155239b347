"""Client and server over loopback."""

from __future__ import annotations

import asyncio
import socket
import struct
from typing import Any

import pytest

from chappe.smpp import Pdu, PduError, commands, decode, encode, status, tlv
from chappe.smpp.aio import Bind, BindFailed, Connection, NotBound, SessionSettings, Verdict, WindowFull, connect, serve
from tests.smpp.aio.peers import Ear, Pair, until


def submit(text: bytes = b"hello", **fields: Any) -> Pdu:
    return Pdu(commands.SUBMIT_SM, fields={"destination_addr": "48600100200", "short_message": text, **fields})


def deliver(text: bytes = b"STOP") -> Pdu:
    return Pdu(commands.DELIVER_SM, fields={"source_addr": "48600100200", "short_message": text})


def hold(conn: Connection, pdu: Pdu) -> None:
    """An answer that never comes."""


class Spy:
    """A transport that counts its writes."""

    def __init__(self, transport: Any) -> None:
        self._transport = transport
        self.writes = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        self.writes += 1
        self._transport.write(data)


@pytest.mark.parametrize(
    ("kind", "sends", "receives"),
    [("transmitter", True, False), ("receiver", False, True), ("transceiver", True, True)],
)
async def test_a_bind_of_each_type_is_known_at_both_ends(pair: Pair, kind: Any, sends: bool, receives: bool) -> None:
    conn = await pair.connect(Ear(), bind=Bind(kind, "acme", "secret"))
    customer = pair.customers["acme"]
    assert (conn.bound, conn.bind_type, conn.system_id, conn.interface_version) == (True, kind, "mc", 0x34)
    assert (conn.can_send, conn.can_receive) == (sends, receives)
    await until(lambda: customer.bound)
    assert (customer.bind_type, customer.system_id) == (kind, "acme")
    assert (customer.can_send, customer.can_receive) == (receives, sends)
    assert customer.peer[0] == "127.0.0.1"
    assert conn.peer[1] == (pair.server.port if pair.server else 0)


async def test_messages_go_both_ways_and_bring_their_octets(pair: Pair) -> None:
    mine = Ear()
    conn = await pair.connect(mine)
    sequence = conn.request(submit("zażółć".encode("utf-16-be"), data_coding=8), "context")
    await until(lambda: mine.responses)
    [(context, request, response, request_raw, response_raw)] = mine.responses
    assert (context, request.sequence_number, response.fields["message_id"]) == ("context", sequence, str(sequence))
    theirs = pair.ears["acme"]
    assert theirs.raws == [request_raw]
    assert decode(response_raw) == response
    assert theirs.requests[0].fields["short_message"].decode("utf-16-be") == "zażółć"

    pair.customers["acme"].request(deliver(), "receipt")
    await until(lambda: theirs.responses)
    assert mine.requests[0].name == "deliver_sm"
    assert theirs.responses[0][0] == "receipt"


async def test_what_is_asked_in_one_turn_leaves_in_one_write(pair: Pair) -> None:
    mine = Ear()
    conn = await pair.connect(mine, SessionSettings(window=100))
    spy = Spy(conn._transport)
    conn._transport = spy  # type: ignore[assignment]
    for n in range(100):
        conn.request(submit(), n)
    await until(lambda: len(mine.responses) == 100)
    assert spy.writes == 1


async def test_a_full_window_says_so_and_calls_when_there_is_room(pair: Pair) -> None:
    mine = Ear()
    pair.ears["acme"] = Ear(hold)
    conn = await pair.connect(mine, SessionSettings(window=2))
    assert (conn.window, conn.room) == (2, 2)
    conn.request(submit(), 1)
    conn.request(submit(), 2)
    assert conn.room == 0
    with pytest.raises(WindowFull):
        conn.request(submit(), 3)
    theirs = pair.ears["acme"]
    await until(lambda: len(theirs.requests) == 2)
    assert theirs.conn is not None
    theirs.conn.respond(theirs.requests[1], status.ESME_RTHROTTLED)
    await until(lambda: mine.responses)
    assert (mine.responses[0][0], mine.responses[0][2].command_status) == (2, status.ESME_RTHROTTLED)
    assert (mine.rooms, conn.room) == (1, 1)


async def test_an_answer_that_does_not_come_is_a_timeout(pair: Pair) -> None:
    mine = Ear()
    pair.ears["acme"] = Ear(hold)
    conn = await pair.connect(mine, SessionSettings(response_timeout_s=0.1))
    conn.request(submit(), "context")
    await until(lambda: mine.timeouts)
    assert mine.timeouts[0][0] == "context"
    assert decode(mine.timeouts[0][2]).fields["short_message"] == b"hello"
    assert conn.bound and conn.room == 10


@pytest.mark.parametrize("who", ["client", "server"])
async def test_a_connection_that_dies_lists_exactly_the_unanswered(pair: Pair, who: str) -> None:
    def every_other(conn: Connection, pdu: Pdu) -> None:
        if pdu.fields["short_message"] == b"yes":
            conn.respond(pdu, fields={"message_id": "1"})

    mine = Ear()
    pair.ears["acme"] = Ear(every_other)
    conn = await pair.connect(mine, SessionSettings(window=50))
    for n in range(50):
        conn.request(submit(b"yes" if n % 2 else b"no"), n)
    await until(lambda: len(mine.responses) == 25)
    customer = pair.customers["acme"]
    (conn if who == "client" else customer).abort()
    await until(lambda: mine.lost and pair.ears["acme"].lost)
    [(_, unanswered)] = mine.lost
    assert [context for context, _, _ in unanswered] == list(range(0, 50, 2))
    assert all(decode(raw).fields["short_message"] == b"no" for _, _, raw in unanswered)
    assert sorted(context for context, *_ in mine.responses) == list(range(1, 50, 2))
    assert len(pair.ears["acme"].lost) == 1
    assert conn.room == 0 and not conn.bound
    with pytest.raises(NotBound):
        conn.request(submit())
    customer.respond(pair.ears["acme"].requests[0])  # too late, and no harm


async def test_an_unbind_waits_for_the_answers_that_are_due(pair: Pair) -> None:
    def slowly(conn: Connection, pdu: Pdu) -> None:
        asyncio.get_running_loop().call_later(0.1, conn.respond, pdu, 0, {"message_id": "1"})

    mine = Ear()
    pair.ears["acme"] = Ear(slowly)
    conn = await pair.connect(mine)
    conn.request(submit(), 1)
    await conn.unbind(2)
    assert [context for context, *_ in mine.responses] == [1]
    assert mine.lost == [("unbound", [])]
    await until(lambda: pair.ears["acme"].lost)
    assert pair.ears["acme"].lost == [("unbound by peer", [])]


async def test_an_unbind_that_is_not_answered_ends_all_the_same(pair: Pair) -> None:
    mine = Ear()
    pair.ears["acme"] = Ear(hold)
    conn = await pair.connect(mine)
    conn.request(submit(), 1)
    async with asyncio.timeout(20):
        await conn.unbind(0.2)
    assert [context for context, _, _ in mine.lost[0][1]] == [1]
    await conn.wait_closed()


async def test_a_silent_peer_is_given_up(pair: Pair) -> None:
    mine = Ear()
    conn = await pair.connect(mine, SessionSettings(enquire_link_s=0.05, enquire_link_timeout_s=0.05))
    pair.customers["acme"].pause_reading()
    await until(lambda: mine.lost)
    assert mine.lost == [("enquire_link not answered", [])]
    await conn.wait_closed()


async def test_two_idle_ends_keep_each_other_alive(pair: Pair) -> None:
    quick = SessionSettings(enquire_link_s=0.03, enquire_link_timeout_s=0.5)
    await pair.serve(quick)
    mine = Ear()
    conn = await pair.connect(mine, quick)
    await asyncio.sleep(0.3)
    assert conn.bound and not mine.lost


async def test_while_we_do_not_read_the_peers_silence_proves_nothing(pair: Pair) -> None:
    mine = Ear()
    conn = await pair.connect(
        mine, SessionSettings(response_timeout_s=0.1, enquire_link_s=0.05, enquire_link_timeout_s=0.05)
    )
    conn.pause_reading()
    conn.request(submit(), 1)
    await asyncio.sleep(0.3)
    assert not mine.timeouts and not mine.lost
    conn.resume_reading()
    await until(lambda: mine.responses)
    assert not mine.timeouts and not mine.lost


async def test_a_peer_that_does_not_read_is_dropped(pair: Pair) -> None:
    """A customer asks and asks, and leaves our answers unread."""
    server = await pair.serve(SessionSettings(max_write_buffer=20_000, max_pending=100_000))
    loop = asyncio.get_running_loop()
    with socket.socket() as rude:
        rude.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        rude.setblocking(False)
        await loop.sock_connect(rude, ("127.0.0.1", server.port))
        bind = Pdu(commands.BIND_TRANSMITTER, 0, 1, {"system_id": "rude", "password": "secret"})
        await loop.sock_sendall(rude, encode(bind))
        await until(lambda: "rude" in pair.customers and pair.customers["rude"].bound)
        pings = encode(Pdu(commands.ENQUIRE_LINK, 0, 2)) * 1000
        with pytest.raises(OSError):
            async with asyncio.timeout(20):
                while True:
                    await loop.sock_sendall(rude, pings)
    await until(lambda: pair.ears["rude"].lost)
    assert pair.ears["rude"].lost == [("slow reader", [])]


async def test_a_peer_that_stalls_gets_no_more_requests_and_is_dropped_in_the_end(pair: Pair) -> None:
    mine = Ear()
    conn = await pair.connect(
        mine, SessionSettings(window=100_000, slow_reader_s=0.3, max_write_buffer=64 * 1024 * 1024)
    )
    pair.customers["acme"].pause_reading()
    payload = [(tlv.MESSAGE_PAYLOAD, b"x" * 60_000)]
    sent = 0
    with pytest.raises(WindowFull):
        for _ in range(500):
            conn.request(Pdu(commands.SUBMIT_SM, tlvs=payload), sent)
            sent += 1
            await asyncio.sleep(0)
    assert conn.room == 0
    await until(lambda: mine.lost)
    [(reason, unanswered)] = mine.lost
    assert reason == "slow reader"
    assert len(unanswered) == sent


async def test_a_burst_meets_the_window_and_not_the_limit_of_a_slow_reader(pair: Pair) -> None:
    """All in one turn of the loop: the socket has no chance to take anything in between."""
    mine = Ear()
    conn = await pair.connect(mine, SessionSettings(window=100_000, max_write_buffer=1024 * 1024))
    sent = 0
    with pytest.raises(WindowFull):
        for _ in range(5000):
            conn.request(Pdu(commands.SUBMIT_SM, tlvs=[(tlv.MESSAGE_PAYLOAD, b"x" * 10_000)]), sent)
            sent += 1
    await until(lambda: len(mine.responses) == sent)
    assert conn.bound and mine.rooms == 1


async def test_a_peer_that_reads_again_makes_room(pair: Pair) -> None:
    mine = Ear()
    conn = await pair.connect(mine, SessionSettings(window=100_000))
    customer = pair.customers["acme"]
    customer.pause_reading()
    sent = 0
    while conn.room:
        conn.request(Pdu(commands.SUBMIT_SM, tlvs=[(tlv.MESSAGE_PAYLOAD, b"x" * 60_000)]), sent)
        sent += 1
        await asyncio.sleep(0)
    customer.resume_reading()
    await until(lambda: len(mine.responses) == sent)
    assert mine.rooms >= 1 and conn.room > 0


async def test_a_handler_that_fails_costs_one_answer_only(pair: Pair) -> None:
    def fails(conn: Connection, pdu: Pdu) -> None:
        if pdu.fields["short_message"] == b"bad":
            raise RuntimeError("a bug of the application")
        conn.respond(pdu, fields={"message_id": "1"})

    reported: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: reported.append(context))
    mine = Ear()
    pair.ears["acme"] = Ear(fails)
    conn = await pair.connect(mine)
    for text in (b"good", b"bad", b"good"):
        conn.request(submit(text), text)
    await until(lambda: len(mine.responses) == 3)
    answered = {context: response.command_status for context, _, response, _, _ in mine.responses}
    assert answered == {b"good": 0, b"bad": status.ESME_RSYSERR}
    assert [str(context["exception"]) for context in reported] == ["a bug of the application"]
    assert conn.bound


# -- the server and strangers ----------------------------------------------------------------------


async def test_a_wrong_password_is_refused_after_the_delay_and_closed(pair: Pair) -> None:
    mine = Ear()
    loop = asyncio.get_running_loop()
    before = loop.time()
    with pytest.raises(BindFailed) as caught:
        await pair.connect(mine, bind=Bind("transceiver", "acme", "wrong"))
    assert loop.time() - before >= 0.05
    assert (caught.value.status, caught.value.stop) == (status.ESME_RINVPASWD, True)
    assert "wrong" not in repr(Bind("transceiver", "acme", "wrong"))
    assert not mine.lost
    await until(lambda: pair.server is not None and not pair.server.connections)


async def test_an_authentication_that_fails_refuses_the_bind(pair: Pair) -> None:
    async def broken(conn: Connection, bind: Pdu) -> Verdict:
        raise RuntimeError("the store is away")

    reported: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: reported.append(context))
    pair.authenticate = broken  # type: ignore[method-assign]
    with pytest.raises(BindFailed) as caught:
        await pair.connect(Ear())
    assert (caught.value.status, caught.value.stop) == (status.ESME_RBINDFAIL, False)
    assert [str(context["exception"]) for context in reported] == ["the store is away"]


async def test_nobody_there_and_nobody_who_answers_are_errors_of_their_own(pair: Pair) -> None:
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        port = deaf.getsockname()[1]
        bind = Bind("transceiver", "acme", "secret")
        with pytest.raises(OSError):
            await connect("127.0.0.1", port, bind, Ear(), SessionSettings())
        deaf.listen()
        with pytest.raises(TimeoutError):
            await connect("127.0.0.1", port, bind, Ear(), SessionSettings(session_init_s=0.1))


async def test_a_bind_that_does_not_fit_is_not_sent(pair: Pair) -> None:
    with pytest.raises(PduError):
        await pair.connect(Ear(), bind=Bind("transceiver", "acme", "longer than eight"))
    await pair.serve(SessionSettings(long_passwords=True))
    with pytest.raises(BindFailed):
        bind = Bind("transceiver", "acme", "longer than eight")
        await pair.connect(Ear(), SessionSettings(long_passwords=True), bind)


async def test_a_connection_that_is_closed_before_the_bind_answer_is_an_os_error(pair: Pair) -> None:
    async def slams(conn: Connection, bind: Pdu) -> Verdict:
        conn.abort()
        await asyncio.sleep(1)
        return Verdict()

    pair.authenticate = slams  # type: ignore[method-assign]
    with pytest.raises(OSError):
        await pair.connect(Ear())


async def test_who_does_not_bind_in_time_is_closed(pair: Pair) -> None:
    server = await pair.serve(SessionSettings(session_init_s=0.1))
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    async with asyncio.timeout(20):
        assert await reader.read() == b""
    writer.close()


async def test_one_address_cannot_take_all_places(pair: Pair) -> None:
    server = await pair.serve(max_per_ip=2)
    await pair.connect(Ear())
    await pair.connect(Ear())
    with pytest.raises(OSError):
        await pair.connect(Ear())
    assert len(server.connections) == 2
    pair.mine[0].abort()
    await until(lambda: len(server.connections) == 1)
    assert (await pair.connect(Ear())).bound


async def test_a_broken_length_is_nacked_and_closed(pair: Pair) -> None:
    server = await pair.serve()
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(struct.pack(">4I", 5, 4, 0, 1))
    async with asyncio.timeout(20):
        answer = decode(await reader.read())
    assert (answer.command_id, answer.command_status) == (commands.GENERIC_NACK, status.ESME_RINVCMDLEN)
    writer.close()


async def test_one_broken_customer_does_not_touch_the_others(pair: Pair) -> None:
    server = await pair.serve()
    mine = Ear()
    conn = await pair.connect(mine)
    for rubbish in (b"GET / HTTP/1.1\r\n\r\n", b"\xff" * 100, b"\0" * 100, encode(submit()) * 200):
        _, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(rubbish)
        await until(lambda: len(server.connections) == 1)
        writer.close()
    conn.request(submit(), 1)
    await until(lambda: mine.responses)


async def test_a_server_that_closes_says_goodbye(pair: Pair) -> None:
    server = await pair.serve()
    mine = Ear()
    conn = await pair.connect(mine)
    await server.close(2)
    await until(lambda: mine.lost)
    assert mine.lost == [("unbound by peer", [])]
    assert conn.closed and not server.connections
    with pytest.raises(OSError):
        await connect("127.0.0.1", server.port or 1, Bind("receiver", "acme", "secret"), Ear(), SessionSettings())


async def test_the_factory_makes_a_handler_where_the_verdict_brings_none() -> None:
    ear = Ear()

    async def anybody(conn: Connection, bind: Pdu) -> Verdict:
        return Verdict(system_id="mc")

    server = await serve("127.0.0.1", 0, anybody, lambda conn: ear, SessionSettings())
    conn = await connect("127.0.0.1", server.port, Bind("transceiver", "acme", ""), Ear(), SessionSettings())
    conn.request(submit())
    await until(lambda: ear.requests)
    await server.close(1)


async def test_binding_and_leaving_often_leaves_nothing_behind(pair: Pair) -> None:
    server = await pair.serve()
    for _ in range(30):
        conn = await pair.connect(Ear())
        await conn.unbind(1)
    await until(lambda: not server.connections)
    assert not server._per_ip and not server._binding
