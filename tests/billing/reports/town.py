"""A small town of accounts that top up, send, are charged and given back: written by the statements of the store, and
by nothing of the pipeline, so that what it comes to is known from somewhere else."""

from __future__ import annotations

import itertools
import time
from dataclasses import dataclass, field
from typing import Any

from chappe import ids
from chappe.billing.ledger import store as ledger
from chappe.billing.ledger.model import CHARGED, COST_BOOKED, GIVEN_BACK, HELD
from chappe.messages import store as rows
from chappe.messages.model import FINAL, State
from chappe.storage import Op, Store, delete_many, insert_many, update_many

DAY_MS = 86_400_000
HOUR_MS = 3_600_000
_ADD = insert_many(rows.messages)
_CHANGE = update_many(rows.messages, ("id",), ("state", "money"))
_DELETE = delete_many(rows.messages, ("id",))
STATES = tuple(int(state) for state in FINAL)


def now() -> int:
    return time.time_ns() // 1_000_000


@dataclass
class Sent:
    """A message of the town."""

    id: int
    account_id: int
    price: int | None
    upstream: int | None
    cost: int | None
    money: int
    connector_id: int
    tags: tuple[str, ...]
    where: tuple[str, str]  # country and operator


@dataclass
class Town:
    """`ago` is how long ago things happen, in milliseconds."""

    store: Store
    ago: int = HOUR_MS
    currency: dict[int, str] = field(default_factory=dict)
    resellers: dict[int, int] = field(default_factory=dict)
    _count: Any = field(default_factory=lambda: itertools.count(1))

    def id(self) -> int:
        return ids.at(now() - self.ago) + next(self._count)

    def reseller_of(self, account_id: int) -> int | None:
        return self.resellers.get(account_id)

    # -- ops ----------------------------------------------------------------------------------------------------------

    def entry(self, account_id: int, kind: str, *, count: int = 0, currency: str = "", **books: int) -> Op:
        amounts = [books.get(name, 0) for name in ledger.BOOKS]
        told = currency or self.currency[account_id]
        return ledger.ADD_ENTRIES([(self.id(), account_id, told, kind, count, *amounts, None)], expect=1)

    def move(self, account_id: int, wallet: int, held: int) -> Op:
        return ledger.MOVE([(account_id, wallet, held)], expect=1)

    def news(self, sent: Sent, account_id: int, counts: tuple[int, ...], tag: str = "") -> Op:
        number = self.id()
        where: tuple[Any, ...] = (*sent.where, sent.connector_id, 3, "Acme", "otp")
        if tag:
            where = ("", "", 0, 0, "", "")
        billed = "" if sent.price is None else self.currency[account_id]
        money = (billed, "" if sent.cost is None else "USD")
        day = ids.millis(number) // DAY_MS
        return ledger.ADD_USAGE_NEWS([(number, day, account_id, tag, *where, *money, *counts)])

    # -- deeds --------------------------------------------------------------------------------------------------------

    async def open(self, account_id: int, currency: str = "EUR", *, credit: int = 0, reseller: int = 0) -> None:
        self.currency[account_id] = currency
        if reseller:
            self.resellers[account_id] = reseller
        await self.store.write(ledger.OPEN_BALANCE([(account_id, currency, 0, 0, credit)]))

    async def top_up(self, account_id: int, amount: int) -> None:
        await self.store.write(
            self.entry(account_id, "top_up", wallet=amount, bank=-amount), self.move(account_id, amount, 0)
        )

    def payers(self, sent: Sent) -> list[tuple[int, int]]:
        found = [] if sent.price is None else [(sent.account_id, sent.price)]
        if sent.upstream is not None:
            found.append((self.resellers[sent.account_id], sent.upstream))
        return found

    async def accept(
        self,
        account_id: int,
        price: int | None,
        *,
        upstream: int | None = None,
        cost: int | None = None,
        connector_id: int = 7,
        tags: tuple[str, ...] = (),
        where: tuple[str, str] = ("FR", "20801"),
        test: bool = False,
    ) -> Sent:
        money = 0 if price is None else HELD
        sent = Sent(self.id(), account_id, price, upstream, cost, money, connector_id, tags, where)
        values: dict[str, Any] = {column.name: None for column in rows.messages.columns}
        values |= {"id": sent.id, "account_id": account_id, "test": int(test), "state": int(State.QUEUED)}
        values |= {"version": 0, "purpose": "otp", "lane": 0, "recipient": "+33612345678", "sender": "Acme"}
        values |= {"encoding": "gsm7", "segments": 1, "origin": "api", "receipts": 0, "expires_at": 1 << 42}
        values |= {"connector_id": connector_id, "attempt": 1, "country": where[0], "operator": where[1]}
        values |= {"price": price, "upstream": upstream, "cost": cost, "money": money}
        ops = [_ADD([tuple(values.values())], expect=1)]
        if not test:
            for payer, amount in self.payers(sent):
                ops += [self.entry(payer, "hold", count=1, wallet=-amount, held=amount)]
                ops += [self.move(payer, -amount, amount)]
        await self.store.write(*ops)
        return sent

    async def settle(self, sent: Sent, *, delivered: bool = True, without: str = "") -> None:
        """It is delivered and charged, or has failed and its money goes back; `without` leaves one thing out."""
        before, after = sent.money, CHARGED if delivered else GIVEN_BACK
        ops: list[Op] = []
        for payer, amount in self.payers(sent):
            held = amount if before == HELD else 0
            paid = amount if delivered else 0
            ops.append(self.entry(payer, "settle", count=1, wallet=held - paid, held=-held, revenue=paid))
            ops.append(self.move(payer, held - paid, -held))
        cost = (sent.cost or 0) if delivered else 0
        buyer = self.resellers.get(sent.account_id, sent.account_id)
        if cost:
            ops.append(self.entry(buyer, "cost", count=1, currency="USD", cost=-cost, payable=cost))
        counts = (1, 1, int(delivered), int(not delivered))
        price = (sent.price or 0) if delivered else 0
        if without != "usage":
            own = (*counts, price, cost if buyer == sent.account_id else 0)
            ops.append(self.news(sent, sent.account_id, own))
            ops += [self.news(sent, sent.account_id, own, tag) for tag in sent.tags]
            if buyer != sent.account_id:
                ops.append(self.news(sent, buyer, (*counts, (sent.upstream or 0) if delivered else 0, cost)))
        sent.money = 0 if sent.price is None else after
        state = State.DELIVERED if delivered else State.FAILED
        bits = sent.money | (COST_BOOKED if cost else 0)
        if without != "message":
            ops.append(_CHANGE([(sent.id, int(state), bits)], expect=1))
        await self.store.write(*ops)

    async def state(self, sent: Sent, state: State, money: int) -> None:
        await self.store.write(_CHANGE([(sent.id, int(state), money)], expect=1))

    async def forget(self, sent: Sent, *, book: bool = True) -> None:
        """Retention deletes it."""
        ops = [_DELETE([(sent.id,)], expect=1)]
        if book and sent.money == CHARGED:
            ops += [ledger.FORGET({"account_id": payer, "charged": amount}) for payer, amount in self.payers(sent)]
        await self.store.write(*ops)
