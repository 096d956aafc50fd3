"""Lambda functions really run: AWS's own runtime client in one process per execution environment.

`runtime_api` serves what the runtime client polls, `environment` is one process, `pool` keeps the warm ones and bounds
them, `invoke` answers the Invoke API, `asynchronous` retries events. `pool.Pool(context)` has `start()` and `stop()`.
"""
