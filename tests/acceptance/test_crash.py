"""kill -9 at random instants under traffic.

A round is a world of its own: customers by HTTP and SMPP, phones that write, an operator with receipts on their way.
`serve` is killed once or twice (the second time perhaps in the middle of its recovery) and started again; then
everything comes to rest and the books are audited. A round is made by CHAPPE_CRASH_SEED, the store and its number;
to repeat one: `CHAPPE_CRASH_SEED=... pytest tests/acceptance/test_crash.py -m "" -k "sqlite and round17"`.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import sys
from random import Random

import pytest

from tests.acceptance.audit import Audit
from tests.acceptance.conftest import MakeWorld
from tests.acceptance.traffic import Traffic
from tests.acceptance.world import World

pytestmark = pytest.mark.usefixtures("syncing_postgres")

SEED = os.environ.get("CHAPPE_CRASH_SEED") or secrets.token_hex(4)
ROUNDS, QUICK = 50, 3
SCENARIO = """\
response_delay_s = [0.0, 0.05]
receipt_delay_s = { mean = 0.4, least = 0.02 }
resend_after_s = 0.5
"""

rounds = [pytest.param(n, id=f"round{n}", marks=() if n < QUICK else pytest.mark.soak) for n in range(ROUNDS)]


@pytest.mark.parametrize("number", rounds)
async def test_a_crash_loses_nothing_and_doubles_nothing_in_silence(
    store_url: str, make_world: MakeWorld, number: int
) -> None:
    store = store_url.partition(":")[0]
    random = Random(f"{SEED} {store} {number}")
    sys.stderr.write(f"CHAPPE_CRASH_SEED={SEED}, round {number} on {store}\n")
    world = await make_world(store_url, scenario=SCENARIO)
    await world.bill(random.choice(("submit", "delivered")))
    slow = number >= QUICK
    if slow:
        world.hooks.fails = lambda: random.random() < 0.05  # tried again seconds later
    traffic = Traffic(world, Random(random.random()), busy=0.02 if slow else 0.0)
    audit = Audit(world, traffic.promises)
    traffic.begin()
    patient = slow and random.random() < 0.3
    for _ in range(random.choice((1, 1, 2))):
        await asyncio.sleep(random.uniform(0.2, 2.0))
        await crash(world, audit, random, patient=patient)
    await asyncio.sleep(0.5)
    await traffic.end()
    await audit.settle(within_s=120 if patient else 30)
    await traffic.leave()
    faults = await audit.faults()
    assert not faults, "\n".join(faults)
    await world.audit_books()
    promises = traffic.promises
    assert promises.by_http and promises.by_smpp and promises.from_phones and promises.heard
    sys.stderr.write(f"{len(promises.by_http)} by HTTP, {len(promises.by_smpp)} by SMPP, all kept\n")


async def crash(world: World, audit: Audit, random: Random, *, patient: bool) -> None:
    """Kill it and start it again, sometimes killing it once more before it is up.

    What it had leased (deliveries, cursors, its number) comes free after a minute; unless we are patient, at once.
    """
    world.serve.kill()
    doubtful = await audit.on_the_wire()
    assert doubtful <= world.window, f"{doubtful} messages in doubt with a window of {world.window}"
    if random.random() < 0.3:
        world.serve.launch()
        await asyncio.sleep(random.uniform(0.0, 1.5))
        world.serve.kill()
    if not patient:
        await world.expire_leases()
    await world.serve.start()
