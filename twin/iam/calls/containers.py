"""Amazon ECR and AWS CodeBuild: the container's repository, and the build that pushes to it."""

from __future__ import annotations

from twin.iam.calls.tables import Operation, arn_base, op, passes, table
from twin.iam.calls.templates import Members, Path
from twin.iam.request import Check

REPOSITORY = "repository/{repositoryName}"

ECR = table(
    "ecr",
    op("GetAuthorizationToken"),
    op("BatchCheckLayerAvailability", REPOSITORY),
    op("BatchGetImage", REPOSITORY),
    op("BatchDeleteImage", REPOSITORY),
    op("GetDownloadUrlForLayer", REPOSITORY),
    op("InitiateLayerUpload", REPOSITORY),
    op("UploadLayerPart", REPOSITORY),
    op("CompleteLayerUpload", REPOSITORY),
    op("PutImage", REPOSITORY),
    op("DescribeImages", REPOSITORY),
    op("ListImages", REPOSITORY),
    op("DescribeRepositories", "repository/{repositoryNames[]=*}"),
    op("CreateRepository", REPOSITORY, tags="tags"),
    op("DeleteRepository", REPOSITORY),
    op("GetLifecyclePolicy", REPOSITORY),
    op("PutLifecyclePolicy", REPOSITORY),
    op("GetRepositoryPolicy", REPOSITORY),
    op("SetRepositoryPolicy", REPOSITORY),
    op("PutImageTagMutability", REPOSITORY),
    op("PutImageScanningConfiguration", REPOSITORY),
    op("ListTagsForResource", "{resourceArn}"),
    op("TagResource", "{resourceArn}", tags="tags"),
    boto=("ecr",),
    file="containers",
)

PROJECT = "project/{projectName}"
ROLE = (passes("serviceRole", "codebuild.amazonaws.com"),)


def _on_builds(name: str, member: str) -> Operation:
    """An operation on builds by their ids, `<project>:<uuid>` or an ARN with it: it is checked on the project."""
    path = Path.of(member)

    def derive(members: Members, region: str) -> list[Check]:
        ids = [str(found).rpartition("build/")[2] for found in path.values(members)]
        projects = dict.fromkeys(found.partition(":")[0] for found in ids) or {"*": None}
        return [Check(f"codebuild:{name}", f"{arn_base('codebuild', region)}project/{p}") for p in projects]

    return Operation(name, derive=derive, reads=(path,), actions=(f"codebuild:{name}",))


CODEBUILD = table(
    "codebuild",
    op("StartBuild", PROJECT),
    _on_builds("BatchGetBuilds", "ids[]"),
    _on_builds("StopBuild", "id"),
    op("ListBuildsForProject", PROJECT),
    op("ListBuilds"),
    op("ListProjects"),
    op("BatchGetProjects", "project/{names[]}"),
    op("CreateProject", "project/{name}", also=ROLE, tags="tags"),
    op("UpdateProject", "project/{name}", also=ROLE, tags="tags"),
    op("DeleteProject", "project/{name}"),
    boto=("codebuild",),
    file="containers",
)
