"""The tree of Usher's errors: whose fault each is, and whether a retry helps.

    UsherError
    ├── InputError               the producer's fault: no retry helps, the message goes to the dead-letter queue
    │   ├── NotAnEvent           the message is not an "Object Created" event, or not a catalog message
    │   ├── UnknownLandingKey    the key of the object belongs to no data set
    │   └── ObjectGone           deleted or overwritten before it was read: counted, no retry
    ├── NotYet                   nothing is wrong: the same work succeeds later
    │   ├── OutOfTime            the function's remaining time is too short; another invocation takes the object
    │   ├── CommitContended      other commits to the table came first at every attempt
    │   ├── ObjectNotRecorded    a catalog message arrived before, or without, the object's item in the state table
    │   ├── ProfileContended     other writes to the user's profile came first at every attempt
    │   ├── RunInProgress        another run holds the lock
    │   ├── RouterMoved          another writer changed the router meanwhile, or an experiment is open
    │   └── TickUnderWay         another tick holds the experiment's lease, or came first
    └── OperatorError            the deployment's fault: the message says what to change
        ├── TableMissing         catalog_tables did not run, or the table was dropped
        ├── CatalogDenied        Lake Formation denies access to the database
        ├── IncompatibleSchema   the table cannot be changed to the data set's definition
        ├── UnreadableFile       a data file lacks what a commit needs (statistics, its partition)
        ├── OverBudget           a run would cost more than BudgetUsd
        ├── NoPrice              the price list does not have the instance type, the region or the item
        ├── QuotaTooLow          the account's service quotas are lower than a run needs
        ├── ImageMissing         the recommender's image is not in ECR
        ├── NotDeployable        a run whose results, names or lists cannot be deployed
        └── RouterUnreadable     the router's item lacks a field: it was edited by hand

Class names are contracts: workflows and metrics name them. AWS errors are recognised here, by code.
"""

from __future__ import annotations

from botocore.exceptions import ClientError


class UsherError(Exception):
    """Any error that Usher raises on purpose; the message says what happened, to which id, and what to do."""


class InputError(UsherError):
    """The producer's fault: a retry does not help."""


class NotAnEvent(InputError):
    """The message is not what its queue carries."""


class UnknownLandingKey(InputError):
    """The object's key or the delivery stream belongs to no data set."""


class ObjectGone(InputError):
    """The object was deleted or overwritten before it was read."""


class NotYet(UsherError):
    """The same work succeeds later: retry."""


class OutOfTime(NotYet):
    """The function's remaining time is too short."""


class CommitContended(NotYet):
    """Other commits to the table came first at every attempt."""


class ObjectNotRecorded(NotYet):
    """A catalog message for an object that the state table does not have."""


class ProfileContended(NotYet):
    """Other writes to the user's profile came first at every attempt."""


class RunInProgress(NotYet):
    """Another run holds the lock."""


class RouterMoved(NotYet):
    """Another writer changed the router meanwhile, or an experiment is open."""


class TickUnderWay(NotYet):
    """Another tick holds the experiment's lease, or came first."""


class OperatorError(UsherError):
    """The deployment's fault: the message says what the operator has to change."""


class TableMissing(OperatorError):
    """The Iceberg table does not exist."""


class CatalogDenied(OperatorError):
    """Lake Formation denies access to the lake's database."""


class IncompatibleSchema(OperatorError):
    """The table cannot be changed to the data set's definition."""


class UnreadableFile(OperatorError):
    """A data file lacks what a commit needs."""


class OverBudget(OperatorError):
    """A run would cost more than BudgetUsd."""


class ImageMissing(OperatorError):
    """The recommender's image is not in ECR."""


class NoPrice(OperatorError):
    """The price list does not have the instance type, the region or the item."""


class QuotaTooLow(OperatorError):
    """The account's service quotas are lower than a run needs."""


class NotDeployable(OperatorError):
    """A run whose results, names or popularity lists cannot be deployed."""


class RouterUnreadable(OperatorError):
    """The router's item was edited by hand and cannot be read."""


def code(error: ClientError) -> str:
    """The AWS error code; the HTTP status of a HEAD or a conditional GET, which have no code."""
    return str(error.response.get("Error", {}).get("Code") or error.response["ResponseMetadata"]["HTTPStatusCode"])


#: S3's codes for a version that no longer exists or was overwritten.
GONE_CODES = frozenset({"NoSuchKey", "NoSuchVersion", "PreconditionFailed", "MethodNotAllowed", "404", "405", "412"})


def is_gone(error: ClientError) -> bool:
    """Whether S3 reports that the object, or this version of it, no longer exists."""
    return code(error) in GONE_CODES


def is_condition_failed(error: ClientError) -> bool:
    """Whether DynamoDB refused a write because its condition did not hold."""
    return code(error) == "ConditionalCheckFailedException"
