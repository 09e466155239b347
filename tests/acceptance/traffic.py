"""Customers and phones that go on whatever happens to the gateway, and know at the end what they were promised."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections import Counter
from collections.abc import Coroutine
from dataclasses import dataclass, field
from random import Random
from typing import Any

import aiohttp

from chappe import ids
from chappe.smpp import Pdu, commands, receipt, status, tlv
from chappe.smpp.aio import BindFailed, Connection
from tests.acceptance.world import World

LONG = "Grüße, €5 [today only] and more of it to fill the parts. " * 6
FRENCH = "Ça y est, cœur : à bientôt, l’été commence à Noël. " * 2
TEXTS = (
    "Your code is {n}",
    "Hello {n}, your parcel is at the door",
    f"{{n}} {LONG}",
    f"{{n}} {FRENCH}",
    "{n} \N{WOMAN}\N{ZERO WIDTH JOINER}\N{WOMAN}\N{ZERO WIDTH JOINER}\N{GIRL} \N{GRINNING FACE}",
)
# what the operator does to some of them (docs/reference/sandbox.md)
MAGIC = ("555002", "555003", "555018", "555019", "555024", "555040")
_PURPOSES = ("transactional", "transactional", "otp", "marketing")


@dataclass
class Promises:
    """What Chappe has said yes to."""

    by_http: dict[str, str] = field(default_factory=dict)
    """Recipient by the message's id, answered with 202."""
    by_smpp: dict[str, str] = field(default_factory=dict)
    """The same, answered by submit_sm_resp."""
    receipts: Counter[str] = field(default_factory=Counter)
    """How often the SMPP customer was told of each message."""
    from_phones: list[str] = field(default_factory=list)
    """The texts that phones sent."""
    heard: list[str] = field(default_factory=list)
    """What the SMPP customer received of them, whole ones only."""
    refused: list[object] = field(default_factory=list)
    """Answers that no customer of this traffic should get."""


class Traffic:
    """`begin`, then `end`: customers finish what they have in hand, and the SMPP customer stays bound until `leave`.

    `busy` is how often the SMPP customer asks to come again later with a receipt or a message. Several traffics of one
    world share their `promises` and differ in `first`, `login` and `areas`, where the difficult numbers are.
    """

    def __init__(
        self,
        world: World,
        random: Random,
        *,
        pause_s: float = 0.02,
        first: int = 0,
        busy: float = 0.0,
        login: str = "acme",
        prefix: str = "+3361",
        areas: str = "245678",
        promises: Promises | None = None,
    ) -> None:
        self.world = world
        self.random = random
        self.promises = Promises() if promises is None else promises
        self.session: Connection | None = None
        self._pause_s = pause_s
        self._busy = busy
        self._login = login
        self._prefix = prefix
        self._serial = itertools.count(first)
        self._magic = [f"+336{area}{n}{end}" for area in areas for n in range(10) for end in MAGIC]
        self._ending = False
        self._tasks: list[asyncio.Task[None]] = []
        self._line: asyncio.Task[None] | None = None
        self._unanswered: set[str] = set()

    def begin(self, *, http: int = 4, smpp: bool = True, phones: bool = True) -> None:
        work: list[Coroutine[Any, Any, None]] = [self._http_customer() for _ in range(http)]
        if smpp:
            self._line = asyncio.create_task(self._keep_bound())
            work.append(self._smpp_customer())
        if phones:
            work.append(self._phones())
        self._tasks = [asyncio.create_task(one) for one in work]

    async def end(self) -> None:
        """Nothing new; whoever has no answer yet goes on asking."""
        self._ending = True
        async with asyncio.timeout(60):
            await asyncio.gather(*self._tasks)

    async def leave(self) -> None:
        """After `end`: the SMPP customer unbinds."""
        if self._line is not None:
            self._line.cancel()
            await asyncio.gather(self._line, return_exceptions=True)
        if self.session is not None:
            await self.session.unbind(1)

    async def abandon(self) -> None:
        """At once, whatever anybody still waits for."""
        tasks = [*self._tasks, *([self._line] if self._line else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self.session is not None:
            self.session.close("abandoned")

    # -- who gets what ----------------------------------------------------------------------------------------------

    def _recipient(self) -> str:
        """A mobile number that nobody else gets; one in twenty is a number that the operator is difficult about."""
        if self._magic and self.random.random() < 0.05:
            return self._magic.pop(self.random.randrange(len(self._magic)))
        return f"{self._prefix}{next(self._serial):07d}"

    def _text(self) -> str:
        return self.random.choice(TEXTS).format(n=next(self._serial))

    async def _pause(self) -> None:
        await asyncio.sleep(self.random.uniform(0, 2 * self._pause_s))

    # -- by HTTP ----------------------------------------------------------------------------------------------------

    async def _http_customer(self) -> None:
        while not self._ending:
            to = self._recipient()
            key = f"{next(self._serial)} {to}"
            body = {"to": to, "text": self._text(), "purpose": self.random.choice(_PURPOSES), "correlation_id": key}
            answer = await self._insist(body, key)
            if answer is not None:
                self.promises.by_http[answer["id"]] = to
            await self._pause()

    async def _insist(self, body: dict[str, Any], key: str) -> dict[str, Any] | None:
        """Until there is an answer: after a broken connection the same call again under the same key."""
        while True:
            with contextlib.suppress(aiohttp.ClientError, TimeoutError, OSError):
                code, answer = await self.world.post("/v1/messages", body, idempotency=key)
                if code == 202:
                    return answer
                if code not in (409, 429, 503):
                    self.promises.refused.append((code, answer, body))
                    return None
            await asyncio.sleep(0.1)

    # -- by SMPP ----------------------------------------------------------------------------------------------------

    async def _keep_bound(self) -> None:
        while True:
            with contextlib.suppress(BindFailed, OSError, TimeoutError):
                self.session = await self.world.bind(self, system_id=self._login)
                await self.session.wait_closed()
            await asyncio.sleep(0.05)

    async def _smpp_customer(self) -> None:
        while not self._ending:
            if self.session is not None and self.session.room >= 2:
                self._submit(self.session, self._recipient())
            await self._pause()
        while self._unanswered:
            await asyncio.sleep(0.05)

    def _submit(self, session: Connection, to: str) -> None:
        fields = {
            "source_addr_ton": 5,
            "source_addr": "Acme",
            "dest_addr_ton": 1,
            "dest_addr_npi": 1,
            "destination_addr": to[1:],
            "registered_delivery": 1,
        }
        self._unanswered.add(to)
        if self.random.random() < 0.15:
            self._submit_in_two(session, fields, to)
            return
        text = self._text()
        if text.isascii():
            pdu = Pdu(commands.SUBMIT_SM, fields=fields | {"short_message": text.encode()})
        else:
            payload = (tlv.MESSAGE_PAYLOAD, text.encode("utf-16-be"))
            pdu = Pdu(commands.SUBMIT_SM, fields=fields | {"data_coding": 8}, tlvs=[payload])
        session.request(pdu, to)

    def _submit_in_two(self, session: Connection, fields: dict[str, Any], to: str) -> None:
        """As customers do that cut their texts themselves (3GPP TS 23.040, 9.2.3.24.1)."""
        reference = self.random.randrange(256)
        for number in (1, 2):
            part = bytes((5, 0, 3, reference, 2, number)) + self._text().encode("ascii", "replace")[:100]
            session.request(Pdu(commands.SUBMIT_SM, fields=fields | {"esm_class": 0x40, "short_message": part}), to)

    def on_response(
        self, conn: Connection, context: str, request: Pdu, response: Pdu, request_raw: bytes, response_raw: bytes
    ) -> None:
        self._unanswered.discard(context)
        if response.command_status == status.ESME_ROK:
            self.promises.by_smpp[f"msg_{response.fields['message_id']}"] = context
        elif response.command_status not in (status.ESME_RTHROTTLED, status.ESME_RMSGQFUL, status.ESME_RSYSERR):
            self.promises.refused.append((status.name(response.command_status), context))

    def on_request(self, conn: Connection, pdu: Pdu, raw: bytes) -> None:
        if self.random.random() < self._busy:
            conn.respond(pdu, status.ESME_RX_T_APPN)
            return
        if pdu.fields["esm_class"] & 0x04:
            told = receipt.from_pdu(pdu)
            assert told is not None
            self.promises.receipts[f"msg_{told.id}"] += 1
        elif not pdu.fields["esm_class"] & 0x40:
            self.promises.heard.append(pdu.fields["short_message"].decode("ascii"))
        conn.respond(pdu)

    def on_timeout(self, conn: Connection, context: str, request: Pdu, request_raw: bytes) -> None:
        self._unanswered.discard(context)

    def on_lost(self, conn: Connection, reason: str, unanswered: list[Any]) -> None:
        self._unanswered.clear()

    def on_room(self, conn: Connection) -> None: ...

    # -- phones -----------------------------------------------------------------------------------------------------

    async def _phones(self) -> None:
        """Short and long texts; the operator keeps them until Chappe has acknowledged them."""
        while not self._ending:
            n = next(self._serial)
            text = f"mo {n}" if self.random.random() < 0.7 else f"mo {n} " + "and so on " * 40
            await self.world.phone(f"+336{n % 10**8:08d}", text.strip(), order="shuffled")
            self.promises.from_phones.append(text.strip())
            await asyncio.sleep(self.random.uniform(0, 8 * self._pause_s))


def number_of(public_id: str) -> int:
    """The database's id of a message."""
    number = ids.parse("msg", public_id)
    assert number is not None, public_id
    return number
