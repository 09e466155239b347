"""Replies to what people said by keyword: sent through the pipeline, once each, a few minutes or never.

A reply is due from the unit that stored the words. It is accepted under a key of its own, so that whatever crashes
between its acceptance and the note of it, nobody gets it twice.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from chappe import ids, senders
from chappe.batching import Full
from chappe.consent import replies as due
from chappe.consent.replies import ReplyKind
from chappe.messages import history, store
from chappe.messages.model import REPLY, Accepted, IdempotencyKey, KeyReused, Refusal, Replay, Submission
from chappe.storage import StoreError, Unavailable

if TYPE_CHECKING:
    from chappe.messages.pipeline import Pipeline

SLICE = 100
REPLIED = "replied"
NOT_REPLIED = "not_replied"
_MOST_TRIES = 5
_FIRST_PAUSE_MS = 5_000  # then 20, 80, 320 seconds
_KEPT_MS = 2 * due.EVERY_MS


class Due(NamedTuple):
    """A row of `consent_replies`."""

    person_key: int
    sender: str
    kind: ReplyKind
    account_id: int
    test: int
    person: str | None
    language: str
    country: str
    inbound_id: int
    state: int
    tries: int
    asked_at: int
    due_at: int
    expires_at: int


class Wording(NamedTuple):
    """What an account calls itself, where it helps, and its own texts by kind and language."""

    name: str
    contact: str
    texts: Mapping[tuple[str, str], str]


class _Verdict(NamedTuple):
    """What became of one: the message that answers, else why not; `again` if it is tried once more, and whether that
    counts."""

    message_id: int | None = None
    reason: str = ""
    again: bool = False
    counts: bool = True


class Replies:
    def __init__(self, house: Pipeline) -> None:
        self._house = house
        self._task: asyncio.Task[None] | None = None
        self._again = False

    def kick(self) -> None:
        """Some are due."""
        self._again = True
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run(), name="replies to keywords")

    async def drain(self) -> None:
        """Wait until nothing is in work."""
        if self._task is not None:
            await asyncio.wait([self._task])

    async def sweep(self) -> None:
        """Give what is still due, and forget what is too old to matter. Raises Unavailable."""
        while await self._give():
            pass
        before = self._house.rt.clock.now() - _KEPT_MS
        pruned = SLICE
        while pruned == SLICE:
            [pruned] = await self._house.rt.store.write(due.PRUNE_REPLIES({"before": before, "limit": SLICE}))

    async def _run(self) -> None:
        while self._again:
            self._again = False
            try:
                while await self._give():
                    pass
            except StoreError as error:
                self._house.rt.log.warning("replies wait for the store", error=str(error))
                return
            except Exception:  # the sweeper tries again; nobody else awaits this task
                self._house.rt.log.exception("replies failed")
                return

    async def _give(self) -> bool:
        """A slice of what is due; whether there may be more."""
        rt = self._house.rt
        rows = await rt.store.read(due.DUE_REPLIES({"now": rt.clock.now(), "limit": SLICE}))
        found = [Due(*row) for row in rows]
        if not found:
            return False
        wordings = await self._wordings(found)
        verdicts = await asyncio.gather(*(self._answer(one, wordings[one.account_id]) for one in found))
        await self._note(list(zip(found, verdicts, strict=True)))
        return len(found) == SLICE

    async def _wordings(self, found: Sequence[Due]) -> dict[int, Wording]:
        accounts = {one.account_id for one in found}
        own: defaultdict[int, dict[tuple[str, str], str]] = defaultdict(dict)
        for text in await due.texts_of(self._house.rt, accounts):
            own[text.account_id][text.kind, text.language] = text.text
        made = {}
        for account_id in accounts:
            account, texts = self._house.accounts.account(account_id), own[account_id]
            name = texts.get(("name", "")) or (account.name if account is not None else "")
            made[account_id] = Wording(name, texts.get(("contact", ""), ""), texts)
        return made

    async def _answer(self, one: Due, wording: Wording) -> _Verdict:
        house = self._house
        sender = house.senders.find(one.account_id, one.sender)
        if one.person is None or sender is None or not sender.inbound:
            return _Verdict(reason="The sender is gone.")
        if house.rt.clock.now() >= one.expires_at:
            return _Verdict(reason="It could not be sent in time.")
        submission = Submission(
            account_id=one.account_id,
            to=one.person,
            sender=sender.address,
            text=self._text(one, wording, sender),
            purpose="service",
            metadata={"reply_to": ids.public("inb", one.inbound_id)},
            test=bool(one.test),
            origin=REPLY,
        )
        # no header of a customer can hold the separator; a refusal is kept under its key, too
        key = IdempotencyKey(one.account_id, f"reply\x1f{one.inbound_id}\x1f{one.tries}", one.kind)
        try:
            [result] = await house.accept([submission], key)
        except Replay as replay:
            [earlier] = replay.results
            return _Verdict(earlier) if isinstance(earlier, int) else _Verdict(reason=str(earlier[0]), again=True)
        except KeyReused:
            return _Verdict(reason="Its key was used for something else.")
        except (Full, Unavailable) as error:
            return _Verdict(reason=str(error), again=True, counts=False)
        if isinstance(result, Accepted):
            return _Verdict(result.id)
        return _Verdict(reason=f"{result.code}: {result.message}", again=_passes(result))

    def _text(self, one: Due, wording: Wording, sender: senders.Sender) -> str:
        """Where the sender belongs to a registered brand, that is the programme's name."""
        name, contact = wording.name, wording.contact
        brand = self._house.senders.campaign(sender)[1]
        if brand is not None:
            name = brand.details.display_name
            contact = contact or brand.details.phone or brand.details.email
        return due.compose(one.kind, one.language, one.country, brand=name, contact=contact, own=wording.texts)

    async def _note(self, answered: Sequence[tuple[Due, _Verdict]]) -> None:
        rt, now = self._house.rt, self._house.rt.clock.now()
        closed: list[tuple[Any, ...]] = []
        later: list[tuple[Any, ...]] = []
        steps = []
        for one, verdict in answered:
            row = (one.person_key, one.sender, one.kind)
            tries = one.tries + verdict.counts
            if verdict.again and tries < _MOST_TRIES:
                later.append((*row, tries, now + _FIRST_PAUSE_MS * 4**one.tries, one.inbound_id))
                continue
            given = verdict.message_id is not None
            closed.append((*row, due.GIVEN if given else due.DROPPED, one.inbound_id))
            said: dict[str, Any] = {"kind": one.kind}
            if verdict.message_id is not None:
                said["message"] = ids.public("msg", verdict.message_id)
            else:
                said["reason"] = verdict.reason
                rt.log.warning("a reply to a keyword is not sent", inbound=one.inbound_id, reason=verdict.reason)
            steps.append(history.step(one.inbound_id, rt.ids.next(), now, REPLIED if given else NOT_REPLIED, said))
        ops = [due.CLOSE_REPLIES(closed)] if closed else []
        ops += [due.POSTPONE_REPLIES(later)] if later else []
        ops += [store.ADD_HISTORY(steps)] if steps else []
        await rt.store.write(*ops)


def _passes(refusal: Refusal) -> bool:
    """Whether it may go through later."""
    return not refusal.final and (refusal.retry_after is not None or refusal.code in _PASSING)


_PASSING = frozenset(("no_balance", "queue_full", "storage_unavailable", "throttled"))

__all__ = ["NOT_REPLIED", "REPLIED", "Replies"]
