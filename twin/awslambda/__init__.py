"""Lambda functions really run: AWS's own runtime client in one process per execution environment.

`api` answers the Invoke API and keeps configurations, `pool` keeps and bounds the environments, `environment` is one
process, `runtime_api` is what its runtime client polls. `pool.Pool(context)` has `start()` and `stop()`.
"""
