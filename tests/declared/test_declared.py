from __future__ import annotations

import itertools
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chappe import connectors, declared, routing, senders
from chappe.accounts import audit_entries, directory, password_matches
from chappe.declared import Invalid, Plan, Secrets
from chappe.declared.toml import dumps
from chappe.errors import Refused
from chappe.runtime import Runtime
from chappe.secrets import hash_key
from tests.accounts.runtime import start

KEY = "ck_live_" + "k" * 43
ENV = {"ACME_KEY": KEY, "ORANGE_PASSWORD": "hunter2!", "ACME_SMPP": "secret"}

FULL = """\
[[accounts]]
slug = "acme"
name = "Acme"
default_sender = "Acme"
settings = { any_sender = false, rate_per_s = 100 }

[[accounts.keys]]
name = "backend"
scopes = ["messages:send", "messages:read"]
secret = { env = "ACME_KEY" }

[[accounts.smpp_logins]]
system_id = "acme"
password = { env = "ACME_SMPP" }
allowed_ips = ["192.0.2.0/24"]
dialect = { default_alphabet = "latin1" }

[[accounts.senders]]
address = "Acme"
countries = ["FR"]

[[accounts.senders]]
address = "+33612345678"
inbound = true
connectors = ["orange"]

[[connectors]]
name = "orange"
credentials = { system_id = "chappe", password = { env = "ORANGE_PASSWORD" } }
[connectors.settings]
host = "smpp.example.net"
binds = 2

[[connectors]]
name = "sandbox"
test = true
credentials = { system_id = "chappe", password = { file = "sandbox.password" } }
settings = { host = "127.0.0.1", port = 2776 }

[[routes]]
name = "fr"
prefix = "+33"
connector = "orange"
account = "acme"
purposes = ["otp"]

[[routes]]
name = "test"
connector = "sandbox"
test = true
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "sandbox.password").write_text("sesame\n")
    return tmp_path


def plan(rt: Runtime, text: str, folder: Path, *, prune: bool = False, env: dict[str, str] | None = None) -> Plan:
    secrets = Secrets(ENV if env is None else env, folder)
    return declared.make_plan(rt, declared.SECTIONS, text, "acme.toml", secrets, prune=prune)


async def apply(rt: Runtime, text: str, folder: Path, **options: Any) -> Plan:
    made = plan(rt, text, folder, **options)
    await declared.apply_plan(rt, made, "cli:test")
    return made


def problems(rt: Runtime, text: str, folder: Path, **options: Any) -> list[str]:
    with pytest.raises(Invalid) as caught:
        plan(rt, text, folder, **options)
    return [str(problem) for problem in caught.value.problems]


def told(made: Plan) -> list[str]:
    return [f"{step.action} {step.section.name} {'/'.join(step.key)}" for step in made.steps]


async def test_a_file_makes_everything_it_names(rt: Runtime, folder: Path) -> None:
    made = await apply(rt, FULL, folder)
    assert told(made) == [
        "create accounts acme",
        "create connectors orange",
        "create connectors sandbox",
        "create keys acme/backend",
        "create smpp_logins acme/acme",
        "create senders acme/Acme",
        "create senders acme/33612345678",
        "create routes fr",
        "create routes test",
    ]
    found = directory(rt).by_key_hash(hash_key(KEY))
    assert found is not None and found[0].slug == "acme" and found[1].name == "backend"
    acme = found[0]
    assert acme.settings.rate_per_s == 100 and acme.default_sender == "Acme"
    login = directory(rt).login("acme")
    assert login is not None and password_matches(login.password_hash, "secret")
    assert login.dialect.default_alphabet == "latin1"
    orange, sandbox = connectors.book(rt).by_name("orange"), connectors.book(rt).by_name("sandbox")
    assert orange is not None and (orange.credentials.password, orange.settings.binds) == ("hunter2!", 2)
    assert sandbox is not None and (sandbox.credentials.password, sandbox.test) == ("sesame", True)
    assert senders.owner(senders.book(rt), orange.id, "33612345678") == acme.id
    table = routing.table(rt)
    asked = routing.Ask(acme.id, "33612345678", "FR", None, "otp", "Acme", "alphanumeric")
    live, test = (table.decide(asked._replace(test=mode)) for mode in (False, True))
    assert live is not None and live.connectors == (orange.id,)
    assert test is not None and test.connectors == (sandbox.id,)


async def test_a_second_run_changes_nothing(rt: Runtime, folder: Path) -> None:
    await apply(rt, FULL, folder)
    before = len(await audit_entries(rt))
    assert not plan(rt, FULL, folder)
    assert not plan(rt, FULL, folder, prune=True)
    await apply(rt, FULL, folder, prune=True)
    assert len(await audit_entries(rt)) == before


async def test_what_was_exported_changes_nothing_here_and_makes_the_same_elsewhere(
    rt: Runtime, folder: Path, make_sqlite: Callable[[Path], str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    await apply(rt, FULL, folder)
    text = declared.export(rt, declared.SECTIONS)
    for secret in (KEY, "hunter2!", "sesame"):
        assert secret not in text
    kept = plan(rt, text, folder, prune=True, env={})
    assert not kept and len(kept.notes) == 3  # the variables do not exist: what is stored is kept
    words = {
        "SMPP_ACME_ACME_PASSWORD": "secret",
        "CONNECTOR_ORANGE_PASSWORD": "hunter2!",
        "CONNECTOR_SANDBOX_PASSWORD": "sesame",
    }
    same = plan(rt, text, folder, prune=True, env=words)
    assert not same and not same.notes
    elsewhere = await start(make_sqlite(tmp_path_factory.mktemp("elsewhere")), folder)
    await apply(elsewhere, text, folder, env=words)
    assert declared.export(elsewhere, declared.SECTIONS) == text
    await elsewhere.close()


async def test_all_or_nothing(rt: Runtime, folder: Path, store_url: str, tmp_path: Path) -> None:
    made = plan(rt, FULL, folder)
    node = await start(store_url, tmp_path)
    await connectors.create_connector(
        node, "test", name="orange", settings={"host": "h"}, credentials={"system_id": "a", "password": "b"}
    )
    with pytest.raises(Refused) as caught:
        await declared.apply_plan(rt, made, "cli:test")
    assert caught.value.code == "conflict"
    await rt.snapshots.check()
    assert not directory(rt).accounts and not routing.table(rt).routes and len(connectors.book(rt)) == 1
    await node.close()


async def test_one_unit_is_one_audit_trail(rt: Runtime, folder: Path) -> None:
    await apply(rt, FULL, folder)
    entries = await audit_entries(rt)
    assert len(entries) == 9 and {entry.actor for entry in entries} == {"cli:test"}
    text = repr(entries)
    assert not any(secret in text for secret in (KEY, hash_key(KEY), "hunter2!", "sesame", "argon2"))


async def test_changes_are_told_in_the_words_of_the_file(rt: Runtime, folder: Path) -> None:
    await apply(rt, FULL, folder)
    text = FULL.replace("binds = 2", "binds = 3").replace('purposes = ["otp"]', 'fallbacks = ["orange"]')
    text = text.replace('allowed_ips = ["192.0.2.0/24"]', "max_binds = 9")
    made = await apply(rt, text, folder, env=ENV | {"ACME_SMPP": "changed"})
    assert {step.section.name: [tuple(change) for change in step.changes] for step in made.steps} == {
        "connectors": [("settings.binds", 2, 3)],
        "smpp_logins": [
            ("allowed_ips", ["192.0.2.0/24"], None),
            ("max_binds", None, 9),
            ("password_hash", "***", "*** (new)"),
        ],
        "routes": [("purposes", ["otp"], None), ("fallbacks", None, ["orange"])],
    }
    login = directory(rt).login("acme")
    assert login is not None and password_matches(login.password_hash, "changed")
    assert not plan(rt, text, folder, env=ENV | {"ACME_SMPP": "changed"})


async def test_a_changed_secret_is_found_by_value(rt: Runtime, folder: Path) -> None:
    await apply(rt, FULL, folder)
    new = "ck_live_" + "n" * 40
    made = await apply(rt, FULL, folder, env=ENV | {"ORANGE_PASSWORD": "hunter3!", "ACME_KEY": new})
    assert told(made) == ["update connectors orange", "update keys acme/backend"]
    assert directory(rt).by_key_hash(hash_key(KEY)) is None
    assert directory(rt).by_key_hash(hash_key(new)) is not None
    orange = connectors.book(rt).by_name("orange")
    assert orange is not None and orange.credentials.password == "hunter3!"


async def test_without_prune_what_the_file_leaves_out_stays(rt: Runtime, folder: Path) -> None:
    await apply(rt, FULL, folder)
    assert not plan(rt, "", folder)
    assert not plan(rt, '[[accounts]]\nslug = "new"\nname = "New"\n', folder).losses


async def test_prune_revokes_suspends_and_deletes(rt: Runtime, folder: Path) -> None:
    await apply(rt, FULL, folder)
    made = await apply(rt, "", folder, prune=True)
    assert sorted(told(made)) == [
        "delete connectors orange",
        "delete connectors sandbox",
        "delete routes fr",
        "delete routes test",
        "delete senders acme/33612345678",
        "delete senders acme/Acme",
        "delete smpp_logins acme/acme",
        "revoke keys acme/backend",
        "suspend accounts acme",
    ]
    assert len(made.losses) == 9
    found = directory(rt).by_key_hash(hash_key(KEY))
    assert found is not None and found[0].status == "suspended" and found[1].revoked_at is not None
    assert not plan(rt, "", folder, prune=True)
    assert "perhaps a revoked one" in problems(rt, FULL, folder)[0]


async def test_a_pruned_name_can_be_taken_at_once_by_another_account(rt: Runtime, folder: Path) -> None:
    await apply(rt, FULL, folder)
    start_, end = FULL.index("[[accounts.smpp_logins]]"), FULL.index("[[accounts.senders]]")
    login = FULL[start_:end]
    text = FULL.replace(login, "") + f'[[accounts]]\nslug = "two"\nname = "Two"\n{login}'
    assert "The system_id acme is taken" in problems(rt, text, folder)[0]
    made = await apply(rt, text, folder, prune=True)
    assert told(made) == ["create accounts two", "delete smpp_logins acme/acme", "create smpp_logins two/acme"]
    moved = directory(rt).login("acme")
    two = directory(rt).by_slug("two")
    assert moved is not None and two is not None and moved.account_id == two.id


WRONG: list[tuple[str, str, str]] = [
    ('slug = "acme"', 'slug = "Acme!"', "2: accounts[0].slug: Expected str matching"),
    ('name = "Acme"\n', "", "1: accounts[0].name: name is missing."),
    ("rate_per_s = 100", "rate_per_s = 0", "5: accounts[0].settings.rate_per_s: Expected float > 0"),
    ("any_sender", "any_sendr", "5: accounts[0].settings.any_sendr: There is no field any_sendr. Did you mean any_s"),
    ('"messages:read"]', '"messages:reed"]', "9: accounts[0].keys[0].scopes[1]: 'messages:reed' is not allowed here."),
    ('{ env = "ACME_KEY" }', f'"{KEY}"', "10: accounts[0].keys[0].secret: A secret must not be written into this"),
    ('{ env = "ACME_KEY" }', '{ env = "NOPE" }', "10: accounts[0].keys[0].secret: The environment variable NOPE does"),
    ('{ env = "ACME_KEY" }', '{ env = "ACME_SMPP" }', "10: accounts[0].keys[0].secret: This is no API key. Make one"),
    ('{ env = "ACME_KEY" }', "{ }", "10: accounts[0].keys[0].secret: a secret is { env"),
    ("192.0.2.0/24", "192.0.2.0/99", "15: accounts[0].smpp_logins[0].allowed_ips[0]: 192.0.2.0/99 is not an IP"),
    ('"latin1"', '"latin2"', "16: accounts[0].smpp_logins[0].dialect.default_alphabet: 'latin2' is not allowed"),
    ('["FR"]', '["France"]', "20: accounts[0].senders[0].countries[0]: Expected str matching"),
    ('"+33612345678"', '"@cme"', "23: accounts[0].senders[1].address: A sender takes"),
    ('["orange"]', '["oragne"]', "25: accounts[0].senders[1].connectors[0]: There is no connector oragne. There are"),
    ("binds = 2", "binds = 2000", "32: connectors[0].settings.binds: Expected int <= 64"),
    ("binds = 2", 'bind = "x"', "32: connectors[0].settings.bind: There is no field bind. Did you mean binds?"),
    ('host = "smpp.example.net"\n', "", "30: connectors[0].settings.host: host is missing."),
    ('"sandbox.password"', '"nope.password"', "37: connectors[1].credentials.password: The file nope.password does n"),
    ('{ host = "127.0.0.1", port = 2776 }', "5", "38: connectors[1].settings: Expected object, got int."),
    ('connector = "sandbox"', 'connector = "orange"', "49: routes[1].connector: The connector orange is a live one"),
    ('account = "acme"', 'account = "acne"', "44: routes[0].account: There is no account acne. There are: acme."),
    ('name = "test"', 'name = "fr"', "48: routes[1].name: fr stands in line 40 already."),
    ('[[routes]]\nname = "test"', '[[rutes]]\nname = "test"', "47: rutes: There is no section rutes. The sections"),
    ('prefix = "+33"', "prefix = +33x", "42: Expected newline or end of document after a statement. This is not valid"),
]


async def test_what_is_wrong_is_told_with_its_line(rt: Runtime, folder: Path) -> None:
    for old, new, message in WRONG:
        assert FULL.count(old) >= 1, old
        found = problems(rt, FULL.replace(old, new, 1), folder)
        assert any(problem.startswith(f"acme.toml:{message}") for problem in found), (message, found)
    assert not directory(rt).accounts


async def test_all_problems_are_told_at_once_and_none_twice(rt: Runtime, folder: Path) -> None:
    text = FULL.replace("binds = 2", "binds = 0").replace('"messages:read"]', '"nope"]')
    text = text.replace('address = "Acme"', 'address = "@"')
    lines = [problem.split(": ")[0] for problem in problems(rt, text, folder)]
    # the senders and the route that name the broken connector are not complained about
    assert lines == ["acme.toml:9", "acme.toml:19", "acme.toml:32"]


async def test_a_list_that_is_a_table_is_explained(rt: Runtime, folder: Path) -> None:
    [problem] = problems(rt, '[connectors]\nname = "x"\n', folder)
    assert problem == "acme.toml:1: connectors: connectors is a list of tables. Write [[connectors]] above each."
    assert "[[accounts.keys]]" in problems(rt, '[[accounts]]\nslug="a"\nname="A"\nkeys = 5\n', folder)[0]


async def test_two_accounts_cannot_receive_on_one_number(rt: Runtime, folder: Path) -> None:
    again = FULL[FULL.index('[[accounts.senders]]\naddress = "+336') : FULL.index("[[connectors]]")]
    text = FULL + f'[[accounts]]\nslug = "two"\nname = "Two"\n{again}'
    found = problems(rt, text, folder)
    assert len(found) == 2 and "already belong to another account" in found[0]


async def test_what_the_mode_of_a_key_or_connector_is_stays(rt: Runtime, folder: Path) -> None:
    await apply(rt, FULL, folder)
    text = FULL.replace('name = "backend"', 'name = "backend"\nmode = "test"')
    env = ENV | {"ACME_KEY": "ck_test_" + "t" * 40}
    assert problems(rt, text, folder, env=env) == [
        "acme.toml:9: accounts[0].keys[0].mode: The mode of a key cannot be changed. "
        "See the values that the field takes in the API reference."
    ]


# -- property: what is exported changes nothing ------------------------------------------------------------------------

_name = st.from_regex(r"[a-z][a-z0-9_-]{0,8}", fullmatch=True)
_serial = itertools.count()  # a revoked key's hash never comes back
_purposes = st.lists(st.sampled_from(["otp", "service", "marketing"]), unique=True, max_size=2)


@st.composite
def _files(draw: st.DrawFn) -> str:
    supply = draw(st.lists(_name, min_size=1, max_size=3, unique=True))
    people = draw(st.lists(_name, max_size=2, unique=True))
    tree: dict[str, Any] = {"accounts": [], "connectors": [], "routes": []}
    for slug in people:
        tree["accounts"].append(
            {
                "slug": slug,
                "name": draw(
                    st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), min_size=1, max_size=9)
                ),
                "status": draw(st.sampled_from(["active", "suspended"])),
                "settings": {"any_sender": draw(st.booleans())},
                "keys": [
                    {"name": name, "scopes": ["admin"], "secret": "sha256:" + hash_key(f"{slug}{name}{next(_serial)}")}
                    for name in draw(st.lists(_name, max_size=2, unique=True))
                ],
                "senders": [
                    {"address": f"+3361234{number:04}", "inbound": draw(st.booleans()), "connectors": [supply[0]]}
                    for number in draw(st.lists(st.integers(0, 9999), max_size=2, unique=True))
                    if slug == people[0]
                ],
            }
        )
    for name in supply:
        settings_ = {
            "host": draw(_name),
            "port": draw(st.integers(1, 65535)),
            "rate_per_s": draw(st.sampled_from([0.5, 10.0])),
            "source": {"prefixes": [{"prefix": "33", "replace": "0"}] * draw(st.integers(0, 2))},
            "status_map": {"0x0400": {"verdict": "next"}} if draw(st.booleans()) else {},
            "national": draw(st.lists(st.integers(1, 13), max_size=2)),
        }
        credentials = {"system_id": name, "password": {"env": "P"}}
        tree["connectors"].append({"name": name, "credentials": credentials, "settings": settings_})
    for name in draw(st.lists(_name, max_size=3, unique=True)):
        route: dict[str, Any] = {"name": name, "connector": draw(st.sampled_from(supply))}
        route |= {"prefix": draw(st.text("123", max_size=3)), "purposes": draw(_purposes)}
        route |= {"fallbacks": draw(st.lists(st.sampled_from(supply), max_size=2))}
        if draw(st.booleans()):
            route["position"] = draw(st.integers(0, 50))
        tree["routes"].append(route)
    return dumps({name: elements for name, elements in tree.items() if elements})


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
async def test_export_is_the_inverse_of_apply(rt: Runtime, folder: Path, data: st.DataObject) -> None:
    text = data.draw(_files())
    await apply(rt, text, folder, prune=True, env={"P": "word"})
    exported = declared.export(rt, declared.SECTIONS)
    for again in (text, exported):
        assert not plan(rt, again, folder, prune=True, env={"P": "word"}).steps
    assert set(tomllib.loads(exported)) <= {"accounts", "connectors", "routes"}
