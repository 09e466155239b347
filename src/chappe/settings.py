"""Settings: one TOML file and the environment, checked before anything starts.

`CHAPPE_DATABASE` sets `database`, `CHAPPE_HTTP__PORT` sets `port` of `[http]`; the environment wins over the file.
"""

from __future__ import annotations

import difflib
import re
import tomllib
import types
import typing
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta, Struct, field

from chappe.secrets import load_master_key, read_key

PREFIX = "CHAPPE_"
ROLES = ("api", "smsc", "dispatch", "jobs")
# variables of the command line and the test suite, which are no settings
FOREIGN = frozenset({"CHAPPE_API_KEY", "CHAPPE_API_URL", "CHAPPE_CONFIG", "CHAPPE_TEST_POSTGRES"})

Path_ = tuple[str, ...]
Port = Annotated[int, Meta(ge=0, le=65535)]
Doubt = Literal["hold", "resend"]


def _help(text: str) -> Meta:
    return Meta(description=text)


class Section(Struct, forbid_unknown_fields=True, kw_only=True):
    """A table of the settings file."""


class Http(Section):
    host: Annotated[str, _help("address that the API listens on")] = "127.0.0.1"
    port: Annotated[Port, _help("port of the API, 0 for any free one")] = 8080
    docs: Annotated[bool, _help("serve the browsable API documentation at /docs")] = True


class Smpp(Section):
    host: Annotated[str, _help("address that customers' SMPP clients bind to")] = "127.0.0.1"
    port: Annotated[Port, _help("port of the SMPP server, 0 for any free one")] = 2775
    tls_port: Annotated[Port | None, _help("port of SMPP over TLS; needs tls_cert and tls_key")] = None
    tls_cert: Annotated[Path | None, _help("file with the certificate chain, PEM")] = None
    tls_key: Annotated[Path | None, _help("file with the private key, PEM")] = None
    tls_client_ca: Annotated[Path | None, _help("CA file; set, clients must show a certificate signed by it")] = None


class Log(Section):
    level: Annotated[Literal["debug", "info", "warning", "error"], _help("least severity that is logged")] = "info"
    format: Annotated[Literal["auto", "console", "json"], _help("auto: console on a terminal, else JSON")] = "auto"


class InDoubt(Section):
    """What to do with a message whose response was lost: `hold` waits for a receipt, `resend` sends it again."""

    otp: Annotated[Doubt, _help("one-time passwords: a second one confuses, so wait")] = "hold"
    transactional: Annotated[Doubt, _help("twice is better than never")] = "resend"
    service: Annotated[Doubt, _help("twice is better than never")] = "resend"
    marketing: Annotated[Doubt, _help("never is better than twice")] = "hold"


Seconds = Annotated[int, Meta(ge=30, le=7 * 86_400)]


class Validity(Section):
    """How long a message may wait before it expires, in seconds, where the sender does not say."""

    otp: Annotated[Seconds, _help("one-time passwords")] = 600
    transactional: Annotated[Seconds, _help("transactional messages")] = 86_400
    service: Annotated[Seconds, _help("service messages")] = 86_400
    marketing: Annotated[Seconds, _help("marketing messages")] = 86_400


Days = Annotated[int, Meta(ge=1, le=3650)]


class Retention(Section):
    text_days: Annotated[Days, _help("days that the text of a message is kept")] = 90
    message_days: Annotated[
        Days, _help("days that a message and its history are kept; on PostgreSQL up to a month more: months go whole")
    ] = 400
    delivery_log_days: Annotated[Days, _help("days that the webhook delivery log is kept")] = 30
    lookup_days: Annotated[Days, _help("days that what was looked up of a number is kept")] = 30
    access_log_days: Annotated[Days, _help("days that it is kept who looked at the data of persons")] = 400


class Webhooks(Section):
    allow_private: Annotated[bool, _help("let webhooks go to private and loopback addresses")] = False
    timeout_s: Annotated[int, Meta(ge=1, le=60), _help("seconds that a customer's endpoint may take to answer")] = 10


class Senders(Section):
    """How strictly the countries' rules about senders are taken."""

    enforce_registration: Annotated[
        Literal["off", "high", "medium"],
        _help("refuse senders that a country wants registered and are not: by rules of high, also medium confidence"),
    ] = "high"
    lookalikes: Annotated[
        Literal["refuse", "review"], _help("what becomes of a new sender that looks like a protected name")
    ] = "refuse"
    four_eyes: Annotated[bool, _help("who handed in a sender's registration may not approve it")] = False
    expiry_warning_days: Annotated[Days, _help("days before its end that a registration's end is warned of")] = 30


class Seller(Section):
    """Who runs the installation, as invoices name it."""

    name: Annotated[str, _help("legal name; invoices are not made without it")] = ""
    address: Annotated[str, _help("postal address, in lines")] = ""
    country: Annotated[str, Meta(pattern="^([A-Z]{2})?$"), _help("country (ISO 3166) of establishment")] = ""
    vat_id: Annotated[str, _help("VAT number; without one no VAT is invoiced")] = ""
    payment: Annotated[str, _help("how to pay, for example an IBAN; on invoices that are not paid from a balance")] = ""


class Billing(Section):
    base_currency: Annotated[
        str, Meta(pattern="^[A-Z]{3}$"), _help("currency (ISO 4217) in which costs and margins are compared")
    ] = "EUR"
    close_after_days: Annotated[
        int, Meta(ge=1, le=31), _help("days after the end of a month (UTC) that it is closed and invoiced")
    ] = 3
    credit_note_series: Annotated[
        Literal["own", "same"], _help("own: credit notes are numbered CN-2027-000001; same: along with invoices")
    ] = "own"
    seller: Seller = field(default_factory=Seller)


class RouteQuality(Section):
    """How routes are measured and chosen by quality."""

    half_life_minutes: Annotated[int, Meta(ge=1, le=10_080), _help("minutes after which a message counts half")] = 120
    explore_percent: Annotated[
        float, Meta(ge=0, le=20), _help("per cent of the messages that try connectors which are not the best")
    ] = 3.0
    receipt_floor_ms: Annotated[
        int, Meta(ge=0, le=10_000), _help("milliseconds within which hardly any phone can confirm a message")
    ] = 300


class Limits(Section):
    batch_size: Annotated[int, Meta(ge=1, le=100_000), _help("messages in one API batch")] = 10_000
    body_bytes: Annotated[int, Meta(ge=1024, le=1 << 30), _help("size of an API request body")] = 16 << 20
    schedule_days: Annotated[Days, _help("how far ahead send_at may lie")] = 365
    queue: Annotated[int, Meta(ge=1), _help("messages that may wait before new ones are refused")] = 5_000_000


class Alarms(Section):
    """From when on something is an alarm: in `chappe top`, `chappe doctor`, the metrics and the log."""

    otp_s: Annotated[int, Meta(ge=1), _help("seconds that a message of the lane otp is overdue")] = 30
    transactional_s: Annotated[int, Meta(ge=1), _help("seconds that one of the lane transactional is overdue")] = 300
    bulk_s: Annotated[int, Meta(ge=1), _help("seconds that one of the lane bulk is overdue")] = 3_600
    lag_s: Annotated[int, Meta(ge=1), _help("seconds that webhooks or receipts lag behind what they tell about")] = 60
    snapshot_s: Annotated[int, Meta(ge=1), _help("seconds that a transaction of the database is open")] = 300
    wal_mb: Annotated[int, Meta(ge=1), _help("megabytes of SQLite's write-ahead log that wait for a checkpoint")] = 256
    disk_percent: Annotated[int, Meta(ge=0, le=99), _help("per cent of the disk of data_dir that must be free")] = 5
    clock_ms: Annotated[int, Meta(ge=1), _help("milliseconds between our clock and the database's")] = 1_000
    review_h: Annotated[int, Meta(ge=1), _help("hours that a held message waits for its review")] = 24


class Consent(Section):
    """What is learnt of numbers that nobody has."""

    disconnected_after: Annotated[
        int, Meta(ge=0, le=30), _help("days with `unknown subscriber` after which a number is suppressed; 0: never")
    ] = 3
    disconnected_within_days: Annotated[Days, _help("days within which these are counted")] = 30
    disconnected_days: Annotated[Days, _help("days that such a number stays suppressed")] = 90


class Settings(Struct, forbid_unknown_fields=True, kw_only=True):
    """Everything an operator can choose before the start; what tenants and operators change later lies in the store."""

    data_dir: Annotated[Path, _help("folder of the embedded store and the generated secret key")] = Path("data")
    database: Annotated[str, _help("sqlite:///FILE or postgresql://...; default: chappe.db in data_dir")] = ""
    secret_key: Annotated[str | None, _help("master key of the secrets at rest; default: generated in data_dir")] = None
    secret_key_file: Annotated[Path | None, _help("file to read secret_key from")] = None
    roles: Annotated[str, _help("what this process does, of api, smsc, dispatch and jobs")] = ",".join(ROLES)
    max_parts: Annotated[int, Meta(ge=1, le=255), _help("longest message, in parts")] = 10
    public_url: Annotated[
        str | None, _help("where recipients reach this server, for example https://m.example.com: links begin with it")
    ] = None
    http: Http = field(default_factory=Http)
    smpp: Smpp = field(default_factory=Smpp)
    log: Log = field(default_factory=Log)
    in_doubt: InDoubt = field(default_factory=InDoubt)
    validity_s: Validity = field(default_factory=Validity)
    retention: Retention = field(default_factory=Retention)
    webhooks: Webhooks = field(default_factory=Webhooks)
    senders: Senders = field(default_factory=Senders)
    consent: Consent = field(default_factory=Consent)
    billing: Billing = field(default_factory=Billing)
    route_quality: RouteQuality = field(default_factory=RouteQuality)
    limits: Limits = field(default_factory=Limits)
    alarms: Alarms = field(default_factory=Alarms)

    def __post_init__(self) -> None:
        if not self.database:
            self.database = f"sqlite:///{self.data_dir}/chappe.db"
        if self.public_url is not None:
            self.public_url = self.public_url.rstrip("/") or None

    @property
    def all_roles(self) -> tuple[str, ...]:
        """Those of `roles`, in the order of ROLES."""
        given = {role.strip() for role in self.roles.split(",")}
        return tuple(role for role in ROLES if role in given)

    def __repr__(self) -> str:
        return "Settings(...)"  # the addresses and keys in it belong into no log

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        return []

    def master_key(self) -> bytes:
        """The key of the vault; generates `data_dir/secret.key` at the first start. Raises SettingsError."""
        if self.secret_key_file is not None:
            try:
                return read_key(self.secret_key_file)
            except OSError as error:
                raise SettingsError([f"secret_key_file: {error.strerror}: {self.secret_key_file}"]) from error
            except ValueError as error:
                raise SettingsError([f"secret_key_file: {error}"]) from error
        return load_master_key(self.secret_key, self.data_dir)


class SettingsError(Exception):
    """Settings that cannot be used; `problems` has a line for each, with its place and what to do."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


@dataclass(frozen=True, slots=True)
class Described:
    """One setting as the reference documentation shows it."""

    name: str
    type: str
    default: str
    help: str
    variable: str


def load(path: Path | None, environ: Mapping[str, str], *, roles: str | None = None) -> Settings:
    """Settings of a TOML file (None: defaults) overlaid by the environment, `roles` (of the command line) by that.

    SettingsError names every problem.
    """
    tree, places = _read_file(path) if path is not None else ({}, {})
    problems: list[str] = []
    for name, value in sorted(environ.items()):
        if not name.startswith(PREFIX) or name in FOREIGN:
            continue
        keys = tuple(name.removeprefix(PREFIX).lower().split("__"))
        places[keys] = f"environment variable {name}"
        try:
            _put(tree, keys, _from_text(_type_of(keys), value))
        except (msgspec.ValidationError, LookupError) as error:
            problems.append(f"{places[keys]}: {_plain(error, keys)}")
    if roles is not None:
        tree["roles"] = roles
        places["roles",] = "--roles"
    problems += _unknown(tree, Settings, (), places)
    problems += _wrong(tree, places)
    if problems:
        raise SettingsError(problems)
    settings = msgspec.convert(tree, Settings, dec_hook=_path)
    _cross_check(settings)
    return settings


def describe() -> list[Described]:
    """Every setting with its type, default and meaning, in the order of the reference page."""
    rows = []
    for keys, kind, default, text in _leaves(Settings, ()):
        shown = "" if default in (None, "") else str(default).lower() if isinstance(default, bool) else str(default)
        rows.append(Described(".".join(keys), _spell(kind), shown, text, PREFIX + "__".join(keys).upper()))
    return rows


# -- the shape of the settings --------------------------------------------------------------------------------------


def _leaves(struct: type[Struct], above: Path_) -> Iterator[tuple[Path_, Any, Any, str]]:
    hints = typing.get_type_hints(struct, include_extras=True)
    for info in msgspec.structs.fields(struct):
        hint = hints[info.name]
        if isinstance(hint, type) and issubclass(hint, Section):
            yield from _leaves(hint, (*above, info.name))
        else:
            metas = [m.description for m in getattr(hint, "__metadata__", ()) if m.description]
            yield (*above, info.name), hint, info.default, metas[-1]


def _type_of(keys: Path_) -> Any:
    known = {leaf: kind for leaf, kind, _, _ in _leaves(Settings, ())}
    if keys not in known:
        raise LookupError("unknown setting" + _suggest(".".join(keys), [".".join(k) for k in known]))
    return known[keys]


def _spell(kind: Any) -> str:
    origin = typing.get_origin(kind)
    if origin is Annotated:
        return _spell(kind.__origin__)
    if origin is Literal:
        return " | ".join(map(str, typing.get_args(kind)))
    if origin in (typing.Union, types.UnionType):
        return " | ".join(_spell(arg) for arg in typing.get_args(kind) if arg is not type(None))
    return {str: "string", int: "integer", float: "number", bool: "boolean", Path: "path"}[kind]


# -- reading and complaining ----------------------------------------------------------------------------------------


def _read_file(path: Path) -> tuple[dict[str, Any], dict[Path_, str]]:
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise SettingsError([f"{path}: {error.strerror}; give the path of an existing settings file"]) from error
    except UnicodeDecodeError as error:
        raise SettingsError([f"{path}: byte {error.start} is not UTF-8; save the file as UTF-8"]) from error
    try:
        tree = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SettingsError([f"{path}: {error}; correct the TOML syntax there"]) from error
    return tree, {keys: f"{path}, line {line}" for keys, line in toml_lines(text).items()}


_HEADER = re.compile(r"\s*\[\s*([\w.\"' -]+?)\s*\]")
_KEY = re.compile(r"\s*([\w.\"'-]+)\s*=")


def toml_lines(text: str) -> dict[Path_, int]:
    """The line (from 1) of each table and key of a TOML text, by its path. Arrays of tables are not followed."""
    lines: dict[Path_, int] = {}
    table: Path_ = ()
    quotes = ""  # of a string that goes over several lines
    for number, line in enumerate(text.splitlines(), 1):
        if not quotes:
            if header := _HEADER.match(line):
                table = _split_key(header[1])
                lines.setdefault(table, number)
            elif found := _KEY.match(line):
                lines.setdefault((*table, *_split_key(found[1])), number)
        for mark in ('"""', "'''"):
            if quotes in ("", mark) and line.count(mark) % 2:
                quotes = "" if quotes else mark
    return lines


def _split_key(text: str) -> Path_:
    return tuple(part.strip().strip("\"'") for part in text.split("."))


def _from_text(kind: Any, text: str) -> Any:
    lowered = text.strip().lower()
    if "boolean" in _spell(kind) and lowered in ("yes", "no", "on", "off"):
        return lowered in ("yes", "on")
    return msgspec.to_builtins(msgspec.convert(text, kind, strict=False, dec_hook=_path), enc_hook=str)


def _path(kind: type, value: Any) -> Any:
    if kind is not Path or not isinstance(value, str):
        raise TypeError(f"expected a path, got {type(value).__name__}")
    return Path(value)


def _put(tree: dict[str, Any], keys: Path_, value: Any) -> None:
    for key in keys[:-1]:
        below = tree.setdefault(key, {})
        if not isinstance(below, dict):
            return  # the file gave a value where a table belongs, which is reported as such
        tree = below
    tree[keys[-1]] = value


def _unknown(tree: dict[str, Any], struct: type[Struct], above: Path_, places: dict[Path_, str]) -> list[str]:
    """A complaint for each name that is no setting; it is removed from the tree, so that the check can go on."""
    problems = []
    hints = typing.get_type_hints(struct)
    for name in list(tree):
        keys = (*above, name)
        if name not in hints:
            problems.append(f"{_place(keys, places)}: unknown setting {'.'.join(keys)}{_suggest(name, list(hints))}")
            del tree[name]
        elif isinstance(hints[name], type) and issubclass(hints[name], Section) and isinstance(tree[name], dict):
            problems += _unknown(tree[name], hints[name], keys, places)
    return problems


def _wrong(tree: dict[str, Any], places: dict[Path_, str]) -> list[str]:
    """A complaint for each value that does not fit its setting."""
    problems = []
    for keys in _sections(Settings, ()):
        if not isinstance(_found(tree, keys), dict | msgspec.UnsetType):
            name = ".".join(keys)
            problems.append(f"{_place(keys, places)}: {name} is a table: write [{name}] and its settings below")
    for keys, kind, _, _ in _leaves(Settings, ()):
        below = _found(tree, keys)
        if below is msgspec.UNSET:
            continue
        try:
            msgspec.convert(below, kind, dec_hook=_path)
        except msgspec.ValidationError as error:
            problems.append(f"{_place(keys, places)}: {_plain(error, keys)}")
    return problems


def _found(tree: dict[str, Any], keys: Path_) -> Any:
    """What stands there, UNSET for nothing."""
    below: Any = tree
    for key in keys:
        below = below.get(key, msgspec.UNSET) if isinstance(below, dict) else msgspec.UNSET
    return below


def _sections(struct: type[Struct], above: Path_) -> Iterator[Path_]:
    for name, hint in typing.get_type_hints(struct).items():
        if _is_section(hint):
            yield (*above, name)
            yield from _sections(hint, (*above, name))


def _is_section(hint: Any) -> bool:
    return isinstance(hint, type) and issubclass(hint, Section)


def _place(keys: Path_, places: dict[Path_, str]) -> str:
    while keys not in places and len(keys) > 1:
        keys = keys[:-1]
    return places.get(keys, "settings")


def _plain(error: Exception, keys: Path_) -> str:
    if isinstance(error, LookupError):
        return str(error.args[0])
    reason = str(error).replace("`", "")
    return f"{'.'.join(keys)}: {reason[0].lower()}{reason[1:]}"


def _suggest(name: str, known: list[str]) -> str:
    close = difflib.get_close_matches(name, known, n=1)
    return f"; did you mean {close[0]}?" if close else "; remove it"


def _cross_check(settings: Settings) -> None:
    problems = []
    smpp = settings.smpp
    if smpp.tls_port is not None and not (smpp.tls_cert and smpp.tls_key):
        problems.append("smpp.tls_port needs smpp.tls_cert and smpp.tls_key: name both files, or remove tls_port")
    if settings.secret_key is not None and settings.secret_key_file is not None:
        problems.append("secret_key and secret_key_file exclude each other: keep one")
    if not settings.database.startswith(("sqlite:///", "postgresql://", "postgres://")):
        problems.append("database must be sqlite:///FILE or postgresql://USER:PASSWORD@HOST/NAME")
    if settings.public_url is not None and not _is_public_url(settings.public_url):
        problems.append(
            "public_url must begin with https:// (on this machine http:// will do) and end after the name or path: "
            "no user, query or #, at most 100 printable ASCII characters"
        )
    problems += _wrong_roles(settings)
    if problems:
        raise SettingsError(problems)


_LOOPBACK = ("localhost", "127.0.0.1", "::1")


def _is_public_url(url: str) -> bool:
    if len(url) > 100 or not re.fullmatch(r"[!-~]+", url):
        return False
    try:
        parts = urlsplit(url)
        known = bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        return False
    if not known or "@" in parts.netloc or "?" in url or "#" in url:
        return False
    return parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in _LOOPBACK)


def _wrong_roles(settings: Settings) -> list[str]:
    given = [role.strip() for role in settings.roles.split(",")]
    unknown = [role for role in given if role not in ROLES]
    if unknown:
        close = _suggest(unknown[0], list(ROLES)).replace("; remove it", "")
        return [f"roles: there is no role {unknown[0]!r}{close}; use any of {', '.join(ROLES)}, with commas between"]
    missing = [role for role in ROLES if role not in given]
    if missing and settings.database.startswith("sqlite:///"):
        words = "one process serves an embedded store, and does everything"
        return [f"roles: {', '.join(missing)} would be missing: {words}. Leave roles out, or use PostgreSQL"]
    return []
