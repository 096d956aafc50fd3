"""Athena's query executions: each runs its query in a thread, from QUEUED to its end, and can be stopped."""

from __future__ import annotations

import threading
import time
import uuid
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from boto3.exceptions import Boto3Error
from botocore.exceptions import BotoCoreError, ClientError

from twin import context
from twin.athena.results import Cancelled, QueryError, Results

#: How many queries run at once; others wait QUEUED. Each may take the session's memory limit.
RUNNING_MAX = 4
#: How many executions are remembered; Athena keeps 45 days.
KEPT_MAX = 500
_INTERRUPT_SECONDS = 0.05
_ENDED = ("SUCCEEDED", "FAILED", "CANCELLED")

#: Rows that pass from DuckDB to the spool at once.
BATCH_ROWS = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """The request of StartQueryExecution.

    output:      where the result goes, `s3://bucket/prefix/`.
    scan_limit:  bytes that the workgroup lets a query read; None: any number.
    """

    query: str
    database: str
    workgroup: str
    output: str
    parameters: tuple[str, ...] = ()
    scan_limit: int | None = None
    context: Mapping[str, str] = field(default_factory=dict)
    result_configuration: Mapping[str, Any] = field(default_factory=dict)


class Execution:
    """One query execution. The API's threads and its own thread read and write its state."""

    def __init__(self, request: Request, folder: Path) -> None:
        self.id = str(uuid.uuid4())
        self.request = request
        self.results = Results(folder, self.id)
        self.output_location = f"{request.output.rstrip('/')}/{self.id}.csv"
        self.state, self.reason = "QUEUED", ""
        self.submitted_at = time.time()
        self.started_at: float | None = None
        self.ended_at: float | None = None
        self.scanned_bytes = 0
        self._lock = threading.Lock()
        self._stop_reason: str | None = None
        self._session: Any = None

    @property
    def ended(self) -> bool:
        return self.state in _ENDED

    def scanned(self, size: int) -> None:
        """Count bytes before they are read; Cancelled when the query was stopped or passes the workgroup's limit."""
        self.scanned_bytes += size
        limit = self.request.scan_limit
        if limit is not None and self.scanned_bytes > limit:
            self.stop("Bytes scanned limit was exceeded")
        self._check()

    def stop(self, reason: str = "Query was cancelled by user") -> None:
        """Cancel it: at once while it computes, otherwise before its next read; idempotent."""
        with self._lock:
            if self.ended or self._stop_reason is not None:
                return
            self._stop_reason = reason
        threading.Thread(target=self._interrupt, name=f"athena-stop-{self.id[:8]}", daemon=True).start()

    def _interrupt(self) -> None:
        """Until the query has ended: DuckDB forgets an interrupt that comes between two statements."""
        while not self.ended:
            with self._lock:
                if self._session is not None:
                    self._session.interrupt()
            time.sleep(_INTERRUPT_SECONDS)

    def run(self, slots: threading.Semaphore, compute: Callable[[Execution], None]) -> None:
        """Wait for a slot, compute, and end in one of the three final states, whatever happens."""
        with slots:
            try:
                self._check()
                self.started_at, self.state = time.time(), "RUNNING"
                compute(self)
                self._check()
                state, reason = "SUCCEEDED", ""
            except Exception as error:  # noqa: BLE001 - any fault is the query's end, never the server's
                state, reason = ("CANCELLED", self._stop_reason) if self._stop_reason else ("FAILED", explain(error))
            with self._lock:
                self.ended_at, self.reason, self.state = time.time(), reason, state

    def attach(self, session: Any) -> None:
        """Let `stop` interrupt this DuckDB session; Cancelled when it was stopped before."""
        with self._lock:
            self._session = session
        self._check()

    def detach(self) -> None:
        """The session is about to close."""
        with self._lock:
            self._session = None

    def _check(self) -> None:
        if self._stop_reason is not None:
            raise Cancelled(self._stop_reason)


def explain(error: BaseException) -> str:
    """An exception as Athena's StateChangeReason, in one line."""
    if isinstance(error, QueryError):
        return str(error)
    text = " ".join(str(error).split("\n\n", 1)[0].split())
    module = type(error).__module__
    if "duckdb" in module:
        kind, _, rest = text.partition(" Error: ")
        codes = {"Binder": "SYNTAX_ERROR", "Parser": "SYNTAX_ERROR", "Catalog": "SYNTAX_ERROR"}
        return f"{codes.get(kind, 'GENERIC_USER_ERROR')}: {rest or text}"
    return f"GENERIC_INTERNAL_ERROR: {type(error).__name__}: {text}"


class Executions:
    """All executions of the twin, the oldest dropped first."""

    def __init__(self, compute: Callable[[Execution], None]) -> None:
        self._compute = compute
        self._slots = threading.Semaphore(RUNNING_MAX)
        self._lock = threading.Lock()
        self._known: OrderedDict[str, Execution] = OrderedDict()
        self._tokens: dict[str, Execution] = {}

    def start(self, request: Request, token: str | None) -> Execution:
        """Start a query; the same token returns the same execution, or ValueError when it came with another query."""
        with self._lock:
            known = self._tokens.get(token) if token else None
            if known is not None:
                if known.request != request:
                    raise ValueError("Idempotent parameters do not match")
                return known
            execution = Execution(request, _folder())
            self._known[execution.id] = execution
            if token:
                self._tokens[token] = execution
            self._forget()
        arguments = (self._slots, self._compute)
        threading.Thread(target=execution.run, args=arguments, name=f"athena-{execution.id[:8]}", daemon=True).start()
        return execution

    def get(self, query_id: str) -> Execution:
        """The execution of that id; KeyError when it is unknown."""
        return self._known[query_id]

    def _forget(self) -> None:
        while len(self._known) > KEPT_MAX:
            oldest = next((item for item in self._known.values() if item.ended), None)
            if oldest is None:
                return
            del self._known[oldest.id]
            self._tokens = {token: item for token, item in self._tokens.items() if item is not oldest}
            oldest.results.discard()


def _folder() -> Path:
    folder = context.current().folder / "athena"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def compute(execution: Execution) -> None:
    """Run the execution's query; raises QueryError, Cancelled, or DuckDB's own errors."""
    from twin.athena import (  # noqa: PLC0415 - DuckDB, sqlglot, PyIceberg: 2 s of imports
        dialect,
        tables,
    )

    request = execution.request
    statement = dialect.read(request.query, request.database, request.parameters)
    spill = context.current().folder / "athena" / f"{execution.id}.spill"
    connection = tables.open_session(spill)
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
