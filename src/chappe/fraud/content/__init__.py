"""Content checks: what a text has in it that its reader, an operator or the law would mind. Pure functions and data.

`check` is the door. It answers allow, review or block with every finding explained; a policy says what becomes of
which finding. Nobody is asked over the network and nothing is fetched.
"""

from chappe.fraud.content.brands import NO_BRANDS, Brand, Brands, Match
from chappe.fraud.content.checks import Found, check, examine, finding
from chappe.fraud.content.model import (
    CLEAN,
    USUAL,
    Action,
    Code,
    Decision,
    Facts,
    Finding,
    Policy,
    codes,
    decide,
    policy_from,
)
from chappe.fraud.content.shorteners import Shortener, shorteners

__all__ = [
    "CLEAN",
    "NO_BRANDS",
    "USUAL",
    "Action",
    "Brand",
    "Brands",
    "Code",
    "Decision",
    "Facts",
    "Finding",
    "Found",
    "Match",
    "Policy",
    "Shortener",
    "check",
    "codes",
    "decide",
    "examine",
    "finding",
    "policy_from",
    "shorteners",
]
