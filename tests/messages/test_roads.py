"""Which of a route's connectors takes a message."""

from __future__ import annotations

from chappe import connectors
from chappe.routing.quality.model import Demotion
from tests.messages.conftest import NOW, World


def connector(world: World, name: str) -> int:
    found = connectors.book(world.rt).by_name(name)
    assert found is not None
    return found.id


async def test_a_demoted_connector_is_left_whatever_the_strategy_but_for_the_few_that_explore(world: World) -> None:
    main, spare = connector(world, "main"), connector(world, "spare")
    quality = world.pipeline.quality
    assert (await world.send(text="before")).connector_id == main
    quality.demotions[main, "FR"] = Demotion(
        connector_id=main,
        place="FR",
        since=NOW(),
        reason="2 % of some 80 messages of the last minute were delivered; usual are 95 %",
        evidence={},
        against=0.9,
        times=1,
        hold_until=NOW() + 60_000,
    )
    taken = [(await world.send(text=f"Message {n}")).connector_id for n in range(200)]
    assert taken.count(spare) > 180  # three in a hundred explore
    assert set(taken) <= {main, spare}
    quality.demotions.clear()
    assert (await world.send(text="after")).connector_id == main
