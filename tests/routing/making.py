"""Routes and questions with what a test does not care about filled in."""

from __future__ import annotations

from typing import Any

from chappe.channels.settings import Connector, SmppCredentials, SmppSettings
from chappe.routing import AccountGroup, Ask, Route


def route(number: int, prefix: str = "", **fields: Any) -> Route:
    values: dict[str, Any] = {
        "id": number,
        "name": f"r{number}",
        "position": number,
        "account_id": None,
        "prefix": prefix,
        "purposes": (),
        "senders": (),
        "connector_id": number * 100,
        "fallback_connector_ids": (),
        "status": "active",
        "test": False,
        "created_at": 0,
    }
    return Route(**(values | fields))


def ask(digits: str, **fields: Any) -> Ask:
    values: dict[str, Any] = {
        "account_id": 1,
        "digits": digits,
        "country": "",
        "operator": None,
        "purpose": "service",
        "sender": "",
        "sender_kind": "alphanumeric",
    }
    return Ask(**(values | fields))


def group(name: str, *account_ids: int) -> AccountGroup:
    return AccountGroup(sum(map(ord, name)), name, account_ids, 0)


def connector(number: int, *, test: bool = False) -> Connector:
    credentials = SmppCredentials("a", "b")
    return Connector(number, f"c{number}", "smpp", test, "active", SmppSettings(host="h"), credentials)
