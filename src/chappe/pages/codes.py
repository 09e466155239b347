"""Who wants all that is kept of a number shows first that they have it: by a code that is sent there."""

from __future__ import annotations

import secrets
from hashlib import blake2b
from typing import TYPE_CHECKING

from chappe.messages import Accepted, Pipeline, Submission
from chappe.messages.model import REPLY
from chappe.pages import store
from chappe.pages.about import About

if TYPE_CHECKING:
    from chappe.pages.words import Words
    from chappe.runtime import Runtime

DIGITS = 6
GOOD_FOR_S = 600
A_DAY = 3  # codes a person: also what a stranger with the link can make a phone ring
TRIES = 5  # a code: of a million, fifteen guesses a day
_DAY_MS = 86_400_000
_SLICE = 500


async def send(rt: Runtime, pipeline: Pipeline, about: About, words: Words) -> str:
    """Send a new code to the phone, which ends the one before: sent, often (enough for today), or failed. Raises
    Unavailable, Full."""
    assert about.person is not None
    now = rt.clock.now()
    code = f"{secrets.randbelow(10**DIGITS):0{DIGITS}}"
    [touched] = await rt.store.write(
        store.ISSUE(
            {
                "key": about.person_key,
                "digest": _digest(rt, about.person_key, code),
                "expires_at": now + GOOD_FOR_S * 1000,
                "day": now // _DAY_MS,
                "most": A_DAY,
            }
        )
    )
    if not touched:
        return "often"
    submission = Submission(
        account_id=about.account_id,
        to=about.person,
        sender=about.sender,
        text=words("data.sms", code=code),
        purpose="otp",
        validity_s=GOOD_FOR_S,
        test=about.test,
        origin=REPLY,
    )
    [result] = await pipeline.accept([submission])
    if isinstance(result, Accepted):
        return "sent"
    rt.log.warning("a code for a recipient was not taken", message=about.reference, code=result.code)
    return "failed"


async def right(rt: Runtime, about: About, typed: str) -> bool:
    """Whether it is the code that was sent, for the first time. Raises Unavailable."""
    code = "".join(typed.split())
    if len(code) != DIGITS or not (code.isascii() and code.isdigit()):
        return False
    now, key = rt.clock.now(), about.person_key
    _, used = await rt.store.write(
        store.TRY({"key": key, "now": now}),
        store.USE({"key": key, "digest": _digest(rt, key, code), "now": now, "most": TRIES}),
    )
    return bool(used)


async def forget(rt: Runtime) -> None:
    """Delete those that no longer count, in slices."""
    now, touched = rt.clock.now(), _SLICE
    while touched == _SLICE:
        before = {"before": now - _DAY_MS, "day": now // _DAY_MS, "limit": _SLICE}
        [touched] = await rt.store.write(store.FORGET(before))


def _digest(rt: Runtime, person_key: int, code: str) -> bytes:
    key = rt.vault.key_for("recipients codes")
    return blake2b(person_key.to_bytes(8, "big", signed=True) + code.encode(), digest_size=16, key=key).digest()
