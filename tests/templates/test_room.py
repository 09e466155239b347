"""The room on both stores: nobody overwrites or approves what he has not read."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from chappe import accounts, templates
from chappe.accounts import Account
from chappe.errors import Refused
from chappe.runtime import Runtime, open_runtime
from chappe.settings import Settings
from chappe.templates import Content, Template


@pytest.fixture
async def rt(store_url: str, tmp_path: Path) -> AsyncIterator[Runtime]:
    rt = await open_runtime(Settings(data_dir=tmp_path, database=store_url, secret_key="test"))
    await accounts.start(rt)
    await templates.start(rt)
    yield rt
    await rt.close()


@pytest.fixture
async def acme(rt: Runtime) -> Account:
    return await accounts.create_account(rt, "test", slug="acme", name="Acme")


def saying(text: str) -> Content:
    return Content(bodies={"default": text})


async def one_of(*works: Any) -> None:
    """Of two at once exactly one succeeds; the other is told of a conflict."""
    done = await asyncio.gather(*works, return_exceptions=True)
    assert [one.code for one in done if isinstance(one, Refused)] == ["conflict"], done
    assert len([one for one in done if isinstance(one, Template)]) == 1, done


async def test_of_two_at_once_one_is_told_so_and_the_template_stays_whole(rt: Runtime, acme: Account) -> None:
    made = await templates.create_template(rt, "ann", acme.id, name="hello", content=saying("a"))
    await one_of(
        templates.update_template(rt, "ann", acme.id, made.id, saying("b")),
        templates.update_template(rt, "bob", acme.id, made.id, saying("c")),
    )
    await templates.step(rt, "ann", acme.id, made.id, "submit")
    await one_of(
        templates.step(rt, "eve", None, made.id, "approve"), templates.step(rt, "ann", acme.id, made.id, "withdraw")
    )
    if templates.book(rt).live(templates.found_template(rt, acme.id, made.id)) is None:
        await templates.step(rt, "ann", acme.id, made.id, "submit")
        await templates.step(rt, "eve", None, made.id, "approve")
    await one_of(
        templates.update_template(rt, "ann", acme.id, made.id, saying("d")),
        templates.update_template(rt, "bob", acme.id, made.id, saying("e")),
    )
    now = templates.found_template(rt, acme.id, made.id)
    assert (now.latest, now.live) == (2, 1)
    await templates.update_template(rt, "ann", acme.id, made.id, saying("f"))
    history = await templates.versions_of(rt, acme.id, made.id)
    assert [(one.number, one.status) for one in history] == [(2, "draft"), (1, "approved")]
    assert history[0].content == saying("f")


async def test_what_is_stored_is_what_is_read_and_a_deleted_name_is_free(rt: Runtime, acme: Account) -> None:
    made = await templates.create_template(rt, "ann", acme.id, name="hello", content=saying("Hi é \U0001f44d"))
    [version] = await templates.versions_of(rt, acme.id, made.id)
    assert version == templates.book(rt).latest(made)
    with pytest.raises(Refused, match="no such template"):
        templates.found_template(rt, acme.id + 1, made.id)
    await templates.delete_template(rt, "ann", acme.id, made.id)
    again = await templates.create_template(rt, "ann", acme.id, name="hello", content=saying("anew"))
    assert len(await templates.versions_of(rt, acme.id, again.id)) == 1
