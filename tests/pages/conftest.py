"""Recipients' pages on a real server, a real store and a real pipeline."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import aiohttp
import pytest

from chappe import api, consent, pages, senders, webhooks
from chappe.consent import Entry, Proof
from chappe.messages import Accepted, Pipeline, Submission, open_rooms
from chappe.runtime import open_runtime
from chappe.settings import Settings
from tests.api.conftest import World

ALICE, BOB = "+33612345678", "+33687654321"
OTHER = "AcmeNews"  # the second sender of acme
_INPUT = re.compile(r'<input type="hidden" name="(\w+)" value="([^"]*)">')


class Page:
    """What a browser got: `forms` by what they do, with their hidden fields."""

    def __init__(self, status: int, headers: dict[str, str], text: str, address: str) -> None:
        self.status, self.headers, self.text, self.address = status, headers, text, address
        forms = (dict(_INPUT.findall(form)) for form in re.findall(r"<form.*?</form>", text, re.DOTALL))
        self.forms = {form["do"]: form for form in forms}

    @property
    def language(self) -> str:
        found = re.search(r'<html lang="(\w+)"', self.text)
        assert found
        return found[1]


class Town(World):
    """The world of the API's tests, with the recipients' door beside it."""

    async def start(self) -> None:
        rt = self.rt
        await open_rooms(rt)
        self.webhooks = await webhooks.start(rt)
        self.pipeline = Pipeline(rt, self._open_link, alone=True)
        await self._configure()
        await senders.create_sender(rt, "test", self.account_ids["acme"], address=OTHER)
        await rt.events.start(rt)
        await rt.jobs.start(rt)
        await self.pipeline.start()
        opened = pages.handlers(rt, self.pipeline)
        self.app = api.create_app(rt, self.pipeline, self.webhooks, handlers=opened)
        self.server = await api.serve(self.app, rt.settings.http)
        self.site = rt.settings.public_url = f"http://127.0.0.1:{self.server.port}"
        self._session = self.browser = aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar())

    async def sent(self, to: str = ALICE, *, account: str = "acme", **more: Any) -> str:
        """Send a message; the address of its page."""
        submission = Submission(
            account_id=self.account_ids[account], to=to, text=more.pop("text", "Your parcel is here."), **more
        )
        [result] = await self.pipeline.accept([submission])
        assert isinstance(result, Accepted), result
        link = consent.opt_out_link(self.rt, result.id)
        assert link is not None
        return link

    async def agreed(self, person: str = ALICE, **more: Any) -> None:
        """The person agrees to the marketing of acme."""
        told = {"channel": "sms", "purpose": "marketing", "source": "form", "at": self.rt.clock.now(), "test": False}
        proof = Proof(person, wording=more.pop("wording", "Yes, send me <offers>."))
        entry = Entry(account_id=self.account_ids["acme"], event="given", proof=proof, **{**told, **more})
        recorded = consent.record(self.rt, [entry])
        await self.rt.events.write(*recorded.ops, tell=recorded.events, wake=(consent.TOPIC,))

    async def may(self, person: str = ALICE, *, sender: str = "Acme", account: str = "acme", **more: Any) -> str | None:
        """The code with which a message would be refused."""
        submission = Submission(
            account_id=self.account_ids[account],
            to=person,
            sender=sender,
            text="Stop: {opt_out_link}",
            dry_run=True,
            **more,
        )
        [result] = await self.pipeline.accept([submission])
        return None if isinstance(result, Accepted) else result.code

    async def get(self, address: str, **headers: str) -> Page:
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        async with self.browser.get(address, headers=sent) as answer:
            return await _page(answer)

    async def press(self, page: Page, do: str, **more: str) -> Page:
        """Press the button of a form, and follow."""
        return await self.post(page.address, {**page.forms[do], **more})

    async def post(self, address: str, data: Any, *, follow: bool = True, **more: Any) -> Page:
        async with self.browser.post(address, data=data, allow_redirects=False, **more) as answer:
            page = await _page(answer)
        if follow and page.status == 303:
            return await self.get(urljoin(address, page.headers["location"]))
        return page


async def _page(answer: aiohttp.ClientResponse) -> Page:
    headers = {name.lower(): value for name, value in answer.headers.items()}
    return Page(answer.status, headers, (await answer.read()).decode(), str(answer.url))


async def open_town(url: str, data_dir: Path) -> Town:
    settings = Settings(data_dir=data_dir, database=url, secret_key="test")
    settings.http.port = 0
    settings.billing.seller.name = "Relay & Sons"
    town = Town(await open_runtime(settings))
    await town.start()
    return town


@pytest.fixture
async def town(sqlite_url: str, tmp_path: Path) -> AsyncIterator[Town]:
    """On the embedded store."""
    town = await open_town(sqlite_url, tmp_path)
    yield town
    await town.stop()


@pytest.fixture
async def both(store_url: str, tmp_path: Path) -> AsyncIterator[Town]:
    """On each of the stores."""
    town = await open_town(store_url, tmp_path)
    yield town
    await town.stop()
