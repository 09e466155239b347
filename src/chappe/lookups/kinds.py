"""The kinds of sources: what can be set for each, what it tells, and how it is opened."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec
from msgspec import Struct

from chappe.errors import Refused
from chappe.lookups.asking import Remote
from chappe.lookups.enum import EnumSettings, EnumSource
from chappe.lookups.model import Findings
from chappe.lookups.owndata import OwnData
from chappe.lookups.report import FIELDS, Field
from chappe.lookups.sources import KIND_NAMES, LOCAL, Source
from chappe.lookups.suppliers import KINDS as SUPPLIERS
from chappe.lookups.suppliers import HttpSource, make
from chappe.lookups.suppliers.config import read
from chappe.numbers import Number
from chappe.secrets import Vault

if TYPE_CHECKING:
    from chappe.runtime import Runtime

Local = Callable[[Number], Findings | None]
"""What this machine's own data says of a number; None: nothing."""

_SPARE_S: Final = 1.0  # a source keeps its own time; this is for one that does not


class Usual(NamedTuple):
    """What a source of a kind is, where nothing is said."""

    gives: tuple[Field, ...]
    timeout_s: float = 5.0
    concurrency: int = 10


class NoSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """One's own data has its file, and nothing to set."""


_USUAL: dict[str, Usual] = {
    "plan": Usual(("validity", "line_type"), 1.0, 1),
    "ranges": Usual(("operator",), 1.0, 1),
    "portability": Usual(("operator",), 1.0, 1),
    "enum": Usual(("operator",), 2.0, 50),
    "infobip": Usual(("validity", "operator", "reachability", "roaming"), 10.0),
    "twilio": Usual(("validity", "line_type", "operator")),
    "vonage": Usual(FIELDS, 10.0),
    "telnyx": Usual(("line_type", "operator")),
    "template": Usual(FIELDS),
}
assert set(_USUAL) == set(KIND_NAMES)

# what the findings of a template, or a package of Twilio's, let us say
_GIVEN_BY: dict[Field, frozenset[str]] = {
    "validity": frozenset({"valid"}),
    "line_type": frozenset({"line_type", "line_type_intelligence"}),
    "operator": frozenset({"current", "current_mcc", "ported", "line_type_intelligence"}),
    "reachability": frozenset({"reachable", "map_error", "line_status"}),
    "roaming": frozenset({"roaming"}),
}


def usual(kind: str, settings: Mapping[str, Any]) -> Usual:
    """Raises Refused for a kind that there is not."""
    if kind not in _USUAL:
        raise Refused(
            "invalid_value",
            f"There is no kind {kind} of lookup source.",
            param="kind",
            action=f"Use one of: {', '.join(KIND_NAMES)}.",
        )
    known = _USUAL[kind]
    told = settings.get("find") if kind == "template" else settings.get("packages") if kind == "twilio" else None
    if not told:
        return known
    gives = tuple(field for field in FIELDS if not _GIVEN_BY[field].isdisjoint(told))
    return known._replace(gives=(("validity", *gives) if kind == "twilio" else gives))


def read_settings(kind: str, settings: Any) -> dict[str, Any]:
    """Plain values, checked; defaults are left out. Raises Refused whose param begins with `settings`."""
    usual(kind, {})
    plain: dict[str, Any] = msgspec.to_builtins(read(settings, _settings_type(kind), "settings"))
    return plain


def read_credentials(kind: str, settings: Mapping[str, Any], credentials: Any, vault: Vault) -> str:
    """Sealed, checked against the settings that use them; empty for a kind that has none. Raises Refused."""
    if kind not in SUPPLIERS:
        if credentials:
            raise Refused("invalid_value", f"A source of kind {kind} has no credentials.", param="credentials")
        return ""
    if credentials is None and kind != "template":
        raise Refused("missing_field", "credentials is missing.", param="credentials")
    known = read(credentials or {}, SUPPLIERS[kind].credentials, "credentials")
    make(kind, dict(settings), known)
    return vault.encrypt(msgspec.json.encode(known).decode())


def credentials_of(source: Source, vault: Vault) -> Any:
    """In clear, as plain values; None where there are none. Raises ValueError if another secret key has sealed them."""
    return msgspec.json.decode(vault.decrypt(source.credentials)) if source.credentials else None


def open_local(data: OwnData, source: Source) -> Local:
    assert source.kind in LOCAL
    return {"plan": data.plan, "ranges": data.ranges, "portability": data.portability}[source.kind]


def open_remote(rt: Runtime, source: Source) -> Remote:
    """Raises ValueError: credentials that another secret key has sealed, settings that are no longer understood."""
    try:
        if source.kind == "enum":
            settings = read(source.settings, EnumSettings, "settings")
            longest_s = settings.timeout_s * settings.tries
            return Remote(EnumSource(settings).ask, 1, max(source.timeout_s, longest_s) + _SPARE_S)
        supplier = make(source.kind, source.settings, credentials_of(source, rt.vault))
    except Refused as error:
        raise ValueError(str(error)) from None
    http = HttpSource(rt.http, supplier, timeout_s=source.timeout_s, in_flight=source.concurrency)
    return Remote(http.ask, http.request_size, source.timeout_s + _SPARE_S)


def _settings_type(kind: str) -> type[Struct]:
    if kind in SUPPLIERS:
        return SUPPLIERS[kind].settings
    return EnumSettings if kind == "enum" else NoSettings
