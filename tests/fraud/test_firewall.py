"""The content firewall: policies, judgements and their reasons, what is decided on review, and what is counted."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from typing import Any

import pytest
import structlog
from hypothesis import given, settings
from hypothesis import strategies as st

from chappe import accounts, fraud
from chappe.errors import Refused
from chappe.fraud import Check, Domain, Domains, Firewall, Held, Layer, Policies, PolicyLayer, Subject, WarmUp
from chappe.fraud.content import Brand, Brands, Found
from chappe.fraud.content.memo import Memo
from chappe.fraud.firewall import counting, store
from chappe.fraud.firewall.digest import digest, masked
from chappe.fraud.firewall.kept import Kept
from chappe.fraud.firewall.policy import check_own, day_limit
from chappe.fraud.firewall.review import Decisions
from chappe.messages import open_rooms
from chappe.routing.throttles import Denied, Gate, Limit, Passed
from chappe.runtime import Runtime, open_runtime
from chappe.settings import Settings

DAY = 86_400_000
NOW = 1_800_000_000_000
ACME, RIVAL = 1, 2
SHORT = "Your parcel: https://bit.ly/3x"
FOREIGN = "New shoes: https://shop.example.net/a"
BRANDS = Brands([Brand("PayPal")])


def layer(account_id: int = ACME, by_operator: bool = True, **said: Any) -> PolicyLayer:
    return PolicyLayer(account_id * 2 + by_operator, account_id, by_operator, Layer(**said), 0)


def made(*layers: PolicyLayer, domains: Iterable[str] = (), age_days: int = 100) -> Firewall:
    """A firewall with these policies; the domains are ACME's."""
    firewall = Firewall(structlog.get_logger("test"), lambda _: NOW - age_days * DAY)
    own = (Domain(n, ACME, name, "active", "", 0) for n, name in enumerate(domains))
    firewall.follow(Policies(layers), Domains(own))
    return firewall


def judge(firewall: Firewall, text: str, account_id: int = ACME, **more: Any) -> fraud.Judged:
    asked: dict[str, Any] = {
        "sender": "Acme",
        "country": "FR",
        "purpose": "marketing",
        "now": NOW,
        "brands": BRANDS,
    } | more
    sender, country, purpose, now = (asked.pop(name) for name in ("sender", "country", "purpose", "now"))
    return firewall.judge(account_id, text, sender, country, purpose, now, **asked)


REVIEWING: dict[str, Any] = {"actions": {"link_unlisted": "review"}}


def test_a_text_is_let_through_or_refused_with_every_reason() -> None:
    firewall = made()
    assert judge(firewall, "See you at noon.").action == "allow"
    judged = judge(firewall, SHORT + " or call 0899 123456")
    assert (judged.action, judged.code) == ("block", "link_shortener")
    assert judged.message.startswith("bit.ly is a public shortener")
    assert all(one.advice for one in judged.findings if one.action != "allow")
    assert judge(firewall, SHORT) is not judged


def test_links_to_other_domains_pass_until_the_account_lists_its_own() -> None:
    assert judge(made(), FOREIGN).action == "allow"
    listing = made(domains=["acme.com"])
    assert judge(listing, FOREIGN).action == "review"
    assert judge(listing, "New shoes: https://www.acme.com/a").action == "allow"
    assert judge(listing, FOREIGN, RIVAL).action == "allow"


def test_the_operators_word_for_an_account_replaces_its_word_for_all() -> None:
    firewall = made(
        layer(fraud.EVERYONES, actions={"link_shortener": "review"}, review_first=3),
        layer(RIVAL, actions={"link_shortener": "allow"}, review_first=0),
    )
    assert judge(firewall, SHORT).action == "review"
    assert judge(firewall, SHORT, RIVAL).action == "allow"
    assert (firewall.policies.of(ACME).review_first, firewall.policies.of(RIVAL).review_first) == (3, 0)


def test_an_account_only_makes_its_policy_stricter() -> None:
    own = layer(by_operator=False, actions={"link_unlisted": "block", "link_shortener": "allow"}, mode="off", score=30)
    firewall = made(own)
    assert judge(firewall, FOREIGN).action == "block"
    assert judge(firewall, SHORT).action == "block"
    assert firewall.policies.of(ACME).score == 30
    assert judge(firewall, FOREIGN, RIVAL).action == "allow"


@pytest.mark.parametrize(
    ("said", "param"),
    [
        ({"mode": "observe"}, "mode"),
        ({"purposes": ("otp",)}, "purposes"),
        ({"actions": {"link_ip": "review"}}, "actions.link_ip"),
        ({"score": 61}, "score"),
        ({"warm_up": WarmUp(1_000_000)}, "warm_up"),
        ({"growth_alarm": 100.0}, "growth_alarm"),
    ],
)
def test_what_is_milder_is_refused_to_an_account(said: dict[str, Any], param: str) -> None:
    with pytest.raises(Refused) as refused:
        check_own(Policies().given(ACME), Layer(**said))
    assert (refused.value.code, refused.value.param) == ("scope_missing", param)


def test_a_policy_that_observes_lets_pass_and_counts_what_it_would_have_done() -> None:
    firewall = made(layer(mode="observe"))
    judged = judge(firewall, SHORT)
    assert (judged.action, judged.would, judged.code) == ("allow", "block", "link_shortener")
    assert sorted(firewall.counted()) == [(ACME, "allow", "", 1), (ACME, "would_block", "link_shortener", 1)]
    assert firewall.counted() == []


def test_purposes_that_are_not_checked_pass() -> None:
    firewall = made(layer(purposes=("marketing",)))
    assert judge(firewall, SHORT).action == "block"
    assert judge(firewall, SHORT, purpose="otp").action == "allow"
    assert judge(made(layer(mode="off")), SHORT).action == "allow"


def test_tests_are_refused_but_never_held_nor_counted() -> None:
    firewall = made(layer(**REVIEWING))
    assert judge(firewall, SHORT, test=True).action == "block"
    judged = judge(firewall, FOREIGN, test=True)
    assert (judged.action, judged.would, judged.code) == ("allow", "review", "link_unlisted")
    assert judge(firewall, FOREIGN, dry_run=True).action == "review"
    assert firewall.counted() == []


@pytest.mark.parametrize("action", ["allow", "review", "block"])
def test_a_check_that_breaks_does_what_the_policy_says_and_silences_no_other(action: str) -> None:
    def broken(_subject: Subject) -> Iterable[Found]:
        raise RuntimeError("the list is gone")

    firewall = made(layer(on_failure=action))
    firewall.checks.append(Check("feed", broken))
    judged = judge(firewall, "See you at noon.")
    assert judged.action == action
    [found] = judged.findings
    assert (found.code, found.why) == ("check_failed", "feed: RuntimeError")
    assert firewall.failures == 1
    assert judge(firewall, SHORT).action == "block"
    firewall.checks.clear()  # what broke was not remembered
    assert judge(firewall, "See you at noon.").action == "allow"


def test_a_reputation_list_is_one_more_check() -> None:
    def listed(subject: Subject) -> Iterable[Found]:
        at = subject.text.find("evil.example")
        if at >= 0:
            yield "link_reputation", at, at + 12, "evil.example", "reported in January"

    firewall = made()
    firewall.checks.append(Check("list", listed))
    judged = judge(firewall, "Look: https://evil.example.net/x")
    assert (judged.action, judged.code) == ("block", "link_reputation")
    assert "reported in January" in judged.message


def test_a_change_of_policy_domain_or_brand_is_seen_at_once() -> None:
    firewall = made(layer(**REVIEWING))
    assert judge(firewall, FOREIGN).action == "review"
    own = Domains([Domain(1, ACME, "shop.example.net", "active", "", 0)])
    firewall.follow(firewall.policies, own)
    assert judge(firewall, FOREIGN).action == "allow"
    firewall.follow(firewall.policies, Domains())
    assert judge(firewall, FOREIGN).action == "review"
    assert judge(firewall, "It is from PayPa1").action == "block"
    assert judge(firewall, "It is from PayPa1", brands=Brands([])).action == "allow"


# -- reviews -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("Hi Anna, buy at shop.com/a1", "Hi Bob, buy at shop.com/zZ", True),
        ("Sehr geehrte Frau Dr. Weber, Code 123456", "Sehr geehrter Herr Kahn, Code 1", False),
        ("Bonjour Marie-Claire ! Colis 123", "Bonjour Luc ! Colis 987", True),
        ("Здравствуйте Анна, заказ 12", "Здравствуйте Пётр Ильич, заказ 99", True),
        ("Hi Anna, buy at shop.com/a", "Hi Anna, buy at shop.net/a", False),
        ("Hi Anna, buy shoes", "Hi Anna, pay now", False),
        ("Your Account, pay now", "Your Parcel, pay now", False),
        ("Order 17 is ready", "Order 18 is ready", True),
        ("Or\u200bder 17 is ready", "Order 18  is ready", True),
    ],
)
def test_texts_are_one_to_a_reviewer_if_only_the_recipient_differs(one: str, other: str, same: bool) -> None:
    assert (digest(one, ()) == digest(other, ())) is same, (masked(one), masked(other))


def test_texts_with_other_findings_are_others() -> None:
    firewall = made(layer(actions={"phone_number": "review"}))
    one = judge(firewall, "Mum, write to my new number +33 6 12 34 56 78")
    other = judge(firewall, "Mum, write to my new number +33 6 12 34 56 79")
    assert one.action == other.action == "review"
    assert one.digest != other.digest


def decided(
    judged: fraud.Judged, state: str, note: str = "", sender: str = "Acme", until: int = NOW + DAY
) -> Decisions:
    return Decisions([(ACME, judged.digest, sender, state, until, note)])


def test_what_was_approved_passes_for_its_account_and_sender_until_its_time_is_over() -> None:
    firewall = made(layer(**REVIEWING), layer(RIVAL, **REVIEWING))
    judged = judge(firewall, FOREIGN)
    firewall.decisions = decided(judged, "approved")
    again = judge(firewall, FOREIGN.replace("/a", "/b"))
    assert (again.action, again.would) == ("allow", "allow")
    assert judge(firewall, FOREIGN, sender="Other").action == "review"
    assert judge(firewall, FOREIGN, RIVAL).action == "review"
    assert judge(firewall, FOREIGN, now=NOW + DAY).action == "review"
    assert judge(firewall, FOREIGN + " or bit.ly/x").action == "block"


def test_what_was_rejected_is_refused_with_the_reviewers_note() -> None:
    firewall = made(layer(**REVIEWING))
    firewall.decisions = decided(judge(firewall, FOREIGN), "rejected", "not your shop")
    judged = judge(firewall, FOREIGN)
    assert (judged.action, judged.code) == ("block", "review_rejected")
    assert "not your shop" in judged.message


def test_the_first_texts_of_a_new_account_are_looked_at_until_enough_are_approved() -> None:
    firewall = made(layer(review_first=2), age_days=3)
    judged = judge(firewall, "See you at noon.")
    assert (judged.action, judged.code) == ("review", "first_texts")
    firewall.decisions = Decisions([(ACME, judged.digest, "Acme", "approved", NOW + DAY, "")], [(ACME, 1)])
    assert judge(firewall, "See you at noon.").action == "allow"
    assert judge(firewall, "Another text.").action == "review"
    firewall.decisions = Decisions([], [(ACME, 2)])
    assert judge(firewall, "Another text.").action == "allow"
    assert judge(made(layer(review_first=2), age_days=31), "Another text.").action == "allow"


@settings(max_examples=200)
@given(st.text(max_size=200), st.sampled_from(["FR", "US", ""]))
def test_no_text_breaks_the_firewall(text: str, country: str) -> None:
    firewall = made(layer(**REVIEWING))
    judged = judge(firewall, text, country=country)
    assert judged == judge(firewall, text, country=country)
    assert firewall.failures == 0
    assert len(digest(text, judged.findings)) == 32


def test_what_is_known_of_words_is_bounded() -> None:
    asked: list[str] = []
    memo: Memo[int] = Memo(lambda word: asked.append(word) or len(word))  # type: ignore[func-returns-value]
    assert [memo["shoes"], memo["shoes"], memo["x" * 50], memo["x" * 50]] == [5, 5, 50, 50]
    assert asked == ["shoes", "x" * 50, "x" * 50]
    for n in range(70_000):
        memo[str(n)]
    assert len(memo) <= 65_536


def test_what_is_remembered_is_bounded_and_what_is_in_use_stays() -> None:
    kept: Kept[int, int] = Kept(most=100_000)
    for n in range(10_000):
        kept.put(n, n, 100)
        assert kept.get(0) == 0
    assert len(kept) <= 100
    assert kept.get(5) is None


# -- new accounts --------------------------------------------------------------------------------------------------


def test_a_new_account_may_send_more_each_day_until_it_is_warm() -> None:
    warm_up = WarmUp(first_day=500, growth=2.0, days=4)
    begun = NOW - NOW % DAY + DAY // 2
    limits = [day_limit(warm_up, begun, begun + day * DAY) for day in range(5)]
    assert limits == [500, 1_000, 2_000, 4_000, None]
    assert day_limit(WarmUp(first_day=10_000_000, growth=100.0, days=365), begun, begun + 300 * DAY) == 1_000_000_000


def test_the_limit_of_an_account_refuses_what_is_over_and_says_when_to_come_back() -> None:
    gate = Gate()
    gate.account_limits = lambda account_id: [Limit("warm-up", 3, "day")] if account_id == ACME else []
    noon = NOW - NOW % DAY + DAY // 2

    def send(account_id: int = ACME, at: int = noon) -> Passed | Denied:
        return gate.pass_(account_id, "Acme", "alphanumeric", 1, "FR", at)

    assert all(isinstance(send(), Passed) for _ in range(3))
    denied = send()
    assert isinstance(denied, Denied)
    assert (denied.code, denied.throttle) == ("throttled", "warm-up")
    assert denied.retry_after is not None and abs(denied.retry_after - 12 * 3600) <= 1
    assert isinstance(send(RIVAL), Passed)
    assert isinstance(send(at=noon + DAY), Passed)


# -- what is stored ------------------------------------------------------------------------------------------------


@pytest.fixture
async def rt(store_url: str, tmp_path: Path) -> AsyncIterator[Runtime]:
    rt = await open_runtime(Settings(data_dir=tmp_path, database=store_url, secret_key="test"))
    await open_rooms(rt)
    yield rt
    await rt.close()


def held(text: str = FOREIGN, name: str = "a" * 32) -> Held:
    return Held(name, "Acme", "FR", "marketing", text, ())


async def test_policies_are_kept_audited_and_taken_back(rt: Runtime) -> None:
    account = await accounts.create_account(rt, "test", slug="acme", name="Acme")
    known = fraud.policies(rt)
    await fraud.set_layer(rt, "key_1", known, account.id, Layer(actions={"link_ip": "allow"}), by_operator=True)
    assert fraud.policy_of(rt, account.id).actions == {"link_ip": "allow"}
    with pytest.raises(Refused, match="no kind of finding"):
        layer_ = Layer(actions={"nonsense": "block"})
        await fraud.set_layer(rt, "key_1", fraud.policies(rt), account.id, layer_, by_operator=True)
    await fraud.drop_layer(rt, "key_1", fraud.policies(rt), account.id, by_operator=True)
    assert fraud.policy_of(rt, account.id).actions == {}
    entries = [e for e in await accounts.audit_entries(rt, account.id) if e.kind == "content_policy"]
    assert [e.action for e in entries] == ["delete", "create"]


async def test_many_messages_make_one_review_and_a_decision_out_of_date_opens_it_again(rt: Runtime) -> None:
    rows = [(rt.ids.next(), ACME, held()) for _ in range(3)] + [(rt.ids.next(), RIVAL, held())]
    await rt.store.write(*fraud.hold(rows, rt.clock.now(), rt.ids))
    await rt.store.write(*fraud.hold([(rt.ids.next(), ACME, held("Another"))], rt.clock.now(), rt.ids))
    [review] = await fraud.reviews(rt, ACME, None, 1 << 62, 10)
    assert (review.state, review.count, review.sample) == ("open", 4, FOREIGN)
    assert await fraud.waiting(rt, review) == 4
    with pytest.raises(Refused):
        await fraud.found_review(rt, review.id, RIVAL)
    approved = await fraud.decide_review(rt, "key_1", review, "approved", days=1)
    for late in (review, approved):
        with pytest.raises(Refused) as refused:
            await fraud.decide_review(rt, "key_2", late, "approved")
        assert refused.value.code in ("conflict", "review_state")
    soon, later = rt.clock.now(), rt.clock.now() + 2 * DAY
    await rt.store.write(*fraud.hold([(rt.ids.next(), ACME, held())], soon, rt.ids))
    assert (await fraud.found_review(rt, review.id)).state == "approved"
    await rt.store.write(*fraud.hold([(rt.ids.next(), ACME, held())], later, rt.ids))
    [again] = await fraud.reviews(rt, ACME, "open", 1 << 62, 10)
    assert (again.count, again.decided_at, again.opened_at) == (1, None, later)
    assert again.id > review.id


async def test_decisions_are_counted_by_day_and_growth_is_an_alarm(rt: Runtime) -> None:
    firewall, today = fraud.firewall(rt), rt.clock.now() // DAY
    for _ in range(3):
        judge(firewall, SHORT)
    judge(firewall, "See you at noon.")
    counted = counting.Counting(firewall)
    await counted.write(rt)
    found = await fraud.counts(rt, ACME, 7)
    assert [(one.day, one.verdict, one.code, one.number) for one in found] == [
        (today, "allow", "", 1),
        (today, "block", "link_shortener", 3),
    ]
    assert await fraud.counts(rt, RIVAL, 7) == []
    rows = [
        (today - 3, ACME, "allow", "", 1_000),
        (today, ACME, "allow", "", 2_000),
        (today - 3, RIVAL, "allow", "", 1_000),
        (today, RIVAL, "allow", "", 1_999),
        (today, 3, "allow", "", 900),
    ]
    await rt.store.write(store.ADD_COUNTS(rows))
    [growth] = await fraud.growths(rt)
    assert (growth.account_id, growth.today, growth.most_before) == (ACME, 2_004, 1_000)
