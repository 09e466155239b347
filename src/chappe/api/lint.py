"""Lint: what a template or a text will cost and where it will fail, by the account's own senders, rules and prices."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from chappe import accounts, ids, templates
from chappe.api.house import Call
from chappe.api.operations import Resource
from chappe.api.shapes import Purpose
from chappe.errors import Refused
from chappe.messages import lint as linting
from chappe.messages.lint_checks import house_checks
from chappe.templates import Content, Registered, Variable
from chappe.templates.model import MAX_SOURCE, PRINTABLE

resource = Resource(
    "Lint",
    "Checks before anybody gets it: segments and price, what forces UCS-2, senders, wording that a country asks for, "
    "links and look-alikes.",
    scope="messages:send",
    tenant=True,
)

Country = Annotated[str, Meta(pattern=r"^[A-Z]{2}$")]
_EXAMPLE: dict[str, Any] = {
    "bodies": {
        "default": "{{ name }}, our sale has begun.",
        "fr": "{{ name }}, nos soldes ont commencé. STOP au 36111",
    },
    "variables": {"name": {"example": "Ada", "max_length": 20}},
    "purpose": "marketing",
    "sender": "Chappe",
    "countries": ["FR"],
    "locales": ["fr"],
}


class NewLint(Struct, forbid_unknown_fields=True, kw_only=True):
    """A template as it would be written, the id of one, or a text."""

    id: (
        Annotated[str, Meta(description="Of a template, whose latest version is checked; `locales` go with it.")] | None
    ) = None
    text: Annotated[str, Meta(min_length=1, max_length=MAX_SOURCE, description="As the only body.")] | None = None
    name: Annotated[str, Meta(max_length=63)] | None = None
    bodies: Annotated[dict[str, str], Meta(max_length=60, description="By locale.")] = {}
    variables: Annotated[dict[str, Variable], Meta(max_length=40, description="By name.")] = {}
    purpose: Purpose = "transactional"
    sender: Annotated[str, Meta(min_length=1, max_length=37, pattern=PRINTABLE)] | None = None
    brand: (
        Annotated[
            str,
            Meta(min_length=1, max_length=100, pattern=PRINTABLE, description="By which a text says who writes."),
        ]
        | None
    ) = None
    countries: Annotated[tuple[Country, ...], Meta(max_length=250, description="Where it goes.")] = ()
    registrations: Annotated[dict[str, Registered], Meta(max_length=250, description="By country.")] = {}
    locales: Annotated[
        tuple[Annotated[str, Meta(min_length=1, max_length=20)], ...],
        Meta(max_length=60, description="That it should have."),
    ] = ()


class LintFinding(Struct, frozen=True, kw_only=True):
    """One thing to say."""

    code: Annotated[str, Meta(examples=["ucs2_forced"])]
    severity: linting.Severity
    message: str
    suggestion: str | None
    locale: Annotated[str, Meta(description="null: about the whole.")] | None
    line: Annotated[int, Meta(description="Within the body, from 1.")] | None
    column: int | None


class LintReport(Struct, frozen=True, kw_only=True):
    """Everything there is to say."""

    errors: int
    warnings: int
    findings: list[LintFinding]


@resource.post("/v1/lint", example=_EXAMPLE, errors=("not_found",))
async def check(call: Call, body: NewLint) -> LintReport:
    """Check a template or a text.

    Nothing is stored or sent. `error` is what would be refused, `warning` what costs money or readers."""
    account = accounts.directory(call.rt).account(call.account_id)
    assert account is not None
    content = _content(call, body)
    found = linting.lint(content, house_checks(call.house.pipeline, account, content, body.locales))
    return LintReport(
        errors=sum(one.severity == "error" for one in found),
        warnings=sum(one.severity == "warning" for one in found),
        findings=[LintFinding(**msgspec.structs.asdict(one)) for one in found],
    )


def _content(call: Call, body: NewLint) -> Content:
    """What is to be checked. Raises Refused: not_found, missing_field, text_ambiguous, invalid_value."""
    given = [name for name, value in (("id", body.id), ("text", body.text), ("bodies", body.bodies)) if value]
    if not given:
        raise Refused("missing_field", "Give bodies, a text, or the id of a template.", param="bodies")
    if len(given) > 1:
        words = f"Give either {' or '.join(given)}."
        raise Refused("text_ambiguous", words, param=given[0], action="Leave the others out.")
    if body.id is not None:
        number = ids.parse("tpl", body.id)
        template = templates.found_template(call.rt, call.account_id, number or 0)
        return templates.book(call.rt).latest(template).content
    for locale, source in body.bodies.items():
        if not 1 <= len(source) <= MAX_SOURCE:
            words = f"A body has 1 to {MAX_SOURCE} characters."
            raise Refused("invalid_value", words, param=f"bodies.{locale[:20]}")
    return Content(
        bodies=body.bodies if body.text is None else {templates.DEFAULT: body.text},
        variables=body.variables,
        purpose=body.purpose,
        sender=body.sender,
        brand=body.brand,
        countries=body.countries,
        registrations=body.registrations,
    )
