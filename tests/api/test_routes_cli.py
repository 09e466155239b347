"""`chappe routes` against a real API."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import click
from typer.testing import CliRunner, Result

from chappe.cli.routes import app
from tests.api.conftest import World


class Terminal:
    def __init__(self, world: World) -> None:
        self._env = {"CHAPPE_API_URL": world.base, "CHAPPE_API_KEY": world.keys["operator"]}

    async def run(self, *words: str, code: int = 0) -> str:
        """What `chappe routes ...` prints."""
        told: Result = await asyncio.to_thread(CliRunner().invoke, app, list(words), env=self._env)
        assert told.exit_code == code, (told.output, told.exception)
        return click.unstyle(told.output)


async def test_routes_are_listed_shown_and_explained(world: World) -> None:
    terminal = Terminal(world)
    match: dict[str, Any] = {
        "countries": ["FR"],
        "times": [{"start": "22:00", "end": "06:00"}],
        "segments": {"most": 2},
    }
    group = {"connectors": [{"connector": "main", "weight": 3}], "strategy": "weights"}
    made = await world.operator.post("/v1/routes", {"name": "night", "match": match, "groups": [group], "position": 1})
    assert made.status == 201, made.body
    listed = (await terminal.run("list")).splitlines()
    assert [line.split()[1] for line in listed[1:]] == ["night", "main", "lab"]
    assert "countries FR; every day 22:00-06:00 UTC; segments 1 to 2" in listed[1]
    shown = await terminal.run("show", "night")
    assert made.json["id"] in shown and "weights: main 3" in shown
    assert "There is no route x." in await terminal.run("show", "x", code=1)
    told = await terminal.run("explain", "+33612345678", "--at", "2026-11-23T23:00:00Z")
    assert "→ night: route night, for all accounts, any number, country FR" in told
    assert "main" in told and "the only connector of its group" in told
    told = await terminal.run("explain", "+33612345678", "--at", "2026-11-23T12:00:00Z")
    assert "  night: the route is open every day 22:00-06:00 UTC" in told and "→ main" in told
    assert "(number_not_e164)" in await terminal.run("explain", "12", code=1)


async def test_a_draft_is_made_from_a_file_compared_published_and_undone(world: World, tmp_path: Path) -> None:
    terminal = Terminal(world)
    file = tmp_path / "routes.json"
    file.write_text(
        json.dumps(
            [
                {"name": "france", "match": {"countries": ["FR"]}, "connector": "main"},
                {"name": "france2", "match": {"countries": ["FR"]}, "connector": "main"},
                {"name": "main", "most_attempts": 2},
            ]
        )
    )
    told = await terminal.run("draft", "autumn", "--file", str(file), "--drop", "lab", "--note", "cheaper")
    assert "+ france: countries FR -> main" in told
    assert "~ main: most_attempts 4 -> 2" in told
    assert "- lab: everything -> lab" in told
    assert "warning: france2: No message reaches it: france takes all of them before." in told
    assert "autumn" in await terminal.run("draft")
    assert [line.split()[1] for line in (await terminal.run("list", "--draft", "autumn")).splitlines()[1:]] == [
        "main",
        "france",
        "france2",
    ]
    assert "→ france:" in await terminal.run("explain", "+33612345678", "--draft", "autumn")
    assert "→ main:" in await terminal.run("explain", "+33612345678")
    assert "+ france" in await terminal.run("diff", "autumn")
    assert "autumn is in force as version 3" in await terminal.run("publish", "autumn")
    assert "cheaper" in await terminal.run("versions")
    assert "version 2 is in force again, as version 4" in await terminal.run("undo")
    assert "version 1 is in force again, as version 5" in await terminal.run("undo")
    assert "version 0 is in force again, as version 6" in await terminal.run("undo")
    assert "There is no version before the first." in await terminal.run("undo", code=1)
    assert "no route leads there" in await terminal.run("explain", "+33612345678", code=1)
    assert "version 3 is in force again, as version 7" in await terminal.run("undo", "--to", "3")


async def test_a_stale_draft_is_rebased(world: World) -> None:
    terminal = Terminal(world)
    await terminal.run("draft", "one", "--drop", "main")
    main = next(r for r in (await world.operator.get("/v1/routes")).json["data"] if r["name"] == "main")
    await world.operator.patch(f"/v1/routes/{main['id']}", {"status": "stopped"})
    assert "It starts from version 2, in force is 3: rebase it." in await terminal.run("diff", "one", code=1)
    assert "(routes_changed)" in await terminal.run("publish", "one", code=1)
    told = await terminal.run("rebase", "one")
    assert "one starts from version 3" in told and "others changed too: ~ main: status active -> stopped" in told
    await terminal.run("publish", "one")


async def test_a_file_that_is_none_makes_no_draft(world: World, tmp_path: Path) -> None:
    terminal = Terminal(world)
    file = tmp_path / "routes.json"
    for text, words in (("{", "is no JSON"), ('{"a": 1}', "is no list of routes")):
        file.write_text(text)
        assert words in await terminal.run("draft", "x", "--file", str(file), code=1)
    assert not (await world.operator.get("/v1/route_drafts")).json["data"]
    file.write_text(json.dumps([{"name": "a", "connector": "main"}, {"name": "b", "connector": "nope"}]))
    told = await terminal.run("draft", "x", "--file", str(file), code=1)
    assert "route 2 of" in told and "(connector_unknown)" in told
