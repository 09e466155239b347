"""Lint: what a template will cost and where it will fail, before anybody gets it. A dry run: nothing is sent or stored.

What others know comes as callables (`Checks`, filled in `lint_checks.py`): prices, senders, the law of a country
(`wording.py`), registers of templates, suspicious content.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from msgspec import Struct

from chappe import senders, templates
from chappe.messages.wording import HOW_TO_STOP, Demand, Demands, spoken, unmet, ways_out
from chappe.templates import Content, Fault, Worst
from chappe.templates.faults import place
from chappe.text import Preview, TextError, preview, sender_kind

Severity = Literal["error", "warning", "info"]
MAX_PARTS = 10


class Finding(Struct, frozen=True, kw_only=True):
    """One thing to say about a template. `locale` None is about all of it; `line` and `column` count from 1 within the
    body of the locale; `suggestion` is what to do."""

    code: str
    severity: Severity
    message: str
    suggestion: str | None = None
    locale: str | None = None
    line: int | None = None
    column: int | None = None


class Remark(NamedTuple):
    """What a check of others says of a text: `excerpt` is where."""

    code: str
    severity: Severity
    message: str
    suggestion: str | None = None
    excerpt: str | None = None


class Register(NamedTuple):
    """What a country's register of templates asks, each with its source: that each is entered (`needed`; `sure` makes
    it an error that it is not), and that no value is longer than `longest`."""

    needed: str | None
    sure: bool
    longest: tuple[int, str] | None = None


@dataclass(frozen=True, slots=True)
class Checks:
    """What lint asks of others; None leaves that part out.

    `quote` (country, segments): a price as people read it. `sender` (sender, country): what speaks against it.
    `wording` (country, purpose): what the law asks of a text. `register` (country): where templates are entered.
    `content` (text, country): suspicious content. `locales` are the languages that every template should have; `link`
    is what an opt-out link looks like, None where there can be none.
    """

    quote: Callable[[str, int], str | None] | None = None
    sender: Callable[[str, str], Iterable[Remark]] | None = None
    wording: Callable[[str, str], Demands] | None = None
    register: Callable[[str], Register | None] | None = None
    content: Callable[[str, str], Iterable[Remark]] | None = None
    locales: tuple[str, ...] = ()
    max_parts: int = MAX_PARTS
    link: str | None = "https://m.example.com/o/0123456789abcdefghi"


ALONE = Checks()
_RANK = {"error": 0, "warning": 1, "info": 2}


def lint(content: Content, checks: Checks = ALONE) -> list[Finding]:
    """All findings: those about the whole first, then by locale and place."""
    found = [*_names(content), *_locales(content, checks), *_sender(content, checks), *_registers(content, checks)]
    used: set[str] = set()
    readable = True
    for locale, source in content.bodies.items():
        found += _invisible(locale, source)
        try:
            bound = templates.worst(source, content.variables)
        except Fault as fault:
            readable = False
            found.append(_of_fault(fault, locale))
            continue
        used |= bound.used.keys()
        found += _body(content, locale, source, bound, checks)
    found += _unused(content, used) if readable else ()
    sure = {(one.code, one.locale) for one in found if one.severity == "error"}
    found = [one for one in found if one.severity == "error" or (one.code, one.locale) not in sure]
    return sorted(found, key=lambda one: (one.locale or "", one.line or 0, one.column or 0, _RANK[one.severity]))


# -- about the whole -----------------------------------------------------------------------------------------------


def _names(content: Content) -> Iterator[Finding]:
    for field, words in templates.misnamed(content):
        yield Finding(code="name_invalid", severity="error", message=f"{field}: {words}")
    for name, variable in content.variables.items():
        try:
            templates.fit(name, variable, variable.example)
        except Fault as fault:
            yield Finding(
                code="example_invalid",
                severity="error",
                message=f"The example of {name} does not fit: {fault.message}",
                suggestion=f"Correct variables.{name}: its example, type or max_length.",
            )


def _locales(content: Content, checks: Checks) -> Iterator[Finding]:
    if templates.DEFAULT not in content.bodies:
        yield Finding(
            code="locale_missing",
            severity="warning",
            message="There is no default body: people of other languages get nothing.",
            suggestion="Add a body `default`.",
        )
    for locale in checks.locales:
        known = [one for one in templates.fallbacks(locale) if one != templates.DEFAULT]
        if locale != templates.DEFAULT and not any(one in content.bodies for one in known):
            yield Finding(
                code="locale_missing",
                severity="warning",
                message=f"There is no body for {locale}.",
                suggestion=f"Add a body `{locale}`.",
            )


def _sender(content: Content, checks: Checks) -> Iterator[Finding]:
    if content.sender is None:
        yield Finding(
            code="sender_missing",
            severity="warning",
            message="The template names no sender: messages leave from the account's default.",
            suggestion="Set `sender`.",
        )
        return
    if checks.sender is None or content.sender.startswith(senders.PREFIX):
        return
    said: dict[Remark, list[str]] = {}
    for country in content.countries:
        for remark in checks.sender(content.sender, country):
            said.setdefault(remark, []).append(country)
    for remark, countries in said.items():
        yield _of_remark(remark, None, None, countries)


def _registers(content: Content, checks: Checks) -> Iterator[Finding]:
    for country in content.countries if checks.register is not None else ():
        assert checks.register is not None
        register = checks.register(country)
        if register is None:
            continue
        if register.needed is not None and country not in content.registrations:
            yield Finding(
                code="template_not_registered",
                severity="error" if register.sure else "warning",
                message=f"{country}: templates are registered there, and this one is not. ({register.needed})",
                suggestion=f"Enter what the register calls it in registrations.{country}.template_id.",
            )
        longest, source = register.longest or (templates.MAX_VALUE, "")
        for name, variable in content.variables.items():
            if variable.most > longest:
                yield Finding(
                    code="variable_too_long",
                    severity="warning",
                    message=f"{country}: a variable stands for {longest} characters at most, and {name} may have "
                    f"{variable.most}. ({source})",
                    suggestion=f"Lower variables.{name}.max_length.",
                )


def _unused(content: Content, used: set[str]) -> Iterator[Finding]:
    for name in content.variables:
        if name not in used:
            yield Finding(
                code="variable_unused",
                severity="warning",
                message=f"No body uses the variable {name}.",
                suggestion=f"Remove variables.{name}, or write {{{{ {name} }}}}.",
            )


# -- about one body ------------------------------------------------------------------------------------------------


def _body(content: Content, locale: str, source: str, bound: Worst, checks: Checks) -> Iterator[Finding]:
    try:
        text = templates.render(content, templates.examples(content), locale).text
        shown = preview(text.replace(templates.OPT_OUT_LINK, checks.link or ""))
    except Fault as fault:
        if fault.variable is None:  # else it was said of the example
            yield _of_fault(fault, locale)
        return
    except TextError as error:
        yield Finding(code=error.code, severity="error", message=error.message, locale=locale)
        return
    if not text.strip():
        yield Finding(code="text_empty", severity="error", message="The text is empty.", locale=locale)
    if bound.linked and checks.link is None:
        yield Finding(
            code="opt_out_link_unavailable",
            severity="error",
            message="There are no opt-out links: this installation has no public_url.",
            suggestion="Ask the operator, or write how to stop in words.",
            locale=locale,
        )
    yield from _encoding(content, locale, source, bound, shown)
    yield from _size(content, locale, bound, shown, checks)
    yield from _identity(content, locale, text)
    yield from _law(content, locale, source, text, checks)
    if checks.content is not None:
        said: dict[Remark, list[str]] = {}
        for country in content.countries or ("",):
            for remark in checks.content(text, country):
                said.setdefault(remark, []).append(country)
        for remark, countries in said.items():
            yield _of_remark(remark, locale, source, [one for one in countries if one])


def _encoding(content: Content, locale: str, source: str, bound: Worst, shown: Preview) -> Iterator[Finding]:
    """What makes it UCS-2, whose segments hold 70 characters where those of GSM-7 hold 160."""
    written = [one for one in shown.forced if one.char in source]
    if any(one.suggestion is None for one in written):
        yield Finding(
            code="ucs2_needed",
            severity="info",
            message="The text is written in letters that GSM-7 lacks: a segment holds 70 characters, not 160.",
            locale=locale,
        )
        return
    for one in written:
        line, column = place(source, source.index(one.char))
        instead = f"Write {one.suggestion!r} instead." if one.suggestion else "Remove it."
        if shown.smart is not None and shown.smart.saved:
            instead += f" That saves {_segments(shown.smart.saved)}."
        yield Finding(
            code="ucs2_forced",
            severity="warning",
            message=f"{one.char!r} ({_name(one.char)}) is not in GSM-7: a segment holds 70 characters, not 160.",
            suggestion=instead,
            locale=locale,
            line=line,
            column=column,
        )
    if not written and bound.extent.level == templates.UNICODE:
        for name, (line, column) in bound.used.items():
            variable = content.variables[name]
            if variable.type == "text" and variable.alphabet == "unicode":
                yield Finding(
                    code="ucs2_possible",
                    severity="info",
                    message=f"A value of {name} may have letters that GSM-7 lacks.",
                    suggestion=f'Set alphabet = "gsm7" in variables.{name} to have them written without accents.',
                    locale=locale,
                    line=line,
                    column=column,
                )


def _size(content: Content, locale: str, bound: Worst, shown: Preview, checks: Checks) -> Iterator[Finding]:
    usual, most = shown.segments, shown.segments
    if not bound.fixed:
        most = max(usual, templates.segments(bound.extent))
    told = f"{_segments(usual)} in {shown.encoding.upper()} with the examples, {most} at most."
    yield Finding(code="segments", severity="info", message=told, locale=locale)
    if most > checks.max_parts:
        yield Finding(
            code="too_many_segments",
            severity="error" if usual > checks.max_parts else "warning",
            message=f"It can take {_segments(most)}, and {checks.max_parts} are allowed.",
            suggestion="Shorten the text, or the max_length of its variables.",
            locale=locale,
        )
    elif most > usual:
        longest = sorted(bound.used, key=lambda name: -content.variables[name].most)[:3]
        yield Finding(
            code="segments_overflow",
            severity="warning",
            message=f"The longest values make {_segments(most)} of {usual}.",
            suggestion=f"Shorten the text, or lower the max_length of {', '.join(longest)}."
            if longest
            else "Shorten the longer branch.",
            locale=locale,
        )
    for country in content.countries if checks.quote is not None and usual else ():
        assert checks.quote is not None
        least, dearest = checks.quote(country, usual), checks.quote(country, most)
        if least is None:
            words = f"To {country}: no price is known."
        else:
            words = f"To {country}: {least}" + (f", {dearest} at most." if dearest and dearest != least else ".")
        yield Finding(code="price", severity="info", message=words, locale=locale)


def _identity(content: Content, locale: str, text: str) -> Iterator[Finding]:
    """From a number a reader does not see who writes: then the text says it."""
    named = content.sender is not None and sender_kind(content.sender) == "alphanumeric"
    if named and content.sender is not None and not content.sender.startswith(senders.PREFIX):
        return
    if content.brand is None:
        words, what = "Nobody can check that the text says who writes.", "Set `brand`."
    elif content.brand.casefold() not in text.casefold():
        words, what = f"The text does not say that it comes from {content.brand}.", f"Write {content.brand} into it."
    else:
        return
    severity: Severity = "info" if content.brand is None else "warning"
    yield Finding(code="sender_name_missing", severity=severity, message=words, suggestion=what, locale=locale)


def _law(content: Content, locale: str, source: str, text: str, checks: Checks) -> Iterator[Finding]:
    countries = [one for one in content.countries if _concerns(locale, one)]
    lacking: dict[tuple[object, ...], tuple[Demand, list[str]]] = {}
    ruled = False
    for country in countries if checks.wording is not None else ():
        assert checks.wording is not None
        demands = checks.wording(country, content.purpose)
        ruled = ruled or bool(demands.all)
        for one in unmet(text, demands):
            said = (one.code, one.sure, one.source, one.note, one.suggestion)
            lacking.setdefault(said, (one, []))[1].append(country)
        for word, banned in spoken(text, demands):
            severity: Severity = "error" if banned.sure else "warning"
            words = f"“{word}” is not let through ({banned.source})."
            yield _of_remark(
                Remark("word_forbidden", severity, words, "Use another word.", word), locale, source, [country]
            )
    for one, where in lacking.values():
        yield Finding(
            code=one.code,
            severity="error" if one.sure else "warning",
            message=f"{', '.join(where)}: {one.note} ({one.source})",
            suggestion=one.suggestion,
            locale=locale,
        )
    if content.purpose == "marketing" and not ruled and next(ways_out(text), None) is None:
        yield Finding(
            code="opt_out_missing",
            severity="warning",
            message="The text does not say how to stop such messages.",
            suggestion=HOW_TO_STOP,
            locale=locale,
        )


def _concerns(locale: str, country: str) -> bool:
    """A body of another region does not go there: fr-CA not to France."""
    region = locale.rpartition("-")[2]
    return len(region) != 2 or not region.isupper() or region == country


_INVISIBLE = re.compile(
    "[\u00ad\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069\ufeff\x00-\x09\x0b\x0c\x0e-\x1f\x7f-\x9f]"
    "|(?:^|(?<=[\x00-\u024f]))[\u200c\u200d]"  # joiners belong to other scripts and to emoji
)


def _invisible(locale: str, source: str) -> Iterator[Finding]:
    for match in _INVISIBLE.finditer(source):
        line, column = place(source, match.start())
        yield Finding(
            code="invisible_character",
            severity="warning",
            message=f"There is an invisible character here: U+{ord(match[0]):04X} {_name(match[0])}.",
            suggestion="Remove it.",
            locale=locale,
            line=line,
            column=column,
        )


def _of_fault(fault: Fault, locale: str) -> Finding:
    return Finding(
        code=fault.code,
        severity="error",
        message=fault.message,
        suggestion=f"Add [variables.{fault.variable}]." if fault.variable and "declared" in fault.message else None,
        locale=locale,
        line=fault.line,
        column=fault.column,
    )


def _of_remark(remark: Remark, locale: str | None, source: str | None, countries: Sequence[str]) -> Finding:
    index = -1
    if source is not None and remark.excerpt:
        index = source.casefold().find(remark.excerpt.casefold())
    line, column = place(source, index) if source is not None and 0 <= index < len(source) else (None, None)
    return Finding(
        code=remark.code,
        severity=remark.severity,
        message=f"{', '.join(countries)}: {remark.message}" if countries else remark.message,
        suggestion=remark.suggestion,
        locale=locale,
        line=line,
        column=column,
    )


def _segments(count: int) -> str:
    return f"{count} segment" if count == 1 else f"{count} segments"


def _name(cluster: str) -> str:
    return " + ".join(unicodedata.name(char, f"U+{ord(char):04X}").lower() for char in cluster)
