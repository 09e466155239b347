"""What suppliers call kinds of lines and states of phones, in our words. Data.

Line types: the published enumerations of Twilio (Line Type Intelligence), Telnyx (Number Lookup) and Vonage (Number
Insight). MAP errors and absent diagnostics: 3GPP TS 29.002, 17.6.6 and 17.7.6 (AbsentSubscriberDiagnosticSM).
"""

from __future__ import annotations

import re
from typing import Any, Final, NamedTuple

from chappe.lookups.model import Absent, Reachable
from chappe.lookups.suppliers.reading import number, word
from chappe.numbers import LineType

_NOISE = re.compile(r"[^a-z0-9]+")


class State(NamedTuple):
    """Whether somebody has the number, and whether the phone answers."""

    valid: bool | None = None
    reachable: Reachable | None = None
    absent: Absent | None = None


ON = State(True, "yes")
OFF = State(True, "absent")
NOBODY = State(False, "no")
UNSURE = State(None, "unknown")
"""Undetermined is not invalid."""

LINE_TYPES: Final[dict[str, LineType]] = {
    "mobile": "mobile",
    "cellular": "mobile",
    "wireless": "mobile",
    "landline": "fixed",
    "fixed": "fixed",
    "fixedline": "fixed",
    "fixedormobile": "fixed_or_mobile",
    "fixedlineormobile": "fixed_or_mobile",
    "voip": "voip",
    "fixedvoip": "voip",
    "nonfixedvoip": "voip",
    "virtual": "voip",
    "tollfree": "toll_free",
    "landlinetollfree": "toll_free",
    "freephone": "toll_free",
    "premium": "premium",
    "premiumrate": "premium",
    "landlinepremium": "premium",
    "sharedcost": "shared_cost",
    "personal": "personal",
    "personalnumber": "personal",
    "pager": "pager",
    "uan": "uan",
    "voicemail": "voicemail",
}

# `active` is MessageBird's and says that the phone is on; Twilio's says less and is read by its adapter.
STATES: Final[dict[str, State]] = {
    "yes": ON,
    "active": ON,
    "connected": ON,
    "deliverable": ON,
    "delivered": ON,
    "deliveredtohandset": ON,
    "reachable": ON,
    "absent": OFF,
    "absentsubscriber": OFF,
    "unreachable": OFF,
    "notreachable": OFF,
    "barred": State(True, "absent", Absent(None, "call barred")),
    "callbarred": State(True, "absent", Absent(None, "call barred")),
    "teleservicenotprovisioned": State(True, "absent", Absent(None, "no SMS in this subscription")),
    "no": NOBODY,
    "badnumber": NOBODY,
    "invalid": NOBODY,
    "invalidmsisdn": NOBODY,
    "inactive": NOBODY,
    "unknownsubscriber": NOBODY,
    "unknown": UNSURE,
    "undetermined": UNSURE,
    "undeliverable": UNSURE,
    "blacklisted": UNSURE,
    "failed": UNSURE,
    "error": UNSURE,
    "sent": UNSURE,
    "pending": UNSURE,
}

MAP_ERRORS: Final[dict[int, State]] = {
    1: NOBODY,  # unknownSubscriber
    6: OFF,  # absentSubscriberSM
    11: STATES["teleservicenotprovisioned"],
    13: STATES["callbarred"],
    21: UNSURE,  # facilityNotSupported
    27: OFF,  # absentSubscriber
    34: UNSURE,  # systemFailure
    35: UNSURE,  # dataMissing
    36: UNSURE,  # unexpectedDataValue
}

DIAGNOSTICS: Final[dict[int, str]] = {
    0: "no paging response",
    1: "IMSI detached",
    2: "roaming restriction",
    3: "deregistered in the HLR",
    4: "purged",
    5: "no paging response from the packet network",
    6: "detached from the packet network",
    7: "deregistered in the HLR for the packet network",
    8: "purged in the packet network",
    9: "unidentified subscriber",
    10: "unidentified subscriber in the packet network",
    11: "deregistered from IMS",
    12: "no response from the IP short message gateway",
    13: "temporarily unavailable",
}


def _key(said: Any) -> str:
    return _NOISE.sub("", (word(said) or "").lower())


def line_type(said: Any) -> LineType | None:
    """None for `unknown` and for what we have never heard of."""
    return LINE_TYPES.get(_key(said))


def state(said: Any) -> State | None:
    """What a status word means, None for a word that we have never heard."""
    return STATES.get(_key(said))


def map_error(said: Any) -> State | None:
    """What an error of the MAP protocol means, None where there was none or it is not listed."""
    code = number(said)
    return MAP_ERRORS.get(code) if code is not None else None


def absent(diagnostic: Any, words: str | None = None) -> Absent | None:
    """Why the phone is absent; None when nothing was said."""
    code = number(diagnostic)
    code = code if code in DIAGNOSTICS else None
    if code is None and not words:
        return None
    return Absent(code, words or DIAGNOSTICS[code or 0])
