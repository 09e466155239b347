"""Suppliers of facts about numbers that are asked over HTTP, one file each.

`KINDS` is the whole list. A new one is a file with settings, credentials and an adapter, a line here and its cases for
the runner of the tests. They answer at once; suppliers that call back later have no place here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NamedTuple

from chappe.errors import Refused
from chappe.lookups.suppliers.config import Credentials, read
from chappe.lookups.suppliers.contract import Request, Supplier
from chappe.lookups.suppliers.infobip import Infobip, InfobipCredentials, InfobipSettings
from chappe.lookups.suppliers.source import HttpSource
from chappe.lookups.suppliers.telnyx import Telnyx, TelnyxCredentials, TelnyxSettings
from chappe.lookups.suppliers.template import Template, TemplateCredentials, TemplateSettings
from chappe.lookups.suppliers.twilio import Twilio, TwilioCredentials, TwilioSettings
from chappe.lookups.suppliers.verdict import Failure, failure, is_misconfigured, is_passing
from chappe.lookups.suppliers.vonage import Vonage, VonageCredentials, VonageSettings


class Kind(NamedTuple):
    """What can be set for a supplier, what it is told about who we are, and the adapter that is made of both."""

    settings: type[Any]
    credentials: type[Credentials]
    supplier: Callable[[Any, Any], Supplier]


KINDS: Final[dict[str, Kind]] = {
    "infobip": Kind(InfobipSettings, InfobipCredentials, Infobip),
    "telnyx": Kind(TelnyxSettings, TelnyxCredentials, Telnyx),
    "template": Kind(TemplateSettings, TemplateCredentials, Template),
    "twilio": Kind(TwilioSettings, TwilioCredentials, Twilio),
    "vonage": Kind(VonageSettings, VonageCredentials, Vonage),
}


def make(kind: str, settings: Any, credentials: Any) -> Supplier:
    """The adapter of a kind, from plain values or Structs; it goes into an `HttpSource`.

    Raises KeyError for a kind that is not in `KINDS`, and Refused whose param begins with `settings` or `credentials`.
    """
    known = KINDS[kind]
    setting = read(settings, known.settings, "settings")
    credential = read(credentials, known.credentials, "credentials")
    try:
        return known.supplier(setting, credential)
    except ValueError as error:
        raise Refused("invalid_value", f"{error}.", param="credentials") from None


__all__ = [
    "KINDS",
    "Credentials",
    "Failure",
    "HttpSource",
    "Kind",
    "Request",
    "Supplier",
    "failure",
    "is_misconfigured",
    "is_passing",
    "make",
]
