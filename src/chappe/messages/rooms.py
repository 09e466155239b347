"""The rooms that a pipeline asks: loaded before it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chappe import accounts, billing, connectors, consent, fraud, law, lookups, routing, senders, templates
from chappe.billing import closing, reports
from chappe.messages.registered import registered_names
from chappe.routing import quality, throttles

if TYPE_CHECKING:
    from chappe.runtime import Runtime

_ENFORCED = ("US", "CA")


async def open_rooms(rt: Runtime) -> None:
    """Before `rt.events.start` and `rt.jobs.start`; `rt.close` closes them. Raises Unavailable."""
    for room in (accounts, connectors, routing, throttles, senders, billing, consent, law, fraud, templates):
        await room.start(rt)
    rt.at_close((await lookups.start(rt)).close)
    rt.at_close((await quality.start(rt, tracked=lambda connector_id: _tracked(rt, connector_id))).close)
    reports.start(rt, lambda account_id: billing.book(rt).low_balance(account_id))
    closing.register(rt, registered_names(rt))
    consent.seal_regularly(rt)
    gone = rt.settings.consent
    consent.start_suppressions(
        rt, consent.Gone(gone.disconnected_after, gone.disconnected_within_days, gone.disconnected_days)
    )
    _wire(rt)


def _tracked(rt: Runtime, connector_id: int) -> bool:
    """Whether its supplier sends receipts: of others nobody knows what was delivered."""
    connector = connectors.book(rt).get(connector_id)
    return connector is not None and connector.settings.receipts


def _wire(rt: Runtime) -> None:
    """What the throttles must know of neighbours that they do not: how fast a kind of sender may be, and what an
    account lets itself spend in a day."""
    gate = throttles.gate(rt)
    gate.kind_limits = lambda sender, account_id: _pace(rt, sender, account_id)
    gate.spend_caps = lambda account_id, country: _caps(rt, account_id, country)
    gate.account_limits = lambda account_id: _warm_up(rt, account_id)
    accounts.snapshot(rt, senders.ROOM).on_change(lambda _: gate.forget())
    accounts.snapshot(rt, billing.ROOM).on_change(lambda _: gate.forget())
    accounts.snapshot(rt, fraud.ROOM).on_change(lambda _: gate.forget())


def _pace(rt: Runtime, sender: str, account_id: int) -> list[throttles.Limit]:
    """What the operator knows of a sender, and the throughput of its kind where carriers enforce one. The figures of
    other countries are those of single vendors: there the connectors set the pace. What a single carrier counts is
    its own to count."""
    book = senders.book(rt)
    known = book.find(account_id, sender)
    if known is None:
        return []
    if known.overrides.rate_per_s is None and senders.kind_of(known.address)[1] not in _ENFORCED:
        return []
    return [
        throttles.Limit(f"{one.key} {_shared(book, known, one.key)}", one.limit, one.per)
        for one in book.capabilities(known).throughput
        if not one.carrier
    ]


def _shared(book: senders.Book, sender: senders.Sender, key: str) -> int:
    """The id of what shares a limit: the sender itself, its campaign, or its brand."""
    campaign, brand = book.campaign(sender)
    owner = {"campaign": campaign, "brand": brand}.get(key)
    return sender.id if owner is None else owner.id


def _caps(rt: Runtime, account_id: int, country: str) -> list[throttles.Limit]:
    caps = billing.book(rt).caps(account_id)
    return [throttles.Limit(cap.country or "*", cap.per_day, "day") for cap in caps if cap.country in ("", country)]


def _warm_up(rt: Runtime, account_id: int) -> list[throttles.Limit]:
    """What a new account may send in a day."""
    account = accounts.directory(rt).account(account_id)
    limit = None if account is None else fraud.warm_up_limit(rt, account_id, account.created_at, rt.clock.now())
    return [] if limit is None else [throttles.Limit(limit[0], limit[1], "day")]
