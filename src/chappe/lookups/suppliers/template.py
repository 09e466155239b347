"""Any other supplier with an HTTP interface that answers at once in JSON, described by settings.

A request is a URL, headers and a body with slots: `{number}`, `{secret.NAME}` and `{basic}` (user name and password of
the secrets `username` and `password` as HTTP basic authentication writes them). What is found in the answer is told by
JSON Pointers (RFC 6901) for each finding, and by tables of the supplier's words where ours do not fit.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, Literal, cast, get_args
from urllib.parse import quote, urlsplit

import msgspec
from msgspec import Meta, Struct, field

from chappe.lookups.model import Findings, Reachable, Told
from chappe.lookups.suppliers import reading
from chappe.lookups.suppliers.config import Credentials
from chappe.lookups.suppliers.contract import Request, basic
from chappe.lookups.suppliers.reading import within
from chappe.lookups.suppliers.verdict import not_covered, unavailable
from chappe.lookups.suppliers.words import State, absent, line_type, map_error, state
from chappe.numbers import LineType

Find = Literal[
    "valid",
    "line_type",
    "original",
    "original_mcc",
    "original_mnc",
    "current",
    "current_mcc",
    "current_mnc",
    "ported",
    "roaming",
    "roaming_country",
    "reachable",
    "map_error",
    "absent_diagnostic",
    "absent_reason",
    "carrier",
    "imsi",
    "cost",
    "currency",
]
Pointer = Annotated[str, Meta(max_length=200, pattern=r"^(/([^~/]|~[01])*)*$")]  # RFC 6901, 3
Status = Annotated[int, Meta(ge=400, le=599)]
Outcomes = Literal["answer", "not_covered", "misconfigured", "rejected", "throttled", "timeout", "failed"]
SecretName = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_]{1,40}$")]
SecretText = Annotated[str, Meta(min_length=1, max_length=512, pattern=r"^[\x20-\x7e]+$")]
HeaderText = Annotated[str, Meta(max_length=1_024, pattern=r"^[\x20-\x7e]*$")]
HeaderName = Annotated[str, Meta(max_length=64, pattern=r"^[A-Za-z0-9!#$%&'*+.^_`|~-]+$")]  # RFC 9110, 5.6.2

_SLOT = re.compile(r"\{(number|basic|secret\.[A-Za-z0-9_]+)\}")
_LIKE_A_SLOT = re.compile(r"\{[A-Za-z_][A-Za-z0-9_.]*\}")
# the client writes these itself, or they would change where a message ends (RFC 9112, 6)
_OURS = frozenset(
    {"accept", "accept-encoding", "connection", "content-length", "expect", "host", "transfer-encoding", "upgrade"}
)
_FLAGS = frozenset({"valid", "ported", "roaming"})
_CHOICES: dict[str, tuple[str, ...]] = {
    "line_type": get_args(LineType),
    "reachable": get_args(Reachable),
    **{name: ("true", "false") for name in _FLAGS},
}


class TemplateSettings(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """A supplier's wire contract.

    `find`: where each finding stands. `words`: for a finding, the supplier's words and ours; a word that is not listed
    there is unknown. `outcome` is where an answer of 200 says whether it worked, `outcomes` what its words mean (`*`:
    any other, by default failed), `error` where it says what went wrong. `uncovered`: HTTP statuses that say that there
    is nothing for this number. `plus` writes numbers with +. `currency` is that of `cost` where the answer names none.
    """

    url: Annotated[str, Meta(max_length=1_024, pattern=r"^https?://[\x21-\x7e]+$")]
    method: Literal["GET", "POST"] = "GET"
    headers: dict[HeaderName, HeaderText] = {}
    body: Annotated[str, Meta(max_length=8_192)] = ""
    plus: bool = False
    find: Annotated[dict[Find, Pointer], Meta(min_length=1)]
    words: dict[Find, dict[str, str]] = {}
    outcome: Pointer | None = None
    outcomes: dict[str, Outcomes] = {}
    uncovered: tuple[Status, ...] = ()
    currency: Annotated[str, Meta(pattern=r"^[A-Z]{3}$")] | None = None
    error: Pointer | None = None

    def __post_init__(self) -> None:
        for part, where in ((self.url, "url"), (self.body, "body"), *((h, "headers") for h in self.headers.values())):
            if strange := [slot for slot in _LIKE_A_SLOT.findall(part) if not _SLOT.fullmatch(slot)]:
                raise ValueError(f"{where}: there is no slot {strange[0]}, only {{number}}, {{basic}}, {{secret.NAME}}")
        _check_url(self.url)
        if any("{number}" in value for value in self.headers.values()):
            raise ValueError("headers: the number goes into the url or the body")
        if "{number}" not in self.url + self.body:
            raise ValueError("url: {number} stands neither in it nor in the body")
        if taken := sorted(name for name in self.headers if name.lower() in _OURS):
            raise ValueError(f"headers: {taken[0]} is not yours to set")
        if self.body and self.method == "GET":
            raise ValueError("body: a GET has none")
        if (self.outcome is None) != (not self.outcomes):
            raise ValueError("outcomes: outcome and outcomes go together")
        _check_words(self.words)


class TemplateCredentials(Credentials, frozen=True, forbid_unknown_fields=True):
    """`secrets` by the names that the settings use."""

    secrets: dict[SecretName, SecretText] = field(default_factory=dict)


class Template:
    request_size = 1

    def __init__(self, settings: TemplateSettings, credentials: TemplateCredentials) -> None:
        """Raises ValueError for a secret that the settings use and the credentials lack."""
        secrets = dict(credentials.secrets)
        values = {f"secret.{name}": value for name, value in secrets.items()}
        if {"username", "password"} <= secrets.keys():
            values["basic"] = basic(secrets["username"], secrets["password"])
        used = {
            slot for text in (settings.url, settings.body, *settings.headers.values()) for slot in _SLOT.findall(text)
        }
        if missing := sorted(used - values.keys() - {"number"}):
            needs = "the secrets username and password" if missing[0] == "basic" else missing[0].replace(".", " ")
            raise ValueError(f"the settings need {needs}")
        parts = urlsplit(settings.url)
        self.base_url = f"{parts.scheme}://{parts.netloc}"
        self.uncovered = frozenset(settings.uncovered)
        self.secrets = tuple({form for value in values.values() for form in (value, _in_url(value), _in_json(value))})
        self._settings = settings
        self._values = values
        self._path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        lines = [f"{name}: {_fill(value, values, str)}\r\n" for name, value in settings.headers.items()]
        self._headers = "".join(lines).encode("ascii")
        is_json = b"json" in self._headers.lower() or settings.body.lstrip().startswith(("{", "["))
        self._escape = _in_json if is_json else _in_url
        self._find = {name: _steps(pointer) for name, pointer in settings.find.items()}

    def request(self, digits: Sequence[str]) -> Request:
        number = f"+{digits[0]}" if self._settings.plus else digits[0]
        values = {**self._values, "number": number}
        body = _fill(self._settings.body, values, self._escape)
        return Request(self._settings.method, _fill(self._path, values, _in_url), self._headers, body.encode())

    def read(self, digits: Sequence[str], answer: Any) -> list[Told]:
        if self._settings.outcome is not None:
            said = reading.word(within(answer, *_steps(self._settings.outcome))) or ""
            verdict = self._settings.outcomes.get(said, self._settings.outcomes.get("*", "failed"))
            words = f"{said} {self.words(answer)}".strip() or "no outcome"
            if verdict == "not_covered":
                return [not_covered(words)]
            if verdict != "answer":
                return [unavailable(verdict, words)]
        found = self._findings(answer)
        nothing = found == Findings(raw=found.raw)
        return [not_covered("the answer has nothing where the settings look") if nothing else Told("answer", found)]

    def words(self, answer: Any) -> str:
        if self._settings.error is None:
            return ""
        return reading.word(within(answer, *_steps(self._settings.error))) or ""

    def _findings(self, answer: Any) -> Findings:
        live = self._state(answer)
        imsi = reading.imsi(self._said(answer, "imsi"))
        cost = reading.micros(self._value(answer, "cost"))
        roaming = reading.flag(self._said(answer, "roaming"))
        valid = reading.flag(self._said(answer, "valid"))
        return Findings(
            valid=valid if valid is not None else live.valid,
            line_type=line_type(self._said(answer, "line_type")),
            original=self._operator(answer, "original"),
            current=self._operator(answer, "current"),
            ported=reading.flag(self._said(answer, "ported")),
            roaming=roaming,
            roaming_country=reading.iso_country(self._said(answer, "roaming_country")) if roaming else None,
            reachable=live.reachable,
            absent=live.absent,
            carrier=reading.text(self._said(answer, "carrier")),
            imsi=imsi,
            cost_micros=cost,
            currency=_currency(self._said(answer, "currency")) or self._settings.currency if cost is not None else None,
            raw=reading.raw(answer, imsi),
        )

    def _state(self, answer: Any) -> State:
        """By the status word, else by the error of MAP; the reason of an absence where there is one."""
        found = state(self._said(answer, "reachable")) or map_error(self._said(answer, "map_error")) or State()
        if found.reachable != "absent":
            return found
        why = absent(self._said(answer, "absent_diagnostic"), reading.text(self._said(answer, "absent_reason")))
        return found._replace(absent=why or found.absent)

    def _operator(self, answer: Any, which: Literal["original", "current"]) -> str | None:
        whole = reading.network_code(self._said(answer, which))
        mcc = self._said(answer, cast(Find, f"{which}_mcc"))
        return whole or reading.operator(mcc, self._said(answer, cast(Find, f"{which}_mnc")))

    def _value(self, answer: Any, name: Find) -> Any:
        return within(answer, *self._find[name]) if name in self._find else None

    def _said(self, answer: Any, name: Find) -> Any:
        """The value as it came, or in our words where the settings have a table for it."""
        value = self._value(answer, name)
        table = self._settings.words.get(name)
        return table.get(reading.word(value) or "") if table else value


def _check_url(url: str) -> None:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise ValueError("url: this is no URL") from None
    if not parts.hostname or port == 0 or parts.username is not None or "{" in parts.netloc:
        raise ValueError("url: its host has to be written out, and credentials go into slots")
    if parts.fragment or any(c in '{}"<>\\^`|' for c in _SLOT.sub("", url)):
        raise ValueError("url: it has characters that have to be escaped, or a fragment")


def _check_words(tables: Mapping[Find, Mapping[str, str]]) -> None:
    for name, table in tables.items():
        allowed = _CHOICES.get(name)
        for ours in table.values():
            if allowed is not None and ours not in allowed:
                raise ValueError(f"words: {name} is one of {', '.join(allowed)}, not {ours}")


def _steps(pointer: str) -> tuple[str, ...]:
    return tuple(step.replace("~1", "/").replace("~0", "~") for step in pointer.split("/")[1:])


def _fill(text: str, values: Mapping[str, str], escape: Callable[[str], str]) -> str:
    return _SLOT.sub(lambda slot: escape(values[slot[1]]), text)


def _in_url(value: str) -> str:
    return quote(value, safe="")


def _in_json(value: str) -> str:
    """As it stands between the quotes of a JSON string."""
    return msgspec.json.encode(value).decode()[1:-1]


def _currency(value: Any) -> str | None:
    said = reading.text(value) or ""
    return said if len(said) == 3 and said.isascii() and said.isupper() else None
