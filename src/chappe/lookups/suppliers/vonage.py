"""Vonage Number Insight, Advanced, synchronous: GET /ni/advanced/json.

https://developer.vonage.com/en/api/number-insight. Vonage announces the end of this interface for 4 February 2027. What
went wrong stands in `status` of an answer that is 200.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final
from urllib.parse import quote

from msgspec import Struct

from chappe.lookups.model import Findings, Told
from chappe.lookups.suppliers import reading
from chappe.lookups.suppliers.config import BaseUrl, Credentials, Secret
from chappe.lookups.suppliers.contract import Request, authorization, basic
from chappe.lookups.suppliers.reading import within
from chappe.lookups.suppliers.verdict import Failure, not_covered, unavailable
from chappe.lookups.suppliers.words import State, line_type, state

CURRENCY = "EUR"  # request_price: "the amount in EUR charged to your account"

_ANSWERED = frozenset({0, 43, 44, 45})  # 43 to 45: the live part is missing, the rest is there
_INVALID = 3  # "incomplete and missing some mandatory parameters", also for what is no number
_FAILURES: Final[dict[int, Failure]] = {
    1: "throttled",
    4: "misconfigured",  # credentials
    5: "failed",
    9: "misconfigured",  # no credit
    19: "misconfigured",  # the facility is not enabled for the account
    999: "failed",
}
# `assumed_ported` and `assumed_not_ported` are guesses of theirs, and `inferred_not_valid` is one: unknown
_PORTED: Final[dict[str, bool]] = {"ported": True, "not_ported": False}
_VALID: Final[dict[str, bool]] = {"valid": True, "not_valid": False}
_ROAMING: Final[dict[str, bool]] = {"roaming": True, "not_roaming": False}


class VonageSettings(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    base_url: BaseUrl = "https://api.nexmo.com"


class VonageCredentials(Credentials, frozen=True, forbid_unknown_fields=True):
    api_key: Secret
    api_secret: Secret


class Vonage:
    request_size = 1
    uncovered: frozenset[int] = frozenset()

    def __init__(self, settings: VonageSettings, credentials: VonageCredentials) -> None:
        token = basic(credentials.api_key, credentials.api_secret)
        self.base_url = settings.base_url
        self.secrets = (credentials.api_secret, token, credentials.api_key)
        self._headers = authorization("Basic", token)

    def request(self, digits: Sequence[str]) -> Request:
        return Request("GET", f"/ni/advanced/json?number={quote(digits[0], safe='')}", self._headers)

    def read(self, digits: Sequence[str], answer: Any) -> list[Told]:
        status = reading.number(within(answer, "status"))
        if status in _ANSWERED:
            return [Told("answer", _findings(answer))]
        words = f"status {status} {self.words(answer)}".strip()
        if status == _INVALID:
            return [not_covered(words)]
        return [unavailable(_FAILURES.get(status, "failed") if status is not None else "failed", words)]

    def words(self, answer: Any) -> str:
        said = [reading.words(within(answer, name)) for name in ("status_message", "error_text", "title", "detail")]
        return " ".join(words for words in said if words)


def _findings(answer: Any) -> Findings:
    now, first = within(answer, "current_carrier"), within(answer, "original_carrier")
    live = state(within(answer, "reachable")) or State()
    valid = _VALID.get(reading.text(within(answer, "valid_number")) or "")
    roaming = _ROAMING.get(reading.text(within(answer, "roaming", "status")) or "")
    cost = _cost(answer)
    return Findings(
        valid=valid if valid is not None else live.valid,
        line_type=line_type(within(now, "network_type")) or line_type(within(first, "network_type")),
        original=reading.network_code(within(first, "network_code")),
        current=reading.network_code(within(now, "network_code")),
        ported=_PORTED.get(reading.text(within(answer, "ported")) or ""),
        roaming=roaming,
        roaming_country=reading.iso_country(within(answer, "roaming", "roaming_country_code")) if roaming else None,
        reachable=live.reachable,
        absent=live.absent,
        carrier=reading.text(within(now, "name")),
        cost_micros=cost,
        currency=CURRENCY if cost is not None else None,
        raw=reading.raw(answer),
    )


def _cost(answer: Any) -> int | None:
    """What was charged less what is paid back for the part that was not found."""
    price = reading.micros(within(answer, "request_price"))
    if price is None:
        return None
    return max(0, price - (reading.micros(within(answer, "refund_price")) or 0))
