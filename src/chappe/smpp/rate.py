"""A token bucket: the rate of a bind or of a customer. A window bounds what is unanswered, it is no rate limit."""

from __future__ import annotations


class Bucket:
    """`rate` tokens a second, at most `burst` of them saved up; starts full. Times are monotonic seconds."""

    __slots__ = ("_at", "_tokens", "burst", "rate")

    def __init__(self, rate: float, burst: float, now: float) -> None:
        if rate <= 0 or burst < 1:
            raise ValueError("a rate above 0 and a burst of at least 1 are wanted")
        self.rate = rate
        self.burst = burst
        self._tokens = burst
        self._at = now

    def take(self, now: float) -> bool:
        """Takes a token if one is there."""
        self._refill(now)
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True

    def take_up_to(self, wanted: int, now: float) -> int:
        """Takes as many whole tokens as there are, at most `wanted`; returns how many."""
        self._refill(now)
        taken = min(wanted, int(self._tokens))
        self._tokens -= taken
        return taken

    def wait(self, now: float) -> float:
        """Seconds until the next token; 0 when one is there."""
        self._refill(now)
        return max(0.0, (1 - self._tokens) / self.rate)

    def drain(self, now: float) -> None:
        """Empties the bucket: the peer has just said RTHROTTLED."""
        self._refill(now)
        self._tokens = 0

    def _refill(self, now: float) -> None:
        if now > self._at:
            self._tokens = min(self.burst, self._tokens + (now - self._at) * self.rate)
            self._at = now
