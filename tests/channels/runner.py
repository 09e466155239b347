"""What every channel has to show, whatever its protocol. A channel's tests give a `FarEnd` and a table of `Refusal`s.

async def test_refusals(far_end, refusal): await shows_refusal(far_end, refusal)
async def test_secrets(far_end): await keeps_its_secrets(far_end)
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

import structlog
from structlog.testing import LogCapture

from chappe.channels import (
    Connector,
    Done,
    Inbound,
    LinkStatus,
    Outcome,
    Outgoing,
    Receipt,
    Verdict,
    open_link,
)
from chappe.clock import Clock
from tests.support.eventually import PATIENCE_S


@dataclass(frozen=True)
class Refusal:
    """What the supplier says to a message, in the channel's own terms, and what the dispatcher must read."""

    said: Any
    code: str
    verdict: Verdict
    supplier: str
    tries: int | None = None


class FarEnd(Protocol):
    """A supplier on loopback that the connector under test leads to."""

    secrets: tuple[str, ...]

    def connector(self) -> Connector: ...

    def refuse(self, said: Any) -> None:
        """Refuse every message from now on."""

    def refuse_login(self) -> None:
        """Refuse whoever connects from now on."""


@dataclass
class Recorder:
    """A sink that writes down what it hears. `acknowledge`: what receipts and replies are told at once, if not None."""

    outcomes: list[Outcome] = field(default_factory=list)
    receipts: list[Receipt] = field(default_factory=list)
    inbounds: list[Inbound] = field(default_factory=list)
    dones: list[Done] = field(default_factory=list)
    statuses: list[LinkStatus] = field(default_factory=list)
    rooms: int = 0
    acknowledge: bool | None = True
    on_room: Callable[[], None] | None = None

    def outcome(self, outcome: Outcome) -> None:
        self.outcomes.append(outcome)

    def receipt(self, receipt: Receipt, done: Done) -> None:
        self.receipts.append(receipt)
        self._ask(done)

    def inbound(self, inbound: Inbound, done: Done) -> None:
        self.inbounds.append(inbound)
        self._ask(done)

    def room(self, connector_id: int) -> None:
        self.rooms += 1
        if self.on_room is not None:
            self.on_room()

    def status(self, connector_id: int, status: LinkStatus) -> None:
        self.statuses.append(status)

    @property
    def state(self) -> str:
        return self.statuses[-1].state if self.statuses else ""

    def _ask(self, done: Done) -> None:
        self.dones.append(done)
        if self.acknowledge is not None:
            done(self.acknowledge)


async def until(condition: Callable[[], object], seconds: float = PATIENCE_S) -> None:
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.002)


def recording_log() -> tuple[Any, list[Any]]:
    """A structlog logger and the list of what it was told."""
    capture = LogCapture()
    return structlog.wrap_logger(structlog.PrintLogger(), processors=[capture]), capture.entries


def part(number: int = 1, of: int = 1, *, message_id: int = 1, **fields: Any) -> Outgoing:
    values: dict[str, Any] = {"sender": "Chappe", "destination": "33600000001", "payload": b"hello"} | fields
    return Outgoing(message_id=message_id, attempt=1, part=number, parts=of, **values)


async def shows_refusal(far_end: FarEnd, refusal: Refusal) -> None:
    """The supplier's refusal arrives with the code, the verdict and the supplier's own words; once."""
    far_end.refuse(refusal.said)
    sink = Recorder()
    link = open_link(far_end.connector(), sink, Clock())
    try:
        await until(lambda: sink.state == "up")
        assert link.send([part()]) == 1
        await until(lambda: sink.outcomes)
    finally:
        await link.stop(0.2)
    (outcome,) = sink.outcomes
    assert outcome.error is not None
    said = (outcome.error.code, outcome.error.verdict, outcome.error.supplier, outcome.error.tries)
    assert said == (refusal.code, refusal.verdict, refusal.supplier, refusal.tries)
    assert outcome.provider_key == ""


async def keeps_its_secrets(far_end: FarEnd) -> None:
    """No secret of the connector shows in reprs, states or logs, in good times and when the login is refused."""
    told = await _told(far_end, "up")
    far_end.refuse_login()
    told += await _told(far_end, "refused")
    for secret in far_end.secrets:
        assert secret not in told


async def _told(far_end: FarEnd, state: str) -> str:
    log, entries = recording_log()
    sink = Recorder()
    connector = far_end.connector()
    link = open_link(connector, sink, Clock(), log=log)
    await until(lambda: sink.state == state)
    if link.send([part()]):
        await until(lambda: sink.outcomes)
    await link.stop(0.5)
    return repr([connector, str(connector), link, link.status(), sink, entries])
