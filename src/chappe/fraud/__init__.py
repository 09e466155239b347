"""Fraud: what is in texts (`content/`), what becomes of them (`firewall/`), and the domains that accounts may link
to."""

from __future__ import annotations

from chappe.fraud.allowing import (
    MAX_DOMAINS,
    create_domain,
    delete_domain,
    found_domain,
    update_domain,
    usable,
    wire_domain,
)
from chappe.fraud.firewall.counting import Count, Growth, counts
from chappe.fraud.firewall.holding import hold
from chappe.fraud.firewall.judging import Check, Firewall, Judged, Subject
from chappe.fraud.firewall.policy import EVERYONES, FirewallPolicy, Layer, Mode, Policies, PolicyLayer, WarmUp
from chappe.fraud.firewall.review import DAYS, Decided, Held, Noted, Review, State
from chappe.fraud.firewall.store import REVIEWS_ROOM
from chappe.fraud.firewall.verbs import decide_review, drop_layer, found_review, reviews, set_layer
from chappe.fraud.firewall.waiting import (
    drop_held,
    end_review,
    held_of,
    in_review,
    let_go,
    let_go_after,
    oldest_open,
    open_reviews,
    settled,
    unsettled,
    waiting,
)
from chappe.fraud.model import Domain, Domains, Status
from chappe.fraud.room import domains, firewall, growths, policies, policy_of, start, warm_up_limit
from chappe.fraud.store import DOMAINS, ROOM

__all__ = [
    "DAYS",
    "DOMAINS",
    "EVERYONES",
    "MAX_DOMAINS",
    "REVIEWS_ROOM",
    "ROOM",
    "Check",
    "Count",
    "Decided",
    "Domain",
    "Domains",
    "Firewall",
    "FirewallPolicy",
    "Growth",
    "Held",
    "Judged",
    "Layer",
    "Mode",
    "Noted",
    "Policies",
    "PolicyLayer",
    "Review",
    "State",
    "Status",
    "Subject",
    "WarmUp",
    "counts",
    "create_domain",
    "decide_review",
    "delete_domain",
    "domains",
    "drop_held",
    "drop_layer",
    "end_review",
    "firewall",
    "found_domain",
    "found_review",
    "growths",
    "held_of",
    "hold",
    "in_review",
    "let_go",
    "let_go_after",
    "oldest_open",
    "open_reviews",
    "policies",
    "policy_of",
    "reviews",
    "set_layer",
    "settled",
    "start",
    "unsettled",
    "update_domain",
    "usable",
    "waiting",
    "warm_up_limit",
    "wire_domain",
]
