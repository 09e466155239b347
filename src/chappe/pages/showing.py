"""Pages as HTML: one stylesheet within, no script, no picture, nothing of anybody else."""

from __future__ import annotations

import base64
import hashlib
from importlib import resources
from typing import Any, NamedTuple
from urllib.parse import quote

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from chappe.pages.about import CHANNEL, About
from chappe.pages.choices import UNDO_MS, stop_all, stop_sender
from chappe.pages.seals import Done
from chappe.pages.words import Words, languages

_CSS = resources.files(__package__).joinpath("static", "page.css").read_text("utf-8")
_STYLE = base64.b64encode(hashlib.sha256(_CSS.encode()).digest()).decode()
# No script runs here, whoever wrote it: the texts on these pages are strangers'.
HEADERS = {
    "content-security-policy": (
        f"default-src 'none'; style-src 'sha256-{_STYLE}'; img-src data:; form-action 'self'; "
        "frame-ancestors 'none'; base-uri 'none'"
    ),
    "referrer-policy": "no-referrer",  # the address is the key
    "x-robots-tag": "noindex, nofollow, noarchive",
    "cache-control": "no-store",
    "vary": "accept-language",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}
_PURPOSES = ("service", "transactional", "otp")

_html = Environment(
    loader=PackageLoader("chappe.pages", "html"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


class Notice(NamedTuple):
    """What stands on top: news, with what it means (`note`), and how to undo it (a sealed Done) until when."""

    text: str
    bad: bool = False
    note: bool = False
    undo: str = ""
    until: str = ""


class Seen(NamedTuple):
    """What the page is to show beside the message. `seal` lets its forms in; `said` is of the address, to keep it."""

    words: Words
    seal: str
    seller: str
    now: int
    said: str = ""
    done: Done | None = None
    stale: bool = False
    wrong_code: bool = False


def message_page(about: About, seen: Seen) -> str:
    words = seen.words
    notice = _notice(about, seen)
    heading = words("page.title", account=about.account)
    why, wording = _why(about, words)
    downloads = about.person is not None
    return _html.get_template("message.html").render(
        _frame(words, f"{notice.text} \u2013 {heading}" if notice else heading, seen.seller, seen.said),
        about=about,
        notice=notice,
        seal=seen.seal,
        at=words.date(about.at, about.zone),
        text=about.text if about.purpose != "otp" else None,  # who is shown the link need not see the code
        why=why,
        wording=wording,
        stopped_sender=about.record.forbids(stop_sender(about).forbidden, CHANNEL),
        stopped_all=about.record.forbids(stop_all().forbidden, CHANNEL),
        stopped_everywhere=about.record.forbids(stop_all().forbidden, "any" if len(about.channels) > 1 else CHANNEL),
        several=len(about.channels) > 1,
        downloads=downloads,
        code_sent=downloads and (seen.wrong_code or (seen.done is not None and seen.done.what == "sent")),
        wrong_code=seen.wrong_code,
    )


def notice_page(words: Words, what: str, seller: str, *, good: bool = False) -> str:
    """A page that only says something: `trouble.<what>`."""
    title, hint = words(f"trouble.{what}"), words(f"trouble.{what}_hint")
    return _html.get_template("notice.html").render(_frame(words, title, seller), hint=hint, good=good)


def _frame(words: Words, title: str, seller: str, said: str = "") -> dict[str, Any]:
    keep = f"&said={quote(said)}" if said else ""
    return {
        "words": words,
        "title": title,
        "seller": seller,
        "keep": keep,
        "languages": list(languages().values()),
        "css": Markup(_CSS),  # our own file, and its digest is in the policy
    }


def _notice(about: About, seen: Seen) -> Notice | None:
    words, done = seen.words, seen.done
    if seen.stale:
        return Notice(words("done.stale"), bad=True)
    if done is None:
        return None
    if done.what in ("often", "failed"):
        return Notice(words(f"data.{done.what}", account=about.account), bad=True)
    if done.what == "undone":
        return Notice(words("done.undone"))
    if done.what == "late":
        return Notice(words("done.undo_late", account=about.account), bad=True)
    choice = {"sender": stop_sender(about), "all": stop_all(), "sms": stop_all("sms")}.get(done.what)
    if choice is None or not about.record.forbids(choice.forbidden, choice.channel):
        return None  # undone since: it is no news any more
    text = words(f"done.{done.what}", account=about.account, sender=about.sender)
    until = done.at + UNDO_MS
    if not (done.entry_id or done.refusal_ids) or until <= seen.now:
        return Notice(text, note=True)
    return Notice(text, note=True, undo=seen.said, until=words.date(until, about.zone))


def _why(about: About, words: Words) -> tuple[str, str]:
    """Why they got it, and the text that they agreed to."""
    if about.purpose in _PURPOSES:
        return words(f"why.{about.purpose}", account=about.account), ""
    if about.purpose != "marketing":
        return words("why.unknown"), ""
    said = about.record.consent(CHANNEL, about.brand, about.at)
    if said is None:
        return words("why.marketing_unknown", account=about.account), ""
    source = words(f"source.{said.source}")
    why = words("why.marketing", date=words.date(said.at, about.zone), account=about.account, source=source)
    return why, "" if said.proof is None else said.proof.wording
