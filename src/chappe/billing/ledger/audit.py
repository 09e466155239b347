"""The audit: that every message's money is accounted for and the books balance, also while they move.

Nothing is locked and no read lasts long. What can no longer move is added up slice by slice: entries older than two
minutes, which are never changed, and messages, of which it is remembered what each slice came to. All that may move is
then read in one statement, hence at one moment: the balance, the young entries, the messages of slices in which money
is held. Where the sums differ, the other slices are read again. If one has changed, it counts among those that move,
and the comparison is made anew; if none has, all figures are of one moment, and the difference is real.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from chappe import ids
from chappe.billing.ledger import audit_store as store
from chappe.billing.ledger.model import WORDS, decimal, state_of
from chappe.billing.ledger.store import BOOKS
from chappe.storage import Op, Statement, Store, Unavailable

SLICE: Final = 20_000  # rows in one read, some 50 ms
YOUNG_MS: Final = 120_000  # an entry is committed within a minute of its id
ROUNDS: Final = 8  # of comparing what moves
SPANS: Final = 100  # that one statement takes for one account's messages
SHOWN: Final = 20
_DAY_MS: Final = 86_400_000
_FOREVER: Final = 1 << 40

Tell = Callable[[int], None]
ResellerOf = Callable[[int], int | None]

_ENTRIES: Final = "Look at its newest entries (`chappe ledger entries`) and at who wrote to the database beside Chappe."
_MESSAGE: Final = "Look at one of them: `chappe messages explain`. Money of a message is moved with its state only."
_AGAIN: Final = "Run the audit of this account again in a quieter hour."


@dataclass(frozen=True, slots=True)
class Difference:
    """Something that does not agree: whose, a stable code, what in plain words, and what to do."""

    account_id: int
    code: str
    words: str
    action: str


@dataclass(slots=True)
class Report:
    """What was looked at, what all books come to by currency, and the first differences of `found`."""

    accounts: int = 0
    messages: int = 0
    entries: int = 0
    seconds: float = 0.0
    books: dict[str, dict[str, int]] = field(default_factory=dict)
    differences: list[Difference] = field(default_factory=list)
    found: int = 0

    @property
    def balanced(self) -> bool:
        return self.found == 0

    def add(self, differences: Iterator[Difference] | list[Difference]) -> None:
        for one in differences:
            self.found += 1
            if len(self.differences) < SHOWN:
                self.differences.append(one)


async def audit(
    engine: Store,
    *,
    now: Callable[[], int],
    final: Collection[int],
    reseller_of: ResellerOf,
    only: Collection[int] | None = None,
    tell: Tell = lambda _messages: None,
) -> Report:
    """Audit all accounts, or `only` some. `final`: the states of messages (as stored) behind which no money is held;
    `tell` hears how many messages have been read. Raises Unavailable."""
    began = time.monotonic()
    report = Report()
    accounts = await _accounts(engine)
    customers: defaultdict[int, list[int]] = defaultdict(list)
    for account_id in accounts:
        if (reseller := reseller_of(account_id)) is not None:
            customers[reseller].append(account_id)
    for account_id in accounts:
        if only is None or account_id in only:
            one = _Account(engine, report, account_id, customers[account_id], now, final, tell)
            await one.audit()
            report.accounts += 1
    if only is None:
        report.add(await _gaps(engine))
    report.seconds = time.monotonic() - began
    return report


async def _accounts(engine: Store) -> list[int]:
    """Everybody with messages, entries or a balance, also those that nobody knows any more."""
    found: set[int] = set()
    for statement in store.NEXT_ACCOUNT.values():
        account_id: int | None = -1
        while account_id is not None:
            [(account_id,)] = await engine.scan(statement({"after": account_id}))
            if account_id is not None:
                found.add(account_id)
    return sorted(found)


async def _gaps(engine: Store) -> list[Difference]:
    """Numbers of invoices and credit notes that nothing bears."""
    return [
        Difference(
            seller_id,
            "series_gap",
            f"The series {series} of invoices has come to number {last:,}, and {count:,} papers bear one of it.",
            "Look for what was deleted from invoices or credit_notes: their numbers must have no gaps.",
        )
        for seller_id, series, last, count in await engine.scan(store.SERIES())
        if count != last
    ]


class _Slice(NamedTuple):
    """Messages of one account after an id and up to another, as `audit_store.slices` adds them up."""

    after: int
    upto: int
    sums: tuple[int, ...]  # count, held, charged, held and charged of the reseller, holding

    @property
    def moves(self) -> bool:
        return self.upto == store.END or self.sums[5] > 0


@dataclass(slots=True)
class _Part:
    """Messages that an account pays for: its own, or as the reseller of a customer."""

    account_id: int
    upstream: bool
    slices: list[_Slice] = field(default_factory=list)
    moving: set[int] = field(default_factory=set)  # by what a slice begins after

    def spans(self) -> list[tuple[int, int]]:
        """Those that may move, and with them as many others as make them few."""
        moving = [(one.after, one.upto) for one in self.slices if one.moves or one.after in self.moving]
        return store.merged(moving, SPANS)

    def still(self) -> Iterator[int]:
        """The places of the others."""
        spans = self.spans()
        for place, one in enumerate(self.slices):
            if not any(after <= one.after and one.upto <= upto for after, upto in spans):
                yield place


@dataclass(slots=True)
class _Entries:
    """The old entries of an account."""

    upto: int
    wallet: int = 0
    held: int = 0
    settled: int = 0
    first: int | None = None
    days: defaultdict[tuple[str, int, str], int] = field(default_factory=lambda: defaultdict(int))


@dataclass(frozen=True, slots=True)
class _Moment:
    """What moves, at one moment."""

    balance: tuple[int, int] | None
    forgotten: int
    wallet: int
    held: int
    settled: int
    messages_held: int
    messages_charged: int


class _Account:
    def __init__(
        self,
        engine: Store,
        report: Report,
        account_id: int,
        customers: list[int],
        now: Callable[[], int],
        final: Collection[int],
        tell: Tell,
    ) -> None:
        self._store = engine
        self._report = report
        self._id = account_id
        self._parts = [_Part(account_id, False), *(_Part(one, True) for one in customers)]
        self._now = now
        self._slices, self._wrong = store.slices(final), store.wrong(final)
        self._tell = tell
        self._currency: str | None = None
        self._old = _Entries(ids.at(now() - YOUNG_MS))

    async def audit(self) -> None:
        rows = await self._store.scan(store.BALANCE({"account_id": self._id}))
        self._currency = rows[0][0] if rows else None
        await self._read_entries()
        for part in self._parts:
            await self._read_messages(part)
        self._report.add(await self._compare_messages())
        self._report.add(await self._compare_usage())

    def _differs(self, code: str, words: str, action: str) -> Difference:
        return Difference(self._id, code, words, action)

    def _money(self, micros: int, currency: str | None = None) -> str:
        return f"{decimal(micros)} {currency or self._currency or '(no currency)'}"

    # -- entries ------------------------------------------------------------------------------------------------------

    async def _read_entries(self) -> None:
        """Add up the old ones; look at the young ones too, which are added up again later."""
        after, upto = 0, self._old.upto
        unbalanced, strange = 0, 0
        while True:
            rows = await self._store.scan(self._slice(store.ENTRIES, self._id, after, upto))
            for day, kind, currency, count, _last, crooked, *books in rows:
                self._report.entries += count
                unbalanced += crooked
                strange += count if kind != "cost" and currency != self._currency else 0
                totals = self._report.books.setdefault(currency, dict.fromkeys(BOOKS, 0))
                for name, amount in zip(BOOKS, books, strict=True):
                    totals[name] += amount
                if upto != store.END:
                    self._add_old(day, kind, currency, dict(zip(BOOKS, books, strict=True)))
            if sum(row[3] for row in rows) == SLICE:
                after = max(row[4] for row in rows)
            elif upto != store.END:
                after, upto = upto, store.END
            else:
                break
        if unbalanced:
            words = f"{unbalanced:,} entries do not balance: the sum of their books is not zero."
            self._report.add([self._differs("entry_unbalanced", words, _ENTRIES)])
        if strange:
            words = f"{strange:,} entries are of another currency than the account's {self._currency}."
            self._report.add([self._differs("entry_currency", words, _ENTRIES)])

    def _add_old(self, day: int, kind: str, currency: str, books: dict[str, int]) -> None:
        old = self._old
        old.wallet += books["wallet"]
        old.held += books["held"]
        old.first = day if old.first is None else min(old.first, day)
        if kind == "settle":
            old.settled += books["revenue"]
            old.days["charged", day, currency] += books["revenue"]
        elif kind == "cost":
            old.days["cost", day, currency] += books["payable"]

    # -- messages -----------------------------------------------------------------------------------------------------

    async def _read_messages(self, part: _Part) -> None:
        after = 0
        while True:
            row, last, unbilled = await self._sums(part, after, store.END, SLICE)
            count = row[0]
            upto = store.END if count < SLICE else last
            part.slices.append(_Slice(after, upto, row[:6]))
            if not part.upstream:
                self._report.messages += count
                self._tell(self._report.messages)
                if row[6] or row[7]:
                    await self._name_wrong(after, upto)
                if unbilled:
                    await self._name_unbilled(unbilled)
            if upto == store.END:
                return
            after = last

    async def _sums(self, part: _Part, after: int, upto: int, limit: int) -> tuple[tuple[int, ...], int, int | None]:
        [row] = await self._store.scan(self._slice(self._slices, part.account_id, after, upto, limit))
        count, last, *sums, unbilled = row
        return (count, *sums), last, unbilled

    async def _name_wrong(self, after: int, upto: int) -> None:
        for number, _state, money in await self._store.scan(self._slice(self._wrong, self._id, after, upto, SHOWN)):
            name = ids.public("msg", number)
            if state_of(money) == 1:
                words = f"{name} has come to its end, and its money is still held."
                self._report.add([self._differs("held_for_ever", words, _MESSAGE)])
            else:
                words = f"{name} is on its way and has a price, but its money is {WORDS[state_of(money)]}."
                self._report.add([self._differs("not_held", words, _MESSAGE)])

    async def _name_unbilled(self, last: int) -> None:
        """Messages from before an account had terms cost nothing; those that came later should."""
        rows = await self._store.scan(store.FIRST_ENTRY({"account_id": self._id}))
        first = rows[0][0]
        if self._currency is not None and first is not None and ids.millis(last) > ids.millis(first) + YOUNG_MS:
            words = f"{ids.public('msg', last)} is on its way and has no price, though the account is billed."
            self._report.add([self._differs("not_priced", words, _MESSAGE)])

    async def _compare_messages(self) -> list[Difference]:
        """The balance against the entries, and the messages against both."""
        for _ in range(ROUNDS):
            try:
                moment = await self._moment()
            except Unavailable as error:
                words = f"Its messages that hold money could not be read at one moment: {error.reason}."
                return [self._differs("undecided", words, _AGAIN)]
            found = list(self._faults(moment))
            if not found or not await self._moved():
                return found
        words = "Its money moved all the time while it was looked at, and did not agree."
        return [self._differs("undecided", words, _AGAIN)]

    async def _moment(self) -> _Moment:
        spans = [(part.account_id, *span, part.upstream) for part in self._parts for span in part.spans()]
        rows = await self._store.scan(store.at_once(spans)({"account_id": self._id, "after": self._old.upto}))
        found = {what: amounts for what, *amounts in rows}
        balance = found.get("balance")
        held, charged = found["messages"][:2]
        for part in self._parts:
            for place in part.still():
                sums = part.slices[place].sums
                held += sums[3 if part.upstream else 1]
                charged += sums[4 if part.upstream else 2]
        return _Moment(
            balance=None if balance is None else (balance[0], balance[1]),
            forgotten=found.get("forgotten", (0,))[0],
            wallet=self._old.wallet + found["entries"][0],
            held=self._old.held + found["entries"][1],
            settled=self._old.settled + found["entries"][2],
            messages_held=held,
            messages_charged=charged,
        )

    def _faults(self, at: _Moment) -> Iterator[Difference]:
        money = self._money
        wallet, held = at.balance or (0, 0)
        if at.balance is None and (at.wallet or at.held):
            yield self._differs("no_balance", "There are entries of its money, but no balance.", _ENTRIES)
        elif (wallet, held) != (at.wallet, at.held):
            words = (
                f"Its balance says {money(wallet)} and {money(held)} held, "
                f"its entries come to {money(at.wallet)} and {money(at.held)} held."
            )
            yield self._differs("balance_differs", words, _ENTRIES)
        if at.messages_held != held:
            words = f"Its balance says that {money(held)} are held, its messages hold {money(at.messages_held)}."
            yield self._differs("held_differs", words, _ENTRIES)
        if at.messages_charged + at.forgotten != at.settled:
            deleted = f", and {money(at.forgotten)} were for deleted ones" if at.forgotten else ""
            words = (
                f"Its messages were charged {money(at.messages_charged)}{deleted}, "
                f"but {money(at.settled)} are booked for them."
            )
            yield self._differs("charged_differs", words, _ENTRIES)

    async def _moved(self) -> bool:
        """Whether messages have changed that were thought to lie still: they count among the others from now on."""
        moved = False
        for part in self._parts:
            for place in list(part.still()):
                known = part.slices[place]
                sums, _, _ = await self._sums(part, known.after, known.upto, _FOREVER)
                if sums[:6] != known.sums:
                    part.slices[place] = known._replace(sums=sums[:6])
                    part.moving.add(known.after)
                    moved = True
        return moved

    # -- usage --------------------------------------------------------------------------------------------------------

    async def _compare_usage(self) -> list[Difference]:
        """What reports and invoices are made of, against what was booked, day by day."""
        today = self._now() // _DAY_MS
        [(first,)] = await self._store.scan(store.FIRST_DAY())
        days = list(range(min(first or today, self._old.first or today), today + 2))
        params = {"account_id": self._id, "days": days, "after": self._old.upto}
        booked: defaultdict[tuple[str, int, str], int] = defaultdict(int, self._old.days)
        used: defaultdict[tuple[str, int, str], int] = defaultdict(int)
        for what, day, currency, cost_currency, one, other in await self._store.scan(store.USAGE(params)):
            if what == "used":
                used["charged", day, currency] += one
                used["cost", day, cost_currency] += other
            elif what == "settle":
                booked["charged", day, currency] += one
            else:
                booked["cost", day, currency] += other
        return [
            self._differs(
                "usage_differs",
                f"On {_date(day)} its usage counts {self._money(used[what, day, currency], currency)} {what}, "
                f"and {self._money(booked[what, day, currency], currency)} are booked.",
                "Reports and invoices of that day are made of usage: do not close its month before it is understood.",
            )
            for what, day, currency in sorted(used.keys() | booked.keys())
            if used[what, day, currency] != booked[what, day, currency]
        ]

    def _slice(self, statement: Statement, account_id: int, after: int, upto: int, limit: int = SLICE) -> Op:
        return statement({"account_id": account_id, "after": after, "upto": upto, "limit": limit})


def _date(day: int) -> str:
    return time.strftime("%Y-%m-%d", time.gmtime(day * 86_400))


def plain(report: Report) -> dict[str, Any]:
    """The report as JSON says it: amounts are decimals, accounts public ids."""
    return {
        "balanced": report.balanced,
        "accounts": report.accounts,
        "messages": report.messages,
        "entries": report.entries,
        "seconds": round(report.seconds, 3),
        "books": {
            currency: {name: decimal(amount) for name, amount in books.items()}
            for currency, books in sorted(report.books.items())
        },
        "found": report.found,
        "differences": [
            {
                "account_id": ids.public("acc", one.account_id),
                "code": one.code,
                "message": one.words,
                "action": one.action,
            }
            for one in report.differences
        ],
    }
