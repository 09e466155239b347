"""How nodes share out the binds of connectors, each for itself and all alike: they see the same rows. Pure.

A free bind goes to the node that holds the fewest of its connector, then the fewest in all: so those of one connector
lie on different nodes, and connectors with a single bind spread. Only a connector that keeps others meanwhile gives a
bind up for fairness.
"""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

Bind = tuple[int, int]
"""(connector, slot)."""


class Shares:
    """Who holds what: `held` are the binds by their node, `nodes` all those that may hold any."""

    def __init__(self, nodes: Iterable[int], held: Mapping[Bind, int]) -> None:
        self._nodes = sorted(nodes)
        self._in_all = Counter(held.values())
        self._of: Counter[tuple[int, int]] = Counter((node, connector) for (connector, _), node in held.items())

    def takers(self, free: Sequence[Bind]) -> dict[Bind, int]:
        """The node that each free bind is for; nothing if there are no nodes."""
        found: dict[Bind, int] = {}
        for bind in sorted(free):
            if self._nodes:
                node = min(self._nodes, key=lambda node: self._weight(node, bind))
                found[bind] = node
                self._in_all[node] += 1
                self._of[node, bind[0]] += 1
        return found

    def gives(self, node: int, connector: int) -> bool:
        """Whether it is this node that should give up a bind of that connector: it has two more than another."""
        held = [self._of[other, connector] for other in self._nodes]
        if node not in self._nodes or self._of[node, connector] - min(held) < 2:
            return False
        return node == max(self._nodes, key=lambda other: self._weight(other, (connector, 0)))

    def _weight(self, node: int, bind: Bind) -> tuple[int, int, int]:
        chance = zlib.crc32(f"{node} {bind[0]} {bind[1]}".encode())  # the same on every node
        return (self._of[node, bind[0]], self._in_all[node], chance)
