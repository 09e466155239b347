"""Rendering: a template, a language and values become a text."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct

from chappe.templates.faults import Fault
from chappe.templates.language import compiled
from chappe.templates.measure import MAX_CLUSTER, UNICODE, level_of, longest_cluster
from chappe.templates.model import BUILT_IN, OPT_OUT_LINK, Content, localised, misnamed
from chappe.templates.values import fitted
from chappe.templates.worst import worst


class Rendered(Struct, frozen=True):
    """A text, and the locale whose body it is made of."""

    text: str
    locale: str


def render(content: Content, values: Mapping[str, object], locale: str | None = None) -> Rendered:
    """In the asked language, or what it falls back to. The content was checked when it was written.

    Raises Fault: template_value, template_locale, template_invalid.
    """
    found = localised(content, locale)
    if found is None:
        raise Fault("template_locale", f"There is no body for {locale or 'no language'}, and no default.")
    known = fitted(content.variables, values)
    known[BUILT_IN] = OPT_OUT_LINK
    text = compiled(content.bodies[found]).render(known)
    if level_of(text) == UNICODE and longest_cluster(text) > MAX_CLUSTER:
        raise Fault("template_value", "The text has a character with too many marks on it.")
    return Rendered(text, found)


def examples(content: Content) -> dict[str, object]:
    """The values that the variables give as examples."""
    return {name: variable.example for name, variable in content.variables.items()}


def faults(content: Content) -> list[tuple[str, Fault]]:
    """(field, fault) of everything for which a content is refused when it is written."""
    found = [(field, Fault("template_invalid", words)) for field, words in misnamed(content)]
    for locale, body in content.bodies.items():
        try:
            worst(body, content.variables)
        except Fault as fault:
            found.append((f"bodies.{locale}", fault))
    for name, variable in content.variables.items():
        try:
            fitted({name: variable}, {name: variable.example})
        except Fault as fault:
            found.append((f"variables.{name}.example", fault))
    return found
