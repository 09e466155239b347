"""Argon2id for SMPP passwords.

A bind is rare and its password short, so the hash is cheap: 12 MiB, 3 passes, 1 lane (a set of the OWASP password
storage cheat sheet), about 10 ms. What slows a guesser down is the back-off in `binds.py`.
"""

from __future__ import annotations

import secrets

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

_HASHER = PasswordHasher(time_cost=3, memory_cost=12 * 1024, parallelism=1)
_LETTERS = "abcdefghjkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789"  # none that look alike
NOBODY = _HASHER.hash(secrets.token_hex(16))  # what an unknown user is checked against: it costs the same


def hash_password(password: str) -> str:
    return _HASHER.hash(password)


def password_matches(password_hash: str, password: str) -> bool:
    """In constant time for hashes of the same parameters; False for what is no hash."""
    try:
        return _HASHER.verify(password_hash, password.encode("utf-8", "surrogatepass"))
    except (VerificationError, InvalidHashError):
        return False


def new_password(length: int = 8) -> str:
    return "".join(secrets.choice(_LETTERS) for _ in range(length))
