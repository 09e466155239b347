"""ENUM: what records say, and how a root is asked. The root is a real DNS server on loopback, over UDP and TCP."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import dns.flags
import dns.message
import dns.rcode
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.rrset
import pytest
import uvloop
from dns.rdtypes.IN.NAPTR import NAPTR
from hypothesis import given
from hypothesis import strategies as st

from chappe.errors import Refused
from chappe.lookups.enum import EnumSettings, EnumSource, OperatorRule, Operators, applied, parse
from chappe.lookups.model import Findings, Told
from chappe.lookups.suppliers import failure, is_misconfigured, is_passing
from chappe.lookups.suppliers.config import read

NUMBER = "33612345678"
NAME = "8.7.6.5.4.3.2.1.6.3.3.e164.example."
TEL = '100 10 "u" "E2U+pstn:tel" "!^(.*)$!tel:\\\\1;npdi;rn=+33001!" .'

Wires = list[bytes]
Behave = Callable[["Root", dns.message.Message, bool], Wires]


class Root:
    """A name server: `records` by name, or whatever `behave` says. It remembers what it was asked."""

    def __init__(self) -> None:
        self.records: dict[str, list[str]] = {}
        self.behave: Behave | None = None
        self.delay_s = 0.0
        self.asked: list[tuple[str, bool]] = []
        self.from_port = 0
        self.waiting = 0
        self.most_waiting = 0
        self.port = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._udp: asyncio.DatagramTransport

    def answer(self, query: dns.message.Message, tcp: bool) -> Wires:
        self.asked.append((query.question[0].name.to_text(), tcp))
        return self.behave(self, query, tcp) if self.behave else [self.honest(query).to_wire()]

    def honest(self, query: dns.message.Message, rcode: int = dns.rcode.NOERROR) -> dns.message.Message:
        response = dns.message.make_response(query)
        name = query.question[0].name
        texts = self.records.get(name.to_text())
        response.set_rcode(rcode or (dns.rcode.NXDOMAIN if texts is None else dns.rcode.NOERROR))
        if texts and not rcode:
            response.answer.append(dns.rrset.from_text_list(name, 60, "IN", "NAPTR", texts))
        return response

    # -- the sockets

    def connection_made(self, transport: asyncio.DatagramTransport) -> None:
        self._udp = transport

    def connection_lost(self, _: Exception | None) -> None: ...

    def datagram_received(self, data: bytes, address: tuple[str, int]) -> None:
        task = asyncio.get_running_loop().create_task(self._reply(data, address))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _reply(self, data: bytes, address: tuple[str, int]) -> None:
        self.waiting += 1
        self.most_waiting = max(self.most_waiting, self.waiting)
        await asyncio.sleep(self.delay_s)
        self.waiting -= 1
        self.from_port = address[1]
        for wire in self.answer(dns.message.from_wire(data), False):
            self._udp.sendto(wire, address)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            (length,) = struct.unpack("!H", await reader.readexactly(2))
            query = dns.message.from_wire(await reader.readexactly(length))
            for wire in self.answer(query, True):
                writer.write(struct.pack("!H", len(wire)) + wire)
            await writer.drain()
        finally:
            writer.close()


@asynccontextmanager
async def serving(records: dict[str, list[str]] | None = None, behave: Behave | None = None) -> AsyncIterator[Root]:
    root = Root()
    root.records, root.behave = records or {}, behave
    loop = asyncio.get_running_loop()
    for _ in range(20):  # the same number of a port for TCP and UDP may need another try
        server = await asyncio.start_server(root.serve, "127.0.0.1", 0)
        root.port = server.sockets[0].getsockname()[1]
        try:
            udp, _ = await loop.create_datagram_endpoint(lambda: root, ("127.0.0.1", root.port))
            break
        except OSError:
            server.close()
    else:
        raise OSError("no port is free for both")
    try:
        yield root
    finally:
        udp.close()
        server.close()


def made(**settings: Any) -> EnumSource:
    plain = {"root": "e164.example", "servers": [{"host": "127.0.0.1"}], **settings}
    return EnumSource(read(plain, EnumSettings, "settings"))


def source(*roots: Root, **settings: Any) -> EnumSource:
    return made(servers=[{"host": "127.0.0.1", "port": root.port} for root in roots], **settings)


async def told(
    records: Sequence[str] | None = None, behave: Behave | None = None, number: str = NUMBER, **settings: Any
) -> Told:
    """What a source makes of one server."""
    async with serving({NAME: list(records)} if records is not None else {}, behave) as root:
        (answer,) = await source(root, **settings).ask([number])
        return answer


def record(
    expression: str, service: str = "E2U+pstn:tel", flags: str = "u", order: int = 1, preference: int = 1
) -> str:
    escaped = expression.replace("\\", "\\\\").replace('"', '\\"')
    return f'{order} {preference} "{flags}" "{service}" "{escaped}" .'


# -- dialects ---------------------------------------------------------------------------------------------------------

RU = [
    {"by": "rn", "value": "D27", "prefix": True, "operator": "25001", "context": "+7"},
    {"by": "rn", "value": "d2701", "operator": "25020", "context": "+7"},
]
US = [{"by": "spn", "value": "51589", "operator": "310260"}, {"by": "mccmnc", "value": "310999", "operator": "310410"}]


@pytest.mark.parametrize(
    ("expression", "settings", "found"),
    [
        (r"!^.*$!tel:+73422461703;npdi;rn=d2701;rn-context=+7!", {"operators": RU}, ("25020", None, True)),
        (r"!^.*$!tel:+73422461703;npdi;rn=d2799;rn-context=+7!", {"operators": RU}, ("25001", None, True)),
        (r"!^.*$!tel:+73422461703;npdi;rn=d2701;rn-context=+7!", {"operators": RU, "routing": "silent"},
         ("25020", None, None)),
        (r"!^.*$!tel:+73422461703;npdi;rn=D-27.01;rn-context=+7!", {"operators": RU}, ("25020", None, True)),
        (r"!^.*$!tel:+73422461703;npdi;rn=d2701;rn-context=+8!", {"operators": RU}, (None, None, True)),
        (r"!^(.*)$!tel:\1;mcc=310;mnc=012!", {}, ("310012", None, None)),
        (r"!^(.*)$!tel:\\1;mcc=310;mnc=012!", {}, ("310012", None, None)),
        (r"!^(.*)$!tel:\1;mcc=310;mnc=999!", {"operators": US}, ("310410", None, None)),
        (r"!^(.*)$!tel:\1;npdi;spn=51589;q_stat=001!", {"operators": US}, ("310260", "310260", False)),
        (r"!^(.*)$!tel:\1;npdi;spn=51589!", {"operators": US, "routing": "silent"}, ("310260", None, None)),
        (r"!^(.*)$!tel:\1;npdi!", {}, (None, None, False)),
        (r"#^(.*)$#tel:\1;NPDI;rn=+33-001#i", {}, (None, None, True)),
        (r"!^(.*)$!sip:\1;npdi;rn=+33001@gw.example;user=phone!", {}, (None, None, True)),
        (r"!^(.*)$!sips:\1;npdi@gw.example!", {}, (None, None, False)),
        (r"!^(.*)$!tel:\1;npdi;cic=%2b1-6789!", {"operators": [{"by": "cic", "value": "+16789", "operator": "310260"}]},
         ("310260", "310260", False)),
    ],
)  # fmt: skip
async def test_a_record_tells_operator_and_portability(
    expression: str, settings: dict[str, Any], found: tuple[str | None, str | None, bool | None]
) -> None:
    service = "E2U+pstn:sip" if "sip" in expression else "E2U+pstn:tel"
    answer = await told([record(expression, service)], **settings)
    assert answer.outcome == "answer"
    assert answer.findings is not None
    assert (answer.findings.current, answer.findings.original, answer.findings.ported) == found
    assert answer.findings.valid is None
    assert answer.findings.raw.startswith((b"tel:", b"sip"))


async def test_a_routing_number_that_no_rule_knows_is_named() -> None:
    answer = await told([record(r"!^.*$!tel:+73422461703;npdi;rn=d2701;rn-context=+7!")])
    assert answer.reason == "no operator is known for rn=d2701"
    answer = await told([record(r"!^.*$!tel:+73422461703;spn=7!")])
    assert answer == Told("not_covered", reason="no operator is known for spn=7")


async def test_a_record_without_parameters_tells_nothing() -> None:
    answer = await told([record(r"!^(.*)$!tel:\1!")])
    assert answer == Told("not_covered", reason="the record tells nothing")


@pytest.mark.parametrize(
    ("meaning", "outcome", "valid"),
    [("answer", "answer", None), ("not_covered", "not_covered", None), ("unallocated", "answer", False),
     ("failed", "unavailable", None)],
)  # fmt: skip
async def test_a_private_status_means_what_the_settings_say(meaning: str, outcome: str, valid: bool | None) -> None:
    answer = await told([record(r"!^(.*)$!tel:\1;npdi;q_stat=007!")], statuses={"007": meaning})
    assert (answer.outcome, answer.findings and answer.findings.valid) == (outcome, valid)


async def test_the_lowest_order_then_preference_is_read_and_others_are_passed_over() -> None:
    wrong = r"!^(.*)$!tel:\1;mcc=310;mnc=001!"
    records = [
        record(wrong, service="E2U+email:mailto", order=1),
        record(wrong, service="tel+E2U", order=1),
        record(wrong, flags="", order=1),
        record(wrong, flags="s", order=1),
        record(wrong, order=3),
        record(wrong, order=2, preference=20),
        record(r"!^(.*)$!tel:\1;mcc=310;mnc=002!", service="e2u+SIP+Pstn:Tel", flags="U", order=2, preference=10),
    ]
    answer = await told(records)
    assert answer.findings is not None
    assert answer.findings.current == "310002"


async def test_records_of_other_services_alone_do_not_cover_the_number() -> None:
    answer = await told([record(r"!^(.*)$!sip:\1@example.org!", service="E2U+sip")])
    assert answer.outcome == "not_covered"
    answer = await told([record(r"!^(.*)$!tel:\1;npdi!", service="E2U+mnp")], services=["mnp"])
    assert answer.findings is not None
    assert answer.findings.ported is False


HOSTILE = [
    r"!^(a+)+$!tel:\1;npdi!",
    r"!^(.*)(.*)(.*)$!tel:\1\2\3;npdi!",
    r"!^((.*)*)*$!tel:+1;npdi!",
    r"!^.*$!tel:\1;npdi!",
    r"!^(.*)$!tel:\2;npdi!",
    r"!^(.*)$!tel:\0;npdi!",
    r"!^(.*)$!tel:\1;npdi!x",
    r"!^(.*)$!tel:\1;npdi",
    r"!^(.*)$!tel:\1;npdi!!",
    r"^(.*)$",
    r"1^(.*)$1tel:\1;npdi1",
    r"",
    r"!^(.*)$!mailto:x@example.org!",
    r"!^(.*)$!tel:!",
    r"!^(.*)$!tel:\1;npdi;np di!",
    r"!^(.*)$!tel:\1;rn=1;rn=2!",
    r"!^(.*)$!tel:\1;rn=%00!",
    r"!^(.*)$!tel:\1;rn=%ff!",
    r"!^(.*)$!sip:gw.example!",
]


@pytest.mark.parametrize("expression", HOSTILE)
async def test_what_cannot_be_read_is_refused_and_nothing_of_it_run(expression: str) -> None:
    answer = await told([record(expression)])
    assert failure(answer) == "failed"
    assert "no record can be read" in answer.reason


async def test_a_worse_record_is_taken_when_the_best_cannot_be_read() -> None:
    answer = await told([record(HOSTILE[0]), record(r"!^(.*)$!tel:\1;npdi!", preference=2)])
    assert answer.outcome == "answer"


def test_a_delimiter_inside_is_escaped() -> None:
    assert applied(rb"!^(.*)$!tel:\1;spn=a\!b!", NUMBER) == f"tel:+{NUMBER};spn=a!b"


@given(st.binary(max_size=255))
def test_no_substitution_raises_anything_else(expression: bytes) -> None:
    for content in (expression, b"!^(.*)$!" + expression + b"!"):
        try:
            parameters = parse(applied(content, NUMBER))
        except ValueError:
            continue
        assert all(name and value.isprintable() for name, value in parameters.items() if value)


@given(st.lists(st.builds(
    NAPTR, st.just(dns.rdataclass.IN), st.just(dns.rdatatype.NAPTR), st.integers(0, 3), st.integers(0, 3),
    st.sampled_from([b"u", b"U", b"", b"s", b"\xff"]), st.sampled_from([b"E2U+pstn:tel", b"\xff\xfe", b"+", b""]),
    st.one_of(st.binary(max_size=255), st.sampled_from([line.encode() for line in HOSTILE])),
    st.just(dns.name.root)), max_size=4))  # fmt: skip
def test_whatever_the_records_something_is_told(records: list[NAPTR]) -> None:
    assert made()._told(NUMBER, records).outcome in ("answer", "not_covered", "unavailable")


# -- the table of operators -------------------------------------------------------------------------------------------


def test_an_exact_code_comes_before_the_longest_prefix_and_a_context_before_none() -> None:
    operators = Operators(
        [
            OperatorRule(by="rn", value="12", operator="20801", prefix=True),
            OperatorRule(by="rn", value="1234", operator="20810", prefix=True),
            OperatorRule(by="rn", value="123456", operator="20815"),
            OperatorRule(by="rn", value="1234", operator="20820", prefix=True, context="+33"),
            OperatorRule(by="spn", value="12", operator="20899", prefix=True),
        ]
    )
    assert operators.find("rn", "123456") == "20815"
    assert operators.find("rn", "+1234-57") == "20810"
    assert operators.find("rn", "123457", "+33") == "20820"
    assert operators.find("rn", "123456", "+33") == "20815"
    assert operators.find("rn", "129") == "20801"
    assert operators.find("rn", "1") is None
    assert operators.find("cic", "123456") is None


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"root": "bad..root"}, "settings.root"),
        ({"root": "a" * 64 + ".example"}, "settings"),
        ({"servers": []}, "settings.servers"),
        ({"servers": [{"host": "ns.example.org"}]}, "settings.servers[0]"),
        ({"servers": [{"host": "127.0.0.1", "port": 0}]}, "settings.servers[0].port"),
        ({"tries": 6}, "settings.tries"),
        ({"timeout_s": 0}, "settings.timeout_s"),
        ({"nxdomain": "maybe"}, "settings.nxdomain"),
        ({"operators": [{"by": "rn", "value": "1", "operator": "2080"}]}, "settings.operators[0].operator"),
        ({"operators": [{"by": "rn", "value": v, "operator": o} for v, o in (("+1", "20801"), ("1", "20810"))]},
         "settings"),
        ({"server": []}, "settings.server"),
    ],
)  # fmt: skip
def test_settings_that_cannot_work_are_refused_by_their_field(change: dict[str, Any], param: str) -> None:
    with pytest.raises(Refused) as refused:
        made(**change)
    assert refused.value.param == param


# -- on the wire ------------------------------------------------------------------------------------------------------


async def test_the_number_is_asked_backwards_under_the_root() -> None:
    async with serving({NAME: [TEL]}) as root:
        (answer,) = await source(root).ask([NUMBER])
        assert root.asked == [(NAME, False)]
    assert answer.findings == Findings(ported=True, raw=f"tel:+{NUMBER};npdi;rn=+33001".encode())


async def test_what_is_no_number_is_asked_of_nobody() -> None:
    async with serving() as root:
        answers = await source(root).ask(["", "33x", "1" * 16, "٣٣", "3.3"])
        assert [answer.outcome for answer in answers] == ["not_covered"] * 5
        assert root.asked == []


def cut_on_udp(root: Root, query: dns.message.Message, tcp: bool) -> Wires:
    response = root.honest(query)
    if not tcp:
        response.answer.clear()
        response.flags |= dns.flags.TC
    return [response.to_wire()]


async def test_a_truncated_answer_is_asked_for_again_over_tcp() -> None:
    async with serving({NAME: [TEL]}, cut_on_udp) as root:
        (answer,) = await source(root).ask([NUMBER])
        assert root.asked == [(NAME, False), (NAME, True)]
    assert answer.findings is not None
    assert answer.findings.ported is True


def test_it_works_on_uvloop_too() -> None:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        answer = runner.run(told([TEL], cut_on_udp))
    assert answer.findings is not None
    assert answer.findings.ported is True


@pytest.mark.parametrize("garbage", [b"", b"\x00" * 11, b"\xff" * 40, b"\x00\x01" * 400])
async def test_garbage_over_tcp_is_no_answer(garbage: bytes) -> None:
    answer = await told([TEL], lambda root, query, tcp: [garbage] if tcp else cut_on_udp(root, query, tcp), tries=1)
    assert failure(answer) in ("failed", "timeout")


async def test_answers_with_another_id_question_or_sender_are_passed_over() -> None:
    def forged(root: Root, query: dns.message.Message, _: bool) -> Wires:
        right = root.honest(query).to_wire()
        lie = dns.message.make_response(query)
        wrong_id = struct.pack("!H", query.id ^ 1) + lie.to_wire()[2:]
        other = dns.message.make_response(dns.message.make_query("1.e164.example.", "NAPTR", id=query.id))
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
            stranger.sendto(lie.to_wire(), ("127.0.0.1", root.from_port))
        return [b"", b"junk", wrong_id, query.to_wire(), other.to_wire(), right]

    answer = await told([TEL], forged, tries=1, timeout_s=2.0)
    assert answer.outcome == "answer"


async def test_a_name_that_does_not_exist_means_what_the_settings_say() -> None:
    assert await told() == Told("not_covered", reason="the name does not exist")
    assert await told(nxdomain="unallocated") == Told("answer", Findings(valid=False, reachable="no"))


async def test_a_name_without_records_is_not_covered() -> None:
    answer = await told(
        behave=lambda _, query, __: [dns.message.make_response(query).to_wire()], nxdomain="unallocated"
    )
    assert answer.outcome == "not_covered"


def answering(rcode: int) -> Behave:
    return lambda root, query, _: [root.honest(query, rcode).to_wire()]


@pytest.mark.parametrize(
    ("rcode", "misconfigured"), [(dns.rcode.SERVFAIL, False), (dns.rcode.REFUSED, True), (dns.rcode.NOTAUTH, True)]
)
async def test_a_failing_server_is_told_apart_from_one_that_refuses_us(rcode: int, misconfigured: bool) -> None:
    async with serving(behave=answering(rcode)) as root:
        (answer,) = await source(root, tries=3).ask([NUMBER])
        assert len(root.asked) == 3
    assert answer.outcome == "unavailable"
    assert is_misconfigured(answer) is misconfigured
    assert is_passing(answer) is not misconfigured
    assert dns.rcode.to_text(rcode) in answer.reason


async def test_the_next_server_is_asked_and_remembered() -> None:
    async with serving(behave=answering(dns.rcode.SERVFAIL)) as bad, serving({NAME: [TEL]}) as good:
        enum = source(bad, good)
        for _ in range(3):
            (answer,) = await enum.ask([NUMBER])
            assert answer.outcome == "answer"
        assert (len(bad.asked), len(good.asked)) == (1, 3)


async def test_a_server_without_edns_is_asked_without() -> None:
    def old(root: Root, query: dns.message.Message, _: bool) -> Wires:
        return [root.honest(query, dns.rcode.FORMERR if query.edns >= 0 else dns.rcode.NOERROR).to_wire()]

    answer = await told([TEL], old)
    assert answer.outcome == "answer"


async def test_silence_ends_after_the_tries() -> None:
    async with serving(behave=lambda *_: []) as root:
        loop = asyncio.get_running_loop()
        began = loop.time()
        (answer,) = await source(root, tries=3, timeout_s=0.05).ask([NUMBER])
        assert 0.14 < loop.time() - began < 2.0
        assert len(root.asked) == 3
    assert failure(answer) == "timeout"


async def test_nobody_at_the_address_is_no_answer() -> None:
    async with serving() as root:
        pass
    (answer,) = await source(root, tries=1, timeout_s=0.05).ask([NUMBER])
    assert failure(answer) in ("timeout", "failed")


def broken_record(root: Root, query: dns.message.Message, _: bool) -> Wires:
    """A NAPTR whose last string is longer than the record."""
    response = dns.message.make_response(query)
    rdata = dns.rdata.GenericRdata(
        dns.rdataclass.IN, dns.rdatatype.NAPTR, struct.pack("!HH", 1, 1) + b"\x01u\x0cE2U+pstn:tel\xff!^"
    )
    response.answer.append(dns.rrset.from_rdata(query.question[0].name, 60, rdata))
    return [response.to_wire()]


async def test_a_record_that_breaks_the_wire_format_is_no_answer() -> None:
    answer = await told(behave=broken_record, tries=1, timeout_s=0.1)
    assert answer.outcome == "unavailable"


async def test_no_more_questions_are_on_their_way_than_allowed_and_answers_keep_their_order() -> None:
    numbers = [f"336000000{n:02}" for n in range(40)]
    names = {".".join(reversed(number)) + ".e164.example.": number for number in numbers}
    records = {name: [record(rf"!^(.*)$!tel:\1;spn={number}!")] for name, number in names.items()}
    rules = [{"by": "spn", "value": number, "operator": f"208{number[-2:]}"} for number in numbers]
    async with serving(records) as root:
        root.delay_s = 0.005
        enum = source(root, in_flight=4, timeout_s=5.0, operators=rules)
        halves = await asyncio.gather(enum.ask(numbers[:20]), enum.ask(numbers[20:]))
        assert 1 < root.most_waiting <= 4
    current = [told.findings and told.findings.current for half in halves for told in half]
    assert current == [f"208{number[-2:]}" for number in numbers]


async def test_whoever_gives_up_leaves_nothing_behind() -> None:
    async with serving(behave=lambda *_: []) as root:
        before = asyncio.all_tasks()
        enum = source(root, timeout_s=5.0)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await enum.ask([NUMBER, "33612345679"])
        await asyncio.sleep(0)
        assert asyncio.all_tasks() == before
        assert not enum._room.locked()
