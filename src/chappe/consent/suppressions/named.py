"""Lists of suppressions: made, filled, counted, deleted as a whole."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Sequence
from itertools import islice
from typing import TYPE_CHECKING

from chappe import ids, jobs
from chappe.consent.model import Channel, Cover, Reason, Source
from chappe.consent.recording import announce, suppress
from chappe.consent.room import TOPIC
from chappe.consent.store import ADD_SUPPRESSIONS
from chappe.consent.suppressions import store
from chappe.consent.suppressions.adding import Whose, audit, bare_rows, known, merged, place_of
from chappe.consent.suppressions.model import COVERED, MOST_LISTS, Imported, SuppressionList, Wanted
from chappe.errors import Refused
from chappe.storage import Conflict, Op

if TYPE_CHECKING:
    from chappe.runtime import Runtime

DELETE = "consent.delete_list"  # the kind of the job
SLICE = 500  # rows a unit
LATEST = (1 << 63) - 1


async def create_list(
    rt: Runtime,
    actor: str,
    whose: Whose,
    *,
    name: str,
    reason: Reason = "list",
    channel: Channel = "any",
    covers: Cover | None = None,
    note: str = "",
    expires_at: int | None = None,
) -> SuppressionList:
    """Raises Refused: duplicate_name, conflict (too many), Unavailable."""
    [(count,)] = await rt.store.read(store.COUNT_LISTS({"account_id": whose.account_id, "test": int(whose.test)}))
    if count >= MOST_LISTS:
        raise Refused("conflict", f"An account has at most {MOST_LISTS} lists.", action="Delete one first.")
    made = SuppressionList(
        id=rt.ids.next(),
        account_id=whose.account_id,
        test=whose.test,
        name=name,
        reason=reason,
        channel=channel,
        covers=covers or COVERED[reason],
        note=note,
        expires_at=expires_at,
        created_at=rt.clock.now(),
        created_by=actor,
        imported_at=None,
        deleted_at=None,
    )
    fields = [getattr(made, field) for field in made.__struct_fields__]
    fields[2] = int(made.test)
    try:
        await rt.store.write(store.ADD_LIST([fields], expect=1), _audited(rt, actor, made, "create"))
    except Conflict:
        words = f"There is a list {name} already; one that is being deleted keeps its name until its rows are gone."
        raise Refused("duplicate_name", words, param="name") from None
    return made


async def lists(
    rt: Runtime, whose: Whose, *, before: int | None = None, limit: int = 50
) -> list[tuple[SuppressionList, int]]:
    """The newest first, each with its size; `before` is the last id of the page before. Raises Unavailable."""
    what = {"account_id": whose.account_id, "test": int(whose.test)}
    asked = what | {"before": LATEST if before is None else before, "limit": limit}
    found = [store.suppression_list(row) for row in await rt.store.scan(store.LISTS(asked))]
    sizes = await _sizes(rt, whose, [one.name for one in found])
    return [(one, sizes.get(one.name, 0)) for one in found]


async def size(rt: Runtime, found: SuppressionList) -> int:
    sizes = await _sizes(rt, Whose(found.account_id, found.test), [found.name])
    return sizes.get(found.name, 0)


async def _sizes(rt: Runtime, whose: Whose, names: Sequence[str]) -> dict[str, int]:
    asked = {"account_id": whose.account_id, "test": int(whose.test), "names": list(names)}
    return dict(await rt.store.scan(store.SIZES(asked))) if names else {}


async def found_list(rt: Runtime, account_ids: Container[int], test: bool, number: int) -> SuppressionList:
    """Raises Refused not_found, also for one of another account."""
    rows = await rt.store.read(store.LIST({"id": number}))
    found = store.suppression_list(rows[0]) if rows else None
    if found is None or found.account_id not in account_ids or found.test is not test:
        raise Refused("not_found", "There is no such list.", param="id")
    return found


async def list_named(rt: Runtime, whose: Whose, name: str) -> SuppressionList:
    """Raises Refused: not_found, list_being_deleted."""
    asked = {"account_id": whose.account_id, "test": int(whose.test), "name": name}
    rows = await rt.store.read(store.LIST_NAMED(asked))
    if not rows:
        raise Refused("not_found", f"There is no list {name[:60]}.", param="list")
    found = store.suppression_list(rows[0])
    if found.deleted_at is not None:
        raise Refused("list_being_deleted", param="list")
    return found


def of_list(found: SuppressionList, one: Wanted) -> Wanted:
    """A row of a list, with what the list says of all its rows."""
    return one._replace(
        channel=found.channel if one.channel == "any" else one.channel,
        covers=one.covers or found.covers,
        expires_at=found.expires_at if one.expires_at is None else one.expires_at,
        list_name=found.name,
        reason=found.reason,
    )


async def import_rows(
    rt: Runtime,
    actor: str,
    found: SuppressionList,
    rows: Iterable[Wanted],
    *,
    source: Source = "import",
    tell: Callable[[int], None] | None = None,
) -> Imported:
    """Put rows that were checked on a list, in slices, each announced here when it is committed, on other nodes at the
    end; `tell` hears how many are done. The same rows again change nothing.

    Raises Refused list_being_deleted, Unavailable."""
    left, done, added = iter(rows), 0, 0
    while slice_ := list(islice(left, SLICE)):
        added += await _put(rt, found, [of_list(found, one) for one in slice_], source)
        done += len(slice_)
        if tell is not None:
            tell(done)
    if done:
        # other nodes look now: a look for each slice would read the same rows again and again
        await rt.store.write(_audited(rt, actor, found, "import", rows=done, added=added), wake=(TOPIC,))
    return Imported(done, added, done - added)


async def _put(rt: Runtime, found: SuppressionList, slice_: Sequence[Wanted], source: Source) -> int:
    """Write one slice, of what is there already only what becomes stricter; gives how many rows are new."""
    whose = Whose(found.account_id, found.test)
    wanted = merged((place_of(rt, whose, one), one) for one in slice_)
    keys = list({place[0] for place in wanted})
    held = await known(rt, keys)
    new = bare_rows(rt, whose, [(place, one) for place, one in wanted.items() if place not in held], source)
    weak = [(place, one) for place, one in wanted.items() if place in held and not held[place].stands(one)]
    touch = store.TOUCH_LIST({"id": found.id, "now": rt.clock.now()}, expect=1)
    try:
        _, fresh, *_ = await rt.store.write(touch, ADD_SUPPRESSIONS(new), *suppress(bare_rows(rt, whose, weak, source)))
        if fresh < len(new):  # somebody else was faster with some of them
            await rt.store.write(touch, *suppress(new))
    except Conflict:
        raise Refused("list_being_deleted", param="id") from None
    announce(rt, keys)
    return int(fresh)


async def delete_list(rt: Runtime, actor: str, found: SuppressionList) -> None:
    """A job deletes its rows in slices, then the list; what a person said stays. Twice is no error."""
    if found.deleted_at is not None:
        return
    try:
        await rt.store.write(
            store.MARK_LIST({"id": found.id, "now": rt.clock.now()}, expect=1),
            _audited(rt, actor, found, "delete"),
            rt.jobs.enqueue(DELETE, {"id": found.id}),
            wake=(jobs.TOPIC,),
        )
    except Conflict:  # somebody else did at this moment
        return


async def empty_list(rt: Runtime, payload: dict[str, int]) -> list[Op] | None:
    """The job: its rows, then the list itself. It may begin again anywhere."""
    rows = await rt.store.read(store.LIST({"id": payload["id"]}))
    if not rows:
        return None
    found = store.suppression_list(rows[0])
    what = {"account_id": found.account_id, "test": int(found.test), "name": found.name, "limit": SLICE}
    dropped = SLICE
    while dropped == SLICE:
        [dropped] = await rt.store.write(store.DROP_LISTED(what))
    return [store.DROP_LIST({"id": found.id})]


def _audited(rt: Runtime, actor: str, found: SuppressionList, action: str, **more: int) -> Op:
    told = {"name": found.name, "reason": found.reason, "covers": found.covers, **more}
    before, after = (told, None) if action == "delete" else (None, told)
    whose = Whose(found.account_id, found.test)
    return audit(rt, whose, actor, action, "suppression_list", ids.public("sul", found.id), after, before)
