"""CloudFormation for the twin: moto's API in front, an engine of ours behind it.

moto's own engine creates resources lazily as they are referenced, skips what it does not know, has no roll-back and
notices a change only in a resource's own text. A deployment that "works" there says little about AWS, so moto keeps the
API (stacks, change sets, events as botocore expects them) and the work is done here:

    template.py    text → template, with the SAM transform applied where AWS applies it: on the server
    parameters.py  parameters and their constraints
    intrinsics.py  Ref, Fn::GetAtt, Fn::Sub, conditions …
    graph.py       what depends on what
    engine.py      create, update, roll back, delete
    kinds/         one resource type each: the properties become calls of the service's API
    backend.py     what moto's API calls: stacks and change sets
    package.py     local folders → zip files in a bucket (what `sam package` does)
"""
