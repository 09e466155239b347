"""Looking a number up: layer after layer, the cheapest first as the operator has ordered them, until all is known that
was asked for.

What an earlier source said is kept; the next one is asked only for numbers that still lack something it gives. A
look-up never fails because of a source: what nobody could tell stays unknown.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import msgspec

from chappe.lookups import store
from chappe.lookups.asking import Asker
from chappe.lookups.cache import BySource, Cache, Learned
from chappe.lookups.kinds import Local, open_local, open_remote
from chappe.lookups.model import Findings, Told
from chappe.lookups.owndata import OwnData
from chappe.lookups.report import FIELDS, Asked, Evidence, Fault, Field, Report, still_good
from chappe.lookups.sources import Source, in_order
from chappe.numbers import Number, NumberError, parse
from chappe.storage import Op

if TYPE_CHECKING:
    from chappe.runtime import Runtime

MOST_AT_ONCE: Final = 1_000
_YIELD_EVERY: Final = 500  # numbers between which others get their turn


@dataclass(frozen=True, slots=True)
class Line:
    """A source at work: one of the two is there."""

    source: Source
    local: Local | None = None
    asker: Asker | None = None


@dataclass(slots=True)
class Question:
    """A number that is looked up, what is known of it so far, and which fields a source need not be asked for."""

    number: Number
    report: Report
    settled: dict[int, Collection[Field]] = field(default_factory=dict)

    def lacks(self, source: Source, fields: Iterable[Field]) -> set[Field]:
        """What this source could still add."""
        if not source.covers(self.number.country):
            return set()
        return (self.report.missing(fields) & set(source.gives)).difference(self.settled.get(source.id, ()))


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a look-up would cost, in micro-units by currency: at least (each source asked knows all that it gives) and
    at most (each leaves something to the next). `invalid` numbers cannot exist, `known` ones need no question."""

    numbers: int
    invalid: int
    known: int
    least: Mapping[str, int]
    most: Mapping[str, int]


class Chain:
    """The look-ups of a process. `problems` says, by name, which sources cannot be used and why."""

    def __init__(self, rt: Runtime) -> None:
        self.cache = Cache(rt)
        self.data = OwnData(rt)
        self.lines: tuple[Line, ...] = ()
        self.declared: dict[int, Source] = {}
        self.problems: dict[str, str] = {}
        self._rt = rt
        self._closing: set[asyncio.Task[None]] = set()
        self._asking: set[asyncio.Task[None]] = set()

    def follow(self, declared: Sequence[Source]) -> None:
        """Work with these sources from now on; what is unchanged goes on as it is, with its questions on their way."""
        self.declared = {source.id: source for source in declared}
        self.problems = {}
        before = {line.source.id: line for line in self.lines}
        self.lines = tuple(
            line for source in in_order(declared) if (line := _same(before, source) or self._open(source)) is not None
        )
        for line in before.values():
            if line.asker is not None and not any(line is kept for kept in self.lines):
                task = asyncio.get_running_loop().create_task(line.asker.close())
                self._closing.add(task)
                task.add_done_callback(self._closing.discard)

    def asker(self, source_id: int) -> Asker | None:
        """That of a source which is asked, None for others."""
        return next((line.asker for line in self.lines if line.source.id == source_id), None)

    async def close(self) -> None:
        """Whoever still waits is told that nothing came; what has come is written down. Before the store is closed."""
        await asyncio.gather(*(line.asker.close() for line in self.lines if line.asker is not None), *self._closing)
        await asyncio.gather(*self._asking, return_exceptions=True)

    async def look(
        self,
        given: Sequence[str],
        fields: Collection[Field] = FIELDS,
        *,
        account_id: int,
        job_id: int = 0,
        country: str | None = None,
        max_age_s: int | None = None,
        test: bool = False,
    ) -> list[Report]:
        """A report for each number, in their order; at most `MOST_AT_ONCE`.

        Numbers are E.164, or with `country` (ISO) as dialled there. `max_age_s` bounds the age of answers that are used
        again, 0 asks anew. What is asked is charged to the account. `test` asks nobody outside. Raises Unavailable.
        """
        assert len(given) <= MOST_AT_ONCE
        reports, questions = _read(given, country)
        known = await self._first(questions, fields, max_age_s=max_age_s, test=test)
        if not test:
            # whoever asked may go: what is paid for is remembered all the same
            asking = asyncio.create_task(self._ask(questions, fields, known, account_id, job_id))
            self._asking.add(asking)
            asking.add_done_callback(self._asking.discard)
            await asyncio.shield(asking)
        return _each(given, reports)

    async def estimate(
        self,
        given: Sequence[str],
        fields: Collection[Field] = FIELDS,
        *,
        country: str | None = None,
        max_age_s: int | None = None,
        test: bool = False,
    ) -> Estimate:
        """What `look` would cost now, for any number of numbers. Raises Unavailable."""
        least: dict[str, int] = {}
        most: dict[str, int] = {}
        seen: set[str] = set()
        invalid = asked = 0
        for start in range(0, len(given), _YIELD_EVERY):
            part = given[start : start + _YIELD_EVERY]
            reports, questions = _read(part, country)
            await self._first(questions, fields, max_age_s=max_age_s, test=test)
            invalid += sum(reports[one].valid is False for one in part)
            for question in questions.values():
                lines = [] if test else [line for line in self._remote() if question.lacks(line.source, fields)]
                if question.number.digits in seen or not lines:
                    continue
                seen.add(question.number.digits)
                asked += 1
                missing = question.report.missing(fields)
                for line in lines:
                    _add(most, line.source)
                    if not missing.isdisjoint(line.source.gives):
                        _add(least, line.source)
                        missing -= set(line.source.gives)
            await asyncio.sleep(0)
        return Estimate(len(given), invalid, len(given) - invalid - asked, least, most)

    # -- steps -----------------------------------------------------------------------------------------------------

    def _remote(self) -> Iterator[Line]:
        return (line for line in self.lines if line.asker is not None)

    def _open(self, source: Source) -> Line | None:
        try:
            if source.local:
                return Line(source, local=open_local(self.data, source))
            remote = open_remote(self._rt, source)
            return Line(source, asker=Asker(source.name, remote, source.concurrency, self._rt.clock, self._rt.log))
        except ValueError as error:  # credentials that another secret key has sealed, settings of another version
            self.problems[source.name] = str(error)
            self._rt.log.warning("a look-up source cannot be used", source=source.name, reason=str(error))
            return None

    async def _first(
        self, questions: dict[str, Question], fields: Collection[Field], *, max_age_s: int | None, test: bool
    ) -> dict[str, BySource]:
        """What this machine's data and earlier answers tell, in the order of the sources; what was kept."""
        now = self._rt.clock.now()
        kept: dict[str, BySource] | None = {} if test or max_age_s == 0 or not any(self._remote()) else None
        for line in self.lines:
            if kept is None and line.source.kind != "plan":
                open_ = [digits for digits, question in questions.items() if question.report.missing(fields)]
                kept = await self.cache.known(open_)
            for digits, question in questions.items():
                if not question.lacks(line.source, fields):
                    continue
                if line.local is not None:
                    if (found := line.local(question.number)) is not None:
                        question.report.take(found, Evidence(line.source.name, now))
                elif kept and (before := kept.get(digits, {}).get(line.source.id)) is not None:
                    age_s = (now - before.learned_at) / 1000
                    if max_age_s is not None and age_s > max_age_s:
                        continue
                    again, question.settled[line.source.id] = still_good(before.findings, age_s, line.source.cache)
                    if again is not None:
                        question.report.take(again, Evidence(line.source.name, before.learned_at, cached=True))
        return kept or {}

    async def _ask(
        self,
        questions: dict[str, Question],
        fields: Collection[Field],
        known: dict[str, BySource],
        account_id: int,
        job_id: int,
    ) -> None:
        """Ask the others in turn, remember what they say, and charge for it in the same unit."""
        learned: list[Learned] = []
        bill: dict[tuple[int, str], list[int]] = {}
        async with AsyncExitStack() as until_written:
            for line in list(self._remote()):
                assert line.asker is not None
                open_ = [digits for digits, question in questions.items() if question.lacks(line.source, fields)]
                if not open_:
                    continue
                answers = await until_written.enter_async_context(line.asker.ask(open_))
                at = self._rt.clock.now()
                for digits in open_:
                    told, ours = answers[digits]
                    cost, currency = _price(line.source, told) if ours else (0, "")
                    report = questions[digits].report
                    report.asked.append(Asked(line.source.name, told.outcome, told.reason, cost, currency))
                    if told.findings is not None:
                        report.take(told.findings, Evidence(line.source.name, at, False, cost, currency))
                    if ours:
                        learned.append(Learned(digits, line.source, told, at))
                        entry = bill.setdefault((line.source.id, currency), [0, 0])
                        entry[0] += told.outcome == "answer"
                        entry[1] += cost
            ops = [*self.cache.keep(learned), *self._charge(bill, account_id, job_id)]
            if ops:
                await self._rt.store.write(*ops)
                self.cache.learned(learned, known)

    def _charge(self, bill: dict[tuple[int, str], list[int]], account_id: int, job_id: int) -> Iterator[Op]:
        day = datetime.fromtimestamp(self._rt.clock.now() / 1000, UTC).date().isoformat()
        for (source_id, currency), (lookups, cost) in sorted(bill.items()):
            if lookups:
                yield store.CHARGE(
                    {
                        "account_id": account_id,
                        "day": day,
                        "source_id": source_id,
                        "job_id": job_id,
                        "currency": currency,
                        "lookups": lookups,
                        "cost_micros": cost,
                    }
                )


def _same(running: dict[int, Line], source: Source) -> Line | None:
    """What works with this very source; one's own data is opened anew, for its files may be others now."""
    line = running.get(source.id)
    return line if line is not None and line.asker is not None and line.source == source else None


def _read(given: Sequence[str], country: str | None) -> tuple[dict[str, Report], dict[str, Question]]:
    """A report for each way in which a number was written, and a question for each number that may exist."""
    reports: dict[str, Report] = {}
    questions: dict[str, Question] = {}
    for text in given:
        if text in reports:
            continue
        try:
            number = parse(text, country)
        except NumberError as error:
            reports[text] = Report(given=text, valid=False, fault=Fault(error.code, error.message))
            continue
        question = questions.get(number.digits)
        if question is None:
            report = Report(given=text, number=number.e164, country=number.country)
            question = questions[number.digits] = Question(number, report)
        reports[text] = question.report
    return reports, questions


def _each(given: Sequence[str], reports: dict[str, Report]) -> list[Report]:
    """The reports in the order of the numbers; a number that came before was not asked for again."""
    seen: set[int] = set()
    found: list[Report] = []
    for text in given:
        report = reports[text]
        if id(report) in seen:
            report = msgspec.structs.replace(report, given=text, asked=[])
        seen.add(id(report))
        found.append(report)
    return found


def _price(source: Source, told: Told) -> tuple[int, str]:
    if told.outcome != "answer":
        return 0, source.currency
    said: Findings | None = told.findings
    if said is not None and said.cost_micros is not None:
        return said.cost_micros, said.currency or source.currency
    return source.cost_micros, source.currency


def _add(total: dict[str, int], source: Source) -> None:
    total[source.currency] = total.get(source.currency, 0) + source.cost_micros


__all__ = ["MOST_AT_ONCE", "Chain", "Estimate", "Line"]
