"""Makes docs/reference/law.md from the data.

`python -m chappe.law.table docs/reference/law.md`
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from chappe import numbers
from chappe.law.rules import Rule, all_rules

_MADE = "<!-- Made by `python -m chappe.law.table docs/reference/law.md`; change the data, not this page. -->"
_INTRO = f"""\
# Rules of countries

{_MADE}

What engineers read in public documents, no legal advice; see [how to use it](../how-to/law.md). The overview says how
sure each kind of rule is: H high, M medium, l low (warns, never blocks), (a) advice only, an empty field where nothing
is known. Rules about senders are apart: `GET /v1/senders/rules/FR`.
"""
_COLUMNS = ("hours", "cap", "wording", "ban", "consent", "opt_out", "register", "regime")
_SIGNS = {"high": "H", "medium": "M", "low": "l"}


def page() -> str:
    countries = sorted(all_rules().items())
    return "\n".join((_INTRO, *_overview(countries), *(line for one in countries for line in _country(*one)))) + "\n"


def _overview(countries: Sequence[tuple[str, Sequence[Rule]]]) -> Iterator[str]:
    yield "| country | " + " | ".join(name.replace("_", "-") for name in _COLUMNS) + " |"
    yield "|---" * (len(_COLUMNS) + 1) + "|"
    for country, rules in countries:
        yield f"| {country} | " + " | ".join(_signs(rules, kind) for kind in _COLUMNS) + " |"
    yield ""
    kinds = sum(len({rule.kind for rule in rules}) for _, rules in countries)
    rows = sum(len(rules) for _, rules in countries)
    yield f"{len(countries)} countries, {rows} rows of {kinds} kinds by country."


def _signs(rules: Sequence[Rule], kind: str) -> str:
    signs = {"(a)" if rule.binding == "advice" else _SIGNS[rule.confidence] for rule in rules if rule.kind == kind}
    return " ".join(sorted(signs))


def _country(country: str, rules: Sequence[Rule]) -> Iterator[str]:
    found = numbers.country(country)
    assert found is not None
    yield f"\n## {found.name}\n"
    yield "| rule | value | by | in force | confidence | source |"
    yield "|---|---|---|---|---|---|"
    for rule in rules:
        where = f" ({rule.country}-{rule.region})" if rule.region else ""
        purpose = "" if rule.purpose == "any" else f", {rule.purpose}"
        value = rule.value.replace("|", "\\|")
        place = f", {rule.place}" if rule.place not in ("", "any") else ""
        yield (
            f"| {rule.kind.replace('_', '-')}{purpose}{where} | `{value}`{place}: {rule.note} | {rule.binding} "
            f"| {_days(rule)} | {rule.confidence} | {rule.source} |"
        )


def _days(rule: Rule) -> str:
    if rule.valid_from is None and rule.valid_to is None:
        return "always"
    return f"{rule.valid_from or ''} to {rule.valid_to}" if rule.valid_to else f"since {rule.valid_from}"


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(page(), encoding="utf-8")
