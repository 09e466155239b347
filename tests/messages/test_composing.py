"""Composing: from an approved template and values to a text, and to what India's registers want beside it."""

from __future__ import annotations

from typing import Any

import pytest

from chappe import accounts, consent, law, senders, templates
from chappe.errors import Refused
from chappe.messages.composing import Composed, Use, compose
from chappe.senders import Particulars
from chappe.templates import Content, Registered, Variable
from tests.messages.conftest import World, world

__all__ = ["world"]

PARIS, DELHI, SEOUL = "+33612345678", "+919876543210", "+821012345678"
BODIES = {"default": "{{ name }}, {{ order }} left.", "fr": "{{ name }}, {{ order }} est parti."}
VARIABLES = {
    "name": Variable(example="Ada", max_length=20),
    "order": Variable(type="code", example="A-1"),
    "note": Variable(example="x", optional=True),
}
ENTITY, TEMPLATE, CHAIN = "1101234567890123456", "1107160000000012345", "c0ffee"


def content(**more: Any) -> Content:
    fields: dict[str, Any] = {"bodies": BODIES, "variables": VARIABLES}
    return Content(**(fields | more))


async def live(world: World, name: str = "order-shipped", **more: Any) -> int:
    """The id of a template with an approved version."""
    rt = world.rt
    made = await templates.create_template(rt, "test", world.account_id, name=name, content=content(**more))
    await templates.step(rt, "test", world.account_id, made.id, "submit")
    await templates.step(rt, "eve", None, made.id, "approve")
    return made.id


def use(id: int | None = None, name: str | None = None, **more: Any) -> Use:
    fields: dict[str, Any] = {"version": None, "locale": None, "variables": {"name": "Zoé", "order": "B-2"}}
    return Use(id, name if id is not None else name or "order-shipped", **(fields | more))


def made(world: World, asked: Use, to: str = PARIS, sender: str | None = None) -> Composed:
    return compose(world.rt, world.account_id, asked, to, sender)


def refused(world: World, asked: Use, to: str = PARIS) -> tuple[str, str | None]:
    with pytest.raises(Refused) as raised:
        made(world, asked, to)
    return raised.value.code, raised.value.param


async def test_the_approved_version_is_sent_in_the_language_asked_for(world: World) -> None:
    number = await live(world, sender="Acme", purpose="service")
    assert made(world, use(locale="fr-CA")) == Composed(
        "Zoé, B-2 est parti.", "service", "Acme", "order-shipped@1/fr", ()
    )
    assert made(world, use(number, locale="sw")).label == "order-shipped@1/default"
    assert made(world, use(number, version=1), sender="33644600001").sender == "33644600001"
    await templates.update_template(
        world.rt, "test", world.account_id, number, content(bodies={"default": "{{ name }}{{ order }}"})
    )
    assert made(world, use()).text == "Zoé, B-2 left.", "the new one is a draft"
    assert refused(world, use(version=2)) == ("template_not_approved", "template.version")
    for action in ("submit", "approve"):
        await templates.step(world.rt, "eve", None, number, action)
    assert made(world, use()).label == "order-shipped@2/default"
    assert refused(world, use(version=1)) == ("template_not_approved", "template.version")
    assert refused(world, use(version=3)) == ("template_unknown", "template.version")
    await templates.step(world.rt, "eve", world.account_id, number, "retire")
    assert refused(world, use()) == ("template_not_approved", "template.name")


async def test_what_cannot_be_made_is_refused_with_the_field(world: World) -> None:
    number = await live(world)
    draft = await templates.create_template(world.rt, "test", world.account_id, name="draft", content=content())
    no_default = await live(world, "french", bodies={"fr": "{{ name }}{{ order }}"})
    other = await accounts.create_account(world.rt, "test", slug="other", name="Other")
    for asked, code, param in (
        (use(draft.id), "template_not_approved", "template.id"),
        (use(number + 1), "template_unknown", "template.id"),
        (use(name="nothing"), "template_unknown", "template.name"),
        (use(no_default, locale="de"), "template_locale", "template.locale"),
        (use(variables={"name": "Zoé"}), "template_variable_missing", "template.variables.order"),
        (use(variables={"name": None, "order": "B"}), "template_variable_missing", "template.variables.name"),
        (use(variables={"name": "x" * 21, "order": "B"}), "template_value", "template.variables.name"),
        (use(variables={"name": "x", "order": "B", "odd": 1}), "template_value", "template.variables.odd"),
        (use(variables={"name": "{opt_out_link}", "order": "B"}), "template_value", "template.variables.name"),
    ):
        assert refused(world, asked) == (code, param), asked
    for asked in (use(number), use()):
        with pytest.raises(Refused) as raised:
            compose(world.rt, other.id, asked, PARIS)
        assert raised.value.code == "template_unknown"


async def test_the_opt_out_link_is_built_in(world: World) -> None:
    assert templates.OPT_OUT_LINK == consent.OPT_OUT_LINK, "what is rendered is what is replaced"
    await live(world, bodies={"default": "{{ name }}: {{ order }} {{ opt_out_link }}"}, purpose="marketing")
    assert made(world, use()).text == f"Zoé: B-2 {consent.OPT_OUT_LINK}"


async def test_indian_registers_get_the_ids_in_the_tlvs_that_their_operators_read(world: World) -> None:
    known = Registered(template_id=TEMPLATE, entity_id=ENTITY, chain_hash=CHAIN)
    await live(world, registrations={"IN": known})
    assert made(world, use(), DELHI).tlvs == (
        (0x1400, ENTITY.encode()),
        (0x1401, TEMPLATE.encode()),
        (0x1402, CHAIN.encode()),
    )
    assert made(world, use(), PARIS).tlvs == ()
    assert made(world, use(), "nonsense").tlvs == (), "accept says what is wrong with the number"


async def test_the_entity_is_that_of_the_sender_where_the_template_names_none(world: World) -> None:
    rt, sender = world.rt, senders.book(world.rt).find(world.account_id, "Acme")
    assert sender is not None
    await live(world, registrations={"IN": Registered(template_id=TEMPLATE)})
    assert made(world, use(), DELHI).tlvs == ((0x1401, TEMPLATE.encode()),)
    filed = await senders.create_registration(
        rt, "test", world.account_id, sender_id=sender.id, country="IN", particulars=Particulars(dlt_entity_id=ENTITY)
    )
    assert len(made(world, use(), DELHI).tlvs) == 1, "not approved yet"
    await senders.submit(rt, "test", world.account_id, filed.id)
    await senders.approve(rt, "eve", filed.id)
    assert made(world, use(), DELHI).tlvs == ((0x1400, ENTITY.encode()), (0x1401, TEMPLATE.encode()))
    assert len(made(world, use(), DELHI, "33644600001").tlvs) == 1, "another sender"


async def test_where_texts_without_a_template_are_banned_it_has_to_be_registered(world: World) -> None:
    await live(world)
    assert refused(world, use(), DELHI) == ("template_not_registered", "template")
    assert made(world, use(), SEOUL).text == "Zoé, B-2 left."
    with pytest.raises(Refused, match=r"\[IN\.ban\.text_without_template\.any\.operators\]"):
        made(world, use(), DELHI)
    await law.create_adjustment(
        world.rt,
        "eve",
        world.account_id,
        kind="waiver",
        value="IN.ban.text_without_template.any.operators",
        reason="by an international route",
        by_operator=True,
    )
    assert made(world, use(), DELHI).tlvs == ()
