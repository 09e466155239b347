"""Templates: texts with variables, in several languages; previewed, checked, approved."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from chappe import consent, ids, templates
from chappe import text as texts
from chappe.api.house import Call
from chappe.api.operations import Resource
from chappe.api.shapes import Listed, Page, Purpose, Time, given, page_of, rfc
from chappe.errors import Refused
from chappe.templates import Content, Fault, Registered, Status, Template, Variable, Version
from chappe.text import Options, TextError

resource = Resource(
    "Templates",
    "Texts with variables, in several languages. A change of an approved template makes a new draft; the approved "
    "version stays in use until the next one is approved. The language is a small part of Liquid.",
    scope="messages:send",
    tenant=True,
)
staff = Resource("Template reviews", "What accounts hand in, for the operator to decide.", scope="admin")

Name = Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9._-]{0,62}$", examples=["order-shipped"])]
Bodies = Annotated[
    dict[str, Annotated[str, Meta(min_length=1, max_length=5_000)]],
    Meta(min_length=1, max_length=60, description="By locale (`fr-CA`, `fr`), `default` for everybody else."),
]
Variables = Annotated[dict[str, Variable], Meta(max_length=40, description="By name.")]
Sender = Annotated[str, Meta(min_length=1, max_length=37, pattern=r"^[^\x00-\x1f\x7f]*$")]
Brand = Annotated[
    str,
    Meta(min_length=1, max_length=100, pattern=r"^[^\x00-\x1f\x7f]*$", description="By which a text says who writes."),
]
Countries = Annotated[
    tuple[Annotated[str, Meta(pattern=r"^[A-Z]{2}$")], ...],
    Meta(max_length=250, description="Where it goes: lint asks for their prices and rules."),
]
Registrations = Annotated[
    dict[str, Registered], Meta(max_length=250, description="By country: how its register knows the template.")
]
Locale = Annotated[str, Meta(min_length=1, max_length=20, examples=["fr-CA"])]
_EXAMPLE = {
    "name": "order-shipped",
    "bodies": {
        "default": "Hi {{ name }}, your order {{ order }} is on its way.",
        "fr": "{{ name }}, votre commande {{ order }} est en route.",
    },
    "variables": {
        "name": {"type": "text", "example": "Ada", "max_length": 20},
        "order": {"type": "code", "example": "A-1042"},
    },
    "sender": "Chappe",
    "countries": ["FR"],
}


class NewTemplate(Struct, forbid_unknown_fields=True, kw_only=True):
    """A template to be; its first version is a draft."""

    name: Name
    bodies: Bodies
    variables: Variables = {}
    purpose: Purpose = "transactional"
    sender: Sender | None = None
    brand: Brand | None = None
    countries: Countries = ()
    registrations: Registrations = {}


class TemplateChange(Struct, forbid_unknown_fields=True, kw_only=True):
    """The fields to change; each is replaced as a whole."""

    bodies: Bodies | UnsetType = UNSET
    variables: Variables | UnsetType = UNSET
    purpose: Purpose | UnsetType = UNSET
    sender: Sender | UnsetType | None = UNSET
    brand: Brand | UnsetType | None = UNSET
    countries: Countries | UnsetType = UNSET
    registrations: Registrations | UnsetType = UNSET


class TemplateVersion(Struct, frozen=True, kw_only=True):
    """One wording, and what became of it."""

    version: int
    status: Status
    bodies: dict[str, str]
    variables: dict[str, Variable]
    purpose: Purpose
    sender: str | None
    brand: str | None
    countries: list[str]
    registrations: dict[str, Registered]
    reason: Annotated[str, Meta(description="Why it was rejected.")] | None
    decided_by: Annotated[str, Meta(description="The key that approved or rejected it.")] | None
    created_at: Time
    changed_at: Time


class TemplateOut(TemplateVersion, frozen=True, kw_only=True):
    """A template, with its latest version; `live_version` is the approved one in use."""

    id: Annotated[str, Meta(examples=["tpl_006h3r8k2w0g4"])]
    account_id: str
    name: str
    live_version: int | None


class TemplateVersions(Struct, frozen=True):
    """All versions, newest first."""

    data: list[TemplateVersion]


class NewTemplatePreview(Struct, forbid_unknown_fields=True, kw_only=True):
    """Values, and the language; without values the examples are taken."""

    variables: Annotated[dict[str, str | int | float | None], Meta(max_length=40)] | None = None
    locale: Locale | None = None
    version: Annotated[Literal["latest", "live"], Meta(description="`live` is what a message would be made of.")] = (
        "latest"
    )
    smart_encoding: bool = False


class TemplatePreviewOut(Struct, frozen=True, kw_only=True):
    """A text as it would be sent, and what the longest values would cost."""

    text: str
    locale: Annotated[str, Meta(description="Of the body that was taken.")]
    encoding: str
    segments: int
    characters: int
    most_segments: Annotated[int, Meta(description="With values of the declared lengths it takes no more.")]


class TemplateRejection(Struct, forbid_unknown_fields=True, kw_only=True):
    """Why not."""

    reason: Annotated[str, Meta(min_length=1, max_length=500, pattern=r"^[^\x00-\x1f\x7f]*$")]


# -- templates of an account ---------------------------------------------------------------------------------------


@resource.get("/v1/templates", errors=("invalid_cursor",))
async def list_(call: Call, query: Page) -> Listed[TemplateOut]:
    """List templates."""
    mine = templates.book(call.rt).of(call.account_id)
    return page_of(mine, query, "tpl", lambda one: _shown(call, one), lambda one: one.id)


@resource.get("/v1/templates/{id:tpl}")
async def get(call: Call, id: int) -> TemplateOut:
    """Show a template."""
    return _shown(call, templates.found_template(call.rt, call.account_id, id))


@resource.post(
    "/v1/templates",
    status=201,
    example=_EXAMPLE,
    errors=("template_invalid", "template_too_long", "template_value", "duplicate_name"),
)
async def create(call: Call, body: NewTemplate) -> TemplateOut:
    """Write a template."""
    call.caller.need_live("templates")
    made = await templates.create_template(call.rt, call.actor, call.account_id, name=body.name, content=_content(body))
    return _shown(call, made)


@resource.patch(
    "/v1/templates/{id:tpl}",
    example={"bodies": {"default": "Hi {{ name }}, {{ order }} has left."}},
    errors=("template_invalid", "template_too_long", "template_value", "template_state", "conflict"),
)
async def update(call: Call, id: int, body: TemplateChange) -> TemplateOut:
    """Change a template; what is approved stays in use, and the change is a new draft."""
    call.caller.need_live("templates")
    before = templates.book(call.rt).latest(templates.found_template(call.rt, call.account_id, id)).content
    content = msgspec.structs.replace(before, **given(body))
    return _shown(call, await templates.update_template(call.rt, call.actor, call.account_id, id, content))


@resource.delete("/v1/templates/{id:tpl}", errors=("in_use", "conflict"))
async def delete(call: Call, id: int) -> None:
    """Delete a template with all its versions; one that is in use is retired first."""
    call.caller.need_live("templates")
    await templates.delete_template(call.rt, call.actor, call.account_id, id)


@resource.get("/v1/templates/{id:tpl}/versions")
async def versions(call: Call, id: int) -> TemplateVersions:
    """List all versions of a template, newest first, 500 at most."""
    found = await templates.versions_of(call.rt, call.account_id, id)
    return TemplateVersions([TemplateVersion(**_version(one)) for one in found])


@resource.post("/v1/templates/{id:tpl}/submit", errors=("template_state", "conflict"))
async def submit(call: Call, id: int) -> TemplateOut:
    """Hand the latest version in for review."""
    return await _step(call, id, "submit")


@resource.post("/v1/templates/{id:tpl}/withdraw", errors=("template_state", "conflict"))
async def withdraw(call: Call, id: int) -> TemplateOut:
    """Take it back, to change it."""
    return await _step(call, id, "withdraw")


@resource.post("/v1/templates/{id:tpl}/retire", errors=("template_state", "conflict"))
async def retire(call: Call, id: int) -> TemplateOut:
    """Take the approved version out of use."""
    return await _step(call, id, "retire")


@resource.post(
    "/v1/templates/{id:tpl}/preview",
    example={"locale": "fr-CA", "variables": {"name": "Zoé", "order": "A-1042"}},
    errors=("template_value", "template_locale", "template_state", "text_empty"),
)
async def preview(call: Call, id: int, body: NewTemplatePreview) -> TemplatePreviewOut:
    """Fill a template in, and see what it would cost."""
    book = templates.book(call.rt)
    template = templates.found_template(call.rt, call.account_id, id)
    version = book.latest(template) if body.version == "latest" else book.live(template)
    if version is None:
        raise Refused("template_state", "No version of it is approved.", param="version")
    content = version.content
    values: dict[str, Any] = templates.examples(content) if body.variables is None else dict(body.variables)
    options = Options(smart=body.smart_encoding, max_parts=call.rt.settings.max_parts)
    try:
        made = templates.render(content, values, body.locale)
        link = consent.opt_out_link(call.rt, 0) or templates.OPT_OUT_LINK
        shown = texts.preview(made.text.replace(templates.OPT_OUT_LINK, link), options)
    except Fault as fault:
        raise Refused(fault.code, fault.words, param=_param(fault)) from None
    except TextError as error:
        raise Refused(error.code, error.message, param="variables") from None
    bound = templates.worst(content.bodies[made.locale], content.variables)
    return TemplatePreviewOut(
        text=shown.text,
        locale=made.locale,
        encoding=shown.encoding,
        segments=shown.segments,
        characters=shown.chars,
        most_segments=shown.segments if bound.fixed else max(shown.segments, templates.segments(bound.extent)),
    )


# -- reviews -------------------------------------------------------------------------------------------------------


@staff.get("/v1/template_reviews", errors=("invalid_cursor",))
async def queue(call: Call, query: Page) -> Listed[TemplateOut]:
    """List what waits for a decision, of all accounts."""
    waiting = [template for template, _ in templates.book(call.rt).in_review()]
    return page_of(waiting, query, "tpl", lambda one: _shown(call, one), lambda one: one.id)


@staff.get("/v1/template_reviews/{id:tpl}")
async def look(call: Call, id: int) -> TemplateOut:
    """Show what is to be decided."""
    return _shown(call, templates.found_template(call.rt, None, id))


@staff.post("/v1/template_reviews/{id:tpl}/approve", errors=("template_state", "conflict"))
async def approve(call: Call, id: int) -> TemplateOut:
    """Approve the latest version: it takes the place of the one in use."""
    return _shown(call, await templates.step(call.rt, call.actor, None, id, "approve"))


@staff.post(
    "/v1/template_reviews/{id:tpl}/reject",
    example={"reason": "It does not say who writes."},
    errors=("template_state", "conflict"),
)
async def reject(call: Call, id: int, body: TemplateRejection) -> TemplateOut:
    """Reject the latest version, with the reason that the account reads."""
    return _shown(call, await templates.step(call.rt, call.actor, None, id, "reject", body.reason))


# -- shapes --------------------------------------------------------------------------------------------------------


async def _step(call: Call, id: int, action: Literal["submit", "withdraw", "retire"]) -> TemplateOut:
    call.caller.need_live("templates")
    return _shown(call, await templates.step(call.rt, call.actor, call.account_id, id, action))


def _content(body: NewTemplate) -> Content:
    return Content(
        bodies=body.bodies,
        variables=body.variables,
        purpose=body.purpose,
        sender=body.sender,
        brand=body.brand,
        countries=body.countries,
        registrations=body.registrations,
    )


def _param(fault: Fault) -> str:
    if fault.code == "template_locale":
        return "locale"
    return f"variables.{fault.variable}" if fault.variable else "variables"


def _version(version: Version) -> dict[str, Any]:
    content = version.content
    return {
        "version": version.number,
        "status": version.status,
        "bodies": content.bodies,
        "variables": content.variables,
        "purpose": content.purpose,
        "sender": content.sender,
        "brand": content.brand,
        "countries": list(content.countries),
        "registrations": content.registrations,
        "reason": version.reason,
        "decided_by": version.decided_by,
        "created_at": rfc(version.created_at),
        "changed_at": rfc(version.changed_at),
    }


def _shown(call: Call, template: Template) -> TemplateOut:
    return TemplateOut(
        id=ids.public("tpl", template.id),
        account_id=ids.public("acc", template.account_id),
        name=template.name,
        live_version=template.live,
        **_version(templates.book(call.rt).latest(template)),
    )
