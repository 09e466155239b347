"""Routes as the API writes and reads them, in force or in a draft."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping, Sequence
from typing import Annotated, Any, Literal, TypeVar

from msgspec import UNSET, Meta, Struct, UnsetType

from chappe import accounts, connectors, ids, routing
from chappe.api.house import Call
from chappe.api.shapes import Purpose, Time, rfc
from chappe.billing import decimal
from chappe.billing.rating.amounts import micros
from chappe.errors import Refused
from chappe.routing import (
    ATTEMPTS,
    ERROR_CLASSES,
    MOST_ATTEMPTS,
    AccountGroup,
    Day,
    ErrorClass,
    Group,
    Match,
    Member,
    Route,
    SenderKind,
    Strategy,
    Window,
)

T = TypeVar("T")

Name = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$", examples=["france"])]
Position = Annotated[int, Meta(ge=0, le=1_000_000_000, description="Among equals the lowest wins.")]
Prefix = Annotated[str, Meta(pattern=r"^\+?[0-9]{0,15}$", description="Of the number; empty is every number.")]
Prefixes = Annotated[tuple[Prefix, ...], Meta(max_length=10_000)]
Purposes = Annotated[tuple[Purpose, ...], Meta(max_length=4, description="None means any.")]
Address = Annotated[str, Meta(min_length=1, max_length=20)]
Senders = Annotated[tuple[Address, ...], Meta(max_length=100, description="None means any.")]
ConnectorName = Annotated[str, Meta(max_length=63, description="The name of a connector.", examples=["acme-1"])]
Fallbacks = Annotated[tuple[ConnectorName, ...], Meta(max_length=8, description="Tried in order.")]
AccountId = Annotated[str, Meta(description="The account it is for; null means all.")] | None
Clock = Annotated[str, Meta(pattern=r"^[0-9]{2}:[0-9]{2}$", examples=["22:00"])]
Mccmnc = Annotated[str, Meta(pattern=r"^[0-9]{5,6}$", description="MCC and MNC.", examples=["20801"])]
Segments = Annotated[int, Meta(ge=1, le=255)]
Amount = Annotated[
    str,
    Meta(
        pattern=r"^[0-9]{1,7}(\.[0-9]{1,6})?$",
        description="Most that a segment may cost, in the currency in which costs are compared; null is no limit.",
        examples=["0.07"],
    ),
]
Attempts = Annotated[
    int,
    Meta(ge=1, le=MOST_ATTEMPTS, description=f"Connectors tried before the message ends; usually {ATTEMPTS}."),
]


class Times(Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """Hours of some days. One that ends before it starts passes midnight and counts to the day it starts on."""

    days: Annotated[tuple[Day, ...], Meta(max_length=7, description="None means every day.")] = ()
    start: Clock = "00:00"
    end: Clock = "24:00"
    time_zone: Annotated[str, Meta(max_length=64, description="IANA.", examples=["Europe/Paris"])] = "UTC"


class SegmentRange(Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """How many segments a message has."""

    least: Segments | None = None
    most: Segments | None = None


class Matching(Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """Which messages a route takes; all conditions must hold, an empty one always does.

    `operators` are those after portability. `account_ids` and `account_groups` are met by an account that either names.
    """

    countries: Annotated[
        tuple[Annotated[str, Meta(pattern=r"^[A-Z]{2}$", examples=["FR"])], ...], Meta(max_length=250)
    ] = ()
    operators: Annotated[tuple[Mccmnc, ...], Meta(max_length=1000)] = ()
    prefixes: Prefixes = ()
    senders: Senders = ()
    sender_kinds: Annotated[tuple[SenderKind, ...], Meta(max_length=5)] = ()
    purposes: Purposes = ()
    tags: Annotated[
        tuple[Annotated[str, Meta(min_length=1, max_length=64)], ...], Meta(max_length=100, description="Any of them.")
    ] = ()
    account_ids: Annotated[tuple[str, ...], Meta(max_length=1000)] = ()
    account_groups: Annotated[tuple[Name, ...], Meta(max_length=100)] = ()
    times: Annotated[tuple[Times, ...], Meta(max_length=50)] = ()
    segments: SegmentRange = SegmentRange()


class GroupMember(Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """A connector of a group."""

    connector: ConnectorName
    weight: Annotated[int, Meta(ge=0, le=1_000_000, description="0 comes last.")] = 1


Classes = Annotated[tuple[ErrorClass, ...], Meta(max_length=5)]


class ConnectorGroup(Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """Connectors among which the strategy chooses.

    After an error of a class in `leave_on` the message goes on to the next of them, and from the last to the next
    group; after one in `skip_on` to the next group at once; after any other it ends.
    """

    connectors: Annotated[tuple[GroupMember, ...], Meta(max_length=64)]
    strategy: Strategy = "order"
    leave_on: Classes = ERROR_CLASSES
    skip_on: Classes = ()


Groups = Annotated[tuple[ConnectorGroup, ...], Meta(max_length=16, description="Tried one after the other.")]


class RouteChange(Struct, forbid_unknown_fields=True, kw_only=True):
    """The fields to change. `connector` and `fallback_connectors` are one group tried in order; `account_id`, `prefix`,
    `purposes` and `senders` are of `match`, which replaces all of its conditions."""

    name: Name | UnsetType = UNSET
    match: Matching | UnsetType = UNSET
    groups: Groups | UnsetType = UNSET
    connector: ConnectorName | UnsetType = UNSET
    fallback_connectors: Fallbacks | UnsetType = UNSET
    position: Position | UnsetType = UNSET
    account_id: AccountId | UnsetType = UNSET
    prefix: Prefix | UnsetType = UNSET
    purposes: Purposes | UnsetType = UNSET
    senders: Senders | UnsetType = UNSET
    most_attempts: Attempts | UnsetType = UNSET
    max_cost: Amount | UnsetType | None = UNSET
    allow_loss: bool | UnsetType = UNSET
    status: Literal["active", "stopped"] | UnsetType = UNSET


class NewRoute(Struct, forbid_unknown_fields=True, kw_only=True):
    """A route; without a position it comes last. It leads to `groups`, or in short to `connector`, then to
    `fallback_connectors`; `account_id`, `prefix`, `purposes` and `senders` are short for those of `match`."""

    name: Name
    match: Matching | UnsetType = UNSET
    groups: Groups | UnsetType = UNSET
    connector: ConnectorName | UnsetType = UNSET
    fallback_connectors: Fallbacks | UnsetType = UNSET
    position: Position | None = None
    account_id: AccountId | UnsetType = UNSET
    prefix: Prefix | UnsetType = UNSET
    purposes: Purposes | UnsetType = UNSET
    senders: Senders | UnsetType = UNSET
    most_attempts: Attempts | None = None
    max_cost: Amount | None = None
    allow_loss: Annotated[bool, Meta(description="It may cost more than it earns.")] = False
    status: Literal["active", "stopped"] = "active"
    test: Annotated[bool, Meta(description="Carries messages of test keys, and leads to a test connector.")] = False


class RouteOut(Struct, frozen=True, kw_only=True):
    """A route."""

    id: Annotated[str, Meta(examples=["rte_006h3r8k2w0g4"])]
    name: str
    match: Matching
    groups: list[ConnectorGroup]
    connector: str
    fallback_connectors: list[str]
    position: int
    account_id: str | None
    prefix: str
    purposes: list[Purpose]
    senders: list[str]
    most_attempts: int
    max_cost: str | None
    allow_loss: bool
    status: Literal["active", "stopped"]
    test: bool
    created_at: Time


class AccountGroupOut(Struct, frozen=True, kw_only=True):
    """Accounts under one name, which routes use."""

    id: Annotated[str, Meta(examples=["agr_006h3r8k2w0g4"])]
    name: str
    account_ids: list[str]
    created_at: Time


# -- from outside --------------------------------------------------------------------------------------------------

_IN_MATCH = ("account_id", "prefix", "purposes", "senders")


def fields(call: Call, told: Mapping[str, Any]) -> dict[str, Any]:
    """What a body says, as `routing.create_route` and `update_route` take it. Raises Refused."""
    found = dict(told)
    if "match" in found:
        for name in _IN_MATCH:
            if name in found:
                raise Refused("invalid_value", f"{name} is part of match: say it once.", param=name)
        found |= _match(call, found["match"])
    if "groups" in found:
        for name in ("connector", "fallback_connectors"):
            if name in found:
                raise Refused("invalid_value", f"{name} and groups say the same: give one.", param=name)
        if not found["groups"]:
            raise Refused("route_without_connectors", param="groups")
        found["groups"] = tuple(_group(call, group, at) for at, group in enumerate(found["groups"]))
    if "connector" in found:
        found["connector_id"] = _connector(call, found.pop("connector"), "connector")
    if "fallback_connectors" in found:
        names = found.pop("fallback_connectors")
        found["fallback_connector_ids"] = tuple(
            _connector(call, name, f"fallback_connectors[{at}]") for at, name in enumerate(names)
        )
    if "account_id" in found:
        found["account_id"] = found["account_id"] and account_number(call, found["account_id"], "account_id")
    if "prefix" in found:
        found["prefix"] = found["prefix"].removeprefix("+")
    if found.get("max_cost") is not None:
        found["max_cost"] = micros(found["max_cost"])
    return found


def account_number(call: Call, text: str, param: str) -> int:
    number = ids.parse("acc", text)
    if number is None or accounts.directory(call.rt).account(number) is None:
        raise Refused("invalid_value", "There is no such account.", param=param)
    return number


def account_numbers(call: Call, texts: Sequence[str], param: str) -> tuple[int, ...]:
    return tuple(account_number(call, text, f"{param}[{at}]") for at, text in enumerate(texts))


async def worded(told: Mapping[str, Any], work: Awaitable[T]) -> T:
    """What the room does with a body; what it refuses names the field as it was written."""
    try:
        return await work
    except Refused as error:
        param = error.param and _written(told, error.param)
        raise Refused(error.code, error.message, param=param, action=error.action, details=error.details) from None


def _written(told: Mapping[str, Any], param: str) -> str:
    if "groups" in told:
        param = routing.long_param(param)
    if "match" in told:
        name, bracket, rest = param.partition("[")
        if name == "prefix":
            return "match.prefixes[0]"
        if name == "account_id":
            return "match.account_ids[0]"
        if name in ("purposes", "senders"):
            return f"match.{name}{bracket}{rest}"
    return param.replace("fallback_connector_ids", "fallback_connectors").replace("connector_id", "connector")


def _match(call: Call, told: Matching) -> dict[str, Any]:
    return {
        "prefix": "",
        "purposes": told.purposes,
        "senders": told.senders,
        "account_id": None,
        "match": Match(
            countries=told.countries,
            operators=told.operators,
            prefixes=told.prefixes,
            sender_kinds=told.sender_kinds,
            tags=told.tags,
            account_ids=account_numbers(call, told.account_ids, "match.account_ids"),
            account_groups=told.account_groups,
            times=tuple(_window(one, f"match.times[{at}]") for at, one in enumerate(told.times)),
            least=told.segments.least,
            most=told.segments.most,
        ),
    }


def _window(told: Times, param: str) -> Window:
    return Window(told.time_zone, told.days, _minute(told.start, f"{param}.start"), _minute(told.end, f"{param}.end"))


def _minute(text: str, param: str) -> int:
    minute = routing.minute_of(text)
    if minute is None or (minute == 1440 and param.endswith("start")):
        raise Refused("invalid_value", f"{text} is no such time of the day.", param=param)
    return minute


def _group(call: Call, told: ConnectorGroup, at: int) -> Group:
    members = [
        Member(_connector(call, one.connector, f"groups[{at}].connectors[{place}].connector"), one.weight)
        for place, one in enumerate(told.connectors)
    ]
    if not members:
        raise Refused("route_without_connectors", param=f"groups[{at}].connectors")
    return Group(tuple(members), told.strategy, told.leave_on, told.skip_on)


def _connector(call: Call, name: str, param: str) -> int:
    connector = connectors.book(call.rt).by_name(name)
    if connector is None:
        raise Refused("connector_unknown", f"There is no connector {name}.", param=param)
    return connector.id


# -- to the outside ------------------------------------------------------------------------------------------------


def route_out(call: Call, route: Route) -> RouteOut:
    name = call.house.pipeline.connector_name
    return RouteOut(
        id=ids.public("rte", route.id),
        name=route.name,
        match=_match_out(route),
        groups=[
            ConnectorGroup(
                connectors=tuple(
                    GroupMember(connector=name(one.connector_id), weight=one.weight) for one in group.connectors
                ),
                strategy=group.strategy,
                leave_on=group.leave_on,
                skip_on=group.skip_on,
            )
            for group in route.plan
        ],
        connector=name(route.connector_id),
        fallback_connectors=[name(number) for number in route.fallback_connector_ids],
        position=route.position,
        account_id=None if route.account_id is None else ids.public("acc", route.account_id),
        prefix=route.prefix,
        purposes=list(route.purposes),
        senders=list(route.senders),
        most_attempts=route.most_attempts,
        max_cost=None if route.max_cost is None else decimal(route.max_cost),
        allow_loss=route.allow_loss,
        status=route.status,
        test=route.test,
        created_at=rfc(route.created_at),
    )


def _match_out(route: Route) -> Matching:
    match = route.match
    own = () if route.account_id is None else (route.account_id,)
    return Matching(
        countries=match.countries,
        operators=match.operators,
        prefixes=tuple(prefix for prefix in route.prefixes if prefix or len(route.prefixes) > 1),
        senders=route.senders,
        sender_kinds=match.sender_kinds,
        purposes=route.purposes,
        tags=match.tags,
        account_ids=tuple(ids.public("acc", number) for number in (*own, *match.account_ids)),
        account_groups=match.account_groups,
        times=tuple(
            Times(days=one.days, start=routing.clock(one.start), end=routing.clock(one.end), time_zone=one.zone)
            for one in match.times
        ),
        segments=SegmentRange(least=match.least, most=match.most),
    )


def account_group_out(group: AccountGroup) -> AccountGroupOut:
    return AccountGroupOut(
        id=ids.public("agr", group.id),
        name=group.name,
        account_ids=[ids.public("acc", number) for number in group.account_ids],
        created_at=rfc(group.created_at),
    )
