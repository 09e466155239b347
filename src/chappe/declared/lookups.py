"""The section of lookup sources."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from chappe import lookups
from chappe.declared.people import variable
from chappe.declared.secrets import SecretRef
from chappe.declared.section import Item, Key, Section, World
from chappe.errors import Refused
from chappe.lookups import CacheTimes, Field, Source

if TYPE_CHECKING:
    from chappe.runtime import Runtime


class LookupSourceForm(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A source; each of its credentials is a reference to a secret."""

    name: str
    kind: str
    countries: tuple[str, ...] = ()
    position: int = 100
    gives: tuple[Field, ...] = ()
    cost: Annotated[str, Meta(pattern=r"^[0-9]{1,3}(\.[0-9]{1,6})?$")] = "0"
    currency: str = "EUR"
    cache: CacheTimes = CacheTimes()
    timeout_s: float | None = None
    concurrency: int | None = None
    settings: dict[str, Any] = {}
    credentials: dict[str, SecretRef | str] = {}
    status: Literal["active", "stopped"] = "active"


class LookupSources(Section):
    name = "lookup_sources"
    nested = False
    label = "name"
    shape = LookupSourceForm
    records = lookups.SOURCES

    async def start(self, rt: Runtime) -> None:
        await lookups.load(rt)

    def stored(self, rt: Runtime) -> dict[Key, Any]:
        return {(source.name,): source for source in lookups.chain(rt).declared.values()}

    def wanted(self, item: Item, before: Source | None, world: World) -> Source:
        form: LookupSourceForm = item.declared
        if before is not None and before.kind != form.kind:
            raise Refused("invalid_value", "kind of a lookup source cannot be changed.", param="kind")
        known = None if before is None else _opened(before, world)
        credentials = _credentials(form, known, world)
        fresh = lookups.new_source(
            world.rt,
            name=form.name,
            kind=form.kind,
            countries=form.countries,
            position=form.position,
            gives=form.gives,
            cost_micros=int(Decimal(form.cost) * 1_000_000),
            currency=form.currency,
            cache=form.cache,
            timeout_s=form.timeout_s,
            concurrency=form.concurrency,
            settings=form.settings,
            credentials=credentials,
            status=form.status,
        )
        if before is None:
            return fresh
        # sealing twice never looks alike: the stored text stays where it says the same
        sealed = before.credentials if credentials == known else fresh.credentials
        return msgspec.structs.replace(fresh, id=before.id, created_at=before.created_at, credentials=sealed)

    def declare(self, key: Key, value: Source, index: int, world: World) -> LookupSourceForm:
        names = _flat(_opened(value, world)) if value.credentials else {}
        return LookupSourceForm(
            name=value.name,
            kind=value.kind,
            countries=value.countries,
            position=value.position,
            gives=value.gives,
            cost=lookups.decimal(value.cost_micros),
            currency=value.currency,
            cache=value.cache,
            timeout_s=value.timeout_s,
            concurrency=value.concurrency,
            settings=value.settings,
            credentials={name: SecretRef(env=variable("lookup_source", value.name, name)) for name in names},
            status=value.status,
        )


def _credentials(form: LookupSourceForm, known: Any, world: World) -> Any:
    """Plain values as the room takes them; what a missing variable names is kept as it is stored."""
    if not form.credentials:
        return None
    stored = _flat(known)
    found = {}
    for name, reference in form.credentials.items():
        param, what = f"credentials.{name}", f"lookup source {form.name}"
        read = world.secret(reference, param, what, stored=name in stored)
        found[name] = stored[name] if read is None else read
    return {"secrets": found} if form.kind == "template" else found


def _opened(source: Source, world: World) -> Any:
    """None for what another secret key has sealed."""
    try:
        return lookups.credentials_of(source, world.rt.vault)
    except ValueError:
        return None


def _flat(credentials: Any) -> dict[str, str]:
    """By name, those of a template too."""
    if not credentials:
        return {}
    return dict(credentials.get("secrets", {})) if "secrets" in credentials else dict(credentials)
