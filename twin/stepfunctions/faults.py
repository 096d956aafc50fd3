"""Errors' names as moto's objects; a failed iteration's, branch's or Fail state's error may be one of `States.*`."""

from __future__ import annotations

from typing import Any

from moto.stepfunctions.parser.asl.component.common.error_name.custom_error_name import CustomErrorName
from moto.stepfunctions.parser.asl.component.common.error_name.error_name import ErrorName
from moto.stepfunctions.parser.asl.component.common.error_name.states_error_name import StatesErrorName
from moto.stepfunctions.parser.asl.component.common.error_name.states_error_name_type import StatesErrorNameType


def error_name(error_name: str | None) -> Any:
    """The object for a name. moto refuses `States.*` here, so a Map whose task failed fails with States.Runtime."""
    if error_name is None or not error_name.startswith("States."):
        return CustomErrorName(error_name)
    try:
        return StatesErrorName(typ=StatesErrorNameType.from_name(error_name))
    except ValueError:
        return ErrorName(error_name=error_name)
