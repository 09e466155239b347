"""The sections of connectors and senders."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import msgspec
from msgspec import Struct

from chappe import connectors, senders
from chappe.accounts import checked
from chappe.connectors import SmppCredentials, StoredConnector, opened, read_credentials, read_settings, sealed
from chappe.declared.people import variable
from chappe.declared.secrets import SecretRef
from chappe.declared.section import Item, Key, Section, World, slugs, written
from chappe.errors import Refused
from chappe.secrets import Vault
from chappe.senders import Sender, canonical, check_ownership, new_sender

if TYPE_CHECKING:
    from chappe.runtime import Runtime

Status = Literal["active", "stopped"]


class CredentialsForm(Struct, frozen=True, forbid_unknown_fields=True):
    system_id: str
    password: SecretRef | str | None = None


class ConnectorForm(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    name: str
    settings: dict[str, Any]
    credentials: CredentialsForm
    channel: str = "smpp"
    status: Status = "active"
    test: bool = False


class Connectors(Section):
    name = "connectors"
    nested = False
    label = "name"
    shape = ConnectorForm
    records = connectors.CONNECTORS

    async def start(self, rt: Runtime) -> None:
        await connectors.start(rt)

    def stored(self, rt: Runtime) -> dict[Key, Any]:
        return {(stored.name,): stored for stored in connectors.book(rt).stored.values()}

    def wanted(self, item: Item, before: StoredConnector | None, world: World) -> StoredConnector:
        form: ConnectorForm = item.declared
        settings = read_settings(form.channel, form.settings)
        credentials = self._credentials(form, before, world)
        if before is not None:
            if (before.test, before.channel) != (form.test, form.channel):
                param = "test" if before.test != form.test else "channel"
                raise Refused("invalid_value", f"{param} of a connector cannot be changed.", param=param)
            after = msgspec.structs.replace(before, status=form.status, settings=settings, credentials=credentials)
            return checked(after)
        return checked(
            StoredConnector(
                id=world.rt.ids.next(),
                name=form.name,
                channel=form.channel,  # type: ignore[arg-type]  # `checked` looks at it
                status=form.status,
                test=form.test,
                settings=settings,
                credentials=credentials,
                created_at=world.rt.clock.now(),
            )
        )

    def declare(self, key: Key, value: StoredConnector, index: int, world: World) -> ConnectorForm:
        secret = SecretRef(env=variable("connector", value.name, "password"))
        known = _opened(value, world.rt.vault)
        return ConnectorForm(
            name=value.name,
            settings=written(value.settings),
            credentials=CredentialsForm(known.system_id if known else "", secret),
            channel=value.channel,
            status=value.status,
            test=value.test,
        )

    def _credentials(self, form: ConnectorForm, before: StoredConnector | None, world: World) -> str:
        """Sealed; the stored text where it says the same, for sealing twice never looks alike."""
        vault = world.rt.vault
        known = None if before is None else _opened(before, vault)
        try:
            reference, what = form.credentials.password, f"connector {form.name}"
            password = world.secret(reference, "password", what, stored=known is not None)
        except Refused as error:
            raise Refused(error.code, error.message, param=f"credentials.{error.param}", action=error.action) from None
        if password is None:
            assert known is not None
            password = known.password
        wanted = read_credentials(form.channel, {"system_id": form.credentials.system_id, "password": password})
        return before.credentials if before is not None and wanted == known else sealed(wanted, vault)


def _opened(stored: StoredConnector, vault: Vault) -> SmppCredentials | None:
    """None for what another secret key has sealed."""
    try:
        return opened(stored, vault).credentials
    except ValueError:
        return None


class SenderForm(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """`connectors` are those that messages to an `inbound` sender come in by; none means any."""

    address: str
    countries: tuple[str, ...] = ()
    status: Literal["active", "suspended", "review"] = "active"
    inbound: bool = False
    connectors: tuple[str, ...] = ()


class Senders(Section):
    name = "senders"
    nested = True
    label = "address"
    shape = SenderForm
    records = senders.SENDERS

    async def start(self, rt: Runtime) -> None:
        await senders.start(rt)

    def stored(self, rt: Runtime) -> dict[Key, Any]:
        names = slugs(rt)
        return {(names[sender.account_id], canonical(sender.address)): sender for sender in senders.book(rt)}

    def name_of(self, declared: SenderForm) -> str:
        return canonical(declared.address)

    def wanted(self, item: Item, before: Sender | None, world: World) -> Sender:
        form: SenderForm = item.declared
        receiving = [
            world.named("connectors", name, f"connectors[{index}]").id for index, name in enumerate(form.connectors)
        ]
        fields: dict[str, Any] = {
            "address": form.address,
            "countries": form.countries,
            "status": form.status,
            "inbound": form.inbound,
            "connector_ids": tuple(receiving),
        }
        if before is not None:  # what the file does not say of it stays
            return checked(msgspec.structs.replace(before, **fields))
        account_id, now = world.account(item.key).id, world.rt.clock.now()
        return new_sender(id=world.rt.ids.next(), account_id=account_id, created_at=now, **fields)

    def verify(self, item: Item, value: Sender, world: World) -> None:
        check_ownership(senders.Book(world.after("senders").values()), value)

    def retire(self, value: Sender, rt: Runtime) -> tuple[Sender, str] | None:
        """One that was registered somewhere is suspended: its registrations need it."""
        if any(one.sender_id == value.id for one in senders.book(rt).registrations.values()):
            return msgspec.structs.replace(value, status="suspended"), "suspend"
        return None

    def declare(self, key: Key, value: Sender, index: int, world: World) -> SenderForm:
        receiving = tuple(world.name_of("connectors", number) for number in value.connector_ids)
        return SenderForm(value.address, value.countries, value.status, value.inbound, receiving)
