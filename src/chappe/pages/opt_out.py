"""`/o/<token>`: the page of one message, for whoever got it.

Reading it changes nothing, for mail and message scanners open every link; what changes something is a POST. After one
the browser is led back to the page, so that going back or loading again repeats nothing.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import parse_qsl, urlencode

import msgspec
from litestar import Request, Response
from litestar.response import Stream

from chappe import privacy
from chappe.batching import Full
from chappe.consent import links
from chappe.pages import choices, codes
from chappe.pages.about import About, about
from chappe.pages.choices import Choice, Pressed
from chappe.pages.limits import GUESSES, PEOPLE, VISITS, Limit, neighbourhood
from chappe.pages.seals import Done, Form, Sealed, seal, unseal
from chappe.pages.showing import HEADERS, Seen, message_page, notice_page
from chappe.pages.visitors import address_of
from chappe.pages.words import Words, choose
from chappe.storage import Unavailable

if TYPE_CHECKING:
    from chappe.messages import Pipeline
    from chappe.runtime import Runtime

FORM_MS = 24 * 3_600_000  # how long a page may stay open
_LONGEST = 8_192  # octets of a form
_FIELDS = 20
_AWAY_S = 5
# RFC 8058, 3.2: mail and message programs send it as either kind of form
_ONE_CLICK = re.compile(rb'name="?List-Unsubscribe"?[^\r\n]*\r?\n(?:[^\r\n]+\r?\n)*\r?\nOne-Click\r?\n')


class Visit(NamedTuple):
    """One request by somebody with a link that we made."""

    words: Words
    ip: str
    message_id: int
    query: dict[str, str]
    form: dict[str, str]


class OptOutPage:
    def __init__(self, rt: Runtime, pipeline: Pipeline) -> None:
        self._rt = rt
        self._pipeline = pipeline
        self._links = links.secret_of(rt)
        self._seals = rt.vault.key_for("page forms")
        self._people, self._guesses, self._visits = Limit(PEOPLE), Limit(GUESSES), Limit(VISITS)

    async def __call__(self, request: Request[Any, Any, Any]) -> Response[Any]:
        query = dict(parse_qsl(request.scope["query_string"].decode("latin-1")))
        words = choose(query.get("lang", ""), request.headers.get("accept-language", ""))
        ip = address_of(request.scope)
        message_id = links.read(self._links, request.path_params["token"])
        wait = self._held(message_id, neighbourhood(ip))
        if wait:
            return self._notice(words, "busy", 429, {"retry-after": str(max(1, round(wait)))})
        if message_id is None:
            return self._notice(words, "unknown", 404)
        try:
            form = {} if request.method in ("GET", "HEAD") else await _form(request)
            found = await about(self._rt, message_id)
            if found is None:
                return self._notice(words, "old", 410)
            visit = Visit(words, ip, message_id, query, form)
            if request.method in ("GET", "HEAD"):
                return self._page(found, visit)
            return await self._act(found, visit)
        except (Unavailable, Full):
            return self._notice(words, "away", 503, {"retry-after": str(_AWAY_S)})
        except Exception:
            self._rt.log.exception("a recipient's page failed", path="/o/")
            return self._notice(words, "away", 500)

    def _held(self, message_id: int | None, neighbours: str) -> float:
        """How long they have to wait, in seconds."""
        now = self._rt.clock.monotonic()
        if message_id is None:
            return self._guesses.take(neighbours, now)
        return self._people.take(neighbours, now) or self._visits.take(message_id, now)

    async def _act(self, found: About, visit: Visit) -> Response[Any]:
        form, words = visit.form, visit.words
        if form.get("List-Unsubscribe") == "One-Click":
            await self._choose(found, visit, choices.one_click(found), "List-Unsubscribe=One-Click")
            return self._notice(words, "stopped", 200, good=True)
        if self._unsealed(visit, form.get("form", ""), Form, FORM_MS) is None:
            return self._page(found, visit, 403, stale=True)
        match form.get("do"):
            case "stop_sender":
                choice, button = choices.stop_sender(found), words("stop.sender", sender=found.sender)
                return self._back(visit, await self._choose(found, visit, choice, button))
            case "stop_all":
                choice = choices.stop_all("sms" if form.get("channel") == "sms" else "any")
                button = words("stop.all", account=found.account)
                return self._back(visit, await self._choose(found, visit, choice, button))
            case "undo":
                return self._back(visit, await self._undo(found, visit))
            case "send_code" if found.person is not None:
                said = await codes.send(self._rt, self._pipeline, found, words)
                return self._back(visit, Done(self._rt.clock.now(), said))
            case "download" if found.person is not None:
                if not await codes.right(self._rt, found, form.get("code", "")):
                    return self._page(found, visit, 422, wrong_code=True)
                return await self._download(found, found.person)
        return self._page(found, visit, 400)

    async def _choose(self, found: About, visit: Visit, choice: Choice, button: str) -> Done:
        return await choices.choose(self._rt, found, choice, Pressed(button, visit.words.version, visit.ip))

    async def _undo(self, found: About, visit: Visit) -> Done:
        now = self._rt.clock.now()
        done = self._unsealed(visit, visit.form.get("said", ""), Done, choices.UNDO_MS)
        if done is None:
            return Done(now, "late")
        await choices.undo(self._rt, found, done, Pressed(visit.words("done.undo"), visit.words.version, visit.ip))
        return Done(now, "undone")

    # -- answers ---------------------------------------------------------------------------------------------------

    def _page(self, found: About, visit: Visit, status: int = 200, **more: bool) -> Response[Any]:
        now = self._rt.clock.now()
        said = visit.query.get("said", "")
        done = self._unsealed(visit, said, Done, choices.UNDO_MS)
        seen = Seen(
            visit.words,
            self._sealed(visit, Form(now)),
            self._seller,
            now,
            said if done is not None else "",
            done,
            **more,
        )
        return _html(message_page(found, seen), visit.words, status)

    def _notice(
        self, words: Words, what: str, status: int, headers: dict[str, str] | None = None, *, good: bool = False
    ) -> Response[Any]:
        return _html(notice_page(words, what, self._seller, good=good), words, status, headers)

    def _back(self, visit: Visit, done: Done) -> Response[Any]:
        """To the page again, which then says what was done."""
        kept = {"lang": visit.query["lang"]} if visit.query.get("lang") == visit.words.language else {}
        where = "?" + urlencode({**kept, "said": self._sealed(visit, done)})
        return Response(b"", status_code=303, headers={**HEADERS, "location": where}, media_type="text/html")

    async def _download(self, found: About, person: str) -> Response[Any]:
        await privacy.looked(self._rt, found.account_id, "recipient", "page", person, test=found.test, count=None)
        rows = privacy.export(self._rt, found.account_id, found.test, person)
        headers = {**HEADERS, "content-disposition": 'attachment; filename="my-data.json"'}
        return Stream(_json(rows), status_code=200, headers=headers, media_type="application/json")

    @property
    def _seller(self) -> str:
        return self._rt.settings.billing.seller.name

    # -- seals -----------------------------------------------------------------------------------------------------

    def _sealed(self, visit: Visit, value: Sealed) -> str:
        return seal(self._seals, visit.message_id, value)

    def _unsealed(self, visit: Visit, text: str, kind: type[Any], good_for: int) -> Any:
        now = self._rt.clock.now()
        return unseal(self._seals, visit.message_id, text, kind, since=now - good_for, until=now + 60_000)


async def _form(request: Request[Any, Any, Any]) -> dict[str, str]:
    """The fields of a form; what is no form, or too long, has none."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > _LONGEST:
            return {}
    if request.headers.get("content-type", "").startswith("multipart/form-data"):
        return {"List-Unsubscribe": "One-Click"} if _ONE_CLICK.search(body) else {}
    try:
        return dict(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=_FIELDS))
    except ValueError:
        return {}


async def _json(rows: AsyncIterator[dict[str, Any]]) -> AsyncIterator[bytes]:
    """One array, a row a line, as it comes."""
    lead = b"[\n"
    async for row in rows:
        yield lead + msgspec.json.encode(row)
        lead = b",\n"
    yield b"\n]\n" if lead == b",\n" else b"[]\n"


def _html(page: str, words: Words, status: int, headers: dict[str, str] | None = None) -> Response[Any]:
    told = {**HEADERS, "content-language": words.language, **(headers or {})}
    return Response(page.encode(), status_code=status, headers=told, media_type="text/html; charset=utf-8")
