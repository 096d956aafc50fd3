"""Glue's optimistic lock, which Iceberg's commits rest on."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

Client = Callable[[str], Any]

TABLE = {"DatabaseName": "lake", "TableInput": {"Name": "ratings", "Parameters": {"writer": "nobody"}}}


@pytest.fixture
def glue(client: Client) -> Any:
    glue = client("glue")
    glue.create_database(DatabaseInput={"Name": "lake"})
    glue.create_table(**TABLE)
    return glue


def _version(glue: Any) -> str:
    return str(glue.get_table(DatabaseName="lake", Name="ratings")["Table"]["VersionId"])


def _write(glue: Any, writer: str, version: str | None) -> None:
    given = {"VersionId": version} if version else {}
    table = {"Name": "ratings", "Parameters": {"writer": writer}}
    glue.update_table(DatabaseName="lake", TableInput=table, SkipArchive=True, **given)


def test_an_update_of_an_old_version_is_refused_and_changes_nothing(glue: Any) -> None:
    first = _version(glue)
    _write(glue, "one", first)
    with pytest.raises(ClientError, match="ConcurrentModificationException"):
        _write(glue, "two", first)
    assert glue.get_table(DatabaseName="lake", Name="ratings")["Table"]["Parameters"] == {"writer": "one"}


def test_of_many_updates_of_one_version_at_once_one_succeeds(glue: Any) -> None:
    version, outcomes = _version(glue), []

    def write(number: int) -> None:
        try:
            _write(glue, str(number), version)
            outcomes.append("written")
        except ClientError as error:
            outcomes.append(error.response["Error"]["Code"])

    threads = [threading.Thread(target=write, args=(number,)) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["ConcurrentModificationException"] * 11 + ["written"]


def test_an_update_without_a_version_is_made_as_in_glue(glue: Any) -> None:
    _write(glue, "one", None)
    _write(glue, "two", _version(glue))
    assert glue.get_table(DatabaseName="lake", Name="ratings")["Table"]["Parameters"] == {"writer": "two"}
