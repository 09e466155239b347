"""What becomes of the money of a message. Pure.

A message holds its price from the moment it is accepted, until it is charged or given back. Which of the two, and when,
its account's contract says: charged when a supplier takes it (on submit), or when it is delivered. What a supplier asks
is booked by the supplier's contract, likewise. Both are kept with the message in a few bits, so that whoever settles it
needs nothing else, whatever the contracts say by then.
"""

from __future__ import annotations

HELD, CHARGED, GIVEN_BACK = 1, 2, 3
_CUSTOMER = 3
ON_DELIVERY = 4  # the customer is charged when it is delivered, not when it is taken
COST_ON_DELIVERY = 8
COST_BOOKED = 16
WORDS = ("none", "held", "charged", "given_back")

PER_UNIT = 1_000_000  # micro-units


def agreed(price: int | None, *, on_delivery: bool, cost_on_delivery: bool) -> int:
    """The bits of a message that is accepted; a `price` of None is not billed."""
    bits = (ON_DELIVERY if on_delivery else 0) | (COST_ON_DELIVERY if cost_on_delivery else 0)
    return bits if price is None else bits | HELD


def state_of(money: int) -> int:
    """0, HELD, CHARGED or GIVEN_BACK."""
    return money & _CUSTOMER


def settled(money: int, *, taken: bool, delivered: bool, final: bool, costs: bool) -> int:
    """The bits once a message has come so far: `taken` by a supplier, `delivered`, at its (so far) last state.

    What is charged stays so; what was given back is charged after all when it turns out delivered. `costs`: there is a
    cost to book.
    """
    state = money & _CUSTOMER
    due = delivered if money & ON_DELIVERY else taken
    if state in (HELD, GIVEN_BACK) and due:
        money = money & ~_CUSTOMER | CHARGED
    elif state == HELD and final:
        money = money & ~_CUSTOMER | GIVEN_BACK
    if costs and (delivered if money & COST_ON_DELIVERY else taken):
        money |= COST_BOOKED
    return money


def decimal(micros: int) -> str:
    """Micro-units as a decimal string without needless zeros, two places at least: 72500 is "0.0725"."""
    sign, whole = "-" if micros < 0 else "", abs(micros)
    fraction = f"{whole % PER_UNIT:06d}".rstrip("0")
    return f"{sign}{whole // PER_UNIT}.{fraction:0<2}"
