"""The language of templates: the part of Liquid that a message needs, so small that nothing in it can run away.

Output, the filters of `filters.py`, `assign`, `if`, `unless`, comments and `raw`. There are no loops, since every
variable is one value, no partials and no files, so the time to render is bounded by the length of the source; and what
a body can grow to is worked out before it is ever rendered (`worst.py`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from typing import NoReturn, TypeVar

from liquid import Environment, StrictUndefined
from liquid.ast import Node
from liquid.builtin import content, illegal, output
from liquid.builtin.expressions import FilteredExpression, Path
from liquid.builtin.tags import assign_tag, comment_tag, if_tag, inline_comment_tag, unless_tag
from liquid.exceptions import LiquidError, ResourceLimitError, UndefinedError

from chappe.templates import filters
from chappe.templates.faults import Fault, place
from chappe.templates.model import MAX_SOURCE

T = TypeVar("T")

TAGS = ("assign", "comment", "if", "unless", "raw")
MAX_MARKUP = 300  # outputs and tags of a body
MAX_OUTPUT = 100_000  # bytes; only a bug in `worst.py` would let a body come near
COMPILED = 1_024  # bodies that are kept ready

_OPEN = re.compile(r"\{\{|\{%|\}\}|%\}")
_RAW = re.compile(r"\{%-?\s*raw\s*-?%\}")
_END_RAW = re.compile(r"\{%-?\s*endraw\s*-?%\}")
_TAG = re.compile(r"\{%-?\s*(#|\w*)")


class _Language(Environment):
    """Liquid with what is named here and nothing else."""

    block_nesting_limit = 10
    context_depth_limit = 10
    loop_iteration_limit = 1
    local_namespace_limit = MAX_OUTPUT
    output_stream_limit = MAX_OUTPUT

    def setup_tags_and_filters(self, *, extra: bool = False) -> None:
        for tag in (
            *(content.Literal, output.Output, illegal.Illegal),
            *(assign_tag.AssignTag, comment_tag.CommentTag, inline_comment_tag.InlineCommentTag),
            *(if_tag.IfTag, unless_tag.UnlessTag),
        ):
            self.add_tag(tag)
        for name, function in filters.ALL.items():
            self.add_filter(name, function)


_language = _Language(undefined=StrictUndefined, strict_filters=True)


class Compiled:
    """A body that was read."""

    __slots__ = ("_pieces", "_template", "source")

    def __init__(self, source: str) -> None:
        self.source = source
        self._template = _language.from_string(source)
        self._pieces = _pieces(self._template.nodes)

    @property
    def nodes(self) -> list[Node]:
        return self._template.nodes

    def render(self, values: Mapping[str, object]) -> str:
        """With values as `values.fit` gives them. Raises Fault."""
        if self._pieces is not None:
            try:
                return "".join([text if name is None else _shown(values[name]) for text, name in self._pieces])
            except KeyError:
                pass  # the library says it with its place
        return guarded(self.source, lambda: self._template.render(**values))


def _pieces(nodes: list[Node]) -> list[tuple[str, str | None]] | None:
    """(text, name) of a body of nothing but text and variables, which is joined at a third of what rendering takes."""
    found: list[tuple[str, str | None]] = []
    for node in nodes:
        if isinstance(node, content.ContentNode):
            found.append((node.text, None))
            continue
        name = variable_of(node)
        if name is None:
            return None
        found.append(("", name))
    return found


def variable_of(node: Node) -> str | None:
    """The name that a node writes as it is, without a filter."""
    if not isinstance(node, output.OutputNode) or not isinstance(node.expression, FilteredExpression):
        return None
    path = node.expression.left
    if node.expression.filters or not isinstance(path, Path) or len(path.path) != 1:
        return None
    return path.path[0] if isinstance(path.path[0], str) else None


def _shown(value: object) -> str:
    return "" if value is None else str(value)


@lru_cache(COMPILED)
def compiled(source: str) -> Compiled:
    """Raises Fault template_invalid, with the place."""
    if len(source) > MAX_SOURCE:
        raise Fault("template_too_long", f"A body has at most {MAX_SOURCE} characters.")
    _check_markup(source)
    return guarded(source, lambda: Compiled(source))


def guarded(source: str, work: Callable[[], T]) -> T:
    """What the library finds wrong, as a Fault."""
    try:
        return work()
    except LiquidError as error:
        raise _fault(source, error) from None
    except RecursionError:
        raise Fault("template_invalid", "The body is nested too deeply.") from None


def _fault(source: str, error: LiquidError) -> Fault:
    if isinstance(error, ResourceLimitError):
        return Fault("template_too_long", f"The body goes beyond a limit: {error.message}.")
    code = "template_value" if isinstance(error, UndefinedError) else "template_invalid"
    where: tuple[int | None, int | None] = (None, None)
    if error.token is not None and error.token.start_index >= 0:
        where = place(source, min(error.token.start_index, len(source)))
    if isinstance(error.__cause__, RecursionError):
        return Fault(code, "The body is nested too deeply.")
    return Fault(code, str(error.message or "The body cannot be read.").strip().rstrip(".") + ".", *where)


# -- before the library reads it -----------------------------------------------------------------------------------


def _check_markup(source: str) -> None:
    """Everything that is opened is closed, and only what the language has: cheap, and told at its place."""
    blocks: list[tuple[str, int]] = []
    for count, (start, mark) in enumerate(_marks(source), 1):
        if mark in ("}}", "%}"):
            _refuse(source, start, f"{mark} closes nothing.")
        if source.startswith("{%", start):
            tag = _TAG.match(source, start)
            name = tag[1] if tag else ""
            if name != "#" and name.removeprefix("end") not in (*TAGS, "else", "elsif"):
                _refuse(source, start, f"There is no tag {name or 'without a name'} here: use {', '.join(TAGS)}.")
            _nest(source, blocks, name, start)
        if count > MAX_MARKUP:
            _refuse(source, start, f"A body has at most {MAX_MARKUP} outputs and tags.")
    if blocks:
        name, start = blocks[-1]
        _refuse(source, start, f"This {name} has no end{name}.")


def _nest(source: str, blocks: list[tuple[str, int]], name: str, start: int) -> None:
    """A tag begins or ends a block; within a comment only comments count."""
    inside = blocks[-1][0] if blocks else ""
    if inside == "comment" and name not in ("comment", "endcomment"):
        return
    if name in ("if", "unless", "comment"):
        blocks.append((name, start))
    elif name.startswith("end") and name != "endraw":
        if name != f"end{inside}":
            _refuse(source, start, f"This {name} ends nothing.")
        blocks.pop()


def _marks(source: str) -> Iterator[tuple[int, str]]:
    """(index, mark) of each output and tag, and of what closes none; what is `raw` is left out."""
    at = 0
    while (found := _OPEN.search(source, at)) is not None:
        start, mark = found.start(), found[0]
        if mark == "{%" and (raw := _RAW.match(source, start)):
            end = _END_RAW.search(source, raw.end())
            if end is None:
                _refuse(source, start, "This raw has no endraw.")
            yield start, mark
            at = end.end()
            continue
        yield start, mark
        at = found.end()
        if mark in ("{{", "{%"):
            closing = "}}" if mark == "{{" else "%}"
            end_at = source.find(closing, at)
            again = _OPEN.search(source, at)
            if end_at < 0 or (again is not None and again.start() < end_at):
                _refuse(source, start, f"This {mark} has no {closing}.")
            at = end_at + 2


def _refuse(source: str, index: int, message: str) -> NoReturn:
    raise Fault("template_invalid", message, *place(source, index))
