"""From the embedded store to PostgreSQL in the middle of everything: what one had begun, the other ends."""

from __future__ import annotations

import asyncio
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

from tests.acceptance.audit import Audit
from tests.acceptance.conftest import MakeWorld
from tests.acceptance.traffic import Traffic
from tests.acceptance.world import World
from tests.support import processes

SCENARIO = """\
response_delay_s = [0.0, 0.05]
receipt_delay_s = { mean = 1.0, least = 0.1 }
resend_after_s = 0.5
"""


async def test_everything_goes_on_where_the_old_store_stopped(
    tmp_path: Path, postgres_dsn: str, make_world: MakeWorld
) -> None:
    world = await make_world(f"sqlite:///{tmp_path}/chappe.db", scenario=SCENARIO)
    deaf = True
    world.hooks.fails = lambda: deaf  # the old store's webhooks are left to the new one
    traffic = Traffic(world, Random(3))
    audit = Audit(world, traffic.promises)
    traffic.begin()
    due = datetime.now(UTC) + timedelta(seconds=10)
    scheduled = [await world.send(to=f"+3362000000{n}", send_at=due.isoformat()) for n in range(3)]

    async def busy() -> bool:
        left = await leftovers(world)
        return bool(left["parts"] > 10 and left["webhook_deliveries"])

    await world.until(busy, 30)
    await asyncio.to_thread(world.operator.pause)  # what is accepted now waits, or hangs in the air

    async def stuck() -> bool:
        return (await leftovers(world))["queue"] > 30

    await world.until(stuck, 30)
    world.serve.kill()
    left = await leftovers(world)
    assert left["parts"] and left["webhook_deliveries"]
    world.operator.resume()
    await move(world, postgres_dsn)
    assert await leftovers(world) == left
    await world.serve.start()
    deaf = False
    await traffic.end()
    for message in scheduled:
        await world.becomes(message["id"], "delivered", within_s=20)
    await audit.settle(within_s=40)
    await traffic.leave()
    faults = await audit.faults()
    assert not faults, "\n".join(faults)
    promises = traffic.promises
    assert promises.by_http and promises.by_smpp and promises.from_phones and promises.heard
    sys.stderr.write(f"moved with {left}\n")


async def leftovers(world: World) -> dict[str, int]:
    """Rows of what is not done yet."""
    open_ = {
        "events": "",
        "queue": "",
        "parts": "where state = 0",
        "webhook_deliveries": "where state = 0",
        "smsc_deliveries": "",
    }
    return {name: await world.value(f"select count(*) from {name} {which}") for name, which in open_.items()}


async def move(world: World, dsn: str) -> None:
    """`chappe migrate copy`, and settings that name the new store."""
    done = await asyncio.to_thread(processes.run, world.env, "migrate", "copy", "--to", dsn)
    assert done.returncode == 0 and "Copied and verified" in done.stdout, done.stdout + done.stderr
    world.database = world.env["CHAPPE_DATABASE"] = dsn
    ready, world.serve = world.serve.ready, processes.serve(world.folder, world.env)
    world.serve.ready = ready  # customers knock at the old doors until there are new ones
    world.nodes = [world.serve]
