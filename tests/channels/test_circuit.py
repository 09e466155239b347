from __future__ import annotations

from chappe.channels.settings import Breaker
from chappe.channels.smpp.circuit import Circuit
from chappe.channels.smpp.pace import UNLIMITED

BREAKER = Breaker(failures=3, open_s=10.0, open_max_s=30.0)


def opened(now: float = 0.0) -> Circuit:
    circuit = Circuit(BREAKER)
    for _ in range(3):
        circuit.failed(now)
    return circuit


def test_it_opens_after_failures_in_a_row_only() -> None:
    circuit = Circuit(BREAKER)
    for _ in range(5):
        circuit.failed(0.0)
        circuit.failed(0.0)
        circuit.succeeded()
    assert circuit.room(0.0) == UNLIMITED
    assert opened().room(0.0) == 0


def test_after_a_while_one_message_may_ask() -> None:
    circuit = opened()
    assert circuit.is_open(9.9)
    assert circuit.wait(4.0) == 6.0
    assert circuit.room(9.9) == 0
    assert circuit.room(10.0) == 1
    circuit.sent()
    assert circuit.room(10.0) == 0
    circuit.succeeded()
    assert circuit.room(10.0) == UNLIMITED


def test_a_failed_probe_opens_it_for_longer_up_to_a_limit() -> None:
    circuit = opened()
    now = 0.0
    for length in (10.0, 20.0, 30.0, 30.0):
        assert circuit.wait(now) == length
        now += length
        circuit.sent()
        circuit.failed(now)
    circuit.succeeded()
    for _ in range(3):
        circuit.failed(now)
    assert circuit.wait(now) == 10.0


def test_late_failures_do_not_prolong_an_open_circuit() -> None:
    circuit = opened()
    circuit.failed(9.0)
    assert circuit.room(10.0) == 1


def test_a_lost_connection_leaves_a_probe_for_the_next_one() -> None:
    circuit = Circuit(BREAKER)
    circuit.cut(5.0)
    assert not circuit.is_open(5.0)
    assert circuit.room(5.0) == 1
    circuit.sent()
    circuit.cut(6.0)
    assert circuit.room(6.0) == 1
