"""A customer's receiver of webhooks: checks each signature, remembers each event, and may have a bad moment."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable
from typing import Any

from aiohttp import web
from standardwebhooks import Webhook, WebhookVerificationError


class Hooks:
    """`fails()` decides whether an event that comes for the first time is answered with 500 and not kept."""

    def __init__(self, fails: Callable[[], bool] = lambda: False) -> None:
        self.secret = ""
        self.url = ""
        self.fails = fails
        self.heard: defaultdict[str, set[str]] = defaultdict(set)
        """Event types by the id of the message they speak of."""
        self.counts: Counter[str] = Counter()
        """How often each event came, by its id."""
        self.failed: set[str] = set()
        self.forged: list[str] = []
        """Bodies whose signature was wrong."""
        self._runner: web.AppRunner | None = None

    async def start(self) -> None:
        app = web.Application()
        app.router.add_post("/hooks", self._hear)
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}/hooks"

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    async def _hear(self, request: web.Request) -> web.Response:
        body = await request.text()
        try:
            event: dict[str, Any] = Webhook(self.secret).verify(body, dict(request.headers))
        except WebhookVerificationError:
            self.forged.append(body)
            return web.Response(status=400)
        if event["id"] not in self.failed and self.fails():
            self.failed.add(event["id"])
            return web.Response(status=500)
        self.heard[event["data"]["id"]].add(event["type"])
        self.counts[event["id"]] += 1
        return web.Response(status=204)
