"""What the chain keeps of a person: a commitment to it, which tells nothing once its salt is gone. Pure."""

from __future__ import annotations

import hashlib
import secrets

import msgspec

from chappe.consent.model import Proof

SALT = 16  # octets


def new_salt() -> bytes:
    return secrets.token_bytes(SALT)


def canonical(proof: Proof) -> bytes:
    """JSON with its keys in order and without what is empty: the same wherever it is written."""
    return msgspec.json.encode(proof, order="sorted")


def commitment(salt: bytes, proof: bytes) -> bytes:
    """SHA-256 over the salt and the canonical proof."""
    return hashlib.sha256(salt + proof).digest()
