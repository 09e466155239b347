"""The room in memory: templates with their latest and live versions, loaded and followed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from chappe.accounts import snapshot
from chappe.errors import Refused
from chappe.snapshots import Snapshot
from chappe.storage import Store
from chappe.templates.model import Template, Version
from chappe.templates.store import ROOM, TEMPLATES, VERSIONS

if TYPE_CHECKING:
    from chappe.runtime import Runtime


class Book:
    """All templates, one consistent version."""

    def __init__(self, templates: Iterable[Template], versions: Iterable[Version]) -> None:
        self._by_id = {one.id: one for one in templates}
        self._names = {(one.account_id, one.name): one for one in self._by_id.values()}
        self._accounts: defaultdict[int, list[Template]] = defaultdict(list)
        for one in self._by_id.values():
            self._accounts[one.account_id].append(one)
        self._versions = {(one.template_id, one.number): one for one in versions}

    def of(self, account_id: int) -> Sequence[Template]:
        return self._accounts.get(account_id, ())

    def get(self, account_id: int, template_id: int) -> Template | None:
        """None also for a template of another account."""
        found = self._by_id.get(template_id)
        return found if found is not None and found.account_id == account_id else None

    def any(self, template_id: int) -> Template | None:
        """Whosever it is: for the operator."""
        return self._by_id.get(template_id)

    def named(self, account_id: int, name: str) -> Template | None:
        return self._names.get((account_id, name))

    def latest(self, template: Template) -> Version:
        return self._versions[template.id, template.latest]

    def live(self, template: Template) -> Version | None:
        """The approved version that is in use."""
        return None if template.live is None else self._versions.get((template.id, template.live))

    def in_review(self) -> list[tuple[Template, Version]]:
        """What waits for the operator, of all accounts."""
        pairs = [(one, self.latest(one)) for one in self._by_id.values()]
        return [pair for pair in pairs if pair[1].status == "review"]


async def start(rt: Runtime) -> None:
    """Read the room's tables and follow them."""

    async def load(store: Store) -> Book:
        # templates first: a version that comes in between is one more, not one that is missing
        templates = await TEMPLATES.load(store)
        versions = {(one.template_id, one.number): one for one in await VERSIONS.load(store)}
        whole = [one for one in templates if (one.id, one.latest) in versions]
        return Book(whole, versions.values())

    await rt.snapshots.add(Snapshot(ROOM, load))


def book(rt: Runtime) -> Book:
    value = snapshot(rt, ROOM).value
    assert isinstance(value, Book)
    return value


def found_template(rt: Runtime, account_id: int | None, template_id: int) -> Template:
    """Of any account where `account_id` is None. Raises Refused not_found."""
    known = book(rt)
    found = known.any(template_id) if account_id is None else known.get(account_id, template_id)
    if found is None:
        raise Refused("not_found", "There is no such template.", param="id")
    return found
