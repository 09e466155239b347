"""How nodes share out binds: all come to the same plan, and no node has two more of a connector than another."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from chappe.connectors.shares import Bind, Shares

connectors = st.dictionaries(st.integers(1, 20), st.integers(1, 8), max_size=8)
nodes = st.lists(st.integers(1, 1 << 62), min_size=1, max_size=6, unique=True)


def binds(of: dict[int, int]) -> list[Bind]:
    return [(connector, slot) for connector, count in of.items() for slot in range(count)]


@given(connectors, nodes)
def test_free_binds_are_spread_evenly_connector_by_connector_and_in_all(of: dict[int, int], those: list[int]) -> None:
    takers = Shares(those, {}).takers(binds(of))
    assert takers.keys() == set(binds(of))
    for connector, count in of.items():
        held = Counter(node for (c, _), node in takers.items() if c == connector)
        assert max(held.values()) <= -(-count // len(those))
    single = Counter(takers[connector, 0] for connector, count in of.items() if count == 1)
    if single and all(count == 1 for count in of.values()):
        assert max(single.values()) - (min(single.values()) if len(single) == len(those) else 0) <= 1


@given(connectors, nodes, st.randoms(use_true_random=False))
def test_every_node_makes_the_same_plan(of: dict[int, int], those: list[int], random: object) -> None:
    shuffled, free = list(those), binds(of)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    random.shuffle(free)  # type: ignore[attr-defined]
    assert Shares(shuffled, {}).takers(free) == Shares(those, {}).takers(binds(of))


@given(connectors, nodes)
def test_giving_up_one_after_another_ends_evenly(of: dict[int, int], those: list[int]) -> None:
    """All binds are with one node when the others come."""
    held = dict.fromkeys(binds(of), those[0])
    for _ in range(8 * 8 * 6):
        givers = [(c, n) for c in of for n in those if Shares(those, held).gives(n, c)]
        assert len(givers) == len({connector for connector, _ in givers}), "one node of a connector gives at a time"
        if not givers:
            break
        connector, giver = givers[0]
        given_up = max(bind for bind, node in held.items() if node == giver and bind[0] == connector)
        del held[given_up]
        held |= Shares(those, held).takers([given_up])
    else:
        raise AssertionError("it never ends")
    for connector, count in of.items():
        counts = [sum(held[connector, slot] == node for slot in range(count)) for node in those]
        assert max(counts) - min(counts) <= 1


def test_a_single_bind_stays_where_it_is() -> None:
    shares = Shares([1, 2], {(7, 0): 1, (8, 0): 1, (9, 0): 1})
    assert not any(shares.gives(node, connector) for node in (1, 2) for connector in (7, 8, 9))


def test_a_node_that_goes_counts_no_more() -> None:
    shares = Shares([2, 3], {(7, 0): 1, (7, 1): 1})
    assert not shares.gives(1, 7)
    assert set(shares.takers([(7, 0), (7, 1)]).values()) == {2, 3}


def test_without_nodes_nobody_takes_anything() -> None:
    assert Shares([], {}).takers([(7, 0)]) == {}
