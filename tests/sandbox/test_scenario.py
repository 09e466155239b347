"""Scenario files: what is read, what is refused and how it is said, how rules choose."""

from __future__ import annotations

import asyncio
import random
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chappe.sandbox.behaviour import MAGIC, TABLE, Behaviour, Spread, delay_problem, seconds, status_code
from chappe.sandbox.scenario import Chooser, Scenario, ScenarioError, build, parse
from chappe.smpp import status
from chappe.smpp.aio import BindFailed


def choose(scenario: str, *messages: dict[str, str]) -> list[str]:
    """The names of the behaviours of some messages."""
    chooser = Chooser(parse(scenario), random.Random(1))
    usual = {"to": "33612000001", "sender": "Acme", "system_id": "acme", "text": "Hello"}
    return [chooser.choose(SimpleNamespace(**usual | message))[0] for message in messages]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("seed = ", "this is no TOML: Invalid value (at"),
        ("sede = 1", "the file: object contains unknown field `sede`"),
        ("seed = 'x'", "seed: expected `int | null`, got `str`"),
        ("submits_per_s = -1", "submits_per_s: expected `float` >= 0"),
        ("receipt_delay_s = [3, 1]", "receipt_delay_s: a delay is seconds"),
        ("receipt_delay_s = -1", "receipt_delay_s: a delay is seconds"),
        ("receipt_delay_s = nan", "receipt_delay_s: a delay is seconds"),
        ("reply_delay_s = { mean = 1, least = 2 }", "reply_delay_s: a delay is seconds"),
        ("max_validity_s = inf", "max_validity_s: expected `float` <= 1000000000"),
        ("refuse_binds = 'ESME_RNOBODY'", "refuse_binds: 'ESME_RNOBODY' is no status"),
        ("[[rules]]\ndo = 'trottled'", "rules[0].do: there is no behaviour 'trottled'; did you mean 'throttled'?"),
        ("[[rules]]\ndo = 'xyz'", "rules[0].do: there is no behaviour 'xyz'; known are absent, "),
        ("[[rules]]\ntext = '('", "rules[0].text: '(' is no regular expression: missing ), "),
        ("[[rules]]\nshare = 2", "rules[0].share: expected `float` <= 1.0"),
        ("[[rules]]\n[[rules]]\nchange = { copies = 0 }", "rules[1].change: Expected `int` >= 1"),
        ("[[rules]]\nchange = { color = 'red' }", "rules[0].change: Object contains unknown field `color`"),
        ("[[rules]]\nchange = { status = 'BAD' }", "rules[0].change.status: 'BAD' is no status"),
        ("[[rules]]\nchange = { receipt_after_s = -2 }", "rules[0].change.receipt_after_s: a delay is seconds"),
        ("[behaviours.mine]\nstates = ['LOST']", "behaviours[...].states[0]: invalid enum value 'LOST'"),
        ("[behaviours.mine]\nanswer_after_s = [2, 1]", "behaviours.mine.answer_after_s: a delay is seconds"),
        ("[[events]]\ndo = 'drop'", "events[0]: say either after_s or every_s"),
        ("[[events]]\ndo = 'away'\nafter_s = 1", "events[0].seconds: say how long 'away' lasts"),
        ("[[events]]\ndo = 'sleep'", "events[0].do: invalid enum value 'sleep'"),
        (
            "[[events]]\ndo = 'refuse_binds'\nafter_s = 1\nseconds = 1\nstatus = 'NO'",
            "events[0].status: 'NO' is no status",
        ),
    ],
)
def test_a_mistake_is_refused_with_its_place(text: str, problem: str):
    with pytest.raises(ScenarioError) as error:
        parse(text)
    assert error.value.problems[0].startswith(problem)


def test_all_mistakes_of_meaning_are_told_at_once():
    with pytest.raises(ScenarioError) as error:
        parse("[[rules]]\ndo = 'a'\n[[rules]]\ndo = 'b'\n[[events]]\ndo = 'drop'")
    assert [problem.split(":")[0] for problem in error.value.problems] == ["rules[0].do", "rules[1].do", "events[0]"]


def test_an_empty_file_delivers_everything():
    assert parse("") == Scenario()
    assert choose("", {}) == ["delivered"]


def test_magic_numbers_work_in_every_country_and_can_be_switched_off():
    numbers = [{"to": country + "5550" + "42"} for country in ("33612", "447400", "1201", "+91987")]
    assert choose("", *numbers) == ["throttled"] * 4
    assert choose("magic_numbers = false", *numbers) == ["delivered"] * 4
    assert MAGIC["555042"] == "throttled"


def test_rules_go_before_magic_and_the_first_that_takes_a_message_decides():
    rules = "[[rules]]\nto = '+336*'\ndo = 'absent'\n[[rules]]\nto = '*'\ndo = 'barred'"
    assert choose(rules, {"to": "33612555042"}, {"to": "4912555042"}) == ["absent", "barred"]


def test_all_patterns_of_a_rule_have_to_fit():
    rules = "[[rules]]\nto = '336?2*'\nfrom = 'A*'\ntext = '(?i)code'\nsystem_id = 'acme'\ndo = 'busy'"
    fits = {"text": "Your CODE is"}
    others = [{"to": "33622"}, {"sender": "Bcme"}, {"text": "Your"}, {"system_id": "b"}]
    assert choose(rules, fits) == ["busy"]
    assert choose(rules, *({**fits, **other} for other in others)) == ["busy", "delivered", "delivered", "delivered"]
    assert choose(rules, {**fits, "to": "33711000000"}) == ["delivered"]


def test_rules_count_their_matches():
    assert choose("[[rules]]\nfirst = 2\ndo = 'absent'", *[{}] * 4) == ["absent"] * 2 + ["delivered"] * 2
    assert choose("[[rules]]\nevery = 3\ndo = 'absent'", *[{}] * 6) == (["delivered"] * 2 + ["absent"]) * 2
    assert choose("[[rules]]\nevery = 2\nfirst = 1\ndo = 'absent'", *[{}] * 4).count("absent") == 1


def test_a_share_is_about_that_share_and_repeatable():
    rules = "[[rules]]\nshare = 0.25\ndo = 'absent'"
    first = choose(rules, *[{}] * 2000)
    assert 400 < first.count("absent") < 600
    assert choose(rules, *[{}] * 2000) == first


@given(st.floats(0, 100), st.floats(0, 100), st.integers())
def test_delays_stay_within_their_bounds(a: float, b: float, seed: int):
    least, most = sorted((a, b))
    chance = random.Random(seed)
    assert seconds(least, chance) == least
    assert least <= seconds((least, most), chance) <= most
    assert seconds(Spread(mean=most, least=least), chance) >= least
    assert delay_problem((least, most)) is None


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(), lambda v: st.lists(v) | st.dictionaries(st.text(), v)
    )
)
def test_any_data_is_a_scenario_or_refused(data: Any):
    try:
        build(data)
    except ScenarioError as error:
        assert error.problems


def test_statuses_are_written_in_three_ways():
    assert status_code("ESME_RTHROTTLED") == status_code("rthrottled") == status_code("0x58") == 0x58
    assert status_code("0x00000401") == 0x401
    assert status_code("ESME_NONSENSE") is None and status_code("-1") is None


def test_the_behaviours_of_the_table_are_sound():
    for row in TABLE:
        build({"behaviours": {"it": {k: v for k, v in vars_of(row.behaviour).items() if v is not None}}})


def vars_of(behaviour: Behaviour) -> dict[str, Any]:
    return {name: getattr(behaviour, name) for name in behaviour.__struct_fields__}


# -- in the running operator


async def test_a_rule_changes_what_happens_over_tcp(operator: Any, customer: Any):
    await operator.post(
        "/scenario",
        'receipt_delay_s = 0\n[[rules]]\nto = "+49*"\ntext = "code"\ndo = "absent"\n'
        'change = { err = "061", copies = 2 }',
    )
    await customer.send("4915100000001", b"your code")
    await customer.send("4915100000001", b"your news")
    await customer.until(lambda: len(customer.receipts) == 3)
    assert sorted((r.state.name, r.err) for r in customer.receipts) == [
        ("DELIVERED", "000"),
        ("UNDELIVERABLE", "061"),
        ("UNDELIVERABLE", "061"),
    ]
    assert customer.order[0] == "response"  # even without a delay the response goes first


async def test_a_seed_repeats_chance(operator: Any, customer: Any):
    runs = []
    for seed in (11, 11, 12):
        await operator.post("/scenario", f'seed = {seed}\n[[rules]]\nshare = 0.5\ndo = "system_error_always"')
        answers = await asyncio.gather(*(customer.send(f"336120000{n:02}") for n in range(40)))
        runs.append([answer.command_status for answer in answers])
    assert runs[0] == runs[1] != runs[2]
    assert set(runs[0]) == {0, status.ESME_RSYSERR}


async def test_more_than_the_rate_is_throttled(operator: Any, customer: Any):
    await operator.post("/scenario", "submits_per_s = 20\nreceipt_delay_s = 9")
    answers = await asyncio.gather(*(customer.send("33612000001") for _ in range(60)))
    refused = [answer for answer in answers if answer.command_status == status.ESME_RTHROTTLED]
    assert 30 <= len(refused) <= 40
    await asyncio.sleep(0.2)
    assert (await customer.send("33612000001")).command_status == 0


async def test_more_than_the_window_is_throttled(operator: Any, customer: Any):
    await operator.post("/scenario", "window = 3\nresponse_delay_s = 0.2")
    answers = await asyncio.gather(*(customer.send("33612000001") for _ in range(8)))
    assert [answer.command_status for answer in answers].count(0) == 3


async def test_logins_are_checked_once_there_are_any(operator: Any, stranger: Any):
    await operator.post("/scenario", f'[logins]\n{stranger.system_id} = "right"')
    for password in ("wrong", ""):
        with pytest.raises(BindFailed, match="ESME_RINVPASWD"):
            await stranger.bind(password=password)
    await stranger.bind(password="right")


async def test_binds_can_be_refused_or_counted(operator: Any, stranger: Any):
    await operator.post("/scenario", 'refuse_binds = "ESME_RINVSYSID"')
    with pytest.raises(BindFailed, match="ESME_RINVSYSID"):
        await stranger.bind()
    await operator.post("/scenario", "max_binds = 1")
    await stranger.bind()
    with pytest.raises(BindFailed, match="ESME_RALYBND"):
        await stranger.bind()


async def test_congestion_is_told_to_peers_of_5_0_only(operator: Any, stranger: Any):
    await operator.post("/scenario", "congestion_state = 93")
    await stranger.bind(version=0x50)
    assert (await stranger.send("33612000001")).tlvs == [(0x0428, b"\x5d")]
    stranger.binds.pop().abort()
    await stranger.bind(version=0x34)
    assert (await stranger.send("33612000001")).tlvs == []


async def test_events_drop_binds_again_and_again(operator: Any, customer: Any):
    await operator.post("/scenario", '[[events]]\ndo = "drop"\nevery_s = 0.15')
    for count in (1, 2):
        await customer.until(lambda count=count: len(customer.lost) >= count)
        await customer.bind()


async def test_an_event_takes_the_operator_away_once(operator: Any, customer: Any):
    await operator.post("/scenario", '[[events]]\ndo = "away"\nafter_s = 0.05\nseconds = 0.8')
    await customer.until(lambda: customer.lost)
    with pytest.raises(ConnectionRefusedError):
        await customer.bind()
    await back(customer)
    await asyncio.sleep(0.2)
    assert len(customer.lost) == 1


async def test_events_throttle_and_refuse_binds(operator: Any, customer: Any):
    await operator.post(
        "/scenario",
        '[[events]]\ndo = "throttle"\nafter_s = 0\nseconds = 0.6\n'
        '[[events]]\ndo = "refuse_binds"\nafter_s = 0\nseconds = 0.6\nstatus = "0x0D"',
    )
    await asyncio.sleep(0.05)
    assert (await customer.send("33612000001")).command_status == status.ESME_RTHROTTLED
    with pytest.raises(BindFailed, match="ESME_RBINDFAIL"):
        await customer.bind()
    await asyncio.sleep(0.6)
    assert (await customer.send("33612000001")).command_status == 0
    await customer.bind()


async def back(customer: Any) -> None:
    """Binds as soon as the operator is there again."""
    async with asyncio.timeout(20):
        while True:
            try:
                await customer.bind()
                return
            except OSError:
                await asyncio.sleep(0.03)
