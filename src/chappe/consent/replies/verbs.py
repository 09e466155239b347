"""The texts of an account: made, changed and deleted."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import msgspec

from chappe.accounts import Change, checked
from chappe.consent.replies.store import OWN_TEXTS, REPLY_TEXTS, ReplyText
from chappe.errors import Refused
from chappe.storage import Row

if TYPE_CHECKING:
    from chappe.runtime import Runtime

MOST = 100  # of an account
NAMES = ("name", "contact")
_PLACE = re.compile(r"\{([^{}]*)\}")


async def texts_of(rt: Runtime, accounts: Iterable[int]) -> list[ReplyText]:
    """The texts of some accounts, oldest first. Raises Unavailable."""
    return [_value(row) for row in await rt.store.read(OWN_TEXTS({"accounts": sorted(set(accounts))}))]


async def found_text(rt: Runtime, account_id: int, text_id: int) -> ReplyText:
    """Raises Refused not_found."""
    found = next((one for one in await texts_of(rt, [account_id]) if one.id == text_id), None)
    if found is None:
        raise Refused("not_found", "There is no such reply.", param="id")
    return found


async def create_text(rt: Runtime, actor: str, account_id: int, *, kind: str, language: str, text: str) -> ReplyText:
    """Raises Refused: invalid_value, conflict if there is one for the kind and language, or too many."""
    known = await texts_of(rt, [account_id])
    made = _checked(rt.ids.next(), account_id, kind, language, text, rt.clock.now())
    if len(known) >= MOST or any((one.kind, one.language) == (made.kind, made.language) for one in known):
        raise Refused("conflict", "There is a reply of this kind and language already, or too many.", param="kind")
    change = Change(rt, actor)
    change.create(REPLY_TEXTS, made)
    await change.commit()
    return made


async def update_text(rt: Runtime, actor: str, before: ReplyText, text: str) -> ReplyText:
    """Raises Refused invalid_value, conflict."""
    after = _checked(before.id, before.account_id, before.kind, before.language, text, before.created_at)
    change = Change(rt, actor)
    change.update(REPLY_TEXTS, before, after)
    await change.commit()
    return after


async def delete_text(rt: Runtime, actor: str, text: ReplyText) -> None:
    """Raises Refused conflict."""
    change = Change(rt, actor)
    change.delete(REPLY_TEXTS, text)
    await change.commit()


def _checked(text_id: int, account_id: int, kind: str, language: str, text: str, created_at: int) -> ReplyText:
    fields: dict[str, Any] = {"kind": kind, "language": language, "text": text}
    made = checked(ReplyText(text_id, account_id, created_at=created_at, **fields))
    if kind in NAMES:
        if language:
            raise Refused("invalid_value", f"A {kind} has no language.", param="language")
        if len(text) > 60:
            raise Refused("invalid_value", f"A {kind} has 60 characters at most.", param="text")
        return made
    for place in _PLACE.findall(text):
        if place not in ("brand", "help"):
            words = "Only {brand} and {help} are replaced."
            raise Refused("invalid_value", f"There is nothing for {{{place}}}.", param="text", action=words)
    return made


def _value(row: Row) -> ReplyText:
    return msgspec.convert(dict(zip(ReplyText.__struct_fields__, row, strict=True)), ReplyText)


__all__ = ["MOST", "create_text", "delete_text", "found_text", "texts_of", "update_text"]
