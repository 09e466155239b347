"""How fast a connector may send: its rate as a token bucket, and what the supplier lets through when it throttles.

After RTHROTTLED nothing leaves for a pause that doubles each time, and then at half the rate that was seen; every quiet
second raises it by a tenth until the configured rate is back (additive increase, multiplicative decrease).
"""

from __future__ import annotations

from typing import Final

UNLIMITED: Final = 1 << 30
_SLOWEST: Final = 1.0  # messages per second
_DECREASE: Final = 0.5
_INCREASE: Final = 0.1
_SETTLED_S: Final = 1.0  # between two steps of the increase
_BATCH_S: Final = 0.01  # a sender that waits for tokens is woken for what this time brings, not for every one


class Pace:
    """`rate` messages a second (None: as fast as windows allow), `burst` at once. Times are monotonic seconds.

    With `share` a part of both is kept to: the rest is that of other nodes, so that the sum never exceeds the whole.
    """

    __slots__ = (
        "_at",
        "_back_off",
        "_burst",
        "_ceiling",
        "_count",
        "_counted_since",
        "_last_count",
        "_paused_until",
        "_rate",
        "_stepped_at",
        "_throttled_at",
        "_tokens",
        "_whole",
        "limit",
    )

    def __init__(self, rate: float | None, burst: float | None, now: float) -> None:
        self._whole = (rate, burst or max(1.0, rate or 0.0))
        self._rate = rate
        self._burst = self._whole[1]
        self.limit = rate
        """Messages per second now; None for no limit."""
        self._tokens = self._burst
        self._at = now
        self._paused_until = now
        self._throttled_at = -1.0
        self._back_off = 0.0
        self._ceiling = 0.0  # at which an adaptive limit of a connector without a rate is lifted
        self._stepped_at = now
        self._count = 0  # sent since `_counted_since`, for the rate that was really reached
        self._last_count = 0.0
        self._counted_since = now

    def share(self, part: float, now: float) -> None:
        """From now on this part of the whole is ours, more than 0 and up to 1. What others may just have spent is not
        saved up for us: a larger share begins with the tokens of the smaller one.
        """
        rate, burst = self._whole
        if rate is None or self.limit is None:
            return
        self._refill(now)
        ours, self._rate = self._rate, rate * part
        self.limit = self._rate if self.limit == ours else min(self._rate, self.limit * self._rate / (ours or rate))
        self._burst = max(1.0, burst * part)  # less than a message would never be one
        self._tokens = min(self._tokens, self._burst)

    def empty(self) -> None:
        """Begin without a burst: others may just have had it."""
        self._tokens = 0.0

    def room(self, now: float) -> int:
        """Messages that may leave now."""
        if now < self._paused_until:
            return 0
        if self.limit is None:
            return UNLIMITED
        self._refill(now)
        return int(self._tokens)

    def take(self, count: int, now: float) -> None:
        if self.limit is not None:
            self._tokens -= count
        self._count += count
        if now - self._counted_since >= 1.0:
            self._last_count = self._count / (now - self._counted_since)
            self._count = 0
            self._counted_since = now

    def wait(self, now: float) -> float:
        """Seconds until there is room worth waking for; 0 when there is."""
        paused = self._paused_until - now
        if paused > 0 or self.limit is None:
            return max(0.0, paused)
        self._refill(now)
        if self._tokens >= 1:
            return 0.0
        wanted = max(1.0, min(self.limit * _BATCH_S, self._most(self.limit)))
        return (wanted - self._tokens) / self.limit

    @property
    def slowed(self) -> bool:
        """Whether the supplier has slowed us down."""
        return self.limit != self._rate or self._back_off > 0

    def throttled(self, now: float, sent_at: float, least_s: float, most_s: float) -> None:
        """A message sent at `sent_at` was refused for the rate. The rest of the same window says nothing new."""
        if now < self._paused_until or sent_at <= self._throttled_at:
            return
        self._back_off = min(max(least_s, self._back_off * 2), most_s)
        self._paused_until = max(self._paused_until, now + self._back_off)
        self._slow_down(now, _DECREASE)
        self._throttled_at = now

    def congested(self, now: float) -> None:
        """The supplier nears its limits (congestion_state above 90): a little slower, at most once a second."""
        if now - self._stepped_at >= _SETTLED_S:
            self._slow_down(now, 1 - _INCREASE)

    def accepted(self, now: float, sent_at: float) -> None:
        """A message was taken. Only needed while `slowed`."""
        if sent_at > self._throttled_at:
            self._back_off = 0.0
        if self.limit is None or now - self._stepped_at < _SETTLED_S:
            return
        self._stepped_at = now
        self.limit += max(self._slowest, self.limit * _INCREASE)
        if self.limit >= (self._rate or self._ceiling):
            self.limit = self._rate

    @property
    def _slowest(self) -> float:
        return _SLOWEST if self._rate is None else min(_SLOWEST, self._rate)

    def _slow_down(self, now: float, factor: float) -> None:
        seen = max(self._last_count, float(self._count), self._slowest)
        base = seen if self.limit is None else min(seen, self.limit)
        if self._rate is None:
            self._ceiling = max(2 * seen, self._ceiling if self.limit is not None else 0.0)
        self.limit = max(self._slowest, base * factor)
        self._tokens = min(self._tokens, 1.0)
        self._at = max(now, self._paused_until)
        self._stepped_at = self._at

    def _refill(self, now: float) -> None:
        if self.limit is not None and now > self._at:
            self._tokens = min(self._most(self.limit), self._tokens + (now - self._at) * self.limit)
            self._at = now

    def _most(self, limit: float) -> float:
        """Tokens that are saved up: the burst, or a second's worth of a rate that the supplier brought down."""
        return (
            self._burst if limit == self._rate else min(self._burst, max(1.0, limit)) if self._rate else max(1.0, limit)
        )
