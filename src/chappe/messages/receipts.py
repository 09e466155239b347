"""Receipts meet the parts they speak of.

Supplier ids are not unique, so a receipt must fit in three ways: supplier account and normalised id, the handset's
number, and the time. What fits nothing is parked: it came before its answer (matched again when the answer is stored,
and by a sweeper), it belongs to a part in doubt, or it is forged and stays parked for the operator to see.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from chappe.channels import Receipt
from chappe.messages import history, store
from chappe.messages.model import FINAL, UNSENT, Message, PartState, State, encode_json, may_become, state_of_parts
from chappe.messages.news import error_of, update

if TYPE_CHECKING:
    from chappe.messages.pipeline import Pipeline
    from chappe.messages.recorder import Rows
    from chappe.storage import Row

CLOCK_SKEW_MS = 5 * 60_000  # a receipt may seem this much older than its answer
OLDEST_MS = 30 * 86_400_000  # a supplier that reuses ids may mean another message by then
_SUFFIX = 8  # digits that must agree: suppliers write +, 00 and national prefixes as they like

_PART_STATE = {
    "delivered": PartState.DELIVERED,
    "expired": PartState.FAILED,
    "undelivered": PartState.FAILED,
    "rejected": PartState.FAILED,
    "deleted": PartState.FAILED,
}


@dataclass(slots=True)
class Candidate:
    attempt: int
    part: int
    total: int
    state: PartState
    sent_at: int
    message: Message


REMEMBERED = 16_384  # some 20 MB: most receipts come within seconds


class Matching:
    """`remember` spares the look into the store for a receipt that comes soon. What is remembered may be out of date:
    then the version of the message says so when it is written, and the store is asked after all."""

    def __init__(self, house: Pipeline) -> None:
        self._house = house
        self._recent: dict[tuple[int, str], Candidate | None] = {}

    def remember(self, connector_id: int, provider_key: str, candidate: Candidate) -> None:
        """The only part of a message was taken. An id that is used twice is left to the store."""
        key = (connector_id, provider_key)
        self._recent[key] = None if key in self._recent else candidate
        if len(self._recent) > REMEMBERED:
            del self._recent[next(iter(self._recent))]

    async def apply(self, rows: Rows, receipts: Sequence[Receipt], now: int) -> None:
        """Add to `rows` what these receipts change."""
        candidates = await self._gather(receipts)
        pairs = []
        for receipt in receipts:
            found = candidates.get((receipt.connector_id, receipt.provider_key), [])
            chosen = choose(receipt, found)
            if chosen is None:
                self._park(rows, receipt, "unknown id" if not found else "another number or time")
            else:
                pairs.append((receipt, chosen))
                if isinstance(receipt, Unparked):
                    rows.unpark.append((receipt.parked_id,))
        if pairs:
            await self._settle(rows, pairs, now)

    async def _gather(self, receipts: Sequence[Receipt]) -> dict[tuple[int, str], list[Candidate]]:
        keys: defaultdict[int, set[str]] = defaultdict(set)
        found: defaultdict[tuple[int, str], list[Candidate]] = defaultdict(list)
        read: dict[int, Message] = {}
        for receipt in receipts:
            key = (receipt.connector_id, receipt.provider_key)
            recent = self._recent.pop(key, None)
            if recent is not None and choose(receipt, (recent,)):
                found[key].append(recent)
            elif receipt.provider_key and key not in found:
                keys[receipt.connector_id].add(receipt.provider_key)
        for connector_id, wanted in keys.items():
            op = store.PARTS_BY_KEY({"connector_id": connector_id, "keys": list(wanted)})
            for row in await self._house.rt.store.read(op):
                found[connector_id, row[0]].append(candidate_of(row, read))
        return found

    async def _settle(self, rows: Rows, pairs: list[tuple[Receipt, Candidate]], now: int) -> None:
        parts = await self._parts_of([c.message for _, c in pairs if c.total > 1])
        moved: dict[int, Message] = {}
        for receipt, candidate in pairs:
            message = candidate.message
            kept = self._history(rows, receipt, candidate, now)
            state = _PART_STATE.get(receipt.state) if receipt.final else None
            if state is None or not kept:
                continue
            candidate.state = state
            siblings = parts.setdefault(message.id, {})
            siblings[candidate.attempt, candidate.part] = state
            error = encode_json(error_of(receipt.error)).decode() if receipt.error else None
            part = (message.id, candidate.attempt, candidate.part)
            rows.settle_parts[part] = (*part, int(state), error, now)
            if self._raise(rows, message, receipt, candidate, siblings, now) or candidate.total > 1:
                # also when nothing moves: two nodes that each settle one of two parts must not both miss that all are
                moved[message.id] = message
        for message in moved.values():
            rows.settle.append(
                (message.id, int(message.state), message.error, message.final_at, message.money, message.version)
            )

    async def _parts_of(self, messages: Sequence[Message]) -> dict[int, dict[tuple[int, int], PartState]]:
        found: defaultdict[int, dict[tuple[int, int], PartState]] = defaultdict(dict)
        if messages:
            ids = list({message.id for message in messages})
            for message_id, attempt, part, state in await self._house.rt.store.read(store.PARTS_OF({"ids": ids})):
                found[message_id][attempt, part] = PartState(state)
        return found

    def _raise(
        self,
        rows: Rows,
        message: Message,
        receipt: Receipt,
        candidate: Candidate,
        siblings: dict[tuple[int, int], PartState],
        now: int,
    ) -> bool:
        """Move the message if its parts now say so and its rank rises."""
        mine = [state for (attempt, _), state in siblings.items() if attempt == candidate.attempt]
        new = state_of_parts(mine, candidate.total)
        if new is State.UNDELIVERED and receipt.state == "expired":
            new = State.EXPIRED
        if new is None or not may_become(message.state, new):
            return False
        if new is not State.DELIVERED and candidate.attempt != message.attempt:
            return False  # it was tried elsewhere since: the failure of an old attempt is no news
        rows.moves.settle(
            message,
            taken=True,
            delivered=new is State.DELIVERED,
            first=message.state in UNSENT,
            failed_before=message.state in FINAL,
        )
        message.state = new
        message.error = encode_json(error_of(receipt.error)).decode() if receipt.error else None
        message.final_at = now
        rows.events.append(update(self._house, message, new, receipt.done_at or now))
        return True

    def _history(self, rows: Rows, receipt: Receipt, candidate: Candidate, now: int) -> bool:
        """A line of history; False for a receipt that says what is known (suppliers repeat themselves)."""
        state = _PART_STATE.get(receipt.state) if receipt.final else None
        known = state is not None and candidate.state is state
        settled = candidate.state is PartState.DELIVERED
        said: dict[str, Any] = {
            "connector": self._house.connector_name(receipt.connector_id),
            "state": receipt.state,
            "provider_id": receipt.provider_id,
        }
        if receipt.error:
            said["error"] = error_of(receipt.error)
        if receipt.done_at:
            said["done_at"] = receipt.done_at
        if isinstance(receipt, Unparked):
            said["parked_since"] = receipt.received_at  # it came before its part was known
        if known:
            said["duplicate"] = True
        elif settled:
            said["ignored"] = "delivered before"
        rows.history.append(
            history.step(
                candidate.message.id,
                self._house.rt.ids.next(),
                now,
                history.RECEIPT,
                said,
                attempt=candidate.attempt,
                part=candidate.part,
                request=receipt.raw,
            )
        )
        return not known and not settled

    def _park(self, rows: Rows, receipt: Receipt, reason: str) -> None:
        if isinstance(receipt, Unparked):
            return  # it stays where it is
        kept = msgspec.to_builtins(receipt, builtin_types=(bytes,))
        kept.pop("raw")
        rows.park.append(
            (
                self._house.rt.ids.next(),
                receipt.connector_id,
                receipt.provider_key,
                receipt.received_at,
                reason,
                encode_json(kept).decode(),
                receipt.raw,
            )
        )

    def unparked(self, row: Row) -> Receipt:
        """A parked receipt that is to be matched again."""
        kept = msgspec.json.decode(row[5], type=Receipt)
        fields = {name: getattr(kept, name) for name in Receipt.__slots__}
        fields["raw"] = row[6]
        return Unparked(**fields, parked_id=row[0])


@dataclass(slots=True, eq=False)
class Unparked(Receipt):
    """A receipt that was parked and is tried again."""

    parked_id: int = 0


def candidate_of(row: Row, read: dict[int, Message]) -> Candidate:
    """A row of PARTS_BY_KEY or DOUBTFUL; parts of one message share its value, kept in `read` by id."""
    message = read.setdefault(row[6], store.message(row, 6))
    return Candidate(row[1], row[2], row[3], PartState(row[4]), row[5], message)


def choose(receipt: Receipt, candidates: Sequence[Candidate]) -> Candidate | None:
    """The part that a receipt speaks of: same number, sent before it, the latest of those; None if none fits."""
    fitting = [
        candidate
        for candidate in candidates
        if same_number(receipt.destination, candidate.message.recipient)
        and candidate.sent_at - CLOCK_SKEW_MS <= receipt.received_at <= candidate.sent_at + OLDEST_MS
    ]
    return max(fitting, key=lambda candidate: candidate.sent_at, default=None)


def same_number(told: str, recipient: str) -> bool:
    """Whether a supplier's spelling of a number can mean `recipient`; some do not repeat it at all."""
    digits = told.lstrip("+0")
    if not digits:
        return True
    return recipient[1:] == digits or (len(digits) >= _SUFFIX and recipient.endswith(digits[-_SUFFIX:]))
