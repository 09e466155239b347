"""The circuit breaker of a connector: leaves a failing supplier alone, then asks with one message if it is well."""

from __future__ import annotations

from typing import Final, Literal

from chappe.channels.settings import Breaker
from chappe.channels.smpp.pace import UNLIMITED

State = Literal["closed", "open", "probing"]
_GROWTH: Final = 2


class Circuit:
    """Opens after `failures` in a row, for `open_s`, longer each time it fails again. Times are monotonic seconds."""

    __slots__ = ("_breaker", "_failures", "_open_s", "_until", "state")

    def __init__(self, breaker: Breaker) -> None:
        self.state: State = "closed"
        self._breaker = breaker
        self._failures = 0
        self._open_s = 0.0
        self._until = 0.0

    @property
    def spotless(self) -> bool:
        """Closed and without a failure: a success would be no news."""
        return self.state == "closed" and not self._failures

    def is_open(self, now: float) -> bool:
        """Whether nothing may be sent, not even a probe, until some time has passed."""
        return self.state == "open" and now < self._until

    def room(self, now: float) -> int:
        """Unlimited, nothing, or one message as a probe."""
        if self.state == "closed":
            return UNLIMITED
        return 0 if self.state == "probing" or now < self._until else 1

    def wait(self, now: float) -> float:
        """Seconds until a probe may leave; 0 when that is not a matter of time."""
        return max(0.0, self._until - now) if self.state == "open" else 0.0

    def sent(self) -> None:
        """A message leaves: the probe, unless the circuit is closed."""
        if self.state == "open":
            self.state = "probing"

    def succeeded(self) -> None:
        """The supplier has answered like one that works, be it with a refusal of this message."""
        self.state = "closed"
        self._failures = 0
        self._open_s = 0.0

    def failed(self, now: float) -> None:
        """A system error or no answer. What was sent before the circuit opened does not prolong it."""
        if self.state == "open":
            return
        self._failures += 1
        if self.state == "probing" or self._failures >= self._breaker.failures:
            self._open_s = min(max(self._breaker.open_s, self._open_s * _GROWTH), self._breaker.open_max_s)
            self._until = now + self._open_s
            self.state = "open"

    def cut(self, now: float) -> None:
        """No session is left: the first message of the next one is a probe."""
        self._until = max(self._until, now) if self.state == "open" else now
        self.state = "open"
