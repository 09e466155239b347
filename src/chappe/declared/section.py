"""What a section of the file is: an adapter between `[[connectors]]` as written and a room's records."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

import msgspec
from msgspec import Struct

from chappe.accounts import Account, Records, directory
from chappe.declared.secrets import Secrets
from chappe.errors import Refused

if TYPE_CHECKING:
    from chappe.runtime import Runtime

Key = tuple[str, ...]
"""What names a thing in a file: (account's slug, name) in a nested section, (name,) elsewhere."""


@dataclass(frozen=True, slots=True)
class Item:
    """One element as written: its section, its name, its place in the text, and its decoded form."""

    section: Section
    key: Key
    path: tuple[str | int, ...]
    index: int
    declared: Any


class Follows(Exception):
    """The item names another one that is wrong itself and has been complained about."""


@dataclass(slots=True)
class World:
    """What a plan knows: what is stored and what the file wants, by section and name."""

    rt: Runtime
    secrets: Secrets
    stored: dict[str, dict[Key, Any]] = field(default_factory=dict)
    wanted: dict[str, dict[Key, Any]] = field(default_factory=dict)
    retired: dict[str, set[Key]] = field(default_factory=dict)
    broken: set[tuple[str, Key]] = field(default_factory=set)
    notes: list[str] = field(default_factory=list)

    def after(self, section: str) -> Mapping[Key, Any]:
        """Everything of a section as it will be."""
        gone = self.retired.get(section, set())
        kept = {key: value for key, value in self.stored.get(section, {}).items() if key not in gone}
        return kept | self.wanted.get(section, {})

    def named(self, section: str, name: str, param: str) -> Any:
        """The value of that name; raises Refused, or Follows."""
        known = self.after(section)
        if (section, (name,)) in self.broken:
            raise Follows
        if (name,) not in known:
            names = ", ".join(sorted(key[0] for key in known)) or "none"
            code = "connector_unknown" if section == "connectors" else "invalid_value"
            raise Refused(
                code, f"There is no {section.removesuffix('s')} {name}.", param=param, action=f"There are: {names}."
            )
        return known[(name,)]

    def name_of(self, section: str, number: int) -> str:
        """The name of the value with this id, be it there still or already."""
        both = (self.stored.get(section, {}), self.wanted.get(section, {}))
        return next(key[0] for known in both for key, value in known.items() if value.id == number)

    def account(self, key: Key) -> Account:
        """The account that a nested item stands in; raises Follows."""
        account: Account | None = self.wanted["accounts"].get(key[:1])
        if account is None:
            raise Follows
        return account

    def secret(self, reference: Any, param: str, what: str, *, stored: bool) -> str | None:
        """A referenced secret. None keeps the stored one, where there is one; else raises Refused."""
        text = None if reference is None else self.secrets.read(reference, param)
        if text is None and not stored:
            if reference is None:
                raise Refused(
                    "missing_field", f"{param} is missing.", param=param, action=f'Add {param} = {{ env = "NAME" }}.'
                )
            raise Refused("invalid_value", f"The {reference} does not exist.", param=param, action="Set it.")
        if text is None and reference is not None:
            self.notes.append(f"{what}: the {reference} does not exist, so the stored {param} is kept")
        return text


class Section(ABC):
    """One kind of thing in the file. A new one is a subclass and a place in `SECTIONS`."""

    name: ClassVar[str]  # the key in the file
    nested: ClassVar[bool]  # below [[accounts]]
    label: ClassVar[str]  # the field that names an element
    shape: ClassVar[type[Struct]]  # an element as written
    records: ClassVar[Records[Any]]  # where it is stored

    @abstractmethod
    async def start(self, rt: Runtime) -> None:
        """Load the room's snapshot."""

    @abstractmethod
    def stored(self, rt: Runtime) -> dict[Key, Any]:
        """All that is stored, by name."""

    @abstractmethod
    def wanted(self, item: Item, before: Any | None, world: World) -> Any:
        """The value that the item asks for; equal to `before` if nothing changes. Raises Refused with a `param`."""

    @abstractmethod
    def declare(self, key: Key, value: Any, index: int, world: World) -> Struct:
        """The value as it is written in a file."""

    def verify(self, item: Item, value: Any, world: World) -> None:
        """A look at the value among all others, when every item is known. Raises Refused."""
        return None

    def retire(self, value: Any, rt: Runtime) -> tuple[Any, str] | None:
        """How a value goes that the file no longer has: None deletes it, else it becomes this one by that action."""
        return None

    def name_of(self, declared: Any) -> str:
        return str(getattr(declared, self.label))


def slugs(rt: Runtime) -> dict[int, str]:
    """The slug of each account."""
    return {account.id: account.slug for account in directory(rt).accounts.values()}


def written(form: Struct) -> dict[str, Any]:
    """A form, or a Struct within one, as plain values without its defaults."""
    plain = {}
    for info in msgspec.structs.fields(form):
        value = getattr(form, info.name)
        default = info.default_factory() if info.default_factory is not msgspec.NODEFAULT else info.default
        if value != default:
            plain[info.name] = _plain(value)
    return plain


def _plain(value: Any) -> Any:
    if isinstance(value, Struct):
        return written(value)
    if isinstance(value, dict):
        return {name: _plain(inner) for name, inner in value.items()}
    return [_plain(inner) for inner in value] if isinstance(value, list | tuple) else value
