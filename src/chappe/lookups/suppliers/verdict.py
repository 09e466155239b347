"""Why a source outside told nothing, in codes that last and words for a human. Pure.

A reason reads `code: words`. The code says what may be done: `misconfigured` needs a human (credentials, credit,
address), `rejected` is no use to ask again, `throttled`, `timeout` and `failed` pass.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, Literal, get_args

from chappe.lookups.model import Told
from chappe.secrets import HIDDEN

Failure = Literal["misconfigured", "rejected", "throttled", "timeout", "failed"]
FAILURES: Final[tuple[Failure, ...]] = get_args(Failure)
PASSING: Final[frozenset[Failure]] = frozenset({"throttled", "timeout", "failed"})

_MAX_WORDS = 200


def unavailable(code: Failure, words: str) -> Told:
    """No answer, and why."""
    return Told("unavailable", reason=f"{code}: {words}")


def not_covered(words: str) -> Told:
    """The source works, and knows nothing of this number."""
    return Told("not_covered", reason=words)


def failure(told: Told) -> Failure | None:
    """The code of what was `unavailable`, None for other outcomes and for reasons that have no code."""
    if told.outcome != "unavailable":
        return None
    code = told.reason.partition(":")[0]
    return next((known for known in FAILURES if known == code), None)


def is_misconfigured(told: Told) -> bool:
    """Whether somebody has to be woken: no later question will be answered until the settings or the account change."""
    return failure(told) == "misconfigured"


def is_passing(told: Told) -> bool:
    """Whether the same question may be answered a little later."""
    return failure(told) in PASSING


def plain(words: str, secrets: Iterable[str] = ()) -> str:
    """What a stranger wrote, fit for a log: one short printable line, and none of our secrets echoed in it."""
    words = hidden(words.encode("utf-8", "replace"), secrets).decode()
    return " ".join("".join(c if c.isprintable() else " " for c in words).split())[:_MAX_WORDS]


def hidden(content: bytes, secrets: Iterable[str]) -> bytes:
    """The same without our secrets, before anything is cut from it."""
    for secret in secrets:
        if len(secret) >= 4:  # a shorter one is no secret, and would take our own words apart
            content = content.replace(secret.encode(), HIDDEN.encode())
    return content
