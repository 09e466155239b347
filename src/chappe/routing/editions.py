"""Every change of the routes in force is a numbered version, kept for ever; any of them can be brought back.

A version holds what its change made of each route and each group of accounts. What was in force at an earlier number is
what is in force now with the changes since taken back, newest first.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias, TypeVar

import msgspec

from chappe.accounts import Change, Record, Records, directory
from chappe.errors import Detail, Refused
from chappe.routing.checking import Fault, Find, Known, check_routes
from chappe.routing.model import AccountGroup, Route, Step, Version
from chappe.routing.room import table
from chappe.routing.store import (
    ACCOUNT_GROUPS,
    GET_VERSION,
    LATEST_VERSION,
    LIST_VERSIONS,
    ROUTES,
    VERSIONS,
    VERSIONS_AFTER,
    steps_of,
    version_of,
)

if TYPE_CHECKING:
    from chappe.runtime import Runtime

T = TypeVar("T", Route, AccountGroup)
Kind: TypeAlias = Literal["change", "apply", "publish", "restore"]
_NO_END = 2**31 - 1


class Published(NamedTuple):
    """The routes and groups of accounts of a version, by id."""

    number: int
    routes: Mapping[int, Route]
    account_groups: Mapping[int, AccountGroup]

    @property
    def names(self) -> set[str]:
        """Of the groups of accounts."""
        return {group.name for group in self.account_groups.values()}


class Difference(NamedTuple):
    """A route or a group of accounts that is not the same in two sets; `fields` are those that differ."""

    records: Records[Any]
    before: Any
    after: Any
    fields: tuple[str, ...]

    @property
    def action(self) -> Literal["create", "update", "delete"]:
        return "create" if self.before is None else "delete" if self.after is None else "update"

    @property
    def object(self) -> Any:
        return self.after if self.before is None else self.before


class Edition(Change):
    """A change of configuration that makes a version of what it does to routes and their groups of accounts.

    With `base` it fails with `conflict` unless that is the latest version when it is written.
    """

    def __init__(
        self,
        rt: Runtime,
        actor: str,
        kind: Kind = "change",
        *,
        note: str = "",
        base: int | None = None,
        draft_id: int | None = None,
        restored: int | None = None,
    ) -> None:
        super().__init__(rt, actor)
        self._steps: list[tuple[str, str, Step]] = []
        number = 0 if base is None else base + 1
        self._version = Version(number, kind, actor, note, rt.clock.now(), draft_id, restored, 0)

    def create(self, records: Records[Any], value: Record) -> None:
        super().create(records, value)
        self._step("create", records, None, value)

    def update(self, records: Records[Any], before: Record, after: Record, action: str = "update") -> None:
        super().update(records, before, after, action)
        if before != after:
            self._step(action, records, before, after)

    def delete(self, records: Records[Any], value: Record) -> None:
        super().delete(records, value)
        self._step("delete", records, value, None)

    def take(self, differences: Iterable[Difference]) -> None:
        """Make of the routes what they are on the other side.

        Names that wander between routes would meet on the way: such routes go and come again, with their ids.
        """
        found = list(differences)
        left = {one.before.name for one in found if one.action == "update" and one.before.name != one.after.name}
        for one in found:
            if one.action == "create":
                self.create(one.records, one.after)
            elif one.action == "delete":
                self.delete(one.records, one.before)
            elif one.before.name != one.after.name and one.after.name in left:
                self.delete(one.records, one.before)
                self.create(one.records, one.after)
            else:
                self.update(one.records, one.before, one.after)

    async def commit(self) -> None:
        if self._steps:
            first = self._steps[0]
            note = f"{first[0]} {first[2].kind.replace('_', ' ')} {first[1]}"
            more = len(self._steps) - 1
            version = msgspec.structs.replace(
                self._version,
                note=self._version.note or (note + (f" and {more} more" if more else "")),
                changes=len(self._steps),
                content=tuple(step for _, _, step in self._steps),
            )
            self._created[VERSIONS] = [version]
        await super().commit()

    def _step(self, action: str, records: Records[Any], before: Any, after: Any) -> None:
        if records is ROUTES or records is ACCOUNT_GROUPS:
            kind: Literal["route", "account_group"] = "route" if records is ROUTES else "account_group"
            plain = (None if value is None else msgspec.to_builtins(value) for value in (before, after))
            self._steps.append((action, (after or before).name, Step(kind, *plain)))


# -- what was in force ---------------------------------------------------------------------------------------------


def present(rt: Runtime) -> Published:
    """What is in force, as far as this node knows."""
    known = table(rt)
    groups = {group.id: group for group in known.account_groups.values()}
    return Published(known.version, {route.id: route for route in known.routes}, groups)


async def published(rt: Runtime, number: int) -> Published:
    """What was in force in a version; 0 is what was there before the first. Raises Refused not_found."""
    now = present(rt)  # before the versions are read: they tell of all that it holds
    [[latest]] = await rt.store.read(LATEST_VERSION())
    if not 0 <= number <= latest:
        raise Refused("not_found", "There is no such version.")
    routes, groups = dict(now.routes), dict(now.account_groups)
    for (content,) in await rt.store.scan(VERSIONS_AFTER({"id": number})):
        for step in reversed(steps_of(content)):
            if step.kind == "route":
                _set_back(routes, step, Route)
            else:
                _set_back(groups, step, AccountGroup)
    return Published(number, routes, groups)


async def versions(rt: Runtime, *, before: int | None = None, limit: int = 50) -> list[Version]:
    """The newest first, without what they changed; `before` is a number."""
    rows = await rt.store.scan(LIST_VERSIONS({"before": _NO_END if before is None else before, "limit": limit}))
    return [version_of(row) for row in rows]


async def found_version(rt: Runtime, number: int) -> Version:
    """With what it changed. Raises Refused not_found."""
    rows = await rt.store.read(GET_VERSION({"id": min(number, _NO_END)}))
    if not rows:
        raise Refused("not_found", "There is no such version.")
    return version_of(rows[0])


async def restore(rt: Runtime, actor: str, find: Find, number: int, *, note: str = "") -> Version:
    """Bring back what was in force in a version, as a new one. Raises Refused: not_found, routes_faulty (what it names
    is gone), routes_unchanged, routes_changed (by somebody else just now)."""
    wanted, now = await published(rt, number), present(rt)
    refuse_faulty(check_routes([*wanted.routes.values()], [*wanted.account_groups.values()], known(rt, find, wanted)))
    note = note or f"restore version {number}"
    edition = Edition(rt, actor, "restore", note=note, base=now.number, restored=number)
    edition.take(differences(now, wanted))
    await finish(edition)
    return await found_version(rt, now.number + 1)


async def finish(edition: Edition) -> None:
    """Commit it. Raises Refused routes_unchanged, or routes_changed instead of `conflict`."""
    if not len(edition):
        raise Refused("routes_unchanged")
    try:
        await edition.commit()
    except Refused as error:
        raise (Refused("routes_changed") if error.code == "conflict" else error) from None


def differences(before: Published, after: Published) -> list[Difference]:
    """What must be done to the one set to make the other of it; groups of accounts first, then in order of position."""
    groups = _differences(ACCOUNT_GROUPS, before.account_groups, after.account_groups)
    routes = _differences(ROUTES, before.routes, after.routes)
    return groups + sorted(routes, key=lambda one: (one.object.position, one.object.id))


def difference_of(step: Step) -> Difference:
    """What a step of a version was."""
    kind: type[Route] | type[AccountGroup] = Route if step.kind == "route" else AccountGroup
    before, after = (None if plain is None else msgspec.convert(plain, kind) for plain in (step.before, step.after))
    records: Records[Any] = ROUTES if step.kind == "route" else ACCOUNT_GROUPS
    return Difference(records, before, after, _fields(before, after))


def known(rt: Runtime, find: Find, among: Published | None = None) -> Known:
    """What there is for routes to name; groups of accounts of a set, or those in force."""
    names = (among or present(rt)).names
    return Known(find, lambda number: directory(rt).account(number) is not None, names.__contains__)


def refuse_faulty(faults: Sequence[Fault]) -> None:
    """Raises Refused routes_faulty with a detail for each error."""
    details = [
        Detail(f"{fault.name}.{fault.param}" if fault.param else fault.name, fault.message)
        for fault in faults
        if fault.level == "error"
    ]
    if details:
        first = details[0]
        raise Refused("routes_faulty", f"{first.param}: {first.message}", param=first.param, details=details[:100])


def _differences(records: Records[Any], before: Mapping[int, T], after: Mapping[int, T]) -> list[Difference]:
    found = []
    for number in dict.fromkeys((*before, *after)):
        old, new = before.get(number), after.get(number)
        if old == new:
            continue
        found.append(Difference(records, old, new, _fields(old, new)))
    return found


def _fields(before: Any, after: Any) -> tuple[str, ...]:
    """The fields that differ of what is there before and after."""
    if before is None or after is None:
        return ()
    return tuple(name for name in before.__struct_fields__ if getattr(before, name) != getattr(after, name))


def _set_back(values: dict[int, T], step: Step, kind: type[T]) -> None:
    """As it was before the step."""
    if step.after is not None:
        values.pop(step.after["id"], None)
    if step.before is not None:
        value = msgspec.convert(step.before, kind)
        values[value.id] = value
