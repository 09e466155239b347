"""Octets that nobody meant: only PduError may come out, and no session hangs or grows."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from chappe.smpp import commands, receipt
from chappe.smpp.commands import RESPONSE
from chappe.smpp.dump import dump, redacted_hex
from chappe.smpp.pdu import Pdu, PduError, decode, encode
from chappe.smpp.session import Closed, Request, Role, Session, SessionSettings
from tests.smpp.strategies import pdus

SETTINGS = SessionSettings(max_pdu=4096, max_pending=20, max_before_bind=2048)


def _survives(frame: bytes) -> None:
    redacted_hex(frame)
    try:
        pdu = decode(frame)
    except PduError:
        return
    dump(pdu)
    receipt.from_pdu(pdu, receipt.Dialect(plain_text_receipts=True))
    if pdu.fields:  # what was read can be written, and reads the same again
        assert decode(encode(pdu)) == pdu


@given(st.binary(max_size=300))
def test_random_octets_are_a_pdu_or_a_pdu_error(frame: bytes) -> None:
    _survives(frame)


@given(st.sampled_from(list(commands.LAYOUTS)), st.integers(0, 0xFFFFFFFF), st.binary(max_size=200))
def test_random_bodies_are_a_pdu_or_a_pdu_error(command_id: int, sequence: int, body: bytes) -> None:
    head = (16 + len(body), command_id, 0, sequence)
    _survives(b"".join(number.to_bytes(4, "big") for number in head) + body)


@given(pdus(), st.data())
@settings(max_examples=300)
def test_mutated_pdus_are_a_pdu_or_a_pdu_error(pdu: Pdu, data: st.DataObject) -> None:
    frame = bytearray(encode(pdu))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(frame) - 1))
        what = data.draw(st.sampled_from(["flip", "cut", "insert", "count"]))
        if what == "flip":
            frame[at] = data.draw(st.integers(0, 255))
        elif what == "cut" and len(frame) > 17:
            del frame[max(16, at) :]
        elif what == "insert":
            frame[at:at] = data.draw(st.binary(max_size=8))
        else:
            frame[at] = 255
    if data.draw(st.booleans()):
        frame[:4] = len(frame).to_bytes(4, "big")
    _survives(bytes(frame))


def _bound(role: Role) -> Session:
    session = Session(role, SETTINGS, 0)
    bind = Pdu(commands.BIND_TRANSCEIVER, 0, 1, {"system_id": "fuzz", "interface_version": 0x34})
    if role is Role.MC:
        [event] = session.receive(encode(bind), 0)
        assert isinstance(event, Request)
        session.respond(event.pdu, 0, {"system_id": "mc"}, (), 0)
    else:
        session.request(bind, None, 0)
        session.receive(encode(Pdu(commands.BIND_TRANSCEIVER | RESPONSE, 0, bind.sequence_number)), 0)
        for n in range(5):
            session.request(Pdu(commands.SUBMIT_SM), n, 0)
    session.take_output()
    return session


def _feed(session: Session, stream: bytes, sizes: list[int]) -> None:
    """Feeds a stream in chunks and checks what must hold after each."""
    at, now, ended, nth = 0, 0.0, 0, 0
    while at < len(stream):
        size = sizes[nth % len(sizes)]
        nth, now = nth + 1, now + 0.01
        events = session.receive(stream[at : at + size], now) + session.tick(now)
        at += size
        ended += sum(isinstance(event, Closed) for event in events)
        assert len(session._buffer) <= SETTINGS.max_pdu + size
        assert session.pending <= SETTINGS.max_pending
        assert len(session.take_output()) <= 16 * 40 * (len(stream) // 16 + 2)
    session.close("over")
    assert ended <= 1
    assert session.closed


chunks = st.lists(st.integers(1, 100), min_size=1, max_size=8)
roles = st.sampled_from(Role)


@given(roles, st.booleans(), st.binary(max_size=3000), chunks)
def test_random_streams_end_a_session_at_worst(role: Role, bound: bool, stream: bytes, sizes: list[int]) -> None:
    _feed(_bound(role) if bound else Session(role, SETTINGS, 0), stream, sizes)


@given(roles, st.booleans(), st.lists(pdus(), max_size=15), chunks)
def test_any_pdus_in_any_chunks_are_survived(role: Role, bound: bool, sent: list[Pdu], sizes: list[int]) -> None:
    stream = b"".join(map(encode, sent))
    _feed(_bound(role) if bound else Session(role, SETTINGS, 0), stream, sizes)


@given(st.lists(pdus([commands.SUBMIT_SM]), min_size=1, max_size=15), chunks)
def test_the_cut_of_the_stream_makes_no_difference(sent: list[Pdu], sizes: list[int]) -> None:
    for number, pdu in enumerate(sent):
        pdu.sequence_number = number + 1
    stream = b"".join(map(encode, sent))
    whole, cut, heard, at, nth = _bound(Role.MC), _bound(Role.MC), [], 0, 0
    while at < len(stream):
        size = sizes[nth % len(sizes)]
        heard += cut.receive(stream[at : at + size], 0)
        at, nth = at + size, nth + 1
    assert heard == whole.receive(stream, 0)
    assert [event.pdu for event in heard if isinstance(event, Request)] == sent


def test_a_long_pdu_in_single_octets_costs_no_quadratic_time() -> None:
    session = _bound(Role.MC)
    frame = encode(Pdu(commands.SUBMIT_SM, 0, 2, {}, [(0x0424, b"x" * 4000)]))
    heard = [event for at in range(len(frame)) for event in session.receive(frame[at : at + 1], 0)]
    assert len(heard) == 1
    assert not session._buffer
