"""Senders: the addresses an account may send from, and whose an incoming message is. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import Annotated, Any, Literal, NamedTuple

from msgspec import Meta, Struct

from chappe.senders.kinds import Capabilities, Kind, Overrides, capabilities, kind_of
from chappe.senders.pools import Default, Pool, Ring
from chappe.senders.protect import Names, Protected
from chappe.senders.registrations import Document, Registration
from chappe.senders.ten_dlc import Brand, Campaign


class Sender(Struct, frozen=True):
    """An address of an account. No `countries` means all (ISO 3166 alpha-2).

    `inbound`: messages to it belong to the account, on the connectors named, or on any if none is. `review`: it looks
    like a protected name and waits for the operator's word. `campaign_id`: of its 10DLC campaign.
    """

    id: int
    account_id: int
    address: Annotated[str, Meta(min_length=1, max_length=20)]
    kind: Kind
    countries: tuple[Annotated[str, Meta(pattern=r"^[A-Z]{2}$")], ...]
    status: Literal["active", "suspended", "review"]
    inbound: bool
    connector_ids: tuple[int, ...]
    created_at: int
    overrides: Overrides = Overrides()
    campaign_id: int | None = None


class Enforcement(NamedTuple):
    """How strictly the installation takes rules: `registration` names the confidence from which on a sender without an
    approved registration is refused, `lookalikes` what becomes of a name that looks like a protected one."""

    registration: Literal["off", "high", "medium"] = "high"
    lookalikes: Literal["refuse", "review"] = "refuse"


class Book:
    """All senders and what belongs to them, one consistent version; look-ups are dict accesses.

    `verdicts` and `rings` remember what was worked out for a sender and a country; they hold for a day (UTC), since
    rules and registrations begin and end with one.
    """

    def __init__(
        self,
        senders: Iterable[Sender],
        *,
        registrations: Iterable[Registration] = (),
        documents: Iterable[Document] = (),
        pools: Iterable[Pool] = (),
        defaults: Iterable[Default] = (),
        protected: Iterable[Protected] = (),
        brands: Iterable[Brand] = (),
        campaigns: Iterable[Campaign] = (),
        enforcement: Enforcement | None = None,
    ) -> None:
        self.enforcement = enforcement or Enforcement()
        self.day = -1
        self.verdicts: dict[tuple[Any, ...], Any] = {}
        self.rings: dict[tuple[Any, ...], Ring] = {}
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
        self.registrations = {one.id: one for one in registrations}
        self._registered: defaultdict[tuple[int, str], list[Registration]] = defaultdict(list)
        for registration in self.registrations.values():
            self._registered[registration.sender_id, registration.country].append(registration)
        self.documents = {one.id: one for one in documents}
        self.pools = {one.id: one for one in pools}
        self._pool_names = {(one.account_id, one.name): one for one in self.pools.values()}
        self.defaults = {one.id: one for one in defaults}
        self._default = {(one.account_id, one.country): one.sender for one in self.defaults.values()}
        self.names = Names(protected)
        self.brands = {one.id: one for one in brands}
        self.campaigns = {one.id: one for one in campaigns}

    # -- senders ----------------------------------------------------------------------------------------------------

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

    # -- what belongs to them ---------------------------------------------------------------------------------------

    def registrations_of(self, sender_id: int, country: str) -> Sequence[Registration]:
        return self._registered.get((sender_id, country), ())

    def registered(self, sender_id: int, country: str, at: int, operator: str | None = None) -> bool:
        """Whether a registration holds: with that operator (MCC and MNC), or with any if none is named."""
        return any(
            one.holds(at) and (operator is None or one.operator in ("", operator))
            for one in self.registrations_of(sender_id, country)
        )

    def pool(self, account_id: int, name: str) -> Pool | None:
        return self._pool_names.get((account_id, name))

    def default(self, account_id: int, country: str) -> str | None:
        """What the account sends from to a country when a message does not say."""
        return self._default.get((account_id, country))

    def campaign(self, sender: Sender) -> tuple[Campaign | None, Brand | None]:
        """The 10DLC campaign of a sender and its brand."""
        campaign = self.campaigns.get(sender.campaign_id or 0)
        return campaign, None if campaign is None else self.brands.get(campaign.brand_id)

    def capabilities(self, sender: Sender) -> Capabilities:
        campaign, brand = self.campaign(sender)
        category = campaign.details.use_case if campaign else ""
        if brand is not None and brand.details.entity_type == "SOLE_PROPRIETOR":
            category = "SOLE_PROPRIETOR"
        score = brand.vetting_score if brand else None
        home = kind_of(sender.address)[1] or (sender.countries[0] if len(sender.countries) == 1 else "")
        return capabilities(sender.kind, home, sender.overrides, category=category, score=score)


def owner(book: Book, connector_id: int, address: str) -> int | None:
    """The account that messages to this address on this connector belong to."""
    sender = book.receiver(connector_id, address)
    return None if sender is None else sender.account_id


def canonical(address: str) -> str:
    """What two spellings of one address share: +33612345678 and 33612345678 are the same number."""
    return address[1:] if address[:1] == "+" else address
