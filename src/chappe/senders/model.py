"""Senders: the addresses an account may send from, and whose an incoming message is. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import Annotated, Literal, Protocol

from msgspec import Meta, Struct

from chappe.errors import Refused
from chappe.text import check_alphanumeric, sender_kind

Kind = Literal["alphanumeric", "short_code", "numeric"]


class Sender(Struct, frozen=True):
    """An address of an account. No `countries` means all (ISO 3166 alpha-2).

    `inbound`: messages to it belong to the account, on the connectors named, or on any if none is.
    """

    id: int
    account_id: int
    address: Annotated[str, Meta(min_length=1, max_length=20)]
    kind: Kind
    countries: tuple[Annotated[str, Meta(pattern=r"^[A-Z]{2}$")], ...]
    status: Literal["active", "suspended"]
    inbound: bool
    connector_ids: tuple[int, ...]
    created_at: int


class Policy(Protocol):
    """What `check` must know of an account's settings."""

    @property
    def any_sender(self) -> bool: ...


class Holder(Protocol):
    @property
    def id(self) -> int: ...

    @property
    def settings(self) -> Policy: ...


class Book:
    """All senders; look-ups are dict accesses."""

    def __init__(self, senders: Iterable[Sender]) -> None:
        self._by_id = {sender.id: sender for sender in senders}
        self._by_address: dict[tuple[int, str], Sender] = {}
        self._accounts: defaultdict[int, list[Sender]] = defaultdict(list)
        self._receivers: defaultdict[str, list[Sender]] = defaultdict(list)
        self._owners: dict[tuple[int | None, str], Sender] = {}
        for sender in self._by_id.values():
            self._by_address[sender.account_id, canonical(sender.address)] = sender
            self._accounts[sender.account_id].append(sender)
            if sender.inbound and sender.status == "active":
                self._receivers[canonical(sender.address)].append(sender)
                for connector_id in sender.connector_ids or (None,):
                    self._owners.setdefault((connector_id, canonical(sender.address)), sender)

    def of(self, account_id: int) -> Sequence[Sender]:
        return self._accounts.get(account_id, ())

    def get(self, account_id: int, sender_id: int) -> Sender | None:
        """None also for a sender of another account."""
        sender = self._by_id.get(sender_id)
        return sender if sender is not None and sender.account_id == account_id else None

    def find(self, account_id: int, address: str) -> Sender | None:
        return self._by_address.get((account_id, canonical(address)))

    def receiver(self, connector_id: int, address: str) -> Sender | None:
        """The sender that messages to this address on this connector belong to."""
        name = canonical(address)
        return self._owners.get((connector_id, name)) or self._owners.get((None, name))

    def rival(self, sender: Sender) -> Sender | None:
        """Another account's sender that receives what this one would, on the same connector or on any."""
        for other in self._receivers.get(canonical(sender.address), ()):
            apart = (
                sender.connector_ids and other.connector_ids and not {*sender.connector_ids} & {*other.connector_ids}
            )
            if other.account_id != sender.account_id and not apart:
                return other
        return None

    def using(self, connector_id: int) -> list[str]:
        """The addresses that receive on a connector."""
        return [sender.address for sender in self._by_id.values() if connector_id in sender.connector_ids]

    def __iter__(self) -> Iterator[Sender]:
        return iter(self._by_id.values())


def check(book: Book, account: Holder, sender: str, country: str | None) -> Refused | None:
    """Why the account may not send from this address to this country, as a value; None if it may."""
    known = book.find(account.id, sender)
    if known is None:
        if account.settings.any_sender:
            return fault(sender)
        return Refused("sender_not_allowed", f"{sender} is not a sender of this account.", param="from")
    if known.status != "active":
        return Refused("sender_not_allowed", f"The sender {sender} is suspended.", param="from")
    if known.countries and country not in known.countries:
        return Refused("sender_not_allowed", f"{sender} may not be used to {country or 'this number'}.", param="from")
    return None


def owner(book: Book, connector_id: int, address: str) -> int | None:
    """The account that messages to this address on this connector belong to."""
    sender = book.receiver(connector_id, address)
    return None if sender is None else sender.account_id


def fault(address: str) -> Refused | None:
    """What is wrong with an address as such, as a value; None for a usable one."""
    kind = sender_kind(address)
    if kind in ("numeric", "short_code"):
        return None
    error = check_alphanumeric(address)
    return None if error is None else Refused("sender_invalid", error.message, param="from")


def canonical(address: str) -> str:
    """What two spellings of one address share: +33612345678 and 33612345678 are the same number."""
    return address[1:] if address[:1] == "+" else address
