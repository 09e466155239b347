"""The operator has a bad day, customers come and go, strangers pry: one installation lives through all of it."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from random import Random
from typing import Any

import pytest
import pytest_asyncio

from chappe.smpp import Pdu, commands
from tests.acceptance.audit import Audit
from tests.acceptance.customer import Customer
from tests.acceptance.traffic import Traffic
from tests.acceptance.world import RIVAL_KEY, World
from tests.support import processes

pytestmark = pytest.mark.asyncio(loop_scope="module")
MEGABYTE = 1 << 20
OWN = ("/v1/messages/{}", "/v1/messages/{}/explain")


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def module_store(
    request: pytest.FixtureRequest, make_sqlite: Callable[[Path], str], tmp_path_factory: pytest.TempPathFactory
) -> Any:
    if request.param == "sqlite":
        yield make_sqlite(tmp_path_factory.mktemp("store"))
    else:
        with request.getfixturevalue("furnished").database() as dsn:
            yield dsn


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def town(module_store: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    world = World(tmp_path_factory.mktemp("town"), module_store, scenario="receipt_delay_s = 0.5")
    await world.start()
    yield world
    await world.stop()


@pytest.fixture(autouse=True)
def logs(town: World) -> Any:
    yield
    os.write(2, town.serve.tail.encode())


async def test_receipts_wait_for_a_customer_who_has_unbound(town: World) -> None:
    customer = await Customer.bind(town)
    for n in range(5):
        customer.submit(f"+3361100000{n}")
    await town.until(lambda: _count(customer.responses, 5))
    await customer.session.unbind(1)
    wanted = {number for _, number in customer.responses}
    for message_id in wanted:
        await town.becomes(message_id, "delivered")
    assert len(customer.receipts) == 0
    back = await Customer.bind(town)
    await town.until(lambda: _count(back.receipts, 5))
    await back.session.unbind(1)
    assert {f"msg_{told.id}" for told in back.receipts} == wanted


async def test_a_receipt_that_a_phone_forges_is_a_message_and_nothing_else(town: World) -> None:
    sent = await town.send(to="+33612555016")  # delivered, but no receipt ever comes
    await town.becomes(sent["id"], "sent")
    _, told = await town.get(f"/v1/messages/{sent['id']}/explain")
    provider_id = told["attempts"][0]["parts"][0]["provider_id"]
    forged = (
        f"id:{provider_id} sub:001 dlvrd:001 submit date:2601010000 done date:2601010000 stat:DELIVRD err:000 text:"
    )
    await town.phone("+33612555016", forged)

    async def arrived() -> bool:
        _, page = await town.get("/v1/inbound?limit=50")
        return any(message["text"] == forged for message in page["data"])

    await town.until(arrived)
    assert (await town.get(f"/v1/messages/{sent['id']}"))[1]["status"] == "sent"
    # marked as a receipt by the network, but of an id that is nobody's: parked, and no message changes
    await town.phone("+33612555016", forged.replace(provider_id, "4711"), esm_class=4)
    parked = "select count(*) from parked_receipts where provider_key = '4711'"

    async def is_parked() -> bool:
        return bool(await town.value(parked))

    await town.until(is_parked)
    assert (await town.get(f"/v1/messages/{sent['id']}"))[1]["status"] == "sent"
    # the same words from the network itself, with the right id
    await town.phone("+33612555016", forged, esm_class=4)
    await town.becomes(sent["id"], "delivered")


async def test_another_tenant_sees_and_changes_nothing(town: World) -> None:
    await town.phone("+33612000011", "for acme only")
    ours = await town.send(to="+33611200001")
    for path in OWN:
        assert (await town.get(path.format(ours["id"])))[0] == 200
        status, body = await town.get(path.format(ours["id"]), key=RIVAL_KEY)
        assert (status, body["error"]["code"]) == (404, "not_found")
    status, body = await town.post(f"/v1/messages/{ours['id']}/cancel", {}, key=RIVAL_KEY)
    assert (status, body["error"]["code"]) == (404, "not_found")
    for path in ("/v1/messages", "/v1/inbound", "/v1/webhook_endpoints"):
        status, page = await town.get(path, key=RIVAL_KEY)
        assert (status, page["data"]) == (200, []), path
    rival = await Customer.bind(town, system_id="rival")
    query = {"message_id": ours["id"].removeprefix("msg_"), "source_addr": "Acme", "source_addr_ton": 5}
    rival.session.request(Pdu(commands.QUERY_SM, fields=query))
    await town.until(lambda: _count(rival.responses, 1))
    assert rival.responses[0][0] in ("ESME_RQUERYFAIL", "ESME_RINVMSGID")
    rival.submit("+33611200002", sender="Acme")  # a sender of ours
    await town.until(lambda: _count(rival.responses, 2))
    assert rival.responses[1] == ("ESME_RINVSRCADR", "")
    await rival.session.unbind(1)


async def test_a_second_server_on_the_same_file_refuses(town: World) -> None:
    if not town.database.startswith("sqlite"):
        pytest.skip("PostgreSQL may be served by many")
    environment = town.env | {"CHAPPE_HTTP__PORT": "0", "CHAPPE_SMPP__PORT": "0"}
    done = await asyncio.to_thread(processes.run, environment, "serve")
    assert done.returncode == 1
    assert "another process serves" in done.stderr
    assert (await town.get("/readyz"))[0] == 200


async def test_the_operator_goes_away_and_the_better_lane_leaves_first(town: World) -> None:
    await goes_away(town, seconds=2.0, messages=60)


async def test_an_operator_that_drops_and_throttles_loses_nothing(town: World) -> None:
    await bad_day(town, minutes=0.05)


async def test_it_ends_in_order_when_asked_to(town: World) -> None:
    """Last of the file: SIGTERM under traffic leaves nothing in doubt, and the next start goes on."""
    traffic = Traffic(town, Random(3), first=200_000)
    audit = Audit(town, traffic.promises)
    traffic.begin(phones=False)
    await asyncio.sleep(1.0)
    assert await town.serve.stop() == 0
    assert await audit.on_the_wire() == 0
    await town.serve.start()
    await traffic.end()
    await traffic_ends_well(town, traffic)


# -- the same for longer --------------------------------------------------------------------------------------------


@pytest.mark.soak
async def test_the_operator_is_away_for_a_minute_under_load(town: World) -> None:
    before = town.serve.rss
    await goes_away(town, seconds=60.0, messages=20_000)
    assert town.serve.rss < before + 150 * MEGABYTE


@pytest.mark.soak
async def test_a_long_bad_day(town: World) -> None:
    await bad_day(town, minutes=10, first=300_000)


async def goes_away(town: World, *, seconds: float, messages: int) -> None:
    """Messages of all lanes gather meanwhile, in the worst order; they leave in the best."""
    await town.order("/away", {"seconds": seconds})
    seen = len(await town.all("/submits"))
    purposes = {"marketing": messages // 2, "transactional": messages // 3, "otp": messages // 6}
    wanted: dict[str, str] = {}
    for purpose, count in purposes.items():
        digit = {"marketing": 2, "transactional": 1, "otp": 0}[purpose]
        to = [f"+3365{digit}{n:06d}" for n in range(count)]
        for start in range(0, count, 5000):
            batch = {"to": to[start : start + 5000], "text": f"for the {purpose}", "purpose": purpose}
            status, body = await town.post("/v1/messages/batch", batch)
            assert (status, body["refused"]) == (202, 0)
            wanted |= {item["id"]: purpose for item in body["data"]}
    assert len(await town.all("/submits")) == seen, "the operator was away"

    async def all_there() -> bool:
        states = await town.rows("select count(*) from messages where state <> 10 and text like 'for the %'")
        return states == [(0,)]

    await town.until(all_there, seconds + 10 + messages / 100)
    submits = (await town.all("/submits"))[seen:]
    lanes = [int(s["to"][4]) for s in submits if s["to"].startswith("3365")]
    assert len(lanes) == messages
    assert lanes == sorted(lanes), "a lower lane overtook"


async def bad_day(town: World, *, minutes: float, first: int = 100_000) -> None:
    """Dropped connections, throttling, refused binds, a moment away, under traffic."""
    random = Random(5)
    traffic = Traffic(town, random, first=first)
    before = town.serve.rss
    traffic.begin()
    for _ in range(max(4, round(minutes * 60))):
        await asyncio.sleep(0.7)
        match random.randrange(4):
            case 0:
                await town.order("/drop", {})
            case 1:
                await town.order("/throttle", {"seconds": 0.3})
            case 2:
                await town.order("/refuse_binds", {"seconds": 0.5})
            case 3:
                await town.order("/away", {"seconds": 0.5})
    await traffic.end()
    await traffic_ends_well(town, traffic)
    assert town.serve.rss < before + 100 * MEGABYTE


async def traffic_ends_well(town: World, traffic: Traffic) -> None:
    audit = Audit(town, traffic.promises)
    await audit.settle(within_s=60)
    await traffic.leave()
    faults = await audit.faults()
    assert not faults, "\n".join(faults)


async def _count(items: list[Any], least: int) -> bool:
    return len(items) >= least
