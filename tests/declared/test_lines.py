from __future__ import annotations

import tomllib
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from chappe.declared.lines import line_of, places
from chappe.declared.toml import dumps

TEXT = '''\
# a comment with [brackets] and x = 1
title = "a # b"   # comment
"quoted key" = 1
a.b.c = 2

[[accounts]]
slug = 'acme'
text = """
[not.a.header]
y = 2
"""
list = [
  1,  # one
  [2, { deep = true }],
]

  [[accounts.keys]]
  name = "x"
  secret = { env = "A", nested = { z = 1979-05-27 07:32:00 } }

  [[accounts.keys]]
  name = "y"

[accounts.settings]
rate = 5.0

[[accounts]]
slug = "b"
[accounts.settings]
rate = 1_000
[accounts.settings."sub table"]
q = \'\'\'x\'\'\'
'''


def test_every_key_has_its_line() -> None:
    found = places(TEXT)
    assert tomllib.loads(TEXT)["accounts"][0]["keys"][1]["name"] == "y"
    expected: dict[tuple[str | int, ...], int] = {
        ("title",): 2,
        ("quoted key",): 3,
        ("a", "b", "c"): 4,
        ("accounts", 0): 6,
        ("accounts", 0, "slug"): 7,
        ("accounts", 0, "text"): 8,
        ("accounts", 0, "list"): 12,
        ("accounts", 0, "list", 0): 13,
        ("accounts", 0, "list", 1, 1, "deep"): 14,
        ("accounts", 0, "keys", 0): 17,
        ("accounts", 0, "keys", 0, "secret", "nested", "z"): 19,
        ("accounts", 0, "keys", 1): 21,
        ("accounts", 0, "keys", 1, "name"): 22,
        ("accounts", 0, "settings", "rate"): 25,
        ("accounts", 1): 27,
        ("accounts", 1, "settings", "rate"): 30,
        ("accounts", 1, "settings", "sub table", "q"): 32,
    }
    assert {path: found.get(path) for path in expected} == expected
    assert line_of(found, ("accounts", 1, "settings", "no", "such")) == 29
    assert line_of(found, ("nothing",)) == 1


_words = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=12)
_scalars = st.one_of(
    st.booleans(), st.integers(-(2**60), 2**60), st.floats(allow_nan=False, allow_infinity=False), _words
)
_tables = st.recursive(
    st.dictionaries(_words, st.one_of(_scalars, st.lists(_scalars, max_size=3)), min_size=1, max_size=4),
    lambda inner: st.dictionaries(
        _words, st.one_of(_scalars, inner, st.lists(inner, min_size=1, max_size=3)), min_size=1, max_size=3
    ),
    max_leaves=12,
)


@given(_tables)
def test_what_is_written_reads_back_and_every_place_is_found(tree: dict[str, Any]) -> None:
    text = dumps(tree)
    assert tomllib.loads(text) == tree
    found = places(text)
    lines = text.split("\n")
    for path in _paths(tree, ()):
        assert path in found
        assert lines[found[path] - 1].strip()


def _paths(value: Any, path: tuple[str | int, ...]) -> list[tuple[str | int, ...]]:
    below = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path] * bool(path) + [p for key, inner in below for p in _paths(inner, (*path, key))]
