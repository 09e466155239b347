"""Look-ups: what is known of a number, one at once or many in a batch that is worked off behind the scenes."""

from __future__ import annotations

import asyncio
import csv
import io
from collections.abc import AsyncIterator, Iterable, Mapping
from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

from chappe import ids, lookups, numbers
from chappe.api.answers import Answer, encode
from chappe.api.house import Call
from chappe.api.operations import Resource
from chappe.api.shapes import Listed, Page, Time, after, listed, maybe_rfc, paged, rfc
from chappe.errors import Refused
from chappe.lookups import FIELDS, Evidence, Field, Job, Report, decimal

resource = Resource(
    "Lookups",
    "What is known of a number: whether it can exist, its kind of line, its operator after portability, whether the "
    "phone can be reached.",
    scope="lookups",
    tenant=True,
)

_NAMES = "|".join(FIELDS)
FieldList = Annotated[
    str, Meta(pattern=f"^({_NAMES})(,({_NAMES}))*$", description="What to find out; several with commas between them.")
]
Country = Annotated[str, Meta(pattern=r"^[A-Z]{2}$", description="ISO 3166-1: how national numbers are read.")]
MaxAge = Annotated[
    int, Meta(ge=0, le=90 * 86_400, description="The oldest answer that may be used again, in seconds; 0 asks anew.")
]
Written = Annotated[str, Meta(max_length=64)]
Amount = Annotated[str, Meta(description="A decimal number.", examples=["0.0045"])]
USUAL: tuple[Field, ...] = ("validity", "line_type", "operator")


class LookupQuery(Struct, forbid_unknown_fields=True, kw_only=True):
    """What to find out, by default validity, line type and operator."""

    fields: tuple[FieldList, ...] = ()
    max_age: MaxAge | None = None
    country: Country | None = None


class BatchQuery(LookupQuery, forbid_unknown_fields=True, kw_only=True):
    """The options of a batch that comes as CSV."""

    column: (
        Annotated[
            str,
            Meta(min_length=1, max_length=100, description="The column of the numbers, by its name or number from 1."),
        ]
        | None
    ) = None
    dry_run: bool = False


class NewLookups(Struct, forbid_unknown_fields=True, kw_only=True):
    """A batch of numbers. `dry_run` tells what it would cost and asks nobody."""

    numbers: Annotated[list[Written], Meta(min_length=1, max_length=lookups.MOST_NUMBERS)]
    fields: Annotated[list[Field], Meta(max_length=len(FIELDS))] = []
    max_age: MaxAge | None = None
    country: Country | None = None
    dry_run: bool = False


class Csv(Struct):
    """A batch that came as CSV, not read yet."""

    data: bytes


class Money(Struct, frozen=True):
    """An amount of a currency."""

    amount: Amount
    currency: Annotated[str, Meta(description="ISO 4217.", examples=["EUR"])]


class LookupFault(Struct, frozen=True):
    """Why nobody can have the number."""

    code: Annotated[str, Meta(examples=["number_too_short"])]
    message: str


class LookupOperator(Struct, frozen=True):
    """A network. The name is null where only its code is known."""

    mccmnc: Annotated[str, Meta(description="Mobile country and network code.", examples=["20801"])] | None
    name: str | None
    country: str | None


class LookupAbsent(Struct, frozen=True):
    """Why the phone is absent; `diagnostic` as in 3GPP TS 29.002."""

    diagnostic: int | None
    reason: str


class LookupEvidence(Struct, frozen=True, kw_only=True):
    """Who said it, and when. `cost` is that of asking now."""

    source: str
    learned_at: Time
    age_seconds: int
    cached: bool
    cost: Money | None


class LookupAsked(Struct, frozen=True, kw_only=True):
    """A source that was asked now."""

    source: str
    outcome: Literal["answer", "not_covered", "unavailable"]
    reason: str | None
    cost: Money | None


class LookupOut(Struct, frozen=True, kw_only=True):
    """What is known of a number; null is unknown, never no. `evidence` says by field who told it."""

    given: str
    number: Annotated[str, Meta(description="E.164.", examples=["+33612345678"])] | None
    country: Annotated[str, Meta(description="ISO 3166-1 alpha-2.", examples=["FR"])] | None
    time_zones: list[str]
    valid: bool | None
    invalid_reason: LookupFault | None
    line_type: Annotated[str, Meta(examples=["mobile"])] | None
    original_operator: LookupOperator | None
    current_operator: LookupOperator | None
    ported: bool | None
    reachable: Literal["yes", "no", "absent", "unknown"] | None
    absent: LookupAbsent | None
    roaming: bool | None
    roaming_country: str | None
    evidence: dict[str, LookupEvidence]
    asked: list[LookupAsked]
    cost: list[Money]


class LookupEstimate(Struct, frozen=True, kw_only=True):
    """What a batch would cost: at least, if each source asked knows all that it can, and at most, if each leaves
    something to the next. `known` numbers are asked of nobody."""

    known: int
    invalid: int
    least: list[Money]
    most: list[Money]


class LookupJobOut(Struct, frozen=True, kw_only=True):
    """A batch. `invalid` counts the numbers done that cannot exist; `cost` is what has been spent so far."""

    id: Annotated[str, Meta(description="null for a dry run.", examples=["lkj_006h3r8k2w0g4"])] | None
    status: Literal["queued", "running", "finished", "canceled", "failed"] | None
    total: int
    done: int
    invalid: int
    fields: list[str]
    country: str | None
    max_age: int | None
    cost: list[Money]
    estimate: LookupEstimate | None
    error: str | None
    dry_run: bool
    test: bool
    created_at: Time | None
    finished_at: Time | None
    kept_until: Time | None


class ResultsQuery(Struct, forbid_unknown_fields=True):
    """How to write the results."""

    format: Annotated[Literal["jsonl", "csv"], Meta(description="JSON, an object a line, or CSV.")] = "jsonl"


class CostQuery(Struct, forbid_unknown_fields=True, kw_only=True):
    """Days in UTC, both included."""

    since: Annotated[str, Meta(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$", description="The first day.")] = "2000-01-01"
    until: Annotated[str, Meta(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$", description="The last day.")] = "2999-12-31"


class LookupCost(Struct, frozen=True):
    """What one source was paid for one day; `lookups` counts its answers."""

    day: Annotated[str, Meta(examples=["2027-01-31"])]
    source: str | None
    lookups: int
    cost: Money


class LookupCostList(Struct, frozen=True):
    """The earliest day first."""

    data: list[LookupCost]


# -- one number ----------------------------------------------------------------------------------------------------


@resource.get("/v1/lookups/{number:number}", errors=("number_not_e164", "number_empty"))
async def look_up(call: Call, number: str, query: LookupQuery) -> LookupOut:
    """Look a number up.

    Sources are asked in the operator's order, the next one only for what is still missing. A source that fails leaves
    its fields null; `asked` says why.
    """
    _check_country(query.country)
    [report] = await lookups.chain(call.rt).look(
        [number],
        _fields(query.fields),
        account_id=call.account_id,
        country=query.country,
        max_age_s=query.max_age,
        test=call.test,
    )
    if report.fault is not None and report.fault.code in ("number_not_e164", "number_empty"):
        raise Refused(report.fault.code, report.fault.message, param="number")
    return lookup_out(report, call.rt.clock.now())


# -- batches -------------------------------------------------------------------------------------------------------


@resource.post(
    "/v1/lookups",
    status=202,
    example={"numbers": ["+33612345678", "+447700900123"], "fields": ["line_type", "operator"], "dry_run": True},
    errors=("batch_empty", "batch_too_large", "csv_invalid", "rate_limited"),
    reads={"text/csv": Csv},
)
async def create(call: Call, query: BatchQuery, body: NewLookups) -> LookupJobOut:
    """Look many numbers up.

    At most 100,000, as JSON with the options beside them, or as `text/csv` with the options in the query: the column of
    the numbers is found by itself unless `column` names it. `dry_run` answers with an estimate of the cost.
    """
    asked = await _from_csv(body, query) if isinstance(body, Csv) else body
    fields = tuple(asked.fields) or _fields(query.fields)
    options: dict[str, Any] = {
        "country": asked.country or query.country,
        "max_age_s": query.max_age if asked.max_age is None else asked.max_age,
        "test": call.test,
    }
    _check_country(options["country"])
    lookups.check_numbers(asked.numbers)
    if asked.dry_run or query.dry_run:
        estimate = await lookups.chain(call.rt).estimate(asked.numbers, fields, **options)
        return _estimated(call, estimate, fields, options)
    job = await lookups.create_job(call.rt, call.account_id, asked.numbers, fields, **options)
    return _job_out(call, job, {})


@resource.get("/v1/lookups/jobs", errors=("invalid_cursor",))
async def list_(call: Call, query: Page) -> Listed[LookupJobOut]:
    """List batches."""
    found = await lookups.jobs_of(call.rt, call.account_id, before=after(query, "lkj"), limit=query.limit + 1)
    rows, cursor = paged(found, query, "lkj", lambda job: job.id)
    costs = await lookups.costs_of(call.rt, rows)
    return listed((_job_out(call, job, costs[job.id]) for job in rows), cursor)


@resource.get("/v1/lookups/jobs/{id:lkj}")
async def get(call: Call, id: int) -> LookupJobOut:
    """Show a batch and how far it is."""
    return await _shown(call, await lookups.job_of(call.rt, call.account_id, id))


@resource.post("/v1/lookups/jobs/{id:lkj}/cancel", errors=("job_ended",))
async def cancel(call: Call, id: int) -> LookupJobOut:
    """Cancel a batch; what is done stays."""
    return await _shown(call, await lookups.cancel_job(call.rt, call.account_id, id))


@resource.get("/v1/lookups/jobs/{id:lkj}/results", media=("application/jsonl", "text/csv"))
async def results(call: Call, id: int, query: ResultsQuery) -> Answer:
    """Download the results of a batch.

    In the order of the numbers, as far as they are there: a line of JSON for each, of the shape of a single look-up, or
    CSV with a line of headers.
    """
    job = await lookups.job_of(call.rt, call.account_id, id)
    write, kind = (_csv_lines, b"text/csv") if query.format == "csv" else (_json_lines, b"application/jsonl")
    name = f"{ids.public('lkj', id)}.{query.format}".encode()
    headers = ((b"content-type", kind), (b"content-disposition", b"attachment; filename=" + name))
    return Answer(200, b"", headers, chunks=write(call, job))


@resource.get("/v1/lookup_costs")
async def costs(call: Call, query: CostQuery) -> LookupCostList:
    """Show what look-ups have cost, by day and source."""
    known = lookups.chain(call.rt).declared
    rows = await lookups.costs_by_day(call.rt, call.account_id, query.since, query.until)
    return LookupCostList(
        [
            LookupCost(
                day=row.day,
                source=known[row.source_id].name if row.source_id in known else None,
                lookups=row.lookups,
                cost=Money(decimal(row.cost_micros), row.currency),
            )
            for row in rows
        ]
    )


# -- translating ---------------------------------------------------------------------------------------------------


def money(by_currency: Mapping[str, int]) -> list[Money]:
    return [Money(decimal(micros), currency) for currency, micros in sorted(by_currency.items())]


def lookup_out(report: Report, now: int) -> LookupOut:
    number = _number(report)
    return LookupOut(
        given=report.given,
        number=report.number or None,
        country=report.country,
        time_zones=list(numbers.time_zones(number)) if number is not None else [],
        valid=report.valid,
        invalid_reason=None if report.fault is None else LookupFault(report.fault.code, report.fault.message),
        line_type=report.line_type,
        original_operator=_operator(report.original, None),
        current_operator=_operator(report.current, report.carrier),
        ported=report.ported,
        reachable=report.reachable,
        absent=None if report.absent is None else LookupAbsent(*report.absent),
        roaming=report.roaming,
        roaming_country=report.roaming_country,
        evidence={_CALLED.get(name, name): _evidence(told, now) for name, told in report.evidence.items()},
        asked=[
            LookupAsked(
                source=one.source,
                outcome=one.outcome,
                reason=one.reason or None,
                cost=_cost(one.cost_micros, one.currency),
            )
            for one in report.asked
        ],
        cost=money(report.costs()),
    )


_CALLED: dict[str, str] = {"original": "original_operator", "current": "current_operator"}


def _number(report: Report) -> numbers.Number | None:
    try:
        return numbers.parse(report.number) if report.number else None
    except numbers.NumberError:  # an old result, of a plan that has changed since
        return None


def _operator(mccmnc: str | None, carrier: str | None) -> LookupOperator | None:
    if mccmnc is None and carrier is None:
        return None
    name, country = lookups.operator_name(mccmnc)
    return LookupOperator(mccmnc, carrier or name, country)


def _evidence(told: Evidence, now: int) -> LookupEvidence:
    return LookupEvidence(
        source=told.source,
        learned_at=rfc(told.learned_at),
        age_seconds=max(0, now - told.learned_at) // 1000,
        cached=told.cached,
        cost=_cost(told.cost_micros, told.currency),
    )


def _cost(micros: int, currency: str) -> Money | None:
    return Money(decimal(micros), currency) if micros else None


def _fields(given: Iterable[str]) -> tuple[Field, ...]:
    wanted = {name for several in given for name in several.split(",")}
    return tuple(name for name in FIELDS if name in wanted) or USUAL


def _check_country(country: str | None) -> None:
    if country is not None and numbers.country(country) is None:
        raise Refused(
            "invalid_value", f"{country} is no country.", param="country", action="Give a code of ISO 3166-1."
        )


async def _from_csv(upload: Csv, query: BatchQuery) -> NewLookups:
    """In a thread: 100,000 lines take a third of a second."""
    return NewLookups(numbers=await asyncio.to_thread(lookups.numbers_of_csv, upload.data, query.column))


async def _shown(call: Call, job: Job) -> LookupJobOut:
    return _job_out(call, job, (await lookups.costs_of(call.rt, [job]))[job.id])


def _job_out(call: Call, job: Job, cost: Mapping[str, int]) -> LookupJobOut:
    return LookupJobOut(
        id=ids.public("lkj", job.id),
        status=job.status,
        total=job.total,
        done=job.done,
        invalid=job.invalid,
        fields=list(job.fields),
        country=job.country,
        max_age=job.max_age_s,
        cost=money(cost),
        estimate=None,
        error=job.error,
        dry_run=False,
        test=job.test,
        created_at=rfc(job.created_at),
        finished_at=maybe_rfc(job.finished_at),
        kept_until=rfc(job.created_at + lookups.days_kept(call.rt, job.account_id) * 86_400_000),
    )


def _estimated(
    call: Call, estimate: lookups.Estimate, fields: tuple[Field, ...], options: Mapping[str, Any]
) -> LookupJobOut:
    return LookupJobOut(
        id=None,
        status=None,
        total=estimate.numbers,
        done=0,
        invalid=0,
        fields=list(fields),
        country=options["country"],
        max_age=options["max_age_s"],
        cost=[],
        estimate=LookupEstimate(
            known=estimate.known, invalid=estimate.invalid, least=money(estimate.least), most=money(estimate.most)
        ),
        error=None,
        dry_run=True,
        test=call.test,
        created_at=None,
        finished_at=None,
        kept_until=None,
    )


async def _json_lines(call: Call, job: Job) -> AsyncIterator[bytes]:
    async for reports in lookups.results(call.rt, job):
        now = call.rt.clock.now()
        yield b"".join(encode(lookup_out(report, now)) + b"\n" for report in reports)


async def _csv_lines(call: Call, job: Job) -> AsyncIterator[bytes]:
    yield (",".join(_COLUMNS) + "\r\n").encode()
    async for reports in lookups.results(call.rt, job):
        now = call.rt.clock.now()
        text = io.StringIO()
        csv.writer(text).writerows(_csv_row(lookup_out(report, now)) for report in reports)
        yield text.getvalue().encode()


_COLUMNS = (
    *("given", "number", "country", "valid", "invalid_reason", "line_type", "original_operator", "current_operator"),
    *("current_operator_name", "ported", "reachable", "absent_reason", "roaming", "roaming_country", "source"),
    *("cost", "currency"),
)


def _csv_row(found: LookupOut) -> list[str]:
    original, current, cost = found.original_operator, found.current_operator, found.cost
    told = found.evidence.get("current_operator")
    values: tuple[Any, ...] = (
        *(found.given, found.number, found.country, found.valid, found.invalid_reason and found.invalid_reason.code),
        *(found.line_type, original and original.mccmnc, current and current.mccmnc, current and current.name),
        *(found.ported, found.reachable, found.absent and found.absent.reason, found.roaming, found.roaming_country),
        *(told and told.source, " + ".join(one.amount for one in cost), " + ".join(one.currency for one in cost)),
    )
    return [_cell(value) for value in values]


def _cell(value: Any) -> str:
    """A cell that no spreadsheet takes for a formula."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    text = str(value)
    harmless = text[:1] not in tuple("=+-@\t\r") or (text[:1] == "+" and text[1:].isdigit())
    return text if harmless else "'" + text


__all__ = ["resource"]
