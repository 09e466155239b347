"""The rules of states, for every order of news."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from chappe.messages.model import RANK, PartState, State, may_become, reference, state_of_parts


@given(st.lists(st.sampled_from(State), max_size=12))
def test_a_rank_never_falls(news: list[State]) -> None:
    state = State.QUEUED
    for new in news:
        if may_become(state, new):
            assert RANK[new] > RANK[state]
            state = new


@given(st.sampled_from([State.EXPIRED, State.UNCONFIRMED, State.UNDELIVERED]))
def test_a_late_delivery_lifts_what_time_has_closed(closed: State) -> None:
    assert may_become(closed, State.DELIVERED)
    assert not may_become(State.DELIVERED, closed)


@given(st.sampled_from([State.FAILED, State.CANCELED]), st.sampled_from(State))
def test_what_was_refused_or_taken_back_stays_so(settled: State, news: State) -> None:
    assert not may_become(settled, news)


@given(st.lists(st.sampled_from(PartState), min_size=1, max_size=10))
def test_delivered_means_every_part(parts: list[PartState]) -> None:
    state = state_of_parts(parts, len(parts))
    assert (state is State.DELIVERED) == all(part is PartState.DELIVERED for part in parts)
    assert state_of_parts([PartState.DELIVERED] * (len(parts)), len(parts) + 1) is None


@given(st.integers(min_value=0, max_value=2**63 - 2))
def test_references_fit_and_differ_between_neighbours(number: int) -> None:
    assert 0 <= reference(number) < 65536
    assert reference(number) == reference(number)


def test_references_of_one_second_spread() -> None:
    base = 400_000_000_000 << 21
    assert len({reference(base + (ms << 21)) & 0xFF for ms in range(1000)}) > 200
