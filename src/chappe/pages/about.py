"""What a link leads to: the message, who sent it to whom, and what is on record of that person."""

from __future__ import annotations

from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from msgspec import Struct

from chappe import accounts, consent, ids, numbers, senders
from chappe.errors import Refused
from chappe.messages import query
from chappe.numbers import NumberError

if TYPE_CHECKING:
    from chappe.runtime import Runtime

CHANNEL: consent.Channel = "sms"  # what these messages come by


class About(Struct, frozen=True):
    """A message as its recipient may see it. `person` None: forgotten, or the message is gone (`gone`), and only the
    key is left. `brand` is the one that the sender is registered under."""

    message_id: int
    account_id: int
    test: bool
    account: str
    sender: str
    brand: str
    person: str | None
    person_key: int
    gone: bool
    purpose: str
    at: int
    text: str | None
    zone: ZoneInfo | None
    record: consent.OnRecord

    @property
    def masked(self) -> str:
        """The number with its middle hidden: who has it knows it, who found the link does not learn it."""
        if self.person is None:
            return ""
        return f"{self.person[:4]} \u2022\u2022\u2022\u2022 {self.person[-2:]}"

    @property
    def channels(self) -> list[str]:
        """The channels that this person agreed to be written to by, if there is more than this one."""
        named = {said.channel for said in self.record.entries if said.event == "given" and said.channel != "any"}
        return sorted(named | {CHANNEL})

    @property
    def reference(self) -> str:
        return ids.public("msg", self.message_id)


async def about(rt: Runtime, message_id: int) -> About | None:
    """None when nothing is left of the message. Raises Unavailable."""
    try:
        message = await query.get(rt, None, message_id)
    except Refused:
        return await _gone(rt, message_id)
    person: str | None = message.recipient
    people, test = consent.persons(rt), bool(message.test)
    key: int | None
    if message.recipient.startswith(consent.GONE_PREFIX):
        person, key = None, consent.key_of_gone(message.recipient)
    else:
        key = people.key(message.account_id, test, message.recipient)
    if key is None:
        return None
    return About(
        message_id=message_id,
        account_id=message.account_id,
        test=test,
        account=_account(rt, message.account_id, message.sender),
        sender=message.sender,
        brand=_brand(rt, message.account_id, message.sender),
        person=person,
        person_key=key,
        gone=False,
        purpose=message.purpose,
        at=message.sent_at or message.created_at,
        text=message.text,
        zone=_zone(person),
        record=await consent.recall(rt, key),
    )


async def _gone(rt: Runtime, message_id: int) -> About | None:
    kept = await consent.kept_link(rt, message_id)
    if kept is None:
        return None
    return About(
        message_id=message_id,
        account_id=kept.account_id,
        test=kept.test,
        account=_account(rt, kept.account_id, kept.sender),
        sender=kept.sender,
        brand=_brand(rt, kept.account_id, kept.sender),
        person=None,
        person_key=kept.person_key,
        gone=True,
        purpose="",
        at=0,
        text=None,
        zone=None,
        record=await consent.recall(rt, kept.person_key),
    )


def _account(rt: Runtime, account_id: int, sender: str) -> str:
    account = accounts.directory(rt).account(account_id)
    return sender if account is None else account.name


def _brand(rt: Runtime, account_id: int, address: str) -> str:
    book = senders.book(rt)
    sender = book.find(account_id, address)
    brand = None if sender is None else book.campaign(sender)[1]
    return "" if brand is None else brand.details.display_name


def _zone(person: str | None) -> ZoneInfo | None:
    """Where the person lives, if their number tells."""
    try:
        zones = numbers.time_zones(numbers.parse(person or ""))
    except NumberError:
        return None
    return ZoneInfo(zones[0]) if len(zones) == 1 else None
