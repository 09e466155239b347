"""Who is chosen, demoted and taken back, in simulated time with seeded dice."""

from __future__ import annotations

import heapq
import random
import timeit
from collections.abc import Callable

import pytest

from chappe.routing.quality.chooser import EXPLORE, Chooser
from chappe.routing.quality.evidence import Evidence
from chappe.routing.quality.judge import judge
from chappe.routing.quality.model import DELIVERED, EVERYWHERE, FAILED, REFUSED, SENT, Demotion, Key, Verdict

NOW = 1_800_000_000_000
DAY = 86_400
PLACE = "20801"


class World:
    """Messages that leave by the connector with the best score, and receipts that come when they come."""

    def __init__(self, share: float = 0.03, seed: int = 5) -> None:
        self.dice = random.Random(seed)
        self.evidence = Evidence(7_200_000)
        self.chooser = Chooser(self.evidence, share)
        self.demotions: dict[Key, Demotion] = {}
        self.epochs: dict[Key, int] = {}
        self.times: dict[Key, int] = {}
        self.log: list[tuple[float, str, Key, str]] = []
        self.now = NOW
        self.chosen: list[int] = []
        self._due: list[tuple[int, int, int, int, str, str]] = []
        self._number = 0

    def seconds(self) -> float:
        return (self.now - NOW) / 1000

    def send(
        self, connector: int, rate: float, place: str = PLACE, country: str = "FR", *, refuse: bool = False
    ) -> None:
        self._number += 1
        if refuse:
            self.evidence.count(connector, place, country, self.now, REFUSED)
            return
        self.evidence.count(connector, place, country, self.now, SENT)
        if self.dice.random() < rate:
            delay = round(self.dice.lognormvariate(8.2, 0.8))  # some 3.6 s, a tenth over 10 s
            heapq.heappush(self._due, (self.now + delay, self._number, self.now, connector, place, country))

    def choose(self, connectors: list[int], place: str = PLACE) -> int:
        seed = self._number * 8192 + self.now

        def score(connector: int) -> float:
            down = any((connector, level) in self.demotions for level in (place, "FR", EVERYWHERE))
            return self.chooser.score(connector, place, seed, down)

        return max(connectors, key=score)

    def second(self, messages: Callable[[], None]) -> None:
        """A second of traffic, then the chores that come each second and every other one."""
        messages()
        self.now += 1_000
        while self._due and self._due[0][0] <= self.now:
            at, _, sent_at, connector, place, country = heapq.heappop(self._due)
            self.evidence.count(connector, place, country, sent_at, DELIVERED, 1, at - sent_at)
        for key in self.evidence.fold(self.now):
            self.chooser.draw(*key)
        if self.now // 1_000 % 2 == 0:
            self.judge()

    def judge(self) -> None:
        for verdict in verdicts(self, self.now):
            said = verdict.demotion
            key = (said.connector_id, said.place)
            if verdict.restored is None:
                self.demotions[key], self.times[key] = said, said.times
                self.log.append((self.seconds(), "down", key, said.reason))
            else:
                del self.demotions[key]
                self.log.append((self.seconds(), "up", key, verdict.restored))
            self.epochs = {**self.epochs, key: self.now}
            self.evidence.follow(self.epochs)

    def run(self, seconds: int, rates: dict[int, float], a_second: int) -> dict[int, int]:
        """Messages to one place by the best; how many left by each."""
        count = dict.fromkeys(rates, 0)

        def messages() -> None:
            for _ in range(a_second):
                connector = self.choose(list(rates))
                count[connector] += 1
                self.send(connector, rates[connector])

        for _ in range(seconds):
            self.second(messages)
        return count

    def warm(self, rates: dict[int, float], seconds: int = 600, a_second: int = 4) -> None:
        """Traffic by all connectors alike."""

        def messages() -> None:
            for connector, rate in rates.items():
                for _ in range(a_second):
                    self.send(connector, rate)

        for _ in range(seconds):
            self.second(messages)


def verdicts(world: World, now: int) -> list[Verdict]:
    return [one for some in judge(world.evidence, world.demotions, world.times, now) for one in some]


# -- the bandit -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_better_of_two_routes_is_found_and_the_other_still_measured(seed: int) -> None:
    world = World(seed=seed)
    first = world.run(240, {1: 0.90, 2: 0.80}, 10)
    later = world.run(240, {1: 0.90, 2: 0.80}, 10)
    assert later[1] > 0.85 * sum(later.values()), later
    assert later[2] >= 0.005 * sum(later.values()), "the exploration share keeps measuring it"
    lost = (first[2] + later[2]) * 0.10
    assert lost < 0.25 * 0.10 * 4_800, "a quarter of what choosing blindly twice over would lose"


def test_the_regret_grows_ever_more_slowly() -> None:
    wasted = [0, 0, 0]
    for seed in range(4):
        world = World(share=0.0, seed=seed)
        for phase in range(3):
            wasted[phase] += world.run(150, {1: 0.95, 2: 0.80}, 10)[2]
    assert wasted[2] < wasted[0] / 2, wasted


def test_a_new_route_is_tried_without_being_fed() -> None:
    world = World()
    world.warm({1: 0.95}, seconds=120)
    tried = world.run(30, {1: 0.95, 2: 0.0}, 10)
    assert 5 < tried[2] < 150, tried


def test_a_demoted_route_gets_its_part_of_the_exploration_share_alone() -> None:
    world = World(share=0.04)
    world.warm({1: 0.9, 2: 0.9}, seconds=60)
    scores = [
        (world.chooser.score(1, PLACE, seed, True), world.chooser.score(2, PLACE, seed, False))
        for seed in range(0, 4_000_000, 97)
    ]
    for demoted, other in scores:
        assert (demoted >= EXPLORE) == (other >= EXPLORE)
        assert demoted >= EXPLORE or demoted < 0 <= other
    won = sum(demoted > other for demoted, other in scores) / len(scores)
    assert 0.016 < won < 0.024


def test_a_score_is_the_same_for_the_same_message_and_takes_less_than_two_microseconds() -> None:
    world = World()
    world.warm({1: 0.9}, seconds=30)
    score = world.chooser.score
    assert [score(1, PLACE, seed, False) for seed in range(99)] == [score(1, PLACE, seed, False) for seed in range(99)]
    assert len({score(1, PLACE, seed << 21, False) for seed in range(999)}) > 50
    best = min(timeit.repeat(lambda: score(1, PLACE, 7_654_321_987, False), number=20_000, repeat=5)) / 20_000
    assert best < 4e-6  # twice the budget, for busy machines


# -- demotion -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("how", ["silent", "refused"])
def test_a_dying_route_is_left_within_a_minute_and_comes_back_when_it_works_again(seed: int, how: str) -> None:
    world = World(seed=seed)
    world.warm({1: 0.96, 2: 0.93}, seconds=400)
    assert world.log == []
    died = world.seconds()
    rates = {1: 0.0, 2: 0.93}

    def messages() -> None:
        for _ in range(10):
            connector = world.choose([1, 2])
            world.chosen.append(connector)
            world.send(connector, rates[connector], refuse=how == "refused" and rates[connector] == 0)

    for _ in range(120):
        world.second(messages)
    at, what, key, reason = world.log[0]
    assert (what, key) == ("down", (1, PLACE)) and at - died <= 60, world.log
    assert "usual" in reason and ("refused" if how == "refused" else "no receipt") in reason
    assert world.chosen[-200:].count(1) < 15
    assert [entry[1] for entry in world.log] == ["down"]
    rates[1] = 0.96
    for _ in range(900):
        world.second(messages)
    assert [entry[1] for entry in world.log] == ["down", "up"], world.log
    assert world.demotions == {}
    assert world.chosen[-2_000:].count(1) > 600, "it is used again"


def test_a_quiet_route_that_dies_is_left_after_some_dozens_of_messages() -> None:
    world = World()
    world.warm({1: 0.95}, seconds=400, a_second=1)

    def one_in_ten_seconds() -> None:
        if world.now // 1_000 % 10 == 0:
            world.send(1, 0.0)

    for _ in range(680):
        world.second(one_in_ten_seconds)
    assert [entry[1] for entry in world.log] == ["down"]
    assert world.log[0][0] - 400 < 660, "some sixty messages"


@pytest.mark.parametrize("seed", range(2))
def test_steady_routes_are_left_alone(seed: int) -> None:
    world = World(seed=seed)
    world.warm({1: 0.92, 2: 0.88, 3: 0.95}, seconds=1_500, a_second=1)
    assert world.log == []


def test_nobody_is_demoted_for_what_an_operator_lost_for_all() -> None:
    world = World()
    world.warm({1: 0.95, 2: 0.94, 3: 0.95}, seconds=400)
    world.warm({1: 0.45, 2: 0.44, 3: 0.46}, seconds=120)
    assert world.log == []


def test_one_that_is_clearly_worse_than_the_best_is_demoted_with_both_figures() -> None:
    world = World()
    world.warm({1: 0.95, 2: 0.60}, seconds=120)
    [(_, what, key, reason)] = world.log
    assert (what, key) == ("down", (2, PLACE)) and "best other connector" in reason
    assert world.demotions[2, PLACE].evidence["other_connector_id"] == 1
    world.warm({1: 0.95, 2: 0.60}, seconds=600)
    assert len(world.log) == 1, "it does not come back for being as bad as ever"


def test_what_falls_at_many_quiet_places_is_judged_together() -> None:
    world = World()
    places = [("20801", "FR"), ("20810", "FR"), ("20820", "FR"), ("26201", "DE"), ("26202", "DE"), ("23415", "GB")]

    def to_all(rate: float) -> Callable[[], None]:
        def messages() -> None:
            place, country = places[world.now // 1_000 % len(places)]
            world.send(1, rate, place, country)

        return messages

    for _ in range(900):
        world.second(to_all(0.95))
    assert world.log == []
    for _ in range(60):
        world.second(to_all(0.0))
    assert world.log and world.log[0][2] in {(1, EVERYWHERE), (1, "FR"), (1, "DE")}, world.log


def test_a_demotion_holds_longer_each_time_and_ends_after_a_day() -> None:
    world = World()
    world.warm({1: 0.95}, seconds=300)
    world.times = {(1, PLACE): 3}

    def four_lost() -> None:
        for _ in range(4):
            world.send(1, 0.0)

    for _ in range(60):
        world.second(four_lost)
    demotion = world.demotions[1, PLACE]
    assert demotion.times == 4 and demotion.hold_until - demotion.since == 480_000
    [verdict] = verdicts(world, demotion.since + DAY * 1_000)
    assert verdict.restored == "a day has passed: it is tried again"


def test_failed_receipts_count_at_once() -> None:
    world = World()
    world.warm({1: 0.95}, seconds=300)

    def rejected() -> None:
        for _ in range(10):
            world.evidence.count(1, PLACE, "FR", world.now, SENT)
            world.evidence.count(1, PLACE, "FR", world.now, FAILED)

    for _ in range(12):
        world.second(rejected)
    assert world.log and world.log[0][0] - 300 <= 12
