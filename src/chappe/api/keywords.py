"""Opt-out keywords: what is heard in messages from phones, and what is answered."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

from chappe import accounts, ids, law
from chappe import text as texts
from chappe.api.house import Call
from chappe.api.operations import Resource
from chappe.api.shapes import Listed, Page, Time, page_of, rfc
from chappe.consent import keywords, replies
from chappe.consent.keywords import Keyword, Kind
from chappe.consent.replies import ReplyKind, ReplyText

resource = Resource(
    "Opt-out keywords",
    "The words with which people refuse messages, ask for help or come back, in all languages. An account's own are "
    "rule adjustments of the kind `keyword`.",
    scope="messages:read",
    tenant=True,
)
answering = Resource(
    "Opt-out replies",
    "What an account answers to STOP, HELP and START, where it is to be other than the usual.",
    scope="senders",
    tenant=True,
)

Country = Annotated[str, Meta(pattern=r"^[A-Z]{2}$", examples=["FR"], description="ISO 3166-1 alpha-2.")]
Language = Annotated[str, Meta(pattern=r"^[a-z]{2}$", examples=["fr"], description="ISO 639-1.")]


class KeywordsQuery(Struct, forbid_unknown_fields=True, kw_only=True):
    """Which ones."""

    kind: Kind | None = None
    language: Language | None = None
    country: Annotated[Country, Meta(description="Without those that are not heard there.")] | None = None


class KeywordOut(Struct, frozen=True, kw_only=True):
    """A word, and who says that it means this."""

    keyword: str
    kind: Kind
    languages: list[str]
    countries: Annotated[list[str], Meta(description="Where it is heard; empty: everywhere.")]
    place: Annotated[
        Literal["first", "whole"],
        Meta(description="`first`: as the first of up to three words; `whole`: as the whole message."),
    ]
    weak: Annotated[bool, Meta(description="Only heard of who was told within a day how to come back.")]
    own: Annotated[bool, Meta(description="The account's, or the operator's for it.")]
    confidence: Literal["high", "medium", "low"]
    source: str


class Keywords(Struct, frozen=True):
    """The words, the account's own first."""

    data: list[KeywordOut]


class NewHearing(Struct, forbid_unknown_fields=True, kw_only=True):
    """A message as a phone would send it."""

    text: Annotated[str, Meta(max_length=10_000, examples=["stop svp !"])]
    country: Annotated[Country, Meta(description="Where the phone is from.")] | None = None


class HearingOut(Struct, frozen=True, kw_only=True):
    """What would be heard. Nothing is written down."""

    heard: Annotated[
        Literal["stop", "help", "start", "review"] | None,
        Meta(description="`review`: a sentence that refuses; it stops marketing. Null: nothing of this."),
    ]
    keyword: Annotated[str | None, Meta(description="What was heard, without accents and punctuation.")]
    how: Literal["keyword", "typo", "own", "sentence"] | None
    language: Annotated[str | None, Meta(description="Null if several languages have the word.")]
    weak: bool


class NewReply(Struct, forbid_unknown_fields=True, kw_only=True):
    """A text of the account. `name` and `contact` stand in ours for `{brand}` and `{help}`."""

    kind: Literal["stop", "help", "start", "name", "contact"]
    text: Annotated[str, Meta(min_length=1, max_length=306, examples=["{brand}: You are off the list."])]
    language: Annotated[Language, Meta(description="Null: every language without a text of its own.")] | None = None


class ReplyChange(Struct, forbid_unknown_fields=True, kw_only=True):
    """Another wording."""

    text: Annotated[str, Meta(min_length=1, max_length=306)]


class ReplyOut(Struct, frozen=True, kw_only=True):
    """A text of the account."""

    id: Annotated[str, Meta(examples=["rpl_006h3r8k2w0g4"])]
    kind: Literal["stop", "help", "start", "name", "contact"]
    language: str | None
    text: str
    created_at: Time


class NewReplyPreview(Struct, forbid_unknown_fields=True, kw_only=True):
    """To what, where."""

    kind: ReplyKind
    country: Country | None = None
    language: Annotated[Language, Meta(description="Of the keyword; else the country's.")] | None = None


class ReplyPreview(Struct, frozen=True, kw_only=True):
    """What would be answered. A sender of a registered 10DLC brand answers in the brand's name."""

    language: str
    text: str
    encoding: str
    segments: int


@resource.get("/v1/opt_out_keywords")
async def list_(call: Call, query: KeywordsQuery) -> Keywords:
    """List what is heard."""
    found = [*_own(call, query.country), *map(_shown, keywords.table())]
    return Keywords([one for one in found if _wanted(one, query)])


@resource.post("/v1/opt_out_keywords/check", example={"text": "stop svp !", "country": "FR"})
async def check(call: Call, body: NewHearing) -> HearingOut:
    """Try what would be heard in a message."""
    own = [one.keyword for one in _own(call, body.country)]
    found = keywords.hear(body.text, country=body.country or "", own=own)
    if found is None:
        return HearingOut(heard=None, keyword=None, how=None, language=None, weak=False)
    return HearingOut(
        heard=found.kind, keyword=found.keyword, how=found.how, language=found.language or None, weak=found.weak
    )


@answering.get("/v1/opt_out_replies", errors=("invalid_cursor",))
async def list_replies(call: Call, query: Page) -> Listed[ReplyOut]:
    """List the texts of the account."""
    found = await replies.texts_of(call.rt, [call.account_id])
    return page_of(found, query, "rpl", _reply, lambda one: one.id)


@answering.get("/v1/opt_out_replies/{id:rpl}")
async def get_reply(call: Call, id: int) -> ReplyOut:
    """Show a text."""
    return _reply(await replies.found_text(call.rt, call.account_id, id))


@answering.post(
    "/v1/opt_out_replies",
    status=201,
    example={"kind": "contact", "text": "help@example.com"},
    errors=("conflict",),
)
async def create_reply(call: Call, body: NewReply) -> ReplyOut:
    """Answer otherwise, or tell the name and contact that our texts give."""
    call.caller.need_live("opt-out replies")
    made = await replies.create_text(
        call.rt, call.actor, call.account_id, kind=body.kind, language=body.language or "", text=body.text
    )
    return _reply(made)


@answering.patch("/v1/opt_out_replies/{id:rpl}", example={"text": "care@example.com"}, errors=("conflict",))
async def update_reply(call: Call, id: int, body: ReplyChange) -> ReplyOut:
    """Change a text."""
    call.caller.need_live("opt-out replies")
    before = await replies.found_text(call.rt, call.account_id, id)
    return _reply(await replies.update_text(call.rt, call.actor, before, body.text))


@answering.delete("/v1/opt_out_replies/{id:rpl}", errors=("conflict",))
async def delete_reply(call: Call, id: int) -> None:
    """Delete a text: ours is sent again."""
    call.caller.need_live("opt-out replies")
    await replies.delete_text(call.rt, call.actor, await replies.found_text(call.rt, call.account_id, id))


@answering.post("/v1/opt_out_replies/preview", example={"kind": "stop", "country": "FR"})
async def preview(call: Call, body: NewReplyPreview) -> ReplyPreview:
    """Show what would be answered."""
    known = await replies.texts_of(call.rt, [call.account_id])
    own: dict[tuple[str, str], str] = {(one.kind, one.language): one.text for one in known}
    account = accounts.directory(call.rt).account(call.account_id)
    assert account is not None
    country = body.country or ""
    language = replies.language_of(body.language or "", country)
    name, contact = own.get(("name", "")) or account.name, own.get(("contact", ""), "")
    text = replies.compose(body.kind, language, country, brand=name, contact=contact, own=own)
    encoded = texts.encode(text)
    return ReplyPreview(language=language, text=text, encoding=encoded.encoding, segments=encoded.segments)


def _own(call: Call, country: str | None) -> list[KeywordOut]:
    """The account's words; those of single countries only where one is named."""
    own = law.book(call.rt).own(call.account_id)
    return [
        KeywordOut(
            keyword=rule.value,
            kind="stop",
            languages=[],
            countries=[],
            place="whole",
            weak=False,
            own=True,
            confidence=rule.confidence,
            source=rule.source,
        )
        for rule in own.rules(country or "")
        if rule.kind == "keyword"
    ]


def _wanted(one: KeywordOut, query: KeywordsQuery) -> bool:
    if query.kind is not None and one.kind != query.kind:
        return False
    if query.country is not None and one.countries and query.country not in one.countries:
        return False
    return query.language is None or one.own or query.language in one.languages


def _shown(one: Keyword) -> KeywordOut:
    return KeywordOut(
        keyword=one.keyword,
        kind=one.kind,
        languages=list(one.languages),
        countries=list(one.countries),
        place=one.place,
        weak=one.weak,
        own=False,
        confidence=one.confidence,
        source=one.source,
    )


def _reply(one: ReplyText) -> ReplyOut:
    return ReplyOut(
        id=ids.public("rpl", one.id),
        kind=one.kind,
        language=one.language or None,
        text=one.text,
        created_at=rfc(one.created_at),
    )
