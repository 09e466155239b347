"""The content firewall as accept and the sweepers ask it: what becomes of a message for what its text says."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from chappe import fraud, senders
from chappe import text as texts
from chappe.fraud.content import Brand, Brands, Finding
from chappe.messages.model import REPLY, Message, Refusal, Submission, Wire

if TYPE_CHECKING:
    from chappe import numbers
    from chappe.messages.pipeline import Pipeline

Verdict = Refusal | fraud.Held | fraud.Noted | None
"""Refused; or taken and held for a reviewer; or it passes, and something is noted; or it passes."""
_TOLD = 3  # findings that a refusal explains
_BINARY = 4  # data_coding (SMPP 3.4, 5.2.19)


def content_verdict(
    house: Pipeline, submission: Submission, number: numbers.Number, sender: str, text: str | None, now: int
) -> Verdict:
    """What becomes of a new message with this text. Touches no table."""
    if submission.origin == REPLY:
        return None
    return _verdict(
        house,
        submission.account_id,
        readable(submission.wire) if text is None else text,
        sender,
        number.country or "",
        submission.purpose,
        now,
        test=submission.test,
        dry_run=submission.dry_run,
    )


def content_again(house: Pipeline, message: Message, now: int) -> Verdict:
    """The same for one that was accepted, now that its time has come: a policy may be another, a domain gone."""
    if message.origin == REPLY:
        return None
    text = readable(message.wire) if message.text is None else message.text
    account_id, sender, country = message.account_id, message.sender, message.country
    return _verdict(house, account_id, text, sender, country, message.purpose, now, test=bool(message.test))


def readable(wire: Wire) -> str | None:
    """The text in octets that a customer encoded itself; None where they are no text."""
    if wire.data is None or wire.data_coding in (None, _BINARY):
        return None
    return texts.decode(wire.udh + wire.data, wire.data_coding, udhi=bool(wire.udh)).text


@lru_cache(maxsize=1)
def brands_of(names: senders.Names) -> Brands:
    """The protected names as content checks want them; made again when somebody changed one."""
    return Brands(Brand(one.name, one.account_ids, one.countries, one.contained) for one in names.all)


def _verdict(
    house: Pipeline,
    account_id: int,
    text: str | None,
    sender: str,
    country: str,
    purpose: str,
    now: int,
    *,
    test: bool,
    dry_run: bool = False,
) -> Verdict:
    if not text:
        return None
    brands = brands_of(house.senders.names)
    firewall = fraud.firewall(house.rt)
    judged = firewall.judge(account_id, text, sender, country, purpose, now, test=test, dry_run=dry_run, brands=brands)
    if judged.action == "block":
        return Refusal("content_suspicious", _words(judged.findings), "text", final=True)
    if judged.action == "review":
        return fraud.Held(judged.digest, sender, country, purpose, text, judged.findings)
    return None if judged.would == "allow" else fraud.Noted(judged.would, judged.findings)


def _words(findings: tuple[Finding, ...]) -> str:
    """Why, and what to do about it."""
    blocking = [one for one in findings if one.action == "block"][:_TOLD]
    return " ".join(f"{one.message} {one.advice}".strip() for one in blocking)


__all__ = ["Verdict", "brands_of", "content_again", "content_verdict", "readable"]
