"""From a file and what is stored to the steps between them, and the one unit that takes them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from chappe.declared.document import Document
from chappe.declared.secrets import Secrets
from chappe.declared.section import Follows, Item, Key, Section, World, written
from chappe.errors import Refused
from chappe.routing import Edition
from chappe.secrets import HIDDEN

if TYPE_CHECKING:
    from chappe.runtime import Runtime


class Difference(NamedTuple):
    """A field as written in a file, `settings.port`; None for the default. Secrets are hidden."""

    field: str
    before: Any
    after: Any


@dataclass(frozen=True, slots=True)
class Step:
    """One thing to create, change or let go. `action` is what the audit log will say."""

    kind: Literal["create", "update", "delete"]
    action: str
    section: Section
    key: Key
    before: Any
    after: Any
    changes: tuple[Difference, ...] = ()


@dataclass(frozen=True, slots=True)
class Plan:
    """What `apply` will do. An empty one is the goal."""

    steps: tuple[Step, ...]
    notes: tuple[str, ...]

    def __bool__(self) -> bool:
        return bool(self.steps)

    @property
    def losses(self) -> tuple[Step, ...]:
        """The steps that take something away."""
        return tuple(step for step in self.steps if step.kind == "delete" or step.action in ("suspend", "revoke"))


def make_plan(
    rt: Runtime, sections: Sequence[Section], text: str, file: str, secrets: Secrets, *, prune: bool = False
) -> Plan:
    """Compare a file with what is stored. `prune` lets go of what the file does not name.

    Raises Invalid with every problem found and its line; nothing is written.
    """
    document = Document(text, file, sections)
    world = World(rt, secrets, stored={section.name: section.stored(rt) for section in sections})
    if prune:
        named = {(item.section.name, item.key) for item in document.items}
        world.retired = {
            name: {key for key in stored if (name, key) not in named and name != "accounts"}
            for name, stored in world.stored.items()
        }
    world.broken = document.broken
    _want(document, sections, world)
    steps = [step for section in sections for step in _steps(section, world, prune=prune)]
    return Plan(tuple(steps), tuple(world.notes))


async def apply_plan(rt: Runtime, plan: Plan, actor: str) -> None:
    """Take all steps in one unit: all or nothing. Raises Refused `conflict` or Unavailable."""
    change = Edition(rt, actor, "apply")
    for step in plan.steps:
        records = step.section.records
        if step.kind == "create":
            change.create(records, step.after)
        elif step.kind == "update":
            change.update(records, step.before, step.after, step.action)
        else:
            change.delete(records, step.before)
    await change.commit()


def _want(document: Document, sections: Sequence[Section], world: World) -> None:
    """Fill `world.wanted`, section by section, for later ones name what earlier ones made; then look at the whole."""
    made: list[tuple[Item, Any]] = []
    for section in sections:
        wanted = world.wanted.setdefault(section.name, {})
        for item in document.items:
            if item.section is not section:
                continue
            try:
                wanted[item.key] = section.wanted(item, world.stored[section.name].get(item.key), world)
                made.append((item, wanted[item.key]))
            except Refused as error:
                document.complain_of(item, error)
            except Follows:
                document.broken.add((section.name, item.key))
    document.check()
    for item, value in made:
        try:
            item.section.verify(item, value, world)
        except Refused as error:
            document.complain_of(item, error)
    document.check()


def _steps(section: Section, world: World, *, prune: bool) -> Iterator[Step]:
    stored, wanted = world.stored[section.name], world.wanted[section.name]
    for key, value in stored.items() if prune else ():
        if key in wanted:
            continue
        successor = section.retire(value, world.rt)
        if successor is None:
            yield Step("delete", "delete", section, key, value, None)
        elif successor[0] != value:
            yield Step("update", successor[1], section, key, value, successor[0])
    for key, value in wanted.items():
        before = stored.get(key)
        if before is None:
            yield Step("create", "create", section, key, None, value)
        elif before != value:
            changes = _differences(section, key, before, value, world)
            yield Step("update", "update", section, key, before, value, changes)


def _differences(section: Section, key: Key, before: Any, after: Any, world: World) -> tuple[Difference, ...]:
    old, new = (dict(_leaves(written(section.declare(key, v, -1, world)), "")) for v in (before, after))
    names = [name for name in {**old, **new} if old.get(name) != new.get(name)]
    secrets = [name for name in section.records.secret if getattr(before, name) != getattr(after, name)]
    return (
        *(Difference(name, old.get(name), new.get(name)) for name in names),
        *(Difference(name, HIDDEN, f"{HIDDEN} (new)") for name in secrets),
    )


def _leaves(plain: dict[str, Any], above: str) -> Iterator[tuple[str, Any]]:
    for name, value in plain.items():
        if isinstance(value, dict) and value:
            yield from _leaves(value, f"{above}{name}.")
        else:
            yield above + name, value
