"""What a body can become at most, worked out from its parts without rendering it. Pure.

Every output is bounded by the declared lengths of its variables and by what each filter may add; of branches the longer
counts. So a body that could explode (an `assign` that doubles itself thirty times) is refused when it is written.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from liquid.ast import BlockNode, Node
from liquid.builtin.content import ContentNode
from liquid.builtin.expressions import FilteredExpression, Path
from liquid.builtin.expressions.filtered import Filter
from liquid.builtin.expressions.primitive import Literal, Nil, StringLiteral
from liquid.builtin.output import OutputNode
from liquid.builtin.tags.assign_tag import AssignNode
from liquid.builtin.tags.comment_tag import CommentNode
from liquid.builtin.tags.if_tag import IfNode
from liquid.builtin.tags.unless_tag import UnlessNode
from liquid.expression import Expression
from liquid.token import Token

from chappe.templates import filters
from chappe.templates.faults import Fault, place
from chappe.templates.language import Compiled, compiled, guarded, variable_of
from chappe.templates.measure import (
    ASCII,
    MAX_UNITS,
    NOTHING,
    UNICODE,
    Extent,
    extent_of,
    extent_of_value,
)
from chappe.templates.model import BUILT_IN, LONGEST_LINK, OPT_OUT_LINK, Variable

_DEPTH = 20  # of and, or and comparisons


@dataclass(slots=True)
class Worst:
    """`extent` of the whole body; `used` are its variables with the place of their first use; `fixed` says that it has
    no values and no branches, so `extent` is the text itself; `linked`: the opt-out link stands in it."""

    extent: Extent
    used: dict[str, tuple[int, int]] = field(default_factory=dict)
    fixed: bool = True
    linked: bool = False


def worst(source: str, variables: Mapping[str, Variable]) -> Worst:
    """Raises Fault: template_invalid (also: an undeclared variable), template_too_long."""
    body: Compiled = compiled(source)
    walk = _Walk(source, variables)
    extent: Extent = guarded(source, lambda: walk.block(body.nodes, {}))
    return Worst(extent, walk.used, not walk.used and not walk.branches, walk.linked)


_Names = dict[str, Extent]


class _Walk:
    def __init__(self, source: str, variables: Mapping[str, Variable]) -> None:
        self.source, self.variables = source, variables
        self.used: dict[str, tuple[int, int]] = {}
        self.branches = self.linked = False

    # -- what is written -------------------------------------------------------------------------------------------

    def block(self, nodes: Iterable[Node], names: _Names) -> Extent:
        """`names` are what was assigned; they are changed."""
        whole = NOTHING
        for node in nodes:
            whole = self.small(whole.then(self.node(node, names)), node.token)
        return whole

    def node(self, node: Node, names: _Names) -> Extent:
        match node:
            case ContentNode():
                return self.written(node.text)
            case OutputNode():
                if variable_of(node) == BUILT_IN:
                    return self.link()
                return self.filtered(node.expression, names)
            case AssignNode():
                if str(node.name) == BUILT_IN:
                    raise self.fault(node.token, f"{BUILT_IN} is built in: assign to another name.", BUILT_IN)
                names[str(node.name)] = self.filtered(node.expression, names)
                return NOTHING
            case CommentNode():
                return NOTHING
            case IfNode() | UnlessNode():
                return self.fork(node, names)
            case BlockNode():
                return self.block(node.nodes, names)
        raise self.fault(node.token, "This is not part of the language.")

    def written(self, text: str) -> Extent:
        """Text as it stands, in which the link may stand already as it will be rendered."""
        first, *rest = text.split(OPT_OUT_LINK)
        whole = extent_of(first)
        for piece in rest:
            whole = whole.then(self.link()).then(extent_of(piece))
        return whole

    def link(self) -> Extent:
        self.linked = self.branches = True  # it differs from person to person
        return extent_of_value(LONGEST_LINK, ASCII, escapes=False)

    def fork(self, node: IfNode | UnlessNode, names: _Names) -> Extent:
        """Any of the branches, or none."""
        self.branches = True
        self.condition(node.condition, names)
        for alternative in node.alternatives:
            self.condition(alternative.expression, names)
        blocks = [node.consequence, *(one.block for one in node.alternatives)]
        if node.default is not None:
            blocks.append(node.default)
        before = dict(names)
        whole = NOTHING
        for block in blocks:
            inside = dict(before)
            whole = whole.either(self.block(block.nodes, inside))
            for name, extent in inside.items():
                names[name] = extent.either(names.get(name, NOTHING))
        return whole

    # -- what is computed ------------------------------------------------------------------------------------------

    def filtered(self, expression: Expression, names: _Names) -> Extent:
        if not isinstance(expression, FilteredExpression):
            raise self.fault(expression.token, "This is not part of the language.")
        extent = self.simple(expression.left, names)
        for one in expression.filters or ():
            extent = self.small(self.after(one, extent, names), one.token)
        return extent

    def simple(self, expression: Expression, names: _Names) -> Extent:
        match expression:
            case Path():
                return self.variable(expression, names)
            case StringLiteral():
                return extent_of(expression.value)
            case Literal():
                return extent_of(str(expression.value))
            case Nil():
                return NOTHING
        raise self.fault(expression.token, "This is not part of the language.")

    def variable(self, path: Path, names: _Names) -> Extent:
        name = path.path[0]
        if len(path.path) != 1 or not isinstance(name, str):
            raise self.fault(path.token, f"{path} has a dot or brackets: variables are single values.")
        if name == BUILT_IN:
            raise self.fault(path.token, f"Write {{{{ {BUILT_IN} }}}} by itself, without filters and conditions.", name)
        if name in names:
            return names[name]
        declared = self.variables.get(name)
        if declared is None:
            raise self.fault(path.token, f"The variable {name} is not declared.", name)
        self.used.setdefault(name, place(self.source, max(0, path.token.start_index)))
        return bound(declared)

    def condition(self, expression: Expression, names: _Names, depth: int = 0) -> None:
        """It writes nothing, but its variables are used."""
        if depth > _DEPTH:
            raise self.fault(expression.token, "This condition is too long.")
        if isinstance(expression, Path):
            self.variable(expression, names)
            return
        for child in expression.children():
            self.condition(child, names, depth + 1)

    def after(self, one: Filter, extent: Extent, names: _Names) -> Extent:
        """What a filter makes of it."""
        if one.name not in filters.ALL:
            allowed = ", ".join(filters.ALL)
            raise self.fault(one.token, f"There is no filter {one.name} here: use {allowed}.")
        arguments = [argument.value for argument in one.args]
        least, most = _ARGUMENTS.get(one.name, (0, 0))
        if not least <= len(arguments) <= most or any(getattr(argument, "name", None) for argument in one.args):
            words = f"{least} arguments" if least == most else f"{least} or {most} arguments"
            raise self.fault(one.token, f"{one.name} takes {words}, without names.")
        extents = [self.simple(argument, names) for argument in arguments]
        match one.name:
            case "append" | "prepend":
                return extent.then(extents[0])
            case "default":
                return extent.either(extents[0])
            case "strip" | "remove":
                return extent
            case "truncate":
                return self.truncated(one, extent, arguments, extents)
            case "date":
                return self.dated(one, arguments[0])
        return _other_case(extent)

    def truncated(self, one: Filter, extent: Extent, arguments: list[Expression], extents: list[Extent]) -> Extent:
        length = getattr(arguments[0], "value", None)
        if not isinstance(length, int) or isinstance(length, bool) or not 1 <= length <= filters.MAX_TRUNCATE:
            words = f"truncate takes a length from 1 to {filters.MAX_TRUNCATE}, written as a number."
            raise self.fault(one.token, words)
        tail = extents[1] if len(extents) > 1 else extent_of("...")
        both = extent.then(tail)  # a character costs at most 2
        return both._replace(
            septets=min(both.septets, 2 * length),
            units=min(both.units, 2 * length),
            clustered=min(both.clustered, 2 * length),
        )

    def dated(self, one: Filter, form: Expression) -> Extent:
        if not isinstance(form, StringLiteral):
            raise self.fault(one.token, 'date takes a form in quotes, as in date: "%d/%m/%Y".')
        width = filters.date_codes(form.value)
        if width is None:
            raise self.fault(one.token, "date takes the codes %d %-d %m %-m %Y %y %H %-H %I %M %p %%.")
        rest = extent_of(filters.date_rest(form.value))
        return rest.then(extent_of_value(width, ASCII, escapes=False))

    # -- what is refused -------------------------------------------------------------------------------------------

    def small(self, extent: Extent, token: Token) -> Extent:
        if max(extent.septets, extent.units) > MAX_UNITS:
            words = f"With the longest values this would be longer than {MAX_UNITS} characters."
            raise Fault("template_too_long", words, *place(self.source, max(0, token.start_index)))
        return extent

    def fault(self, token: Token, words: str, variable: str | None = None) -> Fault:
        index = min(max(0, token.start_index), len(self.source))
        return Fault("template_invalid", words, *place(self.source, index), variable)


_ARGUMENTS = {
    "append": (1, 1),
    "prepend": (1, 1),
    "default": (1, 1),
    "remove": (1, 1),
    "truncate": (1, 2),
    "date": (1, 1),
}


def bound(variable: Variable) -> Extent:
    """Of all values that a variable takes."""
    if variable.type != "text":
        return extent_of_value(variable.most, ASCII, escapes=variable.type == "url")
    return extent_of_value(variable.most, UNICODE if variable.alphabet == "unicode" else 1)


def _other_case(extent: Extent) -> Extent:
    """As long as before, but GSM-7 has à and no À, Ç and no ç."""
    return extent if extent.level == ASCII else extent._replace(level=UNICODE)
