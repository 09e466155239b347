"""Three nodes on one PostgreSQL: whatever happens to one of them, or to the database, the others keep every promise.

One town lives through all short tests; what `soak` marks is the same for minutes, each in a town of its own.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import pytest
import pytest_asyncio

from tests.acceptance.audit import Audit
from tests.acceptance.customer import Customer
from tests.acceptance.town import BURST, PREFIXES, RATE, Crowd, Node, Town, longest_gap, most_within
from tests.acceptance.world import RIVAL_KEY
from tests.support.mortal import Mortal
from tests.support.postgres import Postgres, start_postgres

pytestmark = pytest.mark.asyncio(loop_scope="module")
ELSEWHERE_S = 10.0  # what a dead node held is up again within that time
SETTINGS_S = 1.0  # what is changed through one node is known to all
SOAK_S = 300.0
BACK_S = 15.0  # until a node goes on by itself once the database is back
GAP_S = 2.0  # between two messages of a connector, at some ten a second


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    """One that nobody else uses: it will be killed."""
    if "CHAPPE_TEST_POSTGRES" in os.environ:
        pytest.skip("needs a server of our own")
    server = start_postgres()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def mortal(server: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mortal]:
    mortal = Mortal(server, tmp_path_factory.mktemp("mortal"))
    yield mortal
    mortal.end()


MakeTown = Callable[..., Awaitable[Town]]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def make_town(
    server: Postgres, mortal: Mortal, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[MakeTown]:
    """Towns that end with the module."""
    made: list[Town] = []

    async def make(**options: Any) -> Town:
        town = Town(tmp_path_factory.mktemp("town"), await server.create_database(), **options)
        made.append(town)
        await town.start()
        return town

    yield make
    for town in made:
        await town.stop()
        tell_logs(town)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared(make_town: MakeTown) -> Town:
    town = await make_town()
    await town.bill("delivered")
    return town


@pytest_asyncio.fixture(loop_scope="module")
async def town(shared: Town) -> AsyncIterator[Town]:
    """The town in order, whatever the test before has done to it."""
    await shared.mend()
    yield shared
    tell_logs(shared)


def tell_logs(town: Town) -> None:
    os.write(2, "".join(process.tail for process in (*town.nodes, town.operator)).encode())


@asynccontextmanager
async def crowded(town: Town, number: int, areas: str, *, within_s: float = 30.0) -> AsyncIterator[Audit]:
    """Customers send while the block lasts; then everything comes to rest, and every promise must have been kept."""
    crowd = Crowd(town, number, areas=areas)
    audit = Audit(town, crowd.promises)
    crowd.begin()
    try:
        await asyncio.sleep(1.0)
        yield audit
        await asyncio.sleep(0.5)
        await crowd.end()
        await audit.settle(within_s)
        await crowd.leave()
    except BaseException:
        await crowd.abandon()
        raise
    faults = await audit.faults()
    assert not faults, "\n".join(faults)
    await town.audit_books()
    promises = crowd.promises
    assert promises.by_http and promises.by_smpp and promises.from_phones and promises.heard
    told(f"{len(promises.by_http)} by HTTP, {len(promises.by_smpp)} by SMPP, all kept")


def told(text: str) -> None:
    sys.stderr.write(text + "\n")


# -- settings, rates and receipts over all nodes --------------------------------------------------------------------


async def test_binds_are_shared_out(shared: Town) -> None:
    await shared.shared_out(15)


async def test_what_one_node_is_told_all_know_within_a_second(town: Town) -> None:
    one, two, three = town.members
    created = {"scopes": ["messages:send", "messages:read"], "name": "late"}
    status, key = await town.post("/v1/keys", created, at=one)
    assert status == 201, key
    await within_a_second(town, lambda node: reads(town, node, key["key"]))

    status, body = await town.post("/v1/senders", {"address": "Nouveau"}, at=two)
    assert status == 201, body
    await within_a_second(town, lambda node: sends(town, node, "Nouveau"))

    login = {"system_id": "late", "password": "secret", "dialect": {"inbound": False}}  # else what phones write waits
    status, body = await town.post("/v1/smpp_logins", login, at=three)
    assert status == 201, body
    await asyncio.sleep(SETTINGS_S)
    for node in town.members:
        customer = await Customer.bind(town, system_id="late", at=node)
        await customer.session.unbind(1)

    settings = {"host": "127.0.0.1", "port": town.operator.ready["port"]}
    credentials = {"system_id": "late", "password": "sesame"}
    connector = {"name": "late", "settings": settings, "credentials": credentials}
    status, body = await town.post("/v1/connectors", connector, at=one)
    assert status == 201, body
    status, body = await town.post("/v1/routes", {"name": "late", "prefix": "4670", "connector": "late"}, at=one)
    assert status == 201, body
    await within_a_second(town, lambda node: leads(town, node, "late"))
    sent = [await town.send(to=f"+4670000000{n}", at=node) for n, node in enumerate(town.members)]
    for message in sent:
        await town.becomes(message["id"], "delivered")
    assert len(await town.submits("late", 0)) == 3


async def within_a_second(town: Town, known: Callable[[Node], Awaitable[bool]]) -> None:
    began = time.monotonic()
    for node in town.members:
        await town.until(lambda node=node: known(node), SETTINGS_S, f"known to {node.name}")  # type: ignore[misc]
    took = time.monotonic() - began
    assert took < SETTINGS_S, f"known to all only after {took:.2f} s"


async def reads(town: Town, node: Node, key: str) -> bool:
    return (await town.get("/v1/messages", key=key, at=node))[0] == 200


async def sends(town: Town, node: Node, sender: str) -> bool:
    to = f"+336100000{town.members.index(node):02d}"  # nobody gets the same twice
    return (await town.post("/v1/messages", {"from": sender, "to": to, "text": "Bonjour"}, at=node))[0] == 202


async def leads(town: Town, node: Node, connector: str) -> bool:
    status, answer = await town.post("/v1/routes/explain", {"to": "+46700000009"}, at=node)
    return status == 200 and answer["connectors"] == [connector]


async def test_the_rate_of_a_connector_holds_over_all_nodes(town: Town) -> None:
    each, began = 60, time.time()

    async def order(place: int, node: Node) -> None:
        to = [f"{PREFIXES['paced']}{place}{n:06d}" for n in range(each)]
        status, body = await town.post("/v1/messages/batch", {"to": to, "text": "Piano"}, at=node)
        assert (status, body["refused"]) == (202, 0)

    await asyncio.gather(*(order(place, node) for place, node in enumerate(town.members)))
    moments: list[float] = []

    async def all_there() -> bool:
        moments[:] = await town.submits("paced", began)
        return len(moments) == each * 3

    await town.until(all_there, 20, "all of the paced ones")
    busiest, reached = most_within(moments, 1.0), len(moments) / (max(moments) - min(moments))
    told(f"{busiest} in the busiest second, {reached:.0f} a second in all")
    assert busiest <= RATE * 1.15 + BURST, "together the nodes are faster than agreed"
    assert reached >= RATE * 0.5, "one node alone would reach a third"


async def test_receipts_follow_a_login_from_node_to_node(town: Town) -> None:
    one, _, three = town.members
    customer = await Customer.bind(town, at=one)
    for n in range(3):
        customer.submit(f"+3369{n}555017")  # delivered, with the receipt two seconds later
    await town.until(lambda: count(customer.responses, 3))
    await customer.session.unbind(1)
    assert not customer.receipts
    moved = await Customer.bind(town, at=three)
    await town.until(lambda: count(moved.receipts, 3))
    await moved.session.unbind(1)
    assert {f"msg_{told.id}" for told in moved.receipts} == {number for _, number in customer.responses}


async def test_the_receipts_of_one_message_may_come_to_different_nodes(town: Town) -> None:
    """All at the same moment, over three binds: the last part must be seen as the last, whoever hears of it."""
    to = [f"+336{area}{n}555017" for area in "03" for n in range(10)]
    status, body = await town.post("/v1/messages/batch", {"to": to, "text": "and so on " * 80})
    assert (status, body["refused"]) == (202, 0)
    for message in body["data"]:
        await town.becomes(message["id"], "delivered", 10)


# -- nodes go and come ----------------------------------------------------------------------------------------------


async def test_what_a_killed_node_held_is_up_elsewhere_within_ten_seconds(town: Town) -> None:
    async with town.watched(), crowded(town, 1, "2") as audit:
        before = await resent(audit)
        victim = await town.holder("solo")
        lost = await kill(town, victim)
        told(f"all binds up {await town.all_up(ELSEWHERE_S):.1f} s after kill -9")
        await victim.start()
    assert await resent(audit) - before <= lost * town.window, "more sent again than can have been in doubt"


async def test_a_planned_stop_hands_over_without_a_gap(town: Town) -> None:
    async with town.watched() as watch, crowded(town, 2, "4"):
        leaver = await town.holder("solo")
        since = time.time()
        assert await leaver.stop() == 0
        told(f"it took {time.time() - since:.1f} s to stop")
        told(f"all binds up {await town.all_up(ELSEWHERE_S):.1f} s after its end")
        await asyncio.sleep(0.5)
        gaps = {name: longest_gap(await town.submits(name, since - 0.5)) for name in ("chappe", "solo", "twin")}
        told(f"longest gaps: {gaps}")
        assert await doubted(town, since) == 0, "a planned stop leaves nothing in doubt"
        await leaver.start()
    assert watch.least("twin") >= 1 and watch.least("chappe") >= 2, "more than one bind of a connector was down"
    assert max(gaps.values()) < GAP_S


async def test_a_node_cut_off_from_the_database_lets_go_and_comes_back(town: Town) -> None:
    async with town.watched(), crowded(town, 3, "5"):
        await cut_off(town, "stall", seconds=8)


async def test_the_database_server_ends_and_comes_back(town: Town, mortal: Mortal) -> None:
    async with town.watched(), crowded(town, 4, "6"):
        await restart(town, mortal, away_s=2.0)


# -- split roles ----------------------------------------------------------------------------------------------------


async def test_nobody_spends_more_than_there_is_at_whatever_node(town: Town) -> None:
    """The last that this town lives through: nobody hears of the rival's messages."""
    _, rival = await town.get("/v1/account", key=RIVAL_KEY)
    await town.prepay(rival["id"], "2.50")  # fifty messages

    async def send(number: int) -> int:
        node = town.members[number % 3]
        body = {"to": f"+3361{number:07d}", "text": f"Message {number}"}
        status, told = await town.post("/v1/messages", body, key=RIVAL_KEY, at=node)
        assert status == 202 or told["error"]["code"] == "no_balance", told
        return status

    await town.until(lambda: billed_everywhere(town), what="terms at each node")
    statuses = await asyncio.gather(*(send(number) for number in range(150)))
    assert (statuses.count(202), statuses.count(402)) == (50, 100)
    _, balance = await town.get(f"/v1/balance?account_id={rival['id']}")
    assert balance["wallet"] == "0.00"
    await town.audit_books()


async def billed_everywhere(town: Town) -> bool:
    prices = [
        await town.post("/v1/messages", {"to": "+33612345678", "text": "x", "dry_run": True}, key=RIVAL_KEY, at=node)
        for node in town.members
    ]
    return all(body.get("price") for _, body in prices)


async def test_a_message_lives_through_nodes_with_split_roles(make_town: MakeTown) -> None:
    town = await make_town(roles=("api,smsc", "dispatch", "jobs"))
    await town.all_up(15)
    assert {node.name for nodes in (await town.holders()).values() for node in nodes} == {"node2"}
    later = (datetime.now(UTC) + timedelta(seconds=2)).isoformat()
    async with town.watched(), crowded(town, 5, "7"):
        scheduled = await town.send(to="+33618888888", send_at=later)
        await town.becomes(scheduled["id"], "delivered")
    status, ready = await town.get("/readyz")
    assert (status, ready["roles"]) == (200, ["api", "smsc"])
    await town.stop()


# -- the same for minutes -------------------------------------------------------------------------------------------


@pytest.mark.soak
async def test_nodes_killed_in_turn_for_five_minutes(make_town: MakeTown) -> None:
    town, random, lost = await make_town(), Random(11), 0
    await town.all_up(15)
    ends_at = time.monotonic() + SOAK_S
    async with town.watched(), crowded(town, 0, "245678", within_s=60) as audit:
        for victim in itertools.cycle(town.members):
            await asyncio.sleep(random.uniform(1, 6))
            lost += await kill(town, victim)
            if random.random() < 0.5:
                told(f"all binds up {await town.all_up(ELSEWHERE_S):.1f} s after kill -9")
            else:
                await asyncio.sleep(random.uniform(0, 3))  # back before its leases end
            await victim.start()
            if time.monotonic() > ends_at:
                break
    assert await resent(audit) <= lost * town.window, "more sent again than can have been in doubt"
    await town.stop()


@pytest.mark.soak
async def test_cuts_and_restarts_of_the_database_for_five_minutes(make_town: MakeTown, mortal: Mortal) -> None:
    town = await make_town()
    await town.all_up(15)
    ends_at = time.monotonic() + SOAK_S
    async with town.watched(), crowded(town, 0, "245678", within_s=60):
        for trouble in itertools.cycle(("cut", "restart", "stall")):
            if trouble == "restart":
                await restart(town, mortal, away_s=5.0)
            else:
                await cut_off(town, trouble, seconds=20)
            await asyncio.sleep(3.0)
            if time.monotonic() > ends_at:
                break
    await town.stop()


@pytest.mark.soak
async def test_a_node_that_slept_does_not_go_on_where_it_was(make_town: MakeTown) -> None:
    """The operator still has its sessions when it wakes, and the others have long taken its place."""
    town = await make_town()
    await town.all_up(15)
    async with crowded(town, 0, "245678", within_s=60):
        for _ in range(5):
            sleeper = await town.holder("solo")
            sleeper.pause()
            await asyncio.sleep(15.0)
            assert len((await town.binds_up())["solo"]) == 2, "nobody has taken its place"
            sleeper.resume()
            told(f"all binds up, and no more, {await town.all_up(BACK_S):.1f} s after it woke")
            await town.until(lambda node=sleeper: town.ready(node), BACK_S)  # type: ignore[misc]
            await asyncio.sleep(3.0)
    await town.stop()


# -- what happens to them -------------------------------------------------------------------------------------------


async def kill(town: Town, victim: Node) -> int:
    """SIGKILL; gives how many binds it held."""
    held = sum(nodes.count(victim) for nodes in (await town.holders()).values())
    victim.kill()
    return held


async def cut_off(town: Town, how: str, *, seconds: float) -> None:
    """The node that holds `solo` is parted from the database; others take over; it goes on by itself afterwards."""
    victim = await town.holder("solo")
    healed_at = time.monotonic() + seconds
    if how == "stall":
        victim.proxy.stall()
    else:
        victim.proxy.cut()

    async def holds_nothing() -> bool:
        ours = victim.ports()
        return not any(port in ours for ports in (await town.binds_up()).values() for port in ports)

    await town.until(holds_nothing, ELSEWHERE_S, f"{victim.name} lets go of its binds")
    took = time.monotonic() - healed_at + seconds
    await town.all_up(ELSEWHERE_S - took)
    told(f"{how}: binds let go after {took:.1f} s, all up after {time.monotonic() - healed_at + seconds:.1f} s")
    assert await holds_nothing(), "it took a bind without a lease"
    await asyncio.sleep(max(0.0, healed_at - time.monotonic()))
    await victim.proxy.heal()
    began = time.monotonic()
    await town.until(lambda: town.ready(victim), BACK_S, f"{victim.name} is ready again")
    told(f"{how}: ready {time.monotonic() - began:.1f} s after it was over")
    message = await town.send(to=f"+3361777{round(began * 10) % 10_000:04d}", at=victim)
    await town.becomes(message["id"], "delivered")


async def restart(town: Town, mortal: Mortal, *, away_s: float) -> None:
    """`pg_ctl stop -m immediate`, and `start` after a while."""
    mortal.kill()
    await asyncio.sleep(away_s)
    mortal.start()
    began = time.monotonic()
    for node in town.members:
        await town.until(lambda node=node: town.ready(node), BACK_S, f"{node.name} is ready again")  # type: ignore[misc]
    await town.all_up(ELSEWHERE_S)
    told(f"ready and all binds up {time.monotonic() - began:.1f} s after the database's start")


async def resent(audit: Audit) -> int:
    return sum((await audit.resent()).values())


async def doubted(town: Town, since: float) -> int:
    """Messages called in doubt after a moment (seconds since the epoch)."""
    count: int = await town.value(
        f"select count(*) from history where kind = 'in_doubt' and at >= {round(since * 1000)}"
    )
    return count


async def count(items: list[Any], least: int) -> bool:
    return len(items) >= least
