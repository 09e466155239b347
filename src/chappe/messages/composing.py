"""From a template and values to what is sent: the text, and what the register of the country wants on the wire.

Only the approved version of a template is sent. Nothing here touches a table: templates, senders and rules are in
memory, and bodies are kept compiled.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from chappe import accounts, law, numbers, senders, templates
from chappe.accounts import Purpose
from chappe.errors import Refused
from chappe.messages.wording import HOUR_MS
from chappe.numbers import NumberError
from chappe.templates import Content, Fault

if TYPE_CHECKING:
    from chappe.runtime import Runtime

Tlvs = tuple[tuple[int, bytes], ...]


class Use(NamedTuple):
    """Which template, by id or by name; which version, the approved one if none is named; for whom."""

    id: int | None
    name: str | None
    version: int | None
    locale: str | None
    variables: Mapping[str, object]


class Composed(NamedTuple):
    """What a template became. `label` is what history says of it: `order-shipped@3/fr`."""

    text: str
    purpose: Purpose
    sender: str | None
    label: str
    tlvs: Tlvs


def compose(rt: Runtime, account_id: int, use: Use, to: str, sender: str | None = None) -> Composed:
    """`sender` is what the request names; else the template's counts.

    Raises Refused, with a field below `template`: template_unknown, template_not_approved, template_locale,
    template_value, template_variable_missing, template_not_registered.
    """
    name, number, content = _found(rt, account_id, use)
    made = _rendered(content, use)
    sender = sender or content.sender
    tlvs = _registered(rt, account_id, name, content, to, sender)
    return Composed(made.text, content.purpose, sender, f"{name}@{number}/{made.locale}", tlvs)


def _found(rt: Runtime, account_id: int, use: Use) -> tuple[str, int, Content]:
    """(name, number of the version, content) of what is to be sent."""
    book = templates.book(rt)
    param = "template.name" if use.id is None else "template.id"
    found = book.named(account_id, use.name or "") if use.id is None else book.get(account_id, use.id)
    if found is None:
        raise Refused("template_unknown", param=param)
    live = book.live(found)
    if use.version is not None and (live is None or use.version != live.number):
        if not 1 <= use.version <= found.latest:
            words = f"{found.name} has no version {use.version}."
            raise Refused("template_unknown", words, param="template.version")
        instead = "" if live is None else f" Version {live.number} is in use."
        words = f"Version {use.version} of {found.name} is not the approved one.{instead}"
        raise Refused("template_not_approved", words, param="template.version")
    if live is None:
        raise Refused("template_not_approved", f"No version of {found.name} is approved.", param=param)
    return found.name, live.number, live.content


def _rendered(content: Content, use: Use) -> templates.Rendered:
    try:
        return templates.render(content, use.variables, use.locale)
    except Fault as fault:
        if fault.code == "template_locale":
            raise Refused(fault.code, fault.words, param="template.locale") from None
        param = f"template.variables.{fault.variable}" if fault.variable else "template.variables"
        lacking = fault.variable in content.variables and use.variables.get(fault.variable or "") is None
        raise Refused("template_variable_missing" if lacking else fault.code, fault.words, param=param) from None


# -- what registers ask --------------------------------------------------------------------------------------------


class _Register(NamedTuple):
    """What a country asks of templates: the rule by which each has to be registered, and the tags of the TLVs in which
    its operators look for the ids."""

    needed: law.Rule | None
    entity: int | None
    template: int | None
    chain: int | None


def _registered(rt: Runtime, account_id: int, name: str, content: Content, to: str, sender: str | None) -> Tlvs:
    """The ids of the template in the country of the number, as its operators want them."""
    try:
        country = numbers.parse(to).country
    except NumberError:
        return ()  # refused for its number, a moment later
    register = _register(country, content.purpose, rt.clock.now() // HOUR_MS, law.book(rt).own(account_id))
    known = content.registrations.get(country)
    if known is None:
        if register.needed is not None:
            words = f"{name} has no registration in {country}. {register.needed.note} [{register.needed.name}]"
            raise Refused("template_not_registered", words, param="template")
        return ()
    entity = known.entity_id or (None if register.entity is None else _entity(rt, account_id, country, sender))
    given = ((register.entity, entity), (register.template, known.template_id), (register.chain, known.chain_hash))
    return tuple((tag, value.encode()) for tag, value in given if tag is not None and value is not None)


@lru_cache(maxsize=4_096)
def _register(country: str, purpose: str, hour: int, own: law.Own) -> _Register:
    """Of the rules in force in that hour (since the epoch)."""
    rules = law.rules(country, hour * HOUR_MS, purpose=purpose, own=own)
    bans = [rule for rule in rules if rule.kind == "ban" and rule.value == "text_without_template" and rule.blocks]
    figures = dict(rule.value.split("=", 1) for rule in rules if rule.kind == "parameter")
    tags = [figures.get(f"{what}_tlv") for what in ("entity_id", "template_id", "chain_hash")]
    return _Register(bans[0] if bans else None, *(None if tag is None else int(tag, 16) for tag in tags))


def _entity(rt: Runtime, account_id: int, country: str, address: str | None) -> str | None:
    """Of the sender's own registration, where the template names none."""
    account = accounts.directory(rt).account(account_id)
    address = address or (None if account is None else account.default_sender)
    book = senders.book(rt)
    sender = None if address is None else book.find(account_id, address)
    if sender is None:
        return None
    now = rt.clock.now()
    held = [one for one in book.registrations_of(sender.id, country) if one.holds(now)]
    return next((one.particulars.dlt_entity_id for one in held if one.particulars.dlt_entity_id), None)


__all__ = ["Composed", "Tlvs", "Use", "compose"]
