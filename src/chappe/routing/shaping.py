"""One way to write each route: short forms and long ones of the same are brought to the same value. Pure."""

from __future__ import annotations

import re
from typing import Any

import msgspec

from chappe.accounts import checked
from chappe.routing.model import ATTEMPTS, MOST_ATTEMPTS, Group, Match, Member, Route, common_prefix

_replace = msgspec.structs.replace


def shaped(route: Route) -> Route:
    """The route as it is stored; raises Refused invalid_value that names the field.

    One prefix or account stands in `prefix` or `account_id`, several in `match`. A single group that is tried in order
    is `connector_id` and fallbacks; of others these two tell the connectors in short, for nodes of an older version.
    """
    match = route.match
    prefixes = tuple(sorted({prefix.removeprefix("+") for prefix in match.prefixes}))
    prefix = common_prefix(prefixes) if prefixes else route.prefix.removeprefix("+")
    own = () if route.account_id is None else (route.account_id,)
    accounts = tuple(dict.fromkeys((*own, *match.account_ids)))
    match = _replace(
        match,
        prefixes=prefixes if len(prefixes) > 1 else (),
        account_ids=accounts if len(accounts) > 1 else (),
    )
    route = _replace(
        route, prefix=prefix, account_id=accounts[0] if len(accounts) == 1 else None, match=match, **_short(route)
    )
    return checked(route)


def changed(route: Route, **fields: Any) -> Route:
    """With other fields, brought into shape. A field of the short form replaces what the long form said of it."""
    match: Match = fields.get("match", route.match)
    if "match" not in fields:
        if "prefix" in fields:
            match = _replace(match, prefixes=())
        if "account_id" in fields:
            match = _replace(match, account_ids=())
    if ("connector_id" in fields or "fallback_connector_ids" in fields) and "groups" not in fields:
        fields["groups"] = ()
    after = shaped(_replace(route, **(fields | {"match": match})))
    if "most_attempts" not in fields and route.most_attempts == usual_attempts(route):
        after = _replace(after, most_attempts=usual_attempts(after))
    return after


def usual_attempts(route: Route) -> int:
    """How many connectors a message tries where its route does not say: four, or every fallback of the short form."""
    return ATTEMPTS if route.groups else min(MOST_ATTEMPTS, max(ATTEMPTS, len(route.connectors)))


def _short(route: Route) -> dict[str, Any]:
    if not route.groups:
        return {}
    connectors = route.connectors or (0,)
    plain = route.groups == (Group(tuple(map(Member, connectors))),)
    return {
        "connector_id": connectors[0],
        "fallback_connector_ids": connectors[1:],
        "groups": () if plain else route.groups,
    }


def long_param(param: str) -> str:
    """The field of `groups` for one of the short form: what was written as groups may have been brought into that."""
    if param == "connector_id":
        return "groups[0].connectors[0].connector_id"
    if found := _FALLBACK(param):
        return f"groups[0].connectors[{int(found[1]) + 1}].connector_id"
    return param


_FALLBACK = re.compile(r"fallback_connector_ids\[(\d+)\]").fullmatch
