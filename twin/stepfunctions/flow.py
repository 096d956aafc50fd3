"""How a state runs: scaled waits and time-outs, prompt ends of stopped executions, AWS's rules of Retry and Catch.

These functions replace methods of moto's interpreter; `self` is moto's object.
"""

from __future__ import annotations

import copy
import threading
import time
from typing import Any

from moto.stepfunctions.parser.api import HistoryEventType, TaskFailedEventDetails
from moto.stepfunctions.parser.asl.component.common.catch.catch_outcome import CatchOutcome
from moto.stepfunctions.parser.asl.component.common.error_name.failure_event import FailureEvent
from moto.stepfunctions.parser.asl.component.common.error_name.states_error_name import StatesErrorName
from moto.stepfunctions.parser.asl.component.common.error_name.states_error_name_type import StatesErrorNameType
from moto.stepfunctions.parser.asl.component.common.retry.max_attempts_decl import MaxAttemptsOutcome
from moto.stepfunctions.parser.asl.component.common.retry.retrier_outcome import RetrierOutcome
from moto.stepfunctions.parser.asl.component.common.retry.retry_outcome import RetryOutcome
from moto.stepfunctions.parser.asl.component.common.timeouts.timeout import EvalTimeoutError
from moto.stepfunctions.parser.asl.component.eval_component import EvalComponent
from moto.stepfunctions.parser.asl.eval.program_state import ProgramRunning

from twin import context
from twin.moto_patches.registry import original
from twin.stepfunctions.requests import Unstartable

#: A limit on work never shrinks below this: a job or a function does not run faster because the clock does.
LIMIT_FLOOR_SECONDS = 60.0

SET_ERROR = "moto.stepfunctions.parser.asl.eval.environment:Environment.set_error"
_LOOK_SECONDS = 0.05

#: What `States.ALL` does not match: the definition itself is wrong, or a limit was passed.
_TERMINAL = ("States.Runtime", "States.DataLimitExceeded")


class Interrupted(Exception):
    """The execution, or the state, ended while its work was under way."""


def limit_seconds(seconds: float) -> float:
    """How long a time-out of `seconds` of AWS's time lasts here."""
    return max(context.current().real_seconds(seconds), min(seconds, LIMIT_FLOOR_SECONDS))


def wait(env: Any, seconds: float) -> None:
    """Wait `seconds` of AWS's time, or until the execution ends."""
    end = time.monotonic() + context.current().real_seconds(seconds)
    while env.is_running() and (left := end - time.monotonic()) > 0:
        env.program_state_event.wait(min(left, _LOOK_SECONDS))


def wait_function(self: Any, env: Any, wait_seconds: float) -> None:  # noqa: ARG001 - a method of moto's WaitFunction
    """A Wait state's waiting: sub-second waits end too, and StopExecution ends any."""
    wait(env, wait_seconds)


def set_error(self: Any, error: Any) -> None:
    """Only what runs can fail: an error that follows StopExecution or a time-out does not make it FAILED."""
    with self._state_mutex:
        if isinstance(self._program_state, ProgramRunning):
            original(SET_ERROR)(self, error)


def evaluate_with_timeout(self: Any, env: Any) -> None:
    """Run a Task, Map or Parallel in a thread of its own, at most as long as its TimeoutSeconds."""
    self.timeout.eval(env=env)
    limit = limit_seconds(float(env.stack.pop()))
    frame = env.open_frame()
    frame.states.reset(input_value=env.states.get_input())
    frame.stack = copy.deepcopy(env.stack)
    result = _Result(self, frame)
    try:
        output = result.get(env, limit)
    finally:
        frame.set_ended()
        env.close_frame(frame)
    env.stack.append(output)
    _take_output(self, env, output)


class _Result:
    """The output of a state, evaluated in the background."""

    def __init__(self, state: Any, frame: Any) -> None:
        self._ended = threading.Event()
        self._output: Any = None
        self._error: Exception | None = None
        threading.Thread(target=self._run, args=(state, frame), daemon=True).start()

    def _run(self, state: Any, frame: Any) -> None:
        try:
            state._eval_execution(frame)
            self._output = frame.stack[-1]
        except Exception as error:  # noqa: BLE001 - whatever it is, the state's Retry and Catch decide
            self._error = error
        self._ended.set()

    def get(self, env: Any, limit_seconds: float) -> Any:
        """Wait for it; EvalTimeoutError past the limit, Interrupted when the execution has ended."""
        end = time.monotonic() + limit_seconds
        while not self._ended.wait(_LOOK_SECONDS):
            if not env.is_running():
                raise Interrupted
            if time.monotonic() > end:
                raise EvalTimeoutError
        if self._error is not None:
            raise self._error
        return self._output


def _take_output(state: Any, env: Any, output: Any) -> None:
    if not state._is_language_query_jsonpath():
        env.states.set_result(output)
    if state.assign_decl:
        state.assign_decl.eval(env=env)
    if state.result_selector:
        state.result_selector.eval(env=env)
    if state.result_path:
        state.result_path.eval(env)
    else:
        env.states.reset(input_value=env.stack.pop())


def eval_state(self: Any, env: Any) -> None:
    """Try a state until it succeeds, is caught, or its retries run out; leave at once when the execution has ended."""
    env.states.context_object.context_object_data["State"]["RetryCount"] = 0
    while env.is_running():
        try:
            self._evaluate_with_timeout(env)
            return
        except Exception as error:
            if not env.is_running():
                raise
            failure = _unstartable(self, env, error) if isinstance(error, Unstartable) else self._from_error(env, error)
        if _handled(self, env, failure):
            return
    raise Interrupted


def _unstartable(state: Any, env: Any, error: Unstartable) -> FailureEvent:
    """The failure of a task whose request Step Functions refuses, in its words."""
    name = StatesErrorName(typ=StatesErrorNameType.StatesRuntime)
    cause = f"An error occurred while executing the state '{state.name}'. {error}"
    details: Any = {"taskFailedEventDetails": TaskFailedEventDetails(error=name.error_name, cause=cause)}
    return FailureEvent(env=env, error_name=name, event_type=HistoryEventType.TaskFailed, event_details=details)


def _handled(state: Any, env: Any, failure: Any) -> bool:
    """Whether a Catch took the failure; False asks for another attempt; raises when no rule handles it."""
    env.event_manager.add_event(
        context=env.event_history_context, event_type=failure.event_type, event_details=failure.event_details
    )
    output = state._construct_error_output_value(failure_event=failure)
    env.states.set_error_output(output)
    env.states.set_result(output)
    if state.retry and state._handle_retry(env=env, failure_event=failure) == RetryOutcome.CanRetry:
        return False
    if not env.is_running():
        raise Interrupted
    if state.catch:
        state._handle_catch(env=env, failure_event=failure)
        if env.stack[-1] == CatchOutcome.Caught:
            return True
    state._handle_uncaught(env=env, failure_event=failure)
    return True


def error_equals(self: Any, env: Any) -> None:
    """Whether a Retry or Catch names the error. `States.TaskFailed` is any task's error but a time-out."""
    error = env.stack.pop()
    name = str(error.error_name)
    wanted = [str(known.error_name) for known in self.error_names]
    matched = name in wanted
    if "States.ALL" in wanted:
        matched = matched or name not in _TERMINAL
    elif "States.TaskFailed" in wanted:
        matched = matched or not isinstance(error, StatesErrorName)
    env.stack.append(matched)


def retrier(self: Any, env: Any) -> None:
    """The outcome of one Retrier; its back-off ends with the execution."""
    self.error_equals.eval(env)
    if not env.stack.pop():
        env.stack.append(RetrierOutcome.Skipped)
        return
    self.max_attempts.eval(env=env)
    if env.stack.pop() == MaxAttemptsOutcome.EXHAUSTED:
        env.stack.append(RetrierOutcome.Failed)
        return
    for part in (self.interval_seconds, self.backoff_rate, self.max_delay_seconds, self.jitter_strategy):
        part.eval(env=env)
    wait(env, float(env.stack.pop()))
    env.stack.append(RetrierOutcome.Executed if env.is_running() else RetrierOutcome.Failed)


def program_eval(self: Any, env: Any) -> None:
    """Run a program, at most as long as its TimeoutSeconds."""
    limit = limit_seconds(self.timeout_seconds.timeout_seconds) if self.timeout_seconds else None
    env.next_state_name = self.start_at.start_at_name
    worker = threading.Thread(target=EvalComponent.eval, args=(self, env), daemon=True)
    worker.start()
    worker.join(timeout=limit)
    if worker.is_alive():
        env.set_timed_out()
        worker.join(timeout=2.0)  # so that the history ends with ExecutionTimedOut
