"""The sections of routes and of the groups of accounts that they name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import msgspec
from msgspec import Struct

from chappe import routing
from chappe.accounts import Purpose, checked
from chappe.billing import decimal
from chappe.billing.rating.amounts import micros
from chappe.declared.section import Follows, Item, Key, Section, World
from chappe.errors import Refused
from chappe.routing import (
    ERROR_CLASSES,
    AccountGroup,
    Day,
    ErrorClass,
    Group,
    Known,
    Match,
    Member,
    Route,
    SenderKind,
    Strategy,
    Window,
    check_route,
    long_param,
    minute_of,
    shaped,
    usual_attempts,
)

if TYPE_CHECKING:
    from chappe.runtime import Runtime


class AccountGroupForm(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """`accounts` are slugs."""

    name: str
    accounts: tuple[str, ...] = ()


class AccountGroups(Section):
    name = "account_groups"
    nested = False
    label = "name"
    shape = AccountGroupForm
    records = routing.ACCOUNT_GROUPS

    async def start(self, rt: Runtime) -> None:
        """The routes bring them."""

    def stored(self, rt: Runtime) -> dict[Key, Any]:
        return {(name,): group for name, group in routing.table(rt).account_groups.items()}

    def wanted(self, item: Item, before: AccountGroup | None, world: World) -> AccountGroup:
        form: AccountGroupForm = item.declared
        members = (world.named("accounts", slug, f"accounts[{at}]").id for at, slug in enumerate(form.accounts))
        account_ids = tuple(dict.fromkeys(members))
        if before is not None:
            return checked(msgspec.structs.replace(before, account_ids=account_ids))
        return checked(AccountGroup(world.rt.ids.next(), form.name, account_ids, world.rt.clock.now()))

    def declare(self, key: Key, value: AccountGroup, index: int, world: World) -> AccountGroupForm:
        return AccountGroupForm(value.name, tuple(world.name_of("accounts", number) for number in value.account_ids))


class TimesForm(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """`start` and `end` are written 22:00."""

    days: tuple[Day, ...] = ()
    start: str = "00:00"
    end: str = "24:00"
    time_zone: str = "UTC"


class SegmentsForm(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    least: int | None = None
    most: int | None = None


class MatchForm(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What a route looks at beside `account`, `prefix`, `purposes` and `senders`; `accounts` are slugs."""

    countries: tuple[str, ...] = ()
    operators: tuple[str, ...] = ()
    prefixes: tuple[str, ...] = ()
    sender_kinds: tuple[SenderKind, ...] = ()
    tags: tuple[str, ...] = ()
    accounts: tuple[str, ...] = ()
    account_groups: tuple[str, ...] = ()
    times: tuple[TimesForm, ...] = ()
    segments: SegmentsForm = SegmentsForm()


class MemberForm(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    connector: str
    weight: int = 1


class GroupForm(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    connectors: tuple[MemberForm, ...]
    strategy: Strategy = "order"
    leave_on: tuple[ErrorClass, ...] = ERROR_CLASSES
    skip_on: tuple[ErrorClass, ...] = ()


class RouteForm(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Without `position` routes come in the order in which they are written. Either `connector` and `fallbacks`, or
    `groups`; `max_cost` is written "0.07"."""

    name: str
    connector: str | None = None
    fallbacks: tuple[str, ...] = ()
    groups: tuple[GroupForm, ...] = ()
    account: str | None = None
    prefix: str = ""
    purposes: tuple[Purpose, ...] = ()
    senders: tuple[str, ...] = ()
    match: MatchForm = MatchForm()
    most_attempts: int | None = None
    max_cost: str | None = None
    allow_loss: bool = False
    status: Literal["active", "stopped"] = "active"
    test: bool = False
    position: int | None = None


class Routes(Section):
    name = "routes"
    nested = False
    label = "name"
    shape = RouteForm
    records = routing.ROUTES

    async def start(self, rt: Runtime) -> None:
        await routing.start(rt)

    def stored(self, rt: Runtime) -> dict[Key, Any]:
        return {(route.name,): route for route in routing.table(rt).routes}

    def wanted(self, item: Item, before: Route | None, world: World) -> Route:
        form: RouteForm = item.declared
        if (form.connector is None) == (not form.groups):
            words = "A route leads to a connector or to groups of them, not to both."
            raise Refused("route_without_connectors", words, param="groups" if form.groups else "connector")
        fallbacks = [
            world.named("connectors", name, f"fallbacks[{index}]").id for index, name in enumerate(form.fallbacks)
        ]
        route = shaped(
            Route(
                id=before.id if before is not None else world.rt.ids.next(),
                name=form.name,
                position=form.position if form.position is not None else _position(item.index),
                account_id=None if form.account is None else world.named("accounts", form.account, "account").id,
                prefix=form.prefix,
                purposes=form.purposes,
                senders=form.senders,
                connector_id=0 if form.connector is None else _connector(world, form.connector, "connector"),
                fallback_connector_ids=tuple(fallbacks),
                status=form.status,
                test=form.test,
                created_at=before.created_at if before is not None else world.rt.clock.now(),
                match=_match(form.match, world),
                groups=tuple(_group(group, at, world) for at, group in enumerate(form.groups)),
                most_attempts=1 if form.most_attempts is None else form.most_attempts,
                max_cost=_micros(form.max_cost),
                allow_loss=form.allow_loss,
            )
        )
        attempts = usual_attempts(route) if form.most_attempts is None else form.most_attempts
        return msgspec.structs.replace(route, most_attempts=attempts)

    def verify(self, item: Item, value: Route, world: World) -> None:
        by_id = {connector.id: connector for connector in world.after("connectors").values()}
        accounts = {account.id for account in world.after("accounts").values()}
        groups = {key[0] for key in world.after("account_groups")}
        try:
            check_route(value, Known(by_id.get, accounts.__contains__, groups.__contains__))
        except Refused as error:
            param = _param(item.declared, error.param or "")
            raise Refused(error.code, error.message, param=param, action=error.action) from None

    def declare(self, key: Key, value: Route, index: int, world: World) -> RouteForm:
        usual = value.most_attempts == usual_attempts(value)
        fallbacks = () if value.groups else value.fallback_connector_ids
        return RouteForm(
            name=value.name,
            connector=None if value.groups else world.name_of("connectors", value.connector_id),
            fallbacks=tuple(world.name_of("connectors", number) for number in fallbacks),
            groups=tuple(_group_form(group, world) for group in value.groups),
            account=None if value.account_id is None else world.name_of("accounts", value.account_id),
            prefix="" if value.match.prefixes else value.prefix,
            purposes=value.purposes,
            senders=value.senders,
            match=_match_form(value.match, world),
            most_attempts=None if usual else value.most_attempts,
            max_cost=None if value.max_cost is None else decimal(value.max_cost),
            allow_loss=value.allow_loss,
            status=value.status,
            test=value.test,
            position=None if value.position == _position(index) else value.position,
        )


def _position(index: int) -> int:
    return 10 * (index + 1)


def _connector(world: World, name: str, param: str) -> int:
    number: int = world.named("connectors", name, param).id
    return number


def _group(form: GroupForm, at: int, world: World) -> Group:
    members = [
        Member(_connector(world, one.connector, f"groups[{at}].connectors[{place}].connector"), one.weight)
        for place, one in enumerate(form.connectors)
    ]
    return Group(tuple(members), form.strategy, form.leave_on, form.skip_on)


def _group_form(group: Group, world: World) -> GroupForm:
    members = [MemberForm(world.name_of("connectors", one.connector_id), one.weight) for one in group.connectors]
    return GroupForm(tuple(members), group.strategy, group.leave_on, group.skip_on)


def _match(form: MatchForm, world: World) -> Match:
    for at, name in enumerate(form.account_groups):
        if ("account_groups", (name,)) in world.broken:
            raise Follows
        if (name,) not in world.after("account_groups"):
            raise Refused("invalid_value", f"There is no account group {name}.", param=f"match.account_groups[{at}]")
    accounts = [world.named("accounts", slug, f"match.accounts[{at}]").id for at, slug in enumerate(form.accounts)]
    return Match(
        countries=form.countries,
        operators=form.operators,
        prefixes=form.prefixes,
        sender_kinds=form.sender_kinds,
        tags=form.tags,
        account_ids=tuple(accounts),
        account_groups=form.account_groups,
        times=tuple(_window(one, f"match.times[{at}]") for at, one in enumerate(form.times)),
        least=form.segments.least,
        most=form.segments.most,
    )


def _match_form(match: Match, world: World) -> MatchForm:
    return MatchForm(
        countries=match.countries,
        operators=match.operators,
        prefixes=match.prefixes,
        sender_kinds=match.sender_kinds,
        tags=match.tags,
        accounts=tuple(world.name_of("accounts", number) for number in match.account_ids),
        account_groups=match.account_groups,
        times=tuple(
            TimesForm(one.days, routing.clock(one.start), routing.clock(one.end), one.zone) for one in match.times
        ),
        segments=SegmentsForm(match.least, match.most),
    )


def _window(form: TimesForm, param: str) -> Window:
    return Window(form.time_zone, form.days, _minute(form.start, f"{param}.start"), _minute(form.end, f"{param}.end"))


def _minute(text: str, param: str) -> int:
    minute = minute_of(text)
    if minute is None:
        raise Refused("invalid_value", f"{text} is no time of the day: write 22:00.", param=param)
    return minute


def _micros(text: str | None) -> int | None:
    try:
        return None if text is None else micros(text)
    except ValueError as error:
        raise Refused("invalid_value", f"{error}.", param="max_cost") from None


def _param(form: RouteForm, param: str) -> str:
    """The field of the form that a field of the route was made of."""
    if form.groups:
        param = long_param(param)
    if form.match.prefixes and param == "prefix":
        return "match.prefixes"
    param = param.replace("fallback_connector_ids", "fallbacks").replace("match.account_ids", "match.accounts")
    return param.removesuffix("_id")
