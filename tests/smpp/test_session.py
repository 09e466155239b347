"""Sessions with a clock of our own: octets and seconds in, events and octets out."""

from __future__ import annotations

import math
import struct
from typing import Any

import pytest

from chappe.smpp import commands, status, tlv
from chappe.smpp.commands import RESPONSE
from chappe.smpp.pdu import Pdu, decode, encode
from chappe.smpp.session import (
    Closed,
    Event,
    NotBound,
    PeerTooOld,
    Request,
    Response,
    Role,
    Room,
    Session,
    SessionSettings,
    State,
    Timeout,
    WindowFull,
)

DEFAULTS = SessionSettings()
BINDS = {
    "transmitter": (commands.BIND_TRANSMITTER, State.BOUND_TX),
    "receiver": (commands.BIND_RECEIVER, State.BOUND_RX),
    "transceiver": (commands.BIND_TRANSCEIVER, State.BOUND_TRX),
}


def frames(data: bytes) -> list[Pdu]:
    """The PDUs in a stretch of octets."""
    found, at = [], 0
    while at < len(data):
        length = int.from_bytes(data[at : at + 4], "big")
        found.append(decode(data[at : at + length], long_passwords=True))
        at += length
    return found


def out(session: Session) -> list[Pdu]:
    return frames(session.take_output())


def bind(kind: str = "transceiver", version: int = 0x34) -> Pdu:
    fields = {"system_id": "acme", "password": "secret", "interface_version": version}
    return Pdu(BINDS[kind][0], fields=fields)


def mc(settings: SessionSettings = DEFAULTS, kind: str = "transceiver", version: int = 0x34) -> Session:
    """A message centre with a bound customer."""
    session = Session(Role.MC, settings, 0)
    [event] = session.receive(encode(Pdu(BINDS[kind][0], 0, 1, bind(kind, version).fields)), 0)
    assert isinstance(event, Request)
    session.respond(event.pdu, 0, {"system_id": "mc"}, (), 0)
    session.take_output()
    return session


def esme(settings: SessionSettings = DEFAULTS, kind: str = "transceiver", version: int | None = 0x34) -> Session:
    """A client that is bound."""
    session = Session(Role.ESME, settings, 0)
    sequence = session.request(bind(kind), "bind", 0)
    session.take_output()
    tlvs = [] if version is None else [(tlv.SC_INTERFACE_VERSION, bytes((version,)))]
    answer = Pdu(BINDS[kind][0] | RESPONSE, 0, sequence, {"system_id": "mc"}, tlvs)
    [event] = session.receive(encode(answer), 0)
    assert isinstance(event, Response)
    return session


def submit(session: Session, context: Any = None, now: float = 0) -> int:
    return session.request(Pdu(commands.SUBMIT_SM), context, now)


def accepted(sequence: int, message_id: str = "1") -> bytes:
    return encode(Pdu(commands.SUBMIT_SM | RESPONSE, 0, sequence, {"message_id": message_id}))


def asked(command_id: int, sequence: int = 7) -> bytes:
    return encode(Pdu(command_id, 0, sequence))


# -- binding ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", BINDS)
def test_both_ends_are_bound_after_the_answer(kind: str) -> None:
    client = Session(Role.ESME, SessionSettings(), 0)
    server = Session(Role.MC, SessionSettings(interface_version=0x50), 0)
    client.request(bind(kind), None, 0)
    [event] = server.receive(client.take_output(), 0)
    assert isinstance(event, Request)
    assert event.pdu.fields["password"] == "secret"
    assert server.state is State.OPEN
    server.respond(event.pdu, 0, {"system_id": "mc"}, (), 0)
    [answer] = client.receive(server.take_output(), 0)
    assert isinstance(answer, Response)
    assert answer.response.tlv(tlv.SC_INTERFACE_VERSION) == b"\x50"
    assert client.state is server.state is BINDS[kind][1]
    assert (client.peer_system_id, server.peer_system_id) == ("mc", "acme")
    assert (client.peer_version, server.peer_version) == (0x50, 0x34)


def test_nobody_keeps_the_password() -> None:
    client, server = esme(), mc()
    for session in (client, server):
        assert session.bind is not None
        assert session.bind.fields["password"] == ""


def test_a_refused_bind_leaves_both_ends_open() -> None:
    client, server = Session(Role.ESME, SessionSettings(), 0), Session(Role.MC, SessionSettings(), 0)
    client.request(bind(), None, 0)
    [event] = server.receive(client.take_output(), 0)
    assert isinstance(event, Request)
    server.respond(event.pdu, status.ESME_RINVPASWD, None, (), 0)
    octets = server.take_output()
    assert len(octets) == 16
    [answer] = client.receive(octets, 0)
    assert isinstance(answer, Response)
    assert answer.response.command_status == status.ESME_RINVPASWD
    assert client.state is server.state is State.OPEN


def test_nothing_passes_while_a_bind_waits_for_its_answer() -> None:
    server = Session(Role.MC, SessionSettings(), 0)
    events = server.receive(encode(bind()) + asked(commands.SUBMIT_SM, 2) + encode(bind()), 0)
    assert len(events) == 1
    assert [pdu.command_status for pdu in out(server)] == [status.ESME_RINVBNDSTS] * 2


def test_a_second_bind_is_refused() -> None:
    server = mc()
    assert server.receive(asked(commands.BIND_TRANSMITTER), 0) == []
    [answer] = out(server)
    assert (answer.command_id, answer.command_status) == (0x80000002, status.ESME_RALYBND)


def test_requests_right_behind_the_bind_answer_are_heard() -> None:
    client = Session(Role.ESME, SessionSettings(), 0)
    sequence = client.request(bind(), None, 0)
    answer = encode(Pdu(commands.BIND_TRANSCEIVER | RESPONSE, 0, sequence, {"system_id": "mc"}))
    events = client.receive(answer + asked(commands.DELIVER_SM), 0)
    assert [type(event) for event in events] == [Response, Request]


def test_a_flood_before_the_bind_ends_the_session() -> None:
    server = Session(Role.MC, SessionSettings(max_before_bind=1000), 0)
    events: list[Event] = []
    for _ in range(40):
        events += server.receive(asked(commands.SUBMIT_SM), 0)
    assert events == [Closed("flood before bind", [])]


def test_who_does_not_bind_in_time_is_closed() -> None:
    server = Session(Role.MC, SessionSettings(session_init_s=10), 0)
    assert server.next_deadline() == 10
    assert server.tick(9.9) == []
    assert server.tick(10) == [Closed("not bound in time", [])]
    assert server.next_deadline() == math.inf


# -- who may send what -----------------------------------------------------------------------------

_TO_MC = [
    commands.SUBMIT_SM,
    commands.SUBMIT_MULTI,
    commands.DATA_SM,
    commands.QUERY_SM,
    commands.CANCEL_SM,
    commands.REPLACE_SM,
    commands.BROADCAST_SM,
    commands.QUERY_BROADCAST_SM,
    commands.CANCEL_BROADCAST_SM,
]
_TO_ESME = [commands.DELIVER_SM, commands.DATA_SM]


@pytest.mark.parametrize("kind", BINDS)
@pytest.mark.parametrize("command_id", _TO_MC)
def test_a_message_centre_takes_messages_from_transmitters_only(kind: str, command_id: int) -> None:
    server = mc(kind=kind)
    events = server.receive(asked(command_id), 0)
    if kind == "receiver":
        [answer] = out(server)
        assert (answer.command_id, answer.command_status) == (command_id | RESPONSE, status.ESME_RINVBNDSTS)
        assert events == []
        assert server.counters.violations == 1
    else:
        assert [type(event) for event in events] == [Request]
        assert out(server) == []


@pytest.mark.parametrize("kind", BINDS)
@pytest.mark.parametrize("command_id", _TO_ESME)
def test_a_client_takes_messages_on_receivers_only(kind: str, command_id: int) -> None:
    client = esme(kind=kind)
    events = client.receive(asked(command_id), 0)
    assert [type(event) for event in events] == ([] if kind == "transmitter" else [Request])
    assert [pdu.command_status for pdu in out(client)] == ([4] if kind == "transmitter" else [])


@pytest.mark.parametrize("kind", BINDS)
def test_each_end_is_held_to_the_same_table(kind: str) -> None:
    client, server = esme(kind=kind), mc(kind=kind)
    for command_id in _TO_MC:
        assert client.may_send(command_id) is (kind != "receiver")
    for command_id in _TO_ESME:
        assert server.may_send(command_id) is (kind != "transmitter")
    assert not client.may_send(commands.DELIVER_SM)
    assert not server.may_send(commands.SUBMIT_SM)
    if kind == "receiver":
        with pytest.raises(NotBound):
            submit(client)


@pytest.mark.parametrize("command_id", [*_TO_MC, *_TO_ESME, commands.ENQUIRE_LINK, commands.UNBIND])
def test_nothing_passes_before_a_bind(command_id: int) -> None:
    server = Session(Role.MC, SessionSettings(), 0)
    assert server.receive(asked(command_id), 0) == []
    [answer] = out(server)
    assert (answer.command_id, answer.command_status) == (command_id | RESPONSE, status.ESME_RINVBNDSTS)
    with pytest.raises(NotBound):
        submit(Session(Role.ESME, SessionSettings(), 0))


def test_a_notification_is_heard_and_not_answered() -> None:
    client = esme()
    [event] = client.receive(asked(commands.ALERT_NOTIFICATION), 0)
    assert isinstance(event, Request)
    assert client.respond(event.pdu, 0, None, (), 0) == []
    assert not client.output_size
    server = mc()
    server.request(Pdu(commands.ALERT_NOTIFICATION), None, 0)
    assert server.unanswered == 0


def test_an_outbind_is_heard_by_a_client_that_is_not_bound() -> None:
    client = Session(Role.ESME, SessionSettings(), 0)
    [event] = client.receive(encode(Pdu(commands.OUTBIND, 0, 1, {"system_id": "mc"})), 0)
    assert isinstance(event, Request)
    server = mc()
    server.receive(asked(commands.OUTBIND), 0)
    assert out(server)[0].command_id == commands.GENERIC_NACK


# -- errors of the peer ----------------------------------------------------------------------------


@pytest.mark.parametrize("length", [0, 3, 15, 70 * 1024 + 1, 0xFFFFFFFF])
def test_an_impossible_length_is_nacked_and_ends_the_session(length: int) -> None:
    server = mc()
    submit_first = asked(commands.SUBMIT_SM)
    events = server.receive(submit_first + struct.pack(">4I", length, 4, 0, 5), 0)
    assert isinstance(events[0], Request)
    assert events[1] == Closed(f"command_length {length}", [])
    [nack] = out(server)
    assert (nack.command_id, nack.command_status, nack.sequence_number) == (
        commands.GENERIC_NACK,
        status.ESME_RINVCMDLEN,
        0,
    )
    assert server.receive(submit_first, 0) == []


def test_an_unknown_command_is_nacked_and_the_session_goes_on() -> None:
    server = mc()
    events = server.receive(struct.pack(">4I", 20, 0x01000001, 0, 99) + b"abcd" + asked(commands.SUBMIT_SM), 0)
    assert [type(event) for event in events] == [Request]
    [nack] = out(server)
    assert (nack.command_id, nack.command_status, nack.sequence_number) == (
        commands.GENERIC_NACK,
        status.ESME_RINVCMDID,
        99,
    )


def test_an_unreadable_request_is_refused_with_the_status_of_its_field() -> None:
    server = mc()
    body = b"\0\x01\x01" + b"1" * 30
    assert server.receive(struct.pack(">4I", 16 + len(body), 4, 0, 99) + body, 0) == []
    [answer] = out(server)
    assert (answer.command_id, answer.command_status, answer.sequence_number) == (
        0x80000004,
        status.ESME_RINVSRCADR,
        99,
    )
    assert server.state is State.BOUND_TRX


def test_responses_to_nothing_are_counted_and_never_answered() -> None:
    client = esme()
    for octets in (accepted(99), struct.pack(">4I", 16, 0x81000001, 0, 3), struct.pack(">4I", 16, 0x80000000, 3, 0)):
        assert client.receive(octets, 0) == []
    assert client.counters.stray_responses == 3
    assert not client.output_size


def test_a_response_of_another_command_is_no_answer() -> None:
    client = esme()
    sequence = submit(client)
    assert client.receive(encode(Pdu(commands.QUERY_SM | RESPONSE, 0, sequence)), 0) == []
    assert client.unanswered == 1


def test_a_generic_nack_is_an_answer() -> None:
    client = esme()
    sequence = submit(client, "context")
    [event] = client.receive(encode(Pdu(commands.GENERIC_NACK, status.ESME_RINVCMDID, sequence)), 0)
    assert isinstance(event, Response)
    assert (event.context, event.response.command_status) == ("context", status.ESME_RINVCMDID)


def test_more_unanswered_requests_than_permitted_are_throttled() -> None:
    server = mc(SessionSettings(max_pending=2))
    events = server.receive(b"".join(asked(commands.SUBMIT_SM, n) for n in (1, 2, 3)), 0)
    assert len(events) == server.pending == 2
    [answer] = out(server)
    assert (answer.command_status, answer.sequence_number) == (status.ESME_RTHROTTLED, 3)
    assert isinstance(events[0], Request)
    server.respond(events[0].pdu, 0, None, (), 0)
    assert len(server.receive(asked(commands.SUBMIT_SM, 4), 0)) == 1


def test_a_sequence_number_that_still_waits_is_refused() -> None:
    server = mc()
    assert len(server.receive(asked(commands.SUBMIT_SM, 7) * 2, 0)) == 1
    assert out(server)[0].command_status == status.ESME_RSYSERR


# -- the window ------------------------------------------------------------------------------------


def test_responses_meet_their_requests_in_any_order() -> None:
    client = esme()
    sequences = [submit(client, context) for context in "abc"]
    raws = frames(client.take_output())
    assert [pdu.sequence_number for pdu in raws] == sequences
    events = client.receive(b"".join(accepted(sequence, f"id{sequence}") for sequence in reversed(sequences)), 0)
    answers = [event for event in events if isinstance(event, Response)]
    assert [event.context for event in answers] == ["c", "b", "a"]
    assert [event.response.fields["message_id"] for event in answers] == [f"id{n}" for n in reversed(sequences)]
    for event in answers:
        assert decode(event.request_raw).sequence_number == decode(event.response_raw).sequence_number


def test_a_full_window_refuses_and_says_when_there_is_room() -> None:
    client = esme(SessionSettings(window=2))
    first, _ = submit(client), submit(client)
    assert client.room == 0
    with pytest.raises(WindowFull):
        submit(client)
    events = client.receive(accepted(first), 0)
    assert [type(event) for event in events] == [Response, Room]
    assert client.room == 1
    submit(client)
    assert client.room == 0


def test_a_timeout_makes_room_too() -> None:
    client = esme(SessionSettings(window=1, response_timeout_s=5))
    submit(client, "a")
    events = client.tick(5)
    assert [type(event) for event in events] == [Timeout, Room]


def test_sequence_numbers_start_again_at_one_and_skip_what_waits() -> None:
    client = esme()
    first = submit(client)
    client._sequence = 0x7FFFFFFF - 1
    assert submit(client) == 0x7FFFFFFF
    wrapped = [submit(client) for _ in range(3)]
    assert wrapped[0] == 1
    assert first not in wrapped


def test_a_request_that_cannot_be_written_takes_no_place() -> None:
    client = esme()
    with pytest.raises(ValueError):
        client.request(Pdu(commands.SUBMIT_SM, fields={"esm_class": 999}), None, 0)
    assert client.unanswered == 0
    assert not client.output_size


def test_answers_leave_in_any_order_and_only_once() -> None:
    server = mc()
    events = server.receive(b"".join(asked(commands.SUBMIT_SM, n) for n in (1, 2, 3)), 0)
    requests = [event.pdu for event in events if isinstance(event, Request)]
    for pdu in (requests[2], requests[0], requests[1], requests[0]):
        server.respond(pdu, 0, {"message_id": str(pdu.sequence_number)}, (), 0)
    assert [pdu.fields["message_id"] for pdu in out(server)] == ["3", "1", "2"]


# -- versions --------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", [0x00, 0x33])
def test_an_old_peer_gets_no_tlvs(version: int) -> None:
    server = Session(Role.MC, SessionSettings(), 0)
    [event] = server.receive(encode(bind(version=version)), 0)
    assert isinstance(event, Request)
    server.respond(event.pdu, 0, {"system_id": "mc"}, (), 0)
    assert out(server)[0].tlvs == []
    server.request(Pdu(commands.DELIVER_SM, tlvs=[(tlv.MESSAGE_STATE, b"\2")]), None, 0)
    assert out(server)[0].tlvs == []
    with pytest.raises(PeerTooOld):
        server.request(Pdu(commands.DATA_SM), None, 0)
    with pytest.raises(PeerTooOld):
        server.request(Pdu(commands.DELIVER_SM, tlvs=[(tlv.MESSAGE_PAYLOAD, b"text")]), None, 0)


def test_a_new_peer_gets_them() -> None:
    client = esme(version=None)  # it did not say, so it is what we asked for
    client.request(Pdu(commands.DATA_SM, tlvs=[(tlv.MESSAGE_PAYLOAD, b"text")]), None, 0)
    assert out(client)[0].tlv(tlv.MESSAGE_PAYLOAD) == b"text"


def test_a_client_believes_an_old_message_centre() -> None:
    client = esme(version=0x33)
    with pytest.raises(PeerTooOld):
        client.request(Pdu(commands.DATA_SM), None, 0)


# -- timers ----------------------------------------------------------------------------------------


def test_an_unanswered_request_times_out_once_and_its_late_answer_is_stray() -> None:
    client = esme(SessionSettings(response_timeout_s=5, enquire_link_s=None))
    sequence = submit(client, "a", now=1)
    submit(client, "b", now=2)
    assert client.next_deadline() == 6
    assert client.tick(5.9) == []
    [event] = client.tick(6)
    assert isinstance(event, Timeout)
    assert event.context == "a"
    assert decode(event.request_raw).sequence_number == sequence
    assert client.next_deadline() == 7
    assert client.receive(accepted(sequence), 6.5) == []
    assert client.counters.stray_responses == 1


def test_a_silent_peer_is_asked_and_then_given_up() -> None:
    client = esme(SessionSettings(enquire_link_s=30, enquire_link_timeout_s=20))
    submit(client, "a", now=29)
    client.take_output()
    assert client.tick(29.9) == []
    assert client.tick(30) == []
    assert [pdu.name for pdu in out(client)] == ["enquire_link"]
    assert client.next_deadline() == 50
    assert client.tick(40) == [] and not client.output_size
    [event] = client.tick(50)
    assert isinstance(event, Closed)
    assert event.reason == "enquire_link not answered"
    assert [context for context, _, _ in event.unanswered] == ["a"]


def test_a_sign_of_life_puts_the_question_off() -> None:
    client = esme(SessionSettings(enquire_link_s=30, enquire_link_timeout_s=20))
    client.receive(asked(commands.DELIVER_SM), 25)
    assert client.tick(54) == [] and not client.output_size
    assert client.tick(55) == []
    [ping] = out(client)
    client.receive(encode(Pdu(commands.ENQUIRE_LINK | RESPONSE, 0, ping.sequence_number)), 60)
    assert client.counters.stray_responses == 0
    assert client.next_deadline() == 90


def test_an_enquire_link_is_answered() -> None:
    server = mc()
    assert server.receive(asked(commands.ENQUIRE_LINK, 77), 0) == []
    [answer] = out(server)
    assert (answer.name, answer.sequence_number) == ("enquire_link_resp", 77)


def test_idleness_ends_a_session_only_where_it_is_wanted() -> None:
    patient = mc(SessionSettings(enquire_link_s=None))
    strict = mc(SessionSettings(enquire_link_s=None, inactivity_s=60))
    assert patient.next_deadline() == math.inf
    strict.receive(asked(commands.ENQUIRE_LINK), 50)
    assert strict.tick(109) == []
    assert strict.tick(110) == [Closed("inactive", [])]


def test_our_own_questions_are_no_activity() -> None:
    server = mc(SessionSettings(enquire_link_s=30, inactivity_s=60))
    server.tick(30)
    [ping] = out(server)
    server.receive(encode(Pdu(commands.ENQUIRE_LINK | RESPONSE, 0, ping.sequence_number)), 31)
    assert server.tick(60) == [Closed("inactive", [])]


def test_postponed_deadlines_all_move() -> None:
    client = esme(SessionSettings(response_timeout_s=5, enquire_link_s=30))
    submit(client, "a")
    client.take_output()
    client.postpone(100)
    assert client.tick(104) == []
    assert not client.output_size
    assert isinstance(client.tick(105)[0], Timeout)


# -- the end ---------------------------------------------------------------------------------------


def test_an_unbind_is_answered_after_what_we_owe() -> None:
    server = mc()
    [event] = server.receive(asked(commands.SUBMIT_SM, 1), 0)
    assert isinstance(event, Request)
    assert server.receive(asked(commands.UNBIND, 2), 0) == []
    assert server.state is State.UNBOUND
    assert out(server) == []
    server.receive(asked(commands.SUBMIT_SM, 3), 0)
    assert out(server)[0].command_status == status.ESME_RINVBNDSTS
    assert server.respond(event.pdu, 0, {"message_id": "1"}, (), 0) == [Closed("unbound by peer", [])]
    assert [pdu.name for pdu in out(server)] == ["submit_sm_resp", "unbind_resp"]


def test_an_unbind_does_not_wait_for_ever() -> None:
    server = mc(SessionSettings(response_timeout_s=5))
    server.receive(asked(commands.SUBMIT_SM, 1) + asked(commands.UNBIND, 2), 0)
    assert server.next_deadline() == 5
    assert server.tick(5) == [Closed("unbind not completed in time", [])]


def test_our_unbind_lets_the_peer_finish() -> None:
    client = esme()
    first = submit(client, "a")
    submit(client, "b")
    client.unbind(0)
    assert client.room == 0
    with pytest.raises(NotBound):
        submit(client)
    goodbye = out(client)[-1]
    assert [type(event) for event in client.receive(accepted(first) + asked(commands.DELIVER_SM), 0)] == [
        Response,
        Request,
    ]
    [event] = client.receive(encode(Pdu(commands.UNBIND | RESPONSE, 0, goodbye.sequence_number)), 0)
    assert isinstance(event, Closed)
    assert (event.reason, [context for context, _, _ in event.unanswered]) == ("unbound", ["b"])


def test_a_lost_connection_lists_exactly_what_was_not_answered_once() -> None:
    client = esme()
    sequences = [submit(client, n) for n in range(5)]
    client.receive(accepted(sequences[1]) + accepted(sequences[3]), 0)
    [event] = client.close("gone")
    assert isinstance(event, Closed)
    assert [context for context, _, _ in event.unanswered] == [0, 2, 4]
    assert [decode(raw).sequence_number for _, _, raw in event.unanswered] == [sequences[n] for n in (0, 2, 4)]
    assert client.close("gone") == client.tick(1e9) == client.receive(accepted(sequences[0]), 0) == []


def test_a_bind_that_is_lost_gives_its_password_to_nobody() -> None:
    client = Session(Role.ESME, SessionSettings(), 0)
    client.request(bind(), None, 0)
    assert client.close("gone") == [Closed("gone", [])]
