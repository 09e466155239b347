"""ENUM: who serves a number, asked of a private DNS root by NAPTR records.

The question is the number backwards, digit by digit, under the root (RFC 6116, 3.2). The answer is a tel or sip URI
whose parameters tell about portability (RFC 4694, RFC 4769); what a root's codes mean is a table in its settings, since
every root has a dialect. A root that fails or is silent says `unavailable`: the next source is asked, no message fails.
"""

from __future__ import annotations

import asyncio
import ipaddress
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Final, Literal
from urllib.parse import unquote

import dns.asyncquery
import dns.exception
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
from dns.rdtypes.IN.NAPTR import NAPTR
from msgspec import Meta, Struct

from chappe.lookups.model import Findings, Told
from chappe.lookups.suppliers.config import MccMnc
from chappe.lookups.suppliers.crowd import crowd
from chappe.lookups.suppliers.reading import operator
from chappe.lookups.suppliers.verdict import Failure, not_covered, plain, unavailable

DNS_PORT = 53
UDP_PAYLOAD = 1_232  # no fragments: https://www.dnsflagday.net/2020/
MAX_RECORDS = 50  # of one answer that are looked at
MAX_PARAMETERS = 32

_DIGITS = re.compile(r"[0-9]{1,15}").fullmatch
_NUMBER = re.compile(r"\+?[0-9A-Fa-f().\-]{1,40}").fullmatch  # RFC 3966, 3: visual separators are allowed
_PARAMETER = re.compile(r"[A-Za-z0-9_\-]{1,40}").fullmatch  # RFC 3966 has no underscore, q_stat has one
_SEPARATORS = re.compile(r"[().\-]")

# Everything else is refused: a pattern of a stranger is never run.
_WHOLE: Final = frozenset({"^.*$", "^(.*)$"})
_BACK_REFERENCE = re.compile(r"\\{1,2}([0-9])")  # some write the zone file's \\1 onto the wire

_NO_ANSWER: Final[dict[int, Failure]] = {
    dns.rcode.REFUSED: "misconfigured",  # our address or our root is not known there
    dns.rcode.NOTAUTH: "misconfigured",
}

By = Literal["mccmnc", "spn", "rn", "cic"]
Service = Annotated[str, Meta(pattern=r"^[a-z0-9-]{1,32}(:[a-z0-9-]{1,32})*$")]
Host = Annotated[str, Meta(min_length=2, max_length=64)]


class OperatorRule(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """What a code of this root means: a routing number, service provider number, carrier code, or MCC and MNC.

    `prefix`: codes that begin with it; the longest wins, an exact one before all. `context`: only in this rn-context or
    cic-context.
    """

    by: By
    value: Annotated[str, Meta(pattern=r"^\+?[0-9A-Za-z]{1,24}$")]
    operator: MccMnc
    prefix: bool = False
    context: Annotated[str, Meta(pattern=r"^\+?[0-9A-Za-z.\-]{1,64}$")] | None = None


class Server(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """A name server, by its IP address."""

    host: Host
    port: Annotated[int, Meta(ge=1, le=65_535)] = DNS_PORT

    def __post_init__(self) -> None:
        try:
            ipaddress.ip_address(self.host)
        except ValueError:
            raise ValueError("host is an IP address: a name would have to be asked of another server first") from None


class EnumSettings(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """A root and its dialect. Times in seconds.

    `timeout_s` is for one try, TCP after a truncated answer included; `tries` go round the servers. `nxdomain`: what it
    means that a name does not exist, that the root does not cover the number or that nobody has it. `routing`: whether
    an rn says that a number is ported, and `npdi` without one that it is not (RFC 4694, 5); `silent` for roots that
    write an rn for every number. `statuses`: what the private q_stat means, where it means anything but an answer.
    """

    root: Annotated[str, Meta(min_length=1, max_length=200, pattern=r"^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*\.?$")]
    servers: Annotated[tuple[Server, ...], Meta(min_length=1, max_length=16)]
    timeout_s: Annotated[float, Meta(ge=0.05, le=10)] = 0.5
    tries: Annotated[int, Meta(ge=1, le=5)] = 2
    in_flight: Annotated[int, Meta(ge=1, le=1_000)] = 100
    edns: bool = True
    services: Annotated[tuple[Service, ...], Meta(min_length=1)] = ("pstn:tel", "pstn:sip")
    nxdomain: Literal["not_covered", "unallocated"] = "not_covered"
    routing: Literal["ported", "silent"] = "ported"
    operators: tuple[OperatorRule, ...] = ()
    statuses: dict[str, Literal["answer", "not_covered", "unallocated", "failed"]] = {}

    def __post_init__(self) -> None:
        Operators(self.operators)
        _root(self.root)


class Operators:
    """The table of a root's codes. A look-up is at most two dictionary questions a digit."""

    def __init__(self, rules: Iterable[OperatorRule]) -> None:
        """Raises ValueError for a code that has two operators."""
        self._exact: dict[tuple[str, str, str], str] = {}
        self._prefix: dict[tuple[str, str, str], str] = {}
        for rule in rules:
            table = self._prefix if rule.prefix else self._exact
            key = (rule.by, _code(rule.context or ""), _code(rule.value))
            if table.setdefault(key, rule.operator) != rule.operator:
                raise ValueError(f"operators: {rule.by} {rule.value} has two operators")

    def find(self, by: By, code: str, context: str = "") -> str | None:
        """The operator, by the rules of that context before those of none."""
        code, context = _code(code), _code(context)
        contexts = (context, "") if context else ("",)
        for here in contexts:
            if found := self._exact.get((by, here, code)):
                return found
        for length in range(len(code), 0, -1):
            for here in contexts:
                if found := self._prefix.get((by, here, code[:length])):
                    return found
        return None


class EnumSource:
    """A root that is asked. It holds no connection: nothing has to be closed."""

    request_size = 1

    def __init__(self, settings: EnumSettings) -> None:
        self._settings = settings
        self._root = _root(settings.root)
        self._operators = Operators(settings.operators)
        self._room = asyncio.Semaphore(settings.in_flight)
        self._first = 0
        """The server that answered last."""

    async def ask(self, digits: Sequence[str]) -> list[Told]:
        """Told once for each number (E.164 without +), in their order. Never raises, except to be cancelled."""
        return await crowd(digits, self._ask, self._settings.in_flight)

    async def _ask(self, digits: str) -> Told:
        if not _DIGITS(digits):
            return not_covered("this is no number in E.164")
        async with self._room:
            response = await self._response(question(digits, self._root))
        if isinstance(response, Told):
            return response
        if response.rcode() == dns.rcode.NXDOMAIN:
            return (
                _unallocated() if self._settings.nxdomain == "unallocated" else not_covered("the name does not exist")
            )
        return self._told(digits, naptrs(response))

    async def _response(self, name: dns.name.Name) -> dns.message.Message | Told:
        """The answer of the first server that gives one, or why none did."""
        failure = unavailable("failed", "nobody was asked")
        edns, first = self._settings.edns, self._first
        for attempt in range(self._settings.tries):
            place = (first + attempt) % len(self._settings.servers)
            server = self._settings.servers[place]
            try:
                response = await self._exchange(name, server, edns)
            except TimeoutError:
                failure = unavailable(
                    "timeout", f"{server.host} gave no valid answer in {self._settings.timeout_s:g} s"
                )
            except (OSError, EOFError, ValueError, dns.exception.DNSException) as error:
                failure = unavailable("failed", plain(f"{server.host}: {error or type(error).__name__}"))
            else:
                code = response.rcode()
                if code in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN):
                    self._first = place
                    return response
                edns = edns and code not in (dns.rcode.FORMERR, dns.rcode.NOTIMP, dns.rcode.BADVERS)  # RFC 6891, 7
                words = f"{server.host} answered {dns.rcode.to_text(code)}"
                failure = unavailable(_NO_ANSWER.get(code, "failed"), words)
        return failure

    async def _exchange(self, name: dns.name.Name, server: Server, edns: bool) -> dns.message.Message:
        """One question to one server, over TCP too if the answer was cut.

        Datagrams of others, with another id or another question, and unreadable ones are as good as silence: whoever
        guesses our port must not be able to end a question.
        """
        query = dns.message.make_query(name, dns.rdatatype.NAPTR, use_edns=0 if edns else False, payload=UDP_PAYLOAD)
        async with asyncio.timeout(self._settings.timeout_s):
            response, _ = await dns.asyncquery.udp_with_fallback(
                query, server.host, port=server.port, ignore_unexpected=True, ignore_errors=True
            )
        return response

    def _told(self, digits: str, records: Sequence[NAPTR]) -> Told:
        """By the first record that is ours and can be read; a worse one behind it is better than none."""
        refusals = []
        for record in (record for record in records if _is_ours(record, self._settings.services)):
            try:
                uri = applied(record.regexp, digits)
                parameters = parse(uri)
            except ValueError as error:
                refusals.append(str(error))
            else:
                return self._read(uri, parameters)
        if refusals:
            return unavailable("failed", plain(f"no record can be read: {refusals[0]}"))
        return not_covered("there is no record about the telephone network")

    def _read(self, uri: str, parameters: Mapping[str, str]) -> Told:
        status = parameters.get("q_stat")
        meaning = self._settings.statuses.get(status, "answer") if status is not None else "answer"
        if meaning == "unallocated":
            return _unallocated()
        if meaning == "not_covered":
            return not_covered(f"q_stat {status}")
        if meaning == "failed":
            return unavailable("failed", f"q_stat {status}")
        current = self._operator(parameters)
        ported = _ported(parameters) if self._settings.routing == "ported" else None
        codes = [f"{name}={parameters[name]}" for name in ("mcc", "mnc", "spn", "rn", "cic") if parameters.get(name)]
        if current is None and ported is None:
            return not_covered(f"no operator is known for {', '.join(codes)}" if codes else "the record tells nothing")
        unknown = f"no operator is known for {', '.join(codes)}" if codes and current is None else ""
        original = current if ported is False else None
        return Told("answer", Findings(current=current, original=original, ported=ported, raw=uri.encode()), unknown)

    def _operator(self, parameters: Mapping[str, str]) -> str | None:
        told = operator(parameters.get("mcc"), parameters.get("mnc"))
        if told is not None:
            return self._operators.find("mccmnc", told) or told
        by: By
        for by in ("spn", "rn", "cic"):
            if (code := parameters.get(by)) and (
                found := self._operators.find(by, code, parameters.get(f"{by}-context", ""))
            ):
                return found
        return None


def question(digits: str, root: dns.name.Name) -> dns.name.Name:
    """`33612345678` is asked as `8.7.6.5.4.3.2.1.6.3.3.<root>`."""
    return dns.name.Name([digit.encode() for digit in reversed(digits)] + list(root.labels))


def naptrs(response: dns.message.Message) -> list[NAPTR]:
    """The records in the order in which they are to be tried (RFC 3403, 4.1), those behind an alias too."""
    found = [
        record
        for records in response.answer
        if records.rdtype == dns.rdatatype.NAPTR
        for record in records
        if isinstance(record, NAPTR)
    ]
    return sorted(found, key=lambda record: (record.order, record.preference))[:MAX_RECORDS]


def applied(expression: bytes, digits: str) -> str:
    """The URI that a NAPTR's substitution makes of a number (RFC 3402, 3.2). Raises ValueError.

    Only patterns that take the whole number are accepted; none is run.
    """
    try:
        text = expression.decode("ascii")
    except UnicodeDecodeError:
        raise ValueError("the substitution is not ASCII") from None
    parts = (
        re.split(rf"(?<!\\){re.escape(text[0])}", text) if text and not text[0].isalnum() and text[0] != "\\" else []
    )
    if len(parts) != 4 or parts[3] not in ("", "i"):
        raise ValueError("the substitution is malformed")
    _, pattern, replacement, _ = parts
    if pattern not in _WHOLE:
        raise ValueError("the substitution has another pattern than ^.*$ and ^(.*)$")
    groups = {found[1] for found in _BACK_REFERENCE.finditer(replacement)}
    if groups - ({"1"} if pattern == "^(.*)$" else set()):
        raise ValueError("the substitution refers to a group that its pattern does not have")
    uri = _BACK_REFERENCE.sub(lambda _: f"+{digits}", replacement)
    return uri.replace(f"\\{text[0]}", text[0])


def parse(uri: str) -> dict[str, str]:
    """The parameters of a tel URI, or of the user part of a sip URI, by their names in lower case (RFC 3966, 3).

    One without a value, such as npdi, has an empty one. Raises ValueError for another URI, and for a parameter that is
    given twice with different values. RFC 4694 wants a context beside a local rn; not every root writes it.
    """
    scheme, colon, rest = uri.partition(":")
    if not colon or scheme.lower() not in ("tel", "sip", "sips"):
        raise ValueError("the URI is neither tel nor sip")
    if scheme.lower() != "tel":
        rest, at, _ = rest.partition("@")
        if not at:
            raise ValueError("the sip URI has no user")
    number, *fields = rest.split(";")
    if not _NUMBER(number) or len(fields) > MAX_PARAMETERS:
        raise ValueError("the URI has no number, or too many parameters")
    parameters: dict[str, str] = {}
    for field in fields:
        name, _, value = field.partition("=")
        value = unquote(value, errors="strict")
        if not _PARAMETER(name) or not value.isprintable():
            raise ValueError("a parameter of the URI is malformed")
        if parameters.setdefault(name.lower(), value) != value:
            raise ValueError(f"{name.lower()} is given twice")
    return parameters


def _is_ours(record: NAPTR, services: Sequence[str]) -> bool:
    """A terminal rule (flag u) for one of the services: `E2U+pstn:tel`, perhaps among others (RFC 6116, 3.4.3)."""
    if record.flags.lower() != b"u":
        return False
    protocol, *offered = record.service.decode("latin-1").lower().split("+")
    return protocol == "e2u" and any(service in services for service in offered)


def _ported(parameters: Mapping[str, str]) -> bool | None:
    """RFC 4694, 5: with a routing number it is ported; the dip was done and there is none: it is not."""
    if parameters.get("rn"):
        return True
    return False if "npdi" in parameters else None


def _unallocated() -> Told:
    return Told("answer", Findings(valid=False, reachable="no"))


def _root(name: str) -> dns.name.Name:
    """Raises ValueError."""
    try:
        return dns.name.from_text(name)
    except dns.exception.DNSException as error:
        raise ValueError(f"root: {error}") from None


def _code(written: str) -> str:
    """A code without what is only for the eye: `+1-215-555` is `1215555`."""
    return _SEPARATORS.sub("", written).removeprefix("+").lower()
