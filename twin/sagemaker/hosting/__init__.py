"""Endpoints: `model` and `config` describe what to serve, `endpoint` swaps variants, each one a `serve` process."""
