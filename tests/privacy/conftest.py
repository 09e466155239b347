"""A pipeline with two customers who both write to Alice, and what their systems are told of her."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from chappe import accounts, consent, ids, privacy, senders
from chappe.consent import Entry, Proof
from chappe.consent.replies import store as replies
from chappe.lookups import store as lookups
from chappe.messages import Accepted, Filter, Pipeline, inbound
from chappe.privacy import erasing
from chappe.runtime import Runtime
from chappe.smsc import store as smsc
from chappe.storage import sql
from chappe.webhooks import store as webhooks
from tests.messages.conftest import NOW, make_world
from tests.messages.conftest import World as Pipes

ALICE, BOB = "+33612345678", "+33687654321"
DIGITS = ALICE[1:]
HERE = "33644600001"  # a number of acme's

_encode = msgspec.json.encode


class World:
    """`acme` and `rival`, of whom each has all kinds of things of Alice once `furnish` was called."""

    def __init__(self, pipes: Pipes, rival_id: int) -> None:
        self.pipes = pipes
        self.rt: Runtime = pipes.rt
        self.house: Pipeline = pipes.pipeline
        self.acme, self.rival = pipes.account_id, rival_id

    async def furnish(self, account_id: int, person: str = ALICE, *, number: str | None = None) -> dict[str, int]:
        """A delivered message, one from her phone (to `number`), a consent and its withdrawal, a batch of look-ups, a
        delivery of each kind. Gives ids of the message by "message", and so on."""
        digits = person[1:]
        made = await self.delivered(account_id, person)
        if number is not None:
            frame = f"deliver_sm {digits}".encode()
            assert await self.pipes.link.inbound(digits, number, f"Call me at {person}", raw=frame)
        for event in ("given", "withdrawn"):
            await self.said(account_id, event, person)
        await self.awaited(account_id, person, made.id)
        job = await self.looked_up(account_id, person)
        hook = await self.hook(account_id, person, ids.public("msg", made.id))
        return {"message": made.id, "job": job, "hook": hook}

    async def delivered(self, account_id: int, person: str = ALICE) -> Accepted:
        """A message with its answer and its receipt, both with frames that have the number."""
        pipes, count = self.pipes, len(self.pipes.link.taken)
        sender = "Acme" if account_id == self.acme else "Rival"
        more = {"metadata": {"name": "Alice"}, "correlation_id": "order 7", "tags": ("shop",)}
        made = await pipes.send(account_id=account_id, to=person, sender=sender, text=f"Hello {person}", **more)
        part = (await pipes.parts(count + 1))[-1]
        provider_id = pipes.link.answer(part)
        await pipes.becomes(made.id, "sent")
        frame = f"id:{provider_id} to {person[1:]}".encode()
        assert await pipes.link.receipt(provider_id, destination=person[1:], raw=frame)
        await pipes.becomes(made.id, "delivered")
        return made

    async def said(self, account_id: int, event: Any, person: str = ALICE) -> None:
        proof = Proof(person, wording=f"I am {person}", ip="192.0.2.7", actor="form")
        at = self.rt.clock.now()
        entry = Entry(account_id, False, event, "sms", "marketing", "form", at, proof)
        recorded = consent.record(self.rt, [entry])
        await self.rt.events.write(*recorded.ops, tell=recorded.events, wake=(consent.TOPIC,))
        consent.announce(self.rt, recorded.stopped)

    async def awaited(self, account_id: int, person: str, message_id: int) -> None:
        """A reply that is due to her, and the text of a message as a reviewer saw it."""
        rt, now = self.rt, self.rt.clock.now()
        key = consent.persons(rt).key(account_id, False, person)
        reply = (key, "Acme", "help", account_id, 0, person, "fr", "FR", message_id, 0, 0, now, now, now)
        review = {
            "a": account_id,
            "d": f"d{key}",
            "s": "Acme",
            "id": rt.ids.next(),
            "t": f"Hello {person}"[:14],
            "n": now,
        }
        await rt.store.write(
            replies.ADD_REPLIES([reply]),
            sql(
                "insert into content_reviews (account_id, digest, sender, id, state, sample, country, purpose, "
                "findings, count, opened_at, note, unsettled, revision) "
                "values (:a, :d, :s, :id, 'open', :t, 'FR', 'otp', '[]', 1, :n, '', 0, 1)"
            )(review),
            sql(
                "insert into content_held (message_id, account_id, digest, sender, settled) values (:m, :a, :d, :s, 1)"
            )({"m": message_id, "a": account_id, "d": f"d{key}", "s": "Acme"}),
        )

    async def looked_up(self, account_id: int, person: str = ALICE) -> int:
        """A batch of two numbers, and what a source has said."""
        rt, job, now = self.rt, self.rt.ids.next(), self.rt.clock.now()
        row = (job, account_id, "finished", 0, "[]", None, "FR", 2, 2, 0, 1, None, now, now, now)
        national = f"0{person[3:]}"
        reports = [{"given": BOB, "number": BOB}, {"given": national, "number": person, "valid": True}]
        answer = {"id": job, "chunk": 0, "results": _encode(reports).decode()}
        learned = (person[1:], 7, now, now + 1_000_000, "{}")
        await rt.store.write(
            lookups.ADD_JOB([row]),
            lookups.ADD_CHUNKS([(job, 0, _encode([BOB, national]).decode())]),
            lookups.ANSWER_CHUNK(answer),
            lookups.LEARN([learned]),
        )
        return job

    async def hook(self, account_id: int, person: str, about: str, *, test: bool = False) -> int:
        """A delivery that waits, one that was posted and answered, and one that waits for an SMPP session."""
        rt, now, number = self.rt, self.rt.clock.now(), self.rt.ids.next()
        told = {"id": about, "to": person, "text": f"Hello {person}", "test": test}
        body = _encode({"id": "evt_1", "type": "message.delivered", "created_at": "now", "data": told}).decode()
        fresh = (account_id, 7, 7, 9, "message.delivered", 0, None, body, now)
        news = _encode({"id": 5, "state": "delivered", "to": person, "sender": "Acme", "created_at": 1, "at": 2})
        await rt.store.write(
            webhooks.ADD([(number, *fresh, 0, now, 0)]),
            webhooks.ADD_FINISHED([(rt.ids.next(), *fresh, 1, now, 1, 200, None, now)]),
            webhooks.ADD_ATTEMPTS([(number, 1, now, 500, None, 12, f"no {person}")]),
            smsc.ADD([(rt.ids.next(), account_id, 7, 0, 5, news.decode(), now, now, 0, 0)]),
        )
        return number

    async def pending(self, account_id: int, person: str, message_id: int) -> None:
        """News that no reaction has heard, and news that one has failed on."""
        told = {"type": "message.updated", "account_id": account_id, "occurred_at": 1, "message_id": message_id}
        payload = _encode({**told, "state": "sent", "sequence": 4, "to": person, "created_at": 1, "text": person})
        at = self.rt.clock.now()
        await self.rt.store.write(
            sql("insert into events (kind, account_id, created_at, payload) values (:k, :a, :at, :p)")(
                {"k": "nobody's", "a": account_id, "at": at, "p": payload.decode()}
            ),
            sql(
                "insert into events_aside (reaction, position, kind, account_id, payload, tries, failed_at, error) "
                "values ('test', :n::bigint, 'k', :a, :p, 5, :at, 'e')"
            )({"n": message_id, "a": account_id, "at": at, "p": payload.decode()}),
        )

    async def run(self, erasure: privacy.Erasure) -> privacy.Erasure:
        """A pass, as the job does it."""
        ops = await erasing.run(self.house, {"erasure": erasure.id})
        await self.rt.store.write(*(ops or ()))
        return await privacy.erasure(self.rt, None, erasure.id)

    async def erase(self, account_id: int | None = None, person: str = ALICE, **more: Any) -> privacy.Erasure:
        account_id = self.acme if account_id is None else account_id
        return await privacy.erase(self.rt, account_id, person, reason="asked for", actor="test", **more)

    async def exported(self, account_id: int | None, person: str = ALICE) -> dict[str, list[dict[str, Any]]]:
        found: dict[str, list[dict[str, Any]]] = {}
        async for record in privacy.export(self.rt, account_id, False, person):
            found.setdefault(record["kind"], []).append(record)
        return found

    async def count(self, table: str, which: str = "") -> int:
        [(number,)] = await self.rt.store.scan(sql(f"select count(*) from {table} {which}")())
        return int(number)

    async def inbound(self, account_id: int) -> list[Any]:
        return await inbound(self.rt, Filter(account_id=account_id))


@pytest.fixture
async def world(store_url: str, tmp_path: Path) -> AsyncIterator[World]:
    pipes = await make_world(store_url, tmp_path)
    rival = await accounts.create_account(pipes.rt, "test", slug="rival", name="Rival", default_sender="Rival")
    await senders.create_sender(pipes.rt, "test", rival.id, address="Rival")
    await senders.create_sender(pipes.rt, "test", rival.id, address="33644600002", inbound=True)
    await privacy.start(pipes.rt, pipes.pipeline)
    yield World(pipes, rival.id)
    await pipes.pipeline.stop()
    await pipes.rt.close()


__all__ = ["ALICE", "BOB", "DIGITS", "HERE", "NOW", "World", "world"]
