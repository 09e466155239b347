"""Sources: created, changed, deleted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from chappe.accounts import Change, checked
from chappe.errors import Refused
from chappe.lookups.kinds import credentials_of, read_credentials, read_settings, usual
from chappe.lookups.report import CacheTimes
from chappe.lookups.room import chain
from chappe.lookups.sources import Source, changed, check
from chappe.lookups.store import SOURCES

if TYPE_CHECKING:
    from chappe.runtime import Runtime


def new_source(rt: Runtime, *, name: str, kind: str, credentials: Any = None, **fields: Any) -> Source:
    """A source with the defaults of its kind for what is not given. `settings` and `credentials` are plain mappings.

    Raises Refused: invalid_value, invalid_type, missing_field, unknown_field (param `settings.root`).
    """
    settings = read_settings(kind, fields.pop("settings", None) or {})
    known = usual(kind, settings)
    source = Source(
        id=rt.ids.next(),
        name=name,
        kind=kind,  # type: ignore[arg-type]  # `checked` looks at it
        countries=tuple(fields.pop("countries", ())),
        position=fields.pop("position", 100),
        gives=tuple(fields.pop("gives", None) or known.gives),
        cost_micros=fields.pop("cost_micros", 0),
        currency=fields.pop("currency", "EUR"),
        cache=fields.pop("cache", None) or CacheTimes(),
        timeout_s=float(fields.pop("timeout_s", None) or known.timeout_s),
        concurrency=fields.pop("concurrency", None) or known.concurrency,
        settings=settings,
        credentials=read_credentials(kind, settings, credentials, rt.vault),
        status=fields.pop("status", "active"),
        created_at=rt.clock.now(),
    )
    assert not fields, f"a source has no {', '.join(fields)}"
    source = checked(source)
    check(source)
    return source


async def create_source(rt: Runtime, actor: str, **fields: Any) -> Source:
    """Fields as in `new_source`. Raises Refused, also duplicate_name."""
    source = new_source(rt, **fields)
    check_name(source.name, None, chain(rt).declared.values())
    change = Change(rt, actor)
    change.create(SOURCES, source)
    await change.commit()
    return source


async def update_source(rt: Runtime, actor: str, source_id: int, **fields: Any) -> Source:
    """Change what is given; the kind stays. `settings` holds the fields that change, each as a whole.

    Raises Refused: not_found, and those of `create_source`.
    """
    before = found_source(rt, source_id)
    after = with_changes(rt, before, **fields)
    check_name(after.name, before.id, chain(rt).declared.values())
    change = Change(rt, actor)
    change.update(SOURCES, before, after)
    await change.commit()
    return after


def with_changes(rt: Runtime, before: Source, **fields: Any) -> Source:
    """The source as it becomes. Raises Refused."""
    settings = read_settings(before.kind, {**before.settings, **fields.pop("settings", {})})
    if "credentials" in fields:
        fields["credentials"] = read_credentials(before.kind, settings, fields["credentials"], rt.vault)
    elif settings != before.settings:
        read_credentials(before.kind, settings, _stored(rt, before), rt.vault)
    after = checked(changed(before, settings=settings, **fields))
    check(after)
    return after


def _stored(rt: Runtime, source: Source) -> Any:
    try:
        return credentials_of(source, rt.vault)
    except ValueError:
        raise Refused(
            "missing_field", "The stored credentials cannot be read: give them anew.", param="credentials"
        ) from None


async def delete_source(rt: Runtime, actor: str, source_id: int) -> None:
    """What it has said is used no more, and goes when its time is over. Raises Refused not_found."""
    change = Change(rt, actor)
    change.delete(SOURCES, found_source(rt, source_id))
    await change.commit()


def found_source(rt: Runtime, source_id: int) -> Source:
    source = chain(rt).declared.get(source_id)
    if source is None:
        raise Refused("not_found", "There is no such lookup source.")
    return source


def check_name(name: str, own_id: int | None, others: Any) -> None:
    """Raises Refused duplicate_name."""
    if any(other.name == name and other.id != own_id for other in others):
        raise Refused("duplicate_name", f"There is already a lookup source {name}.", param="name")
