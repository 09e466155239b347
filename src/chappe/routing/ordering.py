"""In which order a route's connectors are tried, and which comes after an error. Pure.

Groups follow each other as written; in a group its strategy decides, and connectors that are down come last:

- order: as written.
- weights: by weighted rendezvous hashing of the message's id, so that each is first for its share of messages, and a
  message that is routed again finds the same order on every node.
- sticky: the same of the recipient's number, so that a person keeps their connector, and one that is added or taken
  away moves only its own share of people (Thaler and Ravishankar, 1998; weights after Schindelhauer and Schomaker,
  2005: the lowest -ln(u) / weight wins).
- least_cost: the cheapest first; one whose cost is not known after those whose is.
- best_quality: the highest score first.

Among equals the one that is written first.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from math import inf, log
from typing import NamedTuple

from chappe.routing.model import Decision, Group, Member, Strategy

Cost = Callable[[int], int | None]
"""What a segment costs by a connector, in micro-units; None where it is not known."""
Quality = Callable[[int], float]
"""How good a connector is for this message: higher is better."""
Usable = Callable[[int], bool]
"""Whether a connector's link is up."""

_MASK = (1 << 64) - 1
_GOLDEN = 0x9E3779B97F4A7C15
_UNIT = 2.0**-53


class Placed(NamedTuple):
    """A connector and why it stands where it stands. One that is left out may not take the message at all."""

    connector_id: int
    group: int
    strategy: Strategy
    reason: str
    left_out: bool = False


def _unknown(connector_id: int) -> None:
    return None


def _alike(connector_id: int) -> float:
    return 0.0


def _up(connector_id: int) -> bool:
    return True


def order(
    decision: Decision,
    *,
    seed: int,
    who: str = "",
    cost: Cost = _unknown,
    quality: Quality = _alike,
    usable: Usable = _up,
    ceiling: int | None = None,
) -> tuple[int, ...]:
    """The connectors in the order to try, each once; empty when all of them cost too much.

    `seed` is the message's id, `who` the recipient's digits, `ceiling` what a segment earns in the unit of `cost`
    (None: nothing is known of it). A connector that costs more than the ceiling is left out unless the route allows
    losses; so is one that costs more than the route's `max_cost`, or whose cost is not known where there is one.
    """
    connectors = decision.connectors
    if ceiling is not None and decision.allow_loss:
        ceiling = None
    limited = ceiling is not None or decision.max_cost is not None
    if not limited and len(connectors) == 1:
        return connectors
    if decision.groups:
        found: list[int] = []
        for group in decision.groups:
            ranked = _ranked(group, seed, who, cost, quality)
            found += ranked if all(map(usable, ranked)) else sorted(ranked, key=lambda c: not usable(c))  # stable
        connectors = tuple(dict.fromkeys(found))
    elif not all(map(usable, connectors)):
        connectors = tuple(sorted(connectors, key=lambda c: not usable(c)))
    if limited:
        return tuple(c for c in connectors if _affordable(cost(c), decision.max_cost, ceiling))
    return connectors


def following(
    decision: Decision, order: Sequence[int], tried: Sequence[int], error: str | None = None
) -> tuple[int, ...]:
    """The connectors that a message may go on to after `tried` (in the order of trying), the next one first; none: it
    ends.

    `order` is what `order()` gave, `error` the class (`class_of`) of what went wrong at the last of `tried`, None if
    nothing did. Groups are left for good: a message never goes back to an earlier one.
    """
    if len(tried) >= decision.most_attempts:
        return ()
    at = _place(decision, tried[-1]) if tried else None
    if at is not None and error is not None:
        group = decision.groups[at]
        if error in group.skip_on:
            at += 1
        elif error not in group.leave_on:
            return ()
    left = (connector_id for connector_id in order if connector_id not in tried)
    if not at:
        return tuple(left)
    return tuple(connector_id for connector_id in left if (_place(decision, connector_id) or 0) >= at)


def explain_order(
    decision: Decision,
    *,
    seed: int,
    who: str = "",
    cost: Cost = _unknown,
    quality: Quality = _alike,
    usable: Usable = _up,
    ceiling: int | None = None,
) -> list[Placed]:
    """What `order` does with each connector, and why; those that are left out come last."""
    chosen = order(decision, seed=seed, who=who, cost=cost, quality=quality, usable=usable, ceiling=ceiling)
    told = []
    for connector_id in chosen:
        at = _place(decision, connector_id) or 0
        group = _group(decision, at)
        reason = _why(group, connector_id, cost, quality)
        if not usable(connector_id):
            reason += "; it is down, or demoted"
        told.append(Placed(connector_id, at, group.strategy, reason))
    for connector_id in decision.connectors:
        if connector_id not in chosen:
            at = _place(decision, connector_id) or 0
            reason = _too_dear(cost(connector_id), decision.max_cost, ceiling)
            told.append(Placed(connector_id, at, _group(decision, at).strategy, reason, True))
    return told


def _ranked(group: Group, seed: int, who: str, cost: Cost, quality: Quality) -> list[int]:
    """The connectors of a group as its strategy wants them."""
    members = group.connectors
    if len(members) == 1:
        return [members[0].connector_id]
    match group.strategy:
        case "order":
            return [member.connector_id for member in members]
        case "least_cost":
            return sorted((member.connector_id for member in members), key=lambda c: _or_inf(cost(c)))
        case "best_quality":
            return sorted((member.connector_id for member in members), key=lambda c: -quality(c))
        case "sticky" if who:
            return _drawn(members, int(who))
        case _:
            return _drawn(members, seed)


def _drawn(members: tuple[Member, ...], point: int) -> list[int]:
    """Weighted rendezvous: each member draws from the exponential distribution of its weight, the lowest is first."""
    offset = point * _GOLDEN
    drawn = []
    for at, member in enumerate(members):
        connector_id, weight = member.connector_id, member.weight
        uniform = ((_mixed(_start(connector_id) + offset) >> 11) + 0.5) * _UNIT  # between 0 and 1, always the same
        drawn.append((-log(uniform) / weight if weight else inf, at, connector_id))
    drawn.sort()
    return [one[2] for one in drawn]


@lru_cache(maxsize=4096)
def _start(connector_id: int) -> int:
    return _mixed(connector_id * _GOLDEN)


def _mixed(z: int) -> int:
    """64 well-mixed bits (the finalizer of SplitMix64, Steele, Lea and Flood, 2014)."""
    z &= _MASK
    z = ((z ^ z >> 30) * 0xBF58476D1CE4E5B9) & _MASK
    z = ((z ^ z >> 27) * 0x94D049BB133111EB) & _MASK
    return z ^ z >> 31


def _or_inf(cost: int | None) -> float:
    return inf if cost is None else cost


def _affordable(cost: int | None, max_cost: int | None, ceiling: int | None) -> bool:
    if cost is None:
        return max_cost is None
    return (max_cost is None or cost <= max_cost) and (ceiling is None or cost <= ceiling)


def _place(decision: Decision, connector_id: int) -> int | None:
    """The first group that has the connector."""
    for at, group in enumerate(decision.groups):
        for member in group.connectors:
            if member.connector_id == connector_id:
                return at
    return None


_PLAIN = Group(())


def _group(decision: Decision, at: int) -> Group:
    return decision.groups[at] if decision.groups else _PLAIN


def _why(group: Group, connector_id: int, cost: Cost, quality: Quality) -> str:
    if len(group.connectors) == 1:
        return "the only connector of its group"
    match group.strategy:
        case "least_cost":
            known = cost(connector_id)
            return "its cost is not known" if known is None else f"costs {_units(known)} a segment"
        case "best_quality":
            return f"quality {quality(connector_id):.3f}"
        case "weights" | "sticky":
            total = sum(member.weight for member in group.connectors)
            weight = next(member.weight for member in group.connectors if member.connector_id == connector_id)
            drawn = "recipients" if group.strategy == "sticky" else "messages"
            return f"first for {weight} of {total} parts of the {drawn}" if weight else "weight 0 comes last"
        case _:
            return "as written"


def _too_dear(cost: int | None, max_cost: int | None, ceiling: int | None) -> str:
    if cost is None:
        return "its cost is not known and the route has a max_cost"
    if max_cost is not None and cost > max_cost:
        return f"costs {_units(cost)} a segment, more than the route's max_cost of {_units(max_cost)}"
    return f"costs {_units(cost)} a segment, more than the message earns"


def _units(micros: int) -> str:
    """`72500` as `0.0725`."""
    whole, part = divmod(micros, 1_000_000)
    return f"{whole}.{part:06d}".rstrip("0").rstrip(".")
