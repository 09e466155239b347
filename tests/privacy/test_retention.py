"""An account keeps each kind of data for as long as it says."""

from __future__ import annotations

import pytest

from chappe import accounts, messages
from chappe.accounts import AccountSettings, KeptDays
from chappe.errors import Refused
from chappe.messages import retention
from chappe.messages.retention import Forgotten, kept
from chappe.settings import Retention
from chappe.storage import sql
from tests.privacy.conftest import ALICE, HERE, NOW, World, world

__all__ = ["world"]

DAY_MS = 86_400_000


def later(world: World, days: int) -> None:
    world.rt.clock.now = lambda: NOW() + days * DAY_MS  # type: ignore[method-assign]


async def keep(world: World, **days: int) -> None:
    general = days.pop("general", None)
    settings = AccountSettings(retention_days=general, retention=KeptDays(**days))
    await accounts.update_account(world.rt, "test", world.acme, settings=settings)


async def test_texts_inbound_and_history_go_each_in_their_time(world: World) -> None:
    mine = await world.delivered(world.acme)
    theirs = await world.delivered(world.rival)
    assert await world.pipes.link.inbound(ALICE[1:], HERE, "Hello")
    assert await world.pipes.link.inbound(ALICE[1:], "33644600002", "Hello")
    await keep(world, texts=2, inbound=4, history=6, general=8)
    later(world, 1)
    assert await retention.forget(world.house) == Forgotten()
    later(world, 3)
    assert await retention.forget(world.house) == Forgotten(texts=2)
    assert (await messages.get(world.rt, None, mine.id)).text is None
    assert (await messages.get(world.rt, None, theirs.id)).text
    later(world, 5)
    assert await retention.forget(world.house) == Forgotten(messages=1)
    assert await world.inbound(world.acme) == [] and len(await world.inbound(world.rival)) == 1
    later(world, 7)
    assert await retention.forget(world.house) == Forgotten(histories=1)
    assert await messages.steps(world.rt, mine.id) == [] and await messages.steps(world.rt, theirs.id)
    assert (await messages.get(world.rt, None, mine.id)).state.word == "delivered"
    later(world, 9)
    assert await retention.forget(world.house) == Forgotten(messages=1)
    with pytest.raises(Refused):
        await messages.get(world.rt, None, mine.id)
    assert (await messages.get(world.rt, None, theirs.id)).text


async def test_an_account_may_keep_texts_longer_than_others(world: World) -> None:
    mine, theirs = await world.delivered(world.acme), await world.delivered(world.rival)
    await keep(world, texts=200)
    later(world, 100)
    assert (await retention.forget(world.house)).texts == 1
    assert (await messages.get(world.rt, None, mine.id)).text
    assert (await messages.get(world.rt, None, theirs.id)).text is None
    await keep(world)
    assert (await retention.forget(world.house)).texts == 1, "what it keeps no longer goes with the next round"


async def test_what_still_waits_keeps_its_text_and_its_steps(world: World) -> None:
    waits = await world.pipes.send(send_at=NOW() + 60 * DAY_MS)
    await keep(world, texts=1, history=1, general=2)
    later(world, 5)
    assert await retention.forget(world.house) == Forgotten()
    assert (await messages.get(world.rt, None, waits.id)).text == "Bonjour"
    assert await messages.steps(world.rt, waits.id)


async def test_a_link_works_although_its_message_is_forgotten(world: World) -> None:
    mine = await world.delivered(world.acme)
    await keep(world, general=1)
    later(world, 2)
    assert (await retention.forget(world.house)).messages == 1
    rows = await world.rt.store.scan(sql("select message_id, account_id, sender from consent_links")())
    assert [tuple(row) for row in rows] == [(mine.id, world.acme, "Acme")]


def test_a_kind_is_kept_as_long_as_its_own_word_the_accounts_or_the_installations() -> None:
    keep = Retention()
    usual = kept(keep, None)
    assert (usual.messages, usual.inbound, usual.texts, usual.history) == (400, 400, 90, 400)
    assert not usual.own and not usual.own_inbound
    short = kept(keep, AccountSettings(retention_days=30))
    assert (short.messages, short.inbound, short.texts, short.history) == (30, 30, 30, 30)
    mixed = kept(keep, AccountSettings(retention_days=30, retention=KeptDays(texts=60, inbound=90, history=7)))
    assert (mixed.messages, mixed.inbound, mixed.texts, mixed.history) == (30, 90, 30, 7)
    assert kept(keep, AccountSettings(retention=KeptDays(inbound=5))).own_inbound
