"""What can be set for a connector, channel by channel, and the value that a channel is opened with.

These are data: the room `connectors` stores and checks them, the channel of the same name obeys them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Literal

from msgspec import Meta, Struct

from chappe.errors import DELIVERY

Port = Annotated[int, Meta(ge=1, le=65_535)]
Octet = Annotated[int, Meta(ge=0, le=255)]
Count = Annotated[int, Meta(ge=1, le=64)]
Seconds = Annotated[float, Meta(gt=0, le=86_400)]
Language = Annotated[int, Meta(ge=1, le=13)]  # 3GPP TS 23.038, 6.2.1.2.4
Code = Annotated[str, Meta(pattern=r"^(0[xX][0-9a-fA-F]{1,8}|[0-9]{1,10})$")]
Digits = Annotated[str, Meta(pattern=r"^[0-9]{0,20}$")]


class TlsSettings(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """TLS from the first octet; SMPP has no STARTTLS. Files are PEM, named by their path on the server.

    `server_name`: what the certificate must be for, by default the host.
    """

    ca_file: str | None = None
    cert_file: str | None = None
    key_file: str | None = None
    server_name: str | None = None

    def __post_init__(self) -> None:
        if (self.cert_file is None) != (self.key_file is None):
            raise ValueError("cert_file and key_file go together")


class PrefixRule(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """Digits at the start of a number, and what stands there instead. The first rule that fits is applied."""

    prefix: Digits
    replace: Digits


class AddressRules(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """How addresses are written. Rules see digits without `+`; `plus` writes one before international numbers.

    `ton` and `npi` of None are told from the address (SMPP 3.4, 5.2.5 and 5.2.6).
    """

    plus: bool = False
    prefixes: tuple[PrefixRule, ...] = ()
    ton: Octet | None = None
    npi: Octet | None = None


class InboundRules(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """How the supplier writes addresses in deliver_sm: rules see the digits as they come, without `+` or `00`."""

    prefixes: tuple[PrefixRule, ...] = ()


class ReceiptSettings(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """The supplier's dialect of delivery receipts.

    `id_mode`: in which base submit_sm_resp and receipt write the id. `id_from`: which id wins if TLV and text differ.
    `err_map`: the supplier's `err`, in lower case, to a delivery error of the catalogue. `plain_text_receipts` takes a
    deliver_sm without the receipt bit for a receipt if it reads like one: a subscriber could then forge one.
    """

    id_mode: Literal["string", "resp_hex_receipt_dec", "resp_dec_receipt_hex", "both_hex", "both_dec"] = "string"
    id_from: Literal["tlv", "text"] = "tlv"
    timezone_minutes: Annotated[int, Meta(ge=-720, le=840)] = 0
    err_map: dict[str, str] = {}
    network_error_ascii: bool = False
    plain_text_receipts: bool = False
    swapped_addresses: bool = False

    def __post_init__(self) -> None:
        unknown = sorted({code for code in self.err_map.values() if code not in DELIVERY})
        if unknown:
            raise ValueError(f"err_map: {', '.join(unknown)} is no delivery error of the catalogue")


class StatusRule(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """What a vendor's command_status means: what to do, and the delivery error that the customer reads."""

    verdict: Literal["retry", "throttle", "next", "permanent"]
    code: str = "supplier_rejected"

    def __post_init__(self) -> None:
        if self.code not in DELIVERY:
            raise ValueError(f"{self.code} is no delivery error of the catalogue")


class TlvRule(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """A TLV added to every submit_sm, the value in hex or as ASCII text (with `nul` for a C-octet string)."""

    tag: Code
    hex: Annotated[str, Meta(pattern=r"^([0-9a-fA-F]{2})*$")] | None = None
    text: Annotated[str, Meta(pattern=r"^[\x20-\x7e]*$")] | None = None
    nul: bool = False

    def __post_init__(self) -> None:
        if (self.hex is None) == (self.text is None):
            raise ValueError("a TLV has either hex or text")
        if number(self.tag) > 0xFFFF:
            raise ValueError(f"{self.tag} is no tag: it has 16 bits")

    @property
    def value(self) -> bytes:
        if self.hex is not None:
            return bytes.fromhex(self.hex)
        return (self.text or "").encode("ascii") + b"\0" * self.nul


class Breaker(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """When to leave a supplier alone: after `failures` errors in a row, for `open_s`, growing to `open_max_s`."""

    failures: Annotated[int, Meta(ge=1)] = 20
    open_s: Seconds = 10.0
    open_max_s: Seconds = 300.0


class DoubtPolicy(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """What to do with a message whose response was lost, where this connector differs from the installation."""

    otp: Literal["hold", "resend"] | None = None
    transactional: Literal["hold", "resend"] | None = None
    service: Literal["hold", "resend"] | None = None
    marketing: Literal["hold", "resend"] | None = None


class SmppSettings(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """An SMPP account at a supplier. Times in seconds.

    `bind_type` `pair` opens a transmitter and a receiver; `binds` is how many sessions (or pairs) are held. `window`
    is the number of unanswered requests of one session, `rate_per_s` the rate of all sessions together.
    """

    host: Annotated[str, Meta(min_length=1, max_length=255)]
    port: Port = 2775
    tls: TlsSettings | None = None

    bind_type: Literal["transceiver", "pair", "transmitter", "receiver"] = "transceiver"
    binds: Count = 1
    interface_version: Literal["3.3", "3.4", "5.0"] = "3.4"
    system_type: Annotated[str, Meta(max_length=12)] = ""
    addr_ton: Octet = 0
    addr_npi: Octet = 0
    address_range: Annotated[str, Meta(max_length=40)] = ""

    window: Annotated[int, Meta(ge=1, le=10_000)] = 10
    rate_per_s: Annotated[float, Meta(gt=0, le=100_000)] | None = None
    burst: Annotated[int, Meta(ge=1)] | None = None  # None: what the rate allows in a second
    connect_timeout_s: Seconds = 10.0
    enquire_link_s: Seconds = 30.0
    response_timeout_s: Seconds = 60.0
    reconnect_min_s: Seconds = 1.0
    reconnect_max_s: Seconds = 60.0
    breaker: Breaker = Breaker()

    source: AddressRules = AddressRules()
    destination: AddressRules = AddressRules()
    inbound_source: InboundRules = InboundRules()
    inbound_destination: InboundRules = InboundRules()

    default_alphabet: Literal["gsm7", "gsm7_packed", "latin1", "ascii"] = "gsm7"  # what data_coding 0 means
    encodings: tuple[Literal["gsm7", "ucs2", "latin1", "ascii", "binary"], ...] = ("gsm7", "ucs2", "binary")
    national: tuple[Language, ...] = ()
    ucs2_little_endian: bool = False  # of what comes in
    concat: Literal["udh8", "udh16", "sar", "payload"] = "udh8"
    max_parts: Annotated[int, Meta(ge=1, le=255)] = 10

    service_type: Annotated[str, Meta(max_length=5)] = ""
    validity_max_s: Annotated[int, Meta(ge=60)] | None = None
    relative_validity: bool = False  # validity_period as a span instead of a moment (SMPP 3.4, 7.1.1)
    data_sm: bool = False  # send by data_sm instead of submit_sm
    receipts: bool = True  # ask for them: registered_delivery 1
    receipt: ReceiptSettings = ReceiptSettings()
    status_map: dict[Code, StatusRule] = {}
    tlvs: tuple[TlvRule, ...] = ()
    in_doubt: DoubtPolicy = DoubtPolicy()

    def __post_init__(self) -> None:
        if self.reconnect_max_s < self.reconnect_min_s:
            raise ValueError("reconnect_max_s is less than reconnect_min_s")
        if self.interface_version == "3.3" and (self.concat in ("sar", "payload") or self.data_sm or self.tlvs):
            raise ValueError("interface_version 3.3 knows no TLVs: use concat udh8 or udh16, no data_sm and no tlvs")
        if self.burst is not None and self.rate_per_s is None:
            raise ValueError("burst without rate_per_s")
        if not self.encodings:
            raise ValueError("encodings is empty: nothing could be sent")

    def status_rule(self, status: int) -> StatusRule | None:
        """The rule for a command_status, however its number is written."""
        return next((rule for code, rule in self.status_map.items() if number(code) == status), None)


class SmppCredentials(Struct, frozen=True, forbid_unknown_fields=True):
    """Who we are to the supplier. Suppliers exceed the lengths of SMPP 3.4, hence the room."""

    system_id: Annotated[str, Meta(min_length=1, max_length=64)]
    password: Annotated[str, Meta(max_length=64)]

    def __repr__(self) -> str:
        return f"SmppCredentials(system_id={self.system_id!r}, password=***)"


CHANNELS: dict[str, type[SmppSettings]] = {"smpp": SmppSettings}
CREDENTIALS: dict[str, type[SmppCredentials]] = {"smpp": SmppCredentials}


@dataclass(frozen=True, slots=True)
class Connector:
    """A supplier account as its channel gets it: settings, and credentials in clear that no repr shows."""

    id: int
    name: str
    channel: str
    test: bool
    status: Literal["active", "stopped"]
    settings: SmppSettings
    credentials: SmppCredentials = field(repr=False)

    @property
    def active(self) -> bool:
        return self.status == "active"


def number(code: str) -> int:
    """`0x0400` or `1024`."""
    return int(code, 16) if code[:2] in ("0x", "0X") else int(code)
