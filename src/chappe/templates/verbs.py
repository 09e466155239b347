"""Templates: written, changed, handed in, decided, retired. The audit of each step is kept."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from chappe.accounts import Change, checked
from chappe.errors import Detail, Refused
from chappe.templates.model import MENDABLE, Action, Content, Template, Version, after
from chappe.templates.rendering import faults
from chappe.templates.room import book, found_template
from chappe.templates.store import TEMPLATES, VERSIONS, forget

if TYPE_CHECKING:
    from chappe.runtime import Runtime

MOST_TEMPLATES = 10_000  # of an account


async def create_template(rt: Runtime, actor: str, account_id: int, *, name: str, content: Content) -> Template:
    """With a draft as its first version. Raises Refused: template_invalid, invalid_value, duplicate_name."""
    check(content)
    if book(rt).named(account_id, name) is not None:
        raise Refused("duplicate_name", f"The account already has the template {name}.", param="name")
    if len(book(rt).of(account_id)) >= MOST_TEMPLATES:
        raise Refused("invalid_value", f"An account has at most {MOST_TEMPLATES} templates.", param="name")
    now = rt.clock.now()
    template = checked(Template(rt.ids.next(), account_id, name, latest=1, live=None, created_at=now, revision=0))
    change = Change(rt, actor)
    change.create(TEMPLATES, template)
    change.create(VERSIONS, _draft(rt, template, content))
    await change.commit()
    return template


async def update_template(rt: Runtime, actor: str, account_id: int, template_id: int, content: Content) -> Template:
    """A draft or rejected version is changed as it is; an approved or retired one stays, and a new draft follows it.

    Raises Refused: not_found, template_invalid, template_state (it is in review), conflict.
    """
    template = found_template(rt, account_id, template_id)
    before = book(rt).latest(template)
    check(content)
    change = Change(rt, actor)
    if before.status in MENDABLE:
        if content != before.content:
            change.update(VERSIONS, before, _moved(rt, before, status="draft", content=content))
    elif before.status == "review":
        raise Refused("template_state", f"Version {before.number} is in review: withdraw it first.")
    elif content != before.content:
        follows = _marked(template, latest=template.latest + 1)
        change.update(TEMPLATES, template, follows)
        change.create(VERSIONS, _draft(rt, follows, content))
        template = follows
    await change.commit()
    return template


async def step(
    rt: Runtime, actor: str, account_id: int | None, template_id: int, action: Action, reason: str | None = None
) -> Template:
    """Submit, withdraw, approve, reject or retire; what is approved takes the place of what was live.

    Raises Refused: not_found, template_state, conflict (somebody else was faster).
    """
    template = found_template(rt, account_id, template_id)
    known = book(rt)
    before = known.live(template) if action == "retire" else known.latest(template)
    status = None if before is None else after(before.status, action)
    if before is None or status is None:
        words = "no version is in use" if before is None else f"version {before.number} is {before.status}"
        raise Refused("template_state", f"This cannot be done: {words}.")
    change = Change(rt, actor)
    decided = {"decided_by": actor} if action in ("approve", "reject") else {}
    change.update(VERSIONS, before, _moved(rt, before, status=status, reason=reason, **decided), action)
    if action == "approve":
        replaced = known.live(template)
        if replaced is not None:
            change.update(VERSIONS, replaced, _moved(rt, replaced, status="retired"), "retire")
        change.update(TEMPLATES, template, _marked(template, live=before.number))
    elif action == "retire":
        change.update(TEMPLATES, template, _marked(template, live=None))
    await change.commit()
    return found_template(rt, account_id, template_id)


async def delete_template(rt: Runtime, actor: str, account_id: int, template_id: int) -> None:
    """With all its versions; the audit log keeps them. Raises Refused: not_found, in_use while a version is live."""
    template = found_template(rt, account_id, template_id)
    if template.live is not None:
        raise Refused("in_use", f"Version {template.live} of {template.name} is in use: retire it first.")
    change = Change(rt, actor)
    change.delete(TEMPLATES, template)
    change.also(forget(template))
    await change.commit()


async def versions_of(rt: Runtime, account_id: int, template_id: int) -> list[Version]:
    """Newest first. Raises Refused not_found."""
    return await VERSIONS.history(rt.store, found_template(rt, account_id, template_id))


def check(content: Content) -> None:
    """Raises Refused of the first thing that is wrong; all of them are in its details."""
    found = faults(content)
    if found:
        field, fault = found[0]
        details = [Detail(where, one.words) for where, one in found] if len(found) > 1 else ()
        raise Refused(fault.code, fault.words, param=field, details=details)


def _draft(rt: Runtime, template: Template, content: Content) -> Version:
    now = rt.clock.now()
    return Version(
        id=rt.ids.next(),
        account_id=template.account_id,
        template_id=template.id,
        number=template.latest,
        status="draft",
        content=content,
        reason=None,
        decided_by=None,
        created_at=now,
        changed_at=now,
        revision=0,
    )


def _marked(template: Template, **fields: Any) -> Template:
    return msgspec.structs.replace(template, **fields, revision=template.revision + 1)


def _moved(rt: Runtime, before: Version, **fields: Any) -> Version:
    return msgspec.structs.replace(before, **fields, changed_at=rt.clock.now(), revision=before.revision + 1)
