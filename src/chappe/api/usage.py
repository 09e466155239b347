"""What the account used and was charged, by day and any other dimension."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Any

from msgspec import Meta, Struct

from chappe import ids
from chappe.api.house import Call
from chappe.api.lookups import Amount
from chappe.api.operations import Resource
from chappe.api.tables import CSV, Day, Format, csv_answer
from chappe.billing import reports
from chappe.billing.ledger import decimal
from chappe.errors import Refused

resource = Resource(
    "Usage",
    "Messages of live keys, counted on the day (UTC) on which they were sent, delivered or charged; a few seconds old "
    "at most.",
    scope="billing",
    tenant=True,
)

_DIMENSIONS = ("day", "country", "operator", "tag", "sender", "purpose", "connector", "route")
_NAMES = "|".join(_DIMENSIONS)
GroupBy = Annotated[
    str, Meta(pattern=f"^({_NAMES})(,({_NAMES}))*$", description="Dimensions; several with commas between them.")
]
USUAL_DAYS = 30
EPOCH = date(1970, 1, 1)


class UsageQuery(Struct, forbid_unknown_fields=True, kw_only=True):
    """By default the last thirty days, by day. `tag` goes with `day` only: a message counts with each of its tags.
    `connector` needs the scope rates."""

    group_by: tuple[GroupBy, ...] = ()
    since: Annotated[Day, Meta(description="The first day.")] | None = None
    until: Annotated[Day, Meta(description="The last day; today if it is left out.")] | None = None
    limit: Annotated[int, Meta(ge=1, le=10_000, description="How many lines at most.")] = 1_000
    format: Format = "json"


class UsageLine(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What was used, with the dimensions that were asked for. `failed` counts every end but delivery; `charged` is a
    decimal of `currency`, null for messages that cost nothing."""

    day: str | None = None
    country: Annotated[str, Meta(description="ISO 3166-1 alpha-2.")] | None = None
    operator: Annotated[str, Meta(description="MCC and MNC, after portability.")] | None = None
    tag: str | None = None
    sender: str | None = None
    purpose: str | None = None
    connector: str | None = None
    route: Annotated[str, Meta(examples=["rte_006h3r8k2w0g4"])] | None = None
    messages: int
    segments: int
    delivered: int
    failed: int
    charged: Amount
    currency: str | None


class UsageReport(Struct, frozen=True, kw_only=True):
    """In the order of the dimensions. `truncated`: there are more lines than `limit`."""

    since: str
    until: str
    group_by: list[str]
    data: list[UsageLine]
    truncated: bool


@resource.get("/v1/usage", errors=("report_too_large",), also=(CSV,))
async def get(call: Call, query: UsageQuery) -> UsageReport:
    """Show what was used."""
    groups = dimensions(query.group_by) or ("day",)
    if "connector" in groups:
        call.caller.need("rates")
    first, last = days(call, query.since, query.until)
    wanted: Any = groups
    found = await reports.used(call.rt, call.account_id, wanted, first, last, limit=query.limit + 1)
    lines = [_line(call, groups, one) for one in found[: query.limit]]
    if query.format == "csv":
        columns = [*groups, "messages", "segments", "delivered", "failed", "charged", "currency"]
        rows = ([getattr(line, column) for column in columns] for line in lines)
        return csv_answer("usage", columns, rows)  # type: ignore[return-value]
    return UsageReport(
        since=day_text(first),
        until=day_text(last),
        group_by=list(groups),
        data=lines,
        truncated=len(found) > query.limit,
    )


def _line(call: Call, groups: Sequence[str], one: reports.Used) -> UsageLine:
    return UsageLine(
        **{name: shown(call, name, value) for name, value in zip(groups, one.by, strict=True)},
        messages=one.messages,
        segments=one.segments,
        delivered=one.delivered,
        failed=one.failed,
        charged=decimal(one.charged),
        currency=one.currency or None,
    )


# -- dimensions, also of margins ------------------------------------------------------------------------------------


def dimensions(given: Iterable[str]) -> tuple[str, ...]:
    """The names in lists with commas, each once."""
    return tuple(dict.fromkeys(name for several in given for name in several.split(",")))


def days(call: Call, since: str | None, until: str | None) -> tuple[int, int]:
    """The first and the last day, since 1970. Raises Refused."""
    today = datetime.fromtimestamp(call.rt.clock.now() / 1000, UTC).date()
    last = _day(until, "until") if until is not None else today
    first = _day(since, "since") if since is not None else last - timedelta(days=USUAL_DAYS - 1)
    return (first - EPOCH).days, (last - EPOCH).days


def _day(text: str, param: str) -> date:
    try:
        found = date.fromisoformat(text)
    except ValueError:
        raise Refused("invalid_value", f"{text} is no day.", param=param) from None
    if not 2000 <= found.year < 2100:
        raise Refused("invalid_value", f"{text} lies too far off.", param=param)
    return found


def day_text(day: int) -> str:
    return (EPOCH + timedelta(days=day)).isoformat()


def shown(call: Call, name: str, value: Any) -> str | None:
    """A dimension's value as people read it; None for what is not known."""
    match name:
        case "day":
            return day_text(value)
        case "connector":
            return call.house.pipeline.connector_name(value) if value else None
        case "route":
            return ids.public("rte", value) if value else None
        case "account":
            return ids.public("acc", value)
        case _:
            return value or None
