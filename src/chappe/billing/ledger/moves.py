"""What one unit of messages moves: one ledger entry for each account and kind, and the balances, last.

The pipeline calls `hold`, `settle` and `reprice` for message after message and adds `ops` to the unit that writes the
messages themselves, so that there is no moment at which books and messages differ. Whoever has already moved a message
is told by the version of its row: then the unit fails as a whole, and so does what it would have booked.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any, Protocol

import msgspec

from chappe.billing.ledger import model, store
from chappe.ids import Ids, millis
from chappe.storage import Op

_DAY_MS = 86_400_000
_tags_of = msgspec.json.Decoder(list[str]).decode


class Billed(Protocol):
    """A message, as far as money goes."""

    account_id: int
    test: int
    purpose: str
    sender: str
    segments: int
    connector_id: int
    tags: str | None
    country: str
    operator: str | None
    route_id: int | None
    price: int | None
    upstream: int | None
    cost: int | None
    cost_currency: str | None
    money: int


class Parties(Protocol):
    """Who pays in what: it never changes for an account."""

    def currency_of(self, account_id: int) -> str | None: ...

    def reseller_of(self, account_id: int) -> int | None: ...


def _day(id: int) -> int:
    return millis(id) // _DAY_MS


class _Sum:
    """What an account holds, gives back and pays in one unit."""

    __slots__ = ("charged", "held", "holds", "settled", "settles")

    def __init__(self) -> None:
        self.holds = self.held = 0  # messages, and what is newly held for them
        self.settles = self.settled = self.charged = 0  # messages, what was held for them, what they cost

    @property
    def wallet(self) -> int:
        return self.settled - self.charged - self.held


class Moves:
    """The money of one unit. `short` are the accounts whose wallet is empty: nothing that was given back to them is
    charged after all."""

    __slots__ = ("_before", "_costs", "_parties", "_short", "_sums", "_usage")

    def __init__(self, parties: Parties, short: Collection[int] = ()) -> None:
        self._parties = parties
        self._short = short
        self._sums: dict[int, _Sum] = {}
        self._costs: dict[tuple[int, str], list[int]] = {}
        self._usage: dict[tuple[Any, ...], list[int]] = {}
        self._before: list[tuple[Any, ...]] = []

    # -- message by message -----------------------------------------------------------------------------------------

    def hold(self, message: Billed) -> None:
        """It was accepted, and holds its price."""
        for account_id, amount in self.payers(message):
            total = self._sum(account_id)
            total.holds += 1
            total.held += amount

    def reprice(self, message: Billed, price: int | None, upstream: int | None) -> None:
        """It holds another price from now on."""
        if model.state_of(message.money) != model.HELD:
            return
        self.keep(message)
        before = dict(self.payers(message))
        message.price, message.upstream = price, upstream
        for account_id, amount in self.payers(message):
            self._sum(account_id).held += amount - before.get(account_id, 0)

    def settle(
        self,
        message: Billed,
        *,
        taken: bool,
        delivered: bool = False,
        final: bool = True,
        first: bool = False,
        failed_before: bool = False,
    ) -> None:
        """It has come so far (`model.settled`). `first`: it leaves those that no supplier has taken yet, and counts;
        `failed_before`: it was final, and not delivered."""
        if message.test:
            return
        before = message.money
        after = model.settled(before, taken=taken, delivered=delivered, final=final, costs=message.cost is not None)
        if self._short and model.state_of(before) == model.GIVEN_BACK and self._is_short(message):
            after |= model.GIVEN_BACK
        charged = cost = False
        if after != before:
            self.keep(message)
            message.money = after
            charged = self._charge(message, model.state_of(before), model.state_of(after))
            cost = bool(after & ~before & model.COST_BOOKED)
        if final or first or charged or cost:
            failed = int(final and not delivered) - int(failed_before)
            counts = (int(first), message.segments if first else 0, int(delivered), failed)
            self._count(message, counts, charged, cost)

    def keep(self, message: Billed) -> None:
        """Remember how it is, before something changes it that goes with this unit."""
        m = message
        self._before.append((m, m.money, m.price, m.upstream, m.cost, m.cost_currency, m.connector_id, m.route_id))

    def undo(self) -> None:
        """The unit has failed: the messages are as they were."""
        for m, *before in reversed(self._before):
            m.money, m.price, m.upstream, m.cost, m.cost_currency, m.connector_id, m.route_id = before
        self._before.clear()

    def payers(self, message: Billed) -> Iterable[tuple[int, int]]:
        """The accounts that pay for a message, and how much: its own, and its reseller."""
        if message.price is None or message.test:
            return
        yield message.account_id, message.price
        if message.upstream is not None and (reseller := self._reseller(message)) is not None:
            yield reseller, message.upstream

    def _is_short(self, message: Billed) -> bool:
        return any(account_id in self._short for account_id, _ in self.payers(message))

    def _reseller(self, message: Billed) -> int | None:
        return None if message.upstream is None else self._parties.reseller_of(message.account_id)

    def _charge(self, message: Billed, before: int, after: int) -> bool:
        if before == after:
            return False
        for account_id, amount in self.payers(message):
            total = self._sum(account_id)
            total.settles += 1
            if before == model.HELD:
                total.settled += amount
            if after == model.CHARGED:
                total.charged += amount
        return after == model.CHARGED

    # -- the unit ---------------------------------------------------------------------------------------------------

    def spent(self) -> Mapping[int, int]:
        """What leaves each wallet."""
        return {account_id: -total.wallet for account_id, total in self._sums.items() if total.wallet < 0}

    def ops(self, ids: Ids) -> list[Op]:
        """What to add to the unit, at its end. Conflict if a wallet would go below its limit."""
        ops = []
        entries = [*self._entries(ids), *self._cost_entries(ids)]
        while entries and _day(entries[0][0]) != _day(entries[-1][0]):  # it has struck midnight: one day for all
            entries = [*self._entries(ids), *self._cost_entries(ids)]
        if entries:
            ops.append(store.ADD_ENTRIES(entries))
        if self._usage:
            day = _day(entries[0][0] if entries else ids.next())
            ops.append(store.ADD_USAGE_NEWS([(ids.next(), day, *key, *counts) for key, counts in self._usage.items()]))
        moved, settled = [], []
        for account_id, total in sorted(self._sums.items()):
            held = total.held - total.settled
            if total.wallet:
                moved.append((account_id, total.wallet, held))
            elif held:
                settled.append((account_id, ids.node, held))
        if settled:
            ops.append(store.ADD_SETTLED(settled))
        if moved:  # last, in the order of accounts: no two units wait for each other, and others wait the least
            ops.append(store.MOVE(moved, expect=len(moved)))
        return ops

    def _entries(self, ids: Ids) -> Iterable[tuple[Any, ...]]:
        for account_id, total in self._sums.items():
            currency = self._parties.currency_of(account_id) or ""
            if total.held:
                wallet, held = -total.held, total.held
                yield ids.next(), account_id, currency, "hold", total.holds, wallet, held, 0, 0, 0, 0, 0, None
            if total.settled or total.charged:
                wallet, held, charged = total.settled - total.charged, -total.settled, total.charged
                yield ids.next(), account_id, currency, "settle", total.settles, wallet, held, charged, 0, 0, 0, 0, None

    def _cost_entries(self, ids: Ids) -> Iterable[tuple[Any, ...]]:
        for (account_id, currency), (count, cost) in self._costs.items():
            yield ids.next(), account_id, currency, "cost", count, 0, 0, 0, -cost, cost, 0, 0, None

    def _sum(self, account_id: int) -> _Sum:
        found = self._sums.get(account_id)
        if found is None:
            found = self._sums[account_id] = _Sum()
        return found

    def _count(self, m: Billed, counts: tuple[int, ...], charged: bool, costs: bool) -> None:
        """Into the use of the account, and of its reseller, which is the one that pays us: so the cost stands there."""
        reseller = self._reseller(m)
        cost = (m.cost or 0) if costs else 0
        if cost:
            booked = self._costs.setdefault((reseller or m.account_id, m.cost_currency or ""), [0, 0])
            booked[0] += 1
            booked[1] += cost
        self._use(m, m.account_id, m.price, counts, charged, 0 if reseller else cost)
        if reseller is not None:
            self._use(m, reseller, m.upstream, counts, charged, cost)

    def _use(
        self, m: Billed, account_id: int, price: int | None, counts: tuple[int, ...], charged: bool, cost: int
    ) -> None:
        currency = "" if price is None else self._parties.currency_of(account_id) or ""
        money = (currency, m.cost_currency or "")
        counts = (*counts, (price or 0) if charged else 0, cost)
        where = (m.country, m.operator or "", m.connector_id, m.route_id or 0, m.sender, m.purpose)
        self._add((account_id, "", *where, *money), counts)
        if m.tags and account_id == m.account_id:
            for tag in _tags_of(m.tags):
                self._add((account_id, tag, "", "", 0, 0, "", "", *money), counts)

    def _add(self, key: tuple[Any, ...], counts: tuple[int, ...]) -> None:
        found = self._usage.get(key)
        if found is None:
            self._usage[key] = list(counts)
        else:
            for place, count in enumerate(counts):
                found[place] += count
