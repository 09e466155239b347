"""Nodes: the processes on a store. Each leases a number and its own liveness, and tells the others how it is."""

from __future__ import annotations

from chappe.nodes.lease import Node, NodeInfo, NoNodeLeft, listing
from chappe.nodes.store import TOPIC, nodes
from chappe.nodes.vitals import Vitals

__all__ = ["TOPIC", "NoNodeLeft", "Node", "NodeInfo", "Vitals", "listing", "nodes"]
