"""What an installation has that bills every message and routes it by everything that can be told of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from chappe.numbers.operators import operators

Call = Callable[..., Any]
"""Method, path, body: the JSON of the answer."""
CUSTOMERS, SUPPLIER = "0.0725", "0.0412"
RULES = 1_000  # that do not take the messages of the benchmark, but are looked at


def routes() -> str:
    """Rules by prefix, operator, sender and tag for others, and one by country for the messages of the benchmark."""
    listed = sorted({one.mccmnc for one in operators()})
    text = []
    for n in range(RULES):
        match n % 4:
            case 0:
                condition = f'prefix = "336{n:04d}9"'
            case 1:
                condition = f'match = {{ operators = ["{listed[n % len(listed)]}"], tags = ["t{n}"] }}'
            case 2:
                condition = f'match = {{ countries = ["FR"], tags = ["t{n}"] }}'
            case _:
                condition = f'senders = ["Other{n}"]'
        text.append(f'[[routes]]\nname = "rule{n}"\nconnector = "sink"\n{condition}\n')
    return "".join(text)


def bill(call: Call) -> None:
    """A prepaid account, a price for each operator, a card of the supplier, a throttle that lets everything through.

    Raises Failed."""
    account = call("GET", "/v1/account")
    priced = {(one.country, one.mccmnc) for one in operators()}
    rows = [{"country": country, "operator": code, "amount": CUSTOMERS} for country, code in sorted(priced)]
    customers = _list(call, "customers", "customer", [{"amount": CUSTOMERS}, *rows])
    supplier = _list(call, "supplier", "supplier", [{"amount": SUPPLIER}])
    call("POST", "/v1/connector_cards", {"connector": "sink", "price_list_id": supplier})
    terms = {"account_id": account["id"], "currency": "EUR", "price_list_id": customers}
    call("POST", "/v1/account_terms", terms)
    booked = {"account_id": account["id"], "amount": "900000.00", "currency": "EUR", "reference": "bench"}
    call("POST", "/v1/top_ups", booked)
    throttle: dict[str, Any] = {"name": "wide", "scope": "account", "account_id": account["id"], "limit": 100_000}
    call("POST", "/v1/throttles", throttle | {"per": "second", "burst": 100_000})


def _list(call: Call, name: str, kind: str, rows: list[dict[str, str]]) -> str:
    made = call("POST", "/v1/price_lists", {"name": name, "kind": kind, "currency": "EUR"})
    path = f"/v1/price_lists/{made['id']}/rates"
    seen = call("POST", f"{path}/preview", {"rows": rows})
    call("POST", f"{path}/import", {"preview_digest": seen["preview_digest"]})
    return str(made["id"])
