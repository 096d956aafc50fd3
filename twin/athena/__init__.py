"""Athena made real: Trino's SQL, transpiled, on DuckDB over the lake's Iceberg and JSON-lines tables.

moto answers every query with canned rows. Here `responses` takes the API calls, `executions` runs queries in threads,
`dialect` turns Athena's SQL into DuckDB's, `tables` (with `iceberg`, `json_lines`) feeds in what it reads, `results`
keeps and writes what comes out.
"""
