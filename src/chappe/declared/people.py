"""The sections of the room `accounts`: accounts, their keys and their SMPP logins."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Literal

import msgspec
from msgspec import Struct

from chappe import accounts
from chappe.accounts import (
    DEFAULT_SCOPES,
    Account,
    AccountSettings,
    ApiKey,
    LoginDialect,
    Mode,
    Scope,
    SmppLogin,
    check_networks,
    check_password,
    checked,
    directory,
    hash_password,
    password_matches,
)
from chappe.declared.secrets import SecretRef
from chappe.declared.section import Item, Key, Section, World, slugs
from chappe.errors import Refused
from chappe.secrets import hash_key

if TYPE_CHECKING:
    from chappe.runtime import Runtime


class AccountForm(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    slug: str
    name: str
    status: Literal["active", "suspended"] = "active"
    default_sender: str | None = None
    settings: AccountSettings = AccountSettings()


class Accounts(Section):
    name = "accounts"
    nested = False
    label = "slug"
    shape = AccountForm
    records = accounts.ACCOUNTS

    async def start(self, rt: Runtime) -> None:
        await accounts.start(rt)

    def stored(self, rt: Runtime) -> dict[Key, Any]:
        return {(account.slug,): account for account in directory(rt).accounts.values()}

    def wanted(self, item: Item, before: Account | None, world: World) -> Account:
        form: AccountForm = item.declared
        fields = {name: getattr(form, name) for name in form.__struct_fields__}
        if before is not None:
            return checked(msgspec.structs.replace(before, **fields))
        return checked(Account(id=world.rt.ids.next(), created_at=world.rt.clock.now(), **fields))

    def declare(self, key: Key, value: Account, index: int, world: World) -> AccountForm:
        return AccountForm(value.slug, value.name, value.status, value.default_sender, value.settings)

    def retire(self, value: Account, rt: Runtime) -> tuple[Account, str]:
        return msgspec.structs.replace(value, status="suspended"), "suspend"  # its messages need it


_SECRET = re.compile(r"^ck_(live|test)_[A-Za-z0-9_-]{32,}$")
_HASH = re.compile(r"^sha256:[0-9a-f]{64}$")
_HOW = 'Make one with: echo "ck_live_$(openssl rand -hex 32)"'


class KeyForm(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """`secret` may also be `sha256:` and the hash of the key, which opens nothing."""

    name: str
    mode: Mode = "live"
    scopes: tuple[Scope, ...] = DEFAULT_SCOPES
    secret: SecretRef | str | None = None


class Keys(Section):
    name = "keys"
    nested = True
    label = "name"
    shape = KeyForm
    records = accounts.KEYS

    async def start(self, rt: Runtime) -> None:
        """The accounts bring them."""

    def stored(self, rt: Runtime) -> dict[Key, Any]:
        return {
            (slug, key.name): key
            for number, slug in slugs(rt).items()
            for key in directory(rt).keys(number)
            if key.revoked_at is None
        }

    def wanted(self, item: Item, before: ApiKey | None, world: World) -> ApiKey:
        form: KeyForm = item.declared
        hashed, last4 = self._secret(form, before, world, " ".join(item.key))
        if before is not None:
            if before.mode != form.mode:
                raise Refused("invalid_value", "The mode of a key cannot be changed.", param="mode")
            if hashed == before.hash:
                return checked(msgspec.structs.replace(before, scopes=form.scopes))
            return checked(msgspec.structs.replace(before, scopes=form.scopes, hash=hashed, last4=last4))
        return checked(
            ApiKey(
                id=world.rt.ids.next(),
                account_id=world.account(item.key).id,
                name=form.name,
                hash=hashed,
                last4=last4,
                mode=form.mode,
                scopes=form.scopes,
                created_at=world.rt.clock.now(),
                revoked_at=None,
            )
        )

    def verify(self, item: Item, value: ApiKey, world: World) -> None:
        known = directory(world.rt).by_key_hash(value.hash)
        others = [key for key, other in world.after("keys").items() if other.hash == value.hash and key != item.key]
        if others or (known is not None and known[1].id != value.id):
            raise Refused("duplicate_name", "Another key, perhaps a revoked one, has this secret.", param="secret")

    def declare(self, key: Key, value: ApiKey, index: int, world: World) -> KeyForm:
        return KeyForm(value.name, value.mode, value.scopes, f"sha256:{value.hash}")

    def retire(self, value: ApiKey, rt: Runtime) -> tuple[ApiKey, str]:
        return msgspec.structs.replace(value, revoked_at=rt.clock.now()), "revoke"

    def _secret(self, form: KeyForm, before: ApiKey | None, world: World, what: str) -> tuple[str, str | None]:
        """The hash and the last characters."""
        if isinstance(form.secret, str) and _HASH.match(form.secret):
            return form.secret.removeprefix("sha256:"), None
        secret = world.secret(form.secret, "secret", what, stored=before is not None)
        if secret is None:
            assert before is not None
            return before.hash, before.last4
        match = _SECRET.match(secret)
        if match is None:
            raise Refused("invalid_value", "This is no API key.", param="secret", action=_HOW)
        if match[1] != form.mode:
            raise Refused("invalid_value", f"This is a {match[1]} key, and the mode is {form.mode}.", param="secret")
        return hash_key(secret), secret[-4:]


class LoginForm(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    system_id: str
    password: SecretRef | str | None = None
    mode: Mode = "live"
    status: Literal["active", "suspended"] = "active"
    purpose: Literal["otp", "transactional", "service", "marketing"] = "transactional"
    allowed_ips: tuple[str, ...] = ()
    max_binds: int = 4
    rate_per_s: float | None = None
    window_size: int = 50
    long_password: bool = False
    dialect: LoginDialect = LoginDialect()


class Logins(Section):
    name = "smpp_logins"
    nested = True
    label = "system_id"
    shape = LoginForm
    records = accounts.LOGINS

    async def start(self, rt: Runtime) -> None:
        """The accounts bring them."""

    def stored(self, rt: Runtime) -> dict[Key, Any]:
        return {
            (slug, login.system_id): login
            for number, slug in slugs(rt).items()
            for login in directory(rt).logins(number)
        }

    def wanted(self, item: Item, before: SmppLogin | None, world: World) -> SmppLogin:
        form: LoginForm = item.declared
        fields = {name: getattr(form, name) for name in form.__struct_fields__ if name != "password"}
        check_networks(form.allowed_ips)
        password = world.secret(form.password, "password", " ".join(item.key), stored=before is not None)
        if password is not None:
            check_password(password, long_password=form.long_password)
        if before is not None:
            after = msgspec.structs.replace(before, **fields)
            if password is not None and not password_matches(before.password_hash, password):
                after = msgspec.structs.replace(after, password_hash=hash_password(password))
            return checked(after)
        assert password is not None
        rt = world.rt
        account_id = world.account(item.key).id
        hashed = hash_password(password)
        return checked(
            SmppLogin(
                id=rt.ids.next(), account_id=account_id, password_hash=hashed, created_at=rt.clock.now(), **fields
            )
        )

    def verify(self, item: Item, value: SmppLogin, world: World) -> None:
        if any(key[1] == item.key[1] and key != item.key for key in world.after("smpp_logins")):
            raise Refused("duplicate_name", f"The system_id {value.system_id} is taken.", param="system_id")

    def declare(self, key: Key, value: SmppLogin, index: int, world: World) -> LoginForm:
        fields = {name: getattr(value, name) for name in LoginForm.__struct_fields__ if name != "password"}
        return LoginForm(password=SecretRef(env=variable("smpp", *key, "password")), **fields)


def variable(*words: str) -> str:
    """A name for an environment variable: `SMPP_ACME_MAIN_PASSWORD`."""
    return re.sub(r"[^A-Z0-9]+", "_", "_".join(words).upper()).strip("_")
