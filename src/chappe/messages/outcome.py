"""What an attempt's answers mean for its message: sent, try again, elsewhere, given up, or in doubt. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from chappe.channels import Outcome, SendError, Verdict

if TYPE_CHECKING:
    from chappe.messages.flight import Flight

Fate = Literal["sent", "retry", "next", "failed", "held", "resent"]

DEFAULT_TRIES = 5
MAX_DOUBTS = 2  # in doubt more often, a message is held whatever its purpose
BACKOFF_S = (1, 5, 30, 120, 600)
THROTTLE_S = 1.0
PARTS_AGAIN_S = 1.0

_GRAVITY = (Verdict.PERMANENT, Verdict.UNKNOWN, Verdict.NEXT, Verdict.RETRY, Verdict.THROTTLE)


@dataclass(slots=True, frozen=True)
class Judgement:
    """`after_s` is the wait before the next try; `counts` whether it uses one up."""

    fate: Fate
    error: SendError | None = None
    after_s: float = 0.0
    counts: bool = True


def judge(flight: Flight, outcomes: Sequence[Outcome], policy: str) -> Judgement:
    """The fate of a flight whose parts are all answered; `policy` (hold or resend) is that of its purpose."""
    errors = [outcome.error for outcome in outcomes if outcome.error is not None]
    if not errors:
        return Judgement("sent")
    error = min(errors, key=lambda e: _GRAVITY.index(e.verdict))
    match error.verdict:
        case Verdict.PERMANENT:
            return Judgement("failed", error)
        case Verdict.UNKNOWN:
            again = policy == "resend" and flight.doubts < MAX_DOUBTS
            return Judgement("resent" if again else "held", error)
        case Verdict.NEXT:
            return Judgement("next", error)
        case Verdict.THROTTLE:
            return Judgement("retry", error, error.retry_after_s or THROTTLE_S, counts=False)
        case _:
            if flight.tries >= (error.tries or DEFAULT_TRIES):
                return Judgement("next", error)
            wait = error.retry_after_s or BACKOFF_S[min(flight.tries, len(BACKOFF_S)) - 1]
            return Judgement("retry", error, wait)
