"""What can go wrong, as one tree: whose fault it is, and whether a retry is any use.

    UsherError
    ├── InputError               a producer's fault: no retry helps, the message goes to the dead-letter queue
    │   ├── NotAnEvent           the message is no "Object Created" event, or no catalog message
    │   ├── UnknownPlace         an object under a key that no data set has
    │   └── ObjectGone           deleted or overwritten before it was read: counted, nothing to retry
    ├── NotYet                   nobody's fault: the same work succeeds later
    │   ├── OutOfTime            the function's time would not do; another invocation takes the object
    │   ├── CommitContended      other committers were faster every time
    │   ├── NotInLedger          a catalog message came before (or without) its ledger item
    │   ├── ProfileContended     other writers of one person's profile were faster every time
    │   ├── RunInProgress        another run holds the lock
    │   ├── RouterMoved          another writer changed the router meanwhile, or an experiment is open
    │   └── TickUnderWay         another tick holds the experiment's lease, or was faster
    └── OperatorError            the deployment's fault: the message says what to change
        ├── TableMissing         catalog_tables did not run, or somebody dropped the table
        ├── IncompatibleSchema   the table cannot become what the data set's definition says
        ├── UnreadableFile       a data file lacks what a commit needs (statistics, its partition)
        ├── OverBudget           a run would cost more than BudgetUsd
        ├── NoPrice              an instance type that the price table does not know
        ├── NotDeployable        a run whose results, names or lists cannot be deployed
        └── RouterUnreadable     the router's item lacks what a router has: it was edited by hand

Class names are contracts: workflows and metrics name them. AWS's errors are told apart here, by code.
"""

from __future__ import annotations

from botocore.exceptions import ClientError


class UsherError(Exception):
    """Everything that Usher raises on purpose; the message says what happened, to which id, and what to do."""


class InputError(UsherError):
    """A producer's fault: no retry helps."""


class NotAnEvent(InputError):
    """The message is not what its queue carries."""


class UnknownPlace(InputError):
    """An object under a key that no data set has."""


class ObjectGone(InputError):
    """The object was deleted or overwritten before it was read."""


class NotYet(UsherError):
    """The same work succeeds later."""


class OutOfTime(NotYet):
    """The function's remaining time would not do."""


class CommitContended(NotYet):
    """Other committers were faster every time."""


class NotInLedger(NotYet):
    """A catalog message without its ledger item."""


class ProfileContended(NotYet):
    """Other writers of one person's profile were faster every time."""


class RunInProgress(NotYet):
    """Another run holds the lock."""


class RouterMoved(NotYet):
    """Another writer changed the router meanwhile, or an experiment is open."""


class TickUnderWay(NotYet):
    """Another tick holds the experiment's lease, or was faster."""


class OperatorError(UsherError):
    """The deployment's fault."""


class TableMissing(OperatorError):
    """The Iceberg table is not there."""


class IncompatibleSchema(OperatorError):
    """The table cannot become what the data set's definition says."""


class UnreadableFile(OperatorError):
    """A data file lacks what a commit needs."""


class OverBudget(OperatorError):
    """A run would cost more than BudgetUsd."""


class NoPrice(OperatorError):
    """An instance type that the price table does not know."""


class NotDeployable(OperatorError):
    """A run whose results, names or lists cannot be deployed."""


class RouterUnreadable(OperatorError):
    """The router's item was edited by hand and cannot be read."""


def code(error: ClientError) -> str:
    """AWS's code of an error; for a HEAD or a conditional GET that has none, the HTTP status."""
    return str(error.response.get("Error", {}).get("Code") or error.response["ResponseMetadata"]["HTTPStatusCode"])


#: What S3 says when a version is not there any more, or another has taken its place.
GONE_CODES = frozenset({"NoSuchKey", "NoSuchVersion", "PreconditionFailed", "MethodNotAllowed", "404", "405", "412"})


def is_gone(error: ClientError) -> bool:
    """Whether S3 says that the object, or exactly this version of it, is not there any more."""
    return code(error) in GONE_CODES


def is_condition_failed(error: ClientError) -> bool:
    """Whether DynamoDB refused a write because its condition did not hold."""
    return code(error) == "ConditionalCheckFailedException"
