"""Look-ups through real sources: a supplier's HTTP server on loopback, one's own files, both stores."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest
from aiohttp import web

from chappe import accounts, lookups
from chappe.accounts import Account, audit_entries
from chappe.clock import Clock, FakeClock
from chappe.errors import Refused
from chappe.lookups import CacheTimes, Findings, Report, Told, jobs, retention, store
from chappe.lookups.asking import BREAKER, Answer, Asker, Remote
from chappe.lookups.report import FIELDS, Evidence, still_good
from chappe.lookups.sources import changed, in_order
from chappe.lookups.upload import numbers_of_csv
from chappe.runtime import Runtime, open_runtime
from chappe.settings import Settings, Webhooks
from chappe.storage import core
from tests.support.eventually import eventually

FR = "+33612345678"
KEY = "sesame-42"
IMSI = "208011234567890"


class Supplier:
    """An HLR supplier's server. `answers` are by number; `delay_s` and `status` are for all."""

    def __init__(self) -> None:
        self.answers: dict[str, dict[str, Any]] = {}
        self.asked: list[str] = []
        self.delay_s = 0.0
        self.status = 200
        self.url = ""

    async def start(self) -> None:
        app = web.Application()
        app.router.add_get("/hlr/{number}", self._answer)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}/hlr/{{number}}?key={{secret.key}}"

    async def stop(self) -> None:
        await self._runner.cleanup()

    async def _answer(self, request: web.Request) -> web.Response:
        number = request.match_info["number"]
        self.asked.append(number)
        await asyncio.sleep(self.delay_s)
        if self.status != 200 or request.query["key"] != KEY:
            return web.json_response({"error": KEY}, status=self.status)
        usual = {"net": "20801", "state": "DELIVERABLE", "ported": False, "roaming": False, "imsi": IMSI}
        return web.json_response(self.answers.get(number, usual))


@pytest.fixture
async def supplier() -> AsyncIterator[Supplier]:
    supplier = Supplier()
    await supplier.start()
    yield supplier
    await supplier.stop()


async def open_rt(url: str, folder: Path) -> Runtime:
    settings = Settings(data_dir=folder, database=url, secret_key="test", webhooks=Webhooks(allow_private=True))
    rt = await open_runtime(settings, clock=Clock())
    await accounts.start(rt)
    await lookups.start(rt)
    return rt


@pytest.fixture
async def rt(store_url: str, tmp_path: Path) -> AsyncIterator[Runtime]:
    rt = await open_rt(store_url, tmp_path)
    yield rt
    await lookups.chain(rt).close()
    await rt.close()


@pytest.fixture
async def acme(rt: Runtime) -> Account:
    return await accounts.create_account(rt, "test", slug="acme", name="Acme")


async def declare(rt: Runtime, supplier: Supplier, name: str = "hlr", **more: Any) -> lookups.Source:
    settings = {
        "url": supplier.url,
        "find": {
            "current": "/net",
            "reachable": "/state",
            "ported": "/ported",
            "roaming": "/roaming",
            "imsi": "/imsi",
            "cost": "/cost",
        },
        "currency": "USD",
    }
    fields = {"kind": "template", "settings": settings, "credentials": {"secrets": {"key": KEY}}, "cost_micros": 4_500}
    return await lookups.create_source(rt, "test", name=name, **(fields | more))


async def look(rt: Runtime, account: Account, number: str = FR, fields: Any = FIELDS, **more: Any) -> Report:
    [report] = await lookups.chain(rt).look([number], fields, account_id=account.id, **more)
    return report


async def spent(rt: Runtime, account: Account) -> dict[str, tuple[int, int]]:
    """(lookups, micro-units) by currency."""
    found: dict[str, tuple[int, int]] = {}
    for row in await lookups.costs_by_day(rt, account.id, "2000-01-01", "2999-12-31"):
        before = found.get(row.currency, (0, 0))
        found[row.currency] = before[0] + row.lookups, before[1] + row.cost_micros
    return found


# -- the chain -----------------------------------------------------------------------------------------------------


async def test_what_the_number_plan_tells_is_asked_of_nobody_else(
    rt: Runtime, acme: Account, supplier: Supplier
) -> None:
    await declare(rt, supplier)
    report = await look(rt, acme, fields=("validity", "line_type"))
    assert (report.valid, report.line_type, report.country) == (True, "mobile", "FR")
    assert {told.source for told in report.evidence.values()} >= {"plan"}
    assert supplier.asked == [] and report.reachable is None


async def test_a_source_is_asked_for_what_is_missing_and_its_answer_is_kept_and_charged_once(
    rt: Runtime, acme: Account, supplier: Supplier
) -> None:
    await declare(rt, supplier)
    first = await look(rt, acme)
    assert (first.current, first.reachable, first.roaming, first.ported) == ("20801", "yes", False, False)
    evidence = first.evidence["current"]
    assert (evidence.source, evidence.cached, evidence.cost_micros, evidence.currency) == ("hlr", False, 4_500, "EUR")
    assert (first.evidence["line_type"].source, first.costs()) == ("plan", {"EUR": 4_500})
    again = await look(rt, acme)
    assert (again.current, again.reachable, again.asked, again.costs()) == ("20801", "yes", [], {})
    assert again.evidence["current"].cached
    assert again.evidence["current"].learned_at == evidence.learned_at
    assert supplier.asked == [FR[1:]]
    assert await spent(rt, acme) == {"EUR": (1, 4_500)}
    anew = await look(rt, acme, max_age_s=0)
    assert (anew.costs(), len(supplier.asked)) == ({"EUR": 4_500}, 2)
    assert await spent(rt, acme) == {"EUR": (2, 9_000)}


async def test_another_node_reads_what_one_has_learnt(
    rt: Runtime, acme: Account, supplier: Supplier, store_url: str, tmp_path: Path
) -> None:
    await declare(rt, supplier)
    await look(rt, acme)
    (tmp_path / "other").mkdir()
    other = await open_rt(store_url, tmp_path / "other")
    try:
        found = await look(other, acme)
        assert (found.current, found.evidence["current"].cached) == ("20801", True)
        assert len(supplier.asked) == 1
    finally:
        await lookups.chain(other).close()
        await other.close()


async def test_a_cost_that_the_supplier_tells_goes_before_the_declared_one(
    rt: Runtime, acme: Account, supplier: Supplier
) -> None:
    await declare(rt, supplier)
    supplier.answers[FR[1:]] = {"net": "20810", "state": "ABSENT", "cost": "0.012"}
    report = await look(rt, acme)
    assert (report.costs(), report.reachable, report.roaming) == ({"USD": 12_000}, "absent", None)


async def test_a_number_that_cannot_exist_is_asked_of_nobody(rt: Runtime, acme: Account, supplier: Supplier) -> None:
    await declare(rt, supplier)
    report = await look(rt, acme, "+3361234567")
    assert report.valid is False and report.fault is not None and report.fault.code == "number_too_short"
    assert supplier.asked == []


async def test_a_test_key_asks_nobody_outside(rt: Runtime, acme: Account, supplier: Supplier) -> None:
    await declare(rt, supplier)
    report = await look(rt, acme, test=True)
    assert (report.valid, report.reachable, supplier.asked) == (True, None, [])


async def test_sources_are_asked_in_order_and_only_in_their_countries(
    rt: Runtime, acme: Account, supplier: Supplier
) -> None:
    await declare(rt, supplier, "late", position=30, gives=("reachability",))
    await declare(rt, supplier, "abroad", position=1, countries=("BE",))
    await declare(rt, supplier, "first", position=20)
    await declare(rt, supplier, "off", position=2, status="stopped")
    report = await look(rt, acme)
    assert [one.source for one in report.asked] == ["first"]
    assert len(supplier.asked) == 1


async def test_a_source_that_fails_or_is_late_leaves_its_fields_to_the_next(
    rt: Runtime, acme: Account, supplier: Supplier
) -> None:
    broken, slow = Supplier(), Supplier()
    broken.status, slow.delay_s = 503, 30.0
    for one in (broken, slow):
        await one.start()
    try:
        await declare(rt, broken, "broken", position=1)
        await declare(rt, slow, "slow", position=2, timeout_s=0.1)
        await declare(rt, supplier, "sound", position=3)
        report = await look(rt, acme)
        assert (report.current, report.evidence["current"].source) == ("20801", "sound")
        assert [(one.source, one.outcome) for one in report.asked] == [
            ("broken", "unavailable"),
            ("slow", "unavailable"),
            ("sound", "answer"),
        ]
        assert KEY not in str(report)
        assert await spent(rt, acme) == {"EUR": (1, 4_500)}
        anew = await look(rt, acme)
        assert [one.source for one in anew.asked] == []  # all is known from the sound one
    finally:
        for one in (broken, slow):
            await one.stop()


async def test_who_asks_for_the_same_number_at_once_shares_one_question_and_one_of_them_pays(
    rt: Runtime, acme: Account, supplier: Supplier
) -> None:
    await declare(rt, supplier)
    supplier.delay_s = 0.1
    impatient = asyncio.create_task(look(rt, acme))
    others = [asyncio.create_task(look(rt, acme)) for _ in range(5)]
    await eventually(lambda: supplier.asked)
    impatient.cancel()
    reports = await asyncio.gather(*others)
    assert {report.current for report in reports} == {"20801"}
    assert len(supplier.asked) == 1
    await asyncio.gather(impatient, return_exceptions=True)


async def test_a_number_written_twice_is_asked_for_once(rt: Runtime, acme: Account, supplier: Supplier) -> None:
    await declare(rt, supplier)
    given = [FR, "+33 6 12 34 56 78", "06 12 34 56 78"]
    reports = await lookups.chain(rt).look(given, FIELDS, account_id=acme.id, country="FR")
    assert [report.given for report in reports] == given
    assert [report.costs() for report in reports] == [{"EUR": 4_500}, {}, {}]
    assert {report.current for report in reports} == {"20801"} and len(supplier.asked) == 1


async def test_an_imsi_and_the_raw_answer_are_not_kept(rt: Runtime, acme: Account, supplier: Supplier) -> None:
    await declare(rt, supplier)
    await look(rt, acme)
    statement, params = core(store.cache.select())
    [row] = await rt.store.scan(statement(params))
    assert IMSI not in str(row) and IMSI[5:] not in str(row) and "DELIVERABLE" not in str(row)
    kept = msgspec.json.decode(row[4], type=Findings)
    assert kept.imsi == lookups.chain(rt).cache.hashed(IMSI) and kept.raw == b""


async def test_what_a_network_has_disproved_is_forgotten(rt: Runtime, acme: Account, supplier: Supplier) -> None:
    await declare(rt, supplier)
    await look(rt, acme)
    await lookups.invalidate(rt, [FR[1:]])
    supplier.answers[FR[1:]] = {"net": "20815", "state": "DELIVERABLE"}
    assert (await look(rt, acme)).current == "20815"
    assert len(supplier.asked) == 2


async def test_an_estimate_says_least_and_most_and_asks_nobody(rt: Runtime, acme: Account, supplier: Supplier) -> None:
    await declare(rt, supplier, "mnp", position=1, gives=("operator",), cost_micros=1_000)
    await declare(rt, supplier, "hlr", position=2, cost_micros=5_000, currency="USD")
    numbers = [FR, "+33612345679", "+3361", FR]
    chain = lookups.chain(rt)
    both = await chain.estimate(numbers, ("operator", "reachability"))
    assert (both.numbers, both.invalid) == (4, 1)
    assert (both.least, both.most) == ({"EUR": 2_000, "USD": 10_000}, {"EUR": 2_000, "USD": 10_000})
    one = await chain.estimate(numbers, ("operator",))
    assert (one.least, one.most) == ({"EUR": 2_000}, {"EUR": 2_000, "USD": 10_000})
    assert supplier.asked == []
    await look(rt, acme, fields=("operator",))
    after = await chain.estimate([FR], ("operator",))
    assert (after.known, after.most) == (1, {})


def test_a_number_stays_with_its_first_operator_unless_it_was_ported() -> None:
    known = Report(given="x")
    known.take(Findings(original="20801", ported=False), Evidence("ranges", 1))
    assert (known.current, known.ported, known.missing(["operator"])) == ("20801", False, set())
    moved = Report(given="x")
    moved.take(Findings(original="20801"), Evidence("ranges", 1))
    assert (moved.current, moved.ported, moved.missing(["operator"])) == (None, None, {"operator"})
    moved.take(Findings(current="20810"), Evidence("mnp", 2))
    assert (moved.ported, moved.evidence["ported"].source) == (True, "mnp")


async def one_answer(asker: Asker, number: str) -> Answer:
    async with asker.ask([number]) as found:
        return found[number]


# -- asking --------------------------------------------------------------------------------------------------------


async def test_a_failing_source_is_left_alone_for_a_while_and_tried_again(rt: Runtime) -> None:
    clock, asked = FakeClock(), []
    answer = Told("unavailable", reason="failed: HTTP 503")

    async def ask(digits: Sequence[str]) -> list[Told]:
        asked.append(digits)
        return [answer] * len(digits)

    asker = Asker("hlr", Remote(ask, 1, 1.0), 1, clock, rt.log)
    for number in range(BREAKER.failures + 3):
        await one_answer(asker, str(number))
    assert len(asked) == BREAKER.failures and asker.resting and asker.trouble == "failed: HTTP 503"
    clock.advance(BREAKER.open_s + 1)
    answer = Told("answer", Findings(valid=True))
    assert (await one_answer(asker, "1")).told == answer
    assert (await one_answer(asker, "2")).ours and asker.trouble is None and not asker.resting


async def test_a_source_that_stumbles_is_unavailable_and_says_no_secret(rt: Runtime) -> None:
    async def ask(digits: Sequence[str]) -> list[Told]:
        raise RuntimeError(f"https://x/?key={KEY}")

    asker = Asker("hlr", Remote(ask, 10, 1.0), 1, FakeClock(), rt.log)
    answer = await one_answer(asker, "1")
    assert answer.told.outcome == "unavailable" and KEY not in answer.told.reason


async def test_numbers_go_in_requests_of_the_suppliers_size_and_few_at_a_time(rt: Runtime) -> None:
    sizes: list[int] = []
    now = most = 0

    async def ask(digits: Sequence[str]) -> list[Told]:
        nonlocal now, most
        now += 1
        most = max(most, now)
        sizes.append(len(digits))
        await asyncio.sleep(0.01)
        now -= 1
        return [Told("answer", Findings(carrier=number)) for number in digits]

    asker = Asker("bulk", Remote(ask, 30, 1.0), 2, FakeClock(), rt.log)
    async with asker.ask([str(number) for number in range(100)]) as found:
        assert (sorted(sizes), most) == ([10, 30, 30, 30], 2)
        assert all(answer.told.findings == Findings(carrier=number) for number, answer in found.items())


async def test_closing_tells_those_who_wait(rt: Runtime) -> None:
    async def ask(digits: Sequence[str]) -> list[Told]:
        await asyncio.sleep(60)
        return []

    asker = Asker("slow", Remote(ask, 1, 90.0), 1, FakeClock(), rt.log)
    waiting = [asyncio.create_task(one_answer(asker, number)) for number in ("1", "2", "2")]
    await asyncio.sleep(0.01)
    await asker.close()
    assert {answer.told.outcome for answer in await asyncio.gather(*waiting)} == {"unavailable"}


def test_reachability_ages_faster_than_the_operator() -> None:
    times = CacheTimes(answer_s=1000, reachability_s=100, absent_s=10, not_covered_s=50)
    there = Findings(current="20801", reachable="yes", roaming=False)
    absent = Findings(current="20801", reachable="absent")
    found, told = still_good(there, 50, times)
    assert found is not None and found.reachable == "yes" and told == set(FIELDS)
    found, told = still_good(there, 101, times)
    assert found is not None and (found.current, found.reachable, found.roaming) == ("20801", None, None)
    assert told == {"validity", "line_type", "operator"}
    assert still_good(absent, 11, times)[1] == {"validity", "line_type", "operator"}
    assert still_good(there, 1001, times) == (None, frozenset())
    assert still_good(None, 49, times) == (None, frozenset(FIELDS))
    assert still_good(None, 51, times) == (None, frozenset())


# -- sources -------------------------------------------------------------------------------------------------------


async def test_credentials_are_sealed_and_no_audit_entry_shows_them(rt: Runtime, supplier: Supplier) -> None:
    source = await declare(rt, supplier)
    assert KEY not in str(source)
    await lookups.update_source(rt, "test", source.id, credentials={"secrets": {"key": "another-secret"}})
    entries = await audit_entries(rt)
    assert [entry.action for entry in entries] == ["update", "create"]
    assert KEY not in str(entries) and "another-secret" not in str(entries)


async def test_a_source_is_changed_and_deleted_and_takes_effect_at_once(
    rt: Runtime, acme: Account, supplier: Supplier
) -> None:
    source = await declare(rt, supplier)
    await lookups.update_source(rt, "test", source.id, status="stopped")
    assert (await look(rt, acme)).reachable is None
    await lookups.update_source(rt, "test", source.id, status="active", cost_micros=7)
    assert (await look(rt, acme)).costs() == {"EUR": 7}
    await lookups.delete_source(rt, "test", source.id)
    assert (await look(rt, acme, "+33612345679")).reachable is None


@pytest.mark.parametrize(
    ("fields", "code", "param"),
    [
        ({"kind": "oracle"}, "invalid_value", "kind"),
        ({"kind": "telnyx"}, "missing_field", "credentials"),
        ({"kind": "telnyx", "credentials": {"key": "x"}}, "unknown_field", "credentials.key"),
        ({"kind": "plan", "credentials": {"key": "x"}}, "invalid_value", "credentials"),
        ({"kind": "plan", "cost_micros": 1}, "invalid_value", "cost"),
        ({"kind": "ranges", "settings": {"file": "x"}}, "unknown_field", "settings.file"),
        ({"kind": "enum"}, "missing_field", "settings.root"),
        ({"kind": "ranges", "countries": ("france",)}, "invalid_value", "countries[0]"),
        ({"kind": "ranges", "name": "a b"}, "invalid_value", "name"),
    ],
)
async def test_a_source_that_makes_no_sense_is_refused_by_field(
    rt: Runtime, fields: dict[str, Any], code: str, param: str
) -> None:
    with pytest.raises(Refused) as refused:
        await lookups.create_source(rt, "test", **({"name": "x"} | fields))
    assert (refused.value.code, refused.value.param) == (code, param)
    assert lookups.chain(rt).declared == {}


async def test_a_source_whose_credentials_another_key_has_sealed_stops_no_other(
    rt: Runtime, acme: Account, supplier: Supplier, store_url: str, tmp_path: Path
) -> None:
    await declare(rt, supplier)
    settings = Settings(data_dir=tmp_path, database=store_url, secret_key="another")
    other = await open_runtime(settings, clock=Clock())
    try:
        await accounts.start(other)
        chain = await lookups.start(other)
        assert "secret_key" in chain.problems["hlr"]
        assert (await look(other, acme)).valid
    finally:
        await other.close()


def test_a_declared_source_takes_the_place_of_the_one_that_is_always_there() -> None:
    assert [source.name for source in in_order([])] == ["plan", "portability", "ranges"]
    [*_, always] = in_order([])
    own = changed(always, id=99, name="arcep", position=500)
    assert [source.name for source in in_order([own])] == ["plan", "portability", "arcep"]
    assert [source.name for source in in_order([changed(own, status="stopped")])] == ["plan", "portability"]


# -- batches -------------------------------------------------------------------------------------------------------


def numbers_of(count: int) -> list[str]:
    return [f"+3361{number:07d}" for number in range(count)]


async def ended(rt: Runtime, job: jobs.Job) -> jobs.Job:
    async def over() -> bool:
        return (await lookups.job_of(rt, job.account_id, job.id)).ended

    async with asyncio.timeout(20):
        while not await over():
            await asyncio.sleep(0.02)
    return await lookups.job_of(rt, job.account_id, job.id)


async def all_results(rt: Runtime, job: jobs.Job) -> list[Report]:
    return [report async for chunk in lookups.results(rt, job) for report in chunk]


async def test_a_batch_is_worked_off_in_chunks_and_its_results_come_in_order(
    rt: Runtime, acme: Account, supplier: Supplier
) -> None:
    await declare(rt, supplier, gives=("reachability",), concurrency=50)
    await rt.jobs.start(rt)
    numbers = [*numbers_of(jobs.CHUNK + 5), "nonsense"]
    job = await ended(rt, await lookups.create_job(rt, acme.id, numbers, ("reachability",)))
    assert (job.status, job.total, job.done, job.invalid) == ("finished", len(numbers), len(numbers), 1)
    found = await all_results(rt, job)
    assert [report.given for report in found] == numbers
    assert {report.reachable for report in found[:-1]} == {"yes"} and found[-1].valid is False
    assert await lookups.costs_of(rt, [job]) == {job.id: {"EUR": (len(numbers) - 1) * 4_500}}
    assert len(supplier.asked) == len(numbers) - 1


async def test_a_batch_that_was_broken_off_goes_on_and_asks_for_nothing_twice(
    rt: Runtime, acme: Account, supplier: Supplier
) -> None:
    await declare(rt, supplier, gives=("reachability",), concurrency=50)
    job = await lookups.create_job(rt, acme.id, numbers_of(3 * jobs.CHUNK), ("reachability",))
    broken_off = asyncio.create_task(jobs.run(rt, {"job": job.id}))
    await eventually(lambda: len(supplier.asked) > jobs.CHUNK + 20)
    broken_off.cancel()
    await asyncio.gather(broken_off, return_exceptions=True)
    half = await lookups.job_of(rt, acme.id, job.id)
    assert (half.status, half.done) == ("running", jobs.CHUNK)
    await rt.jobs.start(rt)
    done = await ended(rt, job)
    assert (done.status, done.done) == ("finished", 3 * jobs.CHUNK)
    assert [report.given for report in await all_results(rt, done)] == numbers_of(3 * jobs.CHUNK)
    [(lookups_, micros)] = (await spent(rt, acme)).values()
    assert (lookups_, micros) == (3 * jobs.CHUNK, 3 * jobs.CHUNK * 4_500)
    assert len(supplier.asked) == 3 * jobs.CHUNK


async def test_a_canceled_batch_keeps_what_is_done_and_asks_no_more(
    rt: Runtime, acme: Account, supplier: Supplier
) -> None:
    await declare(rt, supplier, gives=("reachability",), concurrency=10)
    supplier.delay_s = 0.01
    await rt.jobs.start(rt)
    job = await lookups.create_job(rt, acme.id, numbers_of(10 * jobs.CHUNK), ("reachability",))
    await eventually(lambda: len(supplier.asked) > jobs.CHUNK)
    canceled = await lookups.cancel_job(rt, acme.id, job.id)
    assert canceled.status == "canceled"
    with pytest.raises(Refused) as refused:
        await lookups.cancel_job(rt, acme.id, job.id)
    assert refused.value.code == "job_ended"
    await eventually(lambda: not lookups.chain(rt).lines[-1].asker._flying)  # type: ignore[union-attr]
    await asyncio.sleep(0.1)
    assert len(supplier.asked) <= 3 * jobs.CHUNK
    assert len(await all_results(rt, canceled)) % jobs.CHUNK == 0


async def test_a_batch_belongs_to_its_account(rt: Runtime, acme: Account) -> None:
    other = await accounts.create_account(rt, "test", slug="other", name="Other")
    job = await lookups.create_job(rt, acme.id, [FR], ("validity",))
    for verb in (lookups.job_of, lookups.cancel_job):
        with pytest.raises(Refused) as refused:
            await verb(rt, other.id, job.id)
        assert refused.value.code == "not_found"
    assert await lookups.jobs_of(rt, other.id) == []
    assert [one.id for one in await lookups.jobs_of(rt, acme.id)] == [job.id]


async def test_batches_that_are_empty_too_large_or_too_many_are_refused(
    rt: Runtime, acme: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    for numbers, code in (([], "batch_empty"), ([FR] * (jobs.MOST_NUMBERS + 1), "batch_too_large")):
        with pytest.raises(Refused) as refused:
            await lookups.create_job(rt, acme.id, numbers, ("validity",))
        assert refused.value.code == code
    for _ in range(jobs.MOST_OPEN):
        await lookups.create_job(rt, acme.id, [FR], ("validity",))
    with pytest.raises(Refused) as refused:
        await lookups.create_job(rt, acme.id, [FR], ("validity",))
    assert refused.value.code == "rate_limited"


class Later(Clock):
    """The real clock, so many days on."""

    def __init__(self, days: float) -> None:
        self._ahead = round(days * 86_400_000)

    def now(self) -> int:
        return super().now() + self._ahead


async def test_numbers_are_forgotten_when_their_time_is_over(rt: Runtime, acme: Account, supplier: Supplier) -> None:
    await declare(rt, supplier)
    await rt.jobs.start(rt)
    job = await ended(rt, await lookups.create_job(rt, acme.id, numbers_of(3), FIELDS))

    async def rows() -> dict[str, int]:
        counts = {}
        for table in (store.cache, store.jobs, store.chunks, store.costs):
            statement, params = core(table.select())
            counts[table.name] = len(await rt.store.scan(statement(params)))
        return counts

    full = {"lookup_cache": 3, "lookup_jobs": 1, "lookup_chunks": 1, "lookup_costs": 1}
    assert await rows() == full
    await retention.forget(rt)
    assert await rows() == full
    rt.clock = Later(8)  # days: answers live for seven
    await retention.forget(rt)
    assert await rows() == full | {"lookup_cache": 0}
    rt.clock = Later(31)
    await retention.forget(rt)
    assert await rows() == {"lookup_cache": 0, "lookup_jobs": 0, "lookup_chunks": 0, "lookup_costs": 1}
    with pytest.raises(Refused):
        await lookups.job_of(rt, acme.id, job.id)


async def test_a_batch_that_does_not_move_for_a_day_has_failed(rt: Runtime, acme: Account) -> None:
    job = await lookups.create_job(rt, acme.id, [FR], ("validity",))
    rt.clock = Later(1.1)
    await retention.forget(rt)
    failed = await lookups.job_of(rt, acme.id, job.id)
    assert (failed.status, failed.error) == ("failed", "It could not go on for a day.")


# -- uploads -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "column", "found"),
    [
        ("+33612345678\n+447700900123\n", None, ["+33612345678", "+447700900123"]),
        ("name;phone\nAda;+33612345678\nBob;06 12 34 56 79\n", None, ["+33612345678", "06 12 34 56 79"]),
        ("Имя,Телефон\nАда,+79161234567\n", None, ["+79161234567"]),
        ("a,b\nAda,+33612345678\n", "b", ["+33612345678"]),
        ("a,b\nAda,+33612345678\n", "2", ["+33612345678"]),
        ("Ada,+33612345678\nBob,+33612345679\n", "2", ["+33612345678", "+33612345679"]),
        ("\ufeffmsisdn\n33612345678\n", None, ["33612345678"]),
    ],
)
def test_the_numbers_of_a_table_are_found(text: str, column: str | None, found: list[str]) -> None:
    assert numbers_of_csv(text.encode(), column) == found


@pytest.mark.parametrize(
    ("data", "column", "words"),
    [
        (b"", None, "empty"),
        (b"a,b\n1,2\n", None, "column"),
        (b"a,b\n1,2\n", "c", "column"),
        (b"PK\x03\x04rest", None, "Excel"),
        (b"name,phone\nAda,+33612345678\nBob\n", None, "line 3"),
    ],
)
def test_a_table_that_cannot_be_read_is_refused_with_its_line(data: bytes, column: str | None, words: str) -> None:
    with pytest.raises(Refused) as refused:
        numbers_of_csv(data, column)
    assert refused.value.code == "csv_invalid" and words in refused.value.message
    assert refused.value.details


def test_a_table_with_too_many_numbers_is_refused() -> None:
    with pytest.raises(Refused) as refused:
        numbers_of_csv(b"+33612345678\n" * (jobs.MOST_NUMBERS + 1))
    assert refused.value.code == "batch_too_large"
