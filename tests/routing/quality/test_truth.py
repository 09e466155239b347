"""The truth score: made-up receipts are told from honest ones, each by what gives it away."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from chappe.routing.quality.chooser import Chooser
from chappe.routing.quality.evidence import Evidence
from chappe.routing.quality.model import CONVERTED, DELIVERED, FAILED, SENT, TOLD
from chappe.routing.quality.truth import Canaries, Truth, assess, trust

NOW = 1_800_000_000_000
PLACE, FLOOR = "20801", 300
Delay = Callable[[random.Random], int]


def natural(dice: random.Random) -> int:
    return round(dice.lognormvariate(8.3, 1.1))


def traffic(
    evidence: Evidence,
    connector: int,
    *,
    sent: int = 800,
    rate: float = 0.93,
    delay: Delay = natural,
    told: int = 0,
    conversion: float = 0.0,
    place: str = PLACE,
) -> None:
    dice = random.Random(connector)
    for number in range(sent):
        at = NOW + number * 1_000
        evidence.count(connector, place, "FR", at, SENT)
        if dice.random() < rate:
            evidence.count(connector, place, "FR", at, DELIVERED, 1, delay(dice))
        else:
            evidence.count(connector, place, "FR", at, FAILED)
        if number < told:
            evidence.count(connector, place, "FR", at, TOLD)
            if dice.random() < conversion:
                evidence.count(connector, place, "FR", at, CONVERTED)
    evidence.fold(NOW + 1_800_000)


def told_of(evidence: Evidence, connector: int, hits: int = 0) -> Truth:
    canaries = {(connector, PLACE): Canaries(hits, NOW)} if hits else {}
    return assess(evidence, connector, canaries, FLOOR)


@pytest.mark.parametrize("seed", range(4))
def test_nothing_speaks_against_honest_routes(seed: int) -> None:
    evidence = Evidence(7_200_000)
    traffic(evidence, 10 + seed, rate=0.97, told=300, conversion=0.62)
    traffic(
        evidence, 20 + seed, rate=0.93, told=300, conversion=0.58, delay=lambda d: round(d.lognormvariate(9.0, 0.9))
    )
    for connector in (10 + seed, 20 + seed):
        found = told_of(evidence, connector)
        assert (found.score, found.items) == (98, ()), found
        assert found.receipts > 500


def test_receipts_that_no_phone_can_have_sent_so_soon_speak_against_a_route() -> None:
    evidence = Evidence(7_200_000)
    traffic(evidence, 1)
    traffic(evidence, 2, delay=lambda dice: dice.randint(20, 400))
    found = told_of(evidence, 2)
    kinds = {item.kind: item for item in found.items}
    assert kinds["too_fast"].sure == "strong" and "sooner than a phone" in kinds["too_fast"].words
    assert kinds["too_fast"].figures["other_share"] < 0.05
    assert found.score < 60 and told_of(evidence, 1).score == 98


def test_a_fast_network_is_no_reason_to_suspect_one_route_of_it() -> None:
    evidence = Evidence(7_200_000)
    for connector in (1, 2):
        traffic(evidence, connector, delay=lambda dice: round(dice.lognormvariate(5.6, 1.0)))
    assert told_of(evidence, 1).score == told_of(evidence, 2).score == 98


def test_receipts_that_take_the_same_time_speak_against_a_route() -> None:
    evidence = Evidence(7_200_000)
    traffic(evidence, 1)
    traffic(evidence, 2, delay=lambda dice: dice.randint(3_800, 4_200))
    [item] = told_of(evidence, 2).items
    assert (item.kind, item.sure) == ("too_even", "strong") and item.figures["spread"] < 0.2
    assert told_of(evidence, 2).score < 80
    alone = Evidence(7_200_000)
    traffic(alone, 2, delay=lambda dice: dice.randint(3_900, 4_000))
    assert [item.sure for item in told_of(alone, 2).items] == ["moderate"]


def test_a_route_on_which_no_phone_is_ever_off_is_suspected_a_little() -> None:
    evidence = Evidence(7_200_000)
    traffic(evidence, 1, rate=0.94)
    traffic(evidence, 2, rate=1.0)
    [item] = told_of(evidence, 2).items
    assert (item.kind, item.sure) == ("never_fails", "weak") and told_of(evidence, 2).score >= 90


def test_a_delivery_to_a_canary_is_proof() -> None:
    evidence = Evidence(7_200_000)
    traffic(evidence, 1)
    assert told_of(evidence, 1, hits=1).score == 5
    assert told_of(evidence, 1, hits=3).score == 0
    [item] = told_of(evidence, 1, hits=3).items
    assert (item.kind, item.sure, item.sample) == ("canary", "proof", 3) and item.words.startswith("3 messages")


def test_deliveries_without_effect_speak_against_a_route_and_honest_failures_do_not() -> None:
    evidence = Evidence(7_200_000)
    traffic(evidence, 1, told=300, conversion=0.6)
    traffic(evidence, 2, rate=0.97, told=300, conversion=0.2)
    [item] = told_of(evidence, 2).items
    assert item.kind == "conversion" and item.figures["chance"] < 1e-4 and item.figures["other_conversion"] > 0.5
    assert told_of(evidence, 2).score < 40
    traffic(evidence, 3, rate=0.5, told=300, conversion=0.3)  # it loses messages, and says so
    assert told_of(evidence, 3).items == ()


def test_pieces_of_evidence_strengthen_each_other_and_many_places_do_not() -> None:
    evidence = Evidence(7_200_000)
    traffic(evidence, 1)
    traffic(evidence, 2, delay=lambda dice: dice.randint(90, 110))
    both = told_of(evidence, 2)
    assert {item.kind for item in both.items} == {"too_fast", "too_even"} and both.score < 10
    traffic(evidence, 2, delay=lambda dice: dice.randint(90, 110), place="20810")
    assert len(told_of(evidence, 2).items) == 4 and told_of(evidence, 2).score == both.score


def test_who_is_not_believed_is_not_chosen() -> None:
    evidence = Evidence(7_200_000)
    traffic(evidence, 1, rate=0.90)
    traffic(evidence, 2, rate=1.0, delay=lambda dice: dice.randint(90, 110))
    chooser = Chooser(evidence, 0.0)
    seeds = range(0, 10**9, 5_000_011)

    def wins() -> float:
        return sum(chooser.score(2, PLACE, s, False) > chooser.score(1, PLACE, s, False) for s in seeds) / len(seeds)

    assert wins() > 0.9
    chooser.trust = {(2, PLACE): trust(evidence, (2, PLACE), {}, FLOOR)}
    chooser.forget()
    assert wins() < 0.05
