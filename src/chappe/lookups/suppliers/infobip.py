"""Infobip Number Context, synchronous and in batches: POST /number/1/query.

https://www.infobip.com/docs/api/connectivity/number-lookup (OpenAPI 3.245.1 of 2026-10-07), and its error codes:
https://www.infobip.com/docs/essentials/response-status-and-error-codes. Ids of its errors below 64 are those of MAP.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec import Struct

from chappe.lookups.model import Findings, Told
from chappe.lookups.suppliers import reading
from chappe.lookups.suppliers.config import BaseUrl, Credentials, Secret
from chappe.lookups.suppliers.contract import Request, authorization
from chappe.lookups.suppliers.reading import within
from chappe.lookups.suppliers.verdict import not_covered, unavailable
from chappe.lookups.suppliers.words import OFF, ON, UNSURE, State, absent, map_error
from chappe.outgoing import MAX_BODY

MAX_NUMBERS = 1_000  # NcQueryRequest: maxItems
_RESULT_BYTES = 1_100  # a result with all its three networks named, generously
_NO_CREDIT = frozenset({"REJECTED_NOT_ENOUGH_CREDITS", "REJECTED_PREPAID_PACKAGE_EXPIRED"})
_OURS_TO_WAIT = frozenset({"REJECTED_FLOODING_FILTER", "REJECTED_SYSTEM_ERROR"})


class InfobipSettings(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """`base_url`: each account has one of its own, such as https://abc123.api.infobip.com."""

    base_url: BaseUrl = "https://api.infobip.com"


class InfobipCredentials(Credentials, frozen=True, forbid_unknown_fields=True):
    api_key: Secret


class Infobip:
    uncovered: frozenset[int] = frozenset()
    request_size = min(MAX_NUMBERS, MAX_BODY // _RESULT_BYTES)

    def __init__(self, settings: InfobipSettings, credentials: InfobipCredentials) -> None:
        self.base_url = settings.base_url
        self.secrets = (credentials.api_key,)
        self._headers = authorization("App", credentials.api_key) + b"Content-Type: application/json\r\n"

    def request(self, digits: Sequence[str]) -> Request:
        return Request("POST", "/number/1/query", self._headers, msgspec.json.encode({"to": list(digits)}))

    def read(self, digits: Sequence[str], answer: Any) -> list[Told]:
        listed = within(answer, "results")
        results = {
            (reading.word(within(result, "to")) or "").removeprefix("+"): result
            for result in (listed if isinstance(listed, list) else [])
        }
        missing = unavailable("failed", "the answer does not have this number")
        return [_told(results[number]) if number in results else missing for number in digits]

    def words(self, answer: Any) -> str:
        problem = within(answer, "requestError", "serviceException")
        said = [reading.words(within(problem, name)) for name in ("messageId", "text")]
        return " ".join(words for words in said if words)


def _told(result: Any) -> Told:
    group = reading.words(within(result, "status", "groupName")) or ""
    name = reading.words(within(result, "status", "name")) or ""
    if name in _NO_CREDIT:
        return unavailable("misconfigured", name)
    if name in _OURS_TO_WAIT or group in ("PENDING", "ACCEPTED"):
        return unavailable("failed", name or group)
    current = _current(result)
    if group == "REJECTED" and current is None:
        return not_covered(name or group)
    return Told("answer", _findings(result, current, _state(result, group, name)))


def _findings(result: Any, current: str | None, state: State) -> Findings:
    ported = reading.flag(within(result, "ported"))
    roaming = reading.flag(within(result, "roaming"))
    network = "portedNetwork" if ported else "originalNetwork"
    imsi = reading.imsi(within(result, "imsi"))
    return Findings(
        valid=state.valid,
        current=current,
        original=current if ported is False else None,  # networkPrefix is no MNC
        ported=ported,
        roaming=roaming,
        roaming_country=(
            reading.country_of_calling_code(within(result, "roamingNetwork", "countryPrefix")) if roaming else None
        ),
        reachable=state.reachable,
        absent=state.absent,
        carrier=reading.text(within(result, network, "networkName")),
        imsi=imsi,
        raw=reading.raw(result, imsi),
    )


def _current(result: Any) -> str | None:
    """The home network. Where a ported number's IMSI contradicts mccMnc, the latter is the range's holder: unknown."""
    code = reading.network_code(within(result, "mccMnc"))
    imsi = reading.imsi(within(result, "imsi"))
    return code if code is None or imsi is None or imsi.startswith(code) else None


def _state(result: Any, group: str, name: str) -> State:
    if group == "DELIVERED":
        return ON if name == "DELIVERED_TO_HANDSET" else UNSURE
    state = map_error(within(result, "error", "id")) or UNSURE
    if state is OFF:
        return state._replace(absent=absent(None, reading.text(within(result, "error", "name"))))
    return state
