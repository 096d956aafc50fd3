"""One query, from its text to its rows in S3."""

from __future__ import annotations

from boto3.exceptions import Boto3Error
from botocore.exceptions import BotoCoreError, ClientError

from twin import context
from twin.athena.errors import QueryError
from twin.athena.executions import Execution, Executions

#: Rows that pass from DuckDB to the spool at once.
BATCH_ROWS = 10_000


def compute(execution: Execution) -> None:
    """Run the execution's query; raises QueryError, Cancelled, or DuckDB's own errors."""
    from twin.athena import dialect, session, tables  # noqa: PLC0415 - DuckDB, sqlglot, PyIceberg: 2 s of imports

    request = execution.request
    statement = dialect.read(request.query, request.database, request.parameters)
    spill = context.current().folder / "athena" / f"{execution.id}.spill"
    connection = session.open_session(spill)
    try:
        execution.attach(connection)
        tables.load(connection, statement, execution.scanned)
        relation = connection.sql(statement.sql)
        types = [str(kind) for kind in relation.types]
        execution.results.write(relation.columns, types, relation.to_arrow_reader(BATCH_ROWS))
    finally:
        execution.detach()
        connection.close()
    _deliver(execution)


def _deliver(execution: Execution) -> None:
    """Leave the CSV at the output location, as Athena does."""
    bucket, _, key = execution.output_location.removeprefix("s3://").partition("/")
    try:
        context.client("s3").upload_file(str(execution.results.csv), bucket, key, ExtraArgs={"ContentType": "text/csv"})
    except (Boto3Error, BotoCoreError, ClientError) as error:
        raise QueryError(f"Unable to write the result to {execution.output_location}: {error}") from error
    execution.results.csv.unlink(missing_ok=True)


EXECUTIONS = Executions(compute)
