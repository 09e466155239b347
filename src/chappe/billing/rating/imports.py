"""The rates of a list change as a whole: looked at first, then put in force exactly as seen, and undone likewise."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Literal, NamedTuple

import msgspec

from chappe.accounts import Change
from chappe.billing.rating import contents, store
from chappe.billing.rating.lists import found_list
from chappe.billing.rating.model import PriceList
from chappe.billing.rating.rates import Card, Rate, Step, differences, overlaid, replaced
from chappe.billing.rating.reading import Read
from chappe.billing.rating.room import book
from chappe.errors import Refused
from chappe.tabular import Faults

if TYPE_CHECKING:
    from chappe.runtime import Runtime

Mode = Literal["replace", "merge"]
KEPT_MS = 86_400_000  # for so long a preview may be applied


class Preview(NamedTuple):
    """What an import would change, and the `digest` that applies it; None while there are faults."""

    digest: str | None
    rows: int
    steps: list[Step]
    faults: Faults


class Version(NamedTuple):
    """A version of a list's rates: who put it in force, and when (milliseconds)."""

    number: int
    created_at: int
    actor: str
    note: str
    rows: int


async def preview(
    rt: Runtime, list_id: int, read: Read, *, mode: Mode = "replace", since: int | None = None
) -> Preview:
    """What the rates of a file would make of a list.

    `replace`: the list is what the file says, from `since` (ms) on, or altogether; `merge`: only what the file names
    changes, while the file's rows count. Nothing is in force until `apply_preview`. Raises Refused not_found.
    """
    listed = found_list(rt, list_id)
    if len(read.faults):
        return Preview(None, len(read.rates), [], read.faults)
    card = book(rt).card(list_id)
    after, steps, digest, content = await asyncio.to_thread(_worked_out, listed, card, read.rates, mode, since)
    if len(after) > contents.MOST_ROWS:
        read.faults.add(0, "", "too_many_rows", f"The list would have more than {contents.MOST_ROWS} rows.")
        return Preview(None, len(after), [], read.faults)
    now = rt.clock.now()
    row = (rt.ids.next(), list_id, digest, listed.version, now, len(after), content)
    await rt.store.write(store.DROP_OLD_PREVIEWS({"before": now - KEPT_MS}), store.ADD_PREVIEW([row]))
    return Preview(digest, len(after), steps, read.faults)


def _worked_out(
    listed: PriceList, card: Card, read: list[Rate], mode: Mode, since: int | None
) -> tuple[list[Rate], list[Step], str, bytes]:
    before = list(card)
    after = overlaid(before, read) if mode == "merge" else replaced(before, read, since or 0)
    steps = differences(before, after)
    return after, steps, contents.digest(listed.id, listed.version, after), contents.packed(after)


async def apply_preview(rt: Runtime, actor: str, list_id: int, digest: str, note: str = "") -> PriceList:
    """Put in force exactly what a preview has shown. Raises Refused: not_found, preview_outdated when the list has
    changed since or the preview is too old, conflict."""
    listed = found_list(rt, list_id)
    rows = await rt.store.scan(store.PREVIEW({"list_id": list_id, "digest": digest}))
    if not rows or rows[0][0] != listed.version:
        raise Refused("preview_outdated", param="preview_digest")
    _, count, content = rows[0]
    return await _put_in_force(rt, actor, listed, count, content, note)


async def restore(rt: Runtime, actor: str, list_id: int, number: int, note: str = "") -> PriceList:
    """Put the rates of an older version in force again, as a new version. Raises Refused: not_found, conflict."""
    listed = found_list(rt, list_id)
    content, count = await _version(rt, list_id, number)
    return await _put_in_force(rt, actor, listed, count, content, note or f"version {number} again")


async def versions(rt: Runtime, list_id: int) -> list[Version]:
    """The newest first. Raises Refused not_found."""
    found_list(rt, list_id)
    return [Version(*row) for row in await rt.store.scan(store.VERSIONS({"list_id": list_id}))]


async def card_of_version(rt: Runtime, list_id: int, number: int | None = None) -> Card:
    """The rates of a version, by default of the one in force. Raises Refused not_found."""
    listed = found_list(rt, list_id)
    if number is None or number == listed.version:
        return book(rt).card(list_id)
    content, _ = await _version(rt, list_id, number)
    return Card(await asyncio.to_thread(contents.unpacked, content))


async def _version(rt: Runtime, list_id: int, number: int) -> tuple[bytes, int]:
    wanted = {"list_id": list_id, "version": min(number, 2**31 - 1)}
    rows = await rt.store.scan(store.CONTENT(wanted))
    if not rows:
        raise Refused("not_found", f"The list has no version {number}.", param="version")
    content = bytes(rows[0][0])
    return content, len(await asyncio.to_thread(contents.unpacked, content))


async def _put_in_force(rt: Runtime, actor: str, before: PriceList, count: int, content: bytes, note: str) -> PriceList:
    after = msgspec.structs.replace(before, version=before.version + 1)
    row = (before.id, after.version, rt.clock.now(), actor, note, count, bytes(content))
    change = Change(rt, actor)
    change.update(store.LISTS, before, after, action="import")
    change.also(store.ADD_VERSION([row], expect=1), store.DROP_PREVIEWS({"list_id": before.id}))
    await change.commit()
    return after
