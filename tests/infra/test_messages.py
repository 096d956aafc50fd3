"""Messages are plain English: what happened, to which value, what to do, without internal names.

Every string of the product's code is collected statically, so that a message is checked even if no test raises it.
"""

from __future__ import annotations

import re

import pytest

from tests.infra.messages import (
    PROJECT,
    VALUE,
    Message,
    class_names,
    exception_classes,
    messages,
    python_files,
    text_messages,
)

CODE = ("layers", "containers/recommender/usher_models", "functions", "cli", "demo", "twin")
TEXTS = (
    "template.yaml",
    "layers/core/python/usher/api/openapi.json",
    "statemachines/*.json",
    "analytics/queries/*.sql",
)
#: Its errors have AWS's own words.
IMITATES_AWS = "twin/"

#: Phrase that no string may contain → what to write instead.
FORBIDDEN = {
    r"\b(is|are) none\b": "what is missing, or not one of …",
    r"(?<!there )(?<!There )\b(is|are) no [a-z]+\b": "is not a …",
    r"\ba text\b|\btexts\b": "a string",
    r"\bsuch page\b|\bpage does not\b": "not found, the path",
    r"\b(nobody|somebody|whoever|anybody)\b": "the operator, a user, another run",
    r"\bmend(s|ed|ing)?\b": "repair, fix",
    r"\bof another (make|shape)\b": "has an unknown format",
    r"\b(bears|borne)\b": "has",
    r"\bno [a-z]+ stands\b|\bthat stands\b": "exists, is deployed",
    r"\b(ledger|rungs?|ladder|slots?|chores?|keyring|stratum version)\b": "the standard term",
    r"\btold apart\b": "distinguished",
}

#: AWS's name, and that of a class.
PUBLIC_NAMES = {"SageMaker"}
#: What a message may begin with, besides a lower-case letter, a value and an identifier.
PROPER_NOUNS = ("Docker", "Firehose", "Lambda", "Parquet", "Python", "SageMaker", "Step Functions", "Usher")
#: Exceptions whose messages name the object, item or setting.
NAMES_A_VALUE = {"InputError", "OperatorError"}
#: Classes that carry a message, but are not exceptions of this repository.
CARRIERS = ("BadParameter", "BadRow", "Fault")
LONGEST = 300

#: Files whose messages still break a rule; the list only gets shorter.
UNFINISHED: set[str] = set()

FILES = python_files(*CODE)
EXCEPTIONS = exception_classes(FILES) | {name: set() for name in CARRIERS}
#: `TickResult`, not `Header`: a name of one word is also an English word.
INTERNAL_NAMES = {name for name in class_names(FILES) if re.search(r"[a-z][A-Z]", name)} - PUBLIC_NAMES


def faults(message: Message) -> list[str]:
    """The rules that a message breaks."""
    found = [f"write {instead}" for pattern, instead in FORBIDDEN.items() if re.search(pattern, message.text)]
    if not message.exception or message.path.startswith(IMITATES_AWS):
        return found
    found += [f"internal name {name}" for name in sorted(INTERNAL_NAMES & set(re.findall(r"\w+", message.text)))]
    if re.match(r"[A-Z][a-z]+\W", message.text) and not message.text.startswith(PROPER_NOUNS):
        found.append("starts with a capital letter")
    if message.text.rstrip().endswith("."):
        found.append("ends with a full stop")
    if len(message.text) > LONGEST:
        found.append(f"is longer than {LONGEST} characters")
    if {message.exception, *EXCEPTIONS[message.exception]} & NAMES_A_VALUE and VALUE not in message.text:
        found.append("names no value")
    return found


def broken(found: list[Message]) -> list[str]:
    return [f"{message} [{fault}]" for message in found for fault in faults(message)]


@pytest.mark.parametrize("folder", CODE)
def test_messages_say_what_happened_in_plain_english(folder: str) -> None:
    names = {str(path.relative_to(PROJECT)): path for path in python_files(folder)}
    found = [
        messages(path.read_text(), name, set(EXCEPTIONS)) for name, path in names.items() if name not in UNFINISHED
    ]
    assert found
    assert not [line for each in found for line in broken(each)]


@pytest.mark.parametrize("pattern", TEXTS)
def test_descriptions_are_plain_english(pattern: str) -> None:
    paths = list(PROJECT.glob(pattern))
    assert paths
    assert not [line for path in paths for line in broken(text_messages(path))]


@pytest.mark.parametrize(
    ("source", "fault"),
    [
        ('raise ObjectGone(f"{key} is none of ours")', "write what is missing"),
        ('raise ValueError(f"{name} is no number")', "write is not a"),
        ('NOUNS = {"string": "a text"}', "write a string"),
        ('raise Problem("not-found", "there is no such page")', "write not found"),
        ('print("nobody was asked")', "write the operator"),
        ('raise CommandError(f"{name}: mend it first")', "write repair"),
        ('raise TableMissing(f"{name}: the ledger is empty")', "write the standard term"),
        ('raise TableMissing(f"{name}: the ObjectFiles are missing")', "internal name ObjectFiles"),
        ('raise Problem("internal", "Usher failed" " as it often does.")', "ends with a full stop"),
        ('raise CommandError(f"The file {name} is missing")', "starts with a capital letter"),
        ('raise TableMissing("the table is missing")', "names no value"),
        ('yield Fault("", "is none")', "write what is missing"),
        (f'raise CommandError("{"very " * 80}long")', "is longer than"),
    ],
)
def test_a_bad_message_is_found(source: str, fault: str) -> None:
    found = broken(messages(source, "usher.py", set(EXCEPTIONS)))
    assert len(found) == 1
    assert fault in found[0]


@pytest.mark.parametrize(
    "source",
    [
        'raise TableMissing(f"the table {name} does not exist: deploy the stack again")',
        'raise CommandError(f"{path}: there is no such file")',
        'raise SettingsError("USHER_BUDGET_USD must be above 0")',
        'def run():\n    """Nobody calls it."""',
        'KEYS = ["nobody"]',
    ],
)
def test_a_good_message_passes(source: str) -> None:
    assert not broken(messages(source, "usher.py", set(EXCEPTIONS)))


def test_the_collector_finds_the_messages_of_every_layer() -> None:
    """A moved folder or a renamed class must not leave this test with nothing to check."""
    found = [message for path in FILES for message in messages(path.read_text(), str(path), set(EXCEPTIONS))]
    raised = {message.exception for message in found if message.exception}
    assert len([message for message in found if message.exception]) > 400
    assert {"Problem", "HeaderRefused", "Fault", "CommandError", "SettingsError", "BundleError", "DataError"} <= raised
