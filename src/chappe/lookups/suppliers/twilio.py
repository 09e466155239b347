"""Twilio Lookup v2: GET /v2/PhoneNumbers/{number}, with the packages that the settings name.

https://www.twilio.com/docs/lookup/v2-api, .../line-type-intelligence, .../line-status. Every package has an error of
its own in an answer that is 200 otherwise.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Final, Literal
from urllib.parse import quote

from msgspec import Meta, Struct

from chappe.lookups.model import Findings, Told
from chappe.lookups.suppliers import reading
from chappe.lookups.suppliers.config import BaseUrl, Credentials, Secret
from chappe.lookups.suppliers.contract import Request, authorization, basic
from chappe.lookups.suppliers.reading import within
from chappe.lookups.suppliers.verdict import unavailable
from chappe.lookups.suppliers.words import NOBODY, OFF, ON, UNSURE, State, line_type

Package = Literal["line_type_intelligence", "line_status"]

_STATUS: Final[dict[str, State]] = {
    "active": State(True, "unknown"),  # the number lives, the phone may be off
    "reachable": ON,
    "unreachable": OFF,
    "inactive": NOBODY,
    "unknown": UNSURE,
}


class TwilioSettings(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """`packages` are charged each; `line_status` has to be asked of Twilio first."""

    base_url: BaseUrl = "https://lookups.twilio.com"
    packages: Annotated[tuple[Package, ...], Meta(max_length=2)] = ("line_type_intelligence",)


class TwilioCredentials(Credentials, frozen=True, forbid_unknown_fields=True):
    """An API key and its secret, or the SID of the account and its token."""

    username: Secret
    password: Secret


class Twilio:
    request_size = 1
    uncovered = frozenset({404})  # error 20404: there is no such number

    def __init__(self, settings: TwilioSettings, credentials: TwilioCredentials) -> None:
        token = basic(credentials.username, credentials.password)
        self.base_url = settings.base_url
        self.secrets = (credentials.password, token, credentials.username)
        self._headers = authorization("Basic", token)
        self._query = f"?Fields={','.join(settings.packages)}" if settings.packages else ""

    def request(self, digits: Sequence[str]) -> Request:
        return Request("GET", f"/v2/PhoneNumbers/{quote(f'+{digits[0]}', safe='')}{self._query}", self._headers)

    def read(self, digits: Sequence[str], answer: Any) -> list[Told]:
        if not isinstance(answer, dict):
            return [unavailable("failed", "the answer is no object")]
        line = within(answer, "line_type_intelligence")
        state = _STATUS.get((reading.text(within(answer, "line_status", "status")) or "").lower(), State())
        valid = reading.flag(within(answer, "valid"))
        found = Findings(
            valid=state.valid if valid is not False and state.valid is not None else valid,
            line_type=line_type(within(line, "type")),
            current=reading.operator(within(line, "mobile_country_code"), within(line, "mobile_network_code")),
            carrier=reading.text(within(line, "carrier_name")),
            reachable=state.reachable,
            absent=state.absent,
            raw=reading.raw(answer),
        )
        return [Told("answer", found, _troubles(answer))]

    def words(self, answer: Any) -> str:
        said = [reading.word(within(answer, name)) for name in ("code", "message")]
        return " ".join(words for words in said if words)


def _troubles(answer: Any) -> str:
    """The packages that came back with an error, such as 60601 for Canadian numbers without a permit."""
    codes = {
        name: reading.word(within(answer, name, "error_code")) for name in ("line_type_intelligence", "line_status")
    }
    return ", ".join(f"{name}: error {code}" for name, code in codes.items() if code)
