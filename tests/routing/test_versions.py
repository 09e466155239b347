"""Routes in force, each change of which is a version, and drafts that become one."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chappe import routing
from chappe.accounts import Account, audit_entries
from chappe.errors import Refused
from chappe.routing import Edition, Group, Match, Member, Window, create_route, delete_route, table, update_route
from chappe.routing.editions import differences, present
from chappe.routing.store import ACCOUNT_GROUPS, ROUTES
from chappe.runtime import Runtime
from chappe.storage import sql
from tests.accounts.runtime import start
from tests.routing.making import ask, connector, group, route

CONNECTORS = {1: connector(1), 2: connector(2), 9: connector(9, test=True)}
find = CONNECTORS.get


async def refused(work: Any) -> Refused:
    with pytest.raises(Refused) as caught:
        await work
    return caught.value


def names(rt: Runtime) -> list[str]:
    return [found.name for found in table(rt).routes]


# -- in force ------------------------------------------------------------------------------------------------------


async def test_routes_are_stored_in_order_and_compiled_on_every_node(
    rt: Runtime, acme: Account, store_url: str, tmp_path: Path
) -> None:
    fr = await create_route(
        rt,
        "test",
        find,
        name="fr",
        prefix="+33",
        connector_id=1,
        fallback_connector_ids=(2,),
        purposes=("otp",),
        senders=("Acme",),
        account_id=acme.id,
    )
    rest = await create_route(rt, "test", find, name="rest", connector_id=2)
    first = await create_route(rt, "test", find, name="first", connector_id=1, position=1)
    node = await start(store_url, tmp_path)
    for known in (table(rt), table(node)):
        assert known.routes == [first, fr, rest]
        decision = known.decide(ask("33612345678", account_id=acme.id, purpose="otp", sender="Acme"))
        assert decision is not None and decision.connectors == (1, 2) and decision.route_id == fr.id
        assert known.using(2) == ["fr", "rest"] and known.get(fr.id) == fr and known.version == 3
    assert fr.prefix == "33"
    await node.close()


async def test_a_route_with_everything_is_read_as_it_was_written(rt: Runtime, acme: Account, other: Account) -> None:
    await routing.create_account_group(rt, "test", name="gold", account_ids=(acme.id,))
    made = await create_route(
        rt,
        "test",
        find,
        name="all",
        match=Match(
            countries=("FR",),
            operators=("20801",),
            prefixes=("336", "337"),
            sender_kinds=("short_code",),
            tags=("vip",),
            account_ids=(acme.id, other.id),
            account_groups=("gold",),
            times=(Window("Europe/Paris", ("mon",), 60, 30),),
            least=1,
            most=3,
        ),
        groups=(Group((Member(1, 3), Member(2)), "weights", ("failed",), ("rejected",)),),
        most_attempts=2,
        max_cost=70_000,
        allow_loss=True,
    )
    await rt.snapshots.named("routing").refresh(rt.store)
    assert table(rt).get(made.id) == made
    assert (made.prefix, made.connector_id, made.fallback_connector_ids) == ("33", 1, (2,))


async def test_a_row_of_the_version_before_is_read_as_it_was_meant(rt: Runtime) -> None:
    """A node that does not know the new columns writes a route."""
    await rt.store.write(
        sql(
            "insert into routes (id, name, position, account_id, prefix, purposes, senders, connector_id, "
            "fallback_connector_ids, status, test, created_at) values (5, 'old', 1, null, '33', '[\"otp\"]', '[]', 1, "
            "'[2]', 'active', 0, 0)"
        )()
    )
    await rt.snapshots.named("routing").refresh(rt.store)
    decision = table(rt).decide(ask("33612345678", purpose="otp"))
    assert decision is not None and decision.connectors == (1, 2) and decision.most_attempts == 4
    assert table(rt).decide(ask("33612345678", purpose="service")) is None


async def test_a_changed_route_takes_effect_and_is_audited(rt: Runtime) -> None:
    made = await create_route(rt, "test", find, name="fr", prefix="33", connector_id=1)
    await update_route(rt, "key_1", find, made.id, connector_id=2)
    decision = table(rt).decide(ask("33612345678"))
    assert decision is not None and decision.connectors == (2,)
    await delete_route(rt, "key_1", made.id)
    assert table(rt).decide(ask("33612345678")) is None
    entries = await audit_entries(rt)
    assert [entry.action for entry in entries] == ["delete", "update", "create"]
    assert (entries[1].before, entries[1].after) == ({"connector_id": 1}, {"connector_id": 2})


BAD_ROUTES: list[tuple[dict[str, Any], str, str]] = [
    ({"connector_id": 5}, "connector_unknown", "connector_id"),
    ({"fallback_connector_ids": (2, 5)}, "connector_unknown", "fallback_connector_ids[1]"),
    ({"connector_id": 9}, "connector_unknown", "connector_id"),
    ({"fallback_connector_ids": (9,)}, "connector_unknown", "fallback_connector_ids[0]"),
    ({"test": True}, "connector_unknown", "connector_id"),
    ({"prefix": "33x"}, "invalid_value", "prefix"),
    ({"purposes": ("spam",)}, "invalid_value", "purposes[0]"),
    ({"name": "taken"}, "duplicate_name", "name"),
    ({"name": ""}, "invalid_value", "name"),
    ({"position": -1}, "invalid_value", "position"),
    ({"account_id": 5}, "invalid_value", "account_id"),
    ({"match": Match(account_groups=("gold",))}, "invalid_value", "match.account_groups[0]"),
]


async def test_a_bad_route_is_refused(rt: Runtime) -> None:
    await create_route(rt, "test", find, name="taken", connector_id=1)
    mine = await create_route(rt, "test", find, name="mine", connector_id=1)
    for fields, code, param in BAD_ROUTES:
        values = {"name": "ok", "connector_id": 1} | fields
        for work in (create_route(rt, "test", find, **values), update_route(rt, "test", find, mine.id, **fields)):
            error = await refused(work)
            assert (error.code, error.param) == (code, param)
        assert len(table(rt).routes) == 2 and table(rt).version == 2


async def test_an_unknown_route_is_not_found(rt: Runtime) -> None:
    assert (await refused(delete_route(rt, "test", 5))).code == "not_found"
    assert (await refused(update_route(rt, "test", find, 5, position=1))).status == 404


async def test_a_group_of_accounts_is_made_changed_and_deleted_when_no_route_names_it(
    rt: Runtime, acme: Account, other: Account
) -> None:
    made = await routing.create_account_group(rt, "test", name="gold", account_ids=(acme.id, acme.id))
    assert made.account_ids == (acme.id,)
    assert (await refused(routing.create_account_group(rt, "test", name="gold"))).code == "duplicate_name"
    error = await refused(routing.create_account_group(rt, "test", name="lead", account_ids=(acme.id, 5)))
    assert (error.code, error.param) == ("invalid_value", "account_ids[1]")
    fr = await create_route(rt, "test", find, name="fr", connector_id=1, match=Match(account_groups=("gold",)))
    await routing.update_account_group(rt, "test", made.id, (other.id,))
    assert table(rt).decide(ask("33", account_id=acme.id)) is None
    assert table(rt).decide(ask("33", account_id=other.id)) is not None
    assert (await refused(routing.delete_account_group(rt, "test", made.id))).code == "in_use"
    await delete_route(rt, "test", fr.id)
    await routing.delete_account_group(rt, "test", made.id)
    assert not table(rt).account_groups
    assert (await refused(routing.update_account_group(rt, "test", made.id, ()))).code == "not_found"


# -- versions ------------------------------------------------------------------------------------------------------


async def test_every_change_is_a_version_and_any_can_be_brought_back(rt: Runtime) -> None:
    fr = await create_route(rt, "ann", find, name="fr", prefix="33", connector_id=1)
    await update_route(rt, "bob", find, fr.id, connector_id=2)
    await create_route(rt, "bob", find, name="de", prefix="49", connector_id=1)
    await delete_route(rt, "cid", fr.id)
    told = await routing.versions(rt)
    assert [(one.id, one.actor, one.note) for one in told] == [
        (4, "cid", "delete route fr"),
        (3, "bob", "create route de"),
        (2, "bob", "update route fr"),
        (1, "ann", "create route fr"),
    ]
    assert [one.id for one in await routing.versions(rt, before=3, limit=1)] == [2]
    assert (await routing.published(rt, 0)).routes == {}
    assert (await routing.published(rt, 1)).routes == {fr.id: fr}
    restored = await routing.restore(rt, "dan", find, 2)
    assert (restored.id, restored.kind, restored.restored, restored.changes) == (5, "restore", 2, 2)
    assert names(rt) == ["fr"] and table(rt).routes[0].connector_id == 2 and table(rt).version == 5
    assert (await refused(routing.restore(rt, "dan", find, 2))).code == "routes_unchanged"
    await routing.restore(rt, "dan", find, 3)
    assert names(rt) == ["fr", "de"]
    await routing.restore(rt, "dan", find, 0)
    assert names(rt) == []
    for number in (-1, 8, 2**40):
        assert (await refused(routing.restore(rt, "dan", find, number))).code == "not_found"
        assert (await refused(routing.found_version(rt, number))).code == "not_found"


async def test_what_names_a_connector_that_is_gone_is_not_brought_back(rt: Runtime) -> None:
    fr = await create_route(rt, "test", find, name="fr", connector_id=2)
    await update_route(rt, "test", find, fr.id, connector_id=1)
    error = await refused(routing.restore(rt, "test", {1: CONNECTORS[1]}.get, 1))
    assert (error.code, error.param) == ("routes_faulty", "fr.connector_id")
    assert [(detail.param, detail.message) for detail in error.details] == [
        ("fr.connector_id", "There is no such connector.")
    ]
    assert table(rt).version == 2 and table(rt).routes[0].connector_id == 1


async def test_names_that_wander_between_routes_are_brought_back(rt: Runtime) -> None:
    one = await create_route(rt, "test", find, name="a", connector_id=1)
    two = await create_route(rt, "test", find, name="b", connector_id=2)
    before = await routing.published(rt, 2)
    edition = Edition(rt, "test")
    swapped = {
        one.id: msgspec.structs.replace(one, name="b"),
        two.id: msgspec.structs.replace(two, name="a"),
    }
    edition.take(differences(before, before._replace(routes=swapped)))
    await edition.commit()
    assert names(rt) == ["b", "a"]
    await routing.restore(rt, "test", find, 2)
    assert table(rt).routes == [one, two]


async def test_changes_that_meet_get_numbers_of_their_own(rt: Runtime) -> None:
    await asyncio.gather(*(create_route(rt, "test", find, name=f"r{n}", connector_id=1) for n in range(8)))
    assert [one.id for one in await routing.versions(rt)] == list(range(8, 0, -1))
    assert len(table(rt).routes) == 8 and table(rt).version == 8


_names = st.sampled_from(["a", "b", "c"])
_sets = st.dictionaries(st.integers(1, 4), st.tuples(_names, st.integers(0, 3)), max_size=3).filter(
    lambda made: len({name for name, _ in made.values()}) == len(made)
)


@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(_sets, min_size=1, max_size=5))
async def test_every_version_is_found_again_as_it_was(sqlite_rt: Runtime, sets: list[dict[int, Any]]) -> None:
    rt = sqlite_rt
    kept = {present(rt).number: present(rt)}
    for wanted in sets:
        now = present(rt)
        made = {n: route(n, name=name, position=place, connector_id=1) for n, (name, place) in wanted.items()}
        groups = {found.id: found for found in (group(name) for name, _ in wanted.values())}
        edition = Edition(rt, "test", base=now.number)
        edition.take(differences(now, now._replace(routes=made, account_groups=groups)))
        await edition.commit()
        kept[present(rt).number] = present(rt)
        assert present(rt).routes == made and present(rt).account_groups == groups
    for number, wanted_set in kept.items():
        assert await routing.published(rt, number) == wanted_set


@pytest.fixture
async def sqlite_rt(sqlite_url: str, tmp_path: Path) -> Any:
    rt = await start(sqlite_url, tmp_path)
    yield rt
    await rt.close()


async def test_a_version_that_is_not_the_next_is_refused_as_a_whole(rt: Runtime) -> None:
    await create_route(rt, "test", find, name="fr", connector_id=1)
    late = Edition(rt, "test", base=0)
    late.create(ROUTES, route(7, name="late", connector_id=1))
    late.create(ACCOUNT_GROUPS, group("late"))
    assert (await refused(late.commit())).code == "conflict"
    assert names(rt) == ["fr"] and not table(rt).account_groups


# -- drafts --------------------------------------------------------------------------------------------------------


async def test_a_draft_is_edited_compared_and_published_at_once(rt: Runtime, acme: Account) -> None:
    fr = await create_route(rt, "test", find, name="fr", prefix="33", connector_id=1)
    de = await create_route(rt, "test", find, name="de", prefix="49", connector_id=1)
    draft = await routing.create_draft(rt, "ann", name="autumn", note="cheaper")
    assert (draft.base, draft.status, draft.created_by) == (2, "open", "ann")
    await routing.set_account_groups(rt, draft.id, [("gold", (acme.id,))])
    match = Match(account_groups=("gold",))
    added = await routing.add_route(rt, find, draft.id, name="gold", match=match, connector_id=2)
    await routing.change_route(rt, find, draft.id, fr.id, connector_id=2)
    await routing.drop_route(rt, draft.id, de.id)
    found = await routing.proposal(rt, draft.id)
    assert [(one.action, one.object.name, one.fields) for one in found.differences] == [
        ("create", "gold", ()),
        ("update", "fr", ("connector_id",)),
        ("delete", "de", ()),
        ("create", "gold", ()),
    ]
    tried = await routing.draft_table(rt, draft.id)
    for known, connector_id in ((tried, 2), (table(rt), 1)):
        decision = known.decide(ask("33612345678"))
        assert decision is not None and decision.connectors == (connector_id,)
    assert names(rt) == ["fr", "de"]
    after = await routing.publish_draft(rt, "bob", find, draft.id)
    assert (after.status, after.version) == ("published", 3)
    assert (
        names(rt) == ["fr", "gold"] and table(rt).get(added.id) == added and set(table(rt).account_groups) == {"gold"}
    )
    version = await routing.found_version(rt, 3)
    assert (version.kind, version.actor, version.note, version.draft_id) == ("publish", "bob", "cheaper", draft.id)
    assert version.changes == len(version.content) == 4
    entries = await audit_entries(rt)
    assert ("publish", "route_draft") in {(entry.action, entry.kind) for entry in entries}
    await routing.restore(rt, "bob", find, 2)
    assert table(rt).routes == [fr, de] and not table(rt).account_groups


async def test_a_closed_draft_takes_no_edit(rt: Runtime) -> None:
    draft = await routing.create_draft(rt, "test", name="one")
    assert (await refused(routing.publish_draft(rt, "test", find, draft.id))).code == "routes_unchanged"
    made = await routing.add_route(rt, find, draft.id, name="fr", connector_id=1)
    await routing.publish_draft(rt, "test", find, draft.id)
    for work in (
        routing.add_route(rt, find, draft.id, name="de", connector_id=1),
        routing.change_route(rt, find, draft.id, made.id, connector_id=2),
        routing.drop_route(rt, draft.id, made.id),
        routing.reorder(rt, draft.id, [made.id]),
        routing.set_account_groups(rt, draft.id, []),
        routing.publish_draft(rt, "test", find, draft.id),
        routing.rebase_draft(rt, "test", draft.id),
    ):
        assert (await refused(work)).code == "draft_closed"
    await routing.delete_draft(rt, "test", draft.id)
    assert names(rt) == ["fr"]
    assert (await refused(routing.proposal(rt, draft.id))).code == "not_found"


async def test_a_draft_of_routes_that_changed_meanwhile_is_published_only_when_rebased(rt: Runtime) -> None:
    fr = await create_route(rt, "test", find, name="fr", prefix="33", connector_id=1)
    de = await create_route(rt, "test", find, name="de", prefix="49", connector_id=1)
    draft = await routing.create_draft(rt, "test", name="one")
    await routing.change_route(rt, find, draft.id, fr.id, purposes=("otp",))
    await update_route(rt, "test", find, fr.id, connector_id=2)
    await update_route(rt, "test", find, de.id, connector_id=2)
    assert (await refused(routing.publish_draft(rt, "test", find, draft.id))).code == "routes_changed"
    assert table(rt).version == 4
    rebased, met = await routing.rebase_draft(rt, "test", draft.id)
    assert rebased.base == 4
    assert [(one.object.name, one.fields) for one in met] == [("fr", ("connector_id",))]
    await routing.publish_draft(rt, "test", find, draft.id)
    assert [(one.name, one.purposes, one.connector_id) for one in table(rt).routes] == [
        ("fr", ("otp",), 1),
        ("de", (), 2),
    ]


async def test_of_two_drafts_published_at_once_one_wins(rt: Runtime) -> None:
    drafts = [await routing.create_draft(rt, "test", name=name) for name in "ab"]
    for draft in drafts:
        await routing.add_route(rt, find, draft.id, name=draft.name, connector_id=1)
    publishing = [routing.publish_draft(rt, "test", find, draft.id) for draft in drafts]
    results = await asyncio.gather(*publishing, return_exceptions=True)
    [failed] = [one for one in results if isinstance(one, Refused)]
    assert failed.code == "routes_changed" and len(names(rt)) == 1 and table(rt).version == 1


async def test_a_faulty_draft_is_published_in_no_part(rt: Runtime) -> None:
    draft = await routing.create_draft(rt, "test", name="one")
    await routing.add_route(rt, find, draft.id, name="fr", connector_id=1)
    await routing.add_route(rt, find, draft.id, name="de", connector_id=2)
    error = await refused(routing.publish_draft(rt, "test", {1: CONNECTORS[1]}.get, draft.id))
    assert (error.code, [detail.param for detail in error.details]) == ("routes_faulty", ["de.connector_id"])
    assert names(rt) == [] and table(rt).version == 0


async def test_bad_edits_of_a_draft_are_refused_with_their_field(rt: Runtime, acme: Account) -> None:
    draft = await routing.create_draft(rt, "test", name="one")
    made = await routing.add_route(rt, find, draft.id, name="taken", connector_id=1)
    mine = await routing.add_route(rt, find, draft.id, name="mine", connector_id=1)
    for fields, code, param in BAD_ROUTES:
        values = {"name": "ok", "connector_id": 1} | fields
        for work in (
            routing.add_route(rt, find, draft.id, **values),
            routing.change_route(rt, find, draft.id, mine.id, **fields),
        ):
            error = await refused(work)
            assert (error.code, error.param) == (code, param)
    assert (await refused(routing.drop_route(rt, draft.id, 5))).code == "not_found"
    error = await refused(routing.reorder(rt, draft.id, [made.id, made.id]))
    assert (error.code, error.param) == ("invalid_value", "route_ids")
    for groups, code, param in (
        ([("a", ()), ("a", ())], "duplicate_name", "account_groups[1].name"),
        ([("a", ()), ("b", (5,))], "invalid_value", "account_groups[1].account_ids[0]"),
        ([("", ())], "invalid_value", "account_groups[0].name"),
    ):
        error = await refused(routing.set_account_groups(rt, draft.id, groups))
        assert (error.code, error.param) == (code, param)
    await routing.set_account_groups(rt, draft.id, [("gold", (acme.id,))])
    await routing.change_route(rt, find, draft.id, mine.id, match=Match(account_groups=("gold",)))
    assert (await refused(routing.set_account_groups(rt, draft.id, []))).code == "in_use"
    assert [one.name for one in (await routing.proposal(rt, draft.id)).routes] == ["taken", "mine"]


async def test_an_edit_that_leads_back_is_no_edit(rt: Runtime) -> None:
    fr = await create_route(rt, "test", find, name="fr", connector_id=1)
    draft = await routing.create_draft(rt, "test", name="one")
    await routing.change_route(rt, find, draft.id, fr.id, connector_id=2)
    await routing.change_route(rt, find, draft.id, fr.id, connector_id=1)
    added = await routing.add_route(rt, find, draft.id, name="de", connector_id=1)
    await routing.drop_route(rt, draft.id, added.id)
    assert (await routing.proposal(rt, draft.id)).differences == []


async def test_routes_of_a_draft_are_put_in_another_order(rt: Runtime) -> None:
    made = [await create_route(rt, "test", find, name=name, connector_id=1) for name in "abcd"]
    draft = await routing.create_draft(rt, "test", name="one")
    await routing.reorder(rt, draft.id, [made[3].id, made[1].id])
    found = await routing.proposal(rt, draft.id)
    assert [one.name for one in found.routes] == ["d", "b", "a", "c"]
    assert [one.position for one in found.routes] == [10, 20, 30, 40]
