"""People: everything that is held of a person, shown and erased; and who looked."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated, Literal

from msgspec import Meta, Struct

from chappe import ids, privacy
from chappe.api.answers import Answer, encode
from chappe.api.house import Call
from chappe.api.operations import Resource
from chappe.api.shapes import Listed, Page, Time, after, listed, maybe_rfc, paged, rfc
from chappe.consent import EVERYONES
from chappe.errors import Refused
from chappe.privacy import Access, Action, Erasure

resource = Resource(
    "People",
    "Everything that is held of a person: exported, or erased so that what stops messages to them stays.",
    scope="people",
    tenant=True,
)
log = Resource(
    "Access log",
    "Who looked at the data of persons: exports, erasures, proofs of consent, searches by a number.",
    scope="audit",
    tenant=True,
)

NDJSON = "application/x-ndjson"
_LINES = 64 * 1024  # octets that are sent at once
_ALL = "Of all accounts. Needs the scope admin."

Person = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=260,
        description="A number, or `mail:`, `push:`, `alias:` and a name.",
        examples=["+33612345678"],
    ),
]


class PersonRef(Struct, forbid_unknown_fields=True, kw_only=True):
    """Whose data."""

    person: Person
    everywhere: Annotated[bool, Meta(description=_ALL)] = False


class NewErasure(Struct, forbid_unknown_fields=True, kw_only=True):
    """Who is to be forgotten, and why. The reason is kept, and must not name them."""

    person: Person
    reason: Annotated[str, Meta(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]*$")]
    suppress: Annotated[bool, Meta(description="They are not to be written to again. Kept as a keyed hash.")] = True
    dry_run: Annotated[bool, Meta(description="Only count what is held.")] = False
    everywhere: Annotated[bool, Meta(description=_ALL)] = False


class ErasureOut(Struct, frozen=True, kw_only=True):
    """The receipt of an erasure: what was erased, when, and by whom, without the person."""

    id: Annotated[str, Meta(description="null for a dry run.", examples=["ers_006h3r8k2w0g4"])] | None
    status: Annotated[
        Literal["running", "waiting", "finished", "dry_run"],
        Meta(description="`waiting`: some of the messages are on their way yet, and are erased when they are final."),
    ]
    person_hash: Annotated[str, Meta(description="A keyed hash: the same wherever it is about this person.")]
    everywhere: bool
    reason: str
    suppress: bool
    counts: Annotated[dict[str, int], Meta(description="How much was erased, or is held, by kind.")]
    actor: str
    created_at: Time | None
    finished_at: Time | None
    test: bool


class ErasurePage(Page, forbid_unknown_fields=True, kw_only=True):
    """Which erasures."""

    everywhere: Annotated[bool, Meta(description="Those of all accounts at once. Needs the scope admin.")] = False


class AccessPage(Page, forbid_unknown_fields=True, kw_only=True):
    """What the log can be narrowed to."""

    person: Annotated[Person, Meta(description="Looks at this person's data. A + is written %2B.")] | None = None
    action: Action | None = None
    everywhere: Annotated[bool, Meta(description=_ALL)] = False


class AccessOut(Struct, frozen=True, kw_only=True):
    """Who looked, when, and at how much."""

    id: Annotated[str, Meta(examples=["acl_006h3r8k2w0g4"])]
    account_id: Annotated[str | None, Meta(description="null: of all accounts.")]
    at: Time
    actor: str
    action: Action
    person_hash: Annotated[str | None, Meta(description="A keyed hash; null where more than one was looked at.")]
    count: Annotated[int | None, Meta(description="Records; null for an erasure, and an export that broke off.")]


@resource.post("/v1/people/export", media=(NDJSON,), example={"person": "+33612345678"})
async def export(call: Call, body: PersonRef) -> Answer:
    """Export everything that is held of a person.

    One JSON object a line. The last one has the kind `end` and counts the others by kind: without it the export was
    broken off. With a test key it is what test keys brought in.
    """
    account_id, person = _whose(call, body.everywhere), privacy.named(body.person)
    owner = EVERYONES if account_id is None else account_id
    entry = await privacy.looked(call.rt, owner, call.actor, "export", person, test=call.test, count=None)
    headers = ((b"content-type", NDJSON.encode()), (b"content-disposition", b"attachment; filename=person.ndjson"))
    return Answer(200, b"", headers, chunks=_lines(call, account_id, person, entry))


@resource.post(
    "/v1/people/erase",
    status=202,
    example={"person": "+33612345678", "reason": "request of 31 January, ticket 4711", "dry_run": True},
)
async def erase(call: Call, body: NewErasure) -> ErasureOut:
    """Erase everything that is held of a person.

    Messages that wait are canceled, texts and numbers go, the ledger of consents keeps commitments without their proof.
    Unless `suppress` is false nobody may write to them again: that is kept as a keyed hash. It goes on by itself until
    their last message is final; who asks again meanwhile gets the same erasure. With a test key it is about what test
    keys brought in.
    """
    account_id, person = _whose(call, body.everywhere), privacy.named(body.person)
    owner = EVERYONES if account_id is None else account_id
    privacy.check_reason(body.reason, person)
    if body.dry_run:
        counts = await privacy.count(call.rt, account_id, call.test, person)
        await privacy.looked(call.rt, owner, call.actor, "person", person, test=call.test, count=sum(counts.values()))
        return ErasureOut(
            id=None,
            status="dry_run",
            person_hash=privacy.person_hash(call.rt, owner, person, test=call.test),
            everywhere=account_id is None,
            reason=body.reason,
            suppress=body.suppress,
            counts=counts,
            actor=call.actor,
            created_at=None,
            finished_at=None,
            test=call.test,
        )
    made = await privacy.erase(
        call.rt,
        account_id,
        person,
        reason=body.reason,
        actor=call.actor,
        test=call.test,
        suppress=body.suppress,
    )
    return _erasure(made)


@resource.get("/v1/erasures", errors=("invalid_cursor",))
async def list_(call: Call, query: ErasurePage) -> Listed[ErasureOut]:
    """List erasures, newest first."""
    owner = _whose(call, query.everywhere)
    found = await privacy.erasures(
        call.rt,
        EVERYONES if owner is None else owner,
        before=after(query, "ers"),
        limit=query.limit + 1,
    )
    rows, cursor = paged(found, query, "ers", lambda one: one.id)
    return listed(map(_erasure, rows), cursor)


@resource.get("/v1/erasures/{id:ers}")
async def get(call: Call, id: int) -> ErasureOut:
    """Show the receipt of an erasure, and how far it is."""
    whose = None if call.caller.key.may("admin") else call.account_id
    return _erasure(await privacy.erasure(call.rt, whose, id))


@log.get("/v1/access_log", errors=("invalid_cursor",))
async def looks(call: Call, query: AccessPage) -> Listed[AccessOut]:
    """List who looked at the data of persons, newest first.

    Exports and erasures are there before they begin; single looks within a second.
    """
    owner = _whose(call, query.everywhere)
    found = await privacy.entries(
        call.rt,
        owner,
        person=None if query.person is None else privacy.named(_plus(query.person)),
        action=query.action,
        before=after(query, "acl"),
        limit=query.limit + 1,
    )
    rows, cursor = paged(found, query, "acl", lambda one: one.id)
    return listed(map(_access, rows), cursor)


def _whose(call: Call, everywhere: bool) -> int | None:
    """None: of all accounts. Raises Refused."""
    if not everywhere:
        return call.account_id
    call.caller.need("admin")
    if call.test:
        raise Refused("scope_missing", "A test key sees its own account.", param="everywhere")
    return None


async def _lines(call: Call, account_id: int | None, person: str, entry: int) -> AsyncIterator[bytes]:
    """What the log says of it is completed when all has been sent."""
    waiting, count = bytearray(), 0
    async for record in privacy.export(call.rt, account_id, call.test, person):
        waiting += encode(record) + b"\n"
        count += record["kind"] not in ("export", "end")
        if len(waiting) >= _LINES:
            yield bytes(waiting)
            waiting.clear()
    await privacy.counted(call.rt, entry, count)
    yield bytes(waiting)


def _plus(text: str) -> str:
    """In a query string a + that was not escaped is a space."""
    return f"+{text.strip()}" if text[:1] == " " else text


def _erasure(one: Erasure) -> ErasureOut:
    return ErasureOut(
        id=ids.public("ers", one.id),
        status=one.status,
        person_hash=privacy.hex_of(one.person_key),
        everywhere=one.account_id == EVERYONES,
        reason=one.reason,
        suppress=one.suppress,
        counts=one.counts,
        actor=one.actor,
        created_at=rfc(one.created_at),
        finished_at=maybe_rfc(one.finished_at),
        test=one.test,
    )


def _access(one: Access) -> AccessOut:
    return AccessOut(
        id=ids.public("acl", one.id),
        account_id=None if one.account_id == EVERYONES else ids.public("acc", one.account_id),
        at=rfc(one.at),
        actor=one.actor,
        action=one.action,
        person_hash=None if one.person_key is None else privacy.hex_of(one.person_key),
        count=one.count,
    )
