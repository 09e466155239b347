"""What a supplier's refusals mean: command_status at submission, `err` in receipts. Tables, and two look-ups."""

from __future__ import annotations

from typing import Final, NamedTuple

from chappe.channels.contract import ReceiptState, SendError, Verdict
from chappe.channels.settings import ReceiptSettings, StatusRule, number
from chappe.errors import DELIVERY
from chappe.smpp import status
from chappe.smpp.receipt import delivery_error


class Rule(NamedTuple):
    """A command_status: the delivery error, what to do, how often and after how many seconds."""

    code: str
    verdict: Verdict
    tries: int | None = None
    retry_after_s: float | None = None


# What each class of `chappe.smpp.status` means for a message. A wrong PDU may be our misreading of this one supplier,
# and a session at fault is no fault of the message: in both cases the next connector may do better.
_BY_CLASS: Final = {
    status.Verdict.OK: Rule("unknown_error", Verdict.NEXT),  # only a generic_nack without a reason
    status.Verdict.RETRY: Rule("supplier_error", Verdict.RETRY, status.FEW_TRIES, 30.0),
    status.Verdict.THROTTLE: Rule("throttled", Verdict.THROTTLE),
    status.Verdict.PERMANENT: Rule("supplier_rejected", Verdict.PERMANENT),
    status.Verdict.BIND: Rule("supplier_unreachable", Verdict.NEXT),
    status.Verdict.BUG: Rule("supplier_rejected", Verdict.NEXT),
}
_BY_STATUS: Final = {
    status.ESME_RINVSRCADR: Rule("sender_rejected", Verdict.NEXT),
    status.ESME_RINVDSTADR: Rule("destination_rejected", Verdict.PERMANENT),
    status.ESME_RCNTSUBDL: Rule("destination_rejected", Verdict.PERMANENT),
    status.ESME_RMSGQFUL: Rule("queue_full_supplier", Verdict.THROTTLE),
    status.ESME_RSYSERR: Rule("supplier_error", Verdict.RETRY, 2, 30.0),
    status.ESME_RSERTYPUNAUTH: Rule("supplier_rejected", Verdict.NEXT),  # of this account, not of the message
    status.ESME_RSERTYPDENIED: Rule("supplier_rejected", Verdict.NEXT),
    status.ESME_RPROHIBITED: Rule("supplier_rejected", Verdict.NEXT),
}
_FAILING: Final = frozenset({status.ESME_RSYSERR, status.ESME_RUNKNOWNERR, status.ESME_RSERTYPUNAVAIL})

# The numbers of `chappe.smpp.receipt.ERRORS` in the words of the catalogue.
_GSM: Final = {
    **dict.fromkeys((1, 2, 5), "unknown_subscriber"),
    **dict.fromkeys((9, 12), "illegal_subscriber"),
    **dict.fromkeys((11, 21, 22), "not_provisioned"),
    **dict.fromkeys((13, 15), "barred"),
    31: "handset_busy",
    **dict.fromkeys((34, 35, 36, 45), "supplier_error"),
    **dict.fromkeys((40, 49, 50, 52), "memory_full"),
    **dict.fromkeys(range(60, 70), "absent_subscriber"),
}
_BY_STATE: Final[dict[ReceiptState, str]] = {
    "expired": "validity_expired",
    "undelivered": "unknown_error",
    "rejected": "supplier_rejected",
    "deleted": "supplier_rejected",
}


class StatusTable:
    """command_status to SendError, the connector's own rules first."""

    def __init__(self, rules: dict[str, StatusRule]) -> None:
        self._rules = {
            number(code): Rule(rule.code, Verdict(rule.verdict), retry_after_s=None) for code, rule in rules.items()
        }
        self._known: dict[int, SendError] = {}

    def error(self, code: int) -> SendError:
        """The error of a command_status; the same value each time."""
        error = self._known.get(code)
        if error is None:
            row = status.lookup(code)
            rule = self._rules.get(code) or _BY_STATUS.get(code) or _BY_CLASS[row.verdict]
            named = "" if row.name.startswith("0x") else f" {row.name}"
            said = f"0x{code:08X}{named}"
            error = SendError(rule.code, rule.verdict, said, tries=rule.tries, retry_after_s=rule.retry_after_s)
            if len(self._known) < 1000:  # a supplier could send 2^32 different ones
                self._known[code] = error
        return error

    def is_failure(self, code: int) -> bool:
        """Whether the supplier itself is ill, so that the circuit breaker counts."""
        return code in _FAILING and code not in self._rules

    def is_our_bug(self, code: int) -> bool:
        """Whether the supplier says that our PDU is wrong: somebody has to look at it."""
        return code not in self._rules and status.lookup(code).verdict is status.Verdict.BUG


def receipt_error(state: ReceiptState, stat: str, err: str, settings: ReceiptSettings) -> SendError | None:
    """Why a message was not delivered; None while it may still be, or when it was."""
    fallback = _BY_STATE.get(state)
    if fallback is None:
        return None
    word = err.strip().lower()
    code = settings.err_map.get(word) or settings.err_map.get(word.lstrip("0"))
    if code is None:
        known = delivery_error(err)
        code = _GSM.get(known.code, fallback) if known is not None else fallback
    verdict = Verdict.PERMANENT if DELIVERY[code].permanent else Verdict.RETRY
    said = f"{stat or state} err:{err}" if err else stat or state
    return SendError(code, verdict, said)


def in_doubt(waited_ms: int, why: str) -> SendError:
    """The answer was lost: it may have been sent."""
    return SendError("in_doubt", Verdict.UNKNOWN, detail=f"{why} after {waited_ms / 1000:.1f} s without an answer")
