"""Suppliers over HTTP: one runner with a table of cases. Their answers are written by their published contracts and
come from a real server on loopback."""

from __future__ import annotations

import asyncio
import base64
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, NamedTuple
from urllib.parse import quote

import msgspec
import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from chappe.errors import Refused
from chappe.lookups.model import Absent, Findings, Told
from chappe.lookups.suppliers import KINDS, HttpSource, failure, is_misconfigured, is_passing, make
from chappe.lookups.suppliers.infobip import Infobip
from chappe.lookups.suppliers.source import RAW_MAX
from chappe.outgoing import MAX_BODY, Outgoing

NUMBER = "33612345678"
IMSI = "208011234567890"


class Asked(NamedTuple):
    method: str
    path: str
    headers: dict[str, str]
    body: bytes


Answer = Callable[[web.Request], web.StreamResponse | Awaitable[web.StreamResponse]]


class Far:
    """A supplier's server. It remembers what it was asked and answers as `answer` says."""

    def __init__(self, answer: Answer) -> None:
        self.answer = answer
        self.asked: list[Asked] = []
        self.url = ""
        self.waiting = 0
        self.most_waiting = 0

    async def handle(self, request: web.Request) -> web.StreamResponse:
        headers = {name.lower(): value for name, value in request.headers.items()}
        self.asked.append(Asked(request.method, request.raw_path, headers, await request.read()))
        self.waiting += 1
        self.most_waiting = max(self.most_waiting, self.waiting)
        try:
            answer = self.answer(request)
            return answer if isinstance(answer, web.StreamResponse) else await answer
        finally:
            self.waiting -= 1


@asynccontextmanager
async def listening(answer: Answer) -> AsyncIterator[Far]:
    far = Far(answer)
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", far.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    far.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield far
    finally:
        await runner.cleanup()


@asynccontextmanager
async def asking(kind: str, far: Far, http: Outgoing | None = None, **options: Any) -> AsyncIterator[HttpSource]:
    http = http or Outgoing(allow_private=True)
    settings, credentials = plain(kind, far.url)
    try:
        yield HttpSource(http, make(kind, settings | (options.pop("settings", None) or {}), credentials), **options)
    finally:
        await http.close()


def saying(content: Any, status: int = 200, headers: dict[str, str] | None = None) -> Answer:
    body = content if isinstance(content, bytes) else json.dumps(content).encode()
    return lambda _: web.Response(body=body, status=status, content_type="application/json", headers=headers)


def basic(username: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{username}:{password}".encode()).decode()


TEMPLATE = {
    "url": "/lookup/{number}?key={secret.key}",
    "headers": {"X-Account": "{secret.account}"},
    "find": {
        "valid": "/result/ok",
        "line_type": "/result/kind",
        "original": "/result/networks/0",
        "current_mcc": "/result/mcc",
        "current_mnc": "/result/mnc",
        "ported": "/result/ported",
        "roaming": "/result/away",
        "roaming_country": "/result/where",
        "reachable": "/result/status",
        "map_error": "/result/map",
        "absent_diagnostic": "/result/diagnostic",
        "carrier": "/result/who~1what",
        "imsi": "/result/imsi",
        "cost": "/price",
    },
    "words": {"line_type": {"M": "mobile", "F": "fixed"}},
    "outcome": "/code",
    "outcomes": {"0": "answer", "404": "not_covered", "7": "misconfigured", "8": "throttled"},
    "error": "/message",
    "currency": "EUR",
}


def plain(kind: str, url: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Settings and credentials that work."""
    secrets: dict[str, dict[str, Any]] = {
        "infobip": {"api_key": "ib-secret-key"},
        "twilio": {"username": "SK-secret-name", "password": "tw-secret-pass"},
        "vonage": {"api_key": "vg-secret-key", "api_secret": "vg-secret-pass"},
        "telnyx": {"api_key": "tx-secret-key"},
        "template": {"secrets": {"key": "t/secret key&=%", "account": "acc-secret-7"}},
    }
    if kind == "template":
        return TEMPLATE | {"url": url + str(TEMPLATE["url"])}, secrets[kind]
    return {"base_url": url}, secrets[kind]


def all_secrets(kind: str) -> list[str]:
    """In every form in which they go out."""
    held = plain(kind, "")[1]
    values = list(held.get("secrets", held).values())
    if kind == "template":
        return [*values, quote(values[0], safe="")]
    return values if len(values) == 1 else [*values, basic(*values).removeprefix("Basic ")]


# -- what suppliers answer --------------------------------------------------------------------------------------------

INFOBIP = {
    "to": NUMBER,
    "mccMnc": "20801",
    "imsi": IMSI,
    "originalNetwork": {"networkName": "Orange", "networkPrefix": "612", "countryName": "France", "countryPrefix": "33",
                        "networkId": 1},
    "ported": False,
    "roaming": False,
    "servingMSC": "33689",
    "status": {"groupId": 3, "groupName": "DELIVERED", "id": 5, "name": "DELIVERED_TO_HANDSET", "description": "Done"},
    "error": {"groupId": 0, "groupName": "Ok", "id": 0, "name": "NO_ERROR", "permanent": False},
}  # fmt: skip
UNDELIVERED = {"groupId": 2, "groupName": "UNDELIVERABLE", "id": 9, "name": "UNDELIVERABLE_NOT_DELIVERED"}
TWILIO = {
    "calling_country_code": "33",
    "country_code": "FR",
    "phone_number": f"+{NUMBER}",
    "national_format": "06 12 34 56 78",
    "valid": True,
    "validation_errors": None,
    "line_type_intelligence": {"mobile_country_code": "208", "mobile_network_code": "10", "carrier_name": "SFR",
                               "type": "mobile", "error_code": None},
    "line_status": None,
    "url": "https://lookups.twilio.com/v2/PhoneNumbers/+33612345678",
}  # fmt: skip
VONAGE = {
    "status": 0,
    "status_message": "Success",
    "lookup_outcome": 0,
    "request_id": "97e973e7-2e27-4fd3-9e1a-972ea14dd992",
    "international_format_number": NUMBER,
    "request_price": "0.03000000",
    "remaining_balance": "1.97",
    "current_carrier": {"network_code": "20815", "name": "Free", "country": "FR", "network_type": "mobile"},
    "original_carrier": {"network_code": "20801", "name": "Orange", "country": "FR", "network_type": "mobile"},
    "ported": "ported",
    "roaming": {"status": "roaming", "roaming_country_code": "DE", "roaming_network_code": "26201"},
    "valid_number": "valid",
    "reachable": "reachable",
}
TELNYX = {
    "data": {
        "record_type": "number_lookup",
        "country_code": "US",
        "phone_number": "+12025550123",
        "valid_number": True,
        "carrier": {"name": "T-Mobile USA, Inc.", "type": "mobile", "mobile_country_code": "310",
                    "mobile_network_code": "260", "error_code": None, "normalized_carrier": "T-Mobile"},
        "portability": {"lrn": "2025550000", "ocn": "6529", "ported_status": "Y", "ported_date": "2020-01-01",
                        "line_type": "wireless", "spid": "6529"},
    }
}  # fmt: skip
OTHER = {
    "code": 0,
    "price": "0.0125",
    "result": {"ok": 1, "kind": "M", "networks": ["20801"], "mcc": 208, "mnc": "20", "ported": "Y", "away": "no",
               "where": "DE", "status": "ABSENT", "diagnostic": 1, "who/what": "Bouygues", "imsi": IMSI},
}  # fmt: skip


def infobip(**changes: Any) -> dict[str, Any]:
    return {"results": [INFOBIP | changes], "bulkId": "B1"}


def with_error(code: int, name: str) -> dict[str, Any]:
    return infobip(status=UNDELIVERED, error={"id": code, "name": name, "permanent": code == 1}, imsi=None)


def vonage(**changes: Any) -> dict[str, Any]:
    return VONAGE | changes


def telnyx(carrier: Any = (), portability: Any = (), **changes: Any) -> dict[str, Any]:
    data: dict[str, Any] = TELNYX["data"]
    changed = {"carrier": data["carrier"] | dict(carrier), "portability": data["portability"] | dict(portability)}
    return {"data": data | changed | changes}


def other(code: int = 0, **changes: Any) -> dict[str, Any]:
    result: dict[str, Any] = OTHER["result"]  # type: ignore[assignment]
    return OTHER | {"code": code, "message": "why not", "result": result | changes}


class Case(NamedTuple):
    name: str
    kind: str
    answer: Any
    told: Told
    settings: dict[str, Any] | None = None


def answer(reason: str = "", **found: Any) -> Told:
    return Told("answer", Findings(**found), reason)


def nothing(outcome: Any, reason: str) -> Told:
    return Told(outcome, None, reason)


ORANGE = {"current": "20801", "original": "20801", "ported": False, "roaming": False, "carrier": "Orange"}
FREE: dict[str, Any] = {
    "line_type": "mobile", "original": "20801", "current": "20815", "ported": True, "carrier": "Free",
    "cost_micros": 30_000, "currency": "EUR",
}  # fmt: skip
FREE_IN_GERMANY = FREE | {"roaming": True, "roaming_country": "DE"}
PACKAGES = {"packages": ["line_type_intelligence", "line_status"]}

CASES = [
    Case("delivered", "infobip", infobip(), answer(valid=True, reachable="yes", imsi=IMSI, **ORANGE)),
    Case("ported", "infobip", infobip(ported=True, portedNetwork={"networkName": "SFR", "networkPrefix": "610"}),
         answer(valid=True, reachable="yes", imsi=IMSI, current="20801", ported=True, roaming=False, carrier="SFR")),
    Case("the range's operator where the IMSI is another's", "infobip", infobip(ported=True, imsi="208201234567890"),
         answer(valid=True, reachable="yes", imsi="208201234567890", ported=True, roaming=False)),
    Case("roaming", "infobip", infobip(roaming=True, roamingNetwork={"countryPrefix": "46"}),
         answer(valid=True, reachable="yes", imsi=IMSI, **ORANGE | {"roaming": True, "roaming_country": "SE"})),
    Case("roaming where two dozen countries share a code", "infobip",
         infobip(roaming=True, roamingNetwork={"countryPrefix": "1"}),
         answer(valid=True, reachable="yes", imsi=IMSI, **ORANGE | {"roaming": True})),
    Case("absent", "infobip", with_error(27, "EC_ABSENT_SUBSCRIBER"),
         answer(valid=True, reachable="absent", absent=Absent(None, "EC_ABSENT_SUBSCRIBER"), **ORANGE)),
    Case("unknown subscriber", "infobip", with_error(1, "EC_UNKNOWN_SUBSCRIBER"),
         answer(valid=False, reachable="no", **ORANGE)),
    Case("barred", "infobip", with_error(13, "EC_CALL_BARRED"),
         answer(valid=True, reachable="absent", absent=Absent(None, "call barred"), **ORANGE)),
    Case("undetermined is not invalid", "infobip", with_error(34, "EC_SYSTEM_FAILURE"),
         answer(valid=None, reachable="unknown", **ORANGE)),
    Case("no credit", "infobip", infobip(status={"groupName": "REJECTED", "name": "REJECTED_NOT_ENOUGH_CREDITS"}),
         nothing("unavailable", "misconfigured: REJECTED_NOT_ENOUGH_CREDITS")),
    Case("not in their network", "infobip",
         infobip(mccMnc=None, imsi=None, status={"groupName": "REJECTED", "name": "REJECTED_NETWORK"}),
         nothing("not_covered", "REJECTED_NETWORK")),
    Case("pending", "infobip", infobip(status={"groupName": "PENDING"}), nothing("unavailable", "failed: PENDING")),
    Case("another number", "infobip", infobip(to="33611111111"),
         nothing("unavailable", "failed: the answer does not have this number")),

    Case("mobile", "twilio", TWILIO, answer(valid=True, line_type="mobile", current="20810", carrier="SFR")),
    Case("nomadic", "twilio", TWILIO | {"line_type_intelligence": {"type": "nonFixedVoip"}},
         answer(valid=True, line_type="voip")),
    Case("invalid", "twilio", TWILIO | {"valid": False, "line_type_intelligence": None}, answer(valid=False)),
    Case("unreachable", "twilio", TWILIO | {"line_status": {"status": "Unreachable", "error_code": None}},
         answer(valid=True, line_type="mobile", current="20810", carrier="SFR", reachable="absent"), PACKAGES),
    Case("active is not reachable", "twilio", TWILIO | {"line_status": {"status": "active"}},
         answer(valid=True, line_type="mobile", current="20810", carrier="SFR", reachable="unknown"), PACKAGES),
    Case("inactive", "twilio", TWILIO | {"line_status": {"status": "inactive"}},
         answer(valid=False, line_type="mobile", current="20810", carrier="SFR", reachable="no"), PACKAGES),
    Case("an error in one package", "twilio", TWILIO | {"line_type_intelligence": {"error_code": 60601}},
         answer(valid=True, reason="line_type_intelligence: error 60601")),

    Case("ported and roaming", "vonage", VONAGE, answer(valid=True, reachable="yes", **FREE_IN_GERMANY)),
    Case("without the live part, and paid back", "vonage",
         vonage(status=44, refund_price="0.01025", roaming="unknown", reachable="unknown", valid_number="unknown"),
         answer(reachable="unknown", **FREE | {"cost_micros": 19_750})),
    Case("guesses are unknown", "vonage", vonage(ported="assumed_ported", valid_number="inferred_not_valid"),
         answer(valid=True, reachable="yes", **FREE_IN_GERMANY | {"ported": None})),
    Case("bad number", "vonage", vonage(reachable="bad_number", valid_number="not_valid"),
         answer(valid=False, reachable="no", **FREE_IN_GERMANY)),
    Case("absent", "vonage", vonage(reachable="absent", roaming={"status": "not_roaming"}),
         answer(valid=True, reachable="absent", **FREE | {"roaming": False})),
    Case("a virtual network", "vonage",
         vonage(current_carrier={"network_code": "US-VIRTUAL-BANDWIDTH", "network_type": "virtual"}),
         answer(valid=True, reachable="yes",
                **FREE_IN_GERMANY | {"current": None, "carrier": None, "line_type": "voip"})),
    Case("busy", "vonage", {"status": 1, "status_message": "Busy"}, nothing("unavailable", "throttled: status 1 Busy")),
    Case("no number", "vonage", {"status": 3, "status_message": "Invalid request"},
         nothing("not_covered", "status 3 Invalid request")),
    Case("bad credentials echoed", "vonage", {"status": 4, "status_message": "Bad vg-secret-pass"},
         nothing("unavailable", "misconfigured: status 4 Bad ***")),
    Case("no credit", "vonage", {"status": 9}, nothing("unavailable", "misconfigured: status 9")),
    Case("not enabled", "vonage", {"status": 19}, nothing("unavailable", "misconfigured: status 19")),
    Case("their error", "vonage", {"status": 999}, nothing("unavailable", "failed: status 999")),
    Case("a new status", "vonage", {"status": 77}, nothing("unavailable", "failed: status 77")),

    Case("ported", "telnyx", TELNYX,
         answer(valid=True, line_type="mobile", current="310260", ported=True, carrier="T-Mobile")),
    Case("not ported", "telnyx", telnyx(portability={"ported_status": "N"}),
         answer(valid=True, line_type="mobile", current="310260", original="310260", ported=False, carrier="T-Mobile")),
    Case("no MCC on this account", "telnyx",
         telnyx(carrier={"mobile_country_code": "1", "mobile_network_code": "0202", "normalized_carrier": None,
                         "type": "fixed line or mobile"}, portability={"ported_status": ""}),
         answer(valid=True, line_type="fixed_or_mobile", carrier="T-Mobile USA, Inc.")),
    Case("the line's type from portability", "telnyx", telnyx(carrier={"type": "unknown"}),
         answer(valid=True, line_type="mobile", current="310260", ported=True, carrier="T-Mobile")),
    Case("no data", "telnyx", {"data": None}, nothing("unavailable", "failed: the answer has no data")),

    Case("all findings", "template", OTHER,
         answer(valid=True, line_type="mobile", original="20801", current="20820", ported=True, roaming=False,
                reachable="absent", absent=Absent(1, "IMSI detached"), carrier="Bouygues", imsi=IMSI,
                cost_micros=12_500, currency="EUR")),
    Case("a MAP error, a word that the table lacks", "template",
         other(status=None, map=1, kind="X", ok=None, imsi=None, ported=None, mnc=20, diagnostic=None),
         answer(valid=False, original="20801", roaming=False, reachable="no", carrier="Bouygues", cost_micros=12_500,
                currency="EUR")),
    Case("roaming", "template", other(away=True, status="CONNECTED", mnc=None, networks=[]),
         answer(valid=True, line_type="mobile", ported=True, roaming=True, roaming_country="DE", reachable="yes",
                carrier="Bouygues", imsi=IMSI, cost_micros=12_500, currency="EUR")),
    Case("not covered", "template", other(404), nothing("not_covered", "404 why not")),
    Case("misconfigured", "template", other(7), nothing("unavailable", "misconfigured: 7 why not")),
    Case("throttled", "template", other(8), nothing("unavailable", "throttled: 8 why not")),
    Case("an outcome that is not listed", "template", other(9), nothing("unavailable", "failed: 9 why not")),
    Case("any other outcome", "template", other(9), nothing("unavailable", "rejected: 9 why not"),
         {"outcomes": {"0": "answer", "*": "rejected"}}),
    Case("nothing where the settings look", "template", {"code": "0", "result": []},
         nothing("not_covered", "the answer has nothing where the settings look")),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.kind}: {case.name}")
async def test_an_answer_is_told_in_our_words(case: Case) -> None:
    number = "12025550123" if case.kind == "telnyx" else NUMBER
    async with listening(saying(case.answer)) as far, asking(case.kind, far, settings=case.settings) as source:
        (told,) = await source.ask([number])
        assert len(far.asked) == 1
    raw = told.findings.raw if told.findings else b""
    assert (msgspec.structs.replace(told, findings=told.findings and without_raw(told.findings))) == case.told
    assert bool(raw) == (told.outcome == "answer")
    assert IMSI.encode() not in raw


def without_raw(found: Findings) -> Findings:
    return msgspec.structs.replace(found, raw=b"")


# -- what is asked ----------------------------------------------------------------------------------------------------

REQUESTS: dict[str, tuple[str, str, dict[str, str], Any]] = {
    "infobip": ("POST", "/number/1/query",
                {"authorization": "App ib-secret-key", "content-type": "application/json"}, {"to": [NUMBER]}),
    "twilio": ("GET", "/v2/PhoneNumbers/%2B33612345678?Fields=line_type_intelligence",
               {"authorization": basic("SK-secret-name", "tw-secret-pass")}, None),
    "vonage": ("GET", "/ni/advanced/json?number=33612345678",
               {"authorization": basic("vg-secret-key", "vg-secret-pass")}, None),
    "telnyx": ("GET", "/v2/number_lookup/%2B33612345678?type=carrier", {"authorization": "Bearer tx-secret-key"}, None),
    "template": ("GET", "/lookup/33612345678?key=t%2Fsecret%20key%26%3D%25", {"x-account": "acc-secret-7"}, None),
}  # fmt: skip


def test_every_supplier_has_its_request_and_its_cases_here() -> None:
    assert set(REQUESTS) == set(KINDS) == {case.kind for case in CASES}


@pytest.mark.parametrize("kind", KINDS)
async def test_the_request_is_that_of_the_contract(kind: str) -> None:
    method, path, headers, content = REQUESTS[kind]
    async with listening(saying({})) as far, asking(kind, far) as source:
        await source.ask([NUMBER])
        (asked,) = far.asked
    assert (asked.method, asked.path) == (method, path)
    assert asked.headers.items() >= headers.items()
    assert asked.headers["accept"] == "application/json"
    assert (json.loads(asked.body) if asked.body else None) == content


async def test_the_address_in_the_settings_may_have_a_path() -> None:
    async with listening(saying(TELNYX)) as far:
        settings = {"base_url": f"{far.url}/through/gate/"}
        async with asking("telnyx", far, settings=settings) as source:
            await source.ask([NUMBER])
        assert far.asked[0].path == "/through/gate/v2/number_lookup/%2B33612345678?type=carrier"


async def test_no_number_and_no_key_stay_in_the_memory_of_the_client() -> None:
    from chappe.outgoing.client import _target

    _target.cache_clear()
    async with listening(saying(OTHER)) as far, asking("template", far) as source:
        await source.ask([NUMBER, "33612345679"])
        assert len(far.asked) == 2
    assert _target.cache_info().currsize == 1


async def test_a_supplier_with_batches_is_asked_in_batches_and_answers_find_their_numbers() -> None:
    numbers = [f"336000000{n:02}" for n in range(2 * Infobip.request_size + 3)]

    def reply(request: web.Request) -> Awaitable[web.StreamResponse]:
        async def told() -> web.StreamResponse:
            asked = (await request.json())["to"]
            results = [INFOBIP | {"to": f"+{to}", "imsi": None, "mccMnc": f"208{to[-2:]}"} for to in reversed(asked)]
            return web.json_response({"results": [r for r in results if r["to"] != f"+{numbers[1]}"]})

        return told()

    async with listening(reply) as far, asking("infobip", far) as source:
        told = await source.ask(numbers)
        assert [len(json.loads(asked.body)["to"]) for asked in far.asked] == [
            source.request_size,
            source.request_size,
            3,
        ]
    assert [one.findings and one.findings.current for one in told] == [
        f"208{number[-2:]}" if number != numbers[1] else None for number in numbers
    ]
    assert failure(told[1]) == "failed"


def test_a_full_batch_of_long_answers_fits_into_what_the_client_reads() -> None:
    network = {"networkName": "n" * 40, "networkPrefix": "1" * 5, "countryName": "c" * 30, "countryPrefix": "1" * 3,
               "networkId": 99999}  # fmt: skip
    long = INFOBIP | {"originalNetwork": network, "portedNetwork": network, "roamingNetwork": network}
    assert len(json.dumps({"results": [long] * Infobip.request_size, "bulkId": "B" * 40})) < MAX_BODY


async def test_the_others_are_asked_so_many_at_a_time() -> None:
    def reply(request: web.Request) -> Awaitable[web.StreamResponse]:
        async def told() -> web.StreamResponse:
            await asyncio.sleep(0.01)
            return web.json_response(telnyx(carrier={"mobile_network_code": request.path[-3:]}))

        return told()

    numbers = [f"336000000{n:02}" for n in range(20)]
    async with listening(reply) as far, asking("telnyx", far, in_flight=3) as source:
        halves = await asyncio.gather(source.ask(numbers[:10]), source.ask(numbers[10:]))
        assert 1 < far.most_waiting <= 3
    assert [one.findings and one.findings.current for half in halves for one in half] == [
        f"310{number[-3:]}" for number in numbers
    ]


async def test_nothing_is_asked_for_no_numbers() -> None:
    async with listening(saying({})) as far, asking("infobip", far) as source:
        assert await source.ask([]) == []
        assert far.asked == []


# -- what goes wrong --------------------------------------------------------------------------------------------------

ERRORS: dict[str, tuple[Any, str]] = {
    "infobip": ({"requestError": {"serviceException": {"messageId": "UNAUTHORIZED", "text": "Unauthorized"}}},
                "UNAUTHORIZED Unauthorized"),
    "twilio": ({"code": 20003, "message": "Authenticate", "status": 401}, "20003 Authenticate"),
    "vonage": ({"title": "Unauthorized", "detail": "You did not provide correct credentials."},
               "Unauthorized You did not provide correct credentials."),
    "telnyx": ({"errors": [{"code": "10009", "title": "Authentication failed", "detail": "No key found"}]},
               "10009 Authentication failed No key found"),
    "template": ({"message": "who are you?"}, "who are you?"),
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("status", "code"),
    [(302, "misconfigured"), (400, "rejected"), (401, "misconfigured"), (402, "misconfigured"), (403, "misconfigured"),
     (408, "failed"), (429, "throttled"), (500, "failed"), (503, "failed")],
)  # fmt: skip
async def test_a_status_says_whether_waiting_helps(kind: str, status: int, code: str) -> None:
    content, words = ERRORS[kind]
    elsewhere = {"Location": "/elsewhere"} if status == 302 else None
    async with listening(saying(content, status, elsewhere)) as far, asking(kind, far) as source:
        (told,) = await source.ask([NUMBER])
        assert len(far.asked) == 1  # nothing is asked twice, no redirect followed
    assert told == Told("unavailable", reason=f"{code}: HTTP {status} {words}")
    assert failure(told) == code
    assert is_misconfigured(told) == (code == "misconfigured")
    assert is_passing(told) == (code in ("failed", "throttled"))


@pytest.mark.parametrize(
    ("kind", "status", "outcome"),
    [("twilio", 404, "not_covered"), ("telnyx", 422, "not_covered"), ("telnyx", 404, "unavailable"),
     ("infobip", 404, "unavailable"), ("infobip", 422, "unavailable")],
)  # fmt: skip
async def test_a_status_may_mean_that_there_is_nothing_for_this_number(kind: str, status: int, outcome: str) -> None:
    async with listening(saying({}, status)) as far, asking(kind, far) as source:
        (told,) = await source.ask([NUMBER])
    assert told.outcome == outcome


@pytest.mark.parametrize(
    ("body", "words"),
    [(b"", "no JSON"), (b"<html>", "no JSON"), (b'{"data": "\xff"}', "no JSON"), (b"[" * 9_000, "no JSON"),
     (b'{"data": {"x": "' + b"x" * MAX_BODY + b'"}}', "too long")],
)  # fmt: skip
async def test_what_is_no_json_or_too_long_is_no_answer(body: bytes, words: str) -> None:
    async with listening(saying(body)) as far, asking("telnyx", far) as source:
        (told,) = await source.ask([NUMBER])
    assert failure(told) == "failed"
    assert words in told.reason


async def test_silence_is_a_timeout() -> None:
    async def silent(_: web.Request) -> web.StreamResponse:
        await asyncio.sleep(5)
        return web.Response()

    async with listening(silent) as far, asking("telnyx", far, timeout_s=0.1) as source:
        (told,) = await source.ask([NUMBER])
    assert failure(told) == "timeout"


async def test_a_connection_that_breaks_is_a_failure() -> None:
    def cut(request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        request.transport.abort()
        return web.Response()

    async with listening(cut) as far, asking("telnyx", far) as source:
        (told,) = await source.ask([NUMBER])
        assert failure(told) == "failed"
    async with asking("telnyx", far) as source:  # nobody listens there any more
        (told,) = await source.ask([NUMBER])
        assert failure(told) == "failed"


@pytest.mark.parametrize("kind", KINDS)
async def test_a_private_address_is_refused_by_the_guard(kind: str) -> None:
    async with listening(saying({})) as far, asking(kind, far, Outgoing()) as source:
        (told,) = await source.ask([NUMBER])
        assert far.asked == []
    assert told == Told("unavailable", reason="misconfigured: private address")


async def test_whoever_gives_up_leaves_room_for_others() -> None:
    gate = asyncio.Event()

    async def slow(_: web.Request) -> web.StreamResponse:
        await gate.wait()
        return web.json_response(TELNYX)

    async with listening(slow) as far, asking("telnyx", far, in_flight=1) as source:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await source.ask([NUMBER])
        gate.set()
        (told,) = await source.ask([NUMBER])
    assert told.outcome == "answer"


# -- secrets ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("status", [200, 401, 500])
async def test_a_secret_that_a_supplier_echoes_is_not_told(kind: str, status: int) -> None:
    echo = " ".join(all_secrets(kind))
    content: dict[str, Any] = {
        "requestError": {"serviceException": {"messageId": echo, "text": echo}},
        "errors": [{"code": echo, "title": echo, "detail": echo}],
        "results": [{"to": NUMBER, "status": {"groupName": "REJECTED", "name": echo}}],
        **dict.fromkeys(("message", "status_message", "title", "detail"), echo),
        "code": 7 if kind == "template" else echo,
        "status": 4,
    }
    async with listening(saying(content, status)) as far, asking(kind, far) as source:
        (told,) = await source.ask([NUMBER])
    assert not [secret for secret in all_secrets(kind) if secret in told.reason]
    assert "***" in told.reason or (kind, status) in {("twilio", 200), ("telnyx", 200)}  # these say nothing at all


@pytest.mark.parametrize("before", [0, 110, 190, 4_080])
async def test_a_secret_is_hidden_before_anything_is_cut(before: int) -> None:
    words = "x" * before + "tx-secret-key"
    async with listening(saying({"errors": [{"detail": words}]}, 500)) as far, asking("telnyx", far) as source:
        (told,) = await source.ask([NUMBER])
        assert "tx-s" not in told.reason
        far.answer = saying(telnyx(note=words))
        (told,) = await source.ask([NUMBER])
        assert told.findings is not None
        assert b"tx-s" not in told.findings.raw
        assert len(told.findings.raw) <= RAW_MAX


@pytest.mark.parametrize("kind", KINDS)
def test_no_repr_shows_a_secret(kind: str) -> None:
    settings, credentials = plain(kind, "https://api.example")
    held = msgspec.convert(credentials, KINDS[kind].credentials)
    supplier = make(kind, settings, held)
    request = supplier.request([NUMBER])
    shown = [f"{thing!r} {thing}" for thing in (held, request, supplier, [held, request])]
    shown += [str(thing.__rich_repr__()) for thing in (held, request)]
    assert not [secret for secret in all_secrets(kind) for text in shown if secret in text]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("evil", ["a\r\nX-Evil: 1", "a\nb", "", "é", 7])
def test_a_secret_that_no_header_can_carry_is_refused(kind: str, evil: Any) -> None:
    settings, credentials = plain(kind, "https://api.example")
    held = credentials.get("secrets", credentials)
    for name in held:
        changed = held | {name: evil}
        with pytest.raises(Refused) as refused:
            make(kind, settings, {"secrets": changed} if kind == "template" else changed)
        assert str(refused.value.param).startswith("credentials.")
        assert "Evil" not in refused.value.message


# -- settings ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "template"])
@pytest.mark.parametrize(
    "url",
    ["ftp://x.example", "https://", "https://user:pass@x.example", "https://x.example/?a=1", "https://x y", "//x"],
)
def test_an_address_that_is_none_is_refused(kind: str, url: str) -> None:
    with pytest.raises(Refused) as refused:
        make(kind, {"base_url": url}, plain(kind, "")[1])
    assert refused.value.param == "settings.base_url"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"url": "https://{number}.example/"}, "host"),
        ({"url": "https://{secret.key}@x.example/{number}"}, "host"),
        ({"url": "https://x.example/{nummer}"}, "no slot {nummer}"),
        ({"url": "https://x.example/{number}#top"}, "fragment"),
        ({"url": 'https://x.example/{number}?q={"a"}'}, "escaped"),
        ({"url": "https://x.example/"}, "{number} stands neither"),
        ({"url": "https://x.example:0/{number}"}, "host"),
        ({"url": "https://x.example/{number}", "body": "x"}, "a GET has none"),
        ({"headers": {"Host": "y"}}, "not yours to set"),
        ({"headers": {"content-LENGTH": "1"}}, "not yours to set"),
        ({"headers": {"X": "{number}"}}, "goes into the url"),
        ({"headers": {"X": "a\r\nY: b"}}, "regex"),
        ({"headers": {"X Y": "a"}}, "regex"),
        ({"find": {}}, "length"),
        ({"find": {"valid": "result.ok"}}, "regex"),
        ({"find": {"valid": "/a~2"}}, "regex"),
        ({"find": {"colour": "/a"}}, "not allowed"),
        ({"words": {"line_type": {"M": "handset"}}}, "not handset"),
        ({"words": {"ported": {"M": "yes"}}}, "true, false"),
        ({"outcomes": {}}, "go together"),
        ({"outcomes": {"1": "maybe"}}, "not allowed"),
        ({"uncovered": [200]}, ">= 400"),
        ({"currency": "euro"}, "regex"),
        ({"colour": "red"}, "no field"),
    ],
)
def test_a_template_that_cannot_work_is_refused_in_clear_words(change: dict[str, Any], words: str) -> None:
    settings, credentials = plain("template", "https://x.example")
    with pytest.raises(Refused) as refused:
        make("template", settings | change, credentials)
    assert str(refused.value.param).startswith("settings")
    assert words in refused.value.message


@pytest.mark.parametrize(
    ("url", "words"), [("/{number}?k={secret.kee}", "secret kee"), ("/{number}?k={basic}", "username and password")]
)
def test_a_secret_that_a_template_lacks_is_named(url: str, words: str) -> None:
    settings, credentials = plain("template", "https://x.example")
    with pytest.raises(Refused) as refused:
        make("template", settings | {"url": "https://x.example" + url}, credentials)
    assert (refused.value.param, words in refused.value.message) == ("credentials", True)


@pytest.mark.parametrize(
    ("kind_of_body", "body", "sent"),
    [
        ("application/json", '{"msisdn": "{number}", "pass": "{secret.password}", "x": {}}',
         '{"msisdn": "+33612345678", "pass": "a\\"b\\\\ &", "x": {}}'),
        ("application/x-www-form-urlencoded", "msisdn={number}&pass={secret.password}",
         "msisdn=%2B33612345678&pass=a%22b%5C%20%26"),
    ],
)  # fmt: skip
async def test_a_template_posts_what_its_body_says(kind_of_body: str, body: str, sent: str) -> None:
    settings = {
        "method": "POST",
        "headers": {"Content-Type": kind_of_body, "Authorization": "Basic {basic}"},
        "body": body,
        "plus": True,
        "find": {"current": "/0"},
    }
    async with listening(saying(["20801"])) as far:
        credentials = {"secrets": {"username": "me", "password": 'a"b\\ &'}}
        http = Outgoing(allow_private=True)
        source = HttpSource(http, make("template", settings | {"url": f"{far.url}/hlr"}, credentials))
        (told,) = await source.ask([NUMBER])
        await http.close()
        (asked,) = far.asked
    assert (asked.method, asked.path, asked.body.decode()) == ("POST", "/hlr", sent)
    assert asked.headers["authorization"] == basic("me", 'a"b\\ &')
    assert told == Told("answer", Findings(current="20801", raw=b'["20801"]'))


# -- any answer -------------------------------------------------------------------------------------------------------

LEAVES = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8), st.just("9" * 5_000), st.just(10**400),
    st.sampled_from(["true", "208", "01", "20801", "unknown", "Y", "DELIVERED", "REJECTED", "33", "-1", "1e999", "٣"]),
)  # fmt: skip
JSON = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3)
)
ANSWERS: dict[str, Any] = {
    "infobip": infobip(roamingNetwork={"countryPrefix": "46"}, roaming=True),
    "twilio": TWILIO | {"line_status": {"status": "active"}},
    "vonage": VONAGE,
    "telnyx": TELNYX,
    "template": OTHER,
}
MADE = {kind: make(kind, *plain(kind, "https://x.example")) for kind in KINDS}


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    below = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for name, inner in below for place in places(inner, (*path, name)))]


def changed(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    if not path:
        return new
    copy: Any = value.copy()
    copy[path[0]] = changed(value[path[0]], path[1:], new)
    return copy


@pytest.mark.parametrize("kind", KINDS)
@given(data=st.data())
def test_whatever_the_json_an_answer_comes_of_it(kind: str, data: st.DataObject) -> None:
    known = ANSWERS[kind]
    stranger = data.draw(JSON | st.builds(changed, st.just(known), st.sampled_from(places(known)), JSON))
    for told in MADE[kind].read([NUMBER, "33699"][: MADE[kind].request_size], stranger):
        assert told.outcome in ("answer", "not_covered", "unavailable")
        assert (told.findings is not None) == (told.outcome == "answer")
        found = told.findings or Findings()
        plain_values = msgspec.to_builtins(msgspec.structs.replace(found, raw=b""))
        assert msgspec.convert(plain_values, Findings) == msgspec.structs.replace(found, raw=b"")
        assert all(re.fullmatch(r"[2-79]\d{4,5}", code, re.ASCII) for code in (found.current, found.original) if code)
        assert found.cost_micros is None or 0 <= found.cost_micros <= 1_000_000_000
    assert isinstance(MADE[kind].words(stranger), str)
