"""Everything of a person by the API and the command line: shown, erased, and written down who looked."""

from __future__ import annotations

import asyncio
import json
import stat
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from chappe import ids, privacy
from chappe.cli import build
from chappe.privacy import erasing
from chappe.runtime import open_runtime
from chappe.settings import Settings
from tests.api.conftest import LATER, Reply, World
from tests.support.eventually import eventually

ALICE = "+33612345678"
REASON = "request of 31 January, ticket 4711"


class People(World):
    async def _configure(self) -> None:
        await super()._configure()
        try:
            self.rt.snapshots.named(privacy.ROOM)
        except KeyError:
            await privacy.start(self.rt, self.pipeline)

    async def export(self, who: str = "acme", **more: Any) -> list[dict[str, Any]]:
        reply = await self.client(who).post("/v1/people/export", {"person": ALICE} | more)
        assert reply.status == 200, reply.body
        assert reply.headers["content-type"].startswith("application/x-ndjson")
        return [json.loads(line) for line in reply.body.splitlines()]

    async def messages(self, who: str = "acme", **more: Any) -> list[str]:
        return [one["text"] for one in await self.export(who, **more) if one["kind"] == "message"]

    async def send(self, who: str, text: str, **more: Any) -> str:
        reply = await self.client(who).post("/v1/messages", {"to": ALICE, "text": text} | more)
        assert reply.status == 202, reply.body
        return str(reply.json["id"])

    async def delivered(self, who: str, text: str) -> str:
        number = await self.send(who, text)

        async def there() -> bool:
            return bool((await self.client(who).get(f"/v1/messages/{number}")).json["status"] == "delivered")

        await eventually(there)
        return number

    async def erase(self, who: str = "acme", query: str = "", **more: Any) -> Reply:
        return await self.client(who).post(f"/v1/people/erase{query}", {"person": ALICE, "reason": REASON} | more)

    async def finished(self, number: str, who: str = "operator") -> dict[str, Any]:
        found: dict[str, Any] = {}

        async def ended() -> bool:
            found.update((await self.client(who).get(f"/v1/erasures/{number}")).json)
            return bool(found["status"] == "finished")

        await eventually(ended)
        return found

    async def looks(self, who: str, query: str = "") -> list[str]:
        reply = await self.client(who).get(f"/v1/access_log?{query}")
        assert reply.status == 200, reply.body
        return [one["action"] for one in reply.json["data"]]


@pytest.fixture
async def people(store_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[People]:
    monkeypatch.setattr(erasing, "AGAIN_MS", 50)
    settings = Settings(data_dir=tmp_path, database=store_url, secret_key="test")
    settings.http.port = 0
    made = People(await open_runtime(settings))
    await made.start()
    yield made
    await made.stop()


async def test_a_person_is_shown_forgotten_and_refused_and_other_tenants_notice_nothing(people: People) -> None:
    await people.delivered("acme", "Yours")
    await people.delivered("acme_test", "A trial")
    await people.delivered("rival", "Theirs")
    waits = await people.send("acme", "Later", send_at=LATER)
    everything = await people.export()
    assert everything[0]["person"] == ALICE and everything[-1]["kind"] == "end"
    assert everything[-1]["counts"] == Counter(one["kind"] for one in everything[1:-1])
    assert sorted(await people.messages()) == ["A trial", "Later", "Yours"]
    assert await people.messages("acme_test") == ["A trial"], "a test key sees what test keys brought in"
    assert await people.messages("rival") == ["Theirs"]
    assert sorted(await people.messages("operator", everywhere=True)) == ["A trial", "Later", "Theirs", "Yours"]
    assert await people.messages("operator") == []

    counted = await people.erase(dry_run=True)
    assert (counted.json["status"], counted.json["id"], counted.json["counts"]["message"]) == ("dry_run", None, 3)
    asked = await people.erase()
    assert asked.status == 202, asked.body
    number = asked.json["id"]
    refused = await people.acme.post("/v1/messages", {"to": ALICE, "text": "Once more", "purpose": "otp"})
    assert refused.code == "opted_out"
    done = await people.finished(number, "acme")
    assert (done["counts"]["message"], done["counts"]["canceled"]) == (3, 1)
    assert ALICE[1:] not in json.dumps(done) and done["reason"] == REASON and done["person_hash"]
    assert await people.messages() == []
    gone = (await people.acme.get(f"/v1/messages/{waits}")).json
    assert (gone["to"], gone["text"], gone["status"]) == (f"erased:{done['person_hash']}", None, "canceled")
    assert await people.messages("rival") == ["Theirs"]
    assert (await people.client("rival").get(f"/v1/erasures/{number}")).status == 404
    assert (await people.client("rival").get("/v1/erasures")).json["data"] == []
    assert [one["id"] for one in (await people.acme.get("/v1/erasures")).json["data"]] == [number]

    assert await people.looks("rival") == ["export", "export"]
    mine = f"person=%2B{ALICE[1:]}"
    assert await people.looks("acme", mine) == ["export", "erase", "person", "export", "export", "export"]
    assert await people.looks("acme", "person=%2B33687654321") == []
    assert await people.looks("acme", f"{mine}&action=erase") == ["erase"]
    assert Counter(await people.looks("operator", "everywhere=true"))["export"] == 8
    page = (await people.acme.get("/v1/access_log?limit=1")).json
    assert page["has_more"] and page["data"][0]["person_hash"] == done["person_hash"]
    assert page["data"][0]["count"] == 2, "what forbids to write to her, live and by test keys"


async def test_a_test_key_erases_what_test_keys_brought_in(people: People) -> None:
    await people.delivered("acme", "Yours")
    await people.delivered("acme_test", "A trial")
    asked = await people.erase("acme_test")
    assert (await people.finished(asked.json["id"]))["counts"]["message"] == 1
    assert await people.messages() == ["Yours"]
    assert await people.send("acme", "You hear of us still")
    refused = await people.client("acme_test").post("/v1/messages", {"to": ALICE, "text": "Hello"})
    assert refused.code == "opted_out"


async def test_the_operator_erases_for_an_account_or_for_all(people: People) -> None:
    for who in ("acme", "rival"):
        await people.delivered(who, who)
    acme = ids.public("acc", people.account_ids["acme"])
    asked = await people.erase("operator", f"?account_id={acme}")
    await people.finished(asked.json["id"])
    assert (await people.messages(), await people.messages("rival")) == ([], ["rival"])
    asked = await people.erase("operator", everywhere=True)
    assert asked.json["everywhere"]
    done = await people.finished(asked.json["id"])
    assert done["counts"]["message"] == 1 and await people.messages("rival") == []
    assert [one["id"] for one in (await people.operator.get("/v1/erasures?everywhere=true")).json["data"]] == [
        done["id"]
    ]
    told = await people.client("rival").post("/v1/messages", {"to": ALICE, "text": "Hello"})
    assert told.code == "opted_out"


async def test_questions_that_make_no_sense_or_go_too_far_are_refused(people: People) -> None:
    acme, reader = people.acme, await people.key(("messages:read",))
    cases: list[tuple[str, dict[str, Any], str, str | None]] = [
        ("export", {"person": "+331"}, "number_too_short", "person"),
        ("export", {"person": "alice"}, "number_not_e164", "person"),
        ("export", {"person": "mail:alice"}, "invalid_value", "person"),
        ("export", {}, "missing_field", "person"),
        ("export", {"person": ALICE, "who": "me"}, "unknown_field", "who"),
        ("export", {"person": ALICE, "everywhere": True}, "scope_missing", None),
        ("erase", {"person": ALICE}, "missing_field", "reason"),
        ("erase", {"person": ALICE, "reason": ""}, "invalid_value", "reason"),
        ("erase", {"person": ALICE, "reason": f"{ALICE} asked"}, "invalid_value", "reason"),
        ("erase", {"person": ALICE, "reason": "x", "everywhere": True}, "scope_missing", None),
    ]
    for what, body, code, param in cases:
        reply = await acme.post(f"/v1/people/{what}", body)
        assert (reply.code, reply.param) == (code, param), (what, body, reply.body)
    for what, body in (("export", {"person": ALICE}), ("erase", {"person": ALICE, "reason": "x"})):
        assert (await reader.post(f"/v1/people/{what}", body)).code == "scope_missing"
        assert (await people.client(None).post(f"/v1/people/{what}", body)).status == 401
    assert (await reader.get("/v1/access_log")).code == "scope_missing"
    assert (await acme.get("/v1/access_log?everywhere=true")).code == "scope_missing"
    assert (await acme.get("/v1/access_log?action=peep")).code == "invalid_value"
    assert (await acme.get("/v1/access_log?cursor=x")).code == "invalid_cursor"
    assert (await acme.get("/v1/erasures/ers_0000000000000")).status == 404
    assert await people.looks("operator", "everywhere=true") == [], "who was refused has seen nothing"


async def test_the_command_exports_erases_and_lists(people: People, tmp_path: Path) -> None:
    settings = people.rt.settings
    environment = {
        "CHAPPE_DATABASE": settings.database,
        "CHAPPE_DATA_DIR": str(settings.data_dir),
        "CHAPPE_SECRET_KEY": "test",
        "COLUMNS": "160",
    }

    async def run(*line: str) -> tuple[int, str]:
        arguments = ["privacy", *line]
        app = build(arguments)
        done = await asyncio.to_thread(lambda: CliRunner().invoke(app, arguments, env=environment))
        return done.exit_code, done.output

    await people.delivered("acme", "Yours")
    target = tmp_path / "alice.ndjson"
    status, said = await run("export", "+33 6 12 34 56 78", "--account", "acme", "--out", str(target))
    assert status == 0 and "written to" in said, said
    lines = [json.loads(line) for line in target.read_text().splitlines()]
    assert [one["text"] for one in lines if one["kind"] == "message"] == ["Yours"]
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    erase = ("erase", ALICE, "--account", "acme", "--reason", REASON)
    status, said = await run(*erase, "--dry-run")
    assert status == 0 and "message" in said and await people.messages() == ["Yours"]
    status, said = await run(*erase)
    assert status == 1 and "Erase it?" in said and await people.messages() == ["Yours"], "nobody has said yes"
    status, said = await run(*erase, "--yes")
    assert status == 0 and "erased" in said and "ers_" in said, said
    assert await people.messages() == []
    status, said = await run("erasures", "--account", "acme")
    assert status == 0 and REASON in said and ALICE not in said
    status, said = await run("log", "--account", "acme", "--person", ALICE)
    assert status == 0 and "cli:" in said and "export" in said and "erase" in said
    for line, words in (
        (("export", ALICE, "--out", str(target)), "--everywhere"),
        (("export", "+331", "--account", "acme", "--out", str(target)), "too short"),
        (("erasures", "--account", "nobody"), "no account nobody"),
        (("log", "--action", "peep"), "no action peep"),
    ):
        status, said = await run(*line)
        assert status == 1 and words in said, (line, said)
