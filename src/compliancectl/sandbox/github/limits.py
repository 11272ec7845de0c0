"""GitHub's limits on one GraphQL document: `first` or `last` on every connection, nodes, points."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from graphql import DocumentNode, FieldNode, GraphQLObjectType, GraphQLSchema, SelectionSetNode

MAX_NODES = 500_000


class Refusal(Exception):
    """A document that GitHub refuses before it runs."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.error = {"type": kind, "message": message}


def cost_of(schema: GraphQLSchema, document: DocumentNode, variables: dict[str, Any]) -> tuple[int, int]:
    """How many nodes a document may give, and how many points it costs.

    Raises:
        Refusal: if a connection has no limit, too high a one, or all together are too many.
    """
    walk = _Walk(schema, document, variables)
    nodes = math.ceil(walk.nodes)
    if nodes > MAX_NODES:
        raise Refusal(
            "MAX_NODE_LIMIT_EXCEEDED",
            f"This query requests up to {nodes:,} possible nodes which exceeds the maximum limit of {MAX_NODES:,}.",
        )
    return nodes, max(1, round(walk.requests / 100))


class _Walk:
    def __init__(self, schema: GraphQLSchema, document: DocumentNode, variables: dict[str, Any]) -> None:
        from graphql import FragmentDefinitionNode, IntValueNode, OperationDefinitionNode

        self.schema = schema
        self.variables = dict(variables)
        self.fragments = {d.name.value: d for d in document.definitions if isinstance(d, FragmentDefinitionNode)}
        self.nodes = 0.0
        self.requests = 0.0
        for definition in document.definitions:
            if isinstance(definition, OperationDefinitionNode):
                assert schema.query_type is not None
                for variable in definition.variable_definitions or ():
                    if isinstance(variable.default_value, IntValueNode):
                        self.variables.setdefault(variable.variable.name.value, int(variable.default_value.value))
                self._set(definition.selection_set, schema.query_type, 1)

    def _set(self, selections: SelectionSetNode, kind: Any, times: int) -> None:
        from graphql import FieldNode, FragmentSpreadNode, InlineFragmentNode

        for selection in selections.selections:
            if isinstance(selection, FieldNode):
                self._field(selection, kind, times)
            elif isinstance(selection, FragmentSpreadNode):
                fragment = self.fragments[selection.name.value]
                self._set(fragment.selection_set, self.schema.type_map[fragment.type_condition.name.value], times)
            elif isinstance(selection, InlineFragmentNode):
                narrowed = selection.type_condition
                inner = self.schema.type_map[narrowed.name.value] if narrowed else kind
                self._set(selection.selection_set, inner, times)

    def _field(self, field: FieldNode, parent: GraphQLObjectType, times: int) -> None:
        from graphql import get_named_type

        if field.selection_set is None or field.name.value not in parent.fields:
            return
        definition = parent.fields[field.name.value]
        inner: Any = get_named_type(definition.type)
        if inner.name.endswith("Connection"):
            size = self._size(field)
            self.requests += times
            times *= size
            self.nodes += times
        self._set(field.selection_set, inner, times)

    def _size(self, field: FieldNode) -> int:
        given = {argument.name.value: argument.value for argument in field.arguments or ()}
        name = field.name.value
        for bound in ("first", "last"):
            if bound in given:
                size = self._value(given[bound])
                if size is None:
                    continue
                if not 0 <= size <= 100:
                    raise Refusal(
                        "EXCESSIVE_PAGINATION",
                        f"Requesting {size} records on the `{name}` connection exceeds the `{bound}` limit of 100 records.",
                    )
                return size
        raise Refusal(
            "MISSING_PAGINATION_BOUNDARIES",
            f"You must provide a `first` or `last` value to properly paginate the `{name}` connection.",
        )

    def _value(self, node: Any) -> int | None:
        from graphql import IntValueNode, VariableNode

        if isinstance(node, IntValueNode):
            return int(node.value)
        if isinstance(node, VariableNode):
            value = self.variables.get(node.name.value)
            return value if isinstance(value, int) else None
        return None
