"""What a person chooses on the page, and undoes: recorded with its proof before they are told that it is done."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from chappe import consent, senders
from chappe.consent import Channel, Entry, Forbidden, Proof, Source
from chappe.pages.about import CHANNEL, About
from chappe.pages.seals import Done

if TYPE_CHECKING:
    from chappe.runtime import Runtime

UNDO_MS = 10 * 60_000


class Choice(NamedTuple):
    """What is refused: `what` names it on the page. `brand` is of whom the ledger says it, "" the whole account."""

    what: str
    forbidden: tuple[Forbidden, ...]
    channel: Channel
    brand: str = ""
    source: Source = "page"


class Pressed(NamedTuple):
    """The proof of a choice: the button's text, its version, and from which address it was pressed."""

    wording: str
    version: str
    ip: str


def stop_sender(about: About) -> Choice:
    """Of the ledger, what one sender may send is that of its brand, or of its own name: other senders go on."""
    address = senders.canonical(about.sender)
    forbidden = [Forbidden("sender", address, "all_but_otp")]
    if about.brand:
        forbidden.append(Forbidden("brand", about.brand, "marketing"))
    return Choice("sender", tuple(forbidden), CHANNEL, about.brand or address)


def stop_all(channel: Channel = "any") -> Choice:
    return Choice("all" if channel == "any" else "sms", (Forbidden("account", "", "all_but_otp"),), channel)


def one_click(about: About) -> Choice:
    """As STOP by a message: all of the sender, and the account's marketing."""
    address = senders.canonical(about.sender)
    forbidden = (Forbidden("sender", address, "all_but_otp"), Forbidden("account", "", "marketing"))
    return Choice("one_click", forbidden, CHANNEL, source="link")


async def choose(rt: Runtime, about: About, choice: Choice, pressed: Pressed) -> Done:
    """Record it, unless all of it is refused already. Raises Unavailable."""
    now = rt.clock.now()
    if about.record.forbids(choice.forbidden, choice.channel):
        return Done(now, choice.what)
    if about.person is None:
        return await _by_key(rt, about, choice)
    entry = Entry(
        account_id=about.account_id,
        test=about.test,
        event="withdrawn",
        channel=choice.channel,
        purpose="marketing",
        source=choice.source,
        at=now,
        proof=_proof(about.person, about, pressed),
        brand=choice.brand,
    )
    recorded = consent.record(rt, [entry], [choice.forbidden])
    await rt.events.write(*recorded.ops, tell=recorded.events, wake=(consent.TOPIC,))
    consent.announce(rt, recorded.stopped)
    return Done(now, choice.what, recorded.ids[0], milder=_milder(about, choice.forbidden, choice.channel))


async def undo(rt: Runtime, about: About, done: Done, pressed: Pressed) -> None:
    """Take back what `done` did, and nothing else; once. Raises Unavailable."""
    if about.person is None:
        ops = consent.undo_by_key(about.person_key, done.refusal_ids, done.milder) if done.refusal_ids else []
    elif done.entry_id:
        proof = _proof(about.person, about, pressed)
        ops = await consent.undo(rt, about.account_id, about.test, done.entry_id, proof, "page", done.milder)
    else:
        ops = []
    if ops:
        await rt.store.write(*ops)


async def _by_key(rt: Runtime, about: About, choice: Choice) -> Done:
    kept = consent.KeptLink(about.message_id, about.account_id, about.test, about.person_key, about.sender)
    ops, refusal_ids = consent.stop_by_key(rt, kept, choice.forbidden, channel=choice.channel, source=choice.source)
    await rt.store.write(*ops, wake=(consent.TOPIC,))
    consent.announce(rt, [about.person_key])
    milder = _milder(about, choice.forbidden, choice.channel)
    return Done(rt.clock.now(), choice.what, refusal_ids=tuple(refusal_ids), milder=milder)


def _milder(about: About, forbidden: Sequence[Forbidden], channel: str) -> tuple[tuple[int, str], ...]:
    """The refusals that these make stricter, and what they cover so far."""
    wanted: dict[tuple[str, str], str] = {(one.scope, one.value): one.covers for one in forbidden}
    return tuple(
        (refusal.id, refusal.covers)
        for refusal in about.record.refusals
        if (refusal.channel, refusal.reason, refusal.list_name) == (channel, "opt_out", "")
        and consent.milder(refusal.covers, wanted.get((refusal.scope, refusal.value), refusal.covers))
    )


def _proof(person: str, about: About, pressed: Pressed) -> Proof:
    return Proof(
        person,
        wording=pressed.wording,
        wording_version=pressed.version,
        ip=pressed.ip,
        reference=about.reference,
    )
