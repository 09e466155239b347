"""The control API: what phones received, what was submitted, and moods on request. HTTP on 127.0.0.1, JSON."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from itertools import islice
from typing import Annotated, Any, Final, TypeVar

import msgspec
from aiohttp import web
from msgspec import Meta, Struct, field

from chappe.sandbox import scenario as scenarios
from chappe.sandbox.behaviour import Seconds, status_code
from chappe.sandbox.deliveries import FromPhone, Order, from_octets, from_text
from chappe.sandbox.phones import describe_received
from chappe.sandbox.sandbox import Sandbox
from chappe.sandbox.scenario import ScenarioError
from chappe.sandbox.submits import Address, describe_submit, describe_tally
from chappe.smpp import PduError, encode, tlv
from chappe.text import Concatenation, Encoding, Options, TextError

HELP: Final = """The sandbox operator's control API
GET  /state                                          binds and counters
GET  /messages?to=&from=&since=&limit=               what phones received, oldest first
GET  /submits?to=&system_id=&since=&limit=           every submit with its answer and its raw octets
GET  /submits/counts?to=&min=&limit=                 how often each message was submitted and taken
GET  /scenario                                       the scenario in force
POST /scenario     TOML, or JSON of the same shape   replaces it
POST /mo           {"from", "to", "text" | "data"}   a phone sends a message
POST /drop         {"system_id"}                     cuts the binds
POST /away         {"seconds"}                       is down for so long
POST /throttle     {"seconds"}                       ESME_RTHROTTLED for so long
POST /refuse_binds {"seconds", "status"}             refuses binds for so long
since is the number of the last item seen. The reference is docs/reference/sandbox.md.
"""
_MOST: Final = 10_000

T = TypeVar("T")


class Mo(Struct, kw_only=True, forbid_unknown_fields=True):
    """A message from a phone: `text` is cut into parts as `concat` says; `data` and `udh` are hexadecimal octets."""

    sender: str = field(name="from")
    to: str
    system_id: str | None = None
    text: str | None = None
    encoding: Encoding = "auto"
    concat: Concatenation = "udh8"
    order: Order = "in_order"
    data: str | None = None
    udh: str = ""
    data_coding: Annotated[int, Meta(ge=0, le=255)] = 0
    esm_class: Annotated[int, Meta(ge=0, le=255)] = 0
    tlvs: dict[str, str] = {}  # name or number -> hexadecimal octets


class Duration(Struct, forbid_unknown_fields=True):
    seconds: Seconds


class Refusal(Struct, forbid_unknown_fields=True):
    seconds: Seconds
    status: str = "ESME_RBINDFAIL"


class Drop(Struct, forbid_unknown_fields=True):
    system_id: str | None = None


class Wrong(Exception):
    """A request that cannot be met; the message is for the caller."""


class Control:
    """The handlers, one a route."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self._operator = sandbox.operator

    def app(self) -> web.Application:
        app = web.Application(middlewares=[_errors_as_json], client_max_size=4 * 1024 * 1024)
        app.router.add_get("/", self._help)
        for path, answer in (
            ("/state", self._state),
            ("/messages", self._messages),
            ("/submits", self._submits),
            ("/submits/counts", self._counts),
            ("/scenario", self._scenario),
        ):
            app.router.add_get(path, answer)
        for path, act in (
            ("/scenario", self._set_scenario),
            ("/mo", self._mo),
            ("/drop", self._drop),
            ("/away", self._away),
            ("/throttle", self._throttle),
            ("/refuse_binds", self._refuse_binds),
        ):
            app.router.add_post(path, act)
        return app

    async def _help(self, request: web.Request) -> web.Response:
        return web.Response(text=HELP)

    # -- looking

    async def _state(self, request: web.Request) -> web.Response:
        return _json(self._sandbox.state())

    async def _messages(self, request: web.Request) -> web.Response:
        to, sender = _digits(request.query.get("to")), request.query.get("from")
        found: Iterable[Any] = self._operator.network.phones.after(_number(request, "since", 0), to)
        if sender is not None:
            found = (received for received in found if received.parts[0].sender == sender)
        return _page(request, found, describe_received)

    async def _submits(self, request: web.Request) -> web.Response:
        to, system_id = _digits(request.query.get("to")), request.query.get("system_id")
        found = (
            submit
            for submit in self._operator.log.after(_number(request, "since", 0))
            if (to is None or submit.to == to) and (system_id is None or submit.system_id == system_id)
        )
        return _page(request, found, describe_submit)

    async def _counts(self, request: web.Request) -> web.Response:
        to, least = _digits(request.query.get("to")), _number(request, "min", 1)
        found = (
            tally
            for tally in self._operator.log.tallies()
            if tally.submits >= least and (to is None or tally.submit.to == to)
        )
        return _page(request, found, describe_tally, _MOST * 10)

    async def _scenario(self, request: web.Request) -> web.Response:
        return _json(msgspec.to_builtins(self._operator.scenario))

    # -- acting

    async def _set_scenario(self, request: web.Request) -> web.Response:
        text = await request.text()
        try:
            scenario = scenarios.build(_decoded(text, Any)) if text.lstrip()[:1] == "{" else scenarios.parse(text)
        except ScenarioError as error:
            return _json(
                {"error": {"code": "invalid_scenario", "message": str(error), "problems": error.problems}}, 400
            )
        self._sandbox.set_scenario(scenario)
        return _json(msgspec.to_builtins(scenario))

    async def _mo(self, request: web.Request) -> web.Response:
        mo = _decoded(await request.text(), Mo)
        system_id = mo.system_id or self._only_customer()
        try:
            messages = self._from_phone(mo)
            for message in messages:
                encode(message.pdu())
        except TextError as error:
            raise Wrong(error.message) from None
        except PduError as error:
            raise Wrong(f"That fits no deliver_sm: {error.reason}.") from None
        self._operator.network.send(system_id, messages)
        return _json({"system_id": system_id, "parts": len(messages)})

    def _from_phone(self, mo: Mo) -> list[FromPhone]:
        since, phone, customer = self._sandbox.time(), _address(mo.sender), _address(mo.to)
        if (mo.text is None) == (mo.data is None):
            raise Wrong("Give either text or data.")
        tlvs = [(_tag(name), _octets(name, value)) for name, value in mo.tlvs.items()]
        if mo.data is not None:
            octets, udh = _octets("data", mo.data), _octets("udh", mo.udh)
            return [from_octets(since, phone, customer, udh + octets, mo.data_coding, bool(udh), mo.esm_class, tlvs)]
        options = Options(encoding=mo.encoding, concat=mo.concat, max_parts=255)
        reference = self._operator.network.next_reference()
        messages = from_text(since, phone, customer, mo.text or "", options, reference, mo.order)
        for message in messages:
            message.tlvs.extend(tlvs)
            message.fields["esm_class"] |= mo.esm_class
        return messages

    def _only_customer(self) -> str:
        customers = list(self._operator.network.outboxes)
        if len(customers) != 1:
            raise Wrong(f"Say whose message it is by system_id; so far there are {', '.join(customers) or 'none'}.")
        return customers[0]

    async def _drop(self, request: web.Request) -> web.Response:
        drop = _decoded(await request.text() or "{}", Drop)
        return _json({"dropped": self._sandbox.drop(drop.system_id)})

    async def _away(self, request: web.Request) -> web.Response:
        await self._sandbox.away(_decoded(await request.text(), Duration).seconds)
        return _json(self._sandbox.state())

    async def _throttle(self, request: web.Request) -> web.Response:
        self._sandbox.throttle(_decoded(await request.text(), Duration).seconds)
        return _json(self._sandbox.state())

    async def _refuse_binds(self, request: web.Request) -> web.Response:
        refusal = _decoded(await request.text(), Refusal)
        code = status_code(refusal.status)
        if not code:
            raise Wrong(f"status: {refusal.status!r} is no status to refuse with, such as ESME_RBINDFAIL or 0x0D.")
        self._sandbox.refuse_binds(refusal.seconds, code)
        return _json(self._sandbox.state())


@web.middleware
async def _errors_as_json(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    try:
        return await handler(request)
    except Wrong as wrong:
        return _json({"error": {"code": "invalid_request", "message": str(wrong)}}, 400)
    except web.HTTPException as error:
        return _json({"error": {"code": f"http_{error.status}", "message": error.reason}}, error.status)


def _json(value: object, status: int = 200) -> web.Response:
    return web.Response(body=msgspec.json.encode(value), content_type="application/json", status=status)


def _page(request: web.Request, found: Iterable[T], describe: Callable[[T], Any], usual: int = 1000) -> web.Response:
    limit = min(_number(request, "limit", usual), max(_MOST, usual))
    items = list(islice(found, limit + 1))
    return _json({"data": [describe(item) for item in items[:limit]], "has_more": len(items) > limit})


def _number(request: web.Request, name: str, usual: int) -> int:
    text = request.query.get(name, str(usual))
    if not (text.isascii() and text.isdigit()):
        raise Wrong(f"{name}: {text!r} is no number.")
    return int(text)


def _decoded(text: str, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(text, type=kind)
    except msgspec.DecodeError as error:
        raise Wrong(f"The body does not fit: {error}.") from None


def _octets(name: str, digits: str) -> bytes:
    try:
        return bytes.fromhex(digits)
    except ValueError:
        raise Wrong(f"{name}: {digits!r} is not hexadecimal.") from None


def _tag(name: str) -> int:
    try:
        return tlv.TAGS[name] if name in tlv.TAGS else int(name, 0)
    except ValueError:
        raise Wrong(f"tlvs: {name!r} is no TLV's name and no number such as 0x1400.") from None


def _digits(number: str | None) -> str | None:
    return None if number is None else number.strip().lstrip("+")  # a + in a query string arrives as a space


def _address(address: str) -> Address:
    """Type of number and numbering plan as networks give them (SMPP 3.4, 5.2.5 and 5.2.6)."""
    digits = address.lstrip("+")
    if not (digits.isascii() and digits.isdigit()):
        return 5, 0, digits  # alphanumeric
    return (1, 1, digits) if len(digits) > 6 else (3, 0, digits)  # international, or a short code of the network
