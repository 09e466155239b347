"""Telnyx Number Lookup: GET /v2/number_lookup/{number}?type=carrier.

https://developers.telnyx.com/docs/identity/number-lookup. MCC and MNC come only where the account is enabled for them;
portability is told of North American numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final
from urllib.parse import quote

from msgspec import Struct

from chappe.lookups.model import Findings, Told
from chappe.lookups.suppliers import reading
from chappe.lookups.suppliers.config import BaseUrl, Credentials, Secret
from chappe.lookups.suppliers.contract import Request, authorization
from chappe.lookups.suppliers.reading import within
from chappe.lookups.suppliers.verdict import unavailable
from chappe.lookups.suppliers.words import line_type

_PORTED: Final[dict[str, bool]] = {"Y": True, "N": False}


class TelnyxSettings(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    base_url: BaseUrl = "https://api.telnyx.com"


class TelnyxCredentials(Credentials, frozen=True, forbid_unknown_fields=True):
    api_key: Secret


class Telnyx:
    request_size = 1
    uncovered = frozenset({422})  # no number, or a Canadian one without a permit

    def __init__(self, settings: TelnyxSettings, credentials: TelnyxCredentials) -> None:
        self.base_url = settings.base_url
        self.secrets = (credentials.api_key,)
        self._headers = authorization("Bearer", credentials.api_key)

    def request(self, digits: Sequence[str]) -> Request:
        path = f"/v2/number_lookup/{quote(f'+{digits[0]}', safe='')}?type=carrier"
        return Request("GET", path, self._headers)

    def read(self, digits: Sequence[str], answer: Any) -> list[Told]:
        data = within(answer, "data")
        if not isinstance(data, dict):
            return [unavailable("failed", "the answer has no data")]
        carrier, portability = within(data, "carrier"), within(data, "portability")
        current = reading.operator(within(carrier, "mobile_country_code"), within(carrier, "mobile_network_code"))
        ported = _PORTED.get(reading.text(within(portability, "ported_status")) or "")
        found = Findings(
            valid=reading.flag(within(data, "valid_number")),
            line_type=line_type(within(carrier, "type")) or line_type(within(portability, "line_type")),
            current=current,
            original=current if ported is False else None,
            ported=ported,
            carrier=reading.text(within(carrier, "normalized_carrier")) or reading.text(within(carrier, "name")),
            raw=reading.raw(answer),
        )
        return [Told("answer", found)]

    def words(self, answer: Any) -> str:
        first = within(answer, "errors", "0")
        said = [reading.words(within(first, name)) for name in ("code", "title", "detail")]
        return " ".join(words for words in said if words)
