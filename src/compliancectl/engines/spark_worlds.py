"""Many worlds in one question to Spark: each row of each table beside the number of its world, each world for itself.

    SELECT w.id, q.* FROM worlds AS w, LATERAL (WITH t AS (SELECT … FROM rows_of_t WHERE world = w.id) <question>) AS q

The question stands there as it is, with one exception. What is to the right of a left join may not depend on the world
for Spark, so it is asked for all worlds, in the same way, and the join takes the rows of its own world from that:

    LEFT JOIN (SELECT v.id AS world, r.* FROM worlds AS v, LATERAL (WITH … SELECT * FROM <right>) AS r) AS <right>
           ON <as it was> AND <right>.world = <this world>
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from compliancectl.engines import translate as sql
from compliancectl.engines.spark_rules import rules

WORLDS = "__all_worlds"
"""The view that numbers the worlds, in a column `id`."""


class NotTogether(Exception):
    """This question must be asked world by world."""


def rows_of(table: int) -> str:
    """The view that holds the rows of a question's n-th table in all worlds, beside `__world`."""
    return f"__worlds_{table}"


def together(tables: Sequence[str], question: str, wrap: Callable[[str], str]) -> str:
    """A question about all worlds: the world's number, followed by the columns of the question.

    Args:
        tables: the question's tables, in the order of their views.
        question: SQL of DuckDB's dialect.
        wrap: puts around the translated question what stands around it.

    Raises:
        NotTogether: a part of the question cannot be asked of all worlds at once.
    """
    made = _Question(tables)
    inner = made.whole(sql.translate(question, "spark", rules, lambda tree: made.each(tree, "`__w`.`id`")))
    shadows = ", ".join(made.shadows("`__w`.`id`"))
    return f"SELECT `__w`.`id`, `__q`.* FROM `{WORLDS}` AS `__w`, LATERAL (WITH {shadows}\n{wrap(inner)}\n) AS `__q`"


class _Question:
    def __init__(self, tables: Sequence[str]) -> None:
        self.views = {sql.view_name(name): rows_of(n) for n, name in enumerate(tables)}
        self.joins = 0
        self.texts: dict[str, str] = {}
        """What is to be written for the name of a table: written as one tree, common tables would change places."""

    def shadows(self, world: str) -> list[str]:
        """The evidence tables as they are in one world."""
        return [
            f"`{view}` AS (SELECT * EXCEPT (`__world`) FROM `{rows}` WHERE `__world` = {world})"
            for view, rows in self.views.items()
        ]

    def whole(self, text: str) -> str:
        """A text with what is to be written for names in it."""
        for name, meant in reversed(self.texts.items()):
            text = text.replace(f"`{name}`", f"({meant})")
        return text

    def each(self, tree: Any, world: str) -> Any:
        """A translated question in which what stands to the right of a left join is that of all worlds."""
        from sqlglot import exp

        before = tree.copy()
        for select, was in zip(list(tree.find_all(exp.Select)), list(before.find_all(exp.Select)), strict=True):
            sides = {join.side for join in select.args.get("joins") or ()}
            if sides & {"RIGHT", "FULL"} or ("LEFT" in sides and select.is_star):
                raise NotTogether
            if "LEFT" in sides and select.find_ancestor(exp.SetOperation) is not None:
                raise NotTogether  # Spark 4.3 fails with an internal error: "Unable to rewrite domain join"
            if "LEFT" in sides and select.root() is tree:
                self._select(select, _visible(was), world)
        return tree

    def _select(self, select: Any, known: Sequence[Any], world: str) -> None:
        from sqlglot import exp

        self.joins += 1
        here = f"__here_{self.joins}"
        for join in select.args["joins"]:
            if join.side == "LEFT":
                self._left(join, here, known)
        source = select.args["from_"]
        first = source.this
        source.set("this", _source(f"(SELECT {world} AS `id`) AS `{here}`"))
        select.set("joins", [exp.Join(this=first, kind="CROSS"), *select.args["joins"]])

    def _left(self, join: Any, here: str, known: Sequence[Any]) -> None:
        from sqlglot import exp

        right, on, name = join.this, join.args.get("on"), join.this.alias_or_name
        if on is None or not name or not isinstance(right, exp.Table | exp.Subquery) or right.alias_column_names:
            raise NotTogether
        self.joins += 1
        number, place = f"__world_{self.joins}", f"__of_{self.joins}"
        self.texts[place] = self._of_all_worlds(right, number, known)  # after those of what it is made of
        join.set("this", _source(f"`{place}` AS `{name}`"))
        mine = _parsed(f"SELECT `{name}`.`{number}` = `{here}`.`id`").expressions[0]
        join.set("on", exp.and_(exp.paren(on.copy()), mine))

    def _of_all_worlds(self, right: Any, number: str, known: Sequence[Any]) -> str:
        """What stands to the right of a join, as it is in each world, beside the world's number."""
        import sqlglot
        from sqlglot import exp

        named = {cte.alias for cte in known}
        if isinstance(right, exp.Table) and right.name not in named and right.name in self.views:
            return f"SELECT `__world` AS `{number}`, * EXCEPT (`__world`) FROM `{self.views[right.name]}`"
        world = f"__v_{self.joins}"
        inner = exp.Select(expressions=[exp.Star()]).from_(right.copy())
        if needed := _needed(right, known):
            inner.set("with_", exp.With(expressions=[cte.copy() for cte in needed]))
        inner = self.each(inner, f"`{world}`.`id`")
        text = inner.sql(dialect="spark", unsupported_level=sqlglot.ErrorLevel.RAISE)
        shadows = ", ".join(self.shadows(f"`{world}`.`id`"))
        return (
            f"SELECT `{world}`.`id` AS `{number}`, `__r`.* FROM `{WORLDS}` AS `{world}`, "
            f"LATERAL (WITH {shadows} SELECT * FROM ({text})) AS `__r`"
        )


def _parsed(text: str) -> Any:
    import sqlglot

    return sqlglot.parse_one(text, dialect="spark")


def _source(text: str) -> Any:
    """What stands in a FROM."""
    return _parsed(f"SELECT * FROM {text}").args["from_"].this.pop()


def _visible(select: Any) -> list[Any]:
    """The common tables that a SELECT may name, in their order."""
    from sqlglot import exp

    found: list[Any] = []
    node, below = select, None
    while node is not None:
        if isinstance(node, exp.With):  # inside one of them: those before it, and what its statement may name
            found = [*node.expressions[: node.expressions.index(below)], *found]
            node = node.parent
        elif (held := node.args.get("with_")) is not None:
            found = [*held.expressions, *found]
        node, below = node.parent, node
    return found


def _needed(tree: Any, known: Sequence[Any]) -> list[Any]:
    """Of common tables those that a tree names, or that these name."""
    from sqlglot import exp

    names = {table.name for table in tree.find_all(exp.Table)}
    found: list[Any] = []
    for cte in reversed(known):
        if cte.alias in names:
            names |= {table.name for table in cte.find_all(exp.Table)}
            found.insert(0, cte)
    return found
