"""Drafts of routes as commands name them."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from chappe.cli.client import Api
from chappe.cli.terminal import fail

PAGE = 500
DraftOption = Annotated[str | None, typer.Option("--draft", help="Of this draft, instead of those in force.")]


async def every(api: Api, path: str) -> list[Any]:
    """Every page of a list."""
    found: list[Any] = []
    cursor: str | None = None
    while True:
        page = await api.get(path, limit=PAGE, cursor=cursor)
        found += page["data"]
        cursor = page["next_cursor"]
        if cursor is None:
            return found


async def draft_of(api: Api, draft: str) -> Any:
    """By id or name; of several with one name the open one, then the latest."""
    found = await every(api, "/v1/route_drafts")
    return named(sorted(found, key=lambda one: bool(one["status"] != "open")), draft, "draft")


def named(among: list[Any], name: str, what: str) -> Any:
    found = next((one for one in among if name in (one["id"], one["name"])), None)
    if found is None:
        fail(f"There is no {what} {name}.")
    return found
