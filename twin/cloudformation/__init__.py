"""CloudFormation for the twin: moto's API, with an engine of the twin behind it.

moto's own engine skips what it does not know, has no roll-back and misses most changes, so a deployment that succeeds
there may fail on AWS. moto keeps the API (stacks, change sets, events as botocore expects them):

    template.py        text → template, with the SAM transform; parameters and their constraints
    intrinsics.py      Ref, Fn::GetAtt, Fn::Sub, conditions …, and the order of dependencies
    engine.py          create, update, roll back, delete
    resource_types/    one resource type each: properties become calls of the service's API
    stack.py           stacks and change sets
    backend.py         what moto's API calls
    deploy.py          packs local folders (as `sam package` does) and deploys the application's template
"""
