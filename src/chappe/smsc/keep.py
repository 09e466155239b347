"""Looking after the queue by hand and by the clock: what waits, what was set aside, telling again, forgetting."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from chappe import accounts, ids, messages
from chappe.accounts import SmppLogin
from chappe.errors import Refused
from chappe.messages import Filter, InboundMessage, Message
from chappe.messages.model import decode_json
from chappe.smsc import store
from chappe.smsc.model import QUOTED, InboundNews, Kind, News, ReceiptNews
from chappe.smsc.on import reference_of, row, submitted_id
from chappe.smsc.states import is_intermediate, wants

if TYPE_CHECKING:
    from chappe.runtime import Runtime

PRUNE_EVERY_S: Final = 3_600.0
PRUNE_SLICE: Final = 1_000
PAGE: Final = 500
_DAY_MS: Final = 86_400_000
_LATEST: Final = (1 << 63) - 1


@dataclass(frozen=True, slots=True)
class Waiting:
    """The queue of one login: deliveries that wait, those set aside, and when the oldest was made (milliseconds)."""

    login_id: int
    waiting: int
    aside: int
    oldest_at: int


@dataclass(frozen=True, slots=True)
class Aside:
    """A delivery that is not tried any more: why, and which message (or message from a phone) it speaks of."""

    id: int
    kind: Kind
    object_id: int
    tries: int
    error: str | None
    created_at: int


async def waiting(rt: Runtime, account_id: int) -> list[Waiting]:
    """The queues of an account's logins, those that have anything in them."""
    logins = [login.id for login in accounts.directory(rt).logins(account_id)]
    return [Waiting(*found) for found in await rt.store.scan(store.WAITING({"logins": logins}))]


async def asides(
    rt: Runtime, account_id: int, login_id: int, *, before: int = _LATEST, limit: int = PAGE
) -> list[Aside]:
    """What was set aside of a login, newest first, those with ids below `before`. Raises Refused not_found."""
    _found(rt, account_id, login_id)
    rows = await rt.store.scan(store.ASIDE({"login_id": login_id, "before": before, "limit": min(limit, PAGE)}))
    return [Aside(found[0], Kind(found[1]), *found[2:]) for found in rows]


async def replay(rt: Runtime, account_id: int, login_id: int, since: int, until: int) -> int:
    """Tell a login once more the outcome of its messages submitted from `since` until before `until` (milliseconds)
    and what phones wrote then; what was set aside of that time is tried again. Returns how many deliveries that makes.

    What still waits is not told twice. Raises Refused not_found, also for another account's login.
    """
    login = _found(rt, account_id, login_id)
    span = {"login_id": login_id, "since": ids.at(since), "until": ids.at(until), "now": rt.clock.now()}
    [told] = await rt.store.write(store.REVIVE(span), wake=(store.TOPIC,))
    async for kind, news in _told(rt, login, since, until):
        known = {"login_id": login_id, "kind": int(kind), "objects": [object_id for object_id, _ in news]}
        there = {found[0] for found in await rt.store.read(store.QUEUED(known))}
        rows = [row(rt, account_id, login_id, kind, *one) for one in news if one[0] not in there]
        if rows:
            await rt.store.write(store.ADD(rows, expect=len(rows)), wake=(store.TOPIC,))
        told += len(rows)
    return int(told)


def register(rt: Runtime) -> None:
    """Have the queue pruned. Before `rt.jobs.start`."""
    rt.jobs.every("smsc.prune", PRUNE_EVERY_S, prune)


async def prune(rt: Runtime) -> None:
    """Forget what nobody has fetched within the retention of delivery logs."""
    before = ids.at(rt.clock.now() - rt.settings.retention.delivery_log_days * _DAY_MS)
    while True:
        [gone] = await rt.store.write(store.PRUNE({"before": before, "limit": PRUNE_SLICE}))
        if gone < PRUNE_SLICE:
            return


def _found(rt: Runtime, account_id: int, login_id: int) -> SmppLogin:
    login = accounts.directory(rt).login_by_id(login_id)
    if login is None or login.account_id != account_id:
        raise Refused("not_found", "There is no such SMPP login.")
    return login


# -- what there is to tell ---------------------------------------------------------------------------------------------

_Page = list[tuple[int, News]]


async def _told(rt: Runtime, login: SmppLogin, since: int, until: int) -> AsyncIterator[tuple[Kind, _Page]]:
    """(what kind, the objects with their news), a page at a time."""
    span: dict[str, Any] = {"account_id": login.account_id, "created_after": since, "created_before": until}
    sent: Sequence[Message] = ()
    while page := await messages.listed(rt, Filter(**span, limit=PAGE, cursor=sent[-1].id if sent else None)):
        sent = page
        yield Kind.RECEIPT, [(one.id, _receipt(one)) for one in sent if one.login_id == login.id and _is_told(one)]
    written: Sequence[InboundMessage] = ()
    while login_hears(login) and (
        found := await messages.inbound(rt, Filter(**span, limit=PAGE, cursor=written[-1].id if written else None))
    ):
        written = found
        yield Kind.INBOUND, [(one.id, _inbound(one)) for one in written if bool(one.test) == login.test]


def login_hears(login: SmppLogin) -> bool:
    return login.dialect.inbound


def _is_told(message: Message) -> bool:
    word = message.state.word
    return wants(message.receipts, word) and not is_intermediate(word)


def _receipt(message: Message) -> ReceiptNews:
    error = decode_json(message.error).get("code") if message.error else None
    return ReceiptNews(
        id=submitted_id(message.id, message.correlation_id, message.origin),
        state=message.state.word,
        to=message.recipient,
        sender=message.sender,
        created_at=message.created_at,
        at=message.final_at or message.created_at,
        text=(message.text or "")[:QUOTED],
        error=error,
        reference=reference_of(decode_json(message.options) if message.options else None),
    )


def _inbound(inbound: InboundMessage) -> InboundNews:
    return InboundNews(
        id=inbound.id,
        to=inbound.recipient,
        sender=inbound.source,
        text=inbound.text,
        data=bytes(inbound.payload or b"") if inbound.text is None else b"",
        udh=bytes(inbound.udh),
        data_coding=inbound.data_coding,
    )
