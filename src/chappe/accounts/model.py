"""Accounts, the keys and SMPP logins that speak for them, and what each may do. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Annotated, Any, Literal, TypeVar

import msgspec
from msgspec import Meta, Struct

from chappe.errors import Refused
from chappe.flaws import refusal

PRINTABLE = r"^[^\x00-\x1f\x7f]*$"  # PostgreSQL stores no NUL, and no name needs a line break
Mode = Literal["live", "test"]
Purpose = Literal["otp", "transactional", "service", "marketing"]  # why somebody is written to
Name = Annotated[str, Meta(min_length=1, max_length=100, pattern=PRINTABLE)]
Slug = Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9_-]{0,62}$")]
Rate = Annotated[float, Meta(gt=0, le=100_000)]
Days = Annotated[int, Meta(ge=1, le=3650)]

# What a key may be allowed to do within its account ...
ACCOUNT_SCOPES = (
    "messages:send",
    "messages:read",
    "webhooks",
    "senders",
    "smpp",
    "keys",
    "audit",
    "lookups",
    "billing",
    "people",
)
# ... and across the installation: the operator's. `admin` includes every other scope.
OPERATOR_SCOPES = ("accounts", "connectors", "routes", "lookup_sources", "rates", "admin")
SCOPES = ACCOUNT_SCOPES + OPERATOR_SCOPES

Scope = Literal[
    "messages:send",
    "messages:read",
    "webhooks",
    "senders",
    "smpp",
    "keys",
    "audit",
    "lookups",
    "billing",
    "people",
    "accounts",
    "connectors",
    "routes",
    "lookup_sources",
    "rates",
    "admin",
]
DEFAULT_SCOPES: tuple[Scope, ...] = ("messages:send", "messages:read")

# SMPP 3.4, 5.2.1 and 5.2.2: a C-octet string of 16 and 9 octets with its NUL
MAX_SYSTEM_ID = 15
MAX_PASSWORD = 8
MAX_LONG_PASSWORD = 64


class KeptDays(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """For how many days an account keeps what it has of persons: the texts of messages, what phones sent, and the steps
    of messages with their frames. None: as long as everything else."""

    texts: Days | None = None
    inbound: Days | None = None
    history: Days | None = None


class AccountSettings(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """`any_sender`: may send from any address (aggregators). `consent`: `recorded` refuses marketing to people of whom
    no consent is recorded; `elsewhere`: the account keeps the proofs itself, and answers for them. `start_opts_in`:
    who writes START agrees to marketing, also if they never had. `wording`: what becomes of marketing that lacks what
    a country surely asks its text to say. `rate_per_s`: messages a second over HTTP. `retention_days`: how long
    messages are kept, with their texts and history; None is the installation's. `retention`: what of it is kept
    shorter, or texts longer than the installation keeps them."""

    any_sender: bool = False
    consent: Literal["recorded", "elsewhere"] = "recorded"
    start_opts_in: bool = False
    wording: Literal["refuse", "warn", "off"] = "refuse"
    rate_per_s: Rate | None = None
    retention_days: Days | None = None
    retention: KeptDays = KeptDays()


class Account(Struct, frozen=True):
    """A tenant."""

    id: int
    slug: Slug
    name: Name
    status: Literal["active", "suspended"]
    default_sender: Annotated[str, Meta(min_length=1, max_length=20, pattern=PRINTABLE)] | None
    settings: AccountSettings
    created_at: int

    @property
    def active(self) -> bool:
        return self.status == "active"


class ApiKey(Struct, frozen=True):
    """A key of an account. Only the SHA-256 of the secret is kept; `last4` are its last characters, where known."""

    id: int
    account_id: int
    name: Name
    hash: Annotated[str, Meta(pattern=r"^[0-9a-f]{64}$")]
    last4: str | None
    mode: Mode
    scopes: tuple[Scope, ...]
    created_at: int
    revoked_at: int | None

    def may(self, scope: str) -> bool:
        return scope in self.scopes or "admin" in self.scopes

    @property
    def test(self) -> bool:
        return self.mode == "test"


IdForm = Literal["opaque", "decimal", "hex", "hex_upper"]


class LoginDialect(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """How a customer's SMPP client wants to be spoken to.

    `message_id` is the form of ids in responses and in the receipted_message_id TLV; `receipt_id` that of `id:` in the
    text of receipts, where it differs. `country` (ISO) completes national numbers. `purposes` reads the purpose of a
    message from its service_type, `purpose_tlv` from a TLV that holds its name. `long_messages` says how a message
    from a phone comes that fits no single deliver_sm. `inbound` off keeps messages from phones away from this login.
    `reasons` adds additional_status_info_text to every refusal: before SMPP 5.0 only data_sm_resp has it, and there are
    clients that stumble over it elsewhere.
    """

    default_alphabet: Literal["gsm7", "gsm7_packed", "latin1", "ascii"] = "gsm7"  # what data_coding 0 means
    receipt_dates: Literal[10, 12, 14] = 10  # digits of submit date and done date
    receipt_timezone_minutes: Annotated[int, Meta(ge=-720, le=840)] = 0
    receipt_tlvs: bool = True  # receipted_message_id, message_state, network_error_code
    receipt_text: bool = True
    plus: bool = False  # write + before international numbers in deliver_sm
    ton_npi: bool = True  # set TON and NPI in deliver_sm; off sends 0/0
    message_id: IdForm = "opaque"
    receipt_id: IdForm | None = None
    country: Annotated[str, Meta(pattern=r"^[A-Z]{2}$")] | None = None
    purposes: dict[str, Purpose] = {}
    purpose_tlv: Annotated[int, Meta(ge=0, le=0xFFFF)] | None = None
    long_messages: Literal["udh", "payload"] = "udh"
    inbound: bool = True
    reasons: bool = False


class SmppLogin(Struct, frozen=True):
    """An SMPP account of a customer. No `allowed_ips` lets any address in; what is no network lets none."""

    id: int
    account_id: int
    system_id: Annotated[str, Meta(pattern=r"^[\x21-\x7e]{1,15}$")]
    password_hash: str
    mode: Mode
    status: Literal["active", "suspended"]
    purpose: Purpose
    allowed_ips: tuple[Annotated[str, Meta(min_length=1, max_length=50)], ...]
    max_binds: Annotated[int, Meta(ge=1, le=1000)]
    rate_per_s: Rate | None
    window_size: Annotated[int, Meta(ge=1, le=10_000)]  # unanswered PDUs each way
    long_password: bool
    dialect: LoginDialect
    created_at: int

    @property
    def test(self) -> bool:
        return self.mode == "test"


T = TypeVar("T", bound=Struct)


def checked(value: T) -> T:
    """The value, if every field keeps the rules written in its type; raises Refused that names the field."""
    kind = type(value)
    try:
        return msgspec.convert(msgspec.to_builtins(value), kind)
    except msgspec.ValidationError as error:
        raise refusal(error, kind) from None


def check_networks(entries: Iterable[str]) -> None:
    """Raises Refused for what is neither an address nor a network."""
    for index, entry in enumerate(entries):
        if _network(entry) is None:
            raise Refused(
                "invalid_value",
                f"{entry} is not an IP address or network.",
                param=f"allowed_ips[{index}]",
                action="Write an address or a network, for example 192.0.2.7 or 2001:db8::/32.",
            )


def check_password(password: str, *, long_password: bool) -> None:
    """Raises Refused for a password that SMPP cannot carry."""
    limit = MAX_LONG_PASSWORD if long_password else MAX_PASSWORD
    if not 1 <= len(password) <= limit or not all("\x21" <= character <= "\x7e" for character in password):
        raise Refused(
            "invalid_value",
            f"An SMPP password has 1 to {limit} printable ASCII characters.",
            param="password",
            action="Choose another password." if long_password else "Choose another password, or set long_password.",
        )


def may_connect(login: SmppLogin, ip: str) -> bool:
    """Whether the allow-list lets this address in. Fails closed: what cannot be read allows nobody."""
    if not login.allowed_ips:
        return True
    try:
        address: Any = ip_address(ip.partition("%")[0])
    except ValueError:
        return False
    address = getattr(address, "ipv4_mapped", None) or address
    return any(_contains(_network(entry), address) for entry in login.allowed_ips)


def _network(entry: str) -> IPv4Network | IPv6Network | None:
    try:
        return ip_network(entry, strict=False)
    except ValueError:
        return None


def _contains(network: IPv4Network | IPv6Network | None, address: IPv4Address | IPv6Address) -> bool:
    return network is not None and network.version == address.version and address in network
