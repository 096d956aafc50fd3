"""SageMaker made real: jobs and endpoints run the container's own programs as processes, under SageMaker's contract.

moto answers at once with invented results. Here `api` takes the calls (checked by `validation` against AWS's own
model), `training`, `processing` and `tuning` run jobs, `hosting` keeps one `serve` process a variant, `registry` holds
model packages. `container` runs an image's program. `account.SageMaker` ends all processes with the twin.
"""
