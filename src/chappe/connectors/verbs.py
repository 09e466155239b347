"""Connectors: created, changed, stopped and started, deleted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from chappe.accounts import Change, checked
from chappe.channels.settings import Connector
from chappe.connectors.book import book
from chappe.connectors.model import StoredConnector, opened, read_credentials, read_settings, sealed
from chappe.connectors.store import CONNECTORS
from chappe.errors import Refused

if TYPE_CHECKING:
    from chappe.runtime import Runtime


async def create_connector(
    rt: Runtime,
    actor: str,
    *,
    name: str,
    settings: Any,
    credentials: Any,
    channel: str = "smpp",
    test: bool = False,
    status: str = "active",
) -> Connector:
    """`settings` and `credentials` are the channel's Structs or plain mappings of their fields.

    Raises Refused: invalid_value, invalid_type, missing_field, unknown_field (param `settings.port`), duplicate_name.
    """
    stored = checked(
        StoredConnector(
            id=rt.ids.next(),
            name=name,
            channel=channel,  # type: ignore[arg-type]  # `checked` looks at it
            status=status,  # type: ignore[arg-type]
            test=test,
            settings=read_settings(channel, settings),
            credentials=sealed(read_credentials(channel, credentials), rt.vault),
            created_at=rt.clock.now(),
        )
    )
    if any(other.name == name for other in book(rt).stored.values()):
        raise Refused("duplicate_name", f"There is already a connector {name}.", param="name")
    change = Change(rt, actor)
    change.create(CONNECTORS, stored)
    await change.commit()
    return opened(stored, rt.vault)


async def update_connector(
    rt: Runtime,
    actor: str,
    connector_id: int,
    *,
    status: str | None = None,
    settings: Mapping[str, Any] | None = None,
    credentials: Any = None,
) -> Connector:
    """Change what is given. `settings` holds the fields that change, each as a whole; the name and the mode stay.

    Raises Refused: not_found, and those of `create_connector`.
    """
    before = found_connector(rt, connector_id)
    after = before
    if status is not None:
        after = msgspec.structs.replace(after, status=status)
    if settings is not None:
        merged = {**msgspec.to_builtins(before.settings), **settings}
        after = msgspec.structs.replace(after, settings=read_settings(before.channel, merged))
    if credentials is not None:
        secret = read_credentials(before.channel, credentials)
        after = msgspec.structs.replace(after, credentials=sealed(secret, rt.vault))
    after = checked(after)
    change = Change(rt, actor)
    change.update(CONNECTORS, before, after)
    await change.commit()
    return opened(after, rt.vault)


async def delete_connector(rt: Runtime, actor: str, connector_id: int, used_by: Sequence[str] = ()) -> None:
    """Raises Refused not_found, or in_use if `used_by` (routes and senders, which the caller knows) is not empty."""
    stored = found_connector(rt, connector_id)
    if used_by:
        raise Refused("in_use", f"The connector is used by {', '.join(used_by)}.")
    change = Change(rt, actor)
    change.delete(CONNECTORS, stored)
    await change.commit()


def found_connector(rt: Runtime, connector_id: int) -> StoredConnector:
    stored = book(rt).stored.get(connector_id)
    if stored is None:
        raise Refused("not_found", "There is no such connector.")
    return stored
