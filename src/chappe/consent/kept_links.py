"""What is kept of a message after its row is gone, so that its link still stops messages.

An unsubscribe mechanism must work for 60 days after the message (Canada: CASL, S.C. 2010, c. 23, section 11(2)), but an
account may keep its messages for a day only. What stays then is the person's key, which tells no number.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from chappe.consent import store
from chappe.consent.model import Channel, Source
from chappe.consent.recording import Forbidden, suppress
from chappe.consent.room import persons
from chappe.storage import Op

if TYPE_CHECKING:
    from chappe.runtime import Runtime

DAYS = 60
_SLICE = 500
_DAY_MS = 86_400_000
GONE_PREFIX = "erased:"  # of a recipient who was forgotten: their key follows, in hex


class KeptLink(NamedTuple):
    """Of a message that was deleted: whose it was, to whom, and which sender it came from."""

    message_id: int
    account_id: int
    test: bool
    person_key: int
    sender: str


def keep_links(rt: Runtime, rows: Iterable[tuple[int, int, int, str, str, int | None]]) -> list[Op]:
    """For the unit that deletes messages, rows of (id, account, test, recipient, sender, sent at): the ops that keep
    the links of those sent lately."""
    now, people = rt.clock.now(), persons(rt)
    kept = []
    for message_id, account_id, test, recipient, sender, sent_at in rows:
        if sent_at is None or sent_at + DAYS * _DAY_MS <= now:
            continue
        key = key_of_gone(recipient) if recipient.startswith(GONE_PREFIX) else people.key(account_id, test, recipient)
        if key is not None:
            kept.append((message_id, account_id, test, key, sender, sent_at + DAYS * _DAY_MS))
    return [store.KEEP_LINKS(kept)] if kept else []


async def kept_link(rt: Runtime, message_id: int) -> KeptLink | None:
    """Raises Unavailable."""
    rows = await rt.store.read(store.KEPT_LINK({"message_id": message_id}))
    return KeptLink(rows[0][0], rows[0][1], bool(rows[0][2]), rows[0][3], rows[0][4]) if rows else None


def stop_by_key(
    rt: Runtime, kept: KeptLink, forbidden: Sequence[Forbidden], *, channel: Channel, source: Source
) -> tuple[list[Op], list[int]]:
    """Forbid messages to somebody of whom only the key is left: the ops, and the ids of what they add. The ledger gets
    no entry, for there is nobody to name. Call `announce` with the key after the commit."""
    now = rt.clock.now()
    rows, ids = [], []
    for what in forbidden:
        ids.append(rt.ids.next())
        whose = (ids[-1], kept.person_key, kept.account_id, int(kept.test), None)
        rows.append((*whose, channel, what.scope, what.value, what.covers, "opt_out", source, "", "", now, None, None))
    return suppress(rows), ids


async def forget_links(rt: Runtime) -> None:
    """Delete those whose time is over, in slices."""
    touched = _SLICE
    while touched == _SLICE:
        [touched] = await rt.store.write(store.FORGET_LINKS({"now": rt.clock.now(), "limit": _SLICE}))


def key_of_gone(recipient: str) -> int | None:
    """The person's key that stands where the number of somebody forgotten was."""
    try:
        number = int(recipient.removeprefix(GONE_PREFIX), 16)
    except ValueError:
        return None
    return number - (1 << 64) if number >> 63 == 1 else number
