"""What a customer reads when something is refused: codes of the catalogue as command_status. Data and a look-up."""

from __future__ import annotations

from typing import Final

from chappe.batching import Full
from chappe.smpp import status
from chappe.storage import Unavailable

_SMPP_50: Final = 0x50

STATUS: Final[dict[str, int]] = {
    **dict.fromkeys(
        (
            "number_empty",
            "number_not_e164",
            "number_too_short",
            "number_too_long",
            "number_unknown_country",
            "number_impossible",
            "number_not_mobile",
        ),
        status.ESME_RINVDSTADR,
    ),
    **dict.fromkeys(
        (
            "sender_not_allowed",
            "sender_required",
            "sender_invalid",
            "invalid_sender",
            "sender_not_registered",
            "sender_against_rules",
            "sender_lookalike",
        ),
        status.ESME_RINVSRCADR,
    ),
    **dict.fromkeys(("text_empty", "text_too_long", "data_invalid"), status.ESME_RINVMSGLEN),
    **dict.fromkeys(("udh_invalid", "invalid_udh"), status.ESME_RINVESMCLASS),
    "tlv_invalid": status.ESME_RINVOPTPARAMVAL,
    **dict.fromkeys(("send_at_invalid", "send_at_past", "send_at_too_far"), status.ESME_RINVSCHED),
    "validity_invalid": status.ESME_RINVEXPIRY,
    **dict.fromkeys(("rate_limited", "throttled"), status.ESME_RTHROTTLED),
    "queue_full": status.ESME_RMSGQFUL,
    **dict.fromkeys(("storage_unavailable", "internal"), status.ESME_RSYSERR),
    "not_found": status.ESME_RINVMSGID,
    "not_cancelable": status.ESME_RCANCELFAIL,
    "not_replaceable": status.ESME_RREPLACEFAIL,
    # SMPP 3.4 has no word for these; the reason is in additional_status_info_text
    **dict.fromkeys(
        (
            "encoding_impossible",
            "invalid_text",
            "content_blocked",
            "no_route",
            "connector_unknown",
            "account_suspended",
            "loop_detected",
            "blocked_by_limit",
            "spend_cap_reached",
            "no_balance",
            "destination_not_priced",
            "price_below_cost",
            "fx_rate_missing",
            "opted_out",
            "consent_missing",
            "quiet_hours",
            "frequency_capped",
            "content_suspicious",
            "wording_missing",
            "word_forbidden",
            "opt_out_link_unavailable",
            "text_ambiguous",
            "time_zone_unknown",
        ),
        status.ESME_RSUBMITFAIL,
    ),
}
_STATUS_50: Final[dict[str, int]] = {
    "encoding_impossible": status.ESME_RINVDCS,
    **dict.fromkeys(
        (
            "content_blocked",
            "content_suspicious",
            "opted_out",
            "consent_missing",
            "quiet_hours",
            "frequency_capped",
            "wording_missing",
            "word_forbidden",
        ),
        status.ESME_RPROHIBITED,
    ),
    "account_suspended": status.ESME_RPROHIBITED,
}


class Unfit(Exception):
    """A request that cannot be understood or may not be asked: what the customer reads."""

    def __init__(self, command_status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = command_status
        self.reason = reason


def status_of(code: str, interface_version: int) -> int:
    """The command_status of a code for a peer of this version; ESME_RSUBMITFAIL for one that has no row."""
    if interface_version >= _SMPP_50 and code in _STATUS_50:
        return _STATUS_50[code]
    return STATUS.get(code, status.ESME_RSUBMITFAIL)


def of_exception(error: BaseException) -> Unfit:
    """What a failure of our own is called: full queues are to be tried later, so is everything else."""
    if isinstance(error, Full):
        return Unfit(status.ESME_RMSGQFUL, "Too many messages wait: try again later.")
    if isinstance(error, Unavailable):
        return Unfit(status.ESME_RSYSERR, "The message could not be stored safely: try again later.")
    return Unfit(status.ESME_RSYSERR, "Something went wrong on our side: try again later.")
