"""Messages from phones as words about further messages: what was said, by whom, and to which account."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import TYPE_CHECKING

from chappe import ids, law, numbers, senders
from chappe.channels import Inbound
from chappe.consent import Heard, keywords
from chappe.messages import store
from chappe.numbers import Number, NumberError

if TYPE_CHECKING:
    from chappe.messages.pipeline import Pipeline

REMEMBERED_MS = 30 * 86_400_000  # how long a message without an owner answers the last one from that address
_MOST_ACCOUNTS = 50  # that share an address


def heard(house: Pipeline, inbound: Inbound, inbound_id: int, owner: int, test: bool) -> Heard | None:
    """What a message says about further ones; None if nothing, or if no person wrote it. `owner` 0: nobody's number,
    where refusals alone are heard."""
    person = _person(inbound.source)
    book = house.senders
    if not inbound.text or person is None or book.receiver(inbound.connector_id, inbound.source) is not None:
        return None
    country = person.country or ""
    own = law.book(house.rt).own(owner) if owner else law.NOTHING
    more = [rule.value for rule in own.rules(country) if rule.kind == "keyword"]
    meaning = keywords.hear(inbound.text, country=country, own=more)
    if meaning is None or (not owner and meaning.kind not in ("stop", "review")):
        return None
    sender = book.receiver(inbound.connector_id, inbound.destination)
    brand = book.campaign(sender)[1] if sender is not None else None
    account = house.accounts.account(owner)
    return Heard(
        owner,
        test,
        person.e164,
        senders.canonical(inbound.destination if sender is None else sender.address),
        "" if brand is None else brand.details.display_name,
        country,
        inbound.text,
        inbound_id,
        meaning,
        revoke_all=_ends_everything(house, country, own),
        replies=sender is not None,
        opts_in=account is not None and account.settings.start_opts_in,
    )


class Owners:
    """Whom a message to nobody's number most probably answers: the account that wrote to the person last from it."""

    def __init__(self, house: Pipeline) -> None:
        self._house = house
        self._book: senders.Book | None = None
        self._accounts: Mapping[str, list[int]] = {}

    async def known(self, one: Heard) -> Heard | None:
        """The same of that account; None if there is none. Raises Unavailable."""
        accounts = self._of(one.sender)[:_MOST_ACCOUNTS]
        if not accounts:
            return None
        after = ids.at(self._house.rt.clock.now() - REMEMBERED_MS)
        names = [one.sender, f"+{one.sender}"]
        asked = {"accounts": accounts, "person": one.person, "after": after, "names": names}
        rows = await self._house.rt.store.read(store.LAST_SENT(asked))
        return one._replace(account_id=rows[0][0]) if rows else None

    def _of(self, sender: str) -> list[int]:
        """The accounts that have this address among their senders."""
        book = self._house.senders
        if book is not self._book:
            found: defaultdict[str, list[int]] = defaultdict(list)
            for known in book:
                found[senders.canonical(known.address)].append(known.account_id)
            self._book, self._accounts = book, found
        return self._accounts.get(sender, [])


def _person(digits: str) -> Number | None:
    """Short codes and names are no persons: they are not heard nor answered, or two machines would talk for ever."""
    try:
        return numbers.parse(f"+{digits}")
    except NumberError:
        return None


def _ends_everything(house: Pipeline, country: str, own: law.Own) -> bool:
    """Whether a refusal also ends the sender's unrelated messages where the person lives."""
    rules = law.rules(country, house.rt.clock.now(), own=own)
    return any(rule.kind == "opt_out_scope" and rule.value == "revoke_all" and rule.blocks for rule in rules)


__all__ = ["REMEMBERED_MS", "Owners", "heard"]
