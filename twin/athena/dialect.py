"""Athena's SQL read, checked, and written again for DuckDB, with the tables it names taken out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError
from sqlglot.optimizer.scope import traverse_scope

from twin.athena import functions
from twin.athena.results import UNNAMED, QueryError, Unsupported

#: Athena's own limit on a query's length, in bytes.
QUERY_MAX_BYTES = 262_144


@dataclass(frozen=True, slots=True)
class Reference:
    """One table of the catalogue as a query names it, in lower case."""

    database: str
    name: str


@dataclass(frozen=True, slots=True)
class Statement:
    """A query for DuckDB.

    sql:     DuckDB's SQL, where the tables have the names of `tables`.
    tables:  local name → the table of the catalogue.
    columns: every name, in lower case, that the query may take from a table; None when it may be any (`SELECT *`).
    """

    sql: str
    tables: dict[str, Reference]
    columns: frozenset[str] | None


def read(sql: str, database: str, parameters: Sequence[str] = ()) -> Statement:
    """Read one query; QueryError for a syntax error, a statement that is not a query, or parameters that do not fit."""
    bound = _bind(sql, parameters)
    tree = _parse(bound)
    if not isinstance(tree, exp.Query | exp.Values):
        raise Unsupported(f"{_kind(tree, sql)} (only queries: SELECT, WITH, VALUES)")
    functions.check(tree, bound)
    columns = _columns(tree)
    tree = _label(tree)
    tables: dict[str, Reference] = {}
    for node in _real_tables(tree):
        reference = _reference(node, database)
        local = next((name for name, known in tables.items() if known == reference), f"usher_table_{len(tables)}")
        tables[local] = reference
        _point(node, local)
    return Statement(_write(tree), tables, columns)


def _parse(sql: str) -> exp.Expression:
    if len(sql.encode()) > QUERY_MAX_BYTES:
        raise QueryError(f"the query is longer than {QUERY_MAX_BYTES} bytes")
    try:
        statements = [tree for tree in sqlglot.parse(sql, read="athena") if tree is not None]
    except (SqlglotError, RecursionError) as error:
        raise QueryError(f"SYNTAX_ERROR: {_first_line(error)}") from error
    if len(statements) != 1:
        raise QueryError(f"Only one sql statement is allowed. Got: {len(statements)}")
    statement = statements[0]
    if not isinstance(statement, exp.Expression):
        raise Unsupported(type(statement).__name__)
    return statement


def _first_line(error: BaseException) -> str:
    errors = getattr(error, "errors", None)
    if errors:
        return f"line {errors[0]['line']}:{errors[0]['col']}: {errors[0]['description']}"
    return str(error).partition("\n")[0] or "the query is nested too deeply"


def _kind(tree: exp.Expression, sql: str) -> str:
    name = tree.this if isinstance(tree, exp.Command) else tree.key
    return str(name or sql.split(maxsplit=1)[0]).upper()


def _bind(sql: str, parameters: Sequence[str]) -> str:
    """Put the execution parameters, each a literal, in place of the question marks."""
    try:
        tokens = sqlglot.tokenize(sql, read="athena")
    except SqlglotError as error:
        raise QueryError(f"SYNTAX_ERROR: {_first_line(error)}") from error
    marks = [token for token in tokens if token.token_type is sqlglot.TokenType.PLACEHOLDER]
    if len(marks) != len(parameters):
        raise QueryError(
            f"SYNTAX_ERROR: Incorrect number of parameters: expected {len(marks)} but found {len(parameters)}"
        )
    for mark, text in reversed(list(zip(marks, parameters, strict=True))):
        sql = f"{sql[: mark.start]}{_literal(text)}{sql[mark.end + 1 :]}"
    return sql


def _literal(text: str) -> str:
    """A parameter is a literal, never SQL with columns or queries in it."""
    refusal = f"SYNTAX_ERROR: parameter {text!r} is not a literal: give a number, or a string in quotes ('…')"
    try:
        value = sqlglot.parse_one(text, read="athena")
    except SqlglotError as error:
        raise QueryError(refusal) from error
    if not isinstance(value, exp.Expression) or value.find(exp.Column, exp.Query, exp.Command, exp.DDL):
        raise QueryError(refusal)
    return f"({value.sql(dialect='athena')})"


def _columns(tree: exp.Expression) -> frozenset[str] | None:
    """The columns that a query may read, None for all. Every identifier counts: a missing column would be wrong."""
    stars = (star for star in tree.find_all(exp.Star) if not isinstance(star.parent, exp.Count))
    if next(stars, None) is not None:
        return None
    return frozenset(identifier.name.lower() for identifier in tree.find_all(exp.Identifier))


def _label(tree: exp.Expression) -> exp.Expression:
    """Give unnamed output columns a label that `results` recognises."""
    if isinstance(tree, exp.Values):
        first = tree.expressions[0]
        width = len(first.expressions) if isinstance(first, exp.Tuple) else 1
        names = [exp.to_identifier(f"{UNNAMED}{number}", quoted=True) for number in range(width)]
        tree.set("alias", exp.TableAlias(this=exp.to_identifier("usher_values"), columns=names))
        return exp.select("*").from_(tree)
    for number, column in enumerate(tree.selects if isinstance(tree, exp.Query) else []):
        if not isinstance(column, exp.Alias | exp.Column | exp.Star | exp.Dot):
            column.replace(exp.alias_(column.copy(), f"{UNNAMED}{number}", quoted=True))
    return tree


def _real_tables(tree: exp.Expression) -> list[exp.Table]:
    """The nodes that name tables of the catalogue, not common table expressions."""
    tables: dict[int, exp.Table] = {}
    for scope in traverse_scope(tree):
        for node in scope.tables:
            if node.db or isinstance(scope.sources.get(node.alias_or_name), exp.Table):
                tables[id(node)] = node
    return list(tables.values())


def _reference(node: exp.Table, database: str) -> Reference:
    if not isinstance(node.this, exp.Identifier):
        raise Unsupported(f"the table function {node.this.sql(dialect='athena')}")
    if node.catalog and node.catalog.lower() != "awsdatacatalog":
        raise Unsupported(f"data catalog {node.catalog}")
    name, _, metadata = node.name.lower().partition("$")
    database = (node.db or database).lower()
    if metadata:
        raise Unsupported(f"the metadata table ${metadata}")
    version = node.args.get("version")
    if version is not None:
        raise Unsupported(f"FOR {version.args['this']} AS OF (time travel)")
    return Reference(database, name)


def _point(node: exp.Table, local: str) -> None:
    """Point a node at the local table, keeping the query's name as its alias."""
    spoken = node.alias_or_name
    node.set("this", exp.to_identifier(local))
    for part in ("db", "catalog"):
        node.set(part, None)
    if not node.args.get("alias"):
        node.set("alias", exp.TableAlias(this=exp.to_identifier(spoken, quoted=True)))


def _write(tree: exp.Expression) -> str:
    try:
        return tree.transform(_same_meaning).sql(dialect="duckdb", unsupported_level=sqlglot.ErrorLevel.RAISE)
    except SqlglotError as error:
        raise Unsupported(_first_line(error)) from error


def _same_meaning(node: exp.Expression) -> exp.Expression:
    """Rewrite a node for DuckDB with Trino's meaning."""
    if isinstance(node, exp.Column) and node.args.get("db"):  # db.table.column: the table is local now
        node.set("db", None)
        node.set("catalog", None)
    return functions.same_meaning(node)
