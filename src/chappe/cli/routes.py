"""`chappe routes`: which way messages go, through the API of a running Chappe."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Column, Table

from chappe.cli.client import URL, Api, ApiError, KeyOption, UrlOption, talk
from chappe.cli.drafts import PAGE, DraftOption, draft_of, every, named
from chappe.cli.simulation import simulate
from chappe.cli.terminal import err, fail, out

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)
app.command()(simulate)

_SIGNS = {"create": ("+", "green"), "update": ("~", "yellow"), "delete": ("-", "red")}
_SKIPPED = ("id", "created_at", "connector", "fallback_connectors", "account_id", "prefix", "purposes", "senders")

DraftArgument = Annotated[str, typer.Argument(metavar="DRAFT", help="The draft: its id, or its name.")]
NoteOption = Annotated[str, typer.Option("--note", help="Why; kept with the version.")]


@app.command(name="list")
def list_routes(draft: DraftOption = None, url: UrlOption = URL, key: KeyOption = None) -> None:
    """List the routes in the order of their positions."""

    async def work(api: Api) -> list[Any]:
        return await every(api, await _routes_path(api, draft))

    table = Table(Column("position", justify="right"), "name", "takes", "leads to", "status", box=None)
    for route in sorted(talk(work, url, key), key=lambda route: (route["position"], route["id"])):
        status = ("test, " if route["test"] else "") + route["status"]
        words = (str(route["position"]), route["name"], takes(route), leads_to(route), status)
        table.add_row(*map(escape, words))
    out.print(table, soft_wrap=False)


@app.command()
def show(
    route: Annotated[str, typer.Argument(help="The route: its id, or its name.")],
    draft: DraftOption = None,
    url: UrlOption = URL,
    key: KeyOption = None,
) -> None:
    """Show a route."""

    async def work(api: Api) -> Any:
        return named(await every(api, await _routes_path(api, draft)), route, "route")

    found = talk(work, url, key)
    table = Table(Column(style="dim", no_wrap=True), Column(overflow="fold"), box=None, show_header=False)
    table.add_row("id", found["id"])
    for name, value in found.items():
        if name not in _SKIPPED and name not in ("match", "groups"):
            table.add_row(name, escape("" if value is None else str(value)))
    table.add_row("takes", escape(takes(found)))
    for at, group in enumerate(found["groups"], start=1):
        table.add_row(f"group {at}", escape(_group_words(group)))
    out.print(table, soft_wrap=False)


@app.command()
def versions(
    limit: Annotated[int, typer.Option(min=1, max=PAGE, help="How many at most.")] = 20,
    url: UrlOption = URL,
    key: KeyOption = None,
) -> None:
    """List what was in force, newest first: when, who, why."""
    table = Table(Column("version", justify="right"), "when", "kind", "by", "changes", "note", box=None)
    for one in talk(lambda api: api.get("/v1/route_versions", limit=limit), url, key)["data"]:
        when = one["published_at"][:19].replace("T", " ")
        table.add_row(str(one["number"]), when, one["kind"], one["by"], str(one["changes"]), escape(one["note"]))
    out.print(table, soft_wrap=False)


@app.command()
def draft(
    name: Annotated[str | None, typer.Argument(help="Of the draft; without it, list the drafts.")] = None,
    file: Annotated[
        Path | None,
        typer.Option(
            "--file", help="JSON: a list of routes as the API takes them.", dir_okay=False, exists=True, readable=True
        ),
    ] = None,
    drop: Annotated[list[str] | None, typer.Option("--drop", help="A route that goes; may be repeated.")] = None,
    note: NoteOption = "",
    url: UrlOption = URL,
    key: KeyOption = None,
) -> None:
    """Make a draft, or edit the open one of that name: routes of FILE that it has are changed, others are added."""
    if name is None:
        _list_drafts(talk(lambda api: every(api, "/v1/route_drafts"), url, key))
        return
    wanted = [] if file is None else _read(file)

    async def work(api: Api) -> Any:
        drafts = await every(api, "/v1/route_drafts")
        found = next((one for one in drafts if name in (one["id"], one["name"]) and one["status"] == "open"), None)
        if found is None:
            found = await api.post("/v1/route_drafts", {"name": name, "note": note})
        path = f"/v1/route_drafts/{found['id']}/routes"
        routes = {route["name"]: route for route in await every(api, path)}
        for at, told in enumerate(wanted):
            before = routes.get(told.get("name"))
            try:
                if before is None:
                    await api.post(path, told)
                else:
                    await api.patch(f"{path}/{before['id']}", {k: v for k, v in told.items() if k != "test"})
            except ApiError as error:
                err.print(f"route {at + 1} of {file} ({told.get('name')}): the ones before it are in the draft")
                raise error
        for each in drop or ():
            await api.delete(f"{path}/{named([*routes.values()], each, 'route')['id']}")
        return found, await api.get(f"/v1/route_drafts/{found['id']}/diff")

    found, compared = talk(work, url, key)
    out.print(f"{found['id']}  {found['name']}", markup=False)
    _tell(compared)


@app.command()
def diff(draft: DraftArgument, url: UrlOption = URL, key: KeyOption = None) -> None:
    """Show what a draft changes, and what is wrong with it; ends with 1 if it cannot be published."""

    async def work(api: Api) -> Any:
        return await api.get(f"/v1/route_drafts/{(await draft_of(api, draft))['id']}/diff")

    compared = talk(work, url, key)
    _tell(compared)
    if compared["stale"] or any(fault["level"] == "error" for fault in compared["faults"]):
        raise typer.Exit(1)


@app.command()
def rebase(draft: DraftArgument, url: UrlOption = URL, key: KeyOption = None) -> None:
    """Let a draft start from what is in force now; its edits stay."""

    async def work(api: Api) -> Any:
        return await api.post(f"/v1/route_drafts/{(await draft_of(api, draft))['id']}/rebase")

    done = talk(work, url, key)
    out.print(f"{done['draft']['name']} starts from version {done['draft']['base_version']}", markup=False)
    for line, colour in _lines(done["conflicts"]):
        out.print(f"others changed too: {line}", style=colour, markup=False)


@app.command()
def publish(draft: DraftArgument, note: NoteOption = "", url: UrlOption = URL, key: KeyOption = None) -> None:
    """Put a draft in force, all or nothing."""

    async def work(api: Api) -> Any:
        return await api.post(f"/v1/route_drafts/{(await draft_of(api, draft))['id']}/publish", {"note": note})

    done = talk(work, url, key)
    out.print(f"{done['name']} is in force as version {done['version']}", markup=False)


@app.command()
def undo(
    to: Annotated[int | None, typer.Option("--to", min=0, help="This version, instead of the one before.")] = None,
    note: NoteOption = "",
    url: UrlOption = URL,
    key: KeyOption = None,
) -> None:
    """Bring back the version before the one in force; again, and the one before that."""

    async def work(api: Api) -> Any:
        number = to
        if number is None:
            latest = (await api.get("/v1/route_versions", limit=1))["data"]
            if not latest:
                fail("There is no version to undo.")
            restored = latest[0]["restored"]
            number = (latest[0]["number"] if restored is None else restored) - 1
            if number < 0:
                fail("There is no version before the first. `chappe routes versions` lists those after it.")
        return await api.post(f"/v1/route_versions/{number}/restore", {"note": note})

    done = talk(work, url, key)
    out.print(f"version {done['restored']} is in force again, as version {done['number']}")


@app.command()
def explain(
    number: Annotated[str, typer.Argument(help="The number: +33612345678.")],
    sender: Annotated[str, typer.Option("--from", help="The sender.")] = "",
    purpose: Annotated[str, typer.Option(help="otp, transactional, service or marketing.")] = "transactional",
    account: Annotated[str | None, typer.Option("--account", help="The account's id, acc_...")] = None,
    operator: Annotated[str | None, typer.Option("--operator", help="MCC and MNC; else what own data say.")] = None,
    tag: Annotated[list[str] | None, typer.Option("--tag", help="A tag; may be repeated.")] = None,
    segments: Annotated[int, typer.Option(min=1, max=255, help="Of the text.")] = 1,
    at: Annotated[str | None, typer.Option("--at", help="When, as RFC 3339; else now.")] = None,
    test: Annotated[bool, typer.Option("--test", help="As a message of a test key.")] = False,
    draft: DraftOption = None,
    every: Annotated[bool, typer.Option("--all", help="Tell of routes after the chosen one, too.")] = False,
    url: UrlOption = URL,
    key: KeyOption = None,
) -> None:
    """Explain which way a number would go: every route that was tried, and why not; ends with 1 if no route leads
    there."""
    question: dict[str, Any] = {
        "to": number,
        "from": sender,
        "purpose": purpose,
        "account_id": account,
        "operator": operator,
        "tags": tag or [],
        "segments": segments,
        "at": at,
        "test": test,
    }

    async def work(api: Api) -> Any:
        if draft is not None:
            question["draft_id"] = (await draft_of(api, draft))["id"]
        return await api.post("/v1/routes/explain", question)

    told = talk(work, url, key)
    out.print(
        f"{number}: country {told['country'] or 'unknown'}, operator {told['operator'] or 'unknown'}", style="dim"
    )
    for tried in told["tried"]:
        out.print(("→ " if tried["chosen"] else "  ") + f"{tried['name']}: {tried['reason']}", markup=False)
        if tried["chosen"] and not every:
            break
    table = Table(Column(justify="right"), "connector", "group", "strategy", "why", box=None)
    for at_, one in enumerate(told["order"], start=1):
        place = "left out" if one["left_out"] else f"{at_}."
        table.add_row(place, escape(one["connector"]), str(one["group"]), one["strategy"], escape(one["reason"]))
    if not told["connectors"]:
        out.print("no route leads there" if not told["order"] else "every connector is left out", style="red")
    if told["order"]:
        out.print(table, soft_wrap=False)
    if not told["connectors"]:
        raise typer.Exit(1)


# -- asked ---------------------------------------------------------------------------------------------------------


async def _routes_path(api: Api, draft: str | None) -> str:
    return "/v1/routes" if draft is None else f"/v1/route_drafts/{(await draft_of(api, draft))['id']}/routes"


def _read(file: Path) -> list[dict[str, Any]]:
    try:
        found = json.loads(file.read_bytes())
    except ValueError as error:
        fail(f"{file} is no JSON: {error}")
    if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
        fail(f"{file} is no list of routes.")
    return found


# -- told ----------------------------------------------------------------------------------------------------------


def takes(route: dict[str, Any]) -> str:
    """Which messages a route takes, in a line."""
    match = route["match"]
    words = [f"{name.replace('_', ' ')} {_few(match[name])}" for name in match if match[name] and name in _PLAIN]
    for one in match["times"]:
        days = ", ".join(one["days"]) or "every day"
        words.append(f"{days} {one['start']}-{one['end']} {one['time_zone']}")
    least, most = match["segments"]["least"], match["segments"]["most"]
    if least is not None or most is not None:
        words.append(f"segments {least or 1} to {most or 'any'}")
    return "; ".join(words) or "everything"


_PLAIN = (
    *("account_ids", "account_groups", "prefixes", "operators", "countries"),
    *("senders", "sender_kinds", "purposes", "tags"),
)


def leads_to(route: dict[str, Any]) -> str:
    """`a, b | weights: c 3, d 1`"""
    return " | ".join(map(_group_words, route["groups"]))


def _group_words(group: dict[str, Any]) -> str:
    weighed = group["strategy"] in ("weights", "sticky")
    names = [f"{one['connector']} {one['weight']}" if weighed else one["connector"] for one in group["connectors"]]
    return ("" if group["strategy"] == "order" else f"{group['strategy']}: ") + ", ".join(names)


def _few(values: list[str]) -> str:
    return " ".join(values[:4]) + (f" and {len(values) - 4} more" if len(values) > 4 else "")


def _list_drafts(found: list[Any]) -> None:
    table = Table("id", "name", "status", Column("from version", justify="right"), "by", "note", box=None)
    for one in found:
        status = f"version {one['version']}" if one["version"] else "stale" if one["stale"] else one["status"]
        words = (one["id"], one["name"], status, str(one["base_version"]), one["created_by"], one["note"])
        table.add_row(*map(escape, words))
    out.print(table, soft_wrap=False)


def _tell(compared: dict[str, Any]) -> None:
    """What a draft changes, and its faults."""
    lines = [*_lines(compared["changes"])]
    for line, colour in lines:
        out.print(line, style=colour, markup=False)
    if not lines:
        out.print("nothing changes")
    if compared["stale"]:
        base, now = compared["base_version"], compared["published_version"]
        out.print(f"It starts from version {base}, in force is {now}: rebase it.", style="red")
    for fault in compared["faults"]:
        colour = "red" if fault["level"] == "error" else "yellow"
        where = f"{fault['name']}.{fault['param']}" if fault["param"] else fault["name"]
        out.print(f"{fault['level']}: {where}: {fault['message']} ({fault['code']})", style=colour, markup=False)


def _lines(changes: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for one in changes["account_groups"]:
        sign, colour = _SIGNS[one["action"]]
        members = len((one["after"] or one["before"])["account_ids"])
        yield f"{sign} account group {one['name']}: {members} accounts", colour
    for one in changes["routes"]:
        sign, colour = _SIGNS[one["action"]]
        if one["action"] == "update":
            before, after = one["before"], one["after"]
            told = [_change(name, before, after) for name in one["fields"] if name not in _SKIPPED]
            yield f"{sign} {one['name']}: {'; '.join(told)}", colour
        else:
            route = one["after"] or one["before"]
            yield f"{sign} {one['name']}: {takes(route)} -> {leads_to(route)}", colour


def _change(name: str, before: dict[str, Any], after: dict[str, Any]) -> str:
    told = {"match": takes, "groups": leads_to}.get(name)
    old, new = (str(route[name]) if told is None else told(route) for route in (before, after))
    return f"{name} {old} -> {new}"
