"""AWS Step Functions. An execution is started on its state machine, and read and stopped by its own ARN:
https://docs.aws.amazon.com/step-functions/latest/dg/concept-create-iam-advanced.html
"""

from __future__ import annotations

from twin.iam.calls.tables import op, passes, table

MACHINE = "{stateMachineArn}"
EXECUTION = "{executionArn}"
ROLE = (passes("roleArn", "states.amazonaws.com"),)

TABLE = table(
    "states",
    op("StartExecution", MACHINE),
    op("StartSyncExecution", MACHINE),
    op("ListExecutions", "{stateMachineArn|mapRunArn}"),
    op("DescribeExecution", EXECUTION),
    op("StopExecution", EXECUTION),
    op("RedriveExecution", EXECUTION),
    op("GetExecutionHistory", EXECUTION),
    op("DescribeStateMachineForExecution", EXECUTION),
    op("ListMapRuns", EXECUTION),
    op("DescribeMapRun", "{mapRunArn}"),
    op("UpdateMapRun", "{mapRunArn}"),
    op("CreateStateMachine", "stateMachine:{name}", also=ROLE, tags="tags"),
    op("UpdateStateMachine", MACHINE, also=ROLE),
    op("DescribeStateMachine", MACHINE),
    op("DeleteStateMachine", MACHINE),
    op("ListStateMachines"),
    op("ListStateMachineVersions", MACHINE),
    op("ListStateMachineAliases", MACHINE),
    op("ValidateStateMachineDefinition"),
    op("TestState", also=ROLE),
    op("ListTagsForResource", "{resourceArn}"),
    op("TagResource", "{resourceArn}", tags="tags"),
    op("UntagResource", "{resourceArn}", context={"aws:TagKeys": "tagKeys[]"}),
    op("SendTaskSuccess"),
    op("SendTaskFailure"),
    op("SendTaskHeartbeat"),
    boto=("stepfunctions",),
)
