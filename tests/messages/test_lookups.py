"""What messages tell the look-ups."""

from __future__ import annotations

from chappe.channels import SendError, Verdict
from chappe.lookups.store import cache as CACHE
from chappe.storage import insert_many, sql
from tests.messages.conftest import World

REMEMBERED = sql("select digits from lookup_cache order by digits")
KEEP = insert_many(CACHE)


async def test_what_is_remembered_of_a_number_is_forgotten_when_its_network_does_not_know_it(world: World) -> None:
    for digits in ("33612345678", "33612345679"):
        await world.rt.store.write(KEEP([(digits, 1, 0, 1 << 60, "{}")]))
    unknown = await world.send(to="+33612345678")
    other = await world.send(to="+33612345679")
    for part, code in zip(await world.parts(2), ("unknown_subscriber", "barred"), strict=True):
        world.link.answer(part, error=SendError(code, Verdict.PERMANENT))
    await world.becomes(unknown.id, "failed")
    await world.becomes(other.id, "failed")
    await world.settle()
    assert [tuple(row) for row in await world.rt.store.read(REMEMBERED())] == [("33612345679",)]
