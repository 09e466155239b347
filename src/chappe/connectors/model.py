"""A supplier account as it is stored: its credentials sealed. Pure."""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeVar

import msgspec
from msgspec import Meta, Struct

from chappe.channels.settings import CHANNELS, CREDENTIALS, Connector, SmppCredentials, SmppSettings
from chappe.errors import Refused
from chappe.flaws import refusal
from chappe.secrets import Vault

Name = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$")]


T = TypeVar("T")


class StoredConnector(Struct, frozen=True):
    """A row of `connectors`. `credentials` is the sealed JSON of the channel's credentials."""

    id: int
    name: Name
    channel: Literal["smpp"]
    status: Literal["active", "stopped"]
    test: bool
    settings: SmppSettings
    credentials: str
    created_at: int


def opened(stored: StoredConnector, vault: Vault) -> Connector:
    """The value that a channel gets. Raises ValueError when the secret key is another one than at sealing."""
    return Connector(
        id=stored.id,
        name=stored.name,
        channel=stored.channel,
        test=stored.test,
        status=stored.status,
        settings=stored.settings,
        credentials=msgspec.json.decode(vault.decrypt(stored.credentials), type=CREDENTIALS[stored.channel]),
    )


def sealed(credentials: SmppCredentials, vault: Vault) -> str:
    return vault.encrypt(msgspec.json.encode(credentials).decode())


def read_settings(channel: str, settings: Any) -> SmppSettings:
    """Settings from plain values, defaults filled in; raises Refused whose param starts with `settings`."""
    return _read(settings, _of_channel(CHANNELS, channel), "settings")


def read_credentials(channel: str, credentials: Any) -> SmppCredentials:
    return _read(credentials, _of_channel(CREDENTIALS, channel), "credentials")


def _of_channel(table: dict[str, type[T]], channel: str) -> type[T]:
    if channel not in table:
        raise Refused(
            "invalid_value",
            f"There is no channel {channel}.",
            param="channel",
            action=f"Use one of: {', '.join(table)}.",
        )
    return table[channel]


def _read(plain: Any, kind: type[T], param: str) -> T:
    try:
        return msgspec.convert(plain if isinstance(plain, dict) else msgspec.to_builtins(plain), kind)
    except msgspec.ValidationError as error:
        found = refusal(error, kind)
        place = f"{param}.{found.param}" if found.param else param
        raise Refused(found.code, found.message, param=place, action=found.action) from None
