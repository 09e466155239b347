"""What a room of configuration holds in memory at this moment."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chappe.snapshots import Snapshot

if TYPE_CHECKING:
    from chappe.runtime import Runtime


def snapshot(rt: Runtime, room: str) -> Snapshot[object]:
    """The snapshot that the room's `start(rt)` has added."""
    return rt.snapshots.named(room)
