"""Plays the scenes, all at once: sends, watches each message until it is final, compares with what must come of it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from chappe.cli.client import Api, ApiError, NotThere
from chappe.cli.demo.customer import Customer, Heard
from chappe.cli.demo.scenes import FAMILY, Scene
from chappe.cli.demo.screen import Screen
from chappe.cli.demo.stage import CONNECTORS, Ready
from chappe.cli.timeline import FINAL, Line, lines, tone_of
from chappe.clock import parse_rfc3339, rfc3339

PATIENCE_S: Final = 30.0
_LOOK_EVERY_S: Final = 0.15
_APART_S: Final = 0.06  # between two messages, so that the eye can follow
_ENDPOINT: Final = "chappe demo"
_STAT = {"delivered": "DELIVRD", "undelivered": "UNDELIV"}


@dataclass(slots=True, eq=False)
class Run:
    """A scene under way: `told` is the last explanation, `phone` what the handset has, `reply` its answer."""

    scene: Scene
    id: str = ""
    started_at: int = 0
    told: dict[str, Any] = field(default_factory=dict)
    phone: list[dict[str, Any]] = field(default_factory=list)
    reply: dict[str, Any] | None = None
    lines: list[Line] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    @property
    def status(self) -> str:
        status: str = self.told["message"]["status"] if self.told else "on its way to Chappe"
        return status

    @property
    def final(self) -> bool:
        return self.status in FINAL


class Play:
    """`api` is Chappe's, `operator` the sandbox's control API."""

    def __init__(self, ready: Ready, customer: Customer, screen: Screen) -> None:
        self._ready = ready
        self._customer = customer
        self._screen = screen
        self._api = Api(ready.api_url, ready.api_key)
        self._operator = Api(ready.operator, None)

    async def run(self, scenes: Sequence[Scene]) -> list[Run]:
        """All runs, each with its problems. Raises ApiError, NotThere, TimeoutError, OSError if nothing can be sent."""
        async with self._api, self._operator:
            await self._set_up()
            runs = [Run(scene) for scene in scenes]
            with self._screen.following(runs):
                await asyncio.gather(*(self._play(run, n * _APART_S) for n, run in enumerate(runs)))
            return runs

    async def _set_up(self) -> None:
        """Wait for the links to the operator, ask for webhooks, bind by SMPP."""
        async with asyncio.timeout(PATIENCE_S):
            while not await self._linked():  # noqa: ASYNC110 (another process's news: one can only ask)
                await asyncio.sleep(0.1)
        url = await self._customer.listen()
        for old in (await self._api.get("/v1/webhook_endpoints"))["data"]:
            if old["description"] == _ENDPOINT:
                await self._api.delete(f"/v1/webhook_endpoints/{old['id']}")
        made = await self._api.post("/v1/webhook_endpoints", {"url": url, "description": _ENDPOINT})
        self._customer.secret = made["secret"]
        await self._customer.bind(self._ready.smpp)

    async def _linked(self) -> bool:
        found = (await self._api.get("/v1/connectors"))["data"]
        up = {one["name"] for one in found if one["link"] and one["link"]["state"] == "up"}
        return up.issuperset(CONNECTORS)

    # -- one message -------------------------------------------------------------------------------------------------

    async def _play(self, run: Run, wait_s: float) -> None:
        await asyncio.sleep(wait_s)
        try:
            run.started_at = _now()
            run.id = await self._send(run.scene)
            async with asyncio.timeout(PATIENCE_S):
                while not await self._complete(run):  # noqa: ASYNC110
                    await asyncio.sleep(_LOOK_EVERY_S)
            run.problems += problems(run) + self._receipt_problems(run)
        except (ApiError, NotThere, OSError) as error:
            run.problems.append(str(error))
        except TimeoutError:
            run.problems.append(f"after {PATIENCE_S:g} seconds it is {run.status}, and {self._missing(run)} is missing")
        self._tell(run)
        self._screen.done(run)

    async def _send(self, scene: Scene) -> str:
        if scene.door == "SMPP":
            return await self._customer.submit(scene.to, scene.sender, scene.text, scene.ucs2)
        body: dict[str, Any] = {"to": scene.to, "from": scene.sender, "text": scene.text, **scene.options}
        if scene.send_in_s:
            body["send_at"] = rfc3339(_now() + round(scene.send_in_s * 1000))
        sent = await self._api.post("/v1/messages", body)
        made: str = sent["id"]
        return made

    async def _complete(self, run: Run) -> bool:
        """Look again; whether everything has been heard that will be."""
        run.told = await self._api.get(f"/v1/messages/{run.id}/explain")
        if run.scene.reply and run.reply is None:
            inbound = (await self._api.get("/v1/inbound", to=self._ready.number))["data"]
            newer = [one for one in inbound if parse_rfc3339(one["received_at"]) >= run.started_at]
            run.reply = next((one for one in newer if one["from"].lstrip("+") == run.scene.to.lstrip("+")), None)
        if run.final and run.status == "delivered" and not run.phone:
            found = await self._operator.get("/messages", to=run.scene.to.lstrip("+"))
            run.phone = [one for one in found["data"] if parse_rfc3339(one["received_at"]) >= run.started_at]
        self._tell(run)
        return not self._missing(run)

    def _missing(self, run: Run) -> str:
        """What has still to come, in words."""
        if not run.final:
            return "its final state"
        heard = self._customer.of
        if not any(one.what == f"message.{run.status}" for one in heard(run.id, "webhook")):
            return "its webhook"
        if run.scene.door == "SMPP" and not heard(run.id, "deliver_sm"):
            return "its deliver_sm"
        if run.scene.reply and run.reply is None:
            return "the reply"
        if run.scene.reply and not heard(run.reply["id"] if run.reply else "", "webhook"):
            return "the webhook of the reply"
        if run.scene.reply and not self._answers(run):
            return "the deliver_sm of the reply"
        return ""

    def _answers(self, run: Run) -> list[Heard]:
        """What the SMPP client was told of this phone's answer: it hears what is sent to the account."""
        return [one for one in self._customer.of("", "deliver_sm") if one.data["from"] == run.scene.to.lstrip("+")]

    def _receipt_problems(self, run: Run) -> list[str]:
        told = [one.what for one in self._customer.of(run.id, "deliver_sm")]
        right = [_STAT[run.scene.final]] if run.scene.door == "SMPP" else []
        return [] if told == right else [f"the SMPP client was told {told or 'nothing'}"]

    def _tell(self, run: Run) -> None:
        """The timeline: what Chappe did, what the phone shows, and what the customer heard."""
        if not run.told:
            return
        told = [*lines(run.told), *self._heard(run)]
        if run.reply:
            told.append(Line(parse_rfc3339(run.reply["received_at"]), "reply", f"“{run.reply['text']}”", "good"))
            told += [Line(one.at, "deliver_sm", "the same to the SMPP client", "good") for one in self._answers(run)]
            for one in self._customer.of(run.reply["id"], "webhook"):
                told.append(Line(one.at, "webhook", f"{one.what}, signature verified", "good"))
        for shown in run.phone[:1]:
            told.append(Line(parse_rfc3339(shown["received_at"]), "phone", f"“{shown['text']}”"))
        run.lines = sorted(told, key=lambda line: line.at)

    def _heard(self, run: Run) -> Iterator[Line]:
        tone = tone_of(run.status)
        if heard := self._customer.of(run.id, "webhook"):
            names = " and ".join(one.what for one in heard)
            one_or_more = ("webhook", "signature") if len(heard) == 1 else ("webhooks", "signatures")
            yield Line(heard[-1].at, one_or_more[0], f"{names}, {one_or_more[1]} verified", tone)
        for one in self._customer.of(run.id, "deliver_sm"):
            yield Line(one.at, "deliver_sm", f"receipt {one.what} to the SMPP client", tone)


def problems(run: Run) -> list[str]:
    """How a message that is final differs from what must have come of it."""
    scene, message = run.scene, run.told["message"]
    found = []
    if run.status != scene.final:
        found.append(f"it is {run.status}, and must be {scene.final}")
    if (message["encoding"], message["segments"]) != (scene.encoding, scene.parts):
        found.append(f"it became {message['segments']} x {message['encoding']}, not {scene.parts} x {scene.encoding}")
    if run.status == "delivered":
        found += _phone_problems(run)
    if scene.send_in_s and message["sent_at"] < message["send_at"]:
        found.append("it left before its time")
    return found


def _phone_problems(run: Run) -> list[str]:
    if len(run.phone) != 1:
        return [f"the phone received it {len(run.phone)} times"]
    [shown], wanted = run.phone, run.scene.reads or run.scene.text
    if shown["text"] != wanted:
        return [f"the phone shows {shown['text']!r}"]
    payloads = [bytes.fromhex(part["payload"]) for part in shown["parts"]]
    whole = FAMILY.encode("utf-16-be")
    if FAMILY in wanted and not any(whole in payload for payload in payloads):
        return ["the family was torn apart"]
    return []


def _now() -> int:
    return time.time_ns() // 1_000_000
